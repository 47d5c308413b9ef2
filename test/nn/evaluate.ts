/** What tests of mathematics need: a function of Tensors called with numbers, and slopes that no gradient rule made. */
import { Value, value } from "../../src/ir/value.ts";
import type { BackendName } from "../../src/run/backend.ts";
import type { Traced, Values } from "../../src/run/loop.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";

/** f on Values: one step of a run without state. */
export async function evaluate<A, O>(
  f: (args: Traced<A>) => O,
  args: A,
  backend: BackendName = "js",
): Promise<Values<O>> {
  const run = await Run.start({}, { backend });
  const loop = run.loop<A, O>((_, feed) => ({ output: f(feed) }));
  const feeds = tree.map((v: Value) => new Value(v.dtype, [1, ...v.shape], v.data), args) as Values<A>;
  const { output } = await loop.take(1, feeds);
  return tree.map((v: Value) => new Value(v.dtype, v.shape.slice(1), v.data), output) as Values<O>;
}

/** A tree of tensors as a flat list of numbers, in order. */
export const numbers = (values: unknown): number[] => tree.leaves<Value>(values).flatMap((v) => [...v.data]);

/** Nested lists as an f64 Value. */
export function nested(list: unknown, dtype: "f64" | "i32" = "f64"): Value {
  const shape: number[] = [];
  for (let at = list; Array.isArray(at); at = at[0]) shape.push(at.length);
  return value(shape, [list].flat(9) as number[], dtype);
}

/** Central differences of a function of many numbers: error about h² and 1e-16 / h. */
export const slopes = (f: (x: number[]) => number, x: readonly number[], h = 1e-5): number[] =>
  x.map((at, k) => (f(x.with(k, at + h)) - f(x.with(k, at - h))) / (2 * h));

/** The largest difference, relative to what is large and absolute for what is small. NaN where a NaN is on one side only. */
export function distance(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((worst, x, k) => {
    const y = b[k]!;
    return Object.is(x, y) || x === y ? worst : Math.max(worst, Math.abs(x - y) / Math.max(1, Math.abs(y)));
  }, 0);
}

/** f64 numbers between −1 and 1 that a reader can repeat: fractions of the golden ratio. */
export const some = (n: number, from = 0): number[] =>
  Array.from({ length: n }, (_, i) => 2 * (((i + 1 + from) * 0.6180339887498949) % 1) - 1);
