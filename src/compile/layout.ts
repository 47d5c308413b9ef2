/** How a tensor lies in memory: row-major, or in the order of axes that `arrange.ts` has chosen for it. */
import { Expr } from "../ir/expr.ts";
import { axes, strides } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";

/** Elements between neighbours along each axis, and before the first element. */
export type Layout = { readonly steps: readonly number[]; readonly start: number };

/** The tensors that are not row-major, or lie within another. */
export type Layouts = ReadonlyMap<Tensor, Layout>;

export const layoutOf = (t: Tensor, layouts: Layouts): Layout =>
  layouts.get(t) ?? { steps: strides(t.shape), start: 0 };

/** The axes of t from the one with the longest steps to the one whose elements lie side by side. */
export function axesInMemory(t: Tensor, layouts: Layouts): number[] {
  const steps = layouts.get(t)?.steps;
  return steps ? axes(t.shape).sort((a, b) => steps[b]! - steps[a]!) : axes(t.shape);
}

/** The place of an index, in elements. */
export function position(t: Tensor, i: readonly Expr[], layouts: Layouts): Expr {
  const { steps, start } = layoutOf(t, layouts);
  return i.reduce((sum, x, k) => sum.add(x.mul(steps[k]!)), Expr.int(start));
}
