/**
 * Composites: the mathematics of networks in a few primitives each, with no gradient rule of their own. Each is right
 * in value and in slope at its seams (0, ties, ±large), which is what decides how it is written.
 */
import { fail, shown } from "./fail.ts";
import type { Range } from "./ops.ts";
import { type Axes, asOne, axesOf, full, iota, type Like, lift, Tensor } from "./tensor.ts";

// ---- activations -----------------------------------------------------------------------------------------------------

/** x, where it is one: relu() and leakyRelu(0.2) between layers are the commonest slips of plain JavaScript. */
function operand(name: string, x: Tensor): Tensor {
  if (x instanceof Tensor) return x;
  const hint = `between layers it stands as it is, ${name}, or with an option as (x) => ${name}(x, …)`;
  return fail(`${name}: expected a Tensor, got ${shown(x)}`, hint);
}

/** max(x, 0). Slope 0 at 0, as PyTorch has it; a NaN stays one, which is why the test is for x ≤ 0. */
export const relu = (x: Tensor): Tensor => operand("relu", x).le(0).where(0, x);

/** x where positive, slope · x elsewhere. Maas et al. 2013. */
export const leakyRelu = (x: Tensor, slope = 0.01): Tensor => operand("leakyRelu", x).le(0).where(x.mul(slope), x);

/** x where positive, α (eˣ − 1) elsewhere; expm1 never sees what would overflow. Slope 1 at 0. Clevert et al. 2016. */
export function elu(x: Tensor, alpha = 1): Tensor {
  const negative = operand("elu", x).lt(0);
  return negative.where(negative.where(x, 0).expm1().mul(alpha), x);
}

export const tanh = (x: Tensor): Tensor => operand("tanh", x).tanh();

/** 1 / (1 + e⁻ˣ). exp only ever sees a non-positive number; the branches agree in value and slope at 0. */
export function sigmoid(x: Tensor): Tensor {
  const negative = operand("sigmoid", x).lt(0);
  const e = negative.where(x, x.neg()).exp();
  return negative.where(e, 1).div(e.add(1));
}

/** log(1 + eˣ) = max(x, 0) + log1p(e^−|x|). */
export function softplus(x: Tensor): Tensor {
  const negative = operand("softplus", x).lt(0);
  return negative.where(0, x).add(negative.where(x, x.neg()).exp().log1p());
}

/** x · sigmoid(x), also called swish. Elfwing et al. 2018. */
export const silu = (x: Tensor): Tensor => operand("silu", x).mul(sigmoid(x));

/** x Φ(x); `approximate: "tanh"` is the form of GPT-2. Hendrycks & Gimpel 2016. */
export function gelu(x: Tensor, { approximate = "none" }: { approximate?: "none" | "tanh" } = {}): Tensor {
  operand("gelu", x);
  if (approximate === "tanh") {
    const inner = x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI));
    return x.mul(0.5).mul(inner.tanh().add(1));
  }
  return asOne(() => x.mul(0.5).mul(x.mul(Math.SQRT1_2).erf().add(1)));
}

// ---- along an axis -----------------------------------------------------------------------------------------------------

/** The largest along the axes as a plain offset: no gradient flows through it, and ±∞ becomes 0 so that ∞ − ∞ never is. */
function offset(x: Tensor, over: Axes): Tensor {
  const top = x.detach().amax(over, { keep: true });
  return top.abs().eq(Number.POSITIVE_INFINITY).where(0, top);
}

/** e^x / Σ e^x along `over`, the last axis unless said otherwise. */
export function softmax(x: Tensor, over: Axes = -1): Tensor {
  const e = operand("softmax", x).sub(offset(x, over)).exp();
  return e.div(e.sum(over, { keep: true }));
}

/** log Σ e^x along `over`. */
export function logSumExp(x: Tensor, over: Axes = -1, { keep = false } = {}): Tensor {
  const top = offset(x, over);
  const y = x.sub(top).exp().sum(over, { keep: true }).log().add(top);
  return keep ? y : y.squeeze(axesOf("logSumExp", x, over));
}

/** x − logSumExp(x): accurate where softmax underflows, and far from 0, since the offset is taken off first. */
export function logSoftmax(x: Tensor, over: Axes = -1): Tensor {
  const shifted = operand("logSoftmax", x).sub(offset(x, over));
  return shifted.sub(shifted.exp().sum(over, { keep: true }).log());
}

/** Σ (x − mean)² / (n − correction). correction 0 is the biased one; PyTorch's default is 1. */
export function variance(x: Tensor, over?: Axes, { correction = 0, keep = false } = {}): Tensor {
  if (!x.isFloat) fail(`variance: ${x} is not a float`, `cast it first: x.cast("f32")`);
  const n = axesOf("variance", x, over).reduce((a, k) => a * x.shape[k]!, 1);
  if (n <= correction)
    fail(`variance: ${n} values with correction ${correction} in ${x}: there is nothing to divide by`);
  return x
    .sub(x.mean(over, { keep: true }))
    .square()
    .sum(over, { keep })
    .mul(1 / (n - correction));
}

/** √Σ x² along `over`, all axes by default. Slope 0 where it is 0. */
export function norm(x: Tensor, over?: Axes, { keep = false } = {}): Tensor {
  const s = x.square().sum(over, { keep });
  const zero = s.eq(0);
  return zero.where(0, zero.where(1, s).sqrt());
}

/** Σ x[0 … k] at every k of one axis. O(n²) work: windows of all lengths at once. */
export function cumulativeSum(x: Tensor, axis: number): Tensor {
  const k = axesOf("cumulativeSum", x, axis)[0]!;
  const n = x.shape[k]!;
  const padded = x.pad(x.shape.map((_, j): Range => (j === k ? [n - 1, 0] : [0, 0])));
  return padded.window({ axis: k, size: n, stride: 1, dilation: 1 }).sum(-1);
}

// ---- indices -----------------------------------------------------------------------------------------------------------

/** Where the largest is along one axis; the first of equals. → i32 */
export function argmax(x: Tensor, axis = -1): Tensor {
  const k = axesOf("argmax", x, axis)[0]!;
  const n = x.shape[k]!;
  const place = iota(n).reshape(x.shape.map((m, j) => (j === k ? m : 1)));
  const fromEnd = x.eq(x.amax(k, { keep: true })).where(place.mul(-1).add(n), 1);
  return fromEnd.amax(k).mul(-1).add(n);
}

/** int[..] → f32[.., classes]: 1 at the class, 0 elsewhere. */
export function oneHot(x: Tensor, classes: number, dtype: "f32" | "f64" = "f32"): Tensor {
  const at = x.op === "bound" ? x : x.bound(classes, `oneHot of ${classes} classes`);
  return at.unsqueeze(-1).eq(iota(classes, x.dtype)).cast(dtype);
}

/** Rows of a table, an embedding: f32[n, ..], int[..at] → f32[..at, ..]. */
export const take = (table: Tensor, at: Tensor): Tensor => table.gather(at);

/** x[.., index of that row]: one element of each row along the last axis.  f32[.., k], int[..] → f32[..] */
export function pick(x: Tensor, at: Tensor): Tensor {
  const k = x.shape.at(-1)!;
  if (`${at.shape}` !== `${x.shape.slice(0, -1)}`)
    fail(`pick: indices ${at} must have the shape of ${x} without its last axis`);
  const rows = at.op === "bound" ? at : at.bound(k, `pick from the last axis of ${x}`);
  return rows.unsqueeze(-1).eq(iota(k, at.dtype)).where(x, 0).sum(-1);
}

// ---- joining and cutting -------------------------------------------------------------------------------------------------

/** Tensors end to end along one axis. */
export function concat(ts: readonly Tensor[], axis = 0): Tensor {
  const first = ts[0] ?? fail("concat: there is nothing to join");
  const k = axesOf("concat", first, axis)[0]!;
  const total = ts.reduce((n, t) => {
    if (t.rank !== first.rank || t.dtype !== first.dtype || t.shape.some((m, j) => j !== k && m !== first.shape[j])) {
      fail(`concat: ${t} does not fit ${first} on an axis other than ${k}`);
    }
    return n + t.shape[k]!;
  }, 0);
  let at = 0;
  const parts = ts.map((t) => {
    const before = at;
    at += t.shape[k]!;
    return t.pad(t.shape.map((m, j): Range => (j === k ? [before, total - before - m] : [0, 0])));
  });
  return parts.reduce((a, b) => a.add(b));
}

/** Tensors of one shape along a new axis. */
export const stack = (ts: readonly Tensor[], axis = 0): Tensor =>
  concat(
    ts.map((t) => t.unsqueeze(axis)),
    axis,
  );

/** Parts of the given lengths along one axis. */
export function split(x: Tensor, lengths: readonly number[], axis = 0): Tensor[] {
  const k = axesOf("split", x, axis)[0]!;
  const total = lengths.reduce((a, b) => a + b, 0);
  if (total !== x.shape[k]) fail(`split: lengths [${lengths}] add up to ${total}, axis ${k} of ${x} has ${x.shape[k]}`);
  let at = 0;
  return lengths.map((n) => {
    at += n;
    return x.slice(k, at - n, at);
  });
}

/** a + (b − a) · t. */
export const lerp = (a: Tensor, b: Tensor, t: Like): Tensor => a.add(b.sub(a).mul(t));

/** x within [lo, hi]. The slope is 1 inside and 0 outside. */
export function clip(x: Tensor, lo: number, hi: number): Tensor {
  if (!(lo <= hi)) fail(`clip: the range [${lo}, ${hi}] is empty`);
  return x.lt(lo).where(lo, x.gt(hi).where(hi, x));
}

/** x to a fixed power. Whole powers are products, so that negative x are fine; others go through exp and log. */
export function power(x: Tensor, p: number): Tensor {
  if (p === 0.5) return x.sqrt();
  if (p < 0) return lift(1, x.dtype).div(power(x, -p));
  if (Number.isInteger(p) && p <= 64) {
    let out: Tensor | undefined;
    let square = x;
    for (let n = p; n > 0; n = Math.floor(n / 2)) {
      if (n % 2) out = out ? out.mul(square) : square;
      if (n > 1) square = square.square();
    }
    return out ?? full(1, x.shape, x.dtype);
  }
  // At 0 a logarithm has no slope to give: there x^p is 0, with the slope 0 or, where p < 1, that of a root.
  const zero = x.eq(0);
  return zero.where(p > 1 ? 0 : x.sqrt(), zero.where(1, x).log().mul(p).exp());
}
