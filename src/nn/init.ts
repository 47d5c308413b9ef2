/**
 * Initialisers: functions (shape, key) → numbers, drawn on the host from counters, so the same on every backend.
 *
 * Fan-in and fan-out follow the shape conventions of the layers: [out, in] for a dense weight, [out, in, ..kernel] for
 * a convolution, where each is multiplied by the kernel's elements.
 */
import { fail } from "../ir/fail.ts";
import { type Shape, size } from "../ir/shape.ts";
import * as random from "../random.ts";
import type { Init } from "./module.ts";

/** Every element from its position. Throws where there are more than memory holds. */
function fill(shape: Shape, f: (i: number) => number): Float64Array {
  try {
    const out = new Float64Array(size(shape));
    for (let i = 0; i < out.length; i++) out[i] = f(i);
    return out;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(`init: [${shape}] are ${size(shape)} numbers, more than there is memory for`, "choose smaller sizes");
  }
}

export const zeros: Init = (shape) => fill(shape, () => 0);
export const ones: Init = (shape) => fill(shape, () => 1);
export const constant =
  (c: number): Init =>
  (shape) =>
    fill(shape, () => c);

/** Normal with mean 0. */
export const normal =
  (std = 1): Init =>
  (shape, key) =>
    fill(shape, (i) => std * random.normal(key, i));

/** Uniform within ±bound. */
export const uniform =
  (bound = 1): Init =>
  (shape, key) =>
    fill(shape, (i) => bound * (2 * random.uniform(key, i) - 1));

/**
 * Normal with mean 0, drawn again where it lies outside [low, high]. The bounds are absolute and not in units of
 * `std`, and by default ±2, as in PyTorch; so for a small std nothing is cut off unless they are given.
 */
export const truncatedNormal =
  (std = 1, { low = -2, high = 2 }: { readonly low?: number; readonly high?: number } = {}): Init =>
  (shape, key) => {
    if (!(low < high) || low > 3 * std || high < -3 * std) {
      fail(`truncatedNormal: nearly nothing of a normal with std ${std} lies in [${low}, ${high}]`);
    }
    return fill(shape, (i) => {
      for (let attempt = 0; ; attempt++) {
        const x = std * random.normal(key, i, attempt);
        if (x >= low && x <= high) return x;
      }
    });
  };

/** Connections into and out of one unit. */
export function fans(shape: Shape): { fanIn: number; fanOut: number } {
  const [out, inputs, ...kernel] = shape;
  if (out === undefined || inputs === undefined) {
    fail(
      `the shape [${shape}] has no fan-in and fan-out`,
      "they need [out, in] or [out, in, ..kernel]; for a bias use zeros",
    );
  }
  return { fanIn: inputs * size(kernel), fanOut: out * size(kernel) };
}

export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/** By how much a layer's weights grow to make up for what its nonlinearity takes: PyTorch's calculate_gain. */
export function gain(of: Nonlinearity, slope = 0.01): number {
  const gains: Record<Nonlinearity, number> = {
    linear: 1,
    sigmoid: 1,
    tanh: 5 / 3,
    relu: Math.SQRT2,
    leakyRelu: Math.sqrt(2 / (1 + slope * slope)),
    selu: 3 / 4,
  };
  return gains[of] ?? fail(`gain: unknown nonlinearity ${of}`, `one of ${Object.keys(gains).join(", ")}`);
}

type Fan = { readonly mode?: "fanIn" | "fanOut"; readonly nonlinearity?: Nonlinearity; readonly slope?: number };

/** A spread that depends on the shape, and a distribution with that standard deviation. */
const scaled =
  (draw: (std: number) => Init, std: (fan: ReturnType<typeof fans>) => number): Init =>
  (shape, key) =>
    draw(std(fans(shape)))(shape, key);
const uniformOf = (std: number) => uniform(Math.sqrt(3) * std);

const glorot = (g: number) => (f: ReturnType<typeof fans>) => g * Math.sqrt(2 / (f.fanIn + f.fanOut));
const he =
  ({ mode = "fanIn", nonlinearity = "relu", slope = 0.01 }: Fan) =>
  (f: ReturnType<typeof fans>) =>
    gain(nonlinearity, slope) / Math.sqrt(f[mode]);

/** Standard deviation gain · √(2 / (fanIn + fanOut)). Glorot & Bengio 2010, eq. 16. */
export const xavierUniform = (factor = 1): Init => scaled(uniformOf, glorot(factor));
export const xavierNormal = (factor = 1): Init => scaled(normal, glorot(factor));

/** Standard deviation gain / √fan; the gain is √2 for relu. He et al. 2015, eq. 10 (fanIn) and 14 (fanOut). */
export const heUniform = (options: Fan = {}): Init => scaled(uniformOf, he(options));
export const heNormal = (options: Fan = {}): Init => scaled(normal, he(options));

/** Standard deviation 1 / √fanIn. LeCun et al. 1998, eq. 16. */
export const lecunNormal = (): Init => heNormal({ nonlinearity: "linear" });

/**
 * Rows, or where there are more rows than columns the columns, of a random orthonormal basis, times `factor`; a
 * convolution's [out, in, ..kernel] counts as [out, in · kernel]. Saxe et al. 2014.
 * Modified Gram-Schmidt, twice, on normal draws: a QR with a positive diagonal, so uniform among all bases.
 */
export const orthogonal =
  (factor = 1): Init =>
  (shape, key) => {
    if (shape.length < 2) fail(`orthogonal: the shape [${shape}] has fewer than two axes`);
    const rows = shape[0]!;
    const columns = size(shape.slice(1));
    const [n, d] = [Math.min(rows, columns), Math.max(rows, columns)];
    const basis = Array.from({ length: n }, (_, j) => fill([d], (i) => random.normal(key, j * d + i)));
    for (const [j, v] of basis.entries()) {
      for (const u of [...basis.slice(0, j), ...basis.slice(0, j)]) {
        const along = dot(u, v);
        for (let i = 0; i < d; i++) v[i]! -= along * u[i]!;
      }
      const length = Math.sqrt(dot(v, v));
      for (let i = 0; i < d; i++) v[i]! /= length;
    }
    return fill(shape, (at) => {
      const [i, j] = [Math.floor(at / columns), at % columns];
      return factor * (rows <= columns ? basis[i]![j]! : basis[j]![i]!);
    });
  };

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
