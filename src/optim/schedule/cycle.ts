/** Rates that go up and down: once, again and again, or down a cosine and back to its start. */
import { fail } from "../../ir/fail.ts";
import { requireLr, show } from "../hyper.ts";
import {
  requireFactor,
  requireFloor,
  requireOneOf,
  requireOptions,
  requireSteps,
  type Schedule,
  wave,
} from "./schedule.ts";

/**
 * Up from lr / div to lr, then down to lr / div / finalDiv, both on cosines; `lr` is the peak. Smith & Topin 2018.
 *   torch  peak at pctStart · steps − 1, end at steps − 1 (OneCycleLR, which refuses a further step; this one holds)
 *   optax  peak at pctStart · steps, end at steps (cosine_onecycle_schedule)
 * `oneCycleMomentum` is the momentum that goes with torch's.
 */
export function oneCycle(o: OneCycle): Schedule {
  requireOptions("oneCycle", o, ["lr", "steps", "pctStart", "div", "finalDiv", "dialect"]);
  const { lr, steps, pctStart = 0.3, div = 25, finalDiv = 1e4, dialect = "torch" } = o;
  requireLr("oneCycle", lr);
  requireSteps("oneCycle", "steps", steps);
  if (!(pctStart > 0 && pctStart < 1)) fail(`oneCycle: pctStart must lie in (0, 1), got ${show(pctStart)}`);
  for (const [name, x] of Object.entries({ div, finalDiv })) {
    if (!(Number.isFinite(x) && x >= 1)) fail(`oneCycle: ${name} must be a finite number ≥ 1, got ${show(x)}`);
  }
  requireOneOf("oneCycle", "dialect", dialect, ["torch", "optax"]);
  const early = dialect === "torch" ? 1 : 0;
  const peak = dialect === "torch" ? pctStart * steps - 1 : Math.floor(pctStart * steps);
  const end = steps - early;
  if (peak <= 0) {
    fail(`oneCycle: ${steps} steps are too few: the peak would lie at step ${peak}`, "it is at pctStart · steps");
  }
  const start = lr / div;
  return (t) =>
    t < peak ? wave(start, lr, t / peak) : wave(lr, start / finalDiv, Math.min((t - peak) / (end - peak), 1));
}
export type OneCycle = {
  lr: number;
  steps: number;
  pctStart?: number;
  div?: number;
  finalDiv?: number;
  dialect?: "torch" | "optax";
};

/**
 * Cyclical rates: a line from `floor` up to lr over `up` steps and back over `down`, again and again; a quarter of lr and
 * `up` unless given. Smith 2017; the modes are those of PyTorch's CyclicLR.
 *   triangular   every cycle reaches lr
 *   triangular2  each reaches half as high above the floor as the one before
 *   exp_range    the height above the floor is multiplied by gamma at every step
 */
export function triangular(o: Triangular): Schedule {
  requireOptions("triangular", o, ["lr", "floor", "up", "down", "mode", "gamma"]);
  requireLr("triangular", o.lr);
  const { lr, floor = lr / 4, up, down = up, mode = "triangular", gamma = mode === "exp_range" ? undefined : 1 } = o;
  requireFloor("triangular", floor, lr);
  requireSteps("triangular", "up", up);
  requireSteps("triangular", "down", down);
  requireOneOf("triangular", "mode", mode, ["triangular", "triangular2", "exp_range"]);
  requireFactor("triangular", "gamma", gamma);
  if (gamma !== 1 && mode !== "exp_range") fail(`triangular: gamma ${gamma} is for mode "exp_range", got "${mode}"`);
  const length = up + down;
  return (t) => {
    const at = t % length;
    const share = at < up ? at / up : (length - at) / down;
    const height = mode === "triangular2" ? 2 ** -Math.floor(t / length) : gamma! ** t;
    return floor + (lr - floor) * share * height;
  };
}
export type Triangular = {
  lr: number;
  up: number;
  down?: number;
  floor?: number;
  mode?: "triangular" | "triangular2" | "exp_range";
  gamma?: number;
};

/**
 * Half a cosine from lr down to `floor`, and back at once: the first takes `first` steps, each further one `multiply` times
 * as many, from a peak `decay` times as high. Loshchilov & Hutter 2017, eq. 5; the falling peak is not theirs.
 */
export function warmRestarts(o: WarmRestarts): Schedule {
  requireOptions("warmRestarts", o, ["lr", "first", "multiply", "decay", "floor"]);
  const { lr, first, multiply = 1, decay = 1, floor = 0 } = o;
  requireLr("warmRestarts", lr);
  requireSteps("warmRestarts", "first", first);
  requireSteps("warmRestarts", "multiply", multiply);
  requireFactor("warmRestarts", "decay", decay);
  requireFloor("warmRestarts", floor, lr);
  return (t) => {
    let [cycle, at, length] = [0, t, first];
    if (multiply === 1) [cycle, at] = [Math.floor(t / first), t % first];
    else for (; at >= length; cycle++, length *= multiply) at -= length;
    return wave(Math.max(floor, lr * decay ** cycle), floor, at / length);
  };
}
export type WarmRestarts = { lr: number; first: number; multiply?: number; decay?: number; floor?: number };
