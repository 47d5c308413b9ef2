/**
 * Momentum that goes up and down against the rate: low where the rate is high, so that neither makes the other diverge.
 * A function of the step as a Tensor, part of the compiled step; the option `momentumCycle` of a rule takes one.
 */
import { fail } from "../ir/fail.ts";
import { asOne, type Tensor } from "../ir/tensor.ts";
import { show } from "./hyper.ts";
import { requireFactor, requireOneOf, requireOptions, requireSteps } from "./schedule/schedule.ts";

/** Momentum of a step, by its number, counted from 1. Its name is what `describe` calls it. */
export type MomentumCycle = (step: Tensor) => Tensor;

type Range = {
  /** Where the rate is lowest, and where it is highest; 0.95 and 0.85 in one cycle, 0.9 and 0.8 in many. */
  readonly high?: number;
  readonly low?: number;
};

/**
 * From `high` down to `low` while `oneCycle` with the same steps and pctStart rises to its peak, and back while it falls.
 * Smith & Topin 2018; PyTorch's OneCycleLR with cycle_momentum.
 */
export function oneCycleMomentum(o: OneCycleMomentum): MomentumCycle {
  requireOptions("oneCycleMomentum", o, ["steps", "pctStart", "high", "low"]);
  const { steps, pctStart = 0.3, high = 0.95, low = 0.85 } = o;
  requireSteps("oneCycleMomentum", "steps", steps);
  requireRange("oneCycleMomentum", high, low);
  if (!(pctStart > 0 && pctStart < 1)) fail(`oneCycleMomentum: pctStart must lie in (0, 1), got ${show(pctStart)}`);
  const [peak, end] = [pctStart * steps - 1, steps - 1];
  if (peak <= 0) fail(`oneCycleMomentum: ${steps} steps are too few: the peak would lie at step ${peak}`);
  return titled(`oneCycle(${high} to ${low}, peak at ${peak} of ${end})`, (step) => {
    const t = step.sub(1);
    const away = wave(t.div(peak)).mul(high - low); // from low
    const back = wave(
      t
        .sub(peak)
        .div(end - peak)
        .min(1),
    ).mul(low - high); // from high
    return t.lt(peak).where(away.add(low), back.add(high));
  });
}
export type OneCycleMomentum = Range & { readonly steps: number; readonly pctStart?: number };

/** From `high` down to `low` and back while `triangular` with the same options goes up and down. PyTorch's CyclicLR. */
export function triangularMomentum(o: TriangularMomentum): MomentumCycle {
  requireOptions("triangularMomentum", o, ["up", "down", "mode", "gamma", "high", "low"]);
  const { up, down = up, mode = "triangular", gamma = mode === "exp_range" ? undefined : 1, high = 0.9, low = 0.8 } = o;
  requireSteps("triangularMomentum", "up", up);
  requireSteps("triangularMomentum", "down", down);
  requireOneOf("triangularMomentum", "mode", mode, ["triangular", "triangular2", "exp_range"]);
  requireFactor("triangularMomentum", "gamma", gamma);
  requireRange("triangularMomentum", high, low);
  const length = up + down;
  const fading = mode === "exp_range" ? ` by ${gamma}` : "";
  return titled(`${mode}${fading}(${high} to ${low}, ${up} up, ${down} down)`, (step) => {
    const t = step.sub(1);
    const cycle = t.add(0.5).div(length).floor(); // half a step from where rounding could tell it wrong
    const at = t.sub(cycle.mul(length));
    const share = at.lt(up).where(at.div(up), at.neg().add(length).div(down));
    const fade = mode === "triangular2" ? cycle.mul(-Math.LN2).exp() : t.mul(Math.log(gamma!)).exp();
    return share
      .mul(fade)
      .mul(low - high)
      .add(high);
  });
}
export type TriangularMomentum = Range & {
  readonly up: number;
  readonly down?: number;
  readonly mode?: "triangular" | "triangular2" | "exp_range";
  readonly gamma?: number;
};

/** 1 at 0, 0 at 1, along half a cosine. */
const wave = (done: Tensor): Tensor => done.mul(Math.PI).cos().add(1).mul(0.5);

const titled = (name: string, cycle: MomentumCycle): MomentumCycle =>
  Object.defineProperty((step: Tensor) => asOne(() => cycle(step)), "name", { value: name });

function requireRange(what: string, high: unknown, low: unknown): void {
  for (const [name, x] of Object.entries({ high, low })) {
    if (!(typeof x === "number" && x >= 0 && x < 1))
      fail(`${what}: ${name} must be a number in [0, 1), got ${show(x)}`);
  }
  if ((low as number) > (high as number)) fail(`${what}: low must not lie above high, got ${low} and ${high}`);
}
