/**
 * Pooling over one, two or three axes: the largest or the mean of each window. There is nothing to bind, so a layer is
 * a plain function of a Tensor, as activations are. A pool of output size 1 is global: `adaptiveAvgPool2d(1)`.
 */
import { fail } from "../ir/fail.ts";
import type { Range } from "../ir/ops.ts";
import { checkOptions } from "../ir/options.ts";
import { literal, type Tensor } from "../ir/tensor.ts";
import { value } from "../ir/value.ts";
import { bothSides, counts, expectSpatial, type PerAxis, perAxis, type Taps, taps, windows } from "./spatial.ts";

type Pool = (x: Tensor) => Tensor;
type Common = {
  /** Distance between windows; the kernel's size unless given, so that they do not overlap. */
  readonly stride?: PerAxis;
  /** Elements added on both sides, at most half of the kernel. 0 unless given. */
  readonly padding?: PerAxis;
  /** Round the number of windows up: the last one may reach beyond the input. */
  readonly ceilMode?: boolean;
};
export type MaxPoolOptions = Common & {
  /** Distance between the taps of a window. 1 unless given. */
  readonly dilation?: PerAxis;
};
export type AvgPoolOptions = Common & {
  /** Whether the zeros of the padding count in the mean. True unless given, as in PyTorch. */
  readonly countIncludePad?: boolean;
};

/**
 * The largest of each window.   f32[n, c, t] → f32[n, c, t'],
 * t' = ⌊(t + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, with ⌈ ⌉ in ceilMode
 *
 * Padding is −∞, so that it is never the largest. Equal largest elements share the gradient evenly; PyTorch gives all
 * of it to the first of them. Throws where an option is no whole number or does not fit, and where an input has other
 * axes, is no float, or is too short.
 */
export const maxPool1d = maxPool("maxPool1d", 1);
/** `maxPool1d` over two axes.   f32[n, c, h, w] → f32[n, c, h', w'] */
export const maxPool2d = maxPool("maxPool2d", 2);
/** `maxPool1d` over three axes.   f32[n, c, d, h, w] → f32[n, c, d', h', w'] */
export const maxPool3d = maxPool("maxPool3d", 3);

/**
 * The mean of each window.   f32[n, c, t] → f32[n, c, t'], t' = ⌊(t + 2·padding − kernel) / stride⌋ + 1, with ⌈ ⌉ in
 * ceilMode
 *
 * The zeros of the padding count unless `countIncludePad` is false; what ceilMode adds beyond them never does, as in
 * PyTorch. Throws as `maxPool1d` does.
 */
export const avgPool1d = avgPool("avgPool1d", 1);
/** `avgPool1d` over two axes.   f32[n, c, h, w] → f32[n, c, h', w'] */
export const avgPool2d = avgPool("avgPool2d", 2);
/** `avgPool1d` over three axes.   f32[n, c, d, h, w] → f32[n, c, d', h', w'] */
export const avgPool3d = avgPool("avgPool3d", 3);

/**
 * The mean of `to` parts of each axis: part i is [⌊i·t / to⌋, ⌈(i + 1)·t / to⌉), so parts may overlap where `to` does
 * not divide t.   f32[n, c, t] → f32[n, c, to]
 */
export const adaptiveAvgPool1d = adaptive("adaptiveAvgPool1d", 1, mean, meanOfParts);
/** `adaptiveAvgPool1d` over two axes.   f32[n, c, h, w] → f32[n, c, ..to] */
export const adaptiveAvgPool2d = adaptive("adaptiveAvgPool2d", 2, mean, meanOfParts);
/** `adaptiveAvgPool1d` over three axes.   f32[n, c, d, h, w] → f32[n, c, ..to] */
export const adaptiveAvgPool3d = adaptive("adaptiveAvgPool3d", 3, mean, meanOfParts);

/** The largest of the parts that `adaptiveAvgPool1d` has. Gradients as in `maxPool1d`.   f32[n, c, t] → f32[n, c, to] */
export const adaptiveMaxPool1d = adaptive("adaptiveMaxPool1d", 1, largest, largestOfParts);
/** `adaptiveMaxPool1d` over two axes.   f32[n, c, h, w] → f32[n, c, ..to] */
export const adaptiveMaxPool2d = adaptive("adaptiveMaxPool2d", 2, largest, largestOfParts);
/** `adaptiveMaxPool1d` over three axes.   f32[n, c, d, h, w] → f32[n, c, ..to] */
export const adaptiveMaxPool3d = adaptive("adaptiveMaxPool3d", 3, largest, largestOfParts);

function maxPool(name: string, rank: number) {
  return (kernel: PerAxis, options: MaxPoolOptions = {}): Pool => {
    checkOptions(name, options, ["stride", "padding", "dilation", "ceilMode"]);
    const sliding = windowsOf(name, rank, kernel, options, Number.NEGATIVE_INFINITY);
    return (x) => sliding(x).amax(last(rank));
  };
}

function avgPool(name: string, rank: number) {
  return (kernel: PerAxis, options: AvgPoolOptions = {}): Pool => {
    checkOptions(name, options, ["stride", "padding", "ceilMode", "countIncludePad"]);
    const { countIncludePad = true } = options;
    const sliding = windowsOf(name, rank, kernel, options, 0);
    return (x) => {
      let y = sliding(x).sum(last(rank));
      for (const [k, { size, stride }] of sliding.along.entries()) {
        const [n, p] = [x.shape[k + 2]!, sliding.around[k]![0]];
        const [from, to] = countIncludePad ? [-p, n + p] : [0, n]; // what counts
        const starts = Array.from({ length: y.shape[k + 2]! }, (_, i) => i * stride - p);
        const counted = starts.map((at) => Math.min(at + size, to) - Math.max(at, from));
        y = divided(y, k + 2, counted);
      }
      return y;
    };
  };
}

/** What options describe, as a function: [n, c, ..s] → [n, c, ..s', ..kernel]. */
function windowsOf(name: string, rank: number, kernel: PerAxis, options: MaxPoolOptions, outside: number) {
  const { stride = kernel, padding = 0, dilation = 1, ceilMode = false } = options;
  const along = taps(name, rank, { kernel, stride, dilation });
  const around = bothSides(name, padding, rank);
  for (const [k, { size }] of along.entries()) {
    // More, and a window could lie in the padding alone.
    if (around[k]![0] > size / 2) fail(`${name}: padding ${around[k]![0]} is more than half of the kernel, ${size}`);
  }
  const sliding = (x: Tensor) => {
    expectSpatial(name, x, rank);
    return windows(x, along, around, counts(name, x, along, around, ceilMode), outside);
  };
  return Object.assign(sliding, { along, around });
}

/** By one number for each place of an axis. */
function divided(y: Tensor, axis: number, by: readonly number[]): Tensor {
  if (by.every((m) => m === by[0])) return y.mul(1 / by[0]!);
  const shape = y.shape.map((n, k) => (k === axis ? n : 1));
  return y.div(literal(value(shape, by, y.dtype)));
}

/** A pool by its output size: even parts are windows that do not overlap, uneven ones are taken axis by axis. */
function adaptive(
  name: string,
  rank: number,
  even: (windows: Tensor, over: readonly number[]) => Tensor,
  uneven: (x: Tensor, axis: number, parts: readonly Range[]) => Tensor,
) {
  return (to: PerAxis): Pool => {
    const count = perAxis(name, "the output size", to, rank, 1);
    const none = count.map((): Range => [0, 0]);
    return (x) => {
      expectSpatial(name, x, rank);
      const lengths = x.shape.slice(2);
      if (lengths.includes(0)) fail(`${name}: input ${x} is empty`);
      const divides = (k: number) => lengths[k]! % count[k]! === 0;
      const reduced = count.reduce(
        (y, parts, k) => (divides(k) ? y : uneven(y, k + 2, partsOf(lengths[k]!, parts))),
        x,
      );
      const sizes = count.map((parts, k) => (divides(k) ? lengths[k]! / parts : 1));
      const along = sizes.map((size): Taps => ({ size, stride: size, dilation: 1 }));
      return even(windows(reduced, along, none, count), last(rank));
    };
  };
}

const partsOf = (n: number, parts: number): Range[] =>
  Array.from({ length: parts }, (_, i): Range => [Math.floor((i * n) / parts), Math.ceil(((i + 1) * n) / parts)]);

function mean(x: Tensor, over: readonly number[]): Tensor {
  return x.mean(over);
}

function largest(x: Tensor, over: readonly number[]): Tensor {
  return x.amax(over);
}

/** A product with the matrix that has 1 / length within each part, and 0 elsewhere. */
function meanOfParts(x: Tensor, axis: number, parts: readonly Range[]): Tensor {
  const share = table(x, axis, parts, ([from, to]) => 1 / (to - from));
  return share.mul(x.unsqueeze(axis)).sum(axis + 1);
}

function largestOfParts(x: Tensor, axis: number, parts: readonly Range[]): Tensor {
  const inside = table(x, axis, parts, () => 1).gt(0);
  return inside.where(x.unsqueeze(axis), Number.NEGATIVE_INFINITY).amax(axis + 1);
}

/** `entry` at each element of each part, 0 elsewhere: [.., 1, n, ..] of x.unsqueeze(axis) → [.., parts, n, ..]. */
function table(x: Tensor, axis: number, parts: readonly Range[], entry: (part: Range) => number): Tensor {
  const n = x.shape[axis]!;
  const places = Array.from({ length: n }, (_, i) => i);
  const rows = parts.flatMap((part) => places.map((i) => (i >= part[0] && i < part[1] ? entry(part) : 0)));
  const shape = x.shape.flatMap((_, k) => (k === axis ? [parts.length, n] : [1]));
  return literal(value(shape, rows, x.dtype));
}

/** The last axes, counted from the end. */
const last = (rank: number) => Array.from({ length: rank }, (_, k) => -1 - k);
