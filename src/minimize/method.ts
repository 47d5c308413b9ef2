/**
 * A full-batch method goes from a point to a better one. Between two iterations all that it knows is the point, with value
 * and gradient, and its memory, a plain tree of Values; an iteration is a function of these. So a run can stop after any
 * of them, be saved, and go on with the same bits.
 */
import { DownhillError } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import type { Vector } from "./vector.ts";

/** A place, and what f is like there. */
export type Point = { readonly x: Vector; readonly value: number; readonly gradient: Vector };

/** What is asked of f. */
export interface Objective {
  /** Value and gradient. x is rounded to what f computes with: the point says where that is. */
  at(x: Vector): Promise<Point>;
  /** The value alone, where the gradient would be thrown away. */
  value(x: Vector): Promise<number>;
  /** The Hessian at x times v. */
  hessianTimes(x: Vector, v: Vector): Promise<Vector>;
  /** Relative error of one operation of f: 2⁻⁵³ in f64, 2⁻²⁴ in f32. */
  readonly roundoff: number;
}

/** What a method remembers: any tree whose leaves are Values. */
export interface Memory {
  readonly [key: string]: Value | Memory | readonly Memory[];
}

/** The next point, and the step length that led there, or why there is none. */
export type Iteration<M = Memory> =
  | { readonly point: Point; readonly length: number; readonly memory: M }
  | { readonly stuck: string };

export interface Method<M = Memory> {
  readonly kind: "method";
  /** What it is, with its numbers: `lbfgs(history 10, c1 0.0001, c2 0.9)`. */
  readonly describe: string;
  /** The memory before the first iteration over n numbers. */
  init(n: number): M;
  /** Throws a MethodError where f is finite at `from`, and nowhere along the way that the method takes. */
  iterate(f: Objective, from: Point, memory: M): Promise<Iteration<M>>;
}

/** A method that cannot go on from a point, such as where f is no number all around. What led there is kept by its caller. */
export class MethodError extends DownhillError {}

export const isMethod = (x: unknown): x is Method => (x as Partial<Method> | null | undefined)?.kind === "method";

/** One number of a memory. */
export type Scalar = Value<"f64">;
export const scalarOf = (x: number): Scalar => value([], [x], "f64");

/** A vector of a memory. */
export const vectorOf = (x: Vector): Value<"f64"> => value([x.length], x, "f64");
export const zerosOf = (n: number): Value<"f64"> => vectorOf(new Float64Array(n));
