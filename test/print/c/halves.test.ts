/**
 * Products of factors in 16 bits against plain loops in f64, by each unit for bfloat16 that this machine has. Each operand
 * lies exactly against a page that may not be touched, once at its end and once at its beginning.
 */
import { describe, expect, test } from "vitest";
import type { Strides } from "../../../src/compile/program.ts";
import { type Half, storages } from "../../../src/ir/dtype.ts";
import { halves } from "../../../src/ir/half.ts";
import { type Bf16, type Bf16Gemm, bf16Prelude, printBf16Gemm } from "../../../src/print/c/bf16.ts";
import { gemmPrelude } from "../../../src/print/c/gemm.ts";
import { along, canary, type Exact, exact, extent, guardedPages, terms, worstError } from "./exact.ts";
import { macros, runProgram, type Target, targets } from "./program.ts";

type Case = Omit<Bf16Gemm, "name" | "lanes" | "unit">;
const bf16 = { a: "bf16", b: "bf16" } as const;
const f16 = { a: "f16", b: "f16" } as const;

/** m × n × k; n is a matrix as it is read, t its transpose: of A, of B, of C. */
const product = (m: number, n: number, k: number, form: string, pad = 0): Case => {
  const layout = (rows: number, columns: number, t: boolean): Strides =>
    t ? { row: 1, col: rows + pad } : { row: columns + pad, col: 1 };
  const [a, b, c] = [layout(m, k, form[0] === "t"), layout(k, n, form[1] === "t"), layout(m, n, form[2] === "t")];
  return { m, n, sum: [{ n: k, a: a.col, b: b.row }], a: a.row, b: b.col, c, stored: bf16 };
};
const forms = ["nnn", "ntn", "tnn", "ttn", "nnt", "ttt"];
const all: readonly Case[] = [
  ...forms.map((form) => product(64, 64, 64, form)),
  ...forms.map((form) => product(37, 45, 83, form)),
  ...forms.map((form) => product(100, 70, 70, form, 3)),
  product(1, 200, 100, "ntn"),
  product(200, 1, 100, "nnn"),
  product(33, 10, 784, "ntn"),
  product(16, 16, 7, "nnn"), // too short to be packed
  product(20, 600, 1000, "nnn"), // B in two blocks
  product(8, 600, 1001, "ttn", 1),
  { ...product(40, 40, 40, "nnn"), c: { row: 81, col: 2 } },
  { ...product(40, 40, 40, "nnn"), b: -1 },
  { ...product(40, 40, 40, "nnn"), a: 0 },
  { ...product(24, 40, 50, "ntn"), a: 200, stored: bf16 }, // rows far apart
  { ...product(24, 40, 50, "nnn"), stored: { a: "bf16", b: "f32" } },
  { ...product(24, 40, 50, "nnn"), stored: { a: "f32", b: "bf16" } },
  { ...product(24, 40, 50, "nnn"), stored: { a: "f16", b: "bf16" } },
  ...forms.map((form) => ({ ...product(37, 45, 83, form), stored: f16 })),
  { ...product(70, 150, 1100, "ntn", 1), stored: f16 }, // several blocks along each axis
  { ...product(70, 150, 1100, "tnt", 1), stored: f16 },
  { ...product(9, 7, 600, "nnn"), b: -1, stored: f16 },
  { ...product(24, 0, 50, "nnn") },
  { ...product(24, 40, 0, "nnn") },
  // A convolution of one image: 5 channels of 12 × 12 by 3 × 3 taps.
  {
    m: 8,
    n: 10,
    sum: [
      { n: 5, a: 9, b: 144 },
      { n: 3, a: 3, b: 12 },
      { n: 3, a: 1, b: 1 },
    ],
    a: 45,
    b: 1,
    c: { row: 10, col: 1 },
    stored: bf16,
  },
  // Gradient of such weights: 70 images of 10 × 12 places, two of the axes around what is cut.
  {
    m: 8,
    n: 9,
    sum: [
      { n: 70, a: 960, b: 1320 },
      { n: 10, a: 12, b: 12 },
      { n: 9, a: 1, b: 1 },
    ],
    a: 120,
    b: 120,
    c: { row: 9, col: 1 },
    stored: f16,
  },
];

const operands = (g: Case) =>
  [
    { ...extent({ n: g.m, stride: g.a }, ...along(g.sum, "a")), bytes: storages[g.stored.a].bytes },
    { ...extent({ n: g.n, stride: g.b }, ...along(g.sum, "b")), bytes: storages[g.stored.b].bytes },
    { ...extent({ n: g.m, stride: g.c.row }, { n: g.n, stride: g.c.col }), bytes: 4 },
  ] as const;

/** Between −1 and 1, with 8 significant bits: fractions of the golden ratio, cut. */
function numbers(n: number, from: number): Float32Array {
  const x = Float32Array.from({ length: n }, (_, k) => (((k + from) * 0.6180339887498949) % 1) * 2 - 1);
  const bits = new Uint32Array(x.buffer);
  bits.forEach((word, k) => {
    bits[k] = word & 0xffff0000;
  });
  return x;
}
const inMemory = (x: Float32Array, stored: Half | "f32") =>
  stored === "f32" ? x : Uint16Array.from(x, halves[stored].bits);

/** Reads A and B of each case, writes C; ends with 42 where the system gives no tiles. */
function program(gemms: readonly Bf16Gemm[]): string {
  const { unit, lanes } = gemms[0]!;
  const printed = gemms.map(printBf16Gemm);
  const rows = gemms.map((g, i) => {
    const at = operands(g).flatMap((x) => [x.size, x.first, x.bytes]);
    return `{(run *)${g.name}, {${at.join(", ")}}, ${printed[i]!.scratchBytes}}`;
  });
  return `${gemmPrelude(lanes)}${bf16Prelude(unit)}${printed.map((p) => p.text).join("\n")}
${guardedPages}#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
typedef void run(const void *, const void *, void *, void *);
static const struct { run *f; long at[9], scratch; } cases[] = {${rows.join(",\n")}};
int main(void) {
  ${unit === "amx" ? "if (syscall(SYS_arch_prctl, 0x1023, 18)) return 42;" : ""}
  for (int t = 0; t < sizeof cases / sizeof *cases; t++) {
    const long *at = cases[t].at;
    char *first[3] = {0};
    for (int front = 0; front < 2; front++) {
      char *x[3];
      for (int o = 0; o < 3; o++) {
        const long size = at[3 * o], bytes = at[3 * o + 2];
        x[o] = pages(size * bytes, front);
        if (o == 2) for (long i = 0; i < size; i++) ((float *)x[o])[i] = ${canary};
        else if (front) memcpy(x[o], first[o], size * bytes);
        else if (fread(x[o], bytes, size, stdin) != size) return 2;
      }
      cases[t].f(x[0] + at[1] * at[2], x[1] + at[4] * at[5], x[2] + at[7] * at[8], pages((cases[t].scratch + 63) / 64 * 64, front));
      if (front && memcmp(x[2], first[2], at[6] * at[8])) return 3;
      if (!front) { fwrite(x[2], 4, at[6], stdout); memcpy(first, x, sizeof x); }
    }
  }
  return 0;
}
`;
}

/** C of each case; undefined where the system gives no tiles. */
async function run(target: Target, unit: Bf16, list: readonly Case[], inputs: readonly (readonly Float32Array[])[]) {
  const gemms = list.map((g, i): Bf16Gemm => ({ ...g, name: `dh_p${i}`, lanes: target.lanes, unit }));
  const bytes = list.flatMap(({ stored }, i) =>
    [stored.a, stored.b].map((s, o) => new Uint8Array(inMemory(inputs[i]![o]!, s).buffer)),
  );
  let output: Buffer;
  try {
    output = await runProgram(target, program(gemms), Buffer.concat(bytes), "-O2");
  } catch (error) {
    if ((error as { status?: number }).status === 42) return undefined;
    throw error;
  }
  let offset = 0;
  return list.map((g) => {
    const { size } = operands(g)[2];
    const own = output.buffer.slice(output.byteOffset + offset, output.byteOffset + offset + 4 * size);
    offset += 4 * size;
    return new Float32Array(own);
  });
}

/** Cases with their factors and what they must give, made once for all targets. */
type Posed = { readonly g: Case; readonly inputs: readonly Float32Array[]; readonly wanted: Exact };
const pose = (cases: readonly Case[]): Posed[] =>
  cases.map((g, i) => {
    const [a, b] = operands(g);
    const [A, B] = [numbers(a.size, i), numbers(b.size, 7 * i)];
    return { g, inputs: [A, B], wanted: exact(g, [a.first, b.first], A, B) };
  });
// Widened, blocks are products of gemm.ts, which has tests of its own: here it is what is copied that counts.
const packs = ({ stored: { a, b } }: Case) => a === "bf16" && b === "bf16";
const posed = new Map<boolean, Posed[]>();
function posedFor(unit: Bf16): Posed[] {
  const widened = unit === "none";
  const known =
    posed.get(widened) ?? pose(widened ? all.filter((g, i) => i % 3 === 1 || !packs(g)) : all.filter(packs));
  posed.set(widened, known);
  return known;
}

const units = targets.flatMap((target) => {
  const known = target.lanes === 16 ? macros(target.cc, target.flags) : "";
  const has = (...names: string[]) => names.every((name) => known.includes(`#define __${name}__ `));
  const list: Bf16[] = ["none"];
  if (has("AVX512BF16")) list.push("avx512");
  if (has("AMX_TILE", "AMX_BF16")) list.push("amx");
  return list.map((unit) => ({ name: `${target.name}, ${unit}`, target, unit }));
});

describe.skipIf(units.length === 0)("products of halves (needs a C compiler)", () => {
  test.each(units)("$name: any shape and any layout", async ({ target, unit }) => {
    const list = posedFor(unit);
    const outputs = await run(
      target,
      unit,
      list.map(({ g }) => g),
      list.map(({ inputs }) => inputs),
    );
    if (!outputs) return;
    const errors = list.map(({ g, wanted }, i) => ({
      ...g,
      error: worstError(g, operands(g)[2], wanted, outputs[i]!),
    }));
    // A product of two such factors is exact in f32: what is left is one rounding per term, in any order.
    expect(errors.filter((g) => !(g.error <= Math.min(1e-5, (terms(g.sum) + 1) * 2 ** -24)))).toEqual([]);
  });

  test.each(units)("$name: rows by themselves give the same bits", async (u) => {
    const [m, n, k] = [70, 50, 700];
    const [A, B] = [numbers(m * k, 1), numbers(k * n, 2)];
    const cuts = [0, 1, 17, 32, 64, m];
    const parts = cuts.slice(1).map((to, i) => ({ from: cuts[i]!, to }));
    const rows = (count: number) => ({ ...product(count, n, k, "ntn"), whole: { m, n } });
    const all = [m, ...parts.map(({ from, to }) => to - from)].map(rows);
    const inputs = parts.map(({ from, to }) => [A.slice(from * k, to * k), B]);
    const [whole, ...cut] = (await run(u.target, u.unit, all, [[A, B], ...inputs])) ?? [];
    expect(cut.flatMap((x) => [...x])).toEqual([...(whole ?? [])]);
  });
});
