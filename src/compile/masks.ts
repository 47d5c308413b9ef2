/**
 * A rectifier's mask is found again in what it made: y = x ≤ 0 ? 0 : x is 0 exactly where x ≤ 0. So its gradient reads y,
 * which is in memory for whoever uses it, and neither x nor a mask is kept. A NaN is no zero on either road. Where y is
 * used rounded to 16 bits, that is what is read, so that y is not kept beside it: what becomes 0 there has no gradient.
 */
import { topo } from "../ir/graph.ts";
import { isHalf } from "../ir/half.ts";
import { constant, inPlaceOf, Tensor } from "../ir/tensor.ts";

/** The same roots on a graph where all but the rectifier itself read its mask from its result. */
export function simplifyMasks(roots: readonly Tensor[]): Tensor[] {
  const order = topo(roots);
  const rectified = new Map<Tensor, Tensor>(); // masks, and what was made with them
  for (const t of order) if (isRectifier(t)) rectified.set(t.src[0]!, t);
  if (rectified.size === 0) return [...roots];
  const used = new Map(order.flatMap((t) => (isHalf(t.op) ? [[t.src[0]!, t.op] as const] : [])));
  const to = new Map<Tensor, Tensor>();
  const masks = new Map<Tensor, Tensor>();
  for (const t of order) {
    const src = t.src.map((s) => (isRectifier(t) ? to.get(s)! : (masks.get(s) ?? to.get(s)!)));
    const same = src.every((s, k) => s === t.src[k]);
    const now = same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
    to.set(t, now);
    const mask = t.src[0]!;
    if (rectified.get(mask) !== t) continue;
    const half = used.get(t);
    masks.set(
      mask,
      inPlaceOf(mask, () => (half ? now[half]() : now).eq(0)),
    );
  }
  return roots.map((t) => to.get(t)!);
}

function isRectifier(t: Tensor): boolean {
  if (t.op !== "where" || !t.isFloat) return false;
  const [mask, zero, x] = t.src as [Tensor, Tensor, Tensor];
  return mask.op === "le" && mask.src[0] === x && constant(mask.src[1]!) === 0 && constant(zero) === 0;
}
