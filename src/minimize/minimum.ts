/** What a search gives, whatever way it went: where it ended and why, and each point on the way. */
import { DownhillError, fail } from "../ir/fail.ts";
import type { BackendName } from "../run/backend.ts";
import type { Found } from "./form.ts";
import { brief } from "./line.ts";
import type { Point } from "./method.ts";
import type { Evaluations } from "./objective.ts";

/** Where an iteration led. Of iteration 0, the start, the length is 0. */
export type Iterate = {
  readonly iteration: number;
  readonly value: number;
  /** ‖∇f‖, the Euclidean norm over all numbers of x. */
  readonly gradientNorm: number;
  /** Of the step that led here, in units of the method's direction; of an optimizer the learning rate. */
  readonly length: number;
};

export type Minimum<X> = {
  readonly x: Found<X>;
  readonly value: number;
  readonly gradientNorm: number;
  readonly iterations: number;
  /** How often f was computed, its gradient, and a product with its Hessian. */
  readonly evaluations: Evaluations;
  /** Whether a tolerance was met. */
  readonly converged: boolean;
  /** Why it ended, in a sentence. */
  readonly reason: string;
  /** The start, then every iteration. */
  readonly history: readonly Iterate[];
  /** What went this way: `lbfgs(history 10, c1 0.0001, c2 0.9)`. */
  readonly method: string;
  readonly backend: BackendName;
};

/** A search that came to where f is no number. What it had found until then is not lost. */
export class MinimizeError extends DownhillError {
  readonly result: Minimum<unknown>;
  constructor(message: string, result: Minimum<unknown>) {
    super(message);
    this.result = result;
  }
}

/** Throws where the start is no place to start from. */
export function requireFinite({ value, gradient }: Point): void {
  if (!Number.isFinite(value)) fail(`minimize: f is ${value} at x0`, "start where f is a finite number");
  const bad = gradient.findIndex((g) => !Number.isFinite(g));
  if (bad < 0) return;
  const which = gradient.length > 1 ? ` by number ${bad} of x` : "";
  fail(
    `minimize: f is ${brief(value)} at x0, and its derivative${which} is ${gradient[bad]}`,
    "start where f is smooth",
  );
}
