/**
 * How a tensor lies in memory. Row-major, but for one that is only ever read through a permutation, such as the
 * gradient of a transposed weight: it is written in the order in which it will be read.
 */
import { Expr } from "../ir/expr.ts";
import { isElementwise, isReduce } from "../ir/ops.ts";
import { axes, strides } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";

/** Elements between neighbours along each axis, of the tensors that are not row-major. */
export type Layouts = ReadonlyMap<Tensor, readonly number[]>;

export function layouts(order: readonly Tensor[], results: ReadonlySet<Tensor>): Layouts {
  const users = new Map<Tensor, Tensor[]>();
  for (const t of order) for (const s of t.src) users.set(s, [...(users.get(s) ?? []), t]);
  const out = new Map<Tensor, readonly number[]>();
  for (const t of order) {
    if (!(isReduce(t.op) || isElementwise(t.op)) || results.has(t)) continue;
    const read = readOrder(t, users, results);
    if (!read.some((axis, k) => axis < (read[k - 1] ?? -1))) continue;
    const steps = t.shape.map(() => 0);
    read.reduceRight((step, axis) => {
      steps[axis] = step;
      return step * t.shape[axis]!;
    }, 1);
    out.set(t, steps);
  }
  return out;
}

/** The axes of t that are longer than 1, in the order in which its only reader has them. */
function readOrder(t: Tensor, users: ReadonlyMap<Tensor, readonly Tensor[]>, results: ReadonlySet<Tensor>): number[] {
  let axis = t.shape.map((_, k) => k); // which axis of t each axis of x is; an axis of length 1 may be any
  let x = t;
  for (;;) {
    const [only, another] = users.get(x) ?? [];
    if (!only || another || results.has(x)) break;
    if (only.op === "permute") axis = (only.arg as number[]).map((k) => axis[k]!);
    else if (only.op === "reshape" && `${longer(only.shape)}` === `${longer(x.shape)}`) {
      const kept = axis.filter((_, k) => x.shape[k] !== 1);
      axis = only.shape.map((n) => (n === 1 ? -1 : kept.shift()!));
    } else break;
    x = only;
  }
  // Parts of it are read one after the other: as good in any order, and row-major is how products like to write.
  if (users.get(x)?.some((user) => user.op === "shrink")) return [];
  return axis.filter((k, at) => x.shape[at] !== 1 && k >= 0);
}

const longer = (s: readonly number[]) => s.filter((n) => n !== 1);

/** The axes of t from the one with the longest steps to the one whose elements lie side by side. */
export function axesInMemory(t: Tensor, layouts: Layouts): number[] {
  const steps = layouts.get(t);
  return steps ? axes(t.shape).sort((a, b) => steps[b]! - steps[a]!) : axes(t.shape);
}

/** The place of an index, in elements. */
export function position(t: Tensor, i: readonly Expr[], layouts: Layouts): Expr {
  const steps = layouts.get(t) ?? strides(t.shape);
  return i.reduce((sum, x, k) => sum.add(x.mul(steps[k]!)), Expr.int(0));
}
