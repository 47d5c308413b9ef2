/**
 * Hyper-parameters: their names, their domains, and the dialects that give them their defaults. PyTorch, Optax, Keras and
 * the papers disagree on rules of the same name; a dialect is one of those, exactly.
 */
import { fail } from "../ir/fail.ts";
import type { Where } from "./combine.ts";
import type { MomentumCycle } from "./momentum-cycle.ts";

export type Dialect = "torch" | "optax" | "keras" | "paper";

/** Every hyper-parameter of every rule; the standard letters of the papers. */
export type Hyper = {
  /** Decay of the average of gradients, and of their squares (Adam and its kin). */
  b1: number;
  b2: number;
  /** Decay of the slow average of gradients, and its share in the direction (AdEMAMix); of Prodigy's estimate. */
  b3: number;
  alpha: number;
  /** Steps in which α and β₃ of AdEMAMix rise to their values. */
  warmup: number;
  /** Decay of the average of squared gradients (RMSProp, AdaDelta). */
  rho: number;
  /** Added to a root, or inside of it: the dialect says where. */
  eps: number;
  /** Added inside the root as well, as Optax' `eps_root`. */
  epsRoot: number;
  /** Part of the last step that is kept. */
  momentum: number;
  /** In place of `momentum` or `b1`: one that changes from step to step. */
  momentumCycle: MomentumCycle;
  /** 1 − the weight of a new gradient in the momentum, from the second step on. */
  dampening: number;
  /** Look ahead along the momentum. */
  nesterov: boolean;
  /** How soon NAdam's momentum rises to β₁; Infinity is at once. */
  momentumDecay: number;
  /** From how many gradients in v on RAdam divides by it. */
  threshold: number;
  /** What Rprop's step sizes are multiplied by where the slope turns, and where it keeps its sign. */
  etaMinus: number;
  etaPlus: number;
  /** Between which Rprop's step sizes stay. */
  minStep: number;
  maxStep: number;
  /** Subtract the squared mean: a variance in place of a second moment. */
  centered: boolean;
  /** lr / (1 + lrDecay · steps taken). */
  lrDecay: number;
  /** Where the sum of squares starts. */
  initialAccumulator: number;
  /** The optimizer says whether it joins the gradient (L2) or the step (decoupled). */
  weightDecay: number;
  /** LAMB clamps the weight's norm to [low, high]. */
  phi: { readonly low: number; readonly high: number };
  /** The rate that a schedule multiplies: α of AdamW's paper, whose decay does not contain it. */
  baseLr: number;
  /** LARS, whose paper calls it η: a layer's step is this part of its norm, times lr. */
  trustCoefficient: number;
  /** Adafactor: β₂ of step t is 1 − t^−decayPower. */
  decayPower: number;
  /** Adafactor: a direction whose root mean square is larger is scaled down to it. */
  clipThreshold: number;
  /** Adafactor: lr is no larger than 1 / √t. */
  relativeStep: boolean;
  /** Adafactor: lr is multiplied by the root mean square of the parameter, which counts as minScale at least. */
  scaleByParameter: boolean;
  minScale: number;
  /** Adafactor: matrices with a side below this have a second moment of their own for each element. */
  factorFrom: number;
  /** Muon: Newton–Schulz iterations. */
  nsSteps: number;
  /** Muon: a matrix's step has this root mean square, times lr; 0: that of width scaling, √max(1, outputs / inputs). */
  updateRms: number;
  /** Muon: which parameters are its own; the others are AdamW's. Left out, those of rank 2. */
  only: Where;
  /** Muon: the rate of its AdamW as a part of lr, and that AdamW's hyper-parameters. */
  auxLr: number;
  auxB1: number;
  auxB2: number;
  auxEps: number;
  auxDecay: number;
  /** Shampoo: part of its norm that is added to the diagonal of a matrix before the root is taken. */
  ridge: number;
  /** Shampoo: longer axes have a diagonal matrix. */
  maxDim: number;
  /** Shampoo: the rule that the length of the step is taken from. */
  graft: "none" | "sgd" | "adam";
  /** Schedule-free: step t weighs tʳ · (the highest lr so far)^weightLrPower in the average. */
  r: number;
  weightLrPower: number;
  /** Prodigy: the first estimate of the distance, and what estimates are multiplied by. */
  d0: number;
  dCoef: number;
  /** Prodigy: with Adam's corrections. */
  biasCorrection: boolean;
  /** Prodigy: the estimate does not depend on lr, so that a warm-up does not raise it. */
  safeguardWarmup: boolean;
};

type Domain = { readonly holds: (x: unknown) => boolean; readonly text: string };
const number = (text: string, holds: (x: number) => boolean): Domain => ({
  text,
  holds: (x) => typeof x === "number" && Number.isFinite(x) && holds(x),
});
const fraction = number("a number in [0, 1)", (x) => x >= 0 && x < 1);
const notNegative = number("a finite number ≥ 0", (x) => x >= 0);
const positive = number("a finite number > 0", (x) => x > 0);
const whole = (from: number, to = 2 ** 31) =>
  number(`a whole number from ${from} to ${to}`, (x) => Number.isInteger(x) && x >= from && x <= to);
const oneOf = (...words: string[]): Domain => ({
  text: words.map((word) => JSON.stringify(word)).join(" or "),
  holds: (x) => words.includes(x as string),
});
const flag: Domain = { text: "true or false", holds: (x) => typeof x === "boolean" };

const domains: { readonly [H in keyof Hyper]: Domain } = {
  b1: fraction,
  b2: fraction,
  b3: fraction,
  alpha: notNegative,
  warmup: positive,
  rho: fraction,
  eps: positive,
  epsRoot: notNegative,
  momentum: fraction,
  momentumCycle: {
    text: "a function of the step, such as oneCycleMomentum gives",
    holds: (x) => typeof x === "function",
  },
  dampening: fraction,
  nesterov: flag,
  momentumDecay: { text: "a number ≥ 0, or Infinity", holds: (x) => typeof x === "number" && x >= 0 },
  threshold: number("a finite number ≥ 4", (x) => x >= 4),
  etaMinus: number("a number in (0, 1)", (x) => x > 0 && x < 1),
  etaPlus: number("a finite number > 1", (x) => x > 1),
  minStep: notNegative,
  maxStep: positive,
  centered: flag,
  lrDecay: notNegative,
  initialAccumulator: notNegative,
  weightDecay: notNegative,
  phi: {
    text: "{ low, high } with 0 ≤ low ≤ high and high > 0",
    holds: (x) => {
      const { low, high } = (x ?? {}) as Partial<Hyper["phi"]>;
      return typeof low === "number" && typeof high === "number" && low >= 0 && low <= high && high > 0;
    },
  },
  baseLr: positive,
  trustCoefficient: positive,
  decayPower: notNegative,
  clipThreshold: number("a finite number ≥ 1", (x) => x >= 1),
  relativeStep: flag,
  scaleByParameter: flag,
  minScale: notNegative,
  factorFrom: whole(1),
  nsSteps: whole(1, 99),
  updateRms: notNegative,
  only: { text: "a function of path and parameter, such as matrices", holds: (x) => typeof x === "function" },
  auxLr: positive,
  auxB1: fraction,
  auxB2: fraction,
  auxEps: positive,
  auxDecay: notNegative,
  ridge: number("a number in (0, 1)", (x) => x > 0 && x < 1),
  maxDim: whole(1),
  graft: oneOf("none", "sgd", "adam"),
  r: notNegative,
  weightLrPower: notNegative,
  d0: positive,
  dCoef: positive,
  biasCorrection: flag,
  safeguardWarmup: flag,
};

/** `a number in [0, 1)`. */
export const domainOf = (name: keyof Hyper): string => domains[name].text;

/** Throws unless `x` lies in the domain of that hyper-parameter. */
export function requireHyper(rule: string, name: keyof Hyper, x: unknown): void {
  const { holds, text } = domains[name];
  if (!holds(x)) fail(`${rule}: ${name} must be ${text}, got ${show(x)}`);
}

/** Throws unless the learning rate is a finite number above 0. */
export function requireLr(what: string, lr: unknown): void {
  if (!positive.holds(lr)) fail(`${what}: lr must be ${positive.text}, got ${show(lr)}`);
}

export const show = (x: unknown): string =>
  typeof x === "object" || typeof x === "string"
    ? JSON.stringify(x)
    : typeof x === "function"
      ? "a function"
      : String(x);

/** What every named optimizer takes besides its own hyper-parameters. */
export type Common = {
  readonly dialect?: Dialect;
  /** Which parameters decay; left out, all of them. */
  readonly decayOnly?: Where;
};

/** The values in force, for a rule to read. */
export type Chosen<H> = H & { readonly dialect: Dialect; readonly decayOnly?: Where };
