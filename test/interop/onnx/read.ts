/** What an ONNX file says, read with the same wire format but none of the exporter's code. */
import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";

type Visit = (field: number, wire: WireType, reader: BinaryReader) => unknown;

function fields(bytes: Uint8Array, visit: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    const at = reader.pos;
    visit(field, wire, reader);
    if (reader.pos === at) reader.skip(wire, field);
  }
}

/** All submessages or texts of one field. */
function all(bytes: Uint8Array, wanted: number): Uint8Array[] {
  const out: Uint8Array[] = [];
  fields(bytes, (field, _, reader) => field === wanted && out.push(reader.bytes()));
  return out;
}
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const graph = (model: Uint8Array) => all(model, 7)[0]!;

/** The operations of the graph, in order. */
export const operations = (model: Uint8Array): string[] => all(graph(model), 1).map((node) => text(all(node, 4)[0]));

/** Names of the initializers. */
export const initializers = (model: Uint8Array): string[] =>
  all(graph(model), 5).map((tensor) => text(all(tensor, 8)[0]));

/** Texts by their keys. */
export const metadata = (model: Uint8Array): Record<string, string> =>
  Object.fromEntries(all(model, 14).map((entry) => [text(all(entry, 1)[0]), text(all(entry, 2)[0])]));
