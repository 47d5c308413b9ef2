/**
 * What a contraction must give, by plain loops in f64; where its operands lie, each exactly against a page that may not be
 * touched; and how far off what was computed is.
 */
import type { Step, Strides } from "../../../src/compile/program.ts";
import type { Gemm } from "../../../src/print/c/gemm.ts";

/** Row by row for each entry of C: Σ ab, and Σ|ab|, which errors are measured by. */
export type Exact = { readonly sums: Float64Array; readonly sizes: Float64Array };
export type Numbers = Float32Array | Float64Array;

/** What each term of the sum adds to the place in A and in B. */
function shifts(steps: readonly Step[], side: "a" | "b"): Int32Array {
  const all = steps.reduce(
    (before, s) => before.flatMap((at) => Array.from({ length: s.n }, (_, l) => at + l * s[side])),
    [0],
  );
  return Int32Array.from(all);
}

/** `first`: where the first entry of A lies among its numbers, and that of B. */
export function exact(
  { m, n, sum, a, b, fold = { rows: m, step: 0 } }: Omit<Gemm, "name" | "lanes" | "dtype" | "c">,
  first: readonly [number, number],
  A: Numbers,
  B: Numbers,
): Exact {
  const [inA, inB] = [shifts(sum, "a"), shifts(sum, "b")];
  const [sums, sizes] = [new Float64Array(m * n), new Float64Array(m * n)];
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const row = Math.floor(i / fold.rows) * fold.step + (i % fold.rows) * a;
      const [fromA, fromB] = [first[0] + row, first[1] + j * b];
      let [total, size] = [0, 0];
      for (let l = 0; l < inA.length; l++) {
        const ab = A[fromA + inA[l]!]! * B[fromB + inB[l]!]!;
        total += ab;
        size += Math.abs(ab);
      }
      sums[i * n + j] = total;
      sizes[i * n + j] = size;
    }
  }
  return { sums, sizes };
}

// ---- where operands lie --------------------------------------------------------------------------------------------------

type Axis = { readonly n: number; readonly stride: number };
/** Elements from the lowest address to the highest, and where the first entry lies among them. */
export type Extent = { readonly size: number; readonly first: number };

export function extent(...axes: readonly Axis[]): Extent {
  if (axes.some(({ n }) => n === 0)) return { size: 0, first: 0 };
  const reach = axes.map(({ n, stride }) => (n - 1) * stride);
  return {
    size: reach.reduce((sum, x) => sum + Math.abs(x), 1),
    first: reach.reduce((sum, x) => sum + Math.max(-x, 0), 0),
  };
}

export const along = (sum: readonly Step[], side: "a" | "b") => sum.map((s): Axis => ({ n: s.n, stride: s[side] }));
export const terms = (sum: readonly Step[]): number => sum.reduce((count, { n }) => count * n, 1);

/** C text: `pages(bytes, front)` gives memory between two pages that may not be touched, at its beginning or its end. */
export const guardedPages = `#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>
static char *pages(long bytes, int front) {
  long page = sysconf(_SC_PAGESIZE), inner = (bytes + page - 1) / page * page;
  char *p = mmap(0, inner + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  mprotect(p, page, PROT_NONE);
  mprotect(p + page + inner, page, PROT_NONE);
  return p + page + (front ? 0 : inner - bytes);
}
`;

// ---- how far off it is -----------------------------------------------------------------------------------------------------

/** What lies between the entries of C, before and after. */
export const canary = 12345;

/** Largest error of C relative to Σ|ab|; Infinity where anything else was written, or an entry is no number. */
export function worstError(
  { m, n, c }: { readonly m: number; readonly n: number; readonly c: Strides },
  { first }: Extent,
  { sums, sizes }: Exact,
  C: Numbers,
): number {
  const untouched = new Uint8Array(C.length).fill(1);
  let worst = 0;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const at = first + i * c.row + j * c.col;
      untouched[at] = 0;
      const error = Math.abs(C[at]! - sums[i * n + j]!);
      if (Number.isNaN(error)) return Infinity;
      worst = Math.max(worst, error === 0 ? 0 : error / sizes[i * n + j]!);
    }
  }
  return C.every((x, at) => !untouched[at] || x === canary) ? worst : Infinity;
}
