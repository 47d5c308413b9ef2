/**
 * Products by tiles of C that stay in registers while k goes by: A is read an entry at a time, B a vector at a time.
 *
 * For a block of k and of columns of B: for the rows of a tile: for the panels of B. Where a block of A stays in the
 * second-level cache, a block of B is one panel, which stays in the first while the rows of A come by; otherwise it is as
 * many as the second level holds, and a tile's share of A stays in the first while they stream past it. Panels of B
 * that come from far come by for one block of rows after the other, so that a block of A always stays.
 *
 * What does not lie as a tile wants it goes to panels in scratch (cut.ts): those of B while the first rows of tiles compute,
 * one of A while the first tile of its rows does, or by a copy before, where no such tile is. What is read next is asked for
 * while tiles compute (asks.ts).
 */
import { ahead, declared } from "./asks.ts";
import { type Cut, cutOf } from "./cut.ts";
import { copyKernel, type Kernel, pickKernel, transposeKernel } from "./kernels.ts";
import { type Axes, blockAt, type Normal, rowAt, tables } from "./normal.ts";
import type { Plan } from "./plan.ts";
import { tableTile } from "./special.ts";
import { at, type Form, indent, least } from "./text.ts";
import { lieOf, tileKernel } from "./tile-kernels.ts";
import type { Vector } from "./vector.ts";

/** A call that brings a panel of B, or several where its columns are contiguous, to `to`. */
export function panelOf(g: Normal, v: Vector, use: (k: Kernel) => string, wide: number) {
  const step = g.b.table ? `${g.b.table} + k0` : `${g.b.row}`;
  return (from: string, columns: string | number, to: string) =>
    g.b.col === 1
      ? `${use(copyKernel(v, wide / v.width, g.b.table !== undefined))}(${from}, ${step}, ${wide}, ${columns}, ${to}, kn);`
      : `${use(g.b.table ? pickKernel(v) : transposeKernel(v))}(${from}, ${step}, ${g.b.col}, ${to}, ${wide}, ${columns}, kn);`;
}

export function tiles(g: Normal, p: Plan): Form {
  const cut = cutOf(g, p);
  const before = new Map<string, string>();
  const body = nest(cut, calls(cut, before));
  return { before: [tables(g), ...before.values()], body: indent(body).join("\n"), scratch: cut.sizeB + cut.sizeA };
}

/** Steps of k that are over before it pays to prepare for several at a time. */
const short = 64;

/** The calls that the nest consists of; what they need above the function is added to `before`. */
function calls(cut: Cut, before: Map<string, string>) {
  const { g, p, v, deep, wide, high } = cut;
  const use = (k: Kernel) => {
    before.set(k.name, `${k.declaration}\n`);
    return k.name;
  };
  const [startA, startB] = [blockAt(g, "a"), blockAt(g, "b")];
  const scratchA = cut.sizeB ? `(scratch + ${cut.sizeB})` : "scratch";
  const panelA = (i: string) =>
    cut.panelsA === "tile" ? scratchA : `${scratchA} + (${i} - i0) / ${p.rows} * ${high} * kn`;
  const panelB = (j: string) =>
    cut.panelsB === "given" ? `B + k0 * ${cut.padded} + ${j} * kn` : `scratch + (${j} - j0) * kn`;
  const more = [...(g.k > deep ? ["k0 > 0"] : []), ...g.passes.map((_, d) => `p${d} > 0`)].join(" || ") || "0";

  /** A tile at row i and column j, which reads what is in panels from there, but for the one that it makes. */
  const tile = (rows: number, columns: number, i: string, j: string, packs?: "A" | "B") => {
    const [a, atA]: [Axes, string] =
      cut.panelsA !== "none" && packs !== "A"
        ? [{ row: 1, col: high }, panelA(i)]
        : [g.a, `${startA} + ${rowAt(i, g.a)}`];
    const [b, atB]: [Axes, string] =
      cut.panelsB !== "none" && packs !== "B" ? [{ row: wide, col: 1 }, panelB(j)] : [g.b, `${startB} + ${j}`];
    const list = `${atA}, ${atB}, C + ${at(i, g.c.row)} + ${j}, kn, ${more}`;
    if (a.table || b.table || (a.fold && rows > a.fold.rows)) {
      const [name, text] = tableTile(g, v, { rows, columns, a, b });
      before.set(name, text);
      return `${name}(${[list, ...[a, b].flatMap(({ table }) => (table ? [`${table} + k0`] : []))].join(", ")});`;
    }
    const last = columns % v.width || v.width;
    const strides = `${g.name}_strides${last}${packs ?? ""}`;
    before.set(strides, `static const dh_long ${strides}[] = {${[a.row, a.col, b.row, g.c.row, last].join(", ")}};\n`);
    const to = { A: `, ${scratchA}`, B: `, ${panelB(j)}` };
    const [part, full] = [{ ...cut.shape, rows, vectors: Math.ceil(columns / v.width) }, last === v.width];
    const kernel = tileKernel(v, part, { full, lie: full && (packs || deep > short) ? lieOf(part, a) : "any", packs });
    return `${use(kernel)}(${list}, ${strides}, ${ahead(cut, i, j)}${packs ? to[packs] : ""});`;
  };

  const toPanel = panelOf(g, v, use, wide);
  const stepA = g.a.table ? `${g.a.table} + k0` : `${g.a.col}`;
  const copyA = (from: string, rows: string | number) =>
    `${use(copyKernel(v, high / v.width, g.a.table !== undefined))}(${startA} + ${from}, ${stepA}, ${p.rows}, ${rows}, ${scratchA}, kn);`;
  return {
    tile,
    /** A copy to panels: of some rows of A, of one panel of B, and of all its panels at once. */
    copyA,
    copyB: (columns: number, j: string) => toPanel(`${startB} + ${at(j, g.b.col)}`, columns, panelB(j)),
    copyAllB: () => toPanel(`${startB} + j0`, "j1 - j0", "scratch"),
  };
}

/** The loops over blocks, rows of tiles and panels, around these calls. */
function nest(cut: Cut, { tile, copyA, copyB, copyAllB }: ReturnType<typeof calls>): string[] {
  const { g, p, deep, wide, broad, tall } = cut;
  // Panels of full width, then the rim at the right of the last block.
  const rim = g.n % wide;
  const panels = (body: (columns: number, j: string) => string[], from = "j0") => [
    ...(g.n >= wide
      ? [
          `for (dh_long j = ${from}; j < ${rim ? `j1 - j1 % ${wide}` : "j1"}; j += ${wide}) {`,
          ...indent(body(wide, "j")),
          "}",
        ]
      : []),
    ...(rim ? [`${broad.count > 1 ? `if (j1 == ${g.n}) ` : ""}{`, ...indent(body(rim, `${g.n - rim}`)), "}"] : []),
  ];
  /** All tiles of some rows; the first of them, or all, may pack. */
  const across = (rows: number, i: string) => {
    const packs = cut.panelsA === "tile" && rows === p.rows;
    return [
      ...(packs ? [tile(rows, wide, i, "j0", "A")] : cut.panelsA === "tile" ? [copyA(i, rows)] : []),
      ...panels((columns, j) => [tile(rows, columns, i, j)], packs ? `j0 + ${wide}` : "j0"),
    ];
  };
  /** The first rows of tiles, which leave the panels of B; not at its rim, where no tile packs. */
  const first = () => [
    ...(cut.panelsA === "tile" ? [copyA("i", p.rows)] : []),
    ...panels((columns, j) =>
      columns === wide ? [tile(p.rows, columns, "i", j, "B")] : [copyB(columns, j), tile(p.rows, columns, "i", j)],
    ),
  ];
  const below = g.m % p.rows;
  const packs = cut.panelsB === "tile" ? ["if (i == 0) {", ...indent(first()), "  continue;", "}"] : [];
  const rows = [
    ...(g.m >= p.rows
      ? [
          `for (dh_long i = i0; i < ${below ? `i1 - i1 % ${p.rows}` : "i1"}; i += ${p.rows}) {`,
          ...indent([...packs, ...across(p.rows, "i")]),
          "}",
        ]
      : []),
    ...(below
      ? [`${tall.count > 1 ? `if (i1 == ${g.m}) ` : ""}{`, ...indent(across(below, `${g.m - below}`)), "}"]
      : []),
  ];
  const copiesB = () => (g.b.col === 1 ? [copyAllB()] : panels((columns, j) => [copyB(columns, j)]));
  const next = declared(cut);
  const byRows = (lines: readonly string[]) => [
    `for (dh_long i0 = 0; i0 < ${g.m}; i0 += ${tall.size}) {`,
    `  const dh_long i1 = i0 + ${least("i0", tall.size, g.m)};`,
    ...indent(lines),
    "}",
  ];
  const byBlocks = (lines: readonly string[]) => [
    `for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${deep}) for (dh_long j0 = 0; j0 < ${g.n}; j0 += ${broad.size}) {`,
    `  const dh_long kn = ${least("k0", deep, g.k)}, j1 = j0 + ${least("j0", broad.size, g.n)};`,
    ...indent([...(cut.panelsB === "copy" ? copiesB() : []), ...next.block, ...lines]),
    "}",
  ];
  const copiesA = cut.panelsA === "copy" ? [copyA("i0", "i1 - i0"), ...next.rows] : [];
  return [
    ...next.once,
    ...g.passes.map(({ n }, d) => `for (dh_long p${d} = 0; p${d} < ${n}; p${d}++)`),
    ...(cut.far ? byRows(byBlocks(rows)) : byBlocks(byRows([...copiesA, ...rows]))),
  ];
}
