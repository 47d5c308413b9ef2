/**
 * Normalisation by channel with running estimates: a batch is normalised by its own mean and variance while it trains,
 * and by averages over the batches seen when the network is used. Batch norm takes its statistics over the examples,
 * instance norm apart in each.
 *
 * Conventions are PyTorch's: the biased variance normalises, the unbiased one goes into the estimate, and `momentum` is
 * the weight of the new value; Keras' momentum is 1 minus that, and its estimate is of the biased variance.
 */
import { fail } from "../ir/fail.ts";
import { variance } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import { axes, size } from "../ir/shape.ts";
import { scalar, type Tensor } from "../ir/tensor.ts";
import { ones, zeros } from "./init.ts";
import { type Cell, module, type StateSpec, state } from "./module.ts";
import {
  type Affine,
  affineByChannel,
  affineParams,
  byChannel,
  checkChannels,
  checkDtype,
  checkEpsilon,
  checkSizes,
  type If,
  type None,
  type Norm,
  standardised,
} from "./norm.ts";

type Options = {
  /** Added to the variance; 1e-5 unless given. */
  readonly epsilon?: number;
  /** With weight and bias per channel, at first 1 and 0. */
  readonly affine?: boolean;
  /** With running_mean and running_var; without them every batch is normalised by its own statistics. */
  readonly trackRunningStats?: boolean;
};
export type BatchNormOptions = Options & {
  /** running ← (1 − momentum) · running + momentum · batch, 0.1 unless given; null: the mean of all batches so far. */
  readonly momentum?: number | null;
};
export type InstanceNormOptions = Options & { readonly momentum?: number };

type Running = { running_mean: StateSpec; running_var: StateSpec };
type Counted = Running & { num_batches_tracked: StateSpec };
type Kept<O extends BatchNormOptions> = If<O["trackRunningStats"], O["momentum"] extends null ? Counted : Running>;
type BatchNormChildren<O extends BatchNormOptions> = If<O["affine"], Affine> & Kept<O>;
/** Both are off unless asked for. */
type InstanceNormChildren<O extends InstanceNormOptions> = (O["affine"] extends true ? Affine : None) &
  (O["trackRunningStats"] extends true ? Running : None);

/**
 * Batch normalisation. Ioffe & Szegedy 2015.   x: f32[n, features] or f32[n, features, l] → same
 *
 *   (x − mean) / √(variance + ε) · weight + bias
 *
 * In training mean and variance are the batch's over all axes but 1, and running_mean and running_var move towards
 * them; outside they are the running ones.
 *
 * Throws where axis 1 has another length, x another number of axes or another dtype, and where a batch's own statistics
 * are asked for and a channel has a single value. `momentum: null` keeps num_batches_tracked; otherwise it is left out.
 */
export const batchNorm1d = <const O extends BatchNormOptions = None>(
  features: number,
  options?: O,
): Norm<BatchNormChildren<O>> => batchNorm("batchNorm1d", [2, 3], features, options);

/** Batch normalisation of images, f32[n, channels, h, w] → same; all else as batchNorm1d. */
export const batchNorm2d = <const O extends BatchNormOptions = None>(
  channels: number,
  options?: O,
): Norm<BatchNormChildren<O>> => batchNorm("batchNorm2d", [4], channels, options);

/** Batch normalisation of volumes, f32[n, channels, d, h, w] → same; all else as batchNorm1d. */
export const batchNorm3d = <const O extends BatchNormOptions = None>(
  channels: number,
  options?: O,
): Norm<BatchNormChildren<O>> => batchNorm("batchNorm3d", [5], channels, options);

/**
 * Instance normalisation: each channel of each example by its own mean and variance, in training and outside.
 * Ulyanov, Vedaldi & Lempitsky 2016.   x: f32[n, features, l] → same
 *
 * Off unless asked for, as in PyTorch: weight and bias (`affine`), and running statistics (`trackRunningStats`), the
 * mean over the examples, by which it then normalises outside training. Throws as batchNorm1d does.
 */
export const instanceNorm1d = <const O extends InstanceNormOptions = None>(
  features: number,
  options?: O,
): Norm<InstanceNormChildren<O>> => instanceNorm("instanceNorm1d", [3], features, options);

/** Instance normalisation of images, f32[n, channels, h, w] → same; all else as instanceNorm1d. */
export const instanceNorm2d = <const O extends InstanceNormOptions = None>(
  channels: number,
  options?: O,
): Norm<InstanceNormChildren<O>> => instanceNorm("instanceNorm2d", [4], channels, options);

/** Instance normalisation of volumes, f32[n, channels, d, h, w] → same; all else as instanceNorm1d. */
export const instanceNorm3d = <const O extends InstanceNormOptions = None>(
  channels: number,
  options?: O,
): Norm<InstanceNormChildren<O>> => instanceNorm("instanceNorm3d", [5], channels, options);

const batchNorm = (name: string, ranks: readonly number[], channels: number, options: BatchNormOptions = {}) => {
  checkOptions(name, options, ["epsilon", "momentum", "affine", "trackRunningStats"]);
  return normaliser(name, ranks, channels, { affine: true, trackRunningStats: true, ...options }, 0);
};

const instanceNorm = (name: string, ranks: readonly number[], channels: number, options: InstanceNormOptions = {}) => {
  checkOptions(name, options, ["epsilon", "momentum", "affine", "trackRunningStats"]);
  return normaliser(name, ranks, channels, { affine: false, trackRunningStats: false, ...options }, 2);
};

/** Statistics over axis 0, where `first` is 0, and over all axes from 2 on. */
// any: which children there are depends on the options, which the types above follow
function normaliser(
  name: string,
  ranks: readonly number[],
  channels: number,
  { epsilon = 1e-5, momentum = 0.1, affine, trackRunningStats }: BatchNormOptions,
  first: 0 | 2,
): Norm<any> {
  checkSizes(`${name}(${channels})`, [channels]);
  checkEpsilon(name, epsilon);
  if (momentum !== null && !(momentum >= 0 && momentum <= 1)) {
    fail(
      `${name}: momentum is the weight of the new value and lies in 0 … 1, got ${momentum}`,
      "a momentum of Keras is 1 minus that; null averages all batches",
    );
  }
  const children = {
    ...(affine && affineParams(channels)),
    ...(trackRunningStats && { running_mean: state([channels], zeros), running_var: state([channels], ones) }),
    ...(trackRunningStats && momentum === null && { num_batches_tracked: state([], zeros) }),
  };

  return module(children, (m, x, { training }) => {
    checkDtype(name, x, m.weight ?? m.running_mean?.now);
    if (!ranks.includes(x.rank)) fail(`${name}: input ${x} has ${x.rank} axes, it must have ${ranks.join(" or ")}`);
    checkChannels(name, x, channels);
    const running = m.running_mean && m.running_var && { mean: m.running_mean, variance: m.running_var };
    if (running && !training) {
      const [mean, spread] = [byChannel(running.mean.now, x), byChannel(running.variance.now, x)];
      return affineByChannel(standardised(x, mean, spread, epsilon), m.weight, m.bias);
    }

    const over = axes(x.shape).filter((k) => k >= 2 || k === first);
    const count = size(over.map((k) => x.shape[k]!));
    if (count < 2) tooFew(name, x, count, first === 0);
    const mean = x.mean(over, { keep: true });
    const spread = variance(x, over, { keep: true });
    if (running) {
      const seen = m.num_batches_tracked?.now.add(1);
      if (seen) m.num_batches_tracked!.next(seen);
      const share = seen ? scalar(1, x.dtype).div(seen) : scalar(momentum!, x.dtype);
      move(running.mean, mean, share);
      move(running.variance, spread.mul(count / (count - 1)), share);
    }
    return affineByChannel(standardised(x, mean, spread, epsilon), m.weight, m.bias);
  });
}

/** running ← running + share · (the mean over the examples − running). */
function move(running: Cell, statistic: Tensor, share: Tensor): void {
  running.average(statistic.detach().mean(0).reshape(running.now.shape), share);
}

function tooFew(name: string, x: Tensor, count: number, batch: boolean): never {
  fail(
    `${name}: input ${x} has ${count === 1 ? "one value" : "no value"} per channel${batch ? "" : " and example"}, where a variance takes two`,
    batch
      ? "training takes batches of two rows and more, the last one of an epoch too; layerNorm and groupNorm take one"
      : "leave it out where one element of space is left",
  );
}
