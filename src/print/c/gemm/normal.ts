/** The normal form of a product: all of k as one axis of A and of B, and C contiguous along its columns where it can be. */
import type { Step, Strides } from "../../../compile/program.ts";
import type { Fold, Gemm } from "../gemm.ts";
import { at } from "./text.ts";
import { range } from "./vector.ts";

/** A matrix by its strides; where k does not lie on one stride, `table` names the offsets of each k, and its stride is 0. */
export type Axes = Strides & { readonly table?: string; readonly fold?: Fold };

export type Normal = Omit<Gemm, "a" | "b" | "fold" | "whole"> & {
  readonly k: number;
  readonly a: Axes;
  readonly b: Axes;
  /** A and B, m and n have changed places. */
  readonly flipped: boolean;
  /** Rows and columns of the whole product, of which m × n is a part: the order of sums rests on these. */
  readonly whole: { readonly m: number; readonly n: number };
  /** Outermost axes of the sum, taken one index at a time, so that no table grows beyond reason. */
  readonly passes: readonly Step[];
};

/** Entries of one table of offsets. */
const longestTable = 4096;

/**
 * Cᵀ = BᵀAᵀ turns a column-contiguous C into a row-contiguous one, and a single column into a single row. Strides of
 * axes of size 1 say nothing; they become 1, the layout that every form accepts.
 */
export function normalise(g: Gemm): Normal {
  const whole = g.whole ?? { m: g.m, n: g.n };
  const flat = (stride: number, n: number) => (n === 1 ? 1 : stride);
  const c = { row: flat(g.c.row, whole.m), col: flat(g.c.col, whole.n) };
  const flipped = whole.m > 1 && (whole.n === 1 || (c.row === 1 && c.col !== 1));
  const axes = merged(flipped ? g.sum.map((s) => ({ n: s.n, a: s.b, b: s.a })) : g.sum);
  const [a, b] = [flat(g.a, whole.m), flat(g.b, whole.n)];
  if (flipped && g.fold) throw new Error("gemm: rows that fold are those of A");
  let first = 0;
  const length = () => axes.slice(first).reduce((product, s) => product * s.n, 1);
  while (first < axes.length - 1 && length() > longestTable) first++;
  const [passes, sum] = [axes.slice(0, first), axes.slice(first)];
  const k = length();
  const along = (side: "a" | "b") => {
    const strides = merged(sum.map((s) => ({ n: s.n, a: s[side], b: 0 })));
    return strides.length === 1 ? { stride: flat(strides[0]!.a, k) } : { stride: 0, table: `${g.name}_${side}` };
  };
  const [{ stride: colA, ...tableA }, { stride: rowB, ...tableB }] = [along("a"), along("b")];
  const { fold, ...rest } = g;
  return {
    ...rest,
    ...(flipped && { m: g.n, n: g.m }),
    whole: flipped ? { m: whole.n, n: whole.m } : whole,
    k,
    sum,
    passes,
    flipped,
    a: { row: flipped ? b : a, col: colA, ...tableA, ...(fold && { fold }) },
    b: { row: rowB, col: flipped ? a : b, ...tableB },
    c: flipped ? { row: c.col, col: c.row } : c,
  };
}

/** Cᵀ = BᵀAᵀ: A and B change places, and so do rows and columns. */
export function flip(g: Normal): Normal {
  const swap = (axes: readonly Step[]) => axes.map(({ n, a, b }) => ({ n, a: b, b: a }));
  return {
    ...g,
    m: g.n,
    n: g.m,
    whole: { m: g.whole.n, n: g.whole.m },
    a: { row: g.b.col, col: g.b.row, ...(g.b.table && { table: g.b.table }) },
    b: { row: g.a.col, col: g.a.row, ...(g.a.table && { table: g.a.table }) },
    c: { row: g.c.col, col: g.c.row },
    sum: swap(g.sum),
    passes: swap(g.passes),
    flipped: !g.flipped,
  };
}

/** Axes without those of length 1, and neighbours that both matrices walk as one made one. There is always one. */
function merged(axes: readonly Step[]): Step[] {
  const out: Step[] = [];
  for (const s of axes.filter(({ n }) => n !== 1)) {
    const last = out.at(-1);
    if (last && last.a === s.n * s.a && last.b === s.n * s.b) out[out.length - 1] = { ...s, n: last.n * s.n };
    else out.push(s);
  }
  return out.length ? out : [{ n: 1, a: 1, b: 1 }];
}

/** Where row i of a matrix begins, as C or as a number. */
export const rowAt = (i: string, { row, fold }: Axes): string =>
  fold ? `${i} / ${fold.rows} * ${fold.step} + ${i} % ${fold.rows} * ${row}` : at(i, row);
export const offsetOf = (i: number, { row, fold }: Axes): number =>
  fold ? Math.floor(i / fold.rows) * fold.step + (i % fold.rows) * row : i * row;

/** Where a matrix begins in each pass, and in each block of k; with a table of offsets that is a place in the table. */
export const passAt = (g: Normal, side: "a" | "b"): string =>
  side.toUpperCase() + g.passes.map((s, d) => ` + p${d} * ${s[side]}`).join("");
export const blockAt = (g: Normal, side: "a" | "b"): string =>
  passAt(g, side) + (g[side].table ? "" : ` + ${at("k0", side === "a" ? g.a.col : g.b.row)}`);

/** The tables of offsets that the normal form names, as text. */
export const tables = (g: Normal): string =>
  (["a", "b"] as const)
    .flatMap((side) => {
      const { table } = g[side];
      return table ? [`static const int ${table}[] = {${offsets(g.sum, side).join(", ")}};\n`] : [];
    })
    .join("");

/** The offsets of each k in one matrix. */
const offsets = (sum: readonly Step[], side: "a" | "b"): number[] =>
  sum.reduce((all, s) => all.flatMap((at) => range(s.n).map((l) => at + l * s[side])), [0]);

/** How many times the sum is taken over its innermost axes. */
export const rounds = (passes: readonly Step[]): number => passes.reduce((product, s) => product * s.n, 1);
