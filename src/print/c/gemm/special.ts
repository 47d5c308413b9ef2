/**
 * Kernels that are printed for one product, with everything a constant: tiles whose k lies at offsets of a table, or whose
 * rows are several of an image, and dots over several axes. Convolutions have them; matrix products do with the library's.
 */
import type { Step } from "../../../compile/program.ts";
import { horizontalSums } from "./kernels.ts";
import { type Axes, type Normal, offsetOf } from "./normal.ts";
import { deepest } from "./plan.ts";
import { identifier, once } from "./text.ts";
import { load, range, store, type Vector } from "./vector.ts";

type Tile = { readonly rows: number; readonly columns: number; readonly a: Axes; readonly b: Axes };

/** Rows × columns of C over k steps; with `more` they are added to what C holds. Returns its name and its text. */
export function tableTile(g: Normal, v: Vector, { rows, columns, a, b }: Tile): [string, string] {
  const [I, J] = [range(rows), range(Math.ceil(columns / v.width))];
  const split = g.k > deepest || g.passes.length > 0;
  const name = identifier(
    "dh_tile",
    v.dtype,
    rows,
    columns,
    rows > 1 ? a.row : 0,
    ...(a.fold && rows > a.fold.rows ? ["fold", a.fold.rows, a.fold.step] : []),
    a.table ? "t" : a.col,
    b.table ? "t" : b.row,
    rows > 1 ? g.c.row : 0,
    ...(split ? ["more"] : []),
  );
  const lanes = (j: number) => Math.min(v.width, columns - j * v.width);
  const C = (i: number, j: number) => `C + ${i * g.c.row + j * v.width}`;
  const sum = (i: number, j: number) => `c${i}_${j}`;
  const each = (f: (i: number, j: number) => string) => I.map((i) => `  ${J.map((j) => f(i, j)).join(" ")}`);
  const [alongA, alongB] = [a.table ? " + *ta" : "", b.table ? " + *tb" : ""];
  const lists = `${a.table ? ", const int *ta" : ""}${b.table ? ", const int *tb" : ""}`;
  return [
    name,
    once(name, [
      `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C, ` +
        `dh_long k, int more${lists}) {`,
      ...I.map((i) => `  ${v.name} ${J.map((j) => `${sum(i, j)} = {}`).join(", ")};`),
      `  for (; k; k--, ${a.table ? "ta++" : `A += ${a.col}`}, ${b.table ? "tb++" : `B += ${b.row}`}) {`,
      `    const ${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${j * v.width}${alongB}`, lanes(j))}`).join(", ")};`,
      `    ${v.type} a;`,
      ...I.map((i) => `    a = A[${offsetOf(i, a)}${alongA}]; ${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")}`),
      "  }",
      ...(split ? ["  if (more) {", ...each((i, j) => `${sum(i, j)} += ${load(v, C(i, j), lanes(j))};`), "  }"] : []),
      ...each((i, j) => store(v, C(i, j), sum(i, j), lanes(j))),
      "}",
    ]),
  ];
}

/** The sum as so many runs of elements that lie side by side. */
export function runsOf(g: Normal): { readonly outer: readonly Step[]; readonly runs: number; readonly run: number } {
  const axes = [...g.passes, ...g.sum];
  const outer = axes.slice(0, -1);
  return { outer, runs: outer.reduce((product, s) => product * s.n, 1), run: axes.at(-1)!.n };
}

/** C[rows, columns] = A·B over all axes of the sum, the last of which is contiguous in both. */
export function axesDot(g: Normal, v: Vector, rows: number, columns: number): [string, string] {
  const { outer, run } = runsOf(g);
  const name = identifier(
    "dh_dot",
    v.dtype,
    rows,
    columns,
    ...outer.flatMap((s) => [s.n, s.a, s.b]),
    run,
    g.a.row,
    g.b.col,
    g.c.row,
    g.c.col,
  );
  const [I, J] = [range(rows), range(columns)];
  const tail = run % v.width;
  const down = run - tail;
  const sum = (i: number, j: number) => `s0_${i * columns + j}`;
  const step = (l: string, count: number) => [
    `    const ${v.name} ${J.map((j) => `b${j} = ${load(v, `y + ${j * g.b.col} + ${l}`, count)}`).join(", ")};`,
    ...I.map(
      (i) =>
        `    { const ${v.name} a = ${load(v, `x + ${i * g.a.row} + ${l}`, count)}; ` +
        `${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")} }`,
    ),
  ];
  const at = (side: "a" | "b") => outer.map((s, d) => ` + l${d} * ${s[side]}`).join("");
  return [
    name,
    once(name, [
      `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C) {`,
      `  ${v.name} ${I.flatMap((i) => J.map((j) => `${sum(i, j)} = {}`)).join(", ")};`,
      `  ${outer.map(({ n }, d) => `for (dh_long l${d} = 0; l${d} < ${n}; l${d}++) `).join("")}{`,
      `  const ${v.type} *x = A${at("a")}, *y = B${at("b")};`,
      ...(down ? [`  for (dh_long l = 0; l < ${down}; l += ${v.width}) {`, ...step("l", v.width), "  }"] : []),
      ...(tail ? ["  {", ...step(`${down}`, tail), "  }"] : []),
      "  }",
      ...horizontalSums(v, rows * columns),
      ...I.map((i) => `  ${J.map((j) => `C[${i * g.c.row + j * g.c.col}] = s[${i * columns + j}];`).join(" ")}`),
      "}",
    ]),
  ];
}
