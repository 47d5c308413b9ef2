/**
 * Views that would need memory, rewritten to what needs less:
 *
 * - zeros around windows become windows of a tensor with zeros around: what has zeros around it lies in memory, and
 *   windows are many times what they look at;
 * - of a sum of products only the part is made that somebody looks at, such as the input's gradient without its padding,
 *   and a part of what is spread over axes is what was spread;
 * - a sum leaves out zeros around what it sums.
 */
import { axisBelow } from "../ir/fold.ts";

import { topo } from "../ir/graph.ts";
import type { Op, Range, Window } from "../ir/ops.ts";
import { sameShape } from "../ir/shape.ts";
import { inPlaceOf, Tensor } from "../ir/tensor.ts";

/** The same roots on a graph whose views are cheaper. */
export function simplifyViews(roots: readonly Tensor[]): Tensor[] {
  const order = topo(roots);
  const readers = new Map<Tensor, number>(roots.map((t) => [t, 1]));
  for (const t of order) for (const s of t.src) readers.set(s, (readers.get(s) ?? 0) + 1);
  const to = new Map<Tensor, Tensor>();
  for (const t of order) {
    const src = t.src.map((s) => to.get(s)!);
    const same = src.every((s, k) => s === t.src[k]);
    const rule = rules[t.op];
    const view = rule && inPlaceOf(t, () => rule(src[0]!, t, readers));
    to.set(t, view ?? (same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin)));
  }
  return roots.map((t) => to.get(t)!);
}

type Rule = (s: Tensor, t: Tensor, readers: ReadonlyMap<Tensor, number>) => Tensor | undefined;
const rules: { readonly [O in Op]?: Rule } = { pad: padded, shrink: cropped, sum: unpadded };

/** Zeros add nothing to a sum. */
function unpadded(s: Tensor, t: Tensor): Tensor | undefined {
  if (s.op !== "pad") return undefined;
  const over = t.arg as readonly number[];
  const x = s.src[0]!;
  const rest = x.pad((s.arg as readonly Range[]).map((by, k): Range => (over.includes(k) ? [0, 0] : by)));
  return rest === s || sameShape(rest.shape, s.shape)
    ? undefined
    : rest.sum(
        over.filter((k) => rest.shape[k] !== 1),
        { keep: true },
      );
}

// ---- zeros below windows ---------------------------------------------------------------------------------------------

function padded(s: Tensor, t: Tensor): Tensor | undefined {
  let x = s;
  while (x.op === "permute" || x.op === "reshape") x = x.src[0]!;
  if (x.op !== "window") return undefined;
  return (t.arg as readonly Range[]).reduce((y, by, axis) => (by[0] + by[1] ? padBelow(y, axis, by) : y), s);
}

function padBelow(t: Tensor, axis: number, by: Range): Tensor {
  const s = t.src[0]!;
  const grown = t.shape.with(axis, t.shape[axis]! + by[0] + by[1]);
  const below = axisOf(t, axis);
  if (t.op === "permute") return padBelow(s, below!, by).permute(t.arg as readonly number[]);
  if (below !== undefined) return padBelow(s, below, by).reshape(grown);
  if (t.op === "window" && (t.arg as Window).axis !== axis && axis < s.rank) {
    return padBelow(s, axis, by).window(t.arg as Window);
  }
  if (t.op !== "pad") return t.pad(t.shape.map((_, k): Range => (k === axis ? by : [0, 0])));
  return s.pad((t.arg as readonly Range[]).map(([p, q], k): Range => (k === axis ? [p + by[0], q + by[1]] : [p, q])));
}

/** Which axis of its source an axis of a view is, through nodes of their own too: nobody asks for gradients any more. */
function axisOf(t: Tensor, axis: number): number | undefined {
  if (t.op !== "permute" && t.op !== "reshape") return undefined;
  return sameShape(t.shape, t.src[0]!.shape) && t.op === "reshape" ? axis : axisBelow(t, axis);
}

// ---- parts of sums ---------------------------------------------------------------------------------------------------

function cropped(s: Tensor, t: Tensor, readers: ReadonlyMap<Tensor, number>): Tensor | undefined {
  let x = t.src[0]!;
  while ((x.op === "permute" || x.op === "reshape") && readers.get(x) === 1) x = x.src[0]!;
  const product = x.op === "sum" && x.src[0]!.op === "mul" && readers.get(x) === 1;
  if (!product && s.op !== "expand") return undefined;
  const parts = t.arg as readonly Range[];
  return parts.reduce(
    (y, [from, end], k) => (product && !reaches(y, k) ? y.slice(k, from, end) : crop(y, k, from, end)),
    s,
  );
}

/** Whether an axis of a view is one of the sum below. */
function reaches(t: Tensor, axis: number): boolean {
  if (t.op === "sum") return true;
  const below = axisOf(t, axis);
  return below !== undefined && reaches(t.src[0]!, below);
}

function crop(t: Tensor, axis: number, from: number, end: number): Tensor {
  const [s, other] = t.src as [Tensor, Tensor];
  if (from === 0 && end === t.shape[axis]) return t;
  const cut = t.shape.with(axis, end - from);
  if (t.op === "mul") return crop(s, axis, from, end).mul(crop(other, axis, from, end));
  if (t.op === "expand") return (s.shape[axis] === 1 ? s : crop(s, axis, from, end)).expand(cut);
  const below = axisOf(t, axis);
  if (t.op === "permute") return crop(s, below!, from, end).permute(t.arg as readonly number[]);
  if (below !== undefined) return crop(s, below, from, end).reshape(cut);
  const over = t.arg as readonly number[];
  if (t.op === "sum" && !over.includes(axis)) return crop(s, axis, from, end).sum(over, { keep: true });
  if (t.op === "window" && axis < s.rank && from < end) {
    const w = t.arg as Window;
    const [first, last] =
      axis === w.axis ? [from * w.stride, (end - 1) * w.stride + w.dilation * (w.size - 1) + 1] : [from, end];
    return crop(s, axis, first, last).window(w);
  }
  if (t.op === "pad") {
    const by = t.arg as readonly Range[];
    const [before, whole] = [by[axis]![0], by[axis]![0] + s.shape[axis]!];
    if (from <= before && end >= whole) return s.pad(by.with(axis, [before - from, end - whole]));
  }
  return t.slice(axis, from, end);
}
