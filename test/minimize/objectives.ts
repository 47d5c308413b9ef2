/** Functions on the host, for what is tested without programs: line searches and single iterations. */
import type { Objective } from "../../src/minimize/index.ts";
import type { Vector } from "../../src/minimize/vector.ts";

export type Plain = {
  readonly f: (x: Vector) => number;
  readonly gradient: (x: Vector) => Vector;
  /** Where a method asks for it. */
  readonly hessianTimes?: (x: Vector, v: Vector) => Vector;
};

export const vector = (...xs: number[]): Vector => Float64Array.from(xs);

export const objective = ({ f, gradient, hessianTimes }: Plain): Objective => ({
  roundoff: 2 ** -53,
  at: async (x) => ({ x, value: f(x), gradient: gradient(x) }),
  value: async (x) => f(x),
  hessianTimes: async (x, v) => hessianTimes!(x, v),
});

/** ½ Σ λ x² */
export const bowl = (eigenvalues: readonly number[]): Plain => ({
  f: (x) => x.reduce((sum, t, k) => sum + 0.5 * eigenvalues[k]! * t * t, 0),
  gradient: (x) => x.map((t, k) => eigenvalues[k]! * t),
  hessianTimes: (_, v) => v.map((t, k) => eigenvalues[k]! * t),
});

/** A function of one number. */
export const alongOne = (
  f: (x: number) => number,
  slope: (x: number) => number,
  second = (_: number) => NaN,
): Plain => ({
  f: (x) => f(x[0]!),
  gradient: (x) => vector(slope(x[0]!)),
  hessianTimes: (x, v) => vector(second(x[0]!) * v[0]!),
});
