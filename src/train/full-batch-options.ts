/** What `fit` takes with a full-batch method, looked at before anything is compiled; and the function it minimises. */
import { fail, shown } from "../ir/fail.ts";
import { topo } from "../ir/graph.ts";
import { checkOptions } from "../ir/options.ts";
import { input, type Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { Method } from "../minimize/index.ts";
import { apply, type Module } from "../nn/index.ts";
import type { Traced } from "../run/loop.ts";
import * as tree from "../tree.ts";
import { count, requireLoss, requireMetrics, requireModel, requireNet, requireObject, rowsOf } from "./check.ts";
import type { Examples, Resident } from "./examples.ts";
import type { FitOptions } from "./fit-options.ts";
import { partsOf } from "./step.ts";

export type FullBatchOptions<N extends Module> = Pick<
  FitOptions<N>,
  | "net"
  | "loss"
  | "data"
  | "epochs"
  | "steps"
  | "seed"
  | "start"
  | "metrics"
  | "validateEvery"
  | "validationBatch"
  | "earlyStopping"
  | "onProgress"
  | "onEntry"
  | "store"
  | "resume"
  | "checkpointEverySeconds"
  | "signal"
  | "backend"
  | "threads"
> & {
  /** Such as `lbfgs()` of `downhill/minimize`. */
  readonly optimizer: Method;
  readonly batch?: "full";
  /** Done where the norm of the gradient is no larger; 0, which is never, unless given. */
  readonly gradientTolerance?: number;
};

/** All there are, with why those of mini-batches are refused. */
const known: Record<keyof FullBatchOptions<Module>, true> = {
  net: true,
  loss: true,
  optimizer: true,
  data: true,
  batch: true,
  epochs: true,
  steps: true,
  seed: true,
  start: true,
  gradientTolerance: true,
  metrics: true,
  validateEvery: true,
  validationBatch: true,
  earlyStopping: true,
  onProgress: true,
  onEntry: true,
  store: true,
  resume: true,
  checkpointEverySeconds: true,
  signal: true,
  backend: true,
  threads: true,
};
const refused: Readonly<Record<string, string>> = {
  lr: "it finds its own step lengths: leave lr out",
  accumulate: "it sees all rows at once: leave accumulate out",
  dropLast: "it sees all rows at once: leave dropLast out",
  shuffle: "it sees all rows at once, in whatever order: leave shuffle out",
  precision: "it computes in the dtype of start and data: give them in f64 for more digits than f32",
};

// any: parameters and state as the net made them, which only pass through here
type Tree = any;

/** The mean loss of all rows, and the net's next state. */
export function passed(
  { net, loss }: Pick<FullBatchOptions<Module>, "net" | "loss">,
  { batch }: Examples,
  params: Tree,
  state: Tree,
  resident: Traced<Resident>,
  key: Tensor,
): { mean: Tensor; next: Tree } {
  const { x, y } = batch(resident);
  const [prediction, next] = apply(net, { params, state }, x, { training: true, key });
  const { total, weight } = partsOf(loss, prediction, y);
  return { mean: total.div(weight), next };
}

/** Throws where the loss depends on what the net keeps from step to step: then it is no function of the parameters. */
export function requireFunction(o: FullBatchOptions<Module>, examples: Examples, params: Tree, state: Tree): void {
  const traced = (t: unknown) => tree.mapWithPath((path, v: Value) => input(v.shape, v.dtype, path), t);
  const kept = traced(state);
  const { mean } = passed(o, examples, traced(params), kept, traced(examples.resident), input([2], "u32", "key"));
  const below = new Set(topo([mean]));
  const found = tree.paths<Tensor>(kept).find(([, t]) => below.has(t));
  if (found)
    fail(`fit: the loss depends on the net's state ${found[0]}, and ${o.optimizer.describe} needs one that does not`);
}

/** Rows of the training data. Throws where options are not what they must be. */
export function requireOptions(options: FullBatchOptions<Module>): number {
  const { net, loss, optimizer, data, batch, metrics, start, epochs, steps, earlyStopping } = options;
  for (const [name, why] of Object.entries(refused)) {
    if ((options as Readonly<Record<string, unknown>>)[name] !== undefined)
      fail(`fit: ${optimizer.describe} takes no ${name}`, why);
  }
  checkOptions("fit", options, Object.keys(known) as (keyof FullBatchOptions<Module>)[]);
  requireNet("fit: net", net);
  requireLoss("fit: loss", loss);
  requireObject("fit: data", data, "data: { train: { x, y } }");
  if (metrics !== undefined) requireMetrics("fit: metrics", metrics);
  if (start !== undefined) requireModel("fit: start", start, "start: { params, state }, as init(net, seed) gives them");
  const rows = rowsOf("training data", data.train);
  if (data.validation) rowsOf("validation data", data.validation);
  if (batch !== undefined && batch !== "full" && batch !== rows) {
    fail(
      `fit: ${optimizer.describe} sees all ${rows} rows in every step, and batch is ${shown(batch)}`,
      'batch: "full", or sgd() or adam() for mini-batches',
    );
  }
  if (epochs === undefined && steps === undefined)
    fail("fit: say how long to train: steps, or epochs, which are the same here");
  if (epochs !== undefined) count("epochs", epochs);
  if (steps !== undefined) count("steps", steps);
  if (!data.validation && (earlyStopping || (metrics?.length ?? 0) > 0)) {
    fail(`fit: ${earlyStopping ? "earlyStopping needs" : "metrics need"} data.validation, and there is none`);
  }
  return rows;
}
