/**
 * Normalisation within each example: mean and variance leave the examples apart, so that a layer here keeps no state,
 * does the same in training and outside, and knows no smallest batch.
 *
 * A variance is Σ (x − mean)² / n, biased as in PyTorch. The mean comes first: E[x²] − E[x]² would lose every digit
 * where the mean is large.
 */
import { fail, shown } from "../ir/fail.ts";
import { variance } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import { axes, type Shape, sameShape, size } from "../ir/shape.ts";
import { asOne, scalar, type Tensor } from "../ir/tensor.ts";
import { ones, zeros } from "./init.ts";
import { type Module, module, type ParamSpec, param } from "./module.ts";

export type Norm<C> = Module<C, readonly [], Tensor>;
export type Affine = { weight: ParamSpec; bias: ParamSpec };
export type None = Record<never, never>;
/** The children C, or none where the option is false. */
export type If<Option, C> = Option extends false ? None : C;

export type LayerNormOptions = { readonly epsilon?: number; readonly affine?: boolean; readonly bias?: boolean };
type LayerNormChildren<O extends LayerNormOptions> = If<
  O["affine"],
  If<O["bias"], { bias: ParamSpec }> & { weight: ParamSpec }
>;

/**
 * (x − mean) / √(variance + ε) · weight + bias over the last axes, which are `shape` long; a number is one axis.
 * Ba, Kiros & Hinton 2016.   x: f32[.., ...shape] → same, weight and bias: f32[...shape]
 *
 * epsilon  1e-5
 * affine   with weight and bias, at first 1 and 0
 * bias     false leaves the bias out
 *
 * Throws where x ends in other axes than `shape`, or has another dtype than the weight.
 */
export function layerNorm<const O extends LayerNormOptions = None>(
  shape: number | Shape,
  options?: O,
): Norm<LayerNormChildren<O>>;
export function layerNorm(shape: number | Shape, options: LayerNormOptions = {}): Norm<any> {
  checkOptions("layerNorm", options, ["epsilon", "affine", "bias"]);
  const { epsilon = 1e-5, affine = true, bias = true } = options;
  const last = typeof shape === "number" ? [shape] : shape;
  checkLast("layerNorm", last);
  checkEpsilon("layerNorm", epsilon);
  const children = {
    ...(affine && { weight: param(last, ones) }),
    ...(affine && bias && { bias: param(last, zeros) }),
  };
  return module(children, (m, x) => {
    checkDtype("layerNorm", x, m.weight);
    const over = lastAxes("layerNorm", x, last);
    return asOne(() => {
      const mean = x.mean(over, { keep: true });
      const y = standardised(x, mean, variance(x, over, { keep: true }), epsilon);
      return affineOf(y, m.weight, m.bias);
    });
  });
}

/**
 * x / √(mean of x² + ε) · weight over the last axes: layer norm without the mean. Zhang & Sennrich 2019.
 *   x: f32[.., ...shape] → same, weight: f32[...shape]
 *
 * epsilon  unless given, the machine epsilon of x's dtype, as in PyTorch; published models mostly have 1e-5 or 1e-6
 * affine   with the weight, at first 1
 *
 * Throws where x ends in other axes than `shape`, or has another dtype than the weight.
 */
export function rmsNorm<
  const O extends { readonly epsilon?: number; readonly affine?: boolean } = Record<never, never>,
>(shape: number | Shape, options?: O): Norm<If<O["affine"], { weight: ParamSpec }>>;
export function rmsNorm(
  shape: number | Shape,
  options: { readonly epsilon?: number; readonly affine?: boolean } = {},
): Norm<any> {
  checkOptions("rmsNorm", options, ["epsilon", "affine"]);
  const { epsilon, affine = true } = options;
  const last = typeof shape === "number" ? [shape] : shape;
  checkLast("rmsNorm", last);
  checkEpsilon("rmsNorm", epsilon);
  return module({ ...(affine && { weight: param(last, ones) }) }, (m, x) => {
    checkDtype("rmsNorm", x, m.weight);
    const square = x.square().mean(lastAxes("rmsNorm", x, last), { keep: true });
    const machine = x.dtype === "f64" ? 2 ** -52 : 2 ** -23;
    return affineOf(x.mul(reciprocalRoot(square, epsilon ?? machine)), m.weight, undefined);
  });
}

/**
 * Each group of channels / groups neighbouring channels of an example normalised as one, then scaled and shifted by
 * channel. Wu & He 2018.   x: f32[n, channels, ..] → same, weight and bias: f32[channels]
 *
 * epsilon  1e-5
 * affine   with weight and bias, at first 1 and 0
 *
 * Throws where the groups do not divide the channels, or axis 1 of x has another number of channels.
 */
export function groupNorm<
  const O extends { readonly epsilon?: number; readonly affine?: boolean } = Record<never, never>,
>(groups: number, channels: number, options?: O): Norm<If<O["affine"], Affine>>;
export function groupNorm(
  groups: number,
  channels: number,
  options: { readonly epsilon?: number; readonly affine?: boolean } = {},
): Norm<any> {
  checkOptions("groupNorm", options, ["epsilon", "affine"]);
  const { epsilon = 1e-5, affine = true } = options;
  checkSizes(`groupNorm(${groups}, ${channels})`, [groups, channels]);
  if (channels % groups) fail(`groupNorm(${groups}, ${channels}): ${groups} groups do not divide ${channels} channels`);
  checkEpsilon("groupNorm", epsilon);
  return module({ ...(affine && affineParams(channels)) }, (m, x) => {
    checkDtype("groupNorm", x, m.weight);
    checkChannels("groupNorm", x, channels);
    const rows = x.reshape([x.shape[0]!, groups, size(x.shape.slice(1)) / groups]);
    const mean = rows.mean(-1, { keep: true });
    const y = standardised(rows, mean, variance(rows, -1, { keep: true }), epsilon).reshape(x.shape);
    return affineByChannel(y, m.weight, m.bias);
  });
}

// ---- what all norms share --------------------------------------------------------------------------------------------

export const affineParams = (channels: number): Affine => ({
  weight: param([channels], ones),
  bias: param([channels], zeros),
});

/** 1 / √(x + ε). One root per statistic: what is left for the elements is a product. */
const reciprocalRoot = (x: Tensor, epsilon: number): Tensor => scalar(1, x.dtype).div(x.add(epsilon).sqrt());

/** (x − mean) / √(variance + ε). */
export const standardised = (x: Tensor, mean: Tensor, variance: Tensor, epsilon: number): Tensor =>
  x.sub(mean).mul(reciprocalRoot(variance, epsilon));

/** x · weight + bias, each where it is there. */
function affineOf(x: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor {
  const scaled = weight ? x.mul(weight) : x;
  return bias ? scaled.add(bias) : scaled;
}

/** f32[c], so that it broadcasts over axis 1 of x. */
export const byChannel = (t: Tensor, x: Tensor): Tensor => t.reshape([t.shape[0]!, ...x.shape.slice(2).map(() => 1)]);

/** As affineOf, with weight and bias per channel. */
export const affineByChannel = (x: Tensor, weight: Tensor | undefined, bias: Tensor | undefined): Tensor =>
  affineOf(x, weight && byChannel(weight, x), bias && byChannel(bias, x));

/** The last axes of x. Throws unless they are `shape`. */
function lastAxes(what: string, x: Tensor, shape: Shape): number[] {
  const from = x.rank - shape.length;
  if (from < 0 || !sameShape(x.shape.slice(from), shape)) {
    const turned = shape.length === 1 && x.shape[1] === shape[0] && x.rank > 2;
    fail(
      `${what}: input ${x} does not end in [${shape}], over which this layer normalises`,
      turned ? "the features are on axis 1: for channels take groupNorm(1, channels), or permute" : undefined,
    );
  }
  return shape.map((_, k) => from + k);
}

/** Throws unless axis 1 of x has so many channels. */
export function checkChannels(what: string, x: Tensor, channels: number): void {
  if (x.shape[1] === channels) return;
  const reason = x.rank < 2 ? "has no axis 1" : `has ${x.shape[1]} channels on axis 1`;
  const order = axes(x.shape).slice(1, -1);
  fail(
    `${what}: input ${x} ${reason}, this layer expects ${channels}`,
    x.rank > 2 && x.shape.at(-1) === channels
      ? `channels come before space here: x.permute([0, ${x.rank - 1}, ${order.join(", ")}])`
      : undefined,
  );
}

export function checkSizes(call: string, sizes: readonly number[]): void {
  if (!sizes.every((n) => Number.isInteger(n) && n > 0)) fail(`${call}: sizes must be whole numbers from 1 on`);
}

/** Sizes of at least one axis: over none, each number would be its own mean. */
function checkLast(what: string, last: readonly number[]): void {
  if (!Array.isArray(last) || last.length === 0) {
    fail(`${what}: the shape is the size of the last axis, or a list of sizes of the last ones, got ${shown(last)}`);
  }
  checkSizes(`${what}([${last}])`, last);
}

export function checkEpsilon(what: string, epsilon: number | undefined): void {
  if (epsilon !== undefined && !(epsilon >= 0)) fail(`${what}: epsilon must be at least 0, got ${epsilon}`);
}

/** Throws unless x is a float, of the dtype of the layer's own numbers. */
export function checkDtype(what: string, x: Tensor, own: Tensor | undefined): void {
  if (!x.isFloat) fail(`${what}: input ${x} is not a float`, 'cast it first: x.cast("f32")');
  if (own && own.dtype !== x.dtype) {
    fail(`${what}: input ${x} has another dtype than this layer's ${own}`, `cast it first: x.cast("${own.dtype}")`);
  }
}
