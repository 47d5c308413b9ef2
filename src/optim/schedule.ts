/**
 * Schedules: the learning rate as a function of the step, evaluated on the host and fed as a scalar, so changing one
 * recompiles nothing and resuming needs the step alone. `step` is the number of steps taken before: 0 for the first
 * one, whose number in `update` is 1. After its end a schedule stays where it is.
 */
import { fail } from "../ir/fail.ts";
import { requireLr, show } from "./hyper.ts";

export type Schedule = (step: number) => number;

/** lr for ever. */
export function constant(lr: number): Schedule {
  requireLr("constant", lr);
  return () => lr;
}

/**
 * Half a cosine period from lr down to `floor` over `steps`: floor + (lr − floor) (1 + cos(π t / steps)) / 2.
 * Loshchilov & Hutter 2017, eq. 5, one cycle. PyTorch's CosineAnnealingLR goes up again after `steps`: `after: "climb"`.
 */
export function cosine({ lr, steps, floor = 0, after = "hold" }: Cosine): Schedule {
  requireLr("cosine", lr);
  requireSteps("cosine", "steps", steps);
  requireFloor("cosine", "floor", floor);
  requireAfter("cosine", after);
  return (t) => {
    const done = after === "hold" ? Math.min(t / steps, 1) : t / steps;
    return floor + (lr - floor) * 0.5 * (1 + Math.cos(Math.PI * done));
  };
}
export type After = "hold" | "climb";
export type Cosine = { lr: number; steps: number; floor?: number; after?: After };

function requireSteps(what: string, name: string, n: unknown, least = 1): asserts n is number {
  if (!Number.isInteger(n) || (n as number) < least) {
    fail(`${what}: ${name} must be a whole number ≥ ${least}, got ${show(n)}`);
  }
}

/** A rate that may be 0. */
function requireFloor(what: string, name: string, x: unknown): void {
  if (!(typeof x === "number" && Number.isFinite(x) && x >= 0)) {
    fail(`${what}: ${name} must be a finite number ≥ 0, got ${show(x)}`);
  }
}

function requireAfter(what: string, after: unknown): void {
  if (after !== "hold" && after !== "climb") fail(`${what}: after must be "hold" or "climb", got ${show(after)}`);
}
