/**
 * Which tile a product uses and what is copied first, by a model of the cycles. Two results must not depend on how many
 * rows a call has: the order of its sums (`setsOf`, `deepest`), and the panels of a packed B (`panelVectors`).
 */
import { squareDot } from "./kernels.ts";
import { type Normal, rounds } from "./normal.ts";
import { canPack, type TileShape, tallest, widest } from "./tile-kernels.ts";
import { registers, type Vector, vector } from "./vector.ts";

export type Plan = {
  /** Rows × vectors of C in registers, with so many sets of accumulators. */
  readonly rows: number;
  readonly vectors: number;
  readonly sets: 1 | 4;
  /** A goes to panels of `rows` rows. */
  readonly packA: boolean;
  /** B goes to panels of `vectors`, or lies in them already. */
  readonly packB: "none" | "copy" | "transpose" | "given";
  /**
   * A block of A stays in the second level of the cache and one panel of B in the first, for all rows; otherwise a block of
   * B stays in the second, and the rows of A come by.
   */
  readonly keepsA: boolean;
  readonly cycles: number;
};

/** Steps of k taken at a time: a tile's share of A stays in the first level of the cache. */
export const deepest = 384;
/** Bytes of panels of A that are copied at a time. */
export const roomForA = 1 << 18;
/** And of B: they stay in a second level of 512 KB; larger where A, being large, is copied again for each block of B. */
export const roomForB = (g: Normal, v: Vector, packA: boolean) =>
  packA && g.m * Math.min(g.k, deepest) * v.bytes > roomForA ? 1 << 20 : 384 << 10;

/** Cycles of one k-step of a tile: 2 FMA and 2 loads per cycle, 6 instructions issued, a latency of 4. */
function tileCycles(rows: number, vectors: number, sets: number): number {
  const sums = rows * vectors;
  const issued = Math.max((rows + vectors) / 2, (sums + rows + vectors + 2) / 6);
  return Math.max(issued, ((sums / 2) ** 5 + (4 / sets) ** 5) ** 0.2);
}

/** Of a matrix of these sizes, in square blocks of a vector's lanes. */
export const transposeCycles = (v: Vector, rows: number, columns: number): number =>
  6 * v.width * Math.ceil(rows / v.width) * Math.ceil(columns / v.width);

/** A small product walks k with four sets of accumulators, because one does not hide the latency of a sum. */
const setsOf = (g: Normal, v: Vector): 1 | 4 =>
  g.k >= 16 && g.whole.m * Math.ceil(g.whole.n / v.width) < 8 && g.whole.n <= 2 * v.width ? 4 : 1;

/** Vectors in a panel of a B that is packed once for all calls. */
export const panelVectors = (g: Normal, v: Vector): number => Math.min(2, Math.ceil(g.n / v.width));

export function plan(g: Normal): Plan {
  const v = vector(g.dtype, g.lanes);
  const across = Math.ceil(g.n / v.width);
  const sets = setsOf(g, v);
  const packB = packingB(g);
  const packing = (shape: TileShape) =>
    ({
      none: 0,
      copy: (canPack(g.lanes, shape) ? 2 : 6) * g.k * across,
      transpose: g.b.table ? 1.5 * g.k * g.n : transposeCycles(v, g.k, g.n),
      given: 0,
    })[packB];
  const packsA = !g.a.fold && g.a.row === 1 && g.a.col * v.bytes >= 1024 && g.k > 1;
  const keepsA = !packsA && (comesFromFar(g, v) || g.m <= rowsThatFit(g, v, 384 << 10));
  // Rows a multiple of 4096 bytes apart share one set of the first-level cache, which holds 8 to 12 lines.
  const most = g.a.col === 1 && (g.a.row * v.bytes) % 4096 === 0 ? 12 : Infinity;
  // What lies at offsets of a table is walked with one set (gemm/special.ts).
  const turns = g.a.table || (g.b.table && packB === "none") ? 1 : sets;
  const widths =
    packB === "given" ? [panelVectors(g, v)] : Array.from({ length: Math.min(widest, across) }, (_, i) => i + 1);
  let best: Pick<Plan, "rows" | "vectors" | "cycles"> | undefined;
  // Rows of a tile lie alike in all tiles: they are rows of one image row, or all of some.
  const { rows: folded = 1 } = g.a.fold ?? {};
  const alike = (rows: number) => folded === 1 || folded % rows === 0 || rows % folded === 0;
  for (const vectors of widths) {
    for (let rows = Math.min(g.m, most, tallest(g.lanes, vectors, sets)); rows >= 1; rows--) {
      if (!alike(rows)) continue;
      const [down, below] = [Math.floor(g.m / rows), g.m % rows];
      const [right, beside] = [Math.floor(across / vectors), across % vectors];
      const step =
        down * right * tileCycles(rows, vectors, turns) +
        (beside ? down * tileCycles(rows, beside, turns) : 0) +
        (below ? right * tileCycles(below, vectors, turns) : 0) +
        (below && beside ? tileCycles(below, beside, turns) : 0);
      const calls = 12 * Math.ceil(g.m / rows) * Math.ceil(across / vectors) + g.m * across;
      const cycles = rounds(g.passes) * (g.k * step + calls + packing({ rows, vectors, sets }));
      if (!best || cycles < best.cycles) best = { rows, vectors, cycles };
    }
  }
  // A stored along m: its k-steps lie in as many pages, and every panel of B comes by again.
  const packA = packsA && across > best!.vectors;
  const cycles = best!.cycles + (packA ? 3.7 * rounds(g.passes) * g.k * Math.ceil(g.m / best!.rows) : 0);
  return { ...best!, sets, packA, packB, keepsA, cycles };
}

/** Whether B lies in panels, and more of them than a second-level cache holds beside what else a call touches. */
export const comesFromFar = (g: Normal, v: Vector): boolean => g.packed === true && g.k * g.n * v.bytes > 1 << 20;

/** Rows of A that take less than `room` of a second-level cache of 1 MB or more; rows far apart share few sets of it. */
export function rowsThatFit(g: Normal, v: Vector, room: number): number {
  const apart = Math.abs(g.a.row) * v.bytes;
  const rows = Math.ceil(room / (Math.min(g.k, deepest) * v.bytes)) - 1;
  return g.a.col === 1 && apart % 1024 === 0 ? Math.min(rows, Math.floor((512 << 10) / apart)) : rows;
}

/**
 * B is transposed when its columns are not contiguous. It is copied when it is large and comes by often enough, so that it
 * streams from one place instead of one page per k-step; sooner when its rows collide in the cache, or when each call has
 * a B of its own, as after a flip, which no prefetcher brings from so many pages.
 */
export function packingB(g: Normal): Plan["packB"] {
  const v = vector(g.dtype, g.lanes);
  if (g.packed) return "given";
  if (g.b.col !== 1) return "transpose";
  const apart = g.b.table ? 0 : g.b.row * v.bytes;
  if (g.flipped && g.n < g.whole.n && apart >= 1024 && g.m >= 24) return "copy";
  return g.m >= (apart % 4096 === 0 && apart ? 24 : 64) && g.k * g.n * v.bytes > 1 << 18 ? "copy" : "none";
}

/** Entries of C that a dot computes at a time: rows × columns, one accumulator each. */
export function dotTile(g: Normal): { rows: number; columns: number } {
  return g.m === 1 ? { rows: 1, columns: registers(g.lanes) / 2 } : squareDot(g.lanes);
}
