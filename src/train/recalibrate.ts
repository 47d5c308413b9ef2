/**
 * Running statistics for weights that were not trained with them. An average of weights has activations of its own, so
 * what batch norms remember of those along the way fits none of it: a pass over data takes their mean anew.
 */
import { checkOptions } from "../ir/options.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { apply, type Module, type Params, type State } from "../nn/index.ts";
import { foldIn, key } from "../random.ts";
import type { LoopOptions } from "../run/loop.ts";
import { Run, type RunOptions } from "../run/run.ts";
import * as tree from "../tree.ts";
import { count, requireData, requireModel, requireNet } from "./check.ts";
import { type Data, type Examples, examplesOf, type Resident } from "./examples.ts";
import { Plan } from "./plan.ts";
import type { Rows } from "./step.ts";

export type RecalibrateOptions = RunOptions &
  Pick<LoopOptions, "precision"> & {
    /** Rows per batch; unless given 32, or all where there are fewer. As in training, whose statistics these replace. */
    readonly batch?: number | "full";
    /** How many of them; all unless given. */
    readonly batches?: number;
    /** Rows in random order; true unless given. Sorted rows make batches that are too much alike within. */
    readonly shuffle?: boolean;
    /** Of that order, and of what the net draws, such as dropout; 0 unless given. */
    readonly seed?: number;
  };

/**
 * The state of a net with its running statistics recomputed for these parameters: each the mean over the batches of data,
 * as the net makes them in training. → a state; what is no running average in it stays as it is
 *
 * PyTorch's update_bn, with these deviations: rows are shuffled here and not by a loader; num_batches_tracked stays; and a
 * last batch of a single row, of which there is no variance, is left out.
 * Throws where the data have no rows, or net or model are none.
 */
export async function recalibrate<N extends Module>(
  net: N,
  model: { readonly params: Params<N>; readonly state: State<N> },
  data: Data,
  options: RecalibrateOptions = {},
): Promise<State<N>> {
  requireNet("recalibrate: net", net);
  requireModel("recalibrate: model", model, "recalibrate(net, { params, state }, { x, y })");
  checkOptions("recalibrate", options, ["batch", "batches", "shuffle", "seed", "backend", "threads", "precision"]);
  const rows = requireData("recalibrate: data", data);
  const { batch = Math.min(32, rows), batches, shuffle = true, seed = 0, backend, threads, precision } = options;
  if (batches !== undefined) count("recalibrate: batches", batches);
  if (tree.leaves(model.state).length === 0) return model.state;
  const plan = new Plan(rows, { batch, accumulate: 1, seed, shuffle });
  const calls = calibration(plan, seed, batches);
  return recalibrated(net, model, examplesOf(data), calls, { backend, threads, precision });
}

/** The same over calls that are already made. */
export async function recalibrated(
  net: Module,
  { params, state }: Calibrated,
  examples: Examples,
  calls: readonly Call[],
  { backend, threads, precision }: RunOptions & Pick<LoopOptions, "precision">,
): Promise<Calibrated["state"]> {
  const run = await Run.start<Calibrated>({ params, state }, { backend, threads });
  const loop = run.loop(calibrationStep(net, examples), { data: examples.resident, precision });
  for (const { steps, feeds } of calls) await loop.take(steps, feeds);
  return run.part("state");
}

// any: these trees are as the net and the rule made them; here they only pass through
type Calibrated = { readonly params: any; readonly state: any };
type Traced<T> = tree.Mapped<T, Value, Tensor>;

/** The nth batch of a recalibration, counted from 1. */
export type Nth = Rows & { readonly nth: Value };
export type Call = { readonly steps: number; readonly feeds: Nth };

/** Running statistics after one batch more, of the parameters that `show` gives. */
export const calibrationStep =
  (net: Module, { batch }: Examples, show: (s: any) => Calibrated["params"] = ({ params }) => params) =>
  (s: any, feed: Traced<Nth>, data: Traced<Resident>) => {
    const { x } = batch(data, feed.rows);
    const [, state] = apply(net, { params: show(s), state: s.state }, x, {
      training: true,
      key: feed.key,
      nth: feed.nth,
    });
    return { state: { ...s, state }, output: {} };
  };

/** Batches in one call: few enough that a host that computes on this thread gets a word in between. */
const perCall = 16;

/** The batches of a plan's first epoch, `most` of them, as calls of steps of one width. */
export function calibration(plan: Plan, seed: number, most = Number.POSITIVE_INFINITY): Call[] {
  const { size, full, updates } = plan;
  const order = plan.rows({ epoch: 0, update: 0, step: 0 }, updates);
  const rest = order.length % size;
  const batches = Math.min(most, Math.ceil(order.length / size));
  const whole = Math.min(batches, Math.floor(order.length / size));
  const call = (from: number, steps: number, width: number): Call => {
    const nth = Array.from({ length: steps }, (_, k) => from + k + 1);
    const root = foldIn(key(seed), "recalibrate");
    const keys = nth.flatMap((n) => foldIn(root, n));
    const rows = order.slice(from * size, from * size + steps * width);
    return {
      steps,
      feeds: {
        nth: value([steps], nth),
        key: value([steps, 2], keys, "u32"),
        ...(!full && { rows: value([steps, width], rows, "i32") }),
      },
    };
  };
  const calls = Array.from({ length: Math.ceil(whole / perCall) }, (_, k) =>
    call(k * perCall, Math.min(perCall, whole - k * perCall), size),
  );
  return rest > 1 && batches > whole ? [...calls, call(whole, 1, rest)] : calls;
}
