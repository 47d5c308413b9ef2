/**
 * Schedules: the learning rate as a function of the step, evaluated on the host and fed as a scalar, so changing one
 * recompiles nothing and resuming needs the step alone. The argument is the number of steps taken before: 0 for the
 * first step, whose number in `update` is 1. After its end a schedule stays where it is, unless it says otherwise.
 */
import { fail } from "../ir/fail.ts";
import { requireLr, show } from "./hyper.ts";

export type Schedule = (step: number) => number;

/** lr for ever. */
export function constant({ lr }: { lr: number }): Schedule {
  requireLr("constant", lr);
  return () => lr;
}

/** lr · γ^⌊t / every⌋. */
export function step({ lr, every, gamma = 0.1 }: { lr: number; every: number; gamma?: number }): Schedule {
  return exponential({ lr, every, gamma, staircase: true }, "step");
}

/** lr · γ^(number of milestones at or before t). */
export function multiStep({ lr, milestones, gamma = 0.1 }: MultiStep): Schedule {
  requireLr("multiStep", lr);
  requireFactor("multiStep", gamma);
  milestones.forEach((m, k) => {
    requireSteps("multiStep", "each milestone", m);
    if (k > 0 && m <= milestones[k - 1]!) fail(`multiStep: milestones must rise, got [${milestones}]`);
  });
  return (t) => lr * gamma ** milestones.filter((m) => m <= t).length;
}
export type MultiStep = { lr: number; milestones: readonly number[]; gamma?: number };

/** lr · γ^(t / every); a `staircase` takes the whole part of t / every. */
export function exponential({ lr, gamma, every = 1, staircase = false }: Exponential, name = "exponential"): Schedule {
  requireLr(name, lr);
  requireFactor(name, gamma);
  requireSteps(name, "every", every);
  return (t) => lr * gamma ** (staircase ? Math.floor(t / every) : t / every);
}
export type Exponential = { lr: number; gamma: number; every?: number; staircase?: boolean };

/** to + (lr − to) (1 − t / steps)^power. A straight line at power 1. */
export function polynomial({ lr, steps, power = 1, to = 0 }: Polynomial): Schedule {
  requireLr("polynomial", lr);
  requireSteps("polynomial", "steps", steps);
  requireRate("polynomial", "to", to);
  if (!(Number.isFinite(power) && power > 0)) fail(`polynomial: power must be a finite number > 0, got ${show(power)}`);
  return (t) => to + (lr - to) * (1 - Math.min(t / steps, 1)) ** power;
}
export type Polynomial = { lr: number; steps: number; power?: number; to?: number };

/** A straight line to lr over `steps`: the warm-up. PyTorch's LinearLR starts at lr / 3: `from: lr / 3`. */
export function linear({ lr, steps, from = 0 }: { lr: number; steps: number; from?: number }): Schedule {
  requireLr("linear", lr);
  requireSteps("linear", "steps", steps);
  requireRate("linear", "from", from);
  return (t) => from + (lr - from) * Math.min(t / steps, 1);
}

/**
 * Half a cosine period: floor + (lr − floor) (1 + cos(π t / steps)) / 2. Loshchilov & Hutter 2017, eq. 5, one cycle.
 * PyTorch's CosineAnnealingLR goes up again after `steps`: `after: "climb"`. Optax' stays down, as this does.
 */
export function cosine({ lr, steps, floor = 0, after = "hold" }: Cosine): Schedule {
  requireLr("cosine", lr);
  requireSteps("cosine", "steps", steps);
  requireRate("cosine", "floor", floor);
  if (after !== "hold" && after !== "climb") fail(`cosine: after must be "hold" or "climb", got ${show(after)}`);
  return (t) => wave(lr, floor, after === "hold" ? Math.min(t / steps, 1) : t / steps);
}
export type Cosine = { lr: number; steps: number; floor?: number; after?: "hold" | "climb" };

/** Rise from `from` to lr over `warmup` steps, then a cosine down to `floor` at step `steps`. Goyal et al. 2017; Optax. */
export function warmupCosine({ lr, warmup, steps, from = 0, floor = 0, after = "hold" }: WarmupCosine): Schedule {
  requireSteps("warmupCosine", "warmup", warmup, 0);
  requireSteps("warmupCosine", "steps", steps);
  if (warmup >= steps) fail(`warmupCosine: a warm-up of ${warmup} steps leaves nothing of ${steps} for the cosine`);
  const down = cosine({ lr, steps: steps - warmup, floor, after });
  return warmup === 0
    ? down
    : join([{ schedule: linear({ lr, steps: warmup, from }), steps: warmup }, { schedule: down }]);
}
export type WarmupCosine = Cosine & { warmup: number; from?: number };

/**
 * Up from lr / div to lr, then down to lr / div / finalDiv, both on cosines; `lr` is the peak. Smith & Topin 2018.
 *   torch  peak at pctStart · steps − 1, end at steps − 1 (OneCycleLR, which refuses a further step; this one holds)
 *   optax  peak at pctStart · steps, end at steps (cosine_onecycle_schedule)
 * Momentum is not cycled.
 */
export function oneCycle(o: OneCycle): Schedule {
  const { lr, steps, pctStart = 0.3, div = 25, finalDiv = 1e4, dialect = "torch" } = o;
  requireLr("oneCycle", lr);
  requireSteps("oneCycle", "steps", steps);
  if (!(pctStart > 0 && pctStart < 1)) fail(`oneCycle: pctStart must lie in (0, 1), got ${show(pctStart)}`);
  for (const [name, x] of Object.entries({ div, finalDiv })) {
    if (!(Number.isFinite(x) && x >= 1)) fail(`oneCycle: ${name} must be a finite number ≥ 1, got ${show(x)}`);
  }
  if (dialect !== "torch" && dialect !== "optax")
    fail(`oneCycle: the dialects are torch and optax, got ${show(dialect)}`);
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

/** One schedule after the other, each counting from 0; every one but the last says how many steps it lasts. */
export function join(parts: readonly Part[]): Schedule {
  if (parts.length === 0) fail("join: there is nothing to join");
  parts.slice(0, -1).forEach(({ steps }, k) => requireSteps("join", `steps of part ${k}`, steps));
  return (t) => {
    let from = 0;
    for (const { schedule, steps = Number.POSITIVE_INFINITY } of parts.slice(0, -1)) {
      if (t < from + steps) return schedule(t - from);
      from += steps;
    }
    return parts.at(-1)!.schedule(t - from);
  };
}
export type Part = { readonly schedule: Schedule; readonly steps?: number };

/** From a to b along half a cosine; beyond 1 it comes back. */
const wave = (a: number, b: number, done: number) => b + (a - b) * 0.5 * (1 + Math.cos(Math.PI * done));

// ---- by name, for a run of known length ----------------------------------------------------------------------------------

export type ScheduleRow = {
  /** `lr` is the base or peak rate, `steps` the length of the whole run. */
  readonly make: (run: { readonly lr: number; readonly steps: number }) => Schedule;
  readonly summary: string;
  readonly source: string;
};

/** At least one step, at most all but one. */
const part = (share: number, steps: number) => Math.max(1, Math.min(Math.round(share * steps), steps - 1));

export const schedules = {
  constant: { make: constant, summary: "lr for ever", source: "Robbins & Monro 1951, with the rate kept" },
  step: {
    make: ({ lr, steps }) => step({ lr, every: Math.ceil(steps / 3) }),
    summary: "a tenth after each third of the run",
    source: "PyTorch StepLR",
  },
  multiStep: {
    make: ({ lr, steps }) => {
      const milestones = [part(0.5, steps), part(0.75, steps)];
      return multiStep({ lr, milestones: [...new Set(milestones)] });
    },
    summary: "a tenth at half and again at three quarters of the run",
    source: "He et al. 2016, section 4.2: at 32,000 and 48,000 of 64,000 steps",
  },
  exponential: {
    make: ({ lr, steps }) => exponential({ lr, gamma: 0.01, every: steps }),
    summary: "to a hundredth over the run, by one factor per step",
    source: "PyTorch ExponentialLR",
  },
  polynomial: {
    make: ({ lr, steps }) => polynomial({ lr, steps }),
    summary: "a straight line down to 0",
    source: "PyTorch PolynomialLR",
  },
  linear: {
    make: ({ lr, steps }) => linear({ lr, steps: part(0.1, steps), from: lr / part(0.1, steps) }),
    summary: "a warm-up over a tenth of the run, then lr",
    source: "Goyal et al. 2017, section 2.2",
  },
  cosine: {
    make: ({ lr, steps }) => cosine({ lr, steps }),
    summary: "half a cosine down to 0",
    source: "Loshchilov & Hutter 2017, eq. 5",
  },
  warmupCosine: {
    make: ({ lr, steps }) => {
      const warmup = part(0.1, steps);
      return steps < 2 ? cosine({ lr, steps }) : warmupCosine({ lr, steps, warmup, from: lr / warmup });
    },
    summary: "a warm-up over a tenth of the run, then half a cosine down to 0",
    source: "Goyal et al. 2017; Loshchilov & Hutter 2017",
  },
  oneCycle: {
    make: ({ lr, steps }) => (steps < 4 ? cosine({ lr, steps }) : oneCycle({ lr, steps, dialect: "optax" })),
    summary: "from lr / 25 up to lr in 30 % of the run, then down to almost 0",
    source: "Smith & Topin 2018",
  },
} satisfies Record<string, ScheduleRow>;

export type ScheduleName = keyof typeof schedules;

// ---- domains -----------------------------------------------------------------------------------------------------------

function requireSteps(what: string, name: string, n: unknown, least = 1): void {
  if (!(typeof n === "number" && Number.isInteger(n) && n >= least)) {
    fail(`${what}: ${name} must be a whole number ≥ ${least}, got ${show(n)}`);
  }
}

/** A rate that may be 0. */
function requireRate(what: string, name: string, x: unknown): void {
  if (!(typeof x === "number" && Number.isFinite(x) && x >= 0)) {
    fail(`${what}: ${name} must be a finite number ≥ 0, got ${show(x)}`);
  }
}

function requireFactor(what: string, gamma: unknown): void {
  if (!(typeof gamma === "number" && gamma > 0 && gamma <= 1)) {
    fail(`${what}: gamma must be a number in (0, 1], got ${show(gamma)}`);
  }
}
