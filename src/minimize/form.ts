/** What f is minimised over: a tree of Values or, in short, of numbers; and the one long vector that methods see of it. */

import { dtypes } from "../ir/dtype.ts";
import { fail, shown } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { Value, value } from "../ir/value.ts";
import * as tree from "../tree.ts";
import type { Vector } from "./vector.ts";

/** A Value, a number, which is an f64[], a row of numbers, which is an f64[n], or a tree of these. */
export type Start = number | Value | readonly Start[] | { readonly [key: string]: Start };

/** The same in tensors, for f. */
export type Variables<X> = X extends number | Value | readonly number[] ? Tensor : { [K in keyof X]: Variables<X[K]> };

/** The same again, in what it was given as. */
export type Found<X> = X extends number
  ? number
  : X extends Value
    ? Value
    : X extends readonly number[]
      ? number[]
      : { [K in keyof X]: Found<X[K]> };

class Leaf {
  readonly value: Value;
  readonly at: number;
  readonly back: (v: Value) => unknown;
  constructor(value: Value, at: number, back: (v: Value) => unknown) {
    this.value = value;
    this.at = at;
    this.back = back;
  }
}

export class Form<X> {
  readonly start: Vector;
  /** Relative rounding of the coarsest of its numbers. */
  readonly roundoff: number;
  private readonly leaves: readonly Leaf[];
  private readonly skeleton: unknown;

  /** Throws where there is anything but floats in x0, where one is not finite, and where there is none. */
  constructor(x0: X) {
    let n = 0;
    const leaf = (v: Value, back: (v: Value) => unknown) => {
      n += v.data.length;
      return new Leaf(v, n - v.data.length, back);
    };
    const walk = (path: string, x: unknown): unknown => {
      const place = path || "x0";
      if (typeof x === "number") return leaf(value([], [x], "f64"), (v) => v.data[0]);
      if (isRow(x)) return leaf(value([x.length], x, "f64"), (v) => Array.from(v.data));
      if (x instanceof Value) {
        if (x.dtype === "f64" || x.dtype === "f32") return leaf(x, (v) => v);
        return fail(
          `minimize: ${place} is ${x}; only floats can be minimised over`,
          "what stays as it is goes into data",
        );
      }
      if (Array.isArray(x)) return x.map((y, k) => walk(path ? `${path}.${k}` : `x0.${k}`, y));
      if (tree.isBranch(x)) {
        const below = (key: string) => (path ? `${path}.${key}` : `x0.${key}`);
        return Object.fromEntries(Object.entries(x).map(([key, y]) => [key, walk(below(key), y)]));
      }
      return fail(
        `minimize: ${place} must be a number, a row of numbers, a Value or a tree of them, got ${shown(x)}`,
        "minimize(f, [-1.2, 1], lbfgs())",
      );
    };
    this.skeleton = walk("", x0);
    this.leaves = tree.leaves<Leaf>(this.skeleton);
    if (n === 0) fail("minimize: x0 holds no numbers, so there is nothing to find", "minimize(f, [-1.2, 1], lbfgs())");
    this.roundoff = this.leaves.some(({ value }) => value.dtype === "f32") ? 2 ** -24 : 2 ** -53;
    this.start = new Float64Array(n);
    for (const [path, { value, at }] of tree.paths<Leaf>(this.skeleton)) {
      const bad = value.data.findIndex((x) => !Number.isFinite(x));
      if (bad >= 0) fail(`minimize: x0${path && `.${path}`} holds ${value.data[bad]} at position ${bad}`);
      this.start.set(value.data, at);
    }
  }

  /** x in the tree of x0, rounded to its dtypes; `axes` go in front of each shape, 1 element in all. */
  values(x: Vector, ...axes: 1[]): any {
    return tree.map(({ value: { dtype, shape, data }, at }: Leaf) => {
      const part = new dtypes[dtype].array(data.length);
      part.set(x.subarray(at, at + data.length));
      return new Value(dtype, [...axes, ...shape], part);
    }, this.skeleton);
  }

  /** The same, numbers where x0 had numbers. */
  found(x: Vector): Found<X> {
    return tree.map((leaf: Leaf, v: Value) => leaf.back(v), this.skeleton, this.values(x));
  }

  /** The numbers of a tree like x0, in a row. */
  vector(values: unknown): Vector {
    const out = new Float64Array(this.start.length);
    tree.leaves<Value>(values).forEach((v, k) => out.set(v.data, this.leaves[k]!.at));
    return out;
  }
}

const isRow = (x: unknown): x is number[] => Array.isArray(x) && x.length > 0 && x.every((y) => typeof y === "number");
