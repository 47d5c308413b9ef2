/**
 * The defaults: what to train and how, from what the data look like. Measured on the sets of examples/data and on made
 * ones (20,000 rows of 26 classes, heavy tails, rare classes, categories with missing cells), each with several seeds;
 * docs/defaults.md has the numbers.
 */
import type { Precision } from "../compile/precision.ts";
import type { Task } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import {
  chain,
  clipGlobalNorm,
  ema,
  matrices,
  type Optimizer,
  type OptimizerName,
  optimizers,
  type Schedule,
  type ScheduleName,
  schedules,
  swa,
} from "../optim/index.ts";
import { type Architecture, parameters } from "./network.ts";

export const models = ["mlp", "linear"] as const;
export type ModelName = (typeof models)[number];

/** What a user may say about the training of anything; everything else is filled in. */
export type TrainingWishes = {
  readonly optimizer?: OptimizerName;
  readonly lr?: number;
  readonly schedule?: ScheduleName;
  readonly weightDecay?: number;
  readonly batch?: number | "full";
  readonly accumulate?: number;
  readonly precision?: Precision;
  readonly average?: Average | "none";
};

/** An average of the weights that is kept in their place: "ema:0.99" is one with a decay of its own. */
export type Average = "ema" | `ema:${number}` | "swa";

/** How anything is trained: plain JSON, kept in run.json. */
export type TrainingRecipe = {
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly schedule: ScheduleName;
  readonly weightDecay: number;
  /** The gradients' norm is cut off here; 0 is never. */
  readonly clip: number;
  /** Rows, images or windows per batch. */
  readonly batch: number;
  /** Batches per step, where it is not one. */
  readonly accumulate?: number;
  /** What it is computed in, where that is not f32. */
  readonly precision?: Exclude<Precision, "f32">;
  /** Of the weights, where it is kept in place of the last. */
  readonly average?: Average;
};

/** The part of a recipe that is there only where it was asked for. */
export const precisionOf = ({ precision }: TrainingWishes): Pick<TrainingRecipe, "precision"> =>
  precision === undefined || precision === "f32" ? {} : { precision };

/** The same of batches that are put together for a step. Throws where they are more than the data, `rows` of them. */
export function accumulateOf(
  { accumulate = 1 }: TrainingWishes,
  batch: number,
  rows = Infinity,
): Pick<TrainingRecipe, "accumulate"> {
  if (accumulate * batch > rows && accumulate > 1) {
    fail(
      `--accumulate ${accumulate}: as many batches of ${batch} are more than the data: there are ${rows} to train on`,
      "use a smaller --batch, or put fewer of them together",
    );
  }
  return accumulate > 1 ? { accumulate } : {};
}

/** The same of an average. Throws where the optimizer keeps one itself. */
export function averageOf({ average, optimizer = "adamW" }: TrainingWishes): Pick<TrainingRecipe, "average"> {
  if (average === undefined || average === "none") return {};
  if (averages(optimizer)) fail(`--average ${average}: ${optimizer} keeps an average itself`, "leave one of them out");
  return { average };
}

/** λ as wished, else `usual`; 0 where the optimizer has none. Throws where it has none and one is wished. */
export function weightDecayOf({ weightDecay, optimizer = "adamW" }: TrainingWishes, usual: number): number {
  const known: readonly string[] = optimizers[optimizer].options;
  if (known.includes("weightDecay")) return weightDecay ?? usual;
  if (weightDecay) fail(`--weight-decay ${weightDecay}: ${optimizer} has none`, "leave one of them out");
  return 0;
}

const averages = (optimizer: OptimizerName) => optimizers[optimizer].make().evaluated !== undefined;

/** What averages wants a rate that stays up: what falls instead of it is the weight of a step. */
export const scheduleFor = ({ schedule, optimizer = "adamW", average }: TrainingWishes): ScheduleName =>
  schedule ?? (average === "swa" || averages(optimizer) ? "linear" : "warmupCosine");

/** A rule with the average of a recipe: exponential, or of 25 points in the last quarter of the steps. */
export function averaged(rule: Optimizer, { average }: Pick<TrainingRecipe, "average">, steps: number): Optimizer {
  if (average === undefined) return rule;
  if (average === "swa") {
    return swa(rule, { from: Math.max(1, Math.ceil(0.75 * steps)), every: Math.max(1, Math.floor(steps / 100)) });
  }
  const [, decay] = average.split(":");
  return ema(rule, decay === undefined ? {} : { decay: Number(decay) });
}

/** Steps of one pass over the rows. */
export const stepsPerEpoch = (rows: number, { batch, accumulate = 1 }: Pick<TrainingRecipe, "batch" | "accumulate">) =>
  Math.ceil(rows / (batch * accumulate));

/** What a resumed run is taken to have been asked for, where nothing is written. */
export const unasked = { precision: "f32", accumulate: 1, average: "none" } as const;

export type Wishes = TrainingWishes & {
  readonly model?: ModelName;
  readonly hidden?: readonly number[];
  readonly dropout?: number;
  readonly epochs?: number;
};

/** A whole recipe of a table. */
export type Recipe = TrainingRecipe & {
  readonly model: ModelName;
  readonly hidden: readonly number[];
  readonly dropout: number;
  readonly epochs: number;
};

export type Shape = {
  readonly task: Task;
  /** Rows to train on, columns of x, classes. */
  readonly rows: number;
  readonly features: number;
  readonly classes: number;
  /** Whether there are validation rows. */
  readonly watched: boolean;
};

/**
 * Share of all rows that is held out to watch training: a tenth, and as many more as leave whole batches to train on.
 * Where rows are few it would be too few to say anything, and would be missed among those to learn from.
 */
export function validationShare(rows: number, test: number, batch: number | "full" | undefined): number {
  if (rows - Math.round(rows * test) < few) return 0;
  const rest = rows - Math.round(rows * test);
  const tenth = Math.round(rows / 10);
  if (batch === "full") return tenth / rows;
  const size = batch ?? batchOf(rest - tenth, undefined);
  const uneven = size < rest / 10 ? (rest - tenth) % size : 0;
  return (tenth + uneven) / rows;
}

/** Rows to train on below which there is no validation: stronger regularisation takes its place. */
const few = 600;

/** A recipe for data of this shape. Throws where wishes contradict each other or the data. */
export function recipe(shape: Shape, wishes: Wishes): Recipe {
  const model = wishes.model ?? "mlp";
  const linear = model === "linear";
  if (linear && wishes.hidden) fail("--hidden: a linear model has no hidden layers", "leave out --model or --hidden");
  if (linear && wishes.dropout) fail("--dropout: a linear model has no hidden layers to drop from");
  const optimizer = wishes.optimizer ?? "adamW";
  const batch = batchOf(shape.rows, wishes.batch);
  const accumulated = accumulateOf(wishes, batch, shape.rows);
  const perEpoch = stepsPerEpoch(shape.rows, { batch, ...accumulated });
  return {
    model,
    hidden: linear ? [] : (wishes.hidden ?? hiddenFor(shape)),
    dropout: linear ? 0 : (wishes.dropout ?? dropoutFor(shape)),
    optimizer,
    lr: wishes.lr ?? rateFor(optimizer, linear),
    schedule: scheduleFor(wishes),
    weightDecay: weightDecayOf(wishes, decayFor(shape, optimizer, linear)),
    clip: 1,
    batch,
    ...accumulated,
    ...precisionOf(wishes),
    ...averageOf(wishes),
    epochs: wishes.epochs ?? Math.max(1, Math.round(stepsFor(shape, linear) / perEpoch)),
  };
}

function batchOf(rows: number, wish: number | "full" | undefined): number {
  if (wish === "full") return rows;
  if (wish !== undefined) {
    if (wish > rows) {
      const there = rows === 1 ? "there is 1 row" : `there are ${rows} rows`;
      fail(`--batch ${wish}: that is more than the data: ${there} to train on`, "use a smaller batch, or full");
    }
    return wish;
  }
  return Math.min(rows, rows < 2000 ? 32 : rows < 8000 ? 64 : 128);
}

/** Wider where there is more to learn from and more to tell apart. */
function hiddenFor({ rows, classes, watched }: Shape): number[] {
  if (!watched) return [64, 64];
  return rows * classes > 100_000 ? [256, 128] : [128, 64];
}

const dropoutFor = ({ features, watched }: Shape): number => (!watched ? 0.3 : features < 32 ? 0.1 : 0.2);

function decayFor({ task, watched }: Shape, optimizer: OptimizerName, linear: boolean): number {
  // Noise in a quantity is learned by heart sooner than noise in classes.
  const usual = linear ? 0.01 : watched ? 0.1 : task === "regression" ? 1 : 0.3;
  return decayOf(optimizer, usual, 1e-4);
}

/** Rules that take their decay from the weights, as AdamW does. */
const decoupled: readonly OptimizerName[] = [
  ...(["adamW", "nadamW", "ademamix", "lion", "scheduleFreeAdamW", "prodigy"] as const),
  ...(["lamb", "muon", "shampoo"] as const),
];

/**
 * λ where AdamW's is `usual`: as much of the weights per step for rules with its kind of decay, so more where the rate is
 * smaller. `l2` for the others, whose λ is multiplied by the gradient's scale.
 */
export function decayOf(optimizer: OptimizerName, usual: number, l2: number): number {
  if (!decoupled.includes(optimizer)) return l2;
  return optimizer === "lion" ? usual * 3 : usual;
}

/** Updates in all: small data are seen often, large data long enough. */
function stepsFor({ task, rows, classes, watched }: Shape, linear: boolean): number {
  if (linear) return rows < 2000 ? 2000 : 3000;
  if (!watched) return task === "regression" ? 600 : 1500;
  return classes > 10 && rows > 10_000 ? 6000 : 4000;
}

/** Rules that move every weight by about lr, as Adam does. */
const adaptive: readonly OptimizerName[] = [
  "adam",
  "adamW",
  "amsgrad",
  "adamax",
  "nadam",
  "nadamW",
  "radam",
  "ademamix",
  "adabelief",
  "scheduleFreeAdamW",
];

/** Adam's family takes 0.003 here; the others what their rows of the table say. */
export function rateFor(optimizer: OptimizerName, linear = false): number {
  if (optimizer === "lion") return linear ? 0.003 : 0.001;
  return adaptive.includes(optimizer) ? (linear ? 0.01 : 0.003) : optimizers[optimizer].defaults.lr;
}

/** Epochs without a better validation loss before training stops: a third of them all. */
export const patience = ({ epochs }: Pick<Recipe, "epochs">): number => Math.max(10, Math.ceil(epochs / 3));

/** The rule of a recipe. Only matrices decay: a bias or a scale has no reason to be small. */
export function ruleOf(
  recipe: Pick<Recipe, "optimizer" | "weightDecay" | "clip" | "average">,
  steps: number,
): Optimizer {
  const { optimizer, weightDecay, clip } = recipe;
  const { make, options } = optimizers[optimizer];
  const decays = options.includes("weightDecay");
  const rule = make(decays ? { weightDecay, decayOnly: matrices } : {});
  return averaged(clip > 0 ? chain(clipGlobalNorm(clip), rule) : rule, recipe, steps);
}

export const scheduleOf = ({ schedule, lr }: Pick<Recipe, "schedule" | "lr">, steps: number): Schedule =>
  schedules[schedule].make({ lr, steps });

/** Parameters, their averages in the optimizer, and gradients, in f32: at most this much. */
export const mostBytes = 4e9;

export function architecture(
  { hidden, dropout }: Pick<Recipe, "hidden" | "dropout">,
  inputs: number,
  outputs: number,
): Architecture {
  const net = { inputs, hidden, dropout, outputs };
  const bytes = parameters(net) * 4 * 4;
  if (bytes > mostBytes) {
    fail(
      `--hidden ${hidden.join(",")}: training this network takes about ${Math.round(bytes / 1e9)} GB of memory`,
      "use smaller widths",
    );
  }
  return net;
}
