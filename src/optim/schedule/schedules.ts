/** The schedules by name, for a run of known length: the command line and the tests walk this table. */
import { requireLr } from "../hyper.ts";
import { oneCycle, triangular, warmRestarts } from "./cycle.ts";
import { constant, cosine, exponential, multiStep, polynomial, step } from "./decay.ts";
import { plateau } from "./plateau.ts";
import { requireOptions, requireSteps, type Schedule } from "./schedule.ts";
import { inverseSquareRoot, linear, warmupCosine, wsd } from "./warmup.ts";

/** `lr` is the base or peak rate, `steps` the length of the whole run. */
export type Planned = { readonly lr: number; readonly steps: number };

export type ScheduleRow = {
  readonly make: (run: Planned) => Schedule;
  readonly summary: string;
  /** The rate of step t, counted from 0: lr the given rate, T the length of the run, w of the warm-up. */
  readonly formula: string;
  /** When to take it, and when not: a sentence or two. */
  readonly when: string;
  readonly source: string;
};

const row = (name: string, { make, ...about }: ScheduleRow): ScheduleRow => ({
  ...about,
  make: (run) => {
    requireOptions(name, run, ["lr", "steps"]);
    requireLr(name, run.lr);
    requireSteps(name, "steps", run.steps);
    return make(run);
  },
});

/** At least one step, at most all but one. */
const part = (share: number, steps: number) => Math.max(1, Math.min(Math.round(share * steps), steps - 1));

export const schedules = {
  constant: row("constant", {
    make: ({ lr }) => constant({ lr }),
    summary: "lr for ever",
    formula: "lr",
    when: "Before anything is known of a problem, with averaged weights (ema, swa), and for schedule-free rules.",
    source: "Robbins & Monro 1951, with the rate kept",
  }),
  step: row("step", {
    make: ({ lr, steps }) => step({ lr, every: Math.ceil(steps / 3) }),
    summary: "a tenth after each third of the run",
    formula: "lr · 0.1^⌊t / ⌈T/3⌉⌋",
    when: "Older recipes for convolutional networks with momentum. It needs no more thought than cosine, and ends a little worse.",
    source: "PyTorch StepLR",
  }),
  multiStep: row("multiStep", {
    make: ({ lr, steps }) => {
      const milestones = [part(0.5, steps), part(0.75, steps)];
      return multiStep({ lr, milestones: [...new Set(milestones)] });
    },
    summary: "a tenth at half and again at three quarters of the run",
    formula: "lr · 0.1^(how many of T/2, 3T/4 are ≤ t)",
    when: "Published recipes of ResNets, to reproduce them.",
    source: "He et al. 2016, section 4.2: at 32,000 and 48,000 of 64,000 steps",
  }),
  exponential: row("exponential", {
    make: ({ lr, steps }) => exponential({ lr, gamma: 0.01, every: steps }),
    summary: "to a hundredth over the run, by one factor per step",
    formula: "lr · 0.01^(t / T)",
    when: "Small problems, where it is not known which order of magnitude does; for networks cosine.",
    source: "PyTorch ExponentialLR",
  }),
  polynomial: row("polynomial", {
    make: ({ lr, steps }) => polynomial({ lr, steps }),
    summary: "a straight line down to 0",
    formula: "lr · (1 − t / T)",
    when: "As good as cosine where the length of the run is known; fine-tuning, after a warm-up.",
    source: "PyTorch PolynomialLR",
  }),
  linear: row("linear", {
    make: ({ lr, steps }) => linear({ lr, steps: part(0.1, steps), from: lr / part(0.1, steps) }),
    summary: "a warm-up over a tenth of the run, then lr",
    formula: "lr · (1 / w + (1 − 1 / w) min(t / w, 1)), w = T / 10",
    when: "Where the length of the run is open and the first steps are fragile: Adam and its kin, large batches, schedule-free rules.",
    source: "Goyal et al. 2017, section 2.2",
  }),
  cosine: row("cosine", {
    make: ({ lr, steps }) => cosine({ lr, steps }),
    summary: "half a cosine down to 0",
    formula: "lr · ½ (1 + cos(π t / T))",
    when: "The safe choice for a run of known length that needs no warm-up: momentum, small networks, tables.",
    source: "Loshchilov & Hutter 2017, eq. 5",
  }),
  warmupCosine: row("warmupCosine", {
    make: ({ lr, steps }) => {
      const warmup = part(0.1, steps);
      return steps < 2 ? cosine({ lr, steps }) : warmupCosine({ lr, steps, warmup, from: lr / warmup });
    },
    summary: "a warm-up over a tenth of the run, then half a cosine down to 0",
    formula: "a line from lr / w to lr until w = T / 10, then lr · ½ (1 + cos(π (t − w) / (T − w)))",
    when: "The safe choice for transformers and for large batches.",
    source: "Goyal et al. 2017; Loshchilov & Hutter 2017",
  }),
  warmRestarts: row("warmRestarts", {
    make: ({ lr, steps }) => warmRestarts({ lr, first: Math.ceil(steps / 7), multiply: 2 }),
    summary: "half a cosine down to 0 in 1/7, 2/7 and 4/7 of the run, each from lr again",
    formula: "lr · ½ (1 + cos(π s / n)), s the steps since the restart, n = ⌈T/7⌉, 2n, 4n the length of the cycle",
    when: "Good weights at the end of each cycle, for an ensemble or where the length of the run is open.",
    source: "Loshchilov & Hutter 2017, eq. 5, with T_mult = 2",
  }),
  oneCycle: row("oneCycle", {
    make: ({ lr, steps }) => (steps < 4 ? cosine({ lr, steps }) : oneCycle({ lr, steps, dialect: "optax" })),
    summary: "from lr / 25 up to lr in 30 % of the run, then down to almost 0",
    formula: "a half cosine from lr / 25 up to lr until 0.3 T, another down to lr / 250,000 at T",
    when: "Short runs at a high rate, with momentum cycled against it (`momentumCycle`).",
    source: "Smith & Topin 2018",
  }),
  triangular: row("triangular", {
    make: ({ lr, steps }) => triangular({ lr, up: Math.ceil(steps / 8) }),
    summary: "from lr / 4 up to lr and back, four times in the run",
    formula: "lr · (¼ + ¾ s), s from 0 to 1 and back over T/4",
    when: "To find a range of rates, and with swa at each low point.",
    source: "Smith 2017, section 3.3",
  }),
  wsd: row("wsd", {
    make: ({ lr, steps }) => {
      const [warmup, cooldown] = [part(0.02, steps), part(0.2, steps)];
      return steps < 4 ? cosine({ lr, steps }) : wsd({ lr, steps, warmup, cooldown, from: lr / warmup });
    },
    summary: "a warm-up over 2 % of the run, then lr, and down to 0 over the last fifth",
    formula:
      "a line from lr / w to lr until w = T / 50, lr until 4T/5, then lr · (1 − √x), x the share of the last fifth",
    when: "Long runs whose length is not fixed: go on from before the last fifth, and make another one.",
    source: "Hu et al. 2024; Hägele et al. 2024",
  }),
  inverseSquareRoot: row("inverseSquareRoot", {
    make: ({ lr, steps }) => inverseSquareRoot({ lr, warmup: part(0.1, steps) }),
    summary: "a warm-up over a tenth of the run, then lr / √t",
    formula: "lr · min(n / w, √(w / n)), n = t + 1, w = T / 10",
    when: "Transformers whose length of training is open, as in 2017; today wsd.",
    source: "Vaswani et al. 2017, eq. 3",
  }),
  plateau: row("plateau", {
    make: ({ lr }) => plateau({ lr, factor: 0.2, patience: 3 }),
    summary: "a fifth when four entries of the history in a row were no better than the best",
    formula: "lr · 0.2^(how often four entries of the history in a row were no better than the best by 0.01 %)",
    when: "Where the length of the run is unknown and validation is cheap and not noisy.",
    source: "PyTorch ReduceLROnPlateau",
  }),
} satisfies Record<string, ScheduleRow>;

export type ScheduleName = keyof typeof schedules;
