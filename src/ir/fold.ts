/**
 * The gradient of windows, where what comes back to them is a product: dY, the same for each tap, times a weight, the
 * same at each place. Adding the windows of such a product back onto their axis is once more a sum of windows times a
 * weight, now with its taps turned round: a convolution's gradient is a convolution, and the product of all windows,
 * many times as large as the input, is never made.
 *
 *   y[p] = Σ_j a[p − j·d] · b[j]                 windows of a with zeros around it, b from its last tap to its first
 *   y[s·u + f] = Σ_t a[u − t] · b[s·t + f]       with a stride s: one such sum for each remainder f
 */
import type { Range, Window } from "./ops.ts";
import { axes, type Shape, sameShape, size } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** `g.fold(w, n)` without making g, or undefined where g is no such product or no windows overlap. */
export function foldProduct(g: Tensor, { axis, size: k, stride, dilation }: Window, n: number): Tensor | undefined {
  if (k <= stride || (stride > 1 && dilation > 1)) return undefined;
  const way: Moved[] = [];
  let [t, place, tap] = [g, axis, g.rank - 1];
  while (t.op === "permute" || t.op === "reshape" || t.op === "shrink") {
    const [p, q] = [axisBelow(t, place), axisBelow(t, tap)];
    if (p === undefined || q === undefined) return undefined;
    way.unshift({ t, place, tap });
    [t, place, tap] = [t.src[0]!, p, q];
  }
  const x = t.op === "sum" ? t.src[0]! : t;
  const over = t.op === "sum" ? (t.arg as readonly number[]) : []; // what Tensor.sum puts there
  if (x.op !== "mul" || !x.isFloat || over.includes(place) || over.includes(tap)) return undefined;
  const [l, r] = x.src.map(narrow) as [Tensor, Tensor];
  const [a, b] = l.shape[tap] === 1 ? [l, r] : [r, l];
  const whole = (j: number) => Math.max(a.shape[j]!, b.shape[j]!) === x.shape[j];
  if (a.shape[tap] !== 1 || b.shape[place] !== 1 || !axes(x.shape).every(whole)) return undefined;

  const taps = Math.ceil(k / stride);
  const places = Math.ceil(n / stride);
  const around = a.pad(only(place, [dilation * (taps - 1), places - a.shape[place]!], a.rank));
  const slid = around.window({ axis: place, size: taps, stride: 1, dilation });
  const windows = slid.permute([...axes(a.shape).with(tap, a.rank), tap]); // its taps on the axis of b's
  // Remainders get an axis of their own behind the places; without a stride there is one, and no axis.
  const even = b.pad(only(tap, [0, taps * stride - b.shape[tap]!], b.rank));
  const split = even.reshape(even.shape.toSpliced(tap, 1, taps, stride)).flip(tap);
  const rests = split.permute([...axes(b.shape).map((j) => (j > tap ? j + 1 : j)), tap + 1]);
  const sums = windows.mul(rests).sum([...over, tap], { keep: true });
  const kept = axes(x.shape).filter((j) => j !== tap);
  const merged = sums
    .permute([...kept.flatMap((j) => (j === place ? [j, x.rank] : [j])), tap])
    .reshape(kept.map((j) => (j === place ? places * stride : over.includes(j) ? 1 : x.shape[j]!)));
  return way.reduce((y, m) => again(y, m, n), merged.slice(kept.indexOf(place), 0, n));
}

/** `by` on one axis, nothing on the others. */
const only = (axis: number, by: Range, rank: number): Range[] =>
  Array.from({ length: rank }, (_, k): Range => (k === axis ? by : [0, 0]));

/** A tensor as it was before it was spread over axes; a part of what it is now, so that it still depends on that. */
function narrow(t: Tensor): Tensor {
  const from = t.op === "expand" ? t.src[0]!.shape : t.shape;
  return t.shrink(from.map((n): Range => [0, n]));
}

/** A view on the way from the product to g, and where it leaves the places and the taps. */
type Moved = { readonly t: Tensor; readonly place: number; readonly tap: number };

/** The same on what has no taps any more, and n places. */
function again(y: Tensor, { t, place, tap }: Moved, n: number): Tensor {
  if (t.op === "reshape") return y.reshape(t.shape.with(place, n).toSpliced(tap, 1));
  if (t.op === "shrink") return y.shrink((t.arg as readonly Range[]).with(place, [0, n]).toSpliced(tap, 1));
  const order = t.arg as readonly number[];
  const gone = order[tap]!;
  return y.permute(order.toSpliced(tap, 1).map((k) => (k > gone ? k - 1 : k)));
}

/** Which axis of its source an axis of a view is; undefined where it was merged, split or cut. */
export function axisBelow(t: Tensor, axis: number): number | undefined {
  if (t.op === "permute") return (t.arg as readonly number[])[axis];
  const from = t.src[0]!.shape;
  if (t.op === "shrink") return from[axis] === t.shape[axis] ? axis : undefined;
  if (sameShape(from, t.shape)) return undefined; // Tensor.own: somebody may ask for the gradient by it
  const before = (s: Shape, k: number) => size(s.slice(0, k));
  const same = axes(from).filter((k) => from[k] === t.shape[axis] && before(from, k) === before(t.shape, axis));
  return same[0];
}
