/** Numbers from an integer formula, the one of scripts/golden/mlp32.py, so that PyTorch can be given the same. */
import type { Value } from "downhill";
import { value } from "downhill";

/** n numbers in [0, 1): s ← 1664525 s + 1013904223 mod 2³², u = s / 2³², from the s after the seed. */
export function uniforms(seed: number, n: number): Float64Array {
  const out = new Float64Array(n);
  let s = seed;
  for (let k = 0; k < n; k++) {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    out[k] = s / 2 ** 32;
  }
  return out;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** f32 numbers in [0, 1). */
export const noise = (seed: number, shape: readonly number[]): Value<"f32"> =>
  value(shape, uniforms(seed, sizeOf(shape)));

/** Whole numbers in 0 … below − 1. */
export const integers = (seed: number, shape: readonly number[], below: number): Value<"i32"> =>
  value(
    shape,
    uniforms(seed, sizeOf(shape)).map((u) => Math.floor(u * below)),
    "i32",
  );

/** 1 … n: the numbers of the steps. */
export const counting = (n: number): Value =>
  value(
    [n],
    Float32Array.from({ length: n }, (_, k) => k + 1),
  );
