/**
 * The witness of the core: a graph worked out node by node in plain loops over plain arrays. It shares nothing with the
 * compiler but the meaning of an elementwise op in its row; movement is done on coordinates, not by index rules.
 */
import type { DType } from "../../src/ir/dtype.ts";
import { topo } from "../../src/ir/graph.ts";
import { type Elementwise, elementwise, isElementwise, type Op, type Range, type Window } from "../../src/ir/ops.ts";
import type { Shape } from "../../src/ir/shape.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";

export type Numbers = readonly number[];

/** Every coordinate of a shape in row-major order. */
export function coordinates(shape: Shape): number[][] {
  let out: number[][] = [[]];
  for (const n of shape) out = out.flatMap((c) => Array.from({ length: n }, (_, k) => [...c, k]));
  return out;
}

/** The place of a coordinate. */
export function place(at: Numbers, shape: Shape): number {
  let sum = 0;
  for (let k = 0; k < shape.length; k++) sum = sum * shape[k]! + at[k]!;
  return sum;
}

/** As that dtype holds it; floats stay double, so that what is compared with it differs by its own rounding alone. */
const hold = (x: number, d: DType): number => (d === "i32" ? x | 0 : d === "u32" ? x >>> 0 : d === "bool" ? +!!x : x);

type Rule = (t: Tensor, a: Numbers, b: Numbers) => Numbers;

/** Σ (or the largest) of what lands on the same coordinate when the reduced axes are 0. */
function folded(join: (a: number, b: number) => number, zero: number): Rule {
  return (t, x) => {
    const out: number[] = new Array(t.shape.reduce((a, n) => a * n, 1)).fill(zero);
    const from = t.src[0]!.shape;
    coordinates(from).forEach((at, k) => {
      const to = place(
        at.map((i, axis) => ((t.arg as number[]).includes(axis) ? 0 : i)),
        t.shape,
      );
      out[to] = join(out[to]!, x[k]!);
    });
    return out;
  };
}

/** An element of the source for each coordinate of the result; undefined is 0. */
const picked =
  (from: (at: number[], t: Tensor) => Numbers | undefined): Rule =>
  (t, x) =>
    coordinates(t.shape).map((at) => {
      const source = from(at, t);
      return source ? x[place(source, t.src[0]!.shape)]! : 0;
    });

/** Rows out of range are clamped, as the program does with those that it computes. */
const rules: Record<Exclude<Op, Elementwise | "input">, Rule> = {
  literal: (t) => [...(t.arg as Value).data],
  const: (t) => [t.arg as number],
  iota: (t) => Array.from({ length: t.arg as number }, (_, k) => k),
  reshape: (_, x) => x,
  permute: picked((at, t) => {
    const source: number[] = [];
    (t.arg as number[]).forEach((axis, k) => {
      source[axis] = at[k]!;
    });
    return source;
  }),
  expand: picked((at, t) => at.map((i, k) => (t.src[0]!.shape[k] === 1 ? 0 : i))),
  pad: picked((at, t) => {
    const source = at.map((i, k) => i - (t.arg as Range[])[k]![0]);
    return source.every((i, k) => i >= 0 && i < t.src[0]!.shape[k]!) ? source : undefined;
  }),
  shrink: picked((at, t) => at.map((i, k) => i + (t.arg as Range[])[k]![0])),
  flip: picked((at, t) => at.map((i, k) => ((t.arg as number[]).includes(k) ? t.shape[k]! - 1 - i : i))),
  window: picked((at, t) => {
    const { axis, stride, dilation } = t.arg as Window;
    return at.slice(0, -1).map((i, k) => (k === axis ? i * stride + at.at(-1)! * dilation : i));
  }),
  sum: folded((a, b) => a + b, 0),
  amax: folded((a, b) => Math.max(a, b), -Infinity),
  gather: (t, x, rows) => {
    const [n, ...row] = t.src[0]!.shape as [number, ...number[]];
    const length = row.reduce((a, m) => a * m, 1);
    return rows.flatMap((r) => x.slice(Math.min(Math.max(r, 0), n - 1) * length).slice(0, length));
  },
  scatter: (t, x, rows) => {
    const [n, ...row] = t.shape as [number, ...number[]];
    const length = row.reduce((a, m) => a * m, 1);
    const out: number[] = new Array(n * length).fill(0);
    rows.forEach((r, k) => {
      const to = Math.min(Math.max(r, 0), n - 1) * length;
      for (let j = 0; j < length; j++) out[to + j]! += x[k * length + j]!;
    });
    return out;
  },
  bound: (_, x) => x,
  detach: (_, x) => x,
};

function result(t: Tensor, src: readonly Numbers[]): Numbers {
  if (t.op === "input") throw new Error(`naive: nothing given for ${t.arg}`);
  if (!isElementwise(t.op)) return rules[t.op](t, src[0] ?? [], src[1] ?? []).map((x) => hold(x, t.dtype));
  const { js } = elementwise[t.op];
  const n = t.shape.reduce((a, m) => a * m, 1);
  const wide = t.op === "mul" && !t.isFloat; // a product of 32-bit integers needs more than a double has
  return Array.from({ length: n }, (_, k) => {
    const x = src.map((s) => s[k]!);
    return hold(wide ? Math.imul(x[0]!, x[1]!) : +js(...x), t.dtype);
  });
}

/** The numbers of each root, given those of the inputs. */
export function naive(roots: readonly Tensor[], given: ReadonlyMap<Tensor, Numbers>): number[][] {
  const known = new Map<Tensor, Numbers>(given);
  for (const t of topo(roots))
    if (!known.has(t))
      known.set(
        t,
        result(
          t,
          t.src.map((s) => known.get(s)!),
        ),
      );
  return roots.map((r) => [...known.get(r)!]);
}
