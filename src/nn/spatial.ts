/**
 * What convolution and pooling share: windows that slide over the spatial axes of [n, c, ..s], how many there are, and
 * what is said about sizes that do not fit.
 */
import { fail, shown } from "../ir/fail.ts";
import type { Range, Window } from "../ir/ops.ts";
import { axes } from "../ir/shape.ts";
import { full, type Tensor } from "../ir/tensor.ts";

/** One number for every spatial axis, or a list with one for each. */
export type PerAxis = number | readonly number[];

/** The windows of one axis: `size` taps that are `dilation` apart, and a window every `stride` elements. */
export type Taps = Omit<Window, "axis">;

/** From the first to the last tap of a window, both included. */
export const span = ({ size, dilation }: Taps): number => dilation * (size - 1) + 1;

/** An option as one number per axis. Throws unless they are whole and at least `least`. */
export function perAxis(what: string, option: string, given: PerAxis, rank: number, least: number): readonly number[] {
  const list = typeof given === "number" ? Array<number>(rank).fill(given) : given;
  if (!Array.isArray(list) || list.length !== rank || !list.every((n) => Number.isInteger(n) && n >= least)) {
    const lists = rank === 1 ? "a list of one" : `a list of ${rank}`;
    const text = Array.isArray(given) ? `[${given.map((n) => (typeof n === "number" ? n : shown(n)))}]` : shown(given);
    fail(`${what}: ${option} must be a whole number from ${least} on or ${lists}, got ${text}`);
  }
  return list;
}

/** Taps per axis, from options. */
export function taps(
  what: string,
  rank: number,
  { kernel, stride, dilation }: { kernel: PerAxis; stride: PerAxis; dilation: PerAxis },
): Taps[] {
  const sizes = perAxis(what, "kernel", kernel, rank, 1);
  const strides = perAxis(what, "stride", stride, rank, 1);
  const dilations = perAxis(what, "dilation", dilation, rank, 1);
  return sizes.map((size, k) => ({ size, stride: strides[k]!, dilation: dilations[k]! }));
}

/** The same number of elements before and after each axis, from an option. */
export const bothSides = (what: string, given: PerAxis, rank: number): Range[] =>
  perAxis(what, "padding", given, rank, 0).map((p) => [p, p]);

/** The axes of an input with so many spatial ones. */
export const layout = (rank: number): string => ["n", "c", ...(LETTERS[rank] ?? [])].join(", ");
const LETTERS: Readonly<Record<number, readonly string[]>> = { 1: ["t"], 2: ["h", "w"], 3: ["d", "h", "w"] };

/** Throws unless x is [n, c, ..s] with `rank` spatial axes; `channels`, where known, tells which axis is missing. */
export function expectSpatial(what: string, x: Tensor, rank: number, channels?: number): void {
  if (!x.isFloat) fail(`${what}: input ${x} is not a float`, `cast it first: x.cast("f32")`);
  if (x.rank === rank + 2) return;
  const example = "one example is a batch of 1: x.unsqueeze(0)";
  const channel = "one channel is an axis too: x.unsqueeze(1)";
  const known = channels === x.shape[0] ? example : channels === 1 ? channel : undefined;
  const merged = `unflatten it first: x.reshape([-1, ${layout(rank).slice(3)}])`;
  const hint = x.rank === rank + 1 ? (known ?? `${example}; ${channel}`) : x.rank === 2 ? merged : undefined;
  fail(`${what}: input ${x} has ${x.rank} axes, expected [${layout(rank)}]`, hint);
}

/**
 * How many windows there are on each axis of x with so many elements added before and after. Rounded up, the last one
 * may reach beyond them; as in PyTorch it is left out where it would begin there. Throws where there is none.
 */
export function counts(
  what: string,
  x: Tensor,
  along: readonly Taps[],
  around: readonly Range[],
  up = false,
): number[] {
  return along.map((t, k) => {
    const [before, after] = around[k]!;
    const n = x.shape[k + 2]!;
    const steps = (before + n + after - span(t)) / t.stride;
    const count = (up ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (n < 1 || count < 1) {
      const dilated = t.dilation > 1 ? ` (${t.size} taps ${t.dilation} apart)` : "";
      const padded = before + after ? ` and ${before + after} of padding` : "";
      fail(
        `${what}: a window of ${span(t)}${dilated} does not fit on axis ${k + 2} of input ${x}: ${n}${padded}`,
        "use a smaller kernel or more padding, or let fewer layers before this one shrink the input",
      );
    }
    return up && (count - 1) * t.stride >= before + n ? count - 1 : count;
  });
}

/**
 * Windows of all spatial axes: [n, c, ..s] → [n, c, ..count, ..size]. The first one of an axis begins as many
 * elements ahead of x as `around` has before it; beyond x there is `outside`. Windows side by side are a reshape.
 */
export function windows(
  x: Tensor,
  along: readonly Taps[],
  around: readonly Range[],
  count: readonly number[],
  outside = 0,
): Tensor {
  const covered = along.map((t, k): Range => {
    const before = around[k]![0];
    return [before, (count[k]! - 1) * t.stride + span(t) - before - x.shape[k + 2]!];
  });
  return along.reduce(
    (t, { size, stride, dilation }, k) => {
      const axis = k + 2;
      if (stride !== size || dilation !== 1) return t.window({ axis, size, stride, dilation });
      const split = t.reshape(t.shape.toSpliced(axis, 1, count[k]!, size));
      return split.permute([...axes(split.shape).toSpliced(axis + 1, 1), axis + 1]);
    },
    frame(x, covered, outside),
  );
}

/** So many elements with the value `outside` before and after each spatial axis; fewer than 0 are cut off its end. */
function frame(x: Tensor, by: readonly Range[], outside: number): Tensor {
  const around = [NONE, NONE, ...by.map(([before, after]): Range => [before, Math.max(after, 0)])];
  const padded = x.pad(around);
  const filled =
    outside === 0 || padded === x
      ? padded
      : full(1, [1, 1, ...x.shape.slice(2)], "bool")
          .pad(around)
          .where(padded, outside);
  return filled.shrink(padded.shape.map((n, k): Range => [0, n + Math.min(by[k - 2]?.[1] ?? 0, 0)]));
}
const NONE: Range = [0, 0];
