/**
 * Contractions in C: one function per shape and layout, a nest of loops around the kernels of a library that is compiled
 * once per machine (gemm/kernels.ts). A model of the cycles chooses between the two families of kernels, tiles and dots,
 * and what is copied to panels first (gemm/plan.ts).
 */
import type { Step, Strides } from "../../compile/program.ts";
import { type Idle, idleTiles } from "./gemm/asks.ts";
import { cutOf, panelsOf } from "./gemm/cut.ts";
import { dotCycles, dots, dotsFit } from "./gemm/dots.ts";
import { type Kernel, transposeKernel } from "./gemm/kernels.ts";
import { flip, type Normal, normalise, tables } from "./gemm/normal.ts";
import { comesFromFar, packingB, panelVectors, plan, transposeCycles } from "./gemm/plan.ts";
import { type Form, indent } from "./gemm/text.ts";
import { panelOf, tiles } from "./gemm/tiles.ts";
import { vector, vectorPrelude } from "./gemm/vector.ts";
import { multiplyAdds } from "./types.ts";

export type Gemm = {
  /** The C function's name, prefixed `dh_`. */
  readonly name: string;
  readonly dtype: "f32" | "f64";
  readonly m: number;
  readonly n: number;
  /** m and n of the whole product, where a call computes a part of it. */
  readonly whole?: { readonly m: number; readonly n: number };
  /** The axes that are summed over, the last one fastest: strides in elements, of any sign; 0 repeats. */
  readonly sum: readonly Step[];
  /** A[i·a + Σ l·step.a], i < m, l < step.n. */
  readonly a: number;
  /** A row of an image, if A goes on after each of them elsewhere: A[⌊i / rows⌋·step + (i mod rows)·a + …]. */
  readonly fold?: Fold;
  /** B[j·b + Σ l·step.b], j < n. */
  readonly b: number;
  /** C[i·row + j·col]. */
  readonly c: Strides;
  /** f32 lanes of the machine's vectors: 16 (AVX-512), 8 (AVX2), 4 (anything else). */
  readonly lanes: number;
  /** The function is given B as `printPacking` has put it into panels, instead of B. */
  readonly packed?: boolean;
  /** The function is given such places besides, of what is read after it: its idle tiles ask for them. */
  readonly next?: Places;
};

/** So many rows of A have one stride, and so far is it from the first of them to the first of the next. */
export type Fold = { readonly rows: number; readonly step: number };

export type { Idle };

/** Places in memory, of so many bytes each, whole lines but the last. */
export type Places = { readonly count: number; readonly bytes: number };

/** What a file needs once, before any contraction. */
export const gemmPrelude = (lanes: number): string => `${multiplyAdds}${vectorPrelude(lanes)}`;

/**
 * C = A·B; what C held before is overwritten. The text defines
 *   static void NAME(const T *restrict A, const T *restrict B, T *restrict C, T *restrict scratch)
 * with one more parameter, const T *const *next, where places are given, and needs `gemmPrelude` above it and the library of
 * its dtype (gemm/library.ts) where it is linked or loaded. `scratch` holds `scratchBytes`, aligned to 64; it may be null when
 * that is 0. Any strides and any sizes, 0 included.
 *
 * The order of every sum depends on the whole product, its layout and the lanes alone: however its rows and columns are cut
 * into calls, the bits are the same.
 */
export function printGemm(gemm: Gemm): { text: string; scratchBytes: number } {
  const g = normalise(gemm);
  const { before, body, scratch } = form(g);
  const { type, bytes } = vector(g.dtype, g.lanes);
  // After a flip the caller's A plays the part of B: the parameters swap their names, not their places.
  const [first, second] = g.flipped ? ["B", "A"] : ["A", "B"];
  const head =
    `static void ${g.name}(const ${type} *restrict ${first}, const ${type} *restrict ${second}, ` +
    `${type} *restrict C, ${type} *restrict scratch${g.next ? `, const ${type} *const *next` : ""})`;
  return { text: `${before.join("")}${head} {\n${body}\n}\n`, scratchBytes: scratch * bytes };
}

/** What the tiles of a product can ask for of what is read after it: none where it is not theirs. */
export function idle(gemm: Gemm): Idle {
  const g = normalise(gemm);
  const byTiles = g.m * g.n * g.k > 0 && g.c.col === 1 && (g.packed || !(byDots(g) || transposed(g)));
  return byTiles ? idleTiles(g, plan(g)) : { calls: 0, bytes: 0 };
}

/** Bytes of B that are soon read again: as much stays in a second-level cache beside what else a band touches. */
const NEAR = 1 << 18;

/** A call for all image rows instead of one for each is more text to compile: where B stays close it has to gain this. */
const GAIN = 0.75;

/**
 * Whether one call for a product whose rows are those of several image rows is faster than a call for each: `gemm` has a
 * fold. B then comes by once for all, from where it does not stay close; and tiles are whole image rows, or divide them,
 * which must cost little. Where it does, only rows of so few places gain that their sums wait for themselves.
 */
export function foldable(gemm: Gemm & { readonly fold: Fold }): boolean {
  const { fold, ...flat } = gemm;
  const calls = gemm.m / fold.rows;
  const [one, each] = [normalise(gemm), normalise({ ...flat, m: fold.rows, whole: { m: fold.rows, n: gemm.n } })];
  if (one.flipped || one.c.col !== 1 || byDots(each)) return false;
  const near = one.k * one.n * vector(gemm.dtype, gemm.lanes).bytes <= NEAR;
  return plan(one).cycles <= (near ? GAIN : 1.05) * calls * plan(each).cycles;
}

/**
 * B of a product in panels, for products that take the same B in many calls: packed once, it is read by all of them with
 * `packed: true`. The text defines
 *   static void NAME(const T *restrict B, T *restrict packed, long lo, long hi)
 * which fills the panels lo … hi − 1 of `panels`, each on its own, in any order and on any thread. `packed` holds `bytes`,
 * aligned to 64. `name` is that function's; the rest of `gemm` is the product's as each call has it, m aside: the panels
 * depend on n, the axes of the sum, B's layout and the lanes, so that calls with any m share them.
 *
 * →  undefined where nothing is gained: one call computes all rows, they are few, few calls share a B that their tiles can
 *    pack and that does not come from far, or B is small and its rows are contiguous; where the product is taken by dots,
 *    whose sums have another order; and where no such form exists: C is contiguous along its rows, so that A takes the part
 *    of B, or the sum has more terms than a table of offsets. `asks`: the calls are to ask for other places while they
 *    compute, for which tiles that pack have no time.
 */
export function printPacking(gemm: Gemm, asks = false): { text: string; bytes: number; panels: number } | undefined {
  const g = normalise({ ...gemm, packed: true });
  if (!packable(g, asks)) return undefined;
  const v = vector(g.dtype, g.lanes);
  const { deep, wide, padded } = panelsOf(g, v, panelVectors(g, v));
  const before = new Map<string, string>();
  const use = (k: Kernel) => {
    before.set(k.name, `${k.declaration}\n`);
    return k.name;
  };
  const start = `B${g.b.table ? "" : ` + k0 * ${g.b.row}`} + lo * ${wide * g.b.col}`;
  const columns = `${g.n} - p * ${wide} < ${wide} ? ${g.n} - p * ${wide} : ${wide}`;
  const panel = panelOf(g, v, use, wide);
  const body = [
    `for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${deep}) {`,
    `  const dh_long kn = ${g.k} - k0 < ${deep} ? ${g.k} - k0 : ${deep};`,
    ...(g.b.col === 1
      ? [
          `  const dh_long end = hi * ${wide} < ${g.n} ? hi * ${wide} : ${g.n};`,
          `  if (lo < hi) ${panel(start, `end - lo * ${wide}`, `packed + k0 * ${padded} + lo * ${wide} * kn`)}`,
        ]
      : [
          `  for (dh_long p = lo; p < hi; p++)`,
          `    ${panel(start.replace("lo *", "p *"), columns, `packed + k0 * ${padded} + p * ${wide} * kn`)}`,
        ]),
    "}",
  ];
  const head = `static void ${g.name}(const ${v.type} *restrict B, ${v.type} *restrict packed, long lo, long hi)`;
  return {
    text: `${tables(g)}${[...before.values()].join("")}${head} {\n${indent(body).join("\n")}\n}\n`,
    bytes: padded * g.k * v.bytes,
    panels: padded / wide,
  };
}

/** So few calls pack B themselves, while tiles compute, at less cost than in a pass of its own. */
const FEW = 8;

function packable(g: Normal, asks: boolean): boolean {
  const exists = !g.flipped && g.c.col === 1 && g.passes.length === 0 && g.m * g.n * g.k > 0;
  if (!exists || byDots(g) || transposed(g) || g.m === g.whole.m || g.whole.m < 32) return false;
  const each = { ...g, packed: false };
  const far = comesFromFar(g, vector(g.dtype, g.lanes));
  if (!far && !asks && g.whole.m <= FEW * g.m && cutOf(each, plan(each)).panelsB === "tile") return false;
  return g.b.col !== 1 || packingB({ ...each, m: g.whole.m }) !== "none";
}

function form(g: Normal): Form {
  if (g.m === 0 || g.n === 0) return { before: [], body: "", scratch: 0 };
  if (g.k === 0) return { before: [], body: nest(g, "0"), scratch: 0 };
  if (g.packed) return tiles(g, plan(g));
  if (g.c.col !== 1) return dotsFit(g) ? dots(g) : loops(g);
  if (byDots(g)) return dots(g);
  const t = transposed(g);
  return t ? byTranspose(g, t) : tiles(g, plan(g));
}

/** Bytes of C that may be computed transposed: it is written, and read again soon. */
const roomForC = 1 << 18;

/**
 * Cᵀ in scratch, to be transposed into C, where that is faster than to transpose B: for few rows, or where A, which lies
 * along m, would be copied as well. Its sums are those of C: tiles with one set of accumulators add in the order of k.
 */
function transposed(g: Normal): { readonly t: Normal; readonly cycles: number } | undefined {
  const v = vector(g.dtype, g.lanes);
  if (g.flipped || g.a.fold || g.b.col === 1) return undefined;
  if (Math.min(g.m, g.n) < v.width || g.m * g.n * v.bytes > roomForC) return undefined;
  const t: Normal = { ...flip(g), packed: false, c: { row: g.m, col: 1 } };
  const [direct, p] = [plan(g), plan(t)];
  // A B that all calls share is packed for its part.
  const packing = g.packed ? ((plan({ ...g, packed: false }).cycles - direct.cycles) * g.m) / g.whole.m : 0;
  const cycles = p.cycles + transposeCycles(v, g.m, g.n);
  return direct.sets === 1 && p.sets === 1 && cycles < direct.cycles + packing ? { t, cycles } : undefined;
}

function byTranspose(g: Normal, { t }: { readonly t: Normal }): Form {
  const v = vector(g.dtype, g.lanes);
  const { before, body, scratch } = tiles(t, plan(t));
  const kernel = transposeKernel(v);
  const size = Math.ceil((g.m * g.n) / v.width) * v.width;
  const inner = `${g.name}_transposed`;
  return {
    before: [
      ...before,
      `${kernel.declaration}\n`,
      `static inline void ${inner}(const ${v.type} *restrict B, const ${v.type} *restrict A, ` +
        `${v.type} *restrict C, ${v.type} *restrict scratch) {\n${body}\n}\n`,
    ],
    body: indent([
      `${inner}(A, B, scratch, scratch + ${size});`,
      `${kernel.name}(scratch, 1, ${g.m}, C, ${g.c.row}, ${g.n}, ${g.m});`,
    ]).join("\n"),
    scratch: size + scratch,
  };
}

/** Whether dots are faster than tiles: of the whole product, so that its sums have one order however it is cut or packed. */
function byDots(g: Normal): boolean {
  const whole = { ...g, m: g.whole.m, n: g.whole.n, packed: false };
  return !g.a.fold && dotsFit(g) && dotCycles(whole) < (transposed(whole) ?? plan(whole)).cycles;
}

/** A C with gaps in both directions: correct, no more. */
function loops(g: Normal): Form {
  const { type } = vector(g.dtype, g.lanes);
  const axes = [...g.passes, ...g.sum];
  const along = (side: "a" | "b") => axes.map((s, d) => `l${d} * ${s[side]}`).join(" + ");
  const sum =
    `${type} s = 0;\n    ${axes.map(({ n }, d) => `for (dh_long l${d} = 0; l${d} < ${n}; l${d}++) `).join("")}` +
    `s = dh_fma_${g.dtype}(A[i * ${g.a.row} + ${along("a")}], B[${along("b")} + j * ${g.b.col}], s);\n    `;
  return { before: [], body: nest(g, "s", sum), scratch: 0 };
}

const nest = (g: Normal, value: string, before = "") =>
  `  for (dh_long i = 0; i < ${g.m}; i++) for (dh_long j = 0; j < ${g.n}; j++) {\n    ` +
  `${before}C[i * ${g.c.row} + j * ${g.c.col}] = ${value};\n  }`;
