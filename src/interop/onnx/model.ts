/** A graph of wires as the bytes of an ONNX model. */
import { dtypes } from "../../ir/dtype.ts";
import { fail } from "../../ir/fail.ts";
import { size } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import {
  type AttributeProto,
  attributeTypes,
  dataTypes,
  encodeModel,
  type NodeProto,
  type OnnxType,
  type TensorProto,
  type ValueInfoProto,
} from "./proto.ts";
import { type Attribute, live, type Wire } from "./wire.ts";

/** An axis is so long, or as long as its name says. */
export type Port = { readonly name: string; readonly wire: Wire; readonly shape: readonly (number | string)[] };

export type ModelOptions = {
  readonly name: string;
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
};

/** The oldest version of the file format that may hold an operator set (onnx/docs/Versioning.md). */
const irVersions: Readonly<Record<number, number>> = { 18: 8, 19: 9, 20: 9, 21: 10, 22: 10 };
export const opsets = Object.keys(irVersions).map(Number);

/** Protocol buffers end at 2 GiB, and so does a model in one file. */
const longest = 2 ** 31 - 1;

export function encode(
  inputs: readonly Port[],
  outputs: readonly Port[],
  { name, opset, metadata }: ModelOptions,
): Uint8Array<ArrayBuffer> {
  const names = new Names(inputs.map((x) => x.name));
  const wires = live(outputs.map((x) => x.wire));
  const called = new Map<Wire, string>();
  const node: NodeProto[] = [];
  const initializer: TensorProto[] = [];
  for (const { wire, name } of inputs) called.set(wire, name);
  for (const { from } of wires) if (from.kind === "weight") names.take(from.name);
  for (const { name } of outputs) names.take(name);
  // An output that nothing but a node makes has its name from the start; others are copied below.
  for (const { wire, name } of outputs) if (wire.from.kind === "node" && !called.has(wire)) called.set(wire, name);

  for (const x of wires) {
    const { from } = x;
    if (from.kind === "input") continue;
    if (from.kind === "node") {
      const title = names.fresh(`${path(x)}${from.op}`);
      if (!called.has(x)) called.set(x, title);
      const input = from.src.map((s) => called.get(s)!);
      node.push({
        name: title,
        op_type: from.op,
        input,
        output: [called.get(x)!],
        attribute: attributes(from.attributes),
      });
    } else {
      const title = from.kind === "weight" ? from.name : names.fresh("constant");
      called.set(x, title);
      initializer.push({ name: title, dims: x.shape, data_type: dataTypes[x.type], raw_data: bytes(x) });
    }
  }
  for (const { wire, name } of outputs) {
    if (called.get(wire) === name) continue;
    const title = names.fresh("Identity");
    node.push({ name: title, op_type: "Identity", input: [called.get(wire)!], output: [name], attribute: [] });
  }

  const weight = initializer.reduce((sum, t) => sum + t.raw_data.length, 0);
  if (weight > longest) fail(`toOnnx: the weights take ${weight} bytes, an ONNX file holds at most ${longest}`);
  return encodeModel({
    ir_version: irVersions[opset]!,
    producer_name: "downhill",
    graph: { name, node, initializer, input: inputs.map(info), output: outputs.map(info) },
    opset_import: [{ domain: "", version: opset }],
    metadata_props: Object.entries(metadata).map(([key, value]) => ({ key, value })),
  });
}

/** The module that a wire was made in, `layers.0/`, as a prefix of its name. */
function path({ origin }: Wire): string {
  const module = origin?.module.replace(/^net[.]?/, "") ?? "";
  return module ? `${module}/` : "";
}

/** Names that occur once. */
class Names {
  private readonly taken: Set<string>;
  private readonly next = new Map<string, number>();
  constructor(taken: Iterable<string>) {
    this.taken = new Set(taken);
  }
  take(name: string): void {
    if (this.taken.has(name)) {
      fail(
        `toOnnx: "${name}" names two of the inputs, outputs and parameters`,
        "give the input or output another name",
      );
    }
    this.taken.add(name);
  }
  fresh(name: string): string {
    for (let k = this.next.get(name) ?? 0; ; k++) {
      const one = k === 0 ? name : `${name}_${k}`;
      if (this.taken.has(one)) continue;
      this.next.set(name, k + 1);
      this.taken.add(one);
      return one;
    }
  }
}

const info = ({ name, wire, shape }: Port): ValueInfoProto => ({
  name,
  type: {
    tensor_type: {
      elem_type: dataTypes[wire.type],
      shape: { dim: shape.map((n) => (typeof n === "number" ? { dim_value: n } : { dim_param: n })) },
    },
  },
});

const attributes = (of: Readonly<Record<string, Attribute>>): AttributeProto[] =>
  Object.entries(of).map(([name, x]) => {
    if (typeof x === "number") return { name, i: x, type: attributeTypes.i };
    if (typeof x === "string") return { name, s: x, type: attributeTypes.s };
    if ("f" in x) return { name, f: x.f, type: attributeTypes.f };
    return { name, ints: x, type: attributeTypes.ints };
  });

/** The numbers of a leaf, little-endian. */
function bytes({ from, type, shape }: Wire): Uint8Array {
  if (from.kind === "weight" || from.kind === "literal") return littleEndian(from.value);
  const numbers =
    from.kind === "scalar"
      ? [from.number]
      : from.kind === "iota"
        ? Array.from({ length: from.n }, (_, k) => k)
        : from.kind === "ints"
          ? from.list
          : [];
  const out = new DataView(new ArrayBuffer(size(shape) * width(type)));
  numbers.forEach((n, k) => {
    setters[type](out, k * width(type), n);
  });
  return new Uint8Array(out.buffer);
}

const width = (type: OnnxType): number => (type === "i64" ? 8 : dtypes[type].bytes);

const setters: Record<OnnxType, (out: DataView, at: number, n: number) => void> = {
  f32: (out, at, n) => out.setFloat32(at, n, true),
  f64: (out, at, n) => out.setFloat64(at, n, true),
  i32: (out, at, n) => out.setInt32(at, n, true),
  u32: (out, at, n) => out.setUint32(at, n, true),
  i64: (out, at, n) => out.setBigInt64(at, BigInt(n), true),
  bool: (out, at, n) => out.setUint8(at, n),
};

/** As in safetensors.ts, the machines that run JavaScript engines are little-endian, and so are typed arrays. */
const littleEndian = ({ data }: Value): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
