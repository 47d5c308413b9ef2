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
    source: "Robbins & Monro 1951, with the rate kept",
  }),
  step: row("step", {
    make: ({ lr, steps }) => step({ lr, every: Math.ceil(steps / 3) }),
    summary: "a tenth after each third of the run",
    source: "PyTorch StepLR",
  }),
  multiStep: row("multiStep", {
    make: ({ lr, steps }) => {
      const milestones = [part(0.5, steps), part(0.75, steps)];
      return multiStep({ lr, milestones: [...new Set(milestones)] });
    },
    summary: "a tenth at half and again at three quarters of the run",
    source: "He et al. 2016, section 4.2: at 32,000 and 48,000 of 64,000 steps",
  }),
  exponential: row("exponential", {
    make: ({ lr, steps }) => exponential({ lr, gamma: 0.01, every: steps }),
    summary: "to a hundredth over the run, by one factor per step",
    source: "PyTorch ExponentialLR",
  }),
  polynomial: row("polynomial", {
    make: ({ lr, steps }) => polynomial({ lr, steps }),
    summary: "a straight line down to 0",
    source: "PyTorch PolynomialLR",
  }),
  linear: row("linear", {
    make: ({ lr, steps }) => linear({ lr, steps: part(0.1, steps), from: lr / part(0.1, steps) }),
    summary: "a warm-up over a tenth of the run, then lr",
    source: "Goyal et al. 2017, section 2.2",
  }),
  cosine: row("cosine", {
    make: ({ lr, steps }) => cosine({ lr, steps }),
    summary: "half a cosine down to 0",
    source: "Loshchilov & Hutter 2017, eq. 5",
  }),
  warmupCosine: row("warmupCosine", {
    make: ({ lr, steps }) => {
      const warmup = part(0.1, steps);
      return steps < 2 ? cosine({ lr, steps }) : warmupCosine({ lr, steps, warmup, from: lr / warmup });
    },
    summary: "a warm-up over a tenth of the run, then half a cosine down to 0",
    source: "Goyal et al. 2017; Loshchilov & Hutter 2017",
  }),
  warmRestarts: row("warmRestarts", {
    make: ({ lr, steps }) => warmRestarts({ lr, first: Math.ceil(steps / 7), multiply: 2 }),
    summary: "half a cosine down to 0 in 1/7, 2/7 and 4/7 of the run, each from lr again",
    source: "Loshchilov & Hutter 2017, eq. 5, with T_mult = 2",
  }),
  oneCycle: row("oneCycle", {
    make: ({ lr, steps }) => (steps < 4 ? cosine({ lr, steps }) : oneCycle({ lr, steps, dialect: "optax" })),
    summary: "from lr / 25 up to lr in 30 % of the run, then down to almost 0",
    source: "Smith & Topin 2018",
  }),
  triangular: row("triangular", {
    make: ({ lr, steps }) => triangular({ lr, up: Math.ceil(steps / 8) }),
    summary: "from lr / 4 up to lr and back, four times in the run",
    source: "Smith 2017, section 3.3",
  }),
  wsd: row("wsd", {
    make: ({ lr, steps }) => {
      const [warmup, cooldown] = [part(0.02, steps), part(0.2, steps)];
      return steps < 4 ? cosine({ lr, steps }) : wsd({ lr, steps, warmup, cooldown, from: lr / warmup });
    },
    summary: "a warm-up over 2 % of the run, then lr, and down to 0 over the last fifth",
    source: "Hu et al. 2024; Hägele et al. 2024",
  }),
  inverseSquareRoot: row("inverseSquareRoot", {
    make: ({ lr, steps }) => inverseSquareRoot({ lr, warmup: part(0.1, steps) }),
    summary: "a warm-up over a tenth of the run, then lr / √t",
    source: "Vaswani et al. 2017, eq. 3",
  }),
  plateau: row("plateau", {
    make: ({ lr }) => plateau({ lr, factor: 0.2, patience: 3 }),
    summary: "a fifth when four entries of the history in a row were no better than the best",
    source: "PyTorch ReduceLROnPlateau",
  }),
} satisfies Record<string, ScheduleRow>;

export type ScheduleName = keyof typeof schedules;
