/**
 * Products by tiles of C that stay in registers while k goes by: A is read an entry at a time, B a vector at a time.
 *
 * For a block of k and of columns whose B fits the second-level cache: for the rows of a tile: for the panels of B. So a
 * tile's share of A stays close while B streams past it. What does not lie as a tile wants it goes to panels in scratch;
 * what the next copy reads is asked for while tiles compute, by each call a line of every k-step.
 */
import { copyKernel, type Kernel, pickKernel, tileKernel, transposeKernel } from "./kernels.ts";
import { type Axes, type Normal, tables } from "./normal.ts";
import { deepest, type Plan, roomForA, roomForB } from "./plan.ts";
import { tableTile } from "./special.ts";
import { at, blocks, type Form, indent, least } from "./text.ts";
import { type Vector, vector } from "./vector.ts";

/** How a matrix is cut: blocks of k, and panels of columns. */
type Cut = { readonly deep: number; readonly wide: number; readonly padded: number };

export function cutOf(g: Normal, v: Vector, vectors: number): Cut {
  const wide = vectors * v.width;
  return { deep: blocks(g.k, deepest).size, wide, padded: Math.ceil(g.n / wide) * wide };
}

/** A call that brings a panel of B, or several where its columns are contiguous, to `to`. */
export function panelOf(g: Normal, v: Vector, use: (k: Kernel) => string, wide: number) {
  const step = g.b.table ? `${g.b.table} + k0` : `${g.b.row}`;
  return (from: string, columns: string | number, to: string) =>
    g.b.col === 1
      ? `${use(copyKernel(v, wide / v.width, g.b.table !== undefined))}(${from}, ${step}, ${wide}, ${columns}, ${to}, kn);`
      : `${use(g.b.table ? pickKernel(v) : transposeKernel(v))}(${from}, ${step}, ${g.b.col}, ${to}, ${wide}, ${columns}, kn);`;
}

export function tiles(g: Normal, p: Plan): Form {
  const v = vector(g.dtype, g.lanes);
  const before = new Map<string, string>();
  const use = (k: Kernel) => {
    before.set(k.name, `${k.declaration}\n`);
    return k.name;
  };
  const { deep, wide, padded } = cutOf(g, v, p.vectors);
  const high = Math.ceil(p.rows / v.width) * v.width;
  const packedB = p.packB !== "none";
  const copiedB = packedB && p.packB !== "given";
  const broad =
    p.packB === "given" ? { size: g.n, count: 1 } : blocks(g.n, roomForB(g, v, p.packA) / v.bytes / deep, wide);
  const tall = p.packA ? blocks(g.m, (roomForA / v.bytes / deep / high) * p.rows, p.rows) : { size: g.m, count: 1 };
  const sizeB = copiedB ? Math.ceil(broad.size / wide) * wide * deep : 0;
  const sizeA = p.packA ? Math.ceil(tall.size / p.rows) * high * deep : 0;
  const a: Axes = p.packA ? { row: 1, col: high } : g.a;
  const b: Axes = packedB ? { row: wide, col: 1 } : g.b;
  const scratchA = sizeB ? `(scratch + ${sizeB})` : "scratch";
  const pass = (side: "a" | "b") => g.passes.map((s, d) => ` + p${d} * ${s[side]}`).join("");
  // Where the block of k begins in a matrix; with a table of offsets that is a place in the table.
  const startA = `A${pass("a")}${g.a.table ? "" : ` + ${at("k0", g.a.col)}`}`;
  const startB = `B${pass("b")}${g.b.table ? "" : ` + ${at("k0", g.b.row)}`}`;
  const more = [...(g.k > deep ? ["k0 > 0"] : []), ...g.passes.map((_, d) => `p${d} > 0`)].join(" || ") || "0";

  const fetchesA = p.packA && !g.a.table;
  const fetchesB = p.packB === "copy" && !g.b.table && g.m >= p.rows * p.vectors;
  /** Of the next block of B, the first rows of tiles ask for a vector of the panel each; of A, the first panel for its rows. */
  const ahead = (atA: string, i: string, j: string): string => {
    const none = [atA, "0"] as const;
    const choose = (
      when: string,
      [x, xStep]: readonly [string, string | number],
      [y, yStep]: readonly [string, string | number],
    ) => [`(${when} ? ${x} : ${y})`, `(${when} ? ${xStep} : ${yStep})`] as const;
    const ofA = fetchesA ? choose(`${j} == j0`, [`nextA + ${i}`, g.a.col], none) : none;
    const vectorB = `nextB + (${j} - j0) + ${i} / ${p.rows} * ${v.width}`;
    return (fetchesB ? choose(`${i} < ${p.rows * p.vectors}`, [vectorB, g.b.row], ofA) : ofA).join(", ");
  };
  const call = (rows: number, columns: number, i: string, j: string) => {
    const atA = p.packA ? `${scratchA} + (${i} - i0) / ${p.rows} * ${high} * kn` : `${startA} + ${at(i, g.a.row)}`;
    const atB =
      p.packB === "given"
        ? `B + k0 * ${padded} + ${j} * kn`
        : packedB
          ? `scratch + (${j} - j0) * kn`
          : `${startB} + ${j}`;
    const list = `${atA}, ${atB}, C + ${at(i, g.c.row)} + ${j}, kn, ${more}`;
    if (a.table || b.table) {
      const [name, text] = tableTile(g, v, { rows, columns, a, b });
      before.set(name, text);
      return `${name}(${[list, ...[a, b].flatMap(({ table }) => (table ? [`${table} + k0`] : []))].join(", ")});`;
    }
    const last = columns % v.width || v.width;
    const strides = `${g.name}_strides${last}`;
    before.set(strides, `static const dh_long ${strides}[] = {${[a.row, a.col, b.row, g.c.row, last].join(", ")}};\n`);
    const shape = { rows, vectors: Math.ceil(columns / v.width), sets: p.sets };
    return `${use(tileKernel(v, shape, last === v.width))}(${list}, ${strides}, ${ahead(atA, i, j)});`;
  };
  // Panels of full width, then the rim at the right of the last block.
  const rim = g.n % wide;
  const panels = (body: (columns: number, j: string) => string[]) => [
    ...(g.n >= wide
      ? [
          `for (dh_long j = j0; j < ${rim ? `j1 - j1 % ${wide}` : "j1"}; j += ${wide}) {`,
          ...indent(body(wide, "j")),
          "}",
        ]
      : []),
    ...(rim ? [`${broad.count > 1 ? `if (j1 == ${g.n}) ` : ""}{`, ...indent(body(rim, `${g.n - rim}`)), "}"] : []),
  ];
  const below = g.m % p.rows;
  const tilesDown = (body: (rows: number, i: string) => string[]) => [
    ...(g.m >= p.rows
      ? [
          `for (dh_long i = i0; i < ${below ? `i1 - i1 % ${p.rows}` : "i1"}; i += ${p.rows}) {`,
          ...indent(body(p.rows, "i")),
          "}",
        ]
      : []),
    ...(below ? [`${tall.count > 1 ? `if (i1 == ${g.m}) ` : ""}{`, ...indent(body(below, `${g.m - below}`)), "}"] : []),
  ];
  const toPanel = panelOf(g, v, use, wide);
  const packB =
    g.b.col === 1
      ? [toPanel(`${startB} + j0`, "j1 - j0", "scratch")]
      : panels((columns, j) => [toPanel(`${startB} + ${at(j, g.b.col)}`, columns, `scratch + (${j} - j0) * kn`)]);
  const stepA = g.a.table ? `${g.a.table} + k0` : `${g.a.col}`;
  const packA = () =>
    `${use(copyKernel(v, high / v.width, g.a.table !== undefined))}(${startA} + i0, ${stepA}, ${p.rows}, i1 - i0, ${scratchA}, kn);`;
  const body = [
    ...g.passes.map(({ n }, d) => `for (dh_long p${d} = 0; p${d} < ${n}; p${d}++)`),
    `for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${deep}) for (dh_long j0 = 0; j0 < ${g.n}; j0 += ${broad.size}) {`,
    `  const dh_long kn = ${least("k0", deep, g.k)}, j1 = j0 + ${least("j0", broad.size, g.n)};`,
    ...(copiedB ? indent(packB) : []),
    ...(fetchesB ? [`  const ${v.type} *nextB = ${startB} + (j1 < ${g.n} ? j1 : kn * ${g.b.row});`] : []),
    `  for (dh_long i0 = 0; i0 < ${g.m}; i0 += ${tall.size}) {`,
    `    const dh_long i1 = i0 + ${least("i0", tall.size, g.m)};`,
    ...(p.packA ? [`    ${packA()}`] : []),
    ...(fetchesA
      ? [`    const ${v.type} *nextA = ${startA} + (i1 < ${g.m} ? ${tall.size} : kn * ${g.a.col} - i0);`]
      : []),
    ...indent(indent(tilesDown((rows, i) => panels((columns, j) => [call(rows, columns, i, j)])))),
    "  }",
    "}",
  ];
  return { before: [tables(g), ...before.values()], body: indent(body).join("\n"), scratch: sizeB + sizeA };
}
