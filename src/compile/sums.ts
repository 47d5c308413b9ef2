/**
 * What a sum need not do. Gradients, those of normalisations most of all, are full of sums over the same axes of almost
 * the same numbers. With c the same along the axes that are summed, n of them:
 *
 *   Σ c·x = c·Σ x       Σ (x + c) = Σ x + n·c       Σ c·(x − mean x) = 0
 *
 * What is left of a batch norm's gradient are two sums of two tensors, which one walk over memory makes together.
 * Only rounding changes.
 */
import { topo } from "../ir/graph.ts";
import { isElementwise } from "../ir/ops.ts";
import { type Shape, sameShape, size } from "../ir/shape.ts";
import { constant, full, inPlaceOf, Tensor } from "../ir/tensor.ts";

/** The same roots on a graph whose sums are taken apart. */
export function simplifySums(roots: readonly Tensor[]): Tensor[] {
  const order = topo(roots);
  const at = new Map(order.map((t, k) => [t, k]));
  const to = new Map<Tensor, Tensor>();
  const moved = (t: Tensor): Tensor => {
    const known = to.get(t) ?? rebuilt(t, t.src.map(moved)); // deep only where a sum was just taken apart
    to.set(t, known);
    return known;
  };
  for (const t of order) {
    const sum = t.op === "sum" && t.isFloat;
    const now =
      !sum && t.src.every((s) => to.get(s) === s) ? t : inPlaceOf(t, () => moved((sum && new Sum(t, at).parts()) || t));
    to.set(t, now);
  }
  return roots.map((t) => to.get(t)!);
}

function rebuilt(t: Tensor, src: readonly Tensor[]): Tensor {
  if (src.every((s, k) => s === t.src[k])) return t;
  if (t.op === "add" || t.op === "mul") {
    const [a, b] = src.map(constant) as [number | undefined, number | undefined];
    if (a !== undefined && b !== undefined) return full(t.op === "add" ? a + b : a * b, t.shape, t.dtype);
    if (t.op === "add" && (a === 0 || b === 0)) return src[a === 0 ? 1 : 0]!;
  }
  return new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
}

class Sum {
  private readonly sum: Tensor;
  private readonly over: readonly number[];
  private readonly count: number;
  private readonly at: ReadonlyMap<Tensor, number>;

  constructor(sum: Tensor, at: ReadonlyMap<Tensor, number>) {
    this.sum = sum;
    this.over = sum.arg as number[]; // what Tensor.sum puts there
    this.count = size(this.over.map((k) => sum.src[0]!.shape[k]!));
    this.at = at;
  }

  /** What the sum is equal to, or undefined where nothing is gained. */
  parts(): Tensor | undefined {
    return this.count > 1 ? this.of(this.sum.src[0]!) : undefined;
  }

  private of(x: Tensor, depth = 0): Tensor | undefined {
    if (depth > DEEP) return undefined;
    const same = this.narrow(x);
    if (same) return same.mul(this.count);
    if (this.vanishes(x)) return full(0, this.sum.shape, x.dtype);
    if (x.op === "add") {
      const [a, b] = x.src as [Tensor, Tensor];
      if (![a, b].some((t) => this.narrow(t) || this.vanishes(t))) return undefined;
      return this.whole(a, depth).add(this.whole(b, depth));
    }
    const { same: factors, rest } = this.factors(x);
    if (factors.length === 0) return undefined;
    return factors.reduce(
      (y, f) => y.mul(f),
      this.whole(
        rest.reduce((a, b) => a.mul(b)),
        depth,
      ),
    );
  }

  private whole(x: Tensor, depth: number): Tensor {
    const t = this.sum;
    return this.of(x, depth + 1) ?? (x === t.src[0] ? t : new Tensor("sum", [x], t.arg, t.shape, t.dtype, t.origin));
  }

  /** The factors of a product: those that are the same along the axes, narrowed, and the others, in one order. */
  private factors(x: Tensor): { same: Tensor[]; rest: Tensor[] } {
    const same: Tensor[] = [];
    const rest: Tensor[] = [];
    const visit = (t: Tensor, depth: number): void => {
      const c = this.narrow(t);
      const [a, b] = t.src as [Tensor, Tensor];
      const divisor = t.op === "div" ? this.narrow(b) : undefined;
      if (c) same.push(c);
      else if (divisor) {
        visit(a, depth + 1);
        same.push(full(1, divisor.shape, t.dtype).div(divisor));
      } else if (t.op === "mul" && depth < DEEP) for (const s of t.src) visit(s, depth + 1);
      else rest.push(t);
    };
    visit(x, 0);
    rest.sort((a, b) => this.at.get(a)! - this.at.get(b)!);
    return { same, rest };
  }

  private narrow(x: Tensor): Tensor | undefined {
    return narrow(x, this.over);
  }

  /** Whether the sum is 0, whatever the numbers are. */
  private vanishes(x: Tensor, depth = 0): boolean {
    const [a, b] = x.src as [Tensor, Tensor];
    if (depth > DEEP) return false;
    const zero = (t: Tensor) => this.vanishes(t, depth + 1);
    if (x.op === "mul") return (!!this.narrow(a) && zero(b)) || (!!this.narrow(b) && zero(a));
    if (x.op === "div") return !!this.narrow(b) && zero(a);
    if (x.op !== "add") return false;
    return this.negatedMean(b, a) || this.negatedMean(a, b) || (zero(a) && zero(b));
  }

  /** Whether m is −1 times the mean of x over the same axes. */
  private negatedMean(m: Tensor, x: Tensor): boolean {
    let scale = this.count;
    let t = m;
    for (;;) {
      if (t.op === "expand") t = t.src[0]!;
      else if (t.op === "mul") {
        const [a, b] = t.src as [Tensor, Tensor];
        const [p, q] = [constant(a), constant(b)];
        if (p === undefined && q === undefined) return false;
        scale *= p ?? q!;
        t = p === undefined ? a : b;
      } else break;
    }
    return t.op === "sum" && t.src[0] === x && sameShape(t.arg as Shape, this.over) && Math.abs(scale + 1) < 1e-9;
  }
}

/** x with length 1 along the axes, if it is the same all along them. */
export function narrow(x: Tensor, over: readonly number[], depth = 0): Tensor | undefined {
  const isNarrow = (t: Tensor) => over.every((k) => t.shape[k] === 1);
  if (isNarrow(x)) return x;
  const to = () => x.shape.map((n, k) => (over.includes(k) ? 1 : n));
  if (x.op === "expand") return isNarrow(x.src[0]!) ? x.src[0]!.expand(to()) : undefined;
  if (!isElementwise(x.op) || depth > DEEP) return undefined;
  const src: Tensor[] = [];
  for (const s of x.src) {
    const short = narrow(s, over, depth + 1);
    if (!short) return undefined;
    src.push(short);
  }
  return new Tensor(x.op, src, x.arg, to(), x.dtype, x.origin);
}

/** Nodes that are looked through one below the other, so that a walk stays short. */
const DEEP = 8;
