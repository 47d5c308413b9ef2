/** The search by a method: iteration after iteration, until a tolerance, a limit or a signal ends it. */
import { fail } from "../ir/fail.ts";
import { requireNotNegative, requireWhole } from "./domain.ts";
import type { Form } from "./form.ts";
import { brief } from "./line.ts";
import { type Method, MethodError, type Objective } from "./method.ts";
import type { MinimizeOptions } from "./minimize.ts";
import { type Iterate, MinimizeError, type Minimum, requireFinite } from "./minimum.ts";
import type { Compiled } from "./objective.ts";
import { norm } from "./vector.ts";

/** Why a search ends in the middle of an iteration, of which nothing is kept. */
export class Halt extends Error {}

export async function search<X, D>(
  f: Compiled<X, D>,
  form: Form<X>,
  method: Method,
  options: MinimizeOptions<X, D> & { readonly gradientTolerance: number },
): Promise<Minimum<X>> {
  const { gradientTolerance, valueTolerance = 0, maxIterations = 1000, maxEvaluations = Infinity } = options;
  const { signal, onIteration } = options;
  requireNotNegative("minimize", "valueTolerance", valueTolerance);
  requireWhole("minimize", "maxIterations", maxIterations);
  if (maxEvaluations !== Infinity) requireWhole("minimize", "maxEvaluations", maxEvaluations);
  if (f.draws) await refuseNoise(f, form, method);

  let point = await f.at(form.start);
  requireFinite(point);
  let memory = method.init(form.start.length);
  const history: Iterate[] = [];
  const result = (converged: boolean, reason: string): Minimum<X> => ({
    x: form.found(point.x),
    value: point.value,
    gradientNorm: norm(point.gradient),
    iterations: history.length - 1,
    evaluations: f.evaluations,
    converged,
    reason,
    history,
    method: method.describe,
    backend: f.run.backend.name,
  });
  const reached = async (length: number) => {
    const now = { iteration: history.length, value: point.value, gradientNorm: norm(point.gradient), length };
    history.push(now);
    await onIteration?.(now, () => form.found(point.x));
  };
  const asked = limited(f, maxEvaluations, signal);

  await reached(0);
  const breathe = breathing();
  for (;;) {
    const { iteration, value, gradientNorm } = history.at(-1)!;
    if (gradientNorm <= gradientTolerance) {
      return result(true, `‖∇f‖ is ${brief(gradientNorm)}, at most the tolerance ${gradientTolerance}`);
    }
    const before = history.at(-2)?.value ?? Infinity;
    if (Math.abs(value - before) <= valueTolerance * Math.max(1, Math.abs(value)) && valueTolerance > 0) {
      return result(true, `f changed by ${brief(Math.abs(value - before))}, within the tolerance ${valueTolerance}`);
    }
    if (iteration >= maxIterations) return result(false, `maxIterations reached, ${maxIterations}`);
    try {
      const next = await method.iterate(asked, point, memory);
      if ("stuck" in next) return result(false, next.stuck);
      ({ point, memory } = next);
      await reached(next.length);
    } catch (error) {
      if (error instanceof Halt) return result(false, error.message);
      if (!(error instanceof MethodError)) throw error;
      throw new MinimizeError(
        `minimize: after ${iteration} iterations of ${method.describe}: ${error.message}`,
        result(false, error.message),
      );
    }
    await breathe();
  }
}

export const stepsTaken = (n: number): string => (n === 1 ? "1 step taken" : `${n} steps taken`);

/** The objective until so many evaluations are done, or the signal comes. */
export function limited(f: Compiled<any, any>, most: number, signal: AbortSignal | undefined): Objective {
  const allowed = () => {
    if (signal?.aborted) throw new Halt("aborted");
    const { value, hvp } = f.evaluations;
    if (value + hvp >= most) throw new Halt(`maxEvaluations reached, ${most}`);
    return f;
  };
  return {
    roundoff: f.roundoff,
    at: async (x) => allowed().at(x),
    value: async (x) => allowed().value(x),
    hessianTimes: async (x, v) => allowed().hessianTimes(x, v),
  };
}

/** A method takes what changes between two evaluations for the work of its step. */
async function refuseNoise<X>(f: Compiled<X, any>, { start }: Form<X>, { describe }: Method): Promise<never> {
  const [a, b] = [await f.value(start), await f.value(start)];
  const seen = a === b ? "draws from its key" : `is noisy: at x0 it gives ${brief(a, 10)} and then ${brief(b, 10)}`;
  return fail(
    `minimize: f ${seen}; ${describe} needs one value per point`,
    'an optimizer, such as sgd() or adam() of downhill/optim, can do with noise; or fix the key: data: { key: value([2], random.key(1), "u32") }',
  );
}

/** Lets the host do what is waiting, now and then: neither a signal nor a page gets a turn otherwise. */
export function breathing(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < 50) return undefined;
    return new Promise((resolve) => {
      setTimeout(() => {
        last = performance.now();
        resolve();
      }, 0);
    });
  };
}
