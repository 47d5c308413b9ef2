/** A training in f64 of what is given in f32: parameters are widened before, examples in the program, the model narrowed. */
import type { Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { init, type Module } from "../nn/index.ts";
import * as tree from "../tree.ts";
import type { Model } from "./checkpoint.ts";
import { type Data, type Examples, examplesOf } from "./examples.ts";
import type { FitOptions } from "./fit-options.ts";

/** The values of a tree with every f32 as f64, exactly. */
export const inDouble = <T>(values: T, double: boolean): T =>
  double
    ? tree.map((v: Value) => (v.dtype === "f32" ? value(v.shape, Float64Array.from(v.data), "f64") : v), values)
    : values;

/** A model in the dtypes of what the training began with, which "f64" has widened. */
export function likeThat(model: Model, { precision, start, net, seed = 0 }: FitOptions<Module>): Model {
  if (precision !== "f64") return model;
  const { params, state } = start ?? init(net, seed);
  const narrow = (v: Value, was: Value) =>
    v.dtype === was.dtype ? v : value(v.shape, Float32Array.from(v.data), "f32");
  return tree.map(narrow, model, { params, state });
}

/** Examples that a net of f64 parameters can take, where that is the precision: cast in the program. */
export function examplesIn(data: Data, precision: FitOptions<Module>["precision"]): Examples {
  const examples = examplesOf(data);
  if (precision !== "f64") return examples;
  const double = (t: Tensor) => (t.isFloat ? t.cast("f64") : t);
  return {
    ...examples,
    batch: (resident, rows) => {
      const { x, y } = examples.batch(resident, rows);
      return { x: double(x), y: double(y) };
    },
  };
}

export const floatOf = (params: unknown): "f32" | "f64" =>
  tree.leaves<Value>(params).some((p) => p.dtype === "f64") ? "f64" : "f32";
