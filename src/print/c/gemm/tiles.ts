/**
 * Products by tiles of C that stay in registers while k goes by: A is read an entry at a time, B a vector at a time.
 *
 * For a block of k and of columns of B: for the rows of a tile: for the panels of B. Where a block of A stays in the
 * second-level cache, a block of B is one panel, which stays in the first while the rows of A come by; otherwise it is as
 * many as the second level holds, and a tile's share of A stays in the first while they stream past it.
 *
 * What does not lie as a tile wants it goes to panels in scratch: those of B while the first rows of tiles compute, one of
 * A while the first tile of its rows does, or by a copy before, where no such tile is. What is read next is asked for while
 * tiles compute, by each call two lines every few k-steps: the next block of B, the next rows of A, its next block.
 */
import { copyKernel, type Kernel, pickKernel, transposeKernel } from "./kernels.ts";
import { type Axes, type Normal, rounds, rowAt, tables } from "./normal.ts";
import { deepest, type Plan, roomForA, roomForB } from "./plan.ts";
import { tableTile } from "./special.ts";
import { at, blocks, type Form, indent, least } from "./text.ts";
import { canPack, lieOf, line, pace, tileKernel } from "./tile-kernels.ts";
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

/** Steps of k that are over before it pays to prepare for several at a time. */
const short = 64;

/** Calls of tiles that have nothing to ask for, and the bytes that each has the time to ask for. */
export type Idle = { readonly calls: number; readonly bytes: number };

export function idleTiles(g: Normal, p: Plan): Idle {
  const { deep, wide } = cutOf(g, vector(g.dtype, g.lanes), p.vectors);
  const askNothing = p.sets === 1 && p.vectors > 1 && !g.a.table && !g.b.table && !g.a.fold;
  if (!askNothing || p.packA || fetchesA(g, p) || fetchesB(g, p) || fetchesNext(g, p)) return { calls: 0, bytes: 0 };
  const calls = rounds(g.passes) * Math.ceil(g.k / deep) * Math.ceil(g.n / wide) * Math.ceil(g.m / p.rows);
  return { calls, bytes: asksOf(g, deep) * line };
}

/** How often a tile asks, in the shortest block of k. */
const asksOf = (g: Normal, deep: number) => Math.floor((g.k % deep || deep) / pace);

/** Calls in which tiles ask for lines of each k. */
const chunksOf = (deep: number) => Math.ceil(deep / Math.ceil(deep / pace));

/** Calls for all that a panel of B has at each k: every one asks for two lines. */
const pairsOfB = (g: Normal, p: Plan) => Math.ceil((p.vectors * vector(g.dtype, g.lanes).width) / pairOf(g));
/** Elements of two lines. */
const pairOf = (g: Normal) => (2 * line) / vector(g.dtype, g.lanes).bytes;

/** Whether tiles ask for the next block of B, or for the next rows of A. */
const fetchesB = (g: Normal, p: Plan) => p.packB === "copy" && !g.b.table && g.m >= p.rows * pairsOfB(g, p);
const fetchesA = (g: Normal, p: Plan) => !p.keepsA && !p.packA && !g.a.table && g.a.col === 1 && g.m > p.rows;

/** Rows of tiles, and how many of them ask for the next block of B. */
function rowsOfTiles(g: Normal, p: Plan): { down: number; busy: number } {
  const { deep } = cutOf(g, vector(g.dtype, g.lanes), p.vectors);
  return { down: Math.ceil(g.m / p.rows), busy: fetchesB(g, p) ? pairsOfB(g, p) * chunksOf(deep) : 0 };
}

/**
 * Whether tiles ask for the next block of an A that lies along m: where they pack it the last ones, and of one that stays
 * in the cache those that have no B to ask for.
 */
function fetchesNext(g: Normal, p: Plan): boolean {
  const v = vector(g.dtype, g.lanes);
  const along = g.a.row === 1 && g.a.col * v.bytes >= line && !g.a.fold && !g.a.table;
  const { down, busy } = rowsOfTiles(g, p);
  const isNext = g.k > cutOf(g, v, p.vectors).deep || g.m < g.whole.m;
  return along && isNext && (p.packA ? fusesA(g, p) : p.keepsA && down > busy);
}

/** Whether tiles that pack exist for both factors. */
const fusable = (g: Normal, { rows, vectors, sets }: Plan) =>
  canPack(g.lanes, { rows, vectors, sets }) &&
  lieOf({ rows, vectors, sets }, g.a) !== "any" &&
  !g.a.table &&
  !g.b.table;

/** Rows a multiple of 4096 bytes apart share few sets of the cache: there a copy of long pieces reads each line once. */
const fusesA = (g: Normal, p: Plan) =>
  p.packA && fusable(g, p) && (g.a.col * vector(g.dtype, g.lanes).bytes) % 4096 !== 0;

export function tiles(g: Normal, p: Plan): Form {
  const v = vector(g.dtype, g.lanes);
  const before = new Map<string, string>();
  const use = (k: Kernel) => {
    before.set(k.name, `${k.declaration}\n`);
    return k.name;
  };
  const { deep, wide, padded } = cutOf(g, v, p.vectors);
  const high = Math.ceil(p.rows / v.width) * v.width;
  const shape = { rows: p.rows, vectors: p.vectors, sets: p.sets };
  const packsA = fusesA(g, p);
  const packsB = p.packB === "copy" && fusable(g, p);
  const packedB = p.packB !== "none";
  const copiedB = packedB && p.packB !== "given";
  const broad = p.keepsA
    ? { size: wide, count: Math.ceil(g.n / wide) }
    : blocks(g.n, roomForB(g, v, p.packA) / v.bytes / deep, wide);
  const tall =
    p.packA && !packsA ? blocks(g.m, (roomForA / v.bytes / deep / high) * p.rows, p.rows) : { size: g.m, count: 1 };
  const sizeB = copiedB ? Math.ceil(broad.size / wide) * wide * deep : 0;
  const sizeA = p.packA ? (packsA ? 1 : Math.ceil(tall.size / p.rows)) * high * deep : 0;
  const scratchA = sizeB ? `(scratch + ${sizeB})` : "scratch";
  const pass = (side: "a" | "b") => g.passes.map((s, d) => ` + p${d} * ${s[side]}`).join("");
  // Where the block of k begins in a matrix; with a table of offsets that is a place in the table.
  const startA = `A${pass("a")}${g.a.table ? "" : ` + ${at("k0", g.a.col)}`}`;
  const startB = `B${pass("b")}${g.b.table ? "" : ` + ${at("k0", g.b.row)}`}`;
  const more = [...(g.k > deep ? ["k0 > 0"] : []), ...g.passes.map((_, d) => `p${d} > 0`)].join(" || ") || "0";

  const copiesA = p.packA && !packsA;
  const asks = Math.ceil(deep / pace);
  const chunks = chunksOf(deep);
  const [pair, pairs] = [pairOf(g), pairsOfB(g, p)];
  const { down, busy } = rowsOfTiles(g, p);
  /** Elements between two asks for a place of so many bytes: the last one is for its last line. */
  const spread = (bytes: number) =>
    Math.floor(Math.min(line, (bytes - 1) / Math.max(1, asksOf(g, deep) - 1)) / v.bytes);
  /** Where a call begins to ask, and how it goes on: by the first of these that is true. */
  const ahead = (i: string, j: string): string => {
    if (g.next) return `*(next < end ? next++ : end), ${spread(g.next.bytes)}`;
    const [panel, tile] = [`(${j} - j0) / ${wide}`, `${i} / ${p.rows}`];
    const asked: { when: string; from: string; step: number }[] = [];
    /** Lines of each k, `step` apart, a chunk of them in each call. */
    const strided = (when: string, from: string, chunk: string, step: number) =>
      asked.push({ when, from: `${from} + ${chunk} * ${asks * step}`, step });
    if (packsA) {
      const below = `${startA} + ${i} + ${2 * p.rows - 1}`;
      const from = fetchesNext(g, p) ? `(${i} + ${p.rows} < ${g.m} ? ${below} : nextA)` : below;
      strided(`${j} + ${chunks * wide} >= j1`, from, `(j1 - 1 - ${j}) / ${wide}`, g.a.col);
    }
    if (copiesA) strided(`${panel} < ${chunks}`, `nextA + ${i}`, panel, g.a.col);
    if (fetchesB(g, p))
      strided(
        `${i} < ${p.rows * busy}`,
        `nextB + (${j} - j0) + ${tile} % ${pairs} * ${pair}`,
        `${tile} / ${pairs}`,
        g.b.row,
      );
    if (!p.packA && fetchesNext(g, p)) {
      const turn = `(${j} / ${wide} * ${down - busy} + ${tile} - ${busy})`;
      const when = `${turn} < ${Math.ceil(g.m / pair) * chunks}`;
      strided(when, `nextA + ${turn} / ${chunks} * ${pair}`, `${turn} % ${chunks}`, g.a.col);
    }
    // A row in each call, with several asks for each of its lines.
    if (fetchesA(g, p))
      asked.push({
        when: `${panel} < ${p.rows}`,
        from: `${startA} + ${rowAt(`(${i} + ${p.rows} + ${panel})`, g.a)}`,
        step: line / v.bytes / pace,
      });
    const first = (what: "from" | "step", none: string) =>
      asked.reduceRight((otherwise, { when, [what]: is }) => `(${when} ? ${is} : ${otherwise})`, none);
    return `${first("from", `${startA} + ${rowAt(i, g.a)}`)}, ${first("step", "0")}`;
  };
  // The block of columns of B after this one, the next steps of k, or the rows of the next call for the same product.
  const nextA =
    (packsA && broad.count > 1 ? `j1 < ${g.n} ? ${startA} : ` : "") +
    (g.k > deep ? `k0 + kn < ${g.k} ? ${startA} + kn * ${g.a.col} : ` : "") +
    `A${pass("a")} + ${g.m}`;
  const panelA = (i: string) => (packsA ? scratchA : `${scratchA} + (${i} - i0) / ${p.rows} * ${high} * kn`);
  const panelB = (j: string) => `scratch + (${j} - j0) * kn`;
  const call = (rows: number, columns: number, i: string, j: string, packs?: "A" | "B") => {
    const [a, atA]: [Axes, string] =
      p.packA && packs !== "A" ? [{ row: 1, col: high }, panelA(i)] : [g.a, `${startA} + ${rowAt(i, g.a)}`];
    const [b, atB]: [Axes, string] =
      !packedB || packs === "B"
        ? [g.b, `${startB} + ${j}`]
        : [{ row: wide, col: 1 }, p.packB === "given" ? `B + k0 * ${padded} + ${j} * kn` : panelB(j)];
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
    const [part, full] = [{ ...shape, rows, vectors: Math.ceil(columns / v.width) }, last === v.width];
    const kernel = tileKernel(v, part, { full, lie: full && (packs || deep > short) ? lieOf(part, a) : "any", packs });
    return `${use(kernel)}(${list}, ${strides}, ${ahead(i, j)}${packs ? to[packs] : ""});`;
  };
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
  const toPanel = panelOf(g, v, use, wide);
  const panelOfB = (columns: number, j: string) => toPanel(`${startB} + ${at(j, g.b.col)}`, columns, panelB(j));
  const copyB = () =>
    g.b.col === 1 ? [toPanel(`${startB} + j0`, "j1 - j0", "scratch")] : panels((columns, j) => [panelOfB(columns, j)]);
  const stepA = g.a.table ? `${g.a.table} + k0` : `${g.a.col}`;
  const copyA = (from: string, rows: string | number, to: string) =>
    `${use(copyKernel(v, high / v.width, g.a.table !== undefined))}(${startA} + ${from}, ${stepA}, ${p.rows}, ${rows}, ${to}, kn);`;
  /** All tiles of some rows; the first of them, or all, may pack. */
  const across = (rows: number, i: string) => {
    const packs = packsA && rows === p.rows;
    return [
      ...(packs ? [call(rows, wide, i, "j0", "A")] : packsA ? [copyA(i, rows, scratchA)] : []),
      ...panels((columns, j) => [call(rows, columns, i, j)], packs ? `j0 + ${wide}` : "j0"),
    ];
  };
  /** The first rows of tiles, which leave the panels of B; not at its rim, where no tile packs. */
  const first = () => [
    ...(packsA ? [copyA("i", p.rows, scratchA)] : []),
    ...panels((columns, j) =>
      columns === wide ? [call(p.rows, columns, "i", j, "B")] : [panelOfB(columns, j), call(p.rows, columns, "i", j)],
    ),
  ];
  const below = g.m % p.rows;
  const walk = [
    ...(g.m >= p.rows
      ? [
          `for (dh_long i = i0; i < ${below ? `i1 - i1 % ${p.rows}` : "i1"}; i += ${p.rows}) {`,
          ...(packsB ? ["  if (i == 0) {", ...indent(indent(first())), "    continue;", "  }"] : []),
          ...indent(across(p.rows, "i")),
          "}",
        ]
      : []),
    ...(below
      ? [`${tall.count > 1 ? `if (i1 == ${g.m}) ` : ""}{`, ...indent(across(below, `${g.m - below}`)), "}"]
      : []),
  ];
  const body = [
    ...(g.next ? [`const ${v.type} *const *const end = next + ${g.next.count - 1};`] : []),
    ...g.passes.map(({ n }, d) => `for (dh_long p${d} = 0; p${d} < ${n}; p${d}++)`),
    `for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${deep}) for (dh_long j0 = 0; j0 < ${g.n}; j0 += ${broad.size}) {`,
    `  const dh_long kn = ${least("k0", deep, g.k)}, j1 = j0 + ${least("j0", broad.size, g.n)};`,
    ...(copiedB && !packsB ? indent(copyB()) : []),
    ...(fetchesNext(g, p) && !g.next ? [`  const ${v.type} *nextA = ${nextA};`] : []),
    ...(fetchesB(g, p) ? [`  const ${v.type} *nextB = ${startB} + (j1 < ${g.n} ? j1 : kn * ${g.b.row});`] : []),
    `  for (dh_long i0 = 0; i0 < ${g.m}; i0 += ${tall.size}) {`,
    `    const dh_long i1 = i0 + ${least("i0", tall.size, g.m)};`,
    ...(copiesA
      ? [
          `    ${copyA("i0", "i1 - i0", scratchA)}`,
          `    const ${v.type} *nextA = ${startA} + (i1 < ${g.m} ? ${tall.size} : kn * ${g.a.col} - i0);`,
        ]
      : []),
    ...indent(indent(walk)),
    "  }",
    "}",
  ];
  return { before: [tables(g), ...before.values()], body: indent(body).join("\n"), scratch: sizeB + sizeA };
}
