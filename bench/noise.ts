/** Numbers from an integer formula, the one of scripts/golden/mlp32.py, so that PyTorch can be given the same. */
import type { Value } from "downhill";
import { value } from "downhill";

/** Puts n = out.length numbers of(u), u in [0, 1): s ← 1664525 s + 1013904223 mod 2³², u = s / 2³², s after the seed. */
function filled<A extends Float64Array | Float32Array | Int32Array>(out: A, seed: number, of = (u: number) => u): A {
  let s = seed;
  for (let k = 0; k < out.length; k++) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    out[k] = of(s / 2 ** 32);
  }
  return out;
}

/** n numbers in [0, 1). */
export const uniforms = (seed: number, n: number): Float64Array => filled(new Float64Array(n), seed);

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** f32 numbers in [0, 1). */
export const noise = (seed: number, shape: readonly number[]): Value<"f32"> =>
  value(shape, filled(new Float32Array(sizeOf(shape)), seed));

/** Whole numbers in 0 … below − 1. */
export const integers = (seed: number, shape: readonly number[], below: number): Value<"i32"> =>
  value(
    shape,
    filled(new Int32Array(sizeOf(shape)), seed, (u) => Math.floor(u * below)),
    "i32",
  );

/** 1 … n: the numbers of the steps. */
export const counting = (n: number): Value =>
  value(
    [n],
    Float32Array.from({ length: n }, (_, k) => k + 1),
  );
