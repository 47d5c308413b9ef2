/** Numbers that a reader can repeat, and how far two lists of them are apart. */
import { type DType, dtypes } from "../../src/ir/dtype.ts";
import { type Shape, size } from "../../src/ir/shape.ts";
import { type Value, value } from "../../src/ir/value.ts";

/** n numbers in [lo, hi): fractions of the golden ratio. */
export const some = (n: number, lo = -1, hi = 1, from = 0): number[] =>
  Array.from({ length: n }, (_, k) => lo + (hi - lo) * (((k + 1 + from) * 0.6180339887498949) % 1));

/** A Value of such numbers; whole ones for integers. */
export const draw = (shape: Shape, dtype: DType, lo = -1, hi = 1, from = 0): Value =>
  value(
    shape,
    some(size(shape), lo, hi, from).map((x) =>
      dtypes[dtype].float ? x : dtype === "bool" ? +(x > (lo + hi) / 2) : Math.floor(x),
    ),
    dtype,
  );

/**
 * The largest |a − b| / (1 + |b|), or over `scale` where the size of the terms is known. Equal infinities and NaN
 * against NaN are no distance; anything else against them is infinitely far.
 */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>, scale?: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (let k = 0; k < a.length; k++) {
    const [x, y] = [a[k]!, b[k]!];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    const far = Math.abs(x - y) / (scale ? scale[k]! : 1 + Math.abs(y));
    worst = Number.isFinite(far) ? Math.max(worst, far) : Infinity;
  }
  return worst;
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((s, x, k) => s + x * b[k]!, 0);
