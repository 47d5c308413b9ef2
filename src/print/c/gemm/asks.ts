/**
 * What tiles ask for while they compute: memory that is read after them, where no prefetcher of the machine would have it.
 * The next block of B or the next of its panels, the next rows of A, its next block, or places that the caller lists. Each
 * call asks for two lines every few steps of k (tile-kernels.ts); which these are is two arguments of the call.
 */
import { type Cut, cutOf } from "./cut.ts";
import { blockAt, type Normal, passAt, rounds, rowAt } from "./normal.ts";
import type { Plan } from "./plan.ts";
import { line, pace } from "./tile-kernels.ts";

/** How often a tile asks, in the shortest block of k. */
const timesOf = ({ g, deep }: Cut) => Math.floor((g.k % deep || deep) / pace);

/** How often it asks in the longest, and calls in which tiles ask for lines of each k. */
const mostOf = ({ deep }: Cut) => Math.ceil(deep / pace);
const chunksOf = (cut: Cut) => Math.ceil(cut.deep / mostOf(cut));

/** Elements of two lines, and calls for all that a panel of B has at each k. */
const pairOf = ({ v }: Cut) => (2 * line) / v.bytes;
const pairsOfB = (cut: Cut) => Math.ceil(cut.wide / pairOf(cut));

/** Whether tiles ask for the next block of B, or for the next rows of A. */
const fetchesB = (cut: Cut) => {
  const { g, p } = cut;
  return p.packB === "copy" && !g.b.table && g.m >= p.rows * pairsOfB(cut);
};
const fetchesA = ({ g, p }: Cut) => !p.keepsA && !p.packA && !g.a.table && g.a.col === 1 && g.m > p.rows;

/** Rows of tiles, and how many of them ask for the next block of B. */
const rowsOf = (cut: Cut) => ({
  down: Math.ceil(cut.g.m / cut.p.rows),
  busy: fetchesB(cut) ? pairsOfB(cut) * chunksOf(cut) : 0,
});

/**
 * Whether tiles ask for the next block of an A that lies along m: where they pack it the last ones, and of one that stays
 * in the cache those that have no B to ask for.
 */
function fetchesNext(cut: Cut): boolean {
  const { g, p, v } = cut;
  const along = g.a.row === 1 && g.a.col * v.bytes >= line && !g.a.fold && !g.a.table;
  const { down, busy } = rowsOf(cut);
  const isNext = g.k > cut.deep || g.m < g.whole.m;
  return along && isNext && (p.packA ? cut.panelsA === "tile" : p.keepsA && down > busy);
}

/** Calls of tiles that have nothing to ask for, and the bytes that each has the time to ask for. */
export type Idle = { readonly calls: number; readonly bytes: number };

export function idleTiles(g: Normal, p: Plan): Idle {
  const cut = cutOf(g, p);
  const canAsk = p.sets === 1 && p.vectors > 1 && !g.a.table && !g.b.table && !g.a.fold;
  const asks = p.packA || fetchesA(cut) || fetchesB(cut) || cut.far || fetchesNext(cut);
  if (!canAsk || asks) return { calls: 0, bytes: 0 };
  const calls = rounds(g.passes) * Math.ceil(g.k / cut.deep) * Math.ceil(g.n / cut.wide) * Math.ceil(g.m / p.rows);
  return { calls, bytes: timesOf(cut) * line };
}

/** Lines that some of the calls ask for: those where `when` is true begin at `from`, and go on by `step`. */
type Ask = { readonly when: string; readonly from: string; readonly step: number };

/** What the call of the tile at row i and column j may ask for: the first of these whose turn it is. */
function asksAt(cut: Cut, i: string, j: string): Ask[] {
  const { g, p, v, wide } = cut;
  const [chunks, pair, pairs] = [chunksOf(cut), pairOf(cut), pairsOfB(cut)];
  const { down, busy } = rowsOf(cut);
  const [panel, tile] = [`(${j} - j0) / ${wide}`, `${i} / ${p.rows}`];
  const all: Ask[] = [];
  /** Lines of each k, `step` apart, a chunk of them in each call. */
  const strided = (when: string, from: string, chunk: string, step: number) =>
    all.push({ when, from: `${from} + ${chunk} * ${mostOf(cut) * step}`, step });
  if (cut.panelsA === "tile") {
    const below = `${blockAt(g, "a")} + ${i} + ${2 * p.rows - 1}`;
    const from = fetchesNext(cut) ? `(${i} + ${p.rows} < ${g.m} ? ${below} : nextA)` : below;
    strided(`${j} + ${chunks * wide} >= j1`, from, `(j1 - 1 - ${j}) / ${wide}`, g.a.col);
  }
  if (cut.panelsA === "copy") strided(`${panel} < ${chunks}`, `nextA + ${i}`, panel, g.a.col);
  if (cut.far) {
    const turn = `(${i} - i0) / ${p.rows} * ${mostOf(cut) * pair}`;
    all.push({ when: `${turn} < ${wide} * kn`, from: `nextB + ${turn}`, step: pair });
  }
  if (fetchesB(cut)) {
    const from = `nextB + (${j} - j0) + ${tile} % ${pairs} * ${pair}`;
    strided(`${i} < ${p.rows * busy}`, from, `${tile} / ${pairs}`, g.b.row);
  }
  if (!p.packA && fetchesNext(cut)) {
    const turn = `(${j} / ${wide} * ${down - busy} + ${tile} - ${busy})`;
    const when = `${turn} < ${Math.ceil(g.m / pair) * chunks}`;
    strided(when, `nextA + ${turn} / ${chunks} * ${pair}`, `${turn} % ${chunks}`, g.a.col);
  }
  // A row in each call, with several asks for each of its lines.
  if (fetchesA(cut)) {
    const from = `${blockAt(g, "a")} + ${rowAt(`(${i} + ${p.rows} + ${panel})`, g.a)}`;
    all.push({ when: `${panel} < ${p.rows}`, from, step: line / v.bytes / pace });
  }
  return all;
}

/** The arguments of that call: where it begins to ask, and how far apart its asks are. */
export function ahead(cut: Cut, i: string, j: string): string {
  const { g, v } = cut;
  if (g.next) {
    // The last ask is for the last line.
    const apart = Math.min(line, (g.next.bytes - 1) / Math.max(1, timesOf(cut) - 1));
    return `*(next < end ? next++ : end), ${Math.floor(apart / v.bytes)}`;
  }
  const asks = asksAt(cut, i, j);
  const first = (what: "from" | "step", none: string) =>
    asks.reduceRight((otherwise, { when, [what]: is }) => `(${when} ? ${is} : ${otherwise})`, none);
  return `${first("from", `${blockAt(g, "a")} + ${rowAt(i, g.a)}`)}, ${first("step", "0")}`;
}

/** Declarations that the arguments need: for all blocks, in each block, and in each block of A's rows. */
export function declared(cut: Cut): { once: string[]; block: string[]; rows: string[] } {
  const { g, v, deep } = cut;
  const [A, B] = [blockAt(g, "a"), blockAt(g, "b")];
  // The block of columns of B after this one, the next steps of k, or the rows of the next call for the same product.
  const nextA =
    (cut.panelsA === "tile" && cut.broad.count > 1 ? `j1 < ${g.n} ? ${A} : ` : "") +
    (g.k > deep ? `k0 + kn < ${g.k} ? ${A} + kn * ${g.a.col} : ` : "") +
    `${passAt(g, "a")} + ${g.m}`;
  // The panel after this one, the first of the next steps of k, or the first of all for the next rows.
  const nextPanel =
    `j1 < ${g.n} ? k0 * ${cut.padded} + j1 * kn : ` +
    `${g.k > deep ? `k0 + kn < ${g.k} ? (k0 + kn) * ${cut.padded} : ` : ""}0`;
  const rows = `${A} + (i1 < ${g.m} ? ${cut.tall.size} : kn * ${g.a.col} - i0)`;
  return {
    once: g.next ? [`const ${v.type} *const *const end = next + ${g.next.count - 1};`] : [],
    block: [
      ...(fetchesNext(cut) && !g.next ? [`const ${v.type} *nextA = ${nextA};`] : []),
      ...(cut.far ? [`const ${v.type} *nextB = B + (${nextPanel});`] : []),
      ...(fetchesB(cut) ? [`const ${v.type} *nextB = ${B} + (j1 < ${g.n} ? j1 : kn * ${g.b.row});`] : []),
    ],
    rows: cut.panelsA === "copy" ? [`const ${v.type} *nextA = ${rows};`] : [],
  };
}
