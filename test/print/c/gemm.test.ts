/**
 * Contractions against plain loops in f64. Each operand lies exactly against a page that may not be touched, once at its
 * end and once at its beginning; what lies between the entries of C must stay as it was.
 */
import { describe, expect, test } from "vitest";
import type { Step, Strides } from "../../../src/compile/program.ts";
import { type Gemm, gemmPrelude, printGemm } from "../../../src/print/c/gemm.ts";
import { along, canary, exact, extent, guardedPages, type Numbers, terms, worstError } from "./exact.ts";
import { runProgram, targets } from "./program.ts";

type Case = Omit<Gemm, "name" | "lanes">;
const operands = (g: Case) =>
  [
    extent(
      { n: g.fold?.rows ?? g.m, stride: g.a },
      ...(g.fold ? [{ n: g.m / g.fold.rows, stride: g.fold.step }] : []),
      ...along(g.sum, "a"),
    ),
    extent({ n: g.n, stride: g.b }, ...along(g.sum, "b")),
    extent({ n: g.m, stride: g.c.row }, { n: g.n, stride: g.c.col }),
  ] as const;

/** Of rounding. */
const unit = { f32: 2 ** -24, f64: 2 ** -53 };

// mulberry32
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const rowMajor = (_rows: number, cols: number): Strides => ({ row: cols, col: 1 });
const columnMajor = (rows: number): Strides => ({ row: 1, col: rows });

/** The shapes of training steps, convolutions, and each seam of the plan: splits of k and n, panels that a copy makes or a tile, colliding rows. */
const known: Case[] = [
  ...(
    [
      [32, 128, 784, "nt"],
      [32, 128, 784, "tt"], // Cᵀ first
      [45, 38, 300, "tt"],
      [32, 10, 128, "nt"],
      [10, 128, 32, "tn"],
      [32, 128, 10, "nn"],
      [128, 784, 32, "tn"],
      [1, 128, 784, "nt"],
      [1, 10, 128, "nt"],
      [10, 128, 1, "tn"],
      [1, 128, 10, "nn"],
      [32, 64, 57, "nt"],
      [32, 1, 64, "nt"],
      [1, 64, 32, "tn"],
      [32, 64, 1, "nn"],
      [64, 57, 32, "tn"],
      [130, 70, 600, "nt"],
      [5, 40, 1030, "tn"],
      [70, 600, 520, "nn"],
      [300, 90, 530, "tn"],
      [260, 200, 400, "tn"],
      [1024, 40, 200, "tn"],
      [262, 200, 390, "nn"], // too much of A to stay in the cache
      [70, 515, 513, "nn"],
      [70, 515, 513, "tt"],
      [20, 40, 1024, "nn"],
      [1, 1, 1000, "nn"],
      [300, 1, 7, "nn"],
      [3, 3, 3, "nn"],
      [40, 1024, 80, "nn"],
      [1, 17, 3, "tt"],
    ] as const
  ).map(
    ([m, n, k, form]): Case => ({
      dtype: "f32",
      m,
      n,
      ...matrices(
        k,
        form[0] === "n" ? rowMajor(m, k) : columnMajor(m),
        form[1] === "n" ? rowMajor(k, n) : columnMajor(k),
      ),
      c: rowMajor(m, n),
    }),
  ),
  ...convolutions(),
  ...folded(),
  ...turned(),
];

/** A matrix product: one axis to sum over. */
function matrices(k: number, a: Strides, b: Strides): Pick<Case, "sum" | "a" | "b"> {
  return { sum: [{ n: k, a: a.col, b: b.row }], a: a.row, b: b.col };
}

/** The three products of a convolution of one image row, k × k taps: output, gradient of weight, gradient of input. */
function convolutions(): Case[] {
  const shapes = [
    [16, 1, 28, 3, 1],
    [32, 16, 14, 3, 1],
    [7, 3, 9, 3, 2],
    [5, 40, 20, 5, 1],
    [4, 1500, 5, 3, 1], // more terms than a table of offsets may have
    [3, 600, 6, 3, 2],
  ] as const;
  return shapes.flatMap(([outs, ins, width, taps, stride]): Case[] => {
    const row = width * stride + taps;
    const plane = row * 12;
    const weight: Step[] = [
      { n: ins, a: taps * taps, b: plane },
      { n: taps, a: taps, b: row },
      { n: taps, a: 1, b: 1 },
    ];
    const image: Step[] = [
      { n: 3, a: 40 * width, b: ins * plane },
      { n: 4, a: width, b: stride * row },
      { n: width, a: 1, b: stride },
    ];
    const swap = (s: Step): Step => ({ n: s.n, a: s.b, b: s.a });
    const all = { dtype: "f32" as const };
    return [
      { ...all, m: outs, n: width, sum: weight, a: ins * taps * taps, b: stride, c: { row: 50, col: 1 } },
      { ...all, m: width, n: outs, sum: weight.map(swap), a: stride, b: ins * taps * taps, c: { row: 1, col: 50 } },
      { ...all, m: outs, n: taps, sum: image, a: 4 * width, b: 1, c: { row: taps, col: 1 } },
      { ...all, m: taps, n: outs, sum: image.map(swap), a: 1, b: 4 * width, c: { row: 1, col: taps } },
      { ...all, m: outs, n: taps, sum: image, a: 4 * width, b: 1, c: { row: 2 * taps, col: 2 } },
      { ...all, m: 1, n: taps, sum: image, a: 4 * width, b: 1, c: { row: taps, col: 1 } },
    ];
  });
}

/** Cᵀ first, of a sum over several axes: that A, B or both walk at offsets of a table, or with more terms than it may have. */
function turned(): Case[] {
  const all: Omit<Case, "sum"> = { dtype: "f32", m: 20, n: 24, a: 1, b: 2, c: { row: 26, col: 1 } };
  const [outer, inner] = [
    { n: 5, a: 2000, b: 700 },
    { n: 30, a: 50, b: 11 },
  ] as const;
  const sums: Step[][] = [
    [outer, inner],
    [{ ...outer, a: 30 * inner.a }, inner],
    [{ ...outer, b: 30 * inner.b }, inner],
    [
      { n: 3, a: 7000, b: 900 },
      { ...outer, n: 70, a: 90 },
      { ...inner, n: 60 },
    ],
  ];
  return sums.map((sum) => ({ ...all, sum }));
}

/** Image rows of w places each in one product: w a tile, a part or some of one, and none; channels lie side by side. */
function folded(): Case[] {
  const shapes = [
    [7, 7, 24, 40, 3, 1],
    [14, 3, 5, 33, 3, 1],
    [28, 2, 16, 16, 1, 2],
    [2, 9, 3, 70, 2, 1],
    [17, 4, 3, 20, 3, 1],
    [5, 4, 200, 35, 3, 2], // more terms than a tile takes at a time
    [3, 5, 1500, 17, 2, 1], // and than a table has
  ] as const;
  return shapes.map(([w, h, ins, outs, taps, stride]): Case => {
    const row = (w * stride + taps) * ins;
    return {
      ...{ dtype: "f32", m: w * h, n: outs, a: stride * ins, fold: { rows: w, step: stride * row }, b: 1 },
      sum: [
        { n: taps, a: row, b: taps * ins * outs },
        { n: taps * ins, a: 1, b: outs },
      ],
      c: { row: outs, col: 1 },
    };
  });
}

function drawn(count: number): Case[] {
  const draw = random(1);
  const pick = <T>(from: readonly T[]) => from[Math.floor(draw() * from.length)]!;
  const sizes = [0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33, 48, 57, 64, 65, 100, 130];
  const layout = (rows: number, cols: number, written: boolean): Strides => {
    const pad = pick([0, 0, 1, 7]);
    const tight = pick([
      { row: cols + pad, col: 1 },
      { row: cols + pad, col: 1 },
      { row: 1, col: rows + pad },
      { row: 1, col: rows + pad },
      { row: 2 * cols + pad, col: 2 },
      { row: 3, col: 3 * rows + pad },
    ]);
    if (written) return tight;
    return pick([
      tight,
      tight,
      tight,
      { row: -tight.row, col: tight.col },
      { row: tight.row, col: -tight.col },
      { row: 0, col: 1 },
      { row: 1, col: 0 },
    ]);
  };
  return Array.from({ length: count }, (): Case => {
    const [m, n, k] = [pick(sizes), pick(sizes), pick(sizes)];
    return {
      dtype: pick(["f32", "f32", "f64"]),
      m,
      n,
      ...matrices(k, layout(m, k, false), layout(k, n, false)),
      c: layout(m, n, true),
    };
  });
}

/** A program that reads A and B of each case and writes C, after two runs between guard pages that agree in every bit. */
function program(cases: readonly Gemm[]): string {
  const printed = cases.map(printGemm);
  const rows = cases.map((g, i) => {
    const [a, b, c] = operands(g);
    const size = g.dtype === "f32" ? 4 : 8;
    const sizes = [a, b, c].flatMap((x) => [x.size, x.first]);
    return `{(run *)${g.name}, ${size}, {${sizes.join(", ")}}, ${printed[i]!.scratchBytes}}`;
  });
  return `${gemmPrelude(cases[0]!.lanes)}${printed.map((p) => p.text).join("\n")}
${guardedPages}#include <stdio.h>
#include <stdlib.h>
#include <string.h>
typedef void run(const void *, const void *, void *, void *);
static const struct { run *f; long element, at[6], scratch; } cases[] = {${rows.join(",\n")}};
int main(void) {
  for (int t = 0; t < sizeof cases / sizeof *cases; t++) {
    const long e = cases[t].element, *at = cases[t].at;
    char *first[3] = {0};
    for (int front = 0; front < 2; front++) {
      char *x[3];
      for (int o = 0; o < 3; o++) {
        x[o] = pages(at[2 * o] * e, front);
        if (front) memcpy(x[o], first[o], at[2 * o] * e);
        else if (o < 2 && fread(x[o], e, at[2 * o], stdin) != at[2 * o]) return 2;
      }
      char *before = malloc(at[4] * e + 1);
      for (long i = 0; i < at[4]; i++) if (e == 4) ((float *)before)[i] = ${canary}; else ((double *)before)[i] = ${canary};
      memcpy(x[2], before, at[4] * e);
      cases[t].f(x[0] + at[1] * e, x[1] + at[3] * e, x[2] + at[5] * e, pages((cases[t].scratch + 63) / 64 * 64, front));
      if (front && memcmp(x[2], first[2], at[4] * e)) return 3;
      if (!front) { fwrite(x[2], e, at[4], stdout); memcpy(first, x, sizeof x); }
    }
  }
  return 0;
}
`;
}

describe.skipIf(targets.length === 0)("contractions in C (needs a C compiler)", () => {
  // The same for all targets.
  const cases = [...known, ...known.slice(0, 16).map((g): Case => ({ ...g, dtype: "f64" })), ...drawn(90)];
  const draw = random(2);
  const posed = cases.map((g) => {
    const [a, b] = operands(g);
    const [A, B] = [a, b].map(({ size }) => {
      const data = g.dtype === "f32" ? new Float32Array(size) : new Float64Array(size);
      return data.map(() => 2 * draw() - 1);
    }) as [Numbers, Numbers];
    return { A, B, wanted: exact(g, [a.first, b.first], A, B) };
  });
  const input = Buffer.concat(posed.flatMap(({ A, B }) => [A, B].map((x) => new Uint8Array(x.buffer))));

  test.each(targets)("$name: any shape and any layout", async (target) => {
    const gemms = cases.map((g, i): Gemm => ({ ...g, name: `dh_gemm_${i}`, lanes: target.lanes }));
    const output = await runProgram(target, program(gemms), input, "-O1");
    let offset = 0;
    const errors = cases.map((g, i) => {
      const { size } = operands(g)[2];
      const bytes = size * (g.dtype === "f32" ? 4 : 8);
      const own = output.buffer.slice(output.byteOffset + offset, output.byteOffset + offset + bytes);
      offset += bytes;
      const C = g.dtype === "f32" ? new Float32Array(own) : new Float64Array(own);
      return { ...g, error: worstError(g, operands(g)[2], posed[i]!.wanted, C) / unit[g.dtype] };
    });
    expect(offset).toBe(output.length);
    // The bound of any order of summation: one rounding per term. A term left out would be thousands of times larger.
    expect(errors.filter((g) => !(g.error <= terms(g.sum) + 1))).toEqual([]);
  });
});

test("the text needs no header, and equal kernels are compiled once", () => {
  const gemm: Gemm = {
    name: "dh_one",
    dtype: "f32",
    m: 64,
    n: 64,
    sum: [{ n: 64, a: 1, b: 64 }],
    lanes: 16,
    a: 64,
    b: 1,
    c: { row: 64, col: 1 },
  };
  const [one, two] = [printGemm(gemm), printGemm({ ...gemm, name: "dh_two" })];
  expect(gemmPrelude(16) + one.text).not.toContain("#include");
  expect(two.text).toBe(one.text.replaceAll("dh_one", "dh_two"));
  expect(one.scratchBytes).toBe(0);
});
