/**
 * Convolution over one, two or three axes, and its transpose. One definition serves all of them: windows of the input
 * times the weight, summed over channels and taps, which is a matrix product whose left side was never written down.
 */
import { fail } from "../ir/fail.ts";
import { vjp } from "../ir/grad.ts";
import { concat } from "../ir/math.ts";
import type { Range } from "../ir/ops.ts";
import { checkOptions } from "../ir/options.ts";
import { input, type Tensor } from "../ir/tensor.ts";
import { fans, uniform } from "./init.ts";
import { type Init, type Module, module, type ParamSpec, param } from "./module.ts";
import {
  bothSides,
  counts,
  expectSpatial,
  layout,
  type PerAxis,
  perAxis,
  span,
  type Taps,
  taps,
  windows,
} from "./spatial.ts";

type Common = {
  /** Distance between windows. 1 unless given. */
  readonly stride?: PerAxis;
  /** Distance between the taps of a window. 1 unless given. */
  readonly dilation?: PerAxis;
  /** Parts of the channels that do not see each other; as many as channels make it depthwise. 1 unless given. */
  readonly groups?: number;
  readonly weightInit?: Init;
  readonly biasInit?: Init;
};
export type PaddingMode = "zeros" | "reflect" | "replicate" | "circular";
export type ConvolutionOptions = Common & {
  /** Elements added on both sides; "same" gives as many outputs as inputs, "valid" is 0, which is the default. */
  readonly padding?: PerAxis | "same" | "valid";
  /** What they are: zeros unless given. */
  readonly paddingMode?: PaddingMode;
};
export type TransposedOptions = Common & {
  /** Elements that are left out on both sides of the output. 0 unless given. */
  readonly padding?: PerAxis;
  /** Elements added at the end of the output, of which a stride leaves the number open. 0 unless given. */
  readonly outputPadding?: PerAxis;
};

/** A layer with a weight and, unless its option `bias` is false, a bias. */
type Weighted<B extends boolean> = Module<
  B extends false ? { weight: ParamSpec } : { weight: ParamSpec; bias: ParamSpec },
  readonly [],
  Tensor
>;
type Make<Options> = <B extends boolean = true>(
  inChannels: number,
  outChannels: number,
  kernel: PerAxis,
  options?: Options & { readonly bias?: B },
) => Weighted<B>;

/**
 * y[n, o, t] = bias[o] + Σ x[n, c, t·stride + j·dilation − padding] · weight[o, c, j] over c and j: a cross-correlation.
 *
 *   x: f32[n, c, t] → f32[n, o, t'], weight: f32[o, c / groups, kernel], bias: f32[o]
 *   t' = ⌊(t + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1
 *
 * "same" is PyTorch's: of dilation·(kernel − 1) added elements the smaller half stands before, and the stride is 1.
 * Weight and bias start uniform within ±1/√(c / groups · kernel), PyTorch's kaiming_uniform_(a=√5). Throws where an
 * option is no whole number or does not fit, and where an input has other axes, channels or dtype, or is too short.
 */
export const conv1d = convolution("conv1d", 1);

/** `conv1d` over two axes.   x: f32[n, c, h, w] → f32[n, o, h', w'], weight: f32[o, c / groups, kh, kw] */
export const conv2d = convolution("conv2d", 2);

/** `conv1d` over three axes.   x: f32[n, c, d, h, w] → f32[n, o, d', h', w'], weight: f32[o, c / groups, kd, kh, kw] */
export const conv3d = convolution("conv3d", 3);

/**
 * The transpose of the convolution, as a linear map, with the same numbers: it adds x[n, c, t] · weight[c, o, j] to
 * y[n, o, t·stride + j·dilation − padding], and then the bias.
 *
 *   x: f32[n, c, t] → f32[n, o, t'], weight: f32[c, o / groups, kernel], bias: f32[o]
 *   t' = (t − 1)·stride − 2·padding + dilation·(kernel − 1) + outputPadding + 1
 *
 * Weight and bias start uniform within ±1/√(o / groups · kernel), as in PyTorch. Throws as `conv1d` does, where
 * outputPadding is not below the stride or the dilation, and where nothing is left of the output.
 */
export const convTranspose1d = transposed("convTranspose1d", 1);

/** `convTranspose1d` over two axes.   x: f32[n, c, h, w] → f32[n, o, h', w'], weight: f32[c, o / groups, kh, kw] */
export const convTranspose2d = transposed("convTranspose2d", 2);

/** `convTranspose1d` over three axes.   x: f32[n, c, d, h, w] → f32[n, o, d', h', w'] */
export const convTranspose3d = transposed("convTranspose3d", 3);

const common = ["stride", "dilation", "groups", "bias", "weightInit", "biasInit"] as const;

function convolution(name: string, rank: number): Make<ConvolutionOptions> {
  return (inChannels, outChannels, kernel, options = {}) => {
    checkOptions(name, options, [...common, "padding", "paddingMode"]);
    const { stride = 1, dilation = 1, groups = 1, padding = 0, paddingMode = "zeros" } = options;
    const along = taps(name, rank, { kernel, stride, dilation });
    const around = paddingOf(name, padding, along);
    const zeros = paddingMode === "zeros";
    if (!zeros && !Object.hasOwn(borders, paddingMode)) {
      fail(`${name}: unknown paddingMode "${paddingMode}"`, `one of zeros, ${Object.keys(borders).join(", ")}`);
    }
    checkChannels(name, inChannels, outChannels, groups);
    const shape = [outChannels, inChannels / groups, ...along.map((t) => t.size)];
    return weighted(shape, outChannels, options, (x, weight) => {
      checkInput(name, x, weight, rank, inChannels);
      const count = counts(name, x, along, around);
      if (zeros) return convolve(x, weight, along, around, count, groups);
      const framed = around.reduce((t, by, k) => border(name, t, k + 2, by, paddingMode), x);
      return convolve(framed, weight, along, bothSides(name, 0, rank), count, groups);
    });
  };
}

function transposed(name: string, rank: number): Make<TransposedOptions> {
  return (inChannels, outChannels, kernel, options = {}) => {
    checkOptions(name, options, [...common, "padding", "outputPadding"]);
    const { stride = 1, dilation = 1, groups = 1, padding = 0, outputPadding = 0 } = options;
    const along = taps(name, rank, { kernel, stride, dilation });
    const around = bothSides(name, padding, rank);
    const extra = perAxis(name, "outputPadding", outputPadding, rank, 0);
    for (const [k, t] of along.entries()) {
      if (extra[k]! < Math.max(t.stride, t.dilation)) continue;
      fail(`${name}: outputPadding ${extra[k]} is not below the stride ${t.stride} or the dilation ${t.dilation}`);
    }
    checkChannels(name, inChannels, outChannels, groups);
    const shape = [inChannels, outChannels / groups, ...along.map((t) => t.size)];
    return weighted(shape, outChannels, options, (x, weight) => {
      checkInput(name, x, weight, rank, inChannels);
      const to = along.map((t, k) => (x.shape[k + 2]! - 1) * t.stride - 2 * around[k]![0] + span(t) + extra[k]!);
      if (to.some((n) => n < 1)) {
        fail(`${name}: of input ${x} nothing is left: the output would be [${to}]`, "use less padding");
      }
      // Linear in its input, so that the input's numbers do not matter: only what flows back to it is kept.
      const origin = input([x.shape[0]!, outChannels, ...to], x.dtype);
      const image = convolve(origin, weight, along, around, x.shape.slice(2), groups);
      return vjp(image, [origin], x)[0]!;
    });
  };
}

/** The layer of a linear map and, unless there is none, a bias. */
function weighted<B extends boolean>(
  shape: readonly number[],
  outChannels: number,
  { bias, weightInit, biasInit }: Common & { readonly bias?: B },
  map: (x: Tensor, weight: Tensor) => Tensor,
): Weighted<B> {
  const start = uniform(1 / Math.sqrt(fans(shape).fanIn));
  const weight = param(shape, weightInit ?? start);
  const plain = () => module({ weight }, (m, x) => map(x, m.weight));
  const biased = () =>
    module({ weight, bias: param([outChannels], biasInit ?? start) }, (m, x) => {
      const y = map(x, m.weight);
      return y.add(m.bias.reshape([outChannels, ...y.shape.slice(2).map(() => 1)]));
    });
  return (bias === false ? plain() : biased()) as Weighted<B>;
}

/** Σ windows · weight over channels and taps.  [n, c, ..s], [o, c / groups, ..k] → [n, o, ..count] */
function convolve(
  x: Tensor,
  weight: Tensor,
  along: readonly Taps[],
  around: readonly Range[],
  count: readonly number[],
  groups: number,
): Tensor {
  const [n, c] = x.shape as [number, number];
  const [o, part, ...kernel] = weight.shape as [number, number, ...number[]];
  const split = groups === 1 ? [] : [groups];
  // Taps before places: the gradient of the windows is then a product with long rows.
  const [places, tapped] = [count.map((_, k) => 2 + k), kernel.map((_, k) => 2 + count.length + k)];
  const columns = windows(x, along, around, count).permute([0, 1, ...tapped, ...places]);
  const rows = columns.reshape([n, ...split, 1, c / groups, ...kernel, ...count]);
  const filters = weight.reshape([...split, o / groups, part, ...kernel, ...count.map(() => 1)]);
  const summed = [0, ...tapped].map((_, k) => 2 + split.length + k);
  return rows
    .mul(filters)
    .sum(summed)
    .reshape([n, o, ...count]);
}

/** Elements before and after each axis. */
function paddingOf(name: string, padding: PerAxis | "same" | "valid", along: readonly Taps[]): Range[] {
  if (padding === "same") return along.map((t) => same(name, t));
  if (typeof padding !== "string") return bothSides(name, padding, along.length);
  if (padding !== "valid") fail(`${name}: unknown padding "${padding}"`, '"same", "valid" or numbers');
  return bothSides(name, 0, along.length);
}

/** As many as a window takes away; where they are odd, the one more comes after. */
function same(name: string, t: Taps): Range {
  if (t.stride !== 1) {
    const hint = `for 1/${t.stride} of the size give numbers: half of what a window spans, rounded down`;
    fail(`${name}: padding "same" with stride ${t.stride}: output and input would not be of one size`, hint);
  }
  const before = Math.floor((span(t) - 1) / 2);
  return [before, span(t) - 1 - before];
}

/** Where the elements beyond the border come from, n of them on one side: before the first (−1) or after the last (1). */
const borders: Record<Exclude<PaddingMode, "zeros">, (x: Tensor, axis: number, n: number, side: -1 | 1) => Tensor> = {
  reflect: (x, axis, n, side) => (side < 0 ? x.slice(axis, 1, n + 1) : x.slice(axis, -1 - n, -1)).flip(axis),
  replicate: (x, axis, n, side) => {
    const edge = side < 0 ? x.slice(axis, 0, 1) : x.slice(axis, -1);
    return edge.expand(edge.shape.with(axis, n));
  },
  circular: (x, axis, n, side) => (side < 0 ? x.slice(axis, -n) : x.slice(axis, 0, n)),
};

function border(name: string, x: Tensor, axis: number, [before, after]: Range, mode: keyof typeof borders): Tensor {
  const n = x.shape[axis]!;
  const most = { reflect: n - 1, replicate: Number.POSITIVE_INFINITY, circular: n }[mode];
  if (Math.max(before, after) > most) {
    fail(
      `${name}: paddingMode "${mode}" has ${most} elements to add on axis ${axis} of ${x}, not ${before} and ${after}`,
    );
  }
  const ahead = before ? [borders[mode](x, axis, before, -1)] : [];
  const behind = after ? [borders[mode](x, axis, after, 1)] : [];
  return concat([...ahead, x, ...behind], axis);
}

function checkChannels(name: string, inChannels: number, outChannels: number, groups: number): void {
  for (const n of [inChannels, outChannels, groups]) {
    if (Number.isInteger(n) && n > 0) continue;
    fail(`${name}(${inChannels}, ${outChannels}, ..): channels and groups must be whole numbers from 1 on, got ${n}`);
  }
  if (inChannels % groups === 0 && outChannels % groups === 0) return;
  fail(`${name}: ${groups} groups do not divide ${inChannels} input channels and ${outChannels} output channels`);
}

function checkInput(name: string, x: Tensor, weight: Tensor, rank: number, channels: number): void {
  expectSpatial(name, x, rank, channels);
  if (x.shape[1] !== channels) {
    const last = [0, rank + 1, ...Array.from({ length: rank }, (_, k) => k + 1)];
    const channelsLast = `the input looks like [${layout(rank).replace("c, ", "")}, c]: x.permute([${last.join(", ")}])`;
    const hint = x.shape.at(-1) === channels ? channelsLast : undefined;
    fail(`${name}: input ${x} has ${x.shape[1]} channels on axis 1, weight ${weight} expects ${channels}`, hint);
  }
  if (x.dtype === weight.dtype) return;
  fail(`${name}: input ${x} and weight ${weight} differ in dtype`, `cast it first: x.cast("${weight.dtype}")`);
}
