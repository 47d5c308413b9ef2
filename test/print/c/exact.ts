/** What a contraction must give, by plain loops in f64. */
import type { Step } from "../../../src/compile/program.ts";
import type { Gemm } from "../../../src/print/c/gemm.ts";

/** Row by row for each entry of C: Σ ab, and Σ|ab|, which errors are measured by. */
export type Exact = { readonly sums: Float64Array; readonly sizes: Float64Array };
type Numbers = Float32Array | Float64Array;

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
