/** The witness of the ONNX export: onnxruntime, as it runs in browsers, here in Node with one thread. */
import * as ort from "onnxruntime-web/wasm";
import type { DType } from "../../../src/ir/dtype.ts";
import { type Value, value } from "../../../src/ir/value.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const types = { f32: "float32", f64: "float64", i32: "int32", u32: "uint32", bool: "bool" } as const;

/** What a model says about some inputs, by the names of its outputs. */
export async function infer(
  model: Uint8Array,
  inputs: Readonly<Record<string, Value>>,
): Promise<Record<string, Value>> {
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  try {
    const feeds = Object.entries(inputs).map(
      ([name, { dtype, shape, data }]) => [name, new ort.Tensor(types[dtype], data, shape)] as const,
    );
    const given = await session.run(Object.fromEntries(feeds));
    return Object.fromEntries(Object.entries(given).map(([name, t]) => [name, toValue(t)]));
  } finally {
    await session.release();
  }
}

function toValue({ type, dims, data }: ort.Tensor): Value {
  const dtype = (Object.keys(types) as DType[]).find((d) => types[d] === type);
  if (!dtype) throw new Error(`onnxruntime gave ${type}`);
  return value(dims, data as unknown as ArrayLike<number>, dtype);
}
