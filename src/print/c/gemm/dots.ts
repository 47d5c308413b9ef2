/**
 * Products by dots: one vector of sums per entry of C, walking k, so that A and B stored along k need no copy. It pays with
 * horizontal sums, and wins when there are few rows.
 */
import { type DotShape, dotKernel, dotShapes } from "./kernels.ts";
import type { Normal } from "./normal.ts";
import { dotTile } from "./plan.ts";
import { axesDot, runsOf } from "./special.ts";
import { at, type Form, indent, loop } from "./text.ts";
import { vector } from "./vector.ts";

/** Whether the layout allows it: k contiguous in B and in A, or a single row of A, which is then copied. */
export function dotsFit(g: Normal): boolean {
  const last = g.sum.at(-1)!;
  return last.b === 1 && (last.a === 1 || (g.whole.m === 1 && g.sum.length === 1 && g.passes.length === 0));
}

/** The sums, each with its share of a horizontal one, and beside them the smaller matrix that comes by for all of the larger. */
export function dotCycles(g: Normal): number {
  const v = vector(g.dtype, g.lanes);
  const { rows, columns } = dotTile(g);
  const perStep = Math.max(0.5, (rows + columns) / (2 * rows * columns));
  const [passes, inner] = g.m > g.n ? [g.m / rows, g.n] : [g.n / columns, g.m];
  const { runs, run } = runsOf(g);
  const bytes = inner * runs * run * v.bytes;
  const sums = g.m * g.n * (runs * Math.ceil(run / v.width) * perStep + 2.7);
  const loads = (passes * bytes) / (bytes <= 1 << 19 ? (v.bytes * v.width) / 2 : 8);
  return (sums ** 5 + loads ** 5) ** 0.2; // the one hides little of the other where both are about as slow
}

export function dots(g: Normal): Form {
  const v = vector(g.dtype, g.lanes);
  const before = new Map<string, string>();
  const copied = g.sum.at(-1)!.a !== 1 && g.k > 1;
  const alone = runsOf(g).runs === 1;
  const a = copied ? { row: g.k, col: 1 } : g.a;
  const call = ({ rows, columns }: DotShape, i: string, j: string) => {
    const list = `${copied ? "scratch" : "A"} + ${at(i, a.row)}, B + ${at(j, g.b.col)}, C + ${at(i, g.c.row)} + ${at(j, g.c.col)}`;
    if (!alone) {
      const [name, text] = axesDot(g, v, rows, columns);
      before.set(name, text);
      return [`${name}(${list});`];
    }
    const { name, declaration } = dotKernel(v, { rows, columns });
    const strides = `${g.name}_strides`;
    before.set(strides, `static const dh_long ${strides}[] = {${[a.row, g.b.col, g.c.row, g.c.col].join(", ")}};\n`);
    before.set(name, `${declaration}\n`);
    return [`${name}(${list}, ${g.k}, ${strides});`];
  };
  const tile = dotTile(g);
  const sizes = dotShapes(g.lanes);
  /** Whole tiles, then ever smaller ones: the library has those. */
  const cover = (
    index: string,
    n: number,
    most: number,
    fits: (size: number) => boolean,
    body: (size: number, at: string) => string[],
  ) => {
    const lines: string[] = [];
    let done = 0;
    for (let size = most; size >= 1 && done < n; size--) {
      if (!fits(size) || n - done < size) continue;
      const whole = Math.floor((n - done) / size) * size;
      if (whole === size) lines.push(...body(size, `${done}`));
      else
        lines.push(
          `for (dh_long ${index} = ${done}; ${index} < ${done + whole}; ${index} += ${size}) {`,
          ...indent(body(size, index)),
          "}",
        );
      done += whole;
    }
    return lines;
  };
  const down = (body: (r: number, i: string) => string[]) => cover("i", g.m, tile.rows, () => true, body);
  const across = (rows: number, body: (c: number, j: string) => string[]) =>
    cover("j", g.n, tile.columns, (c) => sizes.some((s) => s.rows === rows && s.columns === c), body);
  // The larger of the two matrices is read once, in the outer loop; the smaller comes by again from the cache.
  const nest =
    g.m > g.n
      ? down((rows, i) => across(rows, (columns, j) => call({ rows, columns }, i, j)))
      : across(tile.rows, (columns, j) => down((rows, i) => call({ rows, columns }, i, j)));
  const body = [...(copied ? loop("l", g.k, 1, [`scratch[l] = A[${at("l", g.a.col)}];`]) : []), ...nest];
  return { before: [...before.values()], body: indent(body).join("\n"), scratch: copied ? g.k : 0 };
}
