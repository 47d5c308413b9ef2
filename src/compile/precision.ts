/**
 * Mixed precision, as one change of the graph: the factors of matrix products are rounded to bfloat16, forward and
 * backward alike, and the products are added up in f32. All else stays as it is: parameters and what an optimizer
 * remembers, sums, norms, softmax, losses. As bfloat16 has f32's exponents no loss has to be scaled.
 *
 * It is done to the whole step, after gradients were taken, so that no gradient rule knows of it and the factors of a
 * gradient's products are rounded too, but never the gradient itself.
 */
import { fresh } from "../ir/expr.ts";
import { topo } from "../ir/graph.ts";
import { isMovement } from "../ir/ops.ts";
import { Tensor } from "../ir/tensor.ts";
import type { Trace } from "./compile.ts";
import { product } from "./contraction.ts";

/** How matrix products are computed: in f32, or from factors rounded to bfloat16. */
export type Precision = "f32" | "bf16";

/** The same step with rounded factors in each f32 product of two matrices. */
export function inBf16(trace: Trace): Trace {
  const { state, outputs, watch } = trace;
  const to = new Map<Tensor, Tensor>();
  fresh(() => {
    for (const t of topo([...outputs, ...state.map((s) => s.next)])) {
      const src = t.src.map((s) => to.get(s)!);
      const same = src.every((s, k) => s === t.src[k]);
      const one = same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
      to.set(t, isProduct(t) ? withRounded(one) : one);
    }
  });
  const rounded = (t: Tensor) => to.get(t)!;
  return {
    ...trace,
    outputs: outputs.map(rounded),
    state: state.map(({ now, next }) => ({ now, next: rounded(next) })),
    ...(watch && { watch: rounded(watch) }),
  };
}

/** Whether every element has been rounded to bfloat16. */
export function isRounded(t: Tensor): boolean {
  let x = t;
  while (isMovement(x.op) || x.op === "detach") x = x.src[0]!;
  return x.op === "bf16";
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

function withRounded(sum: Tensor): Tensor {
  const [x] = sum.src as [Tensor];
  const factors = x.src.map(round);
  const products = new Tensor("mul", factors, null, x.shape, x.dtype, x.origin);
  return new Tensor("sum", [products], sum.arg, sum.shape, sum.dtype, sum.origin);
}

/** Rounded below all movement but zeros around it, where there are the fewest numbers and every product finds them. */
function round(t: Tensor): Tensor {
  if (t.op === "bf16") return t;
  if ((isMovement(t.op) && t.op !== "pad") || t.op === "detach") {
    return new Tensor(t.op, [round(t.src[0]!)], t.arg, t.shape, t.dtype, t.origin);
  }
  return new Tensor("bf16", [t], null, t.shape, t.dtype, t.origin);
}
