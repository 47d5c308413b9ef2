/**
 * A product in parts: cut along its rows and its columns, and with a B that was packed once, in two goes. The bits of the
 * parts are those of the whole; that the whole is right is another test's matter, but for packed ones, which are held
 * against plain loops in f64 here.
 */
import { describe, expect, test } from "vitest";
import { type Gemm, gemmPrelude, idle, printGemm, printPacking } from "../../../src/print/c/gemm.ts";
import { runProgram, targets } from "./program.ts";

type Case = Omit<Gemm, "name" | "lanes">;

/** m × n × k with A, B and C stored by rows (n) or by columns (t). */
function product(m: number, n: number, k: number, layout: string, dtype: "f32" | "f64" = "f32"): Case {
  const [a, b, c] = [
    layout[0] === "n" ? [k, 1] : [1, m],
    layout[1] === "n" ? [n, 1] : [1, k],
    layout[2] === "n" ? [n, 1] : [1, m],
  ];
  return { dtype, m, n, sum: [{ n: k, a: a[1]!, b: b[0]! }], a: a[0]!, b: b[1]!, c: { row: c[0]!, col: c[1]! } };
}

/** A convolution's sum: channels, rows and columns of a window of an image 20 wide. */
const window = (m: number, n: number): Case => ({
  dtype: "f32",
  m,
  n,
  sum: [
    { n: 3, a: 9, b: 240 },
    { n: 3, a: 3, b: 20 },
    { n: 3, a: 1, b: 1 },
  ],
  a: 27,
  b: 1,
  c: { row: n, col: 1 },
});

const cases: Case[] = [
  ...["nnn", "ntn", "tnn", "ttn", "nnt", "ttt"].map((layout) => product(37, 45, 60, layout)),
  ...["nnn", "ntn", "tnn"].flatMap((layout) => [
    product(37, 70, 800, layout), // several blocks of k
    product(5, 33, 100, layout),
    product(6, 10, 130, layout), // four sets
    product(33, 20, 40, layout, "f64"),
  ]),
  product(261, 130, 600, "tnn"), // tiles that pack A, and B
  product(262, 700, 390, "nnn"), // A stays in the cache for the parts, not for the whole, whose B comes from far
  { ...product(40, 530, 520, "ntn"), a: 1 << 18 }, // B comes from far for few rows at a time: not one fits, so far apart
  product(300, 70, 390, "ttn"), // parts of many rows compute Cᵀ, and one of few does not
  product(270, 40, 60, "ttn", "f64"),
  product(40, 129, 70, "ttn"),
  product(7, 4, 100, "ttn"), // four sets, and one where vectors of four compute Cᵀ
  product(40, 1, 90, "ntn"),
  product(142, 3, 64, "ntn"), // dots, which are faster than panels
  product(142, 64, 130, "ntn"), // panels, which are faster than dots
  product(90, 130, 800, "ntn"),
  product(150, 40, 60, "ntn", "f64"),
  product(1, 40, 90, "ntn"),
  window(40, 18),
  { ...product(20, 19, 8, "nnn"), c: { row: 39, col: 2 } }, // gaps in both directions
  { ...product(9, 33, 64, "nnn", "f64"), c: { row: 67, col: 2 } },
];

/** Where a dimension is cut: a single one, fewer than a tile, about a tile, the rest. */
const cuts = (size: number): [number, number][] => {
  const at = [0, 1, 4, 18, size].filter((x) => x <= size);
  return at.slice(1).map((end, i) => [at[i]!, end]);
};

const type = (g: Case) => (g.dtype === "f32" ? "float" : "double");
const extent = (...axes: [n: number, stride: number][]) =>
  1 + axes.reduce((sum, [n, stride]) => sum + (n - 1) * stride, 0);
const sizes = (g: Case) => [
  extent([g.m, g.a], ...g.sum.map((s): [number, number] => [s.n, s.a])),
  extent([g.n, g.b], ...g.sum.map((s): [number, number] => [s.n, s.b])),
  extent([g.m, g.c.row], [g.n, g.c.col]),
];

const harness = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
static void *room(long bytes) { return aligned_alloc(64, (bytes + 127) / 64 * 64); }
static unsigned seed;
static double drawn(void) { seed = seed * 1664525u + 1013904223u; return (double)(seed >> 8) / (1 << 23) - 1; }
`;

/** A test of one case: the whole into C, parts into D, which must be equal; packed ones also to loops in f64. */
function check(g: Case, i: number, lanes: number): { text: string; call: string; packed: boolean } {
  const whole = { m: g.m, n: g.n };
  const T = type(g);
  const [sizeA, sizeB, sizeC] = sizes(g);
  const texts: string[] = [];
  let scratch = 0;
  const part = (name: string, rows: [number, number], columns: [number, number], packed = false) => {
    const own = { ...g, whole, m: rows[1] - rows[0], n: columns[1] - columns[0] };
    const printed = printGemm({ ...own, name, lanes, packed });
    texts.push(printed.text);
    scratch = Math.max(scratch, printed.scratchBytes);
    const b = packed ? "P" : `B + ${columns[0] * g.b}`;
    const at = rows[0] * g.c.row + columns[0] * g.c.col;
    return (to: string) => `  ${name}(A + ${rows[0] * g.a}, ${b}, ${to} + ${at}, S);`;
  };
  const all = (size: number): [number, number] => [0, size];
  const one = part(`dh_whole${i}`, all(g.m), all(g.n));
  const rows = cuts(g.m).map((r, q) => part(`dh_rows${i}_${q}`, r, all(g.n)));
  const columns = cuts(g.n).map((c, q) => part(`dh_columns${i}_${q}`, all(g.m), c));
  const packing = printPacking({ ...g, m: Math.ceil(g.m / 16), whole, name: `dh_pack${i}`, lanes });
  const lines = [
    one("C"),
    ...rows.map((r) => r("D")),
    `  same(${i}, "rows");`,
    ...columns.map((c) => c("D")),
    `  same(${i}, "columns");`,
  ];
  if (packing) {
    texts.push(packing.text);
    const split = Math.ceil(packing.panels / 3);
    const from = `P = room(${packing.bytes}); memset(P, 255, ${packing.bytes});`;
    lines.push(`  ${from} dh_pack${i}(B, P, ${split}, ${packing.panels}); dh_pack${i}(B, P, 0, ${split});`);
    lines.push(
      part(`dh_packed${i}`, all(g.m), all(g.n), true)("D"),
      `  same(${i}, "all packed");`,
      ...cuts(g.m).map((r, q) => part(`dh_packed${i}_${q}`, r, all(g.n), true)("D")),
      `  same(${i}, "packed");`,
    );
    const terms = g.sum.map((s, d) => `for (long l${d} = 0; l${d} < ${s.n}; l${d}++)`).join(" ");
    const at = (side: "a" | "b") => g.sum.map((s, d) => ` + l${d} * ${s[side]}`).join("");
    lines.push(
      `  for (long i = 0; i < ${g.m}; i++) for (long j = 0; j < ${g.n}; j++) {`,
      "    double sum = 0, size = 0;",
      `    ${terms} { double x = (double)A[i * ${g.a}${at("a")}] * B[j * ${g.b}${at("b")}]; sum += x; size += fabs(x); }`,
      `    if (!(fabs(C[i * ${g.c.row} + j * ${g.c.col}] - sum) <= size * ${g.dtype === "f32" ? "1e-5" : "1e-13"})) { printf("${i} packed is wrong\\n"); return; }`,
      "  }",
    );
  }
  const text = `${texts.join("\n")}
static void case${i}(void) {
  ${T} *A = room(${sizeA} * sizeof(${T})), *B = room(${sizeB} * sizeof(${T})), *P, *S = room(${scratch});
  ${T} *C = room(${sizeC} * sizeof(${T})), *D = room(${sizeC} * sizeof(${T}));
  for (long i = 0; i < ${sizeA}; i++) A[i] = drawn();
  for (long i = 0; i < ${sizeB}; i++) B[i] = drawn();
  memset(C, 0, ${sizeC} * sizeof(${T})); memset(D, 0, ${sizeC} * sizeof(${T}));
#define same(i, what) if (memcmp(C, D, ${sizeC} * sizeof(${T}))) printf("%d differs by %s\\n", i, what); memset(D, 0, ${sizeC} * sizeof(${T}))
${lines.join("\n")}
#undef same
}
`;
  return { text, call: `case${i}();`, packed: packing !== undefined };
}

describe.skipIf(targets.length === 0)("parts of contractions in C (needs a C compiler)", () => {
  test.each(targets)("$name: the bits of the whole", async (target) => {
    const checks = cases.map((g, i) => check(g, i, target.lanes));
    expect(checks.filter((c) => c.packed).length).toBeGreaterThan(3);
    const transposes = checks.map(({ text }) => new Set(text.match(/\w+(?=_transposed\()/g)).size);
    expect(transposes.filter((parts) => parts > 0).length).toBeGreaterThan(2);
    const main = `int main(void) { ${checks.map((c) => c.call).join(" ")} return 0; }`;
    const source = [gemmPrelude(target.lanes), harness, ...checks.map((c) => c.text), main].join("\n");
    expect(`${await runProgram(target, source, new Uint8Array(), "-O1")}`).toBe("");
  });
});

test("a B is packed once only where many calls gain by it", () => {
  const gemm: Gemm = { ...product(512, 128, 784, "ntn"), name: "dh_pack", lanes: 16, whole: { m: 512, n: 128 } };
  expect(printPacking({ ...gemm, m: 64 })).toMatchObject({ bytes: 4 * 128 * 784, panels: 4 });
  expect(printPacking({ ...gemm, m: 32 })?.text).toBe(printPacking({ ...gemm, m: 64 })?.text);
  expect(printPacking(gemm)).toBe(undefined); // one call
  const rows: Gemm = { ...gemm, ...product(512, 128, 784, "nnn") };
  expect(printPacking({ ...rows, m: 64 })).toBe(undefined); // tiles pack it themselves
  expect(printPacking({ ...rows, m: 64 }, true)).toBeDefined(); // or have other things to ask for
  expect(printPacking({ ...rows, m: 32 })).toMatchObject({ bytes: 4 * 128 * 784, panels: 4 });
  expect(printPacking({ ...gemm, m: 8, whole: { m: 16, n: 128 } })).toBe(undefined); // few rows
  expect(printPacking({ ...product(512, 128, 64, "nnn"), name: "dh_pack", lanes: 16, whole: { m: 512, n: 128 } })).toBe(
    undefined,
  );
});

test("a product that computes its transpose asks for nothing that comes after it", () => {
  const whole = { m: 32, n: 128 };
  const [turned, direct] = ["ttn", "nnn"].map(
    (form): Gemm => ({ ...product(32, 128, 784, form), name: "dh_p", lanes: 16, whole }),
  );
  expect(printGemm(turned!).text).toContain("dh_p_transposed(A, B");
  expect(idle(turned!)).toEqual({ calls: 0, bytes: 0 });
  expect(idle(direct!).calls).toBeGreaterThan(0);
});
