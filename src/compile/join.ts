/**
 * Tensors joined end to end, without a copy. In the graph a concatenation is a sum of its parts with zeros around them, and
 * so is the gradient of what was split, such as the projection of queries, keys and values. Where every part is computed
 * anyway, it is written at its place in the whole: the parts then are views of one buffer, and the sum has no kernel. A
 * result that is another shape of what is computed, as a product's is, has that for its only part.
 */
import { isElementwise, type Range } from "../ir/ops.ts";
import { axes, type Shape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { regroup } from "./arrange.ts";
import { type Product, product } from "./contraction.ts";
import { type Layout, type Layouts, layoutOf } from "./layout.ts";
import { roundedTo } from "./precision.ts";

/** Each part that is written into a whole, and where it lies there. */
type Joined = { readonly wholes: ReadonlyMap<Tensor, Tensor>; readonly layouts: Layouts };

/**
 * The parts of those tensors of `keep` that are nothing but joined ones. `products`, whose factors and results may be
 * parts, are brought up to date; a join that one of them would be slower for is not made. Needs a scope of Exprs.
 */
export function joins(
  order: readonly Tensor[],
  keep: ReadonlySet<Tensor>,
  results: ReadonlySet<Tensor>,
  products: Map<Tensor, Product>,
  layouts: Layouts,
): Joined {
  const readers = new Map<Tensor, number>();
  for (const t of order) for (const s of t.src) readers.set(s, (readers.get(s) ?? 0) + 1);
  const at = new Map(order.map((t, k) => [t, k]));
  const wholes = new Map<Tensor, Tensor>();
  const joined = new Map<Tensor, readonly Tensor[]>(); // the parts of each whole
  let lying = layouts;
  for (const whole of order) {
    const result = results.has(whole);
    if (whole.op !== (result ? "reshape" : "add") || !keep.has(whole) || wholes.has(whole)) continue;
    const lies = layoutOf(whole, lying);
    const found: Part[] | undefined = result ? [[whole, lies]] : partsOf(whole, readers, lies);
    const placed = found?.map((part) => computed(part, keep, results, products, wholes, joined));
    if (!placed || placed.includes(undefined)) continue;
    const parts = new Map(placed as Part[]);
    if (result && [...parts.keys()].some((t) => layouts.has(t))) continue; // that has its own order for a reason
    if (parts.size < placed.length || isCircle([...parts.keys()], wholes, joined, at)) continue;
    const next = new Map([...lying, ...parts]);
    const changed = new Map<Tensor, Product>();
    const same = [...products].every(([t, p]) => {
      if (![t, p.a.tensor, p.b.tensor].some((x) => parts.has(x))) return true;
      const now = product(t, next);
      if (now) changed.set(t, now);
      return now && now.m === p.m && now.n === p.n && now.loops.length === p.loops.length;
    });
    if (!same) continue;
    lying = next;
    joined.set(whole, [...parts.keys()]);
    for (const part of parts.keys()) wholes.set(part, whole);
    for (const [t, p] of changed) products.set(t, p);
  }
  return { wholes, layouts: lying };
}

/** A tensor, and where it lies in the memory of the whole. */
type Part = readonly [tensor: Tensor, lies: Layout];

/** What a sum joins: tensors with zeros around them along one axis, all of which they fill. */
function partsOf(whole: Tensor, readers: ReadonlyMap<Tensor, number>, { steps, start }: Layout): Part[] | undefined {
  const terms: Tensor[] = [];
  const stack = [whole];
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (t.op === "add" && (t === whole || readers.get(t) === 1)) stack.push(...t.src);
    else if (t.op === "pad" && readers.get(t) === 1) terms.push(t);
    else return undefined;
  }
  const ranges = (t: Tensor) => t.arg as readonly Range[];
  const axis = ranges(terms[0]!).findIndex(([before, after]) => before + after > 0);
  if (axis < 0) return undefined;
  terms.sort((p, q) => ranges(p)[axis]![0] - ranges(q)[axis]![0]);
  let end = 0;
  for (const t of terms) {
    if (ranges(t).some(([before, after], k) => (k === axis ? before !== end : before + after > 0))) return undefined;
    end += t.src[0]!.shape[axis]!;
  }
  if (end !== whole.shape[axis]) return undefined;
  return terms.map((t) => [t.src[0]!, { steps, start: start + ranges(t)[axis]![0] * steps[axis]! }]);
}

/** The tensor below reshapes and permutations that a kernel computes, as long as its places in the whole are linear. */
function computed(
  [outside, lies]: Part,
  keep: ReadonlySet<Tensor>,
  results: ReadonlySet<Tensor>,
  products: ReadonlyMap<Tensor, Product>,
  wholes: ReadonlyMap<Tensor, Tensor>,
  joined: ReadonlyMap<Tensor, unknown>,
): Part | undefined {
  let [t, steps] = [outside, lies.steps];
  while (t.op === "permute" || t.op === "reshape") {
    const below =
      t.op === "permute" ? unturned(steps, t.arg as readonly number[]) : unshaped(steps, t.shape, t.src[0]!);
    if (!below) return undefined;
    [t, steps] = [t.src[0]!, below];
  }
  const own = products.has(t) || (isElementwise(t.op) && keep.has(t)); // other sums fill their buffer with zeros first
  const free = !results.has(t) && !wholes.has(t) && !joined.has(t) && !roundedTo(t);
  return own && free ? [t, { steps, start: lies.start }] : undefined;
}

/**
 * Whether one part is made of another: whoever reads a part waits for the whole that it lies in. A part is also made of what
 * lies beside one that it reads, in another whole, as where two directions in time are joined at every step.
 */
function isCircle(
  parts: readonly Tensor[],
  wholes: ReadonlyMap<Tensor, Tensor>,
  joined: ReadonlyMap<Tensor, readonly Tensor[]>,
  at: ReadonlyMap<Tensor, number>,
): boolean {
  const first = Math.min(...[...parts, ...wholes.keys()].map((t) => at.get(t)!)); // nothing before leads to any part
  const mine = new Set(parts);
  const stack = parts.flatMap((t) => t.src);
  const seen = new Set<Tensor>();
  for (let t = stack.pop(); t; t = stack.pop()) {
    if (mine.has(t)) return true;
    if (seen.has(t) || at.get(t)! < first) continue;
    seen.add(t);
    stack.push(...t.src, ...(joined.get(wholes.get(t) ?? t) ?? []));
  }
  return false;
}

function unturned(steps: readonly number[], order: readonly number[]): number[] {
  const out: number[] = [];
  order.forEach((axis, k) => {
    out[axis] = steps[k]!;
  });
  return out;
}

/** The steps before a reshape to `to`, undefined where what it split does not lie one within the other. */
function unshaped(steps: readonly number[], to: Shape, { shape }: Tensor): number[] | undefined {
  const out = axes(shape).map(() => 0);
  for (const group of regroup(shape, to)) {
    const long = group.to.filter((k) => to[k] !== 1);
    let step = steps[long.at(-1)!]!;
    for (let k = long.length - 1; k > 0; k--) {
      if (steps[long[k - 1]!] !== steps[long[k]!]! * to[long[k]!]!) return undefined;
    }
    for (const axis of [...group.from].reverse()) {
      out[axis] = step;
      step *= shape[axis]!;
    }
  }
  return out;
}
