/** What `fit` takes, what it tells while it trains, and what it gives. */
import type { Module, Params, State } from "../nn/index.ts";
import type { Optimizer, Schedule } from "../optim/index.ts";
import type { BackendName } from "../run/backend.ts";
import type { LoopOptions } from "../run/loop.ts";
import type { Footprint, RunOptions } from "../run/run.ts";
import type { EarlyStopping, Every } from "./check.ts";
import type { Best, Entry } from "./checkpoint.ts";
import type { Data } from "./examples.ts";
import type { Metric } from "./metrics.ts";
import type { FitLoss } from "./step.ts";
import type { Store } from "./store.ts";

export type FitOptions<N extends Module> = RunOptions & {
  readonly net: N;
  readonly loss: FitLoss;
  readonly optimizer: Optimizer;
  /** A rate, or a function of the updates done before; `plateau` follows the history, one entry per `validateEvery`. */
  readonly lr: number | Schedule;
  readonly data: { readonly train: Data; readonly validation?: Data };
  /** Rows per batch; unless given 32, or all where there are fewer. 1 is stochastic descent, "full" gradient descent. */
  readonly batch?: number | "full";
  /** Leave out the last batch of an epoch where it is smaller than the others, which it is not unless given. */
  readonly dropLast?: boolean;
  /** Batches per update; 1 unless given. The gradient is that of all their rows as one batch. */
  readonly accumulate?: number;
  /** Passes over the training data, and updates: one of them is needed, the first that is reached ends the training. */
  readonly epochs?: number;
  readonly steps?: number;
  /** Of the first parameters, the order of the rows and what the net draws; 0 unless given. */
  readonly seed?: number;
  /** A new order every epoch; true unless given. */
  readonly shuffle?: boolean;
  /** Where to begin; `init(net, seed)` unless given. */
  readonly start?: { readonly params: Params<N>; readonly state: State<N> };
  /**
   * "bf16", "f16": the matrix products of each step from rounded factors, as in `Run.loop`; validation is in f32. In f16
   * the loss is scaled, by 2^16 at first: a step whose gradients overflow is skipped and halves that, 2000 good ones in a
   * row double it (docs/precision.md). "f64": all of the training and its validation in f64; the model that comes out is
   * of the dtype that went in.
   */
  readonly precision?: LoopOptions["precision"];
  /** Measured on the validation data. */
  readonly metrics?: readonly Metric[];
  /**
   * Epochs per entry of the history, or `{ steps }` where epochs are long; unless given 1 epoch, and from 1000 epochs on
   * a thousandth of them.
   */
  readonly validateEvery?: Every;
  /** Rows per batch of validation; 1024 unless given. */
  readonly validationBatch?: number;
  /**
   * Batches that running statistics are recomputed from for each entry of the history where the optimizer averages
   * weights; 32 unless given. For the model that is kept they are all batches of an epoch.
   */
  readonly recalibrationBatches?: number;
  /** Stop when the validation gets no better, and return the best model instead of the last. */
  readonly earlyStopping?: EarlyStopping;
  /** Once, when all is compiled and before the first step is taken. */
  readonly onStart?: (start: Start) => void;
  /** After each call of the program, about ten times a second. */
  readonly onProgress?: (progress: Progress) => void;
  /** After each entry of the history. */
  readonly onEntry?: (entry: Entry) => void;
  /** Where checkpoints, the model and the journal go, such as a folder of `downhill/train/folder`. */
  readonly store?: Store;
  /** Go on from the store's checkpoint, where there is one. */
  readonly resume?: boolean;
  /** 30 unless given. */
  readonly checkpointEverySeconds?: number;
  /** Ends the training after the step under way; a store then holds a checkpoint of it. */
  readonly signal?: AbortSignal;
};

export type Start = {
  /** Memory that the training will take: state, data, and what its programs compute in. Node and its heap come on top. */
  readonly predictedBytes: number;
  /**
   * The same with all that the process takes besides while it trains, where the backend can tell. Checkpoints, the best
   * model and, at the end, the result are copies that come on top.
   */
  readonly processBytes?: number;
  readonly secondsCompiling: number;
};

export type Progress = {
  /** Whole epochs done, and all of them; undefined where only `steps` was given. */
  readonly epoch: number;
  readonly epochs: number | undefined;
  /** Updates done, and all of them. */
  readonly step: number;
  readonly steps: number;
  /** Of each update of the last call. */
  readonly losses: ArrayLike<number>;
  readonly lr: number;
  /** Since the beginning of the run, without compilation. */
  readonly seconds: number;
  readonly stepsPerSecond: number;
  /** In f16, what the loss is scaled by now, and the steps skipped so far. */
  readonly scaling?: Scaling;
};

export type Scaling = { readonly scale: number; readonly skipped: number };

export type StopReason = "done" | "early stopping" | "aborted";

export type FitResult<N extends Module> = {
  /** The best by early stopping, else the last; of an optimizer that averages weights, the average. */
  readonly params: Params<N>;
  readonly state: State<N>;
  readonly history: readonly Entry[];
  /** Which entry the model is from, where early stopping chose it. */
  readonly best?: Best;
  readonly stopReason: StopReason;
  /** In f16, what the loss would be scaled by next, and the steps skipped. */
  readonly scaling?: Scaling;
  /** Whole epochs and updates done. */
  readonly epochs: number;
  readonly steps: number;
  /** Training and validation, those before a resume included. */
  readonly secondsTraining: number;
  readonly secondsCompiling: number;
  /** What was predicted before the first step, and how much of it was used, where the backend can tell. */
  readonly memory: Footprint;
  readonly backend: BackendName;
};

/** All there are: a row that is missing here is a type error. */
const known: Record<keyof FitOptions<Module>, true> = {
  net: true,
  loss: true,
  optimizer: true,
  lr: true,
  data: true,
  batch: true,
  dropLast: true,
  accumulate: true,
  epochs: true,
  steps: true,
  seed: true,
  shuffle: true,
  start: true,
  precision: true,
  metrics: true,
  validateEvery: true,
  validationBatch: true,
  recalibrationBatches: true,
  earlyStopping: true,
  onStart: true,
  onProgress: true,
  onEntry: true,
  store: true,
  resume: true,
  checkpointEverySeconds: true,
  signal: true,
  backend: true,
  threads: true,
};

export const fitOptions = Object.keys(known) as (keyof FitOptions<Module>)[];
