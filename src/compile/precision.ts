/**
 * Precision, as one change of the graph of the whole step, made after gradients were taken: no gradient rule knows of it.
 *
 * bf16, f16  the factors of matrix products are rounded, forward and backward alike, and the products are added up in
 *            f32. All else stays f32: parameters and what an optimizer remembers, sums, norms, softmax, losses. The
 *            factors of a gradient's products are rounded too, but never the gradient itself. Of convolutional networks
 *            it is what is kept for the gradient that is rounded: what convolutions give, and what maxima are chosen from.
 * f64        every f32 number of the step is an f64 one. What comes in is cast, and what goes out is cast back.
 */
import type { DType, Half } from "../ir/dtype.ts";
import { fresh } from "../ir/expr.ts";
import { topo } from "../ir/graph.ts";
import { isHalf } from "../ir/half.ts";
import { isElementwise, isMovement } from "../ir/ops.ts";
import { inPlaceOf, Tensor } from "../ir/tensor.ts";
import type { Trace } from "./compile.ts";
import { product } from "./contraction.ts";

/** What a step is computed in; of bf16 and f16 the factors of matrix products. */
export const precisions = ["f32", "bf16", "f16", "f64"] as const;
export type Precision = (typeof precisions)[number];

/** The same step in another precision; its inputs, outputs and state keep their dtypes. */
export function inPrecision(trace: Trace, precision: Precision): Trace {
  if (precision === "f32") return trace;
  return fresh(() => rewritten(trace, precision === "f64" ? () => doubled : halved(precision)));
}

/** What becomes of a node whose sources have become `src`. */
type Rewrite = (t: Tensor, src: readonly Tensor[]) => Tensor;
type Pass = (order: readonly Tensor[]) => Rewrite;

function rewritten(trace: Trace, pass: Pass): Trace {
  const { state, outputs, watch } = trace;
  const to = new Map<Tensor, Tensor>();
  const order = topo([...outputs, ...state.map((s) => s.next)]);
  const rewrite = pass(order);
  for (const t of order) {
    const src = t.src.map((s) => to.get(s)!);
    to.set(t, rewrite(t, src));
  }
  // One node for each, so that the watched output stays one of the outputs.
  const ends = new Map<Tensor, Tensor>();
  const end = (t: Tensor): Tensor => {
    const known = ends.get(t);
    if (known) return known;
    const one = t.op === "input" ? t : retyped(to.get(t)!, t.dtype);
    ends.set(t, one);
    return one;
  };
  return {
    ...trace,
    outputs: outputs.map(end),
    state: state.map(({ now, next }) => ({ now, next: end(next) })),
    ...(watch && { watch: end(watch) }),
  };
}

const retyped = (t: Tensor, dtype: DType) => inPlaceOf(t, () => t.cast(dtype));

/** In f64. A constant was never rounded: it is what the user wrote, in full. */
const doubled: Rewrite = (t, src) => {
  const dtype = t.dtype === "f32" ? "f64" : t.dtype;
  if (t.op === "input" || t.op === "literal") return retyped(t, dtype);
  if (t.op === "cast") return inPlaceOf(t, () => src[0]!.cast(dtype));
  if (dtype === t.dtype && src.every((s, k) => s === t.src[k])) return t;
  return new Tensor(t.op, src, t.arg, t.shape, dtype, t.origin);
};

/** With rounded factors in each f32 product of two matrices, and rounded numbers where a convolutional network keeps them. */
const halved =
  (half: Half): Pass =>
  (order) => {
    const kept = keptForGradient(order);
    return (t, src) => {
      const same = src.every((s, k) => s === t.src[k]);
      const one = same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
      return kept.has(t) ? rounded(one, half) : isProduct(t) ? withRounded(one, half) : one;
    };
  };

const rounded = (t: Tensor, half: Half) => new Tensor(half, [t], null, t.shape, t.dtype, t.origin);
const isGradient = ({ origin }: Tensor) => origin.of !== undefined;

/**
 * Sums over several axes, which are convolutions, and what a maximum that passes a gradient on was chosen from. Each lies
 * in memory from the forward pass until its gradient is taken; rounded, it does so in two bytes.
 */
function keptForGradient(order: readonly Tensor[]): Set<Tensor> {
  const kept = new Set<Tensor>();
  for (const t of order) {
    if (!isGradient(t) || t.op !== "eq") continue;
    const [a, b] = t.src.map(below) as [Tensor, Tensor];
    for (const [y, x] of [
      [a, b],
      [b, a],
    ] as const) {
      if (y.op === "amax" && below(y.src[0]!) === x && isElementwise(x.op) && !isHalf(x.op)) kept.add(x);
    }
  }
  if (order.some(isGradient)) {
    for (const t of order) if (!isGradient(t) && (productOf(t)?.sum.length ?? 0) > 1) kept.add(t);
  }
  return new Set([...kept].filter((t) => t.dtype === "f32"));
}

/** What every element has been rounded to. */
export function roundedTo(t: Tensor): Half | undefined {
  const { op } = below(t);
  return isHalf(op) ? op : undefined;
}

/** What lies below all movement. */
function below(t: Tensor): Tensor {
  let x = t;
  while (isMovement(x.op) || x.op === "detach") x = x.src[0]!;
  return x;
}

/** Fewer terms are not worth packing (c/bf16.ts). */
const SHORT = 16;

/**
 * Of two matrices: with a vector, memory is what takes the time, and it would not become less. And over one axis: a
 * convolution sums over several and would be multiplied in f32 after all.
 */
function isProduct(t: Tensor): boolean {
  const p = productOf(t);
  return p !== undefined && p.m > 1 && p.n > 1 && p.sum.length === 1 && p.sum[0]!.n >= SHORT;
}

const productOf = (t: Tensor) => (t.op === "sum" && t.dtype === "f32" ? product(t, new Map()) : undefined);

function withRounded(sum: Tensor, half: Half): Tensor {
  const [x] = sum.src as [Tensor];
  const factors = x.src.map((factor) => round(factor, half));
  const products = new Tensor("mul", factors, null, x.shape, x.dtype, x.origin);
  return new Tensor("sum", [products], sum.arg, sum.shape, sum.dtype, sum.origin);
}

/** Rounded below all movement but zeros around it, where there are the fewest numbers and every product finds them. */
function round(t: Tensor, half: Half): Tensor {
  if (t.op === half) return t;
  if ((isMovement(t.op) && t.op !== "pad") || t.op === "detach") {
    return new Tensor(t.op, [round(t.src[0]!, half)], t.arg, t.shape, t.dtype, t.origin);
  }
  return rounded(t, half);
}
