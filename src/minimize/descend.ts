/** Any optimizer of downhill/optim on a plain function: steps inside the program, a few milliseconds of them per call. */
import { fail, shown } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { globalNorm, type Optimizer, type Schedule, trainable, update, valueAndGradFor } from "../optim/index.ts";
import type { Traced } from "../run/loop.ts";
import { Run } from "../run/run.ts";
import * as tree from "../tree.ts";
import { requirePositive, requireWhole } from "./domain.ts";
import type { Form, Variables } from "./form.ts";
import { brief } from "./line.ts";
import type { DescendOptions } from "./minimize.ts";
import { type Iterate, MinimizeError, type Minimum, requireFinite } from "./minimum.ts";
import { Compiled, keysOf, numberOf, type Scalar } from "./objective.ts";
import { breathing, stepsTaken } from "./search.ts";
import { norm } from "./vector.ts";

/** Milliseconds that a call of the program should last. */
const callMs = 50;

// any: x as the caller gave it, and the rule's memory, which only pass through
type State = { readonly x: any; readonly before: any; readonly opt: any };
type Feeds = { readonly step: Value; readonly lr: Value; readonly key?: Value };
type Output = { readonly value: Tensor; readonly norm: Tensor; readonly going: Tensor };

export async function descend<X, D>(
  f: Scalar<X, D>,
  form: Form<X>,
  rule: Optimizer,
  options: DescendOptions<X, D> & { readonly gradientTolerance: number },
): Promise<Minimum<X>> {
  const { steps, seed = 0, data = {} as D, gradientTolerance, onIteration, signal, backend, threads } = options;
  requireWhole("minimize", "steps", steps);
  const rate = rateOf(options.lr);
  const compiled = await Compiled.start(f, form, options);
  requireFinite(await compiled.at(form.start));
  const x = form.values(form.start);
  const run = await Run.start<State>({ x, before: x, opt: rule.init(x) }, { backend, threads });
  const loop = run.loop<Feeds, Output, D>(stepOf(f, rule, gradientTolerance), { data });

  const history: Iterate[] = [];
  const reached = (value: number, gradientNorm: number): Iterate => {
    const iteration = history.length;
    return { iteration, value, gradientNorm, length: iteration === 0 ? 0 : rate(iteration - 1) };
  };
  const feeds = (n: number): Feeds => {
    const numbers = Array.from({ length: n }, (_, k) => history.length + k);
    const scalars = (of: (k: number) => number) =>
      value([n], numbers.map(of), form.roundoff > 2 ** -53 ? "f32" : "f64");
    const key = compiled.draws && { key: keysOf(seed, history.length, n) };
    return { step: scalars((k) => k + 1), lr: scalars(rate), ...key };
  };
  /** With what the optimizer would have one take, such as an average, and f there. */
  const result = async (reason: string, { converged = false, averaged = true } = {}): Promise<Minimum<X>> => {
    const taken = history.length;
    const point = await compiled.at(form.vector(averaged ? await evaluated(run, rule) : run.state().x));
    history.push(reached(point.value, norm(point.gradient)));
    const { value, gradient, hvp } = compiled.evaluations;
    return {
      x: form.found(point.x),
      value: point.value,
      gradientNorm: norm(point.gradient),
      iterations: taken,
      evaluations: { value: value + taken, gradient: gradient + taken, hvp },
      converged,
      reason,
      history,
      method: rule.describe,
      backend: run.backend.name,
    };
  };

  let wanted = 1;
  const breathe = breathing();
  while (history.length < steps) {
    if (signal?.aborted) return result("aborted");
    const began = performance.now();
    const n = onIteration ? 1 : Math.min(wanted, steps - history.length);
    const { steps: taken, output } = await loop.take(n, feeds(n));
    if (performance.now() - began < callMs / 2) wanted *= 2;
    const at = (k: number) => reached(output.value.data[k]!, output.norm.data[k]!);
    for (let k = 0; k < taken - 1; k++) history.push(at(k));
    const last = at(taken - 1);
    if (Number.isFinite(output.going.data[taken - 1])) {
      history.push(last);
      await onIteration?.(last, () => form.found(form.vector(run.state().before)));
    } else if (last.gradientNorm <= gradientTolerance) {
      return result(`‖∇f‖ is ${brief(last.gradientNorm)}, at most the tolerance ${gradientTolerance}`, {
        converged: true,
      });
    } else {
      history.pop(); // the step that led there is undone
      const what = `f is ${last.value} and ‖∇f‖ ${last.gradientNorm} after step ${last.iteration}`;
      const message = `minimize: ${what} of ${rule.describe}, with lr ${brief(last.length)}\n  hint: the rate may be too large`;
      throw new MinimizeError(message, await result(what, { averaged: false }));
    }
    await breathe();
  }
  return result(stepsTaken(steps));
}

/**
 * A step of the rule, while f is finite and its gradient above the tolerance. Otherwise the loop of steps ends: at a point
 * that is good enough, or back at the last one with numbers.
 */
const stepOf =
  <X, D>(f: Scalar<X, D>, rule: Optimizer, tolerance: number) =>
  (s: Traced<State>, feed: Traced<Feeds>, data: Traced<D>) => {
    // A key that is not fed is not drawn from.
    const [value, gradient] = valueAndGradFor(rule, (x: Variables<X>) => numberOf(f(x, data, feed.key ?? feed.step)))(
      s.x,
    );
    const [x, opt] = update(rule, gradient, s.opt, { params: s.x, step: feed.step, lr: feed.lr });
    const norm = globalNorm(trainable(rule, s.x, gradient));
    const sound = value.mul(0).add(norm.cast(value.dtype).mul(0)).eq(0);
    const near = norm.le(tolerance);
    const going = sound.and(near.not());
    const choose = (by: Tensor, yes: unknown, no: unknown) =>
      tree.map((a: Tensor, b: Tensor) => by.where(a, b), yes, no);
    const state = {
      x: choose(going, x, choose(sound, s.x, s.before)),
      before: choose(sound, s.x, s.before),
      opt: choose(going, opt, s.opt),
    };
    const watch = going.where(norm.mul(0), Number.NaN);
    return { state, output: { value, norm, going: watch }, watch };
  };

/** What of a run is to be evaluated and kept. */
async function evaluated(run: Run<State>, rule: Optimizer): Promise<unknown> {
  if (!rule.evaluated) return run.state().x;
  const loop = run.loop((s) => ({ output: rule.evaluated!(s.x, s.opt) }));
  const { output } = await loop.take(1, {});
  return output;
}

function rateOf(lr: number | Schedule): Schedule {
  if (typeof lr === "function") {
    if (lr.following) {
      fail(
        "minimize: lr is a schedule that follows a history of losses, such as plateau, and only fit keeps one",
        "take a schedule of the steps, such as cosine({ lr: 0.1, steps: 1000 })",
      );
    }
    return (step) => {
      const rate: unknown = lr(step);
      if (typeof rate === "number" && rate >= 0 && rate < Infinity) return rate;
      return fail(`minimize: the schedule gives ${shown(rate)} for step ${step + 1}, and must give a number ≥ 0`);
    };
  }
  requirePositive("minimize", "lr", lr);
  return () => lr;
}
