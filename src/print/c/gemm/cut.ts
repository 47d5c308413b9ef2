/**
 * How a product by tiles is cut: into blocks of k, of B's columns and of A's rows, which the levels of the cache hold, and
 * into panels of what does not lie as a tile wants it. Who makes a panel: a tile that computes with what it moves, where
 * there is one for the shape, or a copy before.
 */
import type { Normal } from "./normal.ts";
import { comesFromFar, deepest, type Plan, roomForA, roomForB, rowsThatFit } from "./plan.ts";
import { blocks } from "./text.ts";
import { canPack, lieOf, type TileShape } from "./tile-kernels.ts";
import { type Vector, vector } from "./vector.ts";

/** Steps of k in a block, columns of a panel of B, and those of all panels. */
export type Panels = { readonly deep: number; readonly wide: number; readonly padded: number };

export function panelsOf(g: Normal, v: Vector, vectors: number): Panels {
  const wide = vectors * v.width;
  return { deep: blocks(g.k, deepest).size, wide, padded: Math.ceil(g.n / wide) * wide };
}

type Blocks = { readonly size: number; readonly count: number };

/** A product, its plan, and all numbers that follow of them. */
export type Cut = Panels & {
  readonly g: Normal;
  readonly p: Plan;
  readonly v: Vector;
  readonly shape: TileShape;
  /** Places that a panel of A has for each k: whole vectors. */
  readonly high: number;
  /** Blocks of B's columns, and of A's rows. */
  readonly broad: Blocks;
  readonly tall: Blocks;
  /** Panels of B come by for one block of A's rows, which stays in the cache, then for the next; else for all in turn. */
  readonly far: boolean;
  /** Who makes the panels. */
  readonly panelsA: "none" | "tile" | "copy";
  readonly panelsB: "none" | "tile" | "copy" | "given";
  /** Places of scratch: panels of B, and behind them those of A. */
  readonly sizeA: number;
  readonly sizeB: number;
};

export function cutOf(g: Normal, p: Plan): Cut {
  const v = vector(g.dtype, g.lanes);
  const panels = panelsOf(g, v, p.vectors);
  const { deep, wide } = panels;
  const shape = { rows: p.rows, vectors: p.vectors, sets: p.sets };
  const high = Math.ceil(p.rows / v.width) * v.width;
  const fusable = canPack(g.lanes, shape) && lieOf(shape, g.a) !== "any" && !g.a.table && !g.b.table;
  // Rows a multiple of 4096 bytes apart share few sets of the cache: there a copy of long pieces reads each line once.
  const panelsA = !p.packA ? "none" : fusable && (g.a.col * v.bytes) % 4096 !== 0 ? "tile" : "copy";
  const panelsB = p.packB === "transpose" ? "copy" : p.packB === "copy" && fusable ? "tile" : p.packB;
  const broad = p.keepsA
    ? { size: wide, count: Math.ceil(g.n / wide) }
    : blocks(g.n, roomForB(g, v, p.packA) / v.bytes / deep, wide);
  const far = p.keepsA && comesFromFar(g, v);
  const most = far
    ? Math.max(p.rows, rowsThatFit(g, v, roomForA))
    : panelsA === "copy"
      ? (roomForA / v.bytes / deep / high) * p.rows
      : g.m;
  const tall = most < g.m ? blocks(g.m, most, p.rows) : { size: g.m, count: 1 };
  const panelsAtOnce = { none: 0, tile: 1, copy: Math.ceil(tall.size / p.rows) }[panelsA];
  const copiedB = panelsB === "tile" || panelsB === "copy";
  return {
    ...panels,
    ...{ g, p, v, shape, high, broad, tall, far, panelsA, panelsB },
    sizeA: panelsAtOnce * high * deep,
    sizeB: copiedB ? Math.ceil(broad.size / wide) * wide * deep : 0,
  };
}
