/**
 * ONNX files are protocol buffers. Of the schema, onnx.proto of the ONNX project, this has the messages and fields that
 * a graph for inference needs, as a table of field numbers; one function writes any message by it.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** TensorProto.DataType. */
export const dataTypes = { f32: 1, i32: 6, i64: 7, bool: 9, f64: 11, u32: 12 } as const;
export type OnnxType = keyof typeof dataTypes;

export type AttributeProto = {
  readonly name: string;
  readonly f?: number;
  readonly i?: number;
  readonly s?: string;
  readonly ints?: readonly number[];
  readonly type: number;
};
/** AttributeProto.AttributeType. */
export const attributeTypes = { f: 1, i: 2, s: 3, ints: 7 } as const;

export type NodeProto = {
  readonly name: string;
  readonly op_type: string;
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly attribute: readonly AttributeProto[];
};
export type TensorProto = {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data_type: number;
  /** Little-endian, row-major. */
  readonly raw_data: Uint8Array;
};
type Dimension = { readonly dim_value: number } | { readonly dim_param: string };
export type ValueInfoProto = {
  readonly name: string;
  readonly type: {
    readonly tensor_type: { readonly elem_type: number; readonly shape: { readonly dim: readonly Dimension[] } };
  };
};
type GraphProto = {
  readonly name: string;
  readonly node: readonly NodeProto[];
  readonly initializer: readonly TensorProto[];
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
};
export type ModelProto = {
  readonly ir_version: number;
  readonly producer_name: string;
  readonly opset_import: readonly { readonly domain: string; readonly version: number }[];
  readonly metadata_props: readonly { readonly key: string; readonly value: string }[];
  readonly graph: GraphProto;
};

type Scalar = "int" | "float" | "text" | "bytes";
type Message = keyof typeof messages;
type Field = readonly [number: number, kind: Scalar | Message];

const messages = {
  Model: {
    ir_version: [1, "int"],
    producer_name: [2, "text"],
    graph: [7, "Graph"],
    opset_import: [8, "OperatorSetId"],
    metadata_props: [14, "StringStringEntry"],
  },
  OperatorSetId: { domain: [1, "text"], version: [2, "int"] },
  StringStringEntry: { key: [1, "text"], value: [2, "text"] },
  Graph: {
    node: [1, "Node"],
    name: [2, "text"],
    initializer: [5, "Tensor"],
    input: [11, "ValueInfo"],
    output: [12, "ValueInfo"],
  },
  Node: {
    input: [1, "text"],
    output: [2, "text"],
    name: [3, "text"],
    op_type: [4, "text"],
    attribute: [5, "Attribute"],
  },
  Attribute: {
    name: [1, "text"],
    f: [2, "float"],
    i: [3, "int"],
    s: [4, "text"],
    ints: [8, "int"],
    type: [20, "int"],
  },
  Tensor: { dims: [1, "int"], data_type: [2, "int"], name: [8, "text"], raw_data: [9, "bytes"] },
  ValueInfo: { name: [1, "text"], type: [2, "Type"] },
  Type: { tensor_type: [1, "TypeTensor"] },
  TypeTensor: { elem_type: [1, "int"], shape: [2, "TensorShape"] },
  TensorShape: { dim: [1, "Dimension"] },
  Dimension: { dim_value: [1, "int"], dim_param: [2, "text"] },
} as const satisfies Record<string, Readonly<Record<string, readonly [number, string]>>>;

/** The bytes of a model. */
export function encodeModel(model: ModelProto): Uint8Array<ArrayBuffer> {
  const writer = new BinaryWriter();
  write(writer, "Model", model);
  return writer.finish();
}

function write(to: BinaryWriter, message: Message, content: object): void {
  const fields: Readonly<Record<string, Field>> = messages[message];
  for (const [name, given] of Object.entries(content)) {
    const [number, kind] = fields[name]!;
    for (const x of Array.isArray(given) ? given : [given]) {
      if (kind === "int") to.tag(number, WireType.Varint).int64(BigInt(x));
      else if (kind === "float") to.tag(number, WireType.Bit32).float(x);
      else if (kind === "text") to.tag(number, WireType.LengthDelimited).string(x);
      else if (kind === "bytes") to.tag(number, WireType.LengthDelimited).bytes(x);
      else {
        to.tag(number, WireType.LengthDelimited).fork();
        write(to, kind, x);
        to.join();
      }
    }
  }
}
