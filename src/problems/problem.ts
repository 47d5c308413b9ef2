/**
 * A test function for minimisers: a formula in Tensor operations with all that is known about it. The known minima make
 * it a test, the start makes results comparable.
 */
import { fail } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";

export type Minimum = { readonly at: readonly number[]; readonly value: number };

export type Problem = {
  /** Its key in `problems`. */
  readonly name: string;
  readonly title: string;
  readonly formula: string;
  /** Length of x. */
  readonly dimension: number;
  /** The same function of n numbers, where there is one; throws for an n too small. */
  readonly of?: (dimension: number) => Problem;
  /** f32[n] or f64[n] → a scalar. Throws for another shape. */
  readonly f: (x: Tensor) => Tensor;
  /** Where the literature starts. */
  readonly start: readonly number[];
  /** f(start). */
  readonly atStart: number;
  /** The lowest points of the domain, all of them. */
  readonly minima: readonly Minimum[];
  /** Others in which a descent may end, the lowest first: not all, where there are very many. */
  readonly localMinima: readonly Minimum[];
  /** [low, high] of each coordinate: the box in which it is usually plotted and searched. */
  readonly domain: readonly (readonly [low: number, high: number])[];
  /** What makes it hard. */
  readonly hard: string;
  readonly source: string;
};

/** x as its n numbers, each a scalar. */
export function coordinates(name: string, x: Tensor, n: number): Tensor[] {
  requireVector(name, x, n);
  return Array.from({ length: n }, (_, k) => x.slice(0, k, k + 1).squeeze(0));
}

export function requireVector(name: string, x: Tensor, n: number): void {
  if (x.rank !== 1 || x.shape[0] !== n || !x.isFloat)
    fail(`${name}: x must be ${n} floats, f32[${n}] or f64[${n}], got ${x}`);
}

/** Throws unless n is a whole number, at least `least`. */
export function requireDimension(name: string, n: number, least: number): void {
  if (!(Number.isInteger(n) && n >= least)) fail(`${name}: the dimension must be a whole number ≥ ${least}, got ${n}`);
}
