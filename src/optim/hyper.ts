/**
 * Hyper-parameters: their names, their domains, and the dialects that give them their defaults. PyTorch, Optax, Keras and
 * the papers disagree on rules of the same name; a dialect is one of those, exactly.
 */
import { fail } from "../ir/fail.ts";
import type { Where } from "./combine.ts";

export type Dialect = "torch" | "optax" | "keras" | "paper";

/** Every hyper-parameter of every rule; the standard letters of the papers. */
export type Hyper = {
  /** Decay of the average of gradients, and of their squares (Adam and its kin). */
  b1: number;
  b2: number;
  /** Decay of the average of squared gradients (RMSProp). */
  rho: number;
  /** Added to a root, or inside of it: the dialect says where. */
  eps: number;
  /** Added inside the root as well, as Optax' `eps_root`. */
  epsRoot: number;
  /** Part of the last step that is kept. */
  momentum: number;
  /** 1 − the weight of a new gradient in the momentum, from the second step on. */
  dampening: number;
  /** Look ahead along the momentum. */
  nesterov: boolean;
  /** Subtract the squared mean: a variance in place of a second moment. */
  centered: boolean;
  /** lr / (1 + lrDecay · steps taken). */
  lrDecay: number;
  /** Where the sum of squares starts. */
  initialAccumulator: number;
  /** λ: the optimizer says whether it joins the gradient (L2) or the step (decoupled). */
  weightDecay: number;
  /** φ of LAMB clamps the weight's norm to [low, high]. */
  phi: { readonly low: number; readonly high: number };
  /** The rate that a schedule multiplies: α of AdamW's paper, whose decay does not contain it. */
  baseLr: number;
};

type Domain = { readonly holds: (x: unknown) => boolean; readonly text: string };
const number = (text: string, holds: (x: number) => boolean): Domain => ({
  text,
  holds: (x) => typeof x === "number" && Number.isFinite(x) && holds(x),
});
const fraction = number("a number in [0, 1)", (x) => x >= 0 && x < 1);
const notNegative = number("a finite number ≥ 0", (x) => x >= 0);
const positive = number("a finite number > 0", (x) => x > 0);
const flag: Domain = { text: "true or false", holds: (x) => typeof x === "boolean" };

const domains: { readonly [H in keyof Hyper]: Domain } = {
  b1: fraction,
  b2: fraction,
  rho: fraction,
  eps: positive,
  epsRoot: notNegative,
  momentum: fraction,
  dampening: fraction,
  nesterov: flag,
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
};

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
