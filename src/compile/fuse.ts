/**
 * Which tensors get a buffer; everything else is computed again inside the kernels that read it. Users are counted by
 * kernel, not by node.
 */
import { isHalf } from "../ir/half.ts";
import { isElementwise, isMovement, isReduce, type Op } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Product } from "./contraction.ts";
import type { Layouts } from "./layout.ts";

const DEEPEST = 200; // later walks recurse through fused nodes; this bounds them
const LONG = 12; // loads and ops from which work is too long to repeat for every element of an expand
const slow = new Set<Op>(["exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "sqrt", "div"]);

export function stored(
  outputs: readonly Tensor[],
  order: readonly Tensor[],
  products: ReadonlyMap<Tensor, Product>,
  layouts: Layouts,
): Set<Tensor> {
  // 1. What must exist: inputs, outputs, reductions, scatters, what a matrix product reads, and views laid out for windows.
  const keep = new Set(outputs);
  for (const t of layouts.keys()) if (isMovement(t.op)) keep.add(t);
  for (const t of order) {
    if (t.op === "input" || t.op === "literal" || t.op === "scatter" || isReduce(t.op)) keep.add(t);
    const p = products.get(t);
    if (p) keep.add(p.a.tensor).add(p.b.tensor);
    const compared = t.op === "eq" && withItsLargest(base(t.src[0]!), base(t.src[1]!));
    const computed = compared && base(compared.op === "gather" ? compared.src[0]! : compared);
    if (computed && isElementwise(computed.op)) keep.add(computed);
  }

  // 2. Work that two kernels share, unless it is as cheap to repeat as to load. home: the one kernel that reads t. What
  // looked long on the way back may be cheap once what it is made of is kept.
  const shared: Tensor[] = [];
  const home = new Map<Tensor, Tensor | "many">();
  for (const t of [...order].reverse()) {
    if (home.get(t) === "many" && isElementwise(t.op) && !keep.has(t) && !cheap(t, keep)) {
      keep.add(t);
      shared.push(t);
    }
    const mine = keep.has(t) ? t : home.get(t);
    if (mine === undefined) continue;
    for (const s of t.src) home.set(s, home.has(s) && home.get(s) !== mine ? "many" : mine);
  }
  for (const t of shared.reverse()) {
    keep.delete(t);
    if (!cheap(t, keep)) keep.add(t);
  }

  // 3. Slow or long work that an expand, a gather or a window would repeat.
  const weight = new Map<Tensor, number>();
  const weigh = (t: Tensor) => (keep.has(t) ? 1 : (weight.get(t) ?? 0));
  for (const t of order) {
    if (t.op === "expand" || t.op === "window" || t.op === "gather") {
      const source = base(t.src[0]!);
      if (weigh(source) >= LONG) keep.add(source);
    }
    const own = isElementwise(t.op) ? (slow.has(t.op) ? LONG : 1) : 0;
    weight.set(t, own + t.src.reduce((sum, s) => sum + weigh(s), 0));
  }

  // 4. Chains longer than the later walks may recurse.
  const depth = new Map<Tensor, number>();
  for (const t of order) {
    const d = 1 + Math.max(0, ...t.src.map((s) => depth.get(s)!));
    if (d > DEEPEST && isElementwise(t.op)) keep.add(t);
    depth.set(t, keep.has(t) ? 0 : d);
  }
  return keep;
}

/**
 * Which of the two the other is the largest of. To be found again it must be the same number, bit for bit, and work
 * done twice is not: its rounding depends on what it is fused with.
 */
function withItsLargest(a: Tensor, b: Tensor): Tensor | undefined {
  const largest = (y: Tensor, x: Tensor) => y.op === "amax" && base(y.src[0]!) === x;
  return largest(b, a) ? a : largest(a, b) ? b : undefined;
}

function base(t: Tensor): Tensor {
  let x = t;
  while (isMovement(x.op) || x.op === "detach") x = x.src[0]!;
  return x;
}

/**
 * A few quick ops on at most one full-size tensor: to repeat it costs what loading it would. Not where numbers are rounded
 * to 16 bits: they take half the memory of what they were made of.
 */
function cheap(t: Tensor, keep: ReadonlySet<Tensor>): boolean {
  if (isHalf(t.op)) return false;
  const read = new Set<Tensor>();
  let ops = 0;
  const visit = (x: Tensor): boolean => {
    const b = base(x);
    if (size(b.shape) * 2 <= size(t.shape)) return true; // work on a smaller tensor is rule 3's affair
    if (keep.has(b) || !isElementwise(b.op)) {
      if (b.op !== "const" && b.op !== "iota") read.add(b);
      return b.op !== "gather" && read.size <= 1;
    }
    return !slow.has(b.op) && ++ops <= 4 && b.src.every(visit);
  };
  return visit(t);
}
