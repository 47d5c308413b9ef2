/**
 * Rules around a rule that average the weights along the way. The average has less of the noise of single steps in it,
 * so it is what is evaluated and kept (`evaluated`), while training goes on from the weights themselves. How much a
 * step's weights count is a function of the step alone, so an average is right at every moment and nothing is counted.
 */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import { asOne, scalar, type Tensor } from "../ir/tensor.ts";
import { map } from "../tree.ts";
import { requireUnfrozen } from "./combine.ts";
import { show } from "./hyper.ts";
import { unbias } from "./parts.ts";
import { type Optimizer, requireTransform, type State, type TracedState } from "./transform.ts";

export type LookaheadOptions = {
  /** Of the rule, to each one of the slow weights; 5 unless given. */
  readonly steps?: number;
  /** How far the slow weights go to the fast ones; 0.5 unless given. */
  readonly alpha?: number;
};

/**
 * Slow weights φ that follow the rule's own, θ, and call them back: every k steps φ ← φ + α (θ − φ), θ ← φ.
 * Zhang et al. 2019, algorithm 1. Evaluated are the slow weights. The rule keeps its state over the call back.
 */
export function lookahead(rule: Optimizer, options: LookaheadOptions = {}): Optimizer {
  requireWithin("lookahead", rule);
  checkOptions("lookahead", options, ["steps", "alpha"]);
  const { steps = 5, alpha = 0.5 } = options;
  requireWhole("lookahead", "steps", steps);
  if (!(typeof alpha === "number" && alpha > 0 && alpha <= 1)) {
    fail(`lookahead: alpha must be a number in (0, 1], got ${show(alpha)}`);
  }
  return {
    ...climbing(rule),
    gives: "move",
    describe: `lookahead(${rule.describe}; steps ${steps}, alpha ${alpha})`,
    evaluated: <P>(_: P, { slow }: TracedState) => slow as P,
    init: (params) => ({ rule: rule.init(params), slow: params as State }),
    update(direction, state, context) {
      const { params, step } = context;
      const [move, next] = moved(rule, direction, state.rule as TracedState, context);
      const met = multiple(step, steps).on;
      const slow = map(
        (p: Tensor, d: Tensor, s: Tensor) => asOne(() => met.where(s.add(p.sub(d).sub(s).mul(alpha)), s)),
        params,
        move,
        state.slow,
      );
      const back = map((p: Tensor, d: Tensor, s: Tensor) => met.where(p.sub(s), d), params, move, slow);
      return [back, { rule: next, slow }];
    },
  };
}

export type EmaOptions = {
  /** Of the average so far that is kept; 0.999 unless given. */
  readonly decay?: number;
  /** Without the first weights' overweight: divided by 1 − decayⁿ. True unless given; false is PyTorch's. */
  readonly debias?: boolean;
  /** Steps from one average to the next; 1 unless given. */
  readonly every?: number;
};

/**
 * The exponential average of the weights, which is evaluated: a ← β a + (1 − β) θ, divided by 1 − βⁿ after n of them.
 * Without `debias` the first is copied, as in PyTorch's AveragedModel. Polyak & Juditsky 1992; the exponential form:
 * Tarvainen & Valpola 2017. Before step `every` the weights themselves are evaluated.
 */
export function ema(rule: Optimizer, options: EmaOptions = {}): Optimizer {
  checkOptions("ema", options, ["decay", "debias", "every"]);
  const { decay = 0.999, debias = true, every = 1 } = options;
  if (!(typeof decay === "number" && decay >= 0 && decay < 1)) {
    fail(`ema: decay must be a number in [0, 1), got ${show(decay)}`, "it is the part of the average that is kept");
  }
  requireWhole("ema", "every", every);
  if (typeof debias !== "boolean") fail(`ema: debias must be true or false, got ${show(debias)}`);
  const share = (n: Tensor) =>
    debias ? unbias(decay, n).mul(1 - decay) : n.le(1).where(scalar(1, n.dtype), scalar(1 - decay, n.dtype));
  const settings = `decay ${decay}${debias ? "" : ", not debiased"}${every > 1 ? `, every ${every}` : ""}`;
  return averaging("ema", rule, settings, { from: every, every }, share);
}

export type SwaOptions = {
  /** The first step whose weights are in the average; 1 unless given. */
  readonly from?: number;
  /** Steps from one to the next; 1 unless given. */
  readonly every?: number;
};

/**
 * The mean of the weights after step `from` and each `every` steps later, which is evaluated; before, the weights
 * themselves. Polyak & Juditsky 1992, over all steps; Izmailov et al. 2018, algorithm 1: over the last quarter of a
 * training, once per epoch, at a high rate.
 */
export function swa(rule: Optimizer, options: SwaOptions = {}): Optimizer {
  checkOptions("swa", options, ["from", "every"]);
  const { from = 1, every = 1 } = options;
  requireWhole("swa", "from", from);
  requireWhole("swa", "every", every);
  const settings = `from ${from}${every > 1 ? `, every ${every}` : ""}`;
  return averaging("swa", rule, settings, { from, every }, (n) => scalar(1, n.dtype).div(n));
}

/** The rule with a ← a + share(n) · (θ − a) at its n-th average, and a = θ before the first. */
function averaging(
  name: string,
  rule: Optimizer,
  settings: string,
  { from, every }: { readonly from: number; readonly every: number },
  share: (n: Tensor) => Tensor,
): Optimizer {
  requireWithin(name, rule);
  return {
    ...climbing(rule),
    gives: "move",
    describe: `${name}(${rule.describe}; ${settings})`,
    evaluated: <P>(_: P, { average }: TracedState) => average as P,
    init: (params) => ({ rule: rule.init(params), average: params as State }),
    update(direction, state, context) {
      const { params, step } = context;
      const [move, next] = moved(rule, direction, state.rule as TracedState, context);
      const { n, on } = multiple(step.sub(from - every), every);
      const none = scalar(0, step.dtype);
      const weight = n.lt(1).where(scalar(1, step.dtype), on.where(share(n.max(1)), none));
      const average = map(
        (p: Tensor, d: Tensor, a: Tensor) =>
          asOne(() => {
            const w = weight.cast(p.dtype);
            return a.mul(scalar(1, p.dtype).sub(w)).add(p.sub(d).mul(w)); // at weight 1 exactly the new p
          }),
        params,
        move,
        state.average,
      );
      return [move, { rule: next, average }];
    },
  };
}

/** What a rule moves, with lr in it: the parameters after the step are p − move. */
export function moved<P>(
  rule: Optimizer,
  direction: P,
  state: TracedState,
  context: Parameters<typeof rule.update<P>>[2],
): [P, TracedState] {
  const [u, next] = rule.update(direction, state, context);
  if (rule.gives !== "direction") return [u, next];
  return [map((d: Tensor) => d.mul(context.lr.cast(d.dtype)), u), next];
}

/** ⌊t / every⌋, and whether t is a multiple: exact in f32 up to 2²⁴ steps. */
function multiple(t: Tensor, every: number): { readonly n: Tensor; readonly on: Tensor } {
  const n = t.add(0.5).div(every).floor();
  return { n, on: n.mul(every).eq(t) };
}

/** Where the gradient is taken is the inner rule's affair. */
export const climbing = ({ climb }: Optimizer): Pick<Optimizer, "climb"> =>
  climb ? { climb: (gradients, params) => climb(gradients, params) } : {};

/** Throws where the rule within is none, is frozen in parts, or says itself what is evaluated. */
function requireWithin(what: string, rule: Optimizer): void {
  requireTransform(what, rule);
  requireUnfrozen(what, rule);
  if (rule.evaluated) {
    fail(`${what}: ${rule.describe} says already what is evaluated`, "leave one of them out");
  }
}

function requireWhole(what: string, name: string, n: unknown): void {
  if (!(typeof n === "number" && Number.isInteger(n) && n >= 1)) {
    fail(`${what}: ${name} must be a whole number ≥ 1, got ${show(n)}`);
  }
}
