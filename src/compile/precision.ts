/**
 * Precision, as one change of the graph of the whole step, made after gradients were taken: no gradient rule knows of it.
 *
 * bf16, f16  the factors of matrix products are rounded, forward and backward alike, and the products are added up in
 *            f32. All else stays f32: parameters and what an optimizer remembers, sums, norms, softmax, losses. The
 *            factors of a gradient's products are rounded too, but never the gradient itself.
 * f64        every f32 number of the step is an f64 one. What comes in is cast, and what goes out is cast back.
 */
import type { DType, Half } from "../ir/dtype.ts";
import { fresh } from "../ir/expr.ts";
import { topo } from "../ir/graph.ts";
import { isHalf } from "../ir/half.ts";
import { isMovement } from "../ir/ops.ts";
import { inPlaceOf, Tensor } from "../ir/tensor.ts";
import type { Trace } from "./compile.ts";
import { product } from "./contraction.ts";

/** What a step is computed in; of bf16 and f16 the factors of matrix products. */
export const precisions = ["f32", "bf16", "f16", "f64"] as const;
export type Precision = (typeof precisions)[number];

/** The same step in another precision; its inputs, outputs and state keep their dtypes. */
export function inPrecision(trace: Trace, precision: Precision): Trace {
  if (precision === "f32") return trace;
  return fresh(() => (precision === "f64" ? rewritten(trace, doubled) : rewritten(trace, halved(precision))));
}

/** What becomes of a node whose sources have become `src`. */
type Rewrite = (t: Tensor, src: readonly Tensor[]) => Tensor;

function rewritten(trace: Trace, rewrite: Rewrite): Trace {
  const { state, outputs, watch } = trace;
  const to = new Map<Tensor, Tensor>();
  for (const t of topo([...outputs, ...state.map((s) => s.next)])) {
    to.set(
      t,
      rewrite(
        t,
        t.src.map((s) => to.get(s)!),
      ),
    );
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

/** With rounded factors in each f32 product of two matrices. */
const halved =
  (half: Half): Rewrite =>
  (t, src) => {
    const same = src.every((s, k) => s === t.src[k]);
    const one = same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
    return isProduct(t) ? withRounded(one, half) : one;
  };

/** What every element has been rounded to. */
export function roundedTo(t: Tensor): Half | undefined {
  let x = t;
  while (isMovement(x.op) || x.op === "detach") x = x.src[0]!;
  return isHalf(x.op) ? x.op : undefined;
}

/** Fewer terms are not worth packing (c/bf16.ts). */
const SHORT = 16;

/**
 * Of two matrices: with a vector, memory is what takes the time, and it would not become less. And over one axis: a
 * convolution sums over several and would be multiplied in f32 after all.
 */
function isProduct(t: Tensor): boolean {
  const p = t.op === "sum" && t.dtype === "f32" ? product(t, new Map()) : undefined;
  return p !== undefined && p.m > 1 && p.n > 1 && p.sum.length === 1 && p.sum[0]!.n >= SHORT;
}

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
  return new Tensor(half, [t], null, t.shape, t.dtype, t.origin);
}
