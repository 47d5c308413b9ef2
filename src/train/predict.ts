/** What a trained net says, and how good it is: in batches, so that memory stays small. */
import { dtypes } from "../ir/dtype.ts";
import { fail } from "../ir/fail.ts";
import { size } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { Value, value } from "../ir/value.ts";
import type { Module } from "../nn/index.ts";
import type { Loop } from "../run/loop.ts";
import { Run, type RunOptions } from "../run/run.ts";
import {
  requireData,
  requireLoss,
  requireMetrics,
  requireModel,
  requireNet,
  requireObject,
  requireValue,
} from "./check.ts";
import type { Model } from "./checkpoint.ts";
import { type Data, type Examples, examplesOf, type Resident } from "./examples.ts";
import type { Metric } from "./metrics.ts";
import { evaluateStep, type FitLoss, predictStep, type Rows, type Trained } from "./step.ts";

export type PredictOptions = RunOptions & {
  /** Rows at a time; 1024 unless given. */
  readonly batch?: number;
};

/**
 * The net's output for each row of x, without dropout and with running statistics.   x: [n, …] → [n, …]
 *
 * A program is made for batches of one size, whatever n is; a smaller last one is filled up, to a power of two at
 * least, with copies of the last row, so rows must not see each other. Throws where x has no rows or does not fit.
 */
export async function predict(net: Module, model: Model, x: Value, options: PredictOptions = {}): Promise<Value> {
  requireNet("predict: net", net);
  requireModel("predict: model", model, "predict(net, { params, state }, x), as fit or init(net, seed) gives them");
  requireValue("predict: x", x);
  requireObject("predict", options, "predict(net, { params, state }, x, { batch: 256 })");
  const { backend, threads, batch = 1024 } = options;
  const { params, state } = model;
  const run = await Run.start({ params, state }, { backend, threads });
  const loop = run.loop<{ x: Value }, { prediction: Tensor }>(predictStep(net));
  const parts: Value[] = [];
  let from = 0;
  const n = x.shape[0];
  if (n === undefined || n < 1) fail(`x is ${x}; its first axis must be the rows, at least one`);
  for (const { steps, width } of blocks(n, batch)) {
    const filled = width < batch ? Math.min(batch, 2 ** Math.ceil(Math.log2(width))) : width;
    const rows = slice(x, from, steps * width, filled - width);
    const feed = new Value(x.dtype, [steps, filled, ...x.shape.slice(1)], rows);
    const { prediction } = (await loop.take(steps, { x: feed })).output;
    if (prediction.shape[1] !== filled) fail(`predict: a batch of ${filled} rows gave ${prediction.shape[1]} outputs`);
    parts.push(prediction);
    from += steps * width;
  }
  return joined(parts, from);
}

export type Evaluation = { readonly loss: number; readonly metrics: Readonly<Record<string, number>> };

/** Loss, as a mean over all rows, and metrics of a net on some data. Throws what `predict` throws. */
export async function evaluate(
  net: Module,
  model: Model,
  data: Data,
  options: PredictOptions & { readonly loss: FitLoss; readonly metrics?: readonly Metric[] },
): Promise<Evaluation> {
  requireNet("evaluate: net", net);
  requireModel("evaluate: model", model, evaluateCall);
  requireObject("evaluate", options, evaluateCall);
  const { loss, metrics = [], backend, threads, batch = 1024 } = options;
  requireLoss("evaluate: loss", loss);
  requireMetrics("evaluate: metrics", metrics);
  requireData("evaluate: data", data);
  const { params, state } = model;
  const run = await Run.start({ params, state }, { backend, threads });
  const examples = examplesOf(data);
  return evaluation(evaluateLoop(run, net, loss, examples, metrics.length > 0), examples, metrics, batch);
}

const evaluateCall = "evaluate(net, { params, state }, { x, y }, { loss: crossEntropy })";

type Evaluated = { total: Tensor; weight: Tensor; prediction?: Tensor };
export type EvaluateLoop<S> = Loop<S, Rows, Resident, Evaluated>;

/**
 * The loop that `evaluation` takes, over a run that has params and state among others; `wanted`: for metrics. `show` gives
 * the parameters that are meant, where they are not those of the run.
 */
export const evaluateLoop = <S extends Model>(
  run: Run<S>,
  net: Module,
  loss: FitLoss,
  examples: Examples,
  wanted: boolean,
  show?: (s: any) => Trained["params"],
): EvaluateLoop<S> =>
  // any: a mapped type over the unknown rest of S tells the type checker nothing about its params and state
  run.loop<Rows, Evaluated, Resident>(evaluateStep(net, loss, examples, wanted, show) as any, {
    data: examples.resident,
  });

/** The same on a loop over a run that is still training. */
export async function evaluation<S>(
  loop: EvaluateLoop<S>,
  { rows, answers }: Examples,
  metrics: readonly Metric[],
  batch: number,
): Promise<Evaluation> {
  const parts: Value[] = [];
  let total = 0;
  let weight = 0;
  for (const { steps, feeds } of inBatches(rows, batch)) {
    const { output } = await loop.take(steps, feeds);
    for (const t of output.total.data) total += t;
    for (const w of output.weight.data) weight += w;
    if (output.prediction) parts.push(output.prediction);
  }
  if (metrics.length === 0) return { loss: total / weight, metrics: {} };
  const [outputs, y] = [joined(parts, rows), answers()];
  return { loss: total / weight, metrics: Object.fromEntries(metrics.map((m) => [m.name, m.of(outputs, y)])) };
}

/** Batches in one call: few enough that what they give stays small. */
const perCall = 8;

/** All rows in order, as calls of so many steps of one width. Throws where the batch is none. */
function* blocks(rows: number, batch: number): Generator<{ readonly steps: number; readonly width: number }> {
  let left = rows;
  if (!Number.isInteger(batch) || batch < 1) fail(`batch: expected a whole number from 1, got ${batch}`);
  while (left > 0) {
    const width = Math.min(batch, left);
    const steps = Math.min(Math.floor(left / width), perCall);
    yield { steps, width };
    left -= steps * width;
  }
}

/** The same as feeds of row numbers. */
export function* inBatches(n: number, batch: number): Generator<{ readonly steps: number; readonly feeds: Rows }> {
  let from = 0;
  for (const { steps, width } of blocks(n, batch)) {
    const start = from;
    const rows = Int32Array.from({ length: steps * width }, (_, k) => start + k);
    yield { steps, feeds: { rows: value([steps, width], rows, "i32") } };
    from += steps * width;
  }
}

/** Rows from … from + count − 1, and the last of them `again` times more. */
function slice({ dtype, shape, data }: Value, from: number, count: number, again: number): Value["data"] {
  const width = data.length / shape[0]!;
  const out = new dtypes[dtype].array((count + again) * width);
  out.set(data.subarray(from * width, (from + count) * width));
  const last = data.subarray((from + count - 1) * width, (from + count) * width);
  for (let k = 0; k < again; k++) out.set(last, (count + k) * width);
  return out;
}

/** The first n outputs of several calls, [steps, batch, …] each, as one [n, …]. */
function joined(parts: readonly Value[], n: number): Value {
  const [first] = parts as [Value];
  const shape = [n, ...first.shape.slice(2)];
  const data = new dtypes[first.dtype].array(size(shape));
  let at = 0;
  for (const part of parts) {
    data.set(part.data.subarray(0, data.length - at), at); // what filled up the last batch is left out
    at += part.data.length;
  }
  return new Value(first.dtype, shape, data);
}
