/** Rates that rise first: a warm-up, alone or before what follows it, and schedules put one after the other. */
import { fail, shown } from "../../ir/fail.ts";
import { requireLr } from "../hyper.ts";
import { type Cosine, cosine } from "./decay.ts";
import {
  type Measured,
  requireFloor,
  requireOneOf,
  requireOptions,
  requireRate,
  requireSchedule,
  requireSteps,
  type Schedule,
  wave,
} from "./schedule.ts";

/** A straight line to lr over `steps`: the warm-up. PyTorch's LinearLR starts at lr / 3: `from: lr / 3`. */
export function linear(o: { lr: number; steps: number; from?: number }): Schedule {
  requireOptions("linear", o, ["lr", "steps", "from"]);
  const { lr, steps, from = 0 } = o;
  requireLr("linear", lr);
  requireSteps("linear", "steps", steps);
  requireRate("linear", "from", from);
  return (t) => from + (lr - from) * Math.min(t / steps, 1);
}

/** Rise from `from` to lr over `warmup` steps, then a cosine down to `floor` at step `steps`. Goyal et al. 2017; Optax. */
export function warmupCosine(o: WarmupCosine): Schedule {
  requireOptions("warmupCosine", o, ["lr", "warmup", "steps", "from", "floor", "after"]);
  const { lr, warmup, steps, from = 0, floor = 0, after = "hold" } = o;
  requireSteps("warmupCosine", "warmup", warmup, 0);
  requireSteps("warmupCosine", "steps", steps);
  requireRate("warmupCosine", "from", from);
  if (warmup >= steps) fail(`warmupCosine: a warm-up of ${warmup} steps leaves nothing of ${steps} for the cosine`);
  return warmed({ lr, warmup, from }, cosine({ lr, steps: steps - warmup, floor, after }));
}
export type WarmupCosine = Cosine & { warmup: number; from?: number };

/**
 * Warm-up, stable, decay: from `from` to lr over `warmup` steps, lr for most of the run, and down to `floor` over the last
 * `cooldown` steps. As the length of the run is only known to the cool-down, a run can be made longer from before it.
 *   linear   1 − x, x the share of the cool-down that is done
 *   sqrt     1 − √x: falls early, and a little lower in the end
 *   cosine   (1 + cos(π x)) / 2
 * Hu et al. 2024 (MiniCPM), section 4; the shapes: Hägele et al. 2024, sections 3 and 4.
 */
export function wsd(o: Wsd): Schedule {
  requireOptions("wsd", o, ["lr", "steps", "warmup", "cooldown", "shape", "from", "floor"]);
  const { lr, steps, warmup, cooldown, shape = "sqrt", from = 0, floor = 0 } = o;
  requireLr("wsd", lr);
  requireSteps("wsd", "steps", steps);
  requireSteps("wsd", "warmup", warmup, 0);
  requireSteps("wsd", "cooldown", cooldown);
  requireOneOf("wsd", "shape", shape, Object.keys(cooldowns));
  requireRate("wsd", "from", from);
  requireFloor("wsd", floor, lr);
  if (warmup + cooldown > steps) {
    fail(`wsd: a warm-up of ${warmup} steps and a cool-down of ${cooldown} do not fit into ${steps}`);
  }
  const begin = steps - cooldown;
  const left = cooldowns[shape];
  const down: Schedule = (t) => floor + (lr - floor) * left(Math.min((t - begin) / cooldown, 1));
  const rest: Schedule = (t) => (t < begin ? lr : down(t));
  return warmed({ lr, warmup, from }, (t) => rest(t + warmup));
}
export type Wsd = {
  lr: number;
  steps: number;
  warmup: number;
  cooldown: number;
  shape?: keyof typeof cooldowns;
  from?: number;
  floor?: number;
};

const cooldowns = {
  linear: (x: number) => 1 - x,
  sqrt: (x: number) => 1 - Math.sqrt(x),
  cosine: (x: number) => wave(1, 0, x),
};

/**
 * lr · min(n / warmup, √(warmup / n)) for step number n = t + 1: a line up to lr, then down with the root of the step.
 * Vaswani et al. 2017, eq. 3, where the peak is d_model^−½ · warmup^−½; here it is lr.
 */
export function inverseSquareRoot(o: { lr: number; warmup: number }): Schedule {
  requireOptions("inverseSquareRoot", o, ["lr", "warmup"]);
  const { lr, warmup } = o;
  requireLr("inverseSquareRoot", lr);
  requireSteps("inverseSquareRoot", "warmup", warmup);
  return (t) => lr * Math.min((t + 1) / warmup, Math.sqrt(warmup / (t + 1)));
}

/** A warm-up of so many steps before a schedule, which then counts from 0. */
const warmed = ({ lr, warmup, from }: { lr: number; warmup: number; from: number }, schedule: Schedule): Schedule =>
  warmup === 0 ? schedule : join([{ schedule: linear({ lr, steps: warmup, from }), steps: warmup }, { schedule }]);

/**
 * One schedule after the other, each counting from 0 what is taken and measured in it; every one but the last says how
 * many steps it lasts.
 */
export function join(parts: readonly Part[]): Schedule {
  if (!Array.isArray(parts)) {
    fail(`join: expected a list of parts, got ${shown(parts)}`, "join([{ schedule, steps: 100 }, { schedule }])");
  }
  if (parts.length === 0) fail("join: there is nothing to join");
  parts.forEach((part, k) => {
    requireOptions(`join: part ${k}`, part, ["schedule", "steps"]);
    requireSchedule(`join: schedule of part ${k}`, part.schedule);
    if (k < parts.length - 1) requireSteps("join", `steps of part ${k}`, part.steps);
  });
  if (!parts.some(({ schedule }) => schedule.following)) return joined(parts);
  return Object.assign(joined(parts), {
    following(history: readonly Measured[]) {
      let from = 0;
      const known = parts.map(({ schedule, steps = 0 }) => {
        const followed = schedule.following?.(since(from, history)) ?? schedule;
        from += steps;
        return { schedule: followed, steps };
      });
      return joined(known);
    },
  });
}
export type Part = { readonly schedule: Schedule; readonly steps?: number };

function joined(parts: readonly Part[]): Schedule {
  const last = parts.at(-1)!.schedule;
  return (t) => {
    let from = 0;
    for (const { schedule, steps = 0 } of parts.slice(0, -1)) {
      if (t < from + steps) return schedule(t - from);
      from += steps;
    }
    return last(t - from);
  };
}

/** What was measured after so many steps, counted from there. */
const since = (from: number, history: readonly Measured[]): readonly Measured[] =>
  history.filter(({ step }) => step > from).map((m) => ({ ...m, step: m.step - from }));
