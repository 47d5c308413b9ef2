/** Rates that only fall: by factors, along powers, along a cosine. */
import { fail } from "../../ir/fail.ts";
import { requireLr, show } from "../hyper.ts";
import {
  requireFactor,
  requireFlag,
  requireOneOf,
  requireOptions,
  requireRate,
  requireSteps,
  type Schedule,
  wave,
} from "./schedule.ts";

/** lr for ever. */
export function constant(o: { lr: number }): Schedule {
  requireOptions("constant", o, ["lr"]);
  requireLr("constant", o.lr);
  return () => o.lr;
}

/** lr · γ^⌊t / every⌋. */
export function step(o: { lr: number; every: number; gamma?: number }): Schedule {
  requireOptions("step", o, ["lr", "every", "gamma"]);
  const { lr, every, gamma = 0.1 } = o;
  requireLr("step", lr);
  requireSteps("step", "every", every);
  requireFactor("step", "gamma", gamma);
  return (t) => lr * gamma ** Math.floor(t / every);
}

/** lr · γ^(number of milestones at or before t). */
export function multiStep(o: MultiStep): Schedule {
  requireOptions("multiStep", o, ["lr", "milestones", "gamma"]);
  const { lr, milestones, gamma = 0.1 } = o;
  requireLr("multiStep", lr);
  requireFactor("multiStep", "gamma", gamma);
  if (!Array.isArray(milestones)) fail(`multiStep: milestones must be a list of steps, got ${show(milestones)}`);
  milestones.forEach((m, k) => {
    requireSteps("multiStep", "each milestone", m);
    if (k > 0 && m <= milestones[k - 1]!) fail(`multiStep: milestones must rise, got [${milestones}]`);
  });
  return (t) => lr * gamma ** milestones.filter((m) => m <= t).length;
}
export type MultiStep = { lr: number; milestones: readonly number[]; gamma?: number };

/** lr · γ^(t / every); a `staircase` takes the whole part of t / every. */
export function exponential(o: Exponential): Schedule {
  requireOptions("exponential", o, ["lr", "gamma", "every", "staircase"]);
  const { lr, gamma, every = 1, staircase = false } = o;
  requireLr("exponential", lr);
  requireFactor("exponential", "gamma", gamma);
  requireSteps("exponential", "every", every);
  requireFlag("exponential", "staircase", staircase);
  return staircase ? step({ lr, every, gamma }) : (t) => lr * gamma ** (t / every);
}
export type Exponential = { lr: number; gamma: number; every?: number; staircase?: boolean };

/** to + (lr − to) (1 − t / steps)^power. A straight line at power 1. */
export function polynomial(o: Polynomial): Schedule {
  requireOptions("polynomial", o, ["lr", "steps", "power", "to"]);
  const { lr, steps, power = 1, to = 0 } = o;
  requireLr("polynomial", lr);
  requireSteps("polynomial", "steps", steps);
  requireRate("polynomial", "to", to);
  if (!(Number.isFinite(power) && power > 0)) fail(`polynomial: power must be a finite number > 0, got ${show(power)}`);
  return (t) => to + (lr - to) * (1 - Math.min(t / steps, 1)) ** power;
}
export type Polynomial = { lr: number; steps: number; power?: number; to?: number };

/**
 * Half a cosine period: floor + (lr − floor) (1 + cos(π t / steps)) / 2. Loshchilov & Hutter 2017, eq. 5, one cycle.
 * PyTorch's CosineAnnealingLR goes up again after `steps`: `after: "climb"`. Optax' stays down, as this does.
 */
export function cosine(o: Cosine): Schedule {
  requireOptions("cosine", o, ["lr", "steps", "floor", "after"]);
  const { lr, steps, floor = 0, after = "hold" } = o;
  requireLr("cosine", lr);
  requireSteps("cosine", "steps", steps);
  requireRate("cosine", "floor", floor);
  requireOneOf("cosine", "after", after, ["hold", "climb"]);
  return (t) => wave(lr, floor, after === "hold" ? Math.min(t / steps, 1) : t / steps);
}
export type Cosine = { lr: number; steps: number; floor?: number; after?: "hold" | "climb" };
