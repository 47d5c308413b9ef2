/**
 * Large sums in two stages. A sum over the outermost axis, of a batch or of all of a gradient, has one result that all of
 * memory goes into: nobody else can help, and it has to wait for the last row. Summed by parts of that axis first, each part
 * is a slice of a band like any other: made where its numbers are made, by whichever thread has them in its cache. What is
 * left is a short sum of the parts. The parts depend on shapes alone, so the order of the sum is fixed.
 *
 * A variance would have all of memory come by a second time, after the mean is known. Instead each part is taken around
 * its own mean a, while it is in the cache, and moved when all means are known. Of n numbers y, for any a and c:
 *   Σ (y + c)² = Σ (y − a)² + (a + c)·(2 Σ (y − a) + n·(a + c))
 * Chan, Golub & LeVeque 1979; Σ (y − a) is what the rounded mean is off, and no number is far from another.
 */
import { topo } from "../ir/graph.ts";
import { isElementwise } from "../ir/ops.ts";
import { axes, sameShape, size } from "../ir/shape.ts";
import { inPlaceOf, Tensor } from "../ir/tensor.ts";
import { product } from "./contraction.ts";
import { narrow } from "./sums.ts";

/** Elements from which a sum is large. */
const LARGE = 1 << 14;
/** Fewer elements are no part. */
const LONG = 32;
/** More parts than this would be a long sum again. */
const MANY = 1024;
/** As many parts an axis is taken apart into where nothing says better. */
const SOME = 64;
/**
 * A product, such as the gradient of a convolution's weight, is taken apart where parts of at least DEEP terms outweigh that
 * they are written and read once more; of at most so many images, which a block of a band then cannot divide; where that
 * makes parts for some threads, and not too much memory.
 */
const DEEP = 768;
const MOST = 4;
const FEW = 8;
const ROOM = 1 << 20;

/** The same roots on a graph whose large sums are made of parts. Needs a scope of Exprs. */
export function partialSums(roots: readonly Tensor[]): Tensor[] {
  const to = new Map<Tensor, Tensor>();
  const summed = new Map<Tensor, Tensor[]>(); // a tensor's sums
  for (const t of topo(roots)) {
    const src = t.src.map((s) => to.get(s)!);
    const same = src.every((s, k) => s === t.src[k]);
    const now = same ? t : new Tensor(t.op, src, t.arg, t.shape, t.dtype, t.origin);
    if (now.op !== "sum" || !now.isFloat) to.set(t, now);
    else {
      const [x] = now.src as [Tensor];
      to.set(
        t,
        inPlaceOf(t, () => squaresInParts(now, summed) ?? inParts(now)),
      );
      summed.set(x, [...(summed.get(x) ?? []), now]);
    }
  }
  return roots.map((t) => to.get(t)!);
}

function inParts(t: Tensor): Tensor {
  const parts = partition(t, t.src[0]!);
  return parts ? parts.whole(parts.each(parts.view(t.src[0]!))) : t;
}

/** Σ (y + c)² with c the same along the axes, where there is a Σ y as well. */
function squaresInParts(t: Tensor, summed: ReadonlyMap<Tensor, readonly Tensor[]>): Tensor | undefined {
  const [d, again] = t.src[0]!.op === "mul" ? t.src[0]!.src : [];
  if (!d || d !== again || d.op !== "add") return undefined;
  const over = t.arg as readonly number[];
  const { y, same } = apartFromSame(d, over);
  if (!summed.get(y)?.some((s) => sameShape(s.arg as readonly number[], over))) return undefined;
  const parts = partition(t, y);
  if (!parts) return undefined;
  const seen = parts.view(y);
  const mean = parts.each(seen).mul(1 / parts.count);
  const around = seen.add(mean.neg().expand(seen.shape));
  const off = same.reduce((sum, c) => sum.add(parts.view(c).expand(mean.shape)), mean);
  const moved = off.mul(parts.each(around).mul(2).add(off.mul(parts.count)));
  // Of numbers that are all the same, the two cancel but for their rounding: a variance is not negative.
  return parts.whole(parts.each(around.mul(around)).add(moved).max(0));
}

/** x as y and what is added to it that is the same along the axes, with length 1 there. */
function apartFromSame(x: Tensor, over: readonly number[]): { y: Tensor; same: Tensor[] } {
  const same: Tensor[] = [];
  let y = x;
  while (y.op === "add") {
    const [a, b] = y.src as [Tensor, Tensor];
    const [narrowA, narrowB] = [narrow(a, over), narrow(b, over)];
    const c = narrowA ?? narrowB;
    if (!c) break;
    same.push(c);
    y = narrowA ? b : a;
  }
  return { y, same };
}

/** A sum in two stages: what is summed as parts see it, their sums, each of `count`, and what these are together. */
type Partition = {
  readonly view: (x: Tensor) => Tensor;
  readonly each: (seen: Tensor) => Tensor;
  readonly whole: (sums: Tensor) => Tensor;
  readonly count: number;
};

/** The parts that a sum like t, of x, is taken apart into, if it is large enough. */
function partition(t: Tensor, x: Tensor): Partition | undefined {
  const over = t.arg as readonly number[];
  const lead = x.shape.findIndex((n) => n > 1);
  const total = size(x.shape);
  if (total < LARGE || !over.includes(lead)) return undefined;
  const n = x.shape[lead]!;
  const others = over.filter((k) => k !== lead && x.shape[k]! > 1);
  const inner = size(others.map((k) => x.shape[k]!));
  const isProduct = product(t, new Map()) !== undefined;
  const results = size(t.shape);
  const parts = isProduct ? partsOfProduct(n, inner, results) : partsOf(n, inner, x);
  if (parts < 2 || 8 * parts * results > total) return undefined;
  const sum = (along: readonly number[]) => (y: Tensor) =>
    new Tensor(
      "sum",
      [y],
      along,
      y.shape.map((l, k) => (along.includes(k) ? 1 : l)),
      t.dtype,
      t.origin,
    );
  const count = (n / parts) * inner;
  if (parts === n) return { view: (y) => y, each: sum(others), whole: sum([lead]), count };
  // The axis becomes two: the parts, and what is in each.
  const split = (y: Tensor): Tensor => {
    const shape = y.shape.flatMap((l, k) => (k !== lead ? [l] : l === 1 ? [1, 1] : [parts, l / parts]));
    // A product stays one, of factors that are spread last.
    if (isProduct && y.op === "mul") return split(y.src[0]!).mul(split(y.src[1]!));
    return y.op === "expand" ? split(y.src[0]!).expand(shape) : y.reshape(shape);
  };
  const behind = axes(x.shape).flatMap((k) => (over.includes(k) ? [k < lead ? k : k + 1] : []));
  const whole = (sums: Tensor) => sum([lead])(sums).reshape(t.shape);
  return { view: split, each: sum(behind), whole, count };
}

/** Of the product over a batch of n, and over `inner` places of each image: some images each, where its results are few. */
function partsOfProduct(n: number, inner: number, results: number): number {
  for (let images = Math.ceil(DEEP / inner); images <= MOST; images++) {
    if (n % images === 0) return n / images < FEW || (n / images) * results > ROOM ? 1 : n / images;
  }
  return 1;
}

/** Into how many equal parts an axis of n of x is taken: all, what came in as a batch, or whatever divides it well. */
function partsOf(n: number, inner: number, x: Tensor): number {
  if (inner >= LONG && n <= MANY) return n;
  const batch = leading(x);
  const fits = (parts: number) => n % parts === 0 && (n / parts) * inner >= LONG;
  if (batch >= 4 && batch <= MANY && fits(batch)) return batch;
  for (let parts = SOME; parts >= 4; parts--) if (fits(parts)) return parts;
  return 1;
}

/** The length of the outermost axis of what x was reshaped from. */
function leading(x: Tensor, depth = 0): number {
  if (depth > 8) return 1;
  if (x.op === "reshape") {
    const before = x.src[0]!;
    const n = before.shape.find((l) => l > 1) ?? 1;
    return n < (x.shape.find((l) => l > 1) ?? 1) ? n : leading(before, depth + 1);
  }
  if (!isElementwise(x.op)) return 1;
  return Math.max(1, ...x.src.map((s) => leading(s, depth + 1)));
}
