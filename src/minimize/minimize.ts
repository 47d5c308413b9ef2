/** From a start to a minimum of any function of tensors, by a method of this folder or an optimizer of downhill/optim. */
import { fail, shown } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import type { Optimizer, Schedule } from "../optim/index.ts";
import type { RunOptions } from "../run/run.ts";
import { descend } from "./descend.ts";
import { requireNotNegative } from "./domain.ts";
import { Form, type Found, type Start } from "./form.ts";
import { isMethod, type Method } from "./method.ts";
import type { Iterate, Minimum } from "./minimum.ts";
import { Compiled, type Scalar } from "./objective.ts";
import { search } from "./search.ts";

type Common<X, D> = RunOptions & {
  /** Values that f gets as its second argument: copied once to where the program is. */
  readonly data?: D;
  /** Converged where ‖∇f‖ is no larger; unless given 1e-6, and 1e-3 where x0 has an f32. */
  readonly gradientTolerance?: number;
  /** After each iteration; `x` makes the point as x0 was given. What it returns is awaited. */
  readonly onIteration?: (now: Iterate, x: () => Found<X>) => unknown;
  /** Ends the search; the result is the best it had. */
  readonly signal?: AbortSignal;
};

/** Of a method such as `lbfgs()`. */
export type MinimizeOptions<X, D> = Common<X, D> & {
  /** Converged where an iteration changes f by no more than this part of max(1, |f|); 0, which is never, unless given. */
  readonly valueTolerance?: number;
  /** 1000 unless given. */
  readonly maxIterations?: number;
  /** Of value, gradient and Hessian-vector product together; no limit unless given. */
  readonly maxEvaluations?: number;
};

/** Of an optimizer such as `adam()`. */
export type DescendOptions<X, D> = Common<X, D> & {
  /** A rate, or a function of the steps done before. */
  readonly lr: number | Schedule;
  readonly steps: number;
  /** Of the keys that f draws from; 0 unless given. */
  readonly seed?: number;
};

/**
 * A local minimum of f near x0.
 *
 *   const valley = (p: Tensor) => …;                       // f64[2] → f64[]
 *   const { x, value } = await minimize(valley, [-1.2, 1], lbfgs());
 *
 * x0 is a number, a row of numbers (both computed in f64), a Value, or a tree of them; x comes back in the same form.
 * With a method f must give one value per point; with an optimizer it may draw from its key.
 *
 * Throws a DownhillError where options are unusable, f does not give one float or is not finite at x0, or a method is
 * given an f that draws; a MinimizeError, which has the result so far, where f is not finite wherever the way goes on.
 */
export function minimize<X extends Start, D = Record<string, never>>(
  f: Scalar<X, D>,
  x0: X,
  method: Method,
  options?: MinimizeOptions<X, D>,
): Promise<Minimum<X>>;
export function minimize<X extends Start, D = Record<string, never>>(
  f: Scalar<X, D>,
  x0: X,
  optimizer: Optimizer,
  options: DescendOptions<X, D>,
): Promise<Minimum<X>>;
export async function minimize<X extends Start, D>(
  f: Scalar<X, D>,
  x0: X,
  method: Method | Optimizer,
  options: MinimizeOptions<X, D> | DescendOptions<X, D> = {},
): Promise<Minimum<X>> {
  if (typeof f !== "function") fail(`minimize: expected a function of Tensors, got ${shown(f)}`, call);
  const form = new Form(x0);
  const { gradientTolerance = form.roundoff > 2 ** -53 ? 1e-3 : 1e-6, onIteration } = options;
  if (onIteration !== undefined && typeof onIteration !== "function") {
    fail(`minimize: onIteration: expected a function, got ${shown(onIteration)}`, "({ iteration, value }) => …");
  }
  requireNotNegative("minimize", "gradientTolerance", gradientTolerance);
  if (isMethod(method)) {
    checkOptions("minimize", options as MinimizeOptions<X, D>, [
      ...common,
      "valueTolerance",
      "maxIterations",
      "maxEvaluations",
    ]);
    return search(await Compiled.start(f, form, options), form, method, { ...options, gradientTolerance });
  }
  if (typeof (method as Partial<Optimizer> | undefined)?.update !== "function") {
    const hint = typeof method === "function" ? `call it: ${(method as { name: string }).name}()` : call;
    fail(`minimize: expected a method such as lbfgs(), or an optimizer such as adam(), got ${shown(method)}`, hint);
  }
  checkOptions("minimize", options as DescendOptions<X, D>, [...common, "lr", "steps", "seed"]);
  return descend(f, form, method, { ...(options as DescendOptions<X, D>), gradientTolerance });
}

const call = "minimize((x) => x.square().sum(), [3, 4], lbfgs())";
const common = ["data", "gradientTolerance", "onIteration", "signal", "backend", "threads"] as const;
