/**
 * In which order the axes of a tensor lie in memory. Row-major, but for two kinds:
 *
 * - what is only ever read through a permutation, such as the gradient of a transposed weight, is written in the order
 *   in which it will be read;
 * - what a convolution makes lies with its channels side by side, and so does everything that is made of that, element
 *   by element, by padding or by pooling. Channels fill vectors whatever the width of an image is, and windows, strides
 *   and poolings only move along the other axes. A weight is copied once into the order in which its products read it.
 */
import { isHalf } from "../ir/half.ts";
import { isElementwise, isMovement, isReduce, type Op, type Range } from "../ir/ops.ts";
import { axes, type Shape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Factor, factorsOf } from "./contraction.ts";
import type { Layout, Layouts } from "./layout.ts";

/** Fewer channels fill no vector: rows are as good. */
const CHANNELS = 8;

/** The axes of a tensor, the one with the longest steps first. */
type Order = readonly number[];

export function layouts(order: readonly Tensor[], results: ReadonlySet<Tensor>): Layouts {
  const users = new Map<Tensor, Tensor[]>();
  for (const t of order) {
    for (const s of t.src) {
      const known = users.get(s);
      if (known) known.push(t);
      else users.set(s, [t]);
    }
  }
  const orders = new Map<Tensor, Order>();
  const images = new Set<Tensor>(); // those that lie as convolutions like it, not as a permutation reads them
  const out = new Map<Tensor, Layout>();
  for (const t of order) {
    if (results.has(t)) continue;
    const made = convolved(t, out, images, () => mergedNext(t, users, results));
    const writes = isReduce(t.op) || (isElementwise(t.op) && !isHalf(t.op)); // who reads rounded factors packs them
    const own = made ?? (writes ? readOrder(t, users, results) : undefined);
    const from = leader(t, orders);
    const frame = from ? undefined : framed(t, users);
    const lies = own ?? (from ? inherited(t, from, orders.get(from)!) : frame);
    if (!lies || isRowMajor(lies, t.shape)) continue;
    orders.set(t, lies);
    if (made || frame || (from && images.has(from))) images.add(t);
    if (isReduce(t.op) || isElementwise(t.op) || (t.op === "pad" && slides(t, users)))
      out.set(t, inOrder(lies, t.shape));
  }
  return out;
}

const isRowMajor = (order: Order, s: Shape) => {
  const long = order.filter((k) => s[k] !== 1);
  return long.every((axis, k) => k === 0 || axis > long[k - 1]!);
};

function inOrder(order: Order, s: Shape): Layout {
  const steps = s.map(() => 0);
  order.reduceRight((step, axis) => {
    steps[axis] = step;
    return step * s[axis]!;
  }, 1);
  return { steps, start: 0 };
}

// ---- convolutions ----------------------------------------------------------------------------------------------------

/**
 * The order of a sum of windows, or of what lies as their products do, times something: first the axes of the windows
 * alone, then those of both, then those of the other factor alone, such as channels; but an axis of the other that is
 * merged with one of the windows next, as the remainders of a stride are with places, stays behind that. The other
 * factor, a weight, is to be copied into the order of the sum where it does not run along the last axis; `out` gets the
 * order of the copy.
 */
function convolved(
  t: Tensor,
  out: Map<Tensor, Layout>,
  images: ReadonlySet<Tensor>,
  mergedNext: () => Order[],
): Order | undefined {
  const [l, r] = t.op === "sum" ? (t.src[0]!.src as [Tensor, Tensor]) : [];
  if (!l || !r || !(matters(l, images) || matters(r, images))) return undefined;
  const f = factorsOf(t, out);
  if (!f) return undefined;
  const windows = [reads("window", l, f.a), reads("window", r, f.b)];
  if (!windows.includes(true)) windows.splice(0, 2, images.has(f.a.tensor), images.has(f.b.tensor));
  if (!windows.includes(true)) return undefined;
  const turned = !windows[0];
  const [a, b, outside] = turned ? [f.b, f.a, l] : [f.a, f.b, r];
  const over = t.arg as readonly number[];
  const step = (x: Factor, axis: number) => Math.abs(x.of.get(`${over.includes(axis) ? "r" : "i"}${axis}`) ?? 0);
  const falling = (x: Factor, list: readonly number[]) => [...list].sort((p, q) => step(x, q) - step(x, p));
  const kept = axes(t.shape).filter((k) => !over.includes(k));
  const alone = falling(
    a,
    kept.filter((k) => step(a, k) && !step(b, k)),
  );
  const shared = falling(
    a,
    kept.filter((k) => step(a, k) && step(b, k)),
  );
  // Parts that a batch is summed in: all else of both factors lies within one of them.
  const outermost = (k: number) => [a, b].every((x) => axes(l.shape).every((j) => j === k || step(x, j) < step(x, k)));
  const parts = shared.filter(outermost);
  const both = shared.filter((k) => !parts.includes(k));
  const rests = mergedNext().filter(([first, rest]) => alone.includes(first!) && step(b, rest!) && !step(a, rest!));
  const behind = new Map(rests.map(([first, rest]) => [first!, rest!]));
  const other = falling(
    b,
    kept.filter((k) => !step(a, k) && step(b, k) && ![...behind.values()].includes(k)),
  );
  const channels = [...both, ...other].reduce((n, k) => n * t.shape[k]!, 1);
  if (channels < CHANNELS) return undefined;
  const last = other.at(-1) ?? both.at(-1);
  let weight = outside;
  while (weight.op === "expand") weight = weight.src[0]!;
  const whole = (lies: Order) => [
    ...axes(t.shape).filter((k) => !lies.includes(k) && !parts.includes(k)),
    ...parts,
    ...lies,
  ];
  if (last !== undefined && step(b, last) !== 1 && isMovement(weight.op) && !out.has(weight)) {
    out.set(weight, inOrder(whole([...behind.values(), ...falling(b, over), ...both, ...other]), weight.shape));
  }
  // The gradient of a weight: its own rows, each as the windows lie, where those fill vectors too.
  const inner = alone.at(-1);
  const fills = inner !== undefined && step(a, inner) === 1 && t.shape[inner]! >= CHANNELS;
  if (fills && last !== undefined && step(b, last) === 1) {
    return whole([...both, ...other, ...alone]);
  }
  return whole([...alone.flatMap((k) => [k, behind.get(k) ?? []].flat()), ...both, ...other]);
}

/** The pairs of axes of t that become one on the way of reshapes and permutations to what reads it, if one does. */
function mergedNext(t: Tensor, users: ReadonlyMap<Tensor, readonly Tensor[]>, results: ReadonlySet<Tensor>): Order[] {
  let from = axes(t.shape).map((k) => [k]); // the axes of t that each axis of x is made of
  let x = t;
  for (;;) {
    const [only, another] = users.get(x) ?? [];
    const goesOn = only && !another && !results.has(x) && ["reshape", "permute", "shrink"].includes(only.op);
    if (!goesOn) return from.filter((list) => list.length === 2);
    if (only.op === "permute") from = (only.arg as number[]).map((k) => from[k]!);
    else if (only.op === "reshape") {
      const groups = regroup(x.shape, only.shape);
      if (groups.some((g) => g.to.length > 1)) return from.filter((list) => list.length === 2);
      from = only.shape.map((_, k) => {
        const merged = groups.find((g) => g.to.includes(k))?.from ?? [];
        return merged.flatMap((axis) => (x.shape[axis] === 1 ? [] : from[axis]!));
      });
    }
    x = only;
  }
}

/** The order of a tensor with zeros around it that windows are taken of: it is a copy, and may lie as products like it. */
function framed(t: Tensor, users: ReadonlyMap<Tensor, readonly Tensor[]>): Order | undefined {
  if (t.op !== "pad") return undefined;
  const framed = (t.arg as readonly Range[]).map(([before, after]) => before + after > 0);
  const channels = axes(t.shape).filter((k) => k > 0 && !framed[k]);
  if (framed[0] || channels.reduce((n, k) => n * t.shape[k]!, 1) < CHANNELS) return undefined;
  return slides(t, users) ? [0, ...axes(t.shape).filter((k) => framed[k]), ...channels] : undefined;
}

/** Whether windows are taken of a tensor. */
const slides = (t: Tensor, users: ReadonlyMap<Tensor, readonly Tensor[]>): boolean =>
  (users.get(t) ?? []).some((user) => user.op === "window" || (isMovement(user.op) && slides(user, users)));

/** Whether windows, or what lies as their products do, come below: one look, before any strides are worked out. */
function matters(outside: Tensor, images: ReadonlySet<Tensor>): boolean {
  for (let t = outside; ; t = t.src[0]!) {
    if (t.op === "window" || images.has(t)) return true;
    if (!isMovement(t.op) && t.op !== "detach") return false;
  }
}

/** Whether an op stands between a product and the tensor that it reads. */
function reads(op: Op, outside: Tensor, { tensor }: Factor): boolean {
  for (let t = outside; t !== tensor; t = t.src[0]!) if (t.op === op) return true;
  return false;
}

// ---- what follows its sources ----------------------------------------------------------------------------------------

/** The source whose order a tensor follows: of several, what is as large as it is before what is spread over it. */
function leader(t: Tensor, orders: ReadonlyMap<Tensor, Order>): Tensor | undefined {
  const known = (isElementwise(t.op) ? t.src : t.src.slice(0, 1)).filter((x) => orders.has(x));
  return known.find((x) => x.op !== "expand") ?? known[0];
}

function inherited(t: Tensor, s: Tensor, order: Order): Order | undefined {
  if (isElementwise(t.op)) return order;
  if (t.op === "reshape") return regrouped(order, s.shape, t.shape);
  if (t.op === "permute") return order.map((k) => (t.arg as readonly number[]).indexOf(k));
  if (t.op === "window") {
    const at = order.indexOf((t.arg as { axis: number }).axis);
    return order.toSpliced(at + 1, 0, s.rank);
  }
  return isReduce(t.op) || isMovement(t.op) || t.op === "detach" ? order : undefined;
}

/** The order after axes are merged or split, undefined where merged ones do not lie one within the other. */
function regrouped(order: Order, s: Shape, to: Shape): Order | undefined {
  const groups = regroup(s, to);
  const out: number[] = [];
  const long = order.filter((axis) => s[axis] !== 1);
  for (let at = 0; at < long.length; ) {
    const group = groups.find((g) => g.from.includes(long[at]!));
    if (!group) return undefined;
    if (group.from.some((axis, d) => long[at + d] !== axis)) return undefined;
    out.push(...group.to);
    at += group.from.length;
  }
  return [...axes(to).filter((k) => !out.includes(k)), ...out];
}

/** Which axes longer than 1 of s become which of `to`, in the fewest that make up the same elements. */
export function regroup(s: Shape, to: Shape): { from: number[]; to: number[] }[] {
  if (s.includes(0)) return [];
  const groups: { from: number[]; to: number[] }[] = [];
  let [j, k] = [0, 0];
  for (; k < s.length; k++) {
    if (s[k] === 1) continue;
    const group = { from: [k], to: [] as number[] };
    let [n, m] = [1, s[k]!];
    while (n !== m) {
      const next = n < m ? to[j]! : s[++k]!;
      if (n < m) {
        n *= next;
        if (next !== 1) group.to.push(j);
        j++;
      } else {
        m *= next;
        if (next !== 1) group.from.push(k);
      }
    }
    groups.push(group);
  }
  return groups;
}

// ---- what is read through a permutation ------------------------------------------------------------------------------

/** The order in which the only reader of t has its axes, if that is a permutation. */
function readOrder(
  t: Tensor,
  users: ReadonlyMap<Tensor, readonly Tensor[]>,
  results: ReadonlySet<Tensor>,
): Order | undefined {
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
  if (users.get(x)?.some((user) => user.op === "shrink")) return undefined;
  const read = axis.filter((k, at) => x.shape[at] !== 1 && k >= 0);
  if (isRowMajor(read, t.shape)) return undefined;
  return [...axes(t.shape).filter((k) => !read.includes(k)), ...read];
}

const longer = (s: readonly number[]) => s.filter((n) => n !== 1);
