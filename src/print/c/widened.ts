/**
 * Products of factors that lie in 16 bits, where nothing multiplies those: block by block, both factors of a block are
 * widened to f32 in scratch, a contraction of c/gemm.ts multiplies them, and what it gives is added to C. So the f32 forms
 * of the factors take a few hundred kilobytes and stay in the second-level cache, however large the product is.
 *
 * All blocks have one size: what the last ones lack of it along k is 0, and along m and n is computed and not looked at.
 */
import type { Step, Strides } from "../../compile/program.ts";
import type { Half } from "../../ir/dtype.ts";
import { printGemm } from "./gemm.ts";
import { types } from "./types.ts";

export type HalfGemm = {
  /** The C function's name, prefixed `dh_`. */
  readonly name: string;
  readonly m: number;
  readonly n: number;
  /** m and n of the whole product, where a call computes a part of it: the order of sums rests on these. */
  readonly whole?: { readonly m: number; readonly n: number };
  readonly sum: readonly Step[];
  /** Elements between neighbours along m of A and along n of B. */
  readonly a: number;
  readonly b: number;
  /** How A and B lie in memory. */
  readonly stored: { readonly a: Half | "f32"; readonly b: Half | "f32" };
  readonly c: Strides;
  readonly lanes: number;
};

/** The largest block. */
const BLOCK = { m: 64, n: 128, k: 512 };

/** The beginning of a product's function. */
export const head = ({ name, stored }: HalfGemm): string =>
  `static void ${name}(const ${types[stored.a]} *A, const ${types[stored.b]} *B, float *C, void *scratch)`;

/** Blocks of about the same size. */
const even = (n: number, most: number): number => Math.max(1, Math.ceil(n / Math.ceil(Math.max(1, n) / most)));

/**
 * C = A·B; what C held before is overwritten. The text defines a function as `head` has it, and needs `gemmPrelude` and
 * `halves` above it. `scratch` holds `scratchBytes`, aligned to 64. Any strides and any sizes, 0 included.
 */
export function printWidened(g: HalfGemm): { text: string; scratchBytes: number } {
  if (g.m === 0 || g.n === 0) return { text: `${head(g)} {}\n`, scratchBytes: 0 };
  const axes = g.sum.filter(({ n }) => n !== 1);
  if (axes.length === 0) axes.push({ n: 1, a: 1, b: 1 });
  // The axis that is cut: those within it are whole in every block, those around it are loops.
  let cut = axes.length - 1;
  let within = 1;
  while (cut > 0 && within * axes[cut]!.n <= BLOCK.k) within *= axes[cut--]!.n;
  const k = axes[cut]!;
  const deep = even(k.n, Math.max(1, Math.floor(BLOCK.k / within)));
  const [rows, columns] = [even(g.m, BLOCK.m), even(g.n, BLOCK.n)];
  const [around, inner] = [axes.slice(0, cut), axes.slice(cut + 1)];
  const terms = deep * within;

  /** Copies a block of a factor, `count` of its rows or columns, whichever way leaves neighbours side by side. */
  const copy = (side: "a" | "b", first: string, count: string, size: number) => {
    const [from, to, stride] = [side.toUpperCase(), `p${side}`, g[side]];
    const across = stride === 1 && axes.at(-1)![side] !== 1;
    const [apart, along] = across ? [1, size] : [terms, 1];
    const shift = [`${first} * ${stride}L`, `k0 * ${k[side]}L`, ...around.map((s, d) => `o${d} * ${s[side]}L`)];
    const block = [{ n: "kn", step: k[side] }, ...inner.map((s) => ({ n: `${s.n}`, step: s[side] }))];
    const place = block.reduce((text, { n }, d) => (d ? `(${text}) * ${n} + l${d}` : "l0"), "");
    const source = block.map(({ step }, d) => `l${d} * ${step}L`).join(" + ");
    const loops = block.map(({ n }, d) => `for (dh_long l${d} = 0; l${d} < ${n}; l${d}++)`);
    const each = `for (dh_long i = 0; i < ${count}; i++)`;
    const nest = across ? [...loops, each] : [each, ...loops];
    const stored = g.stored[side];
    const element = `s[i * ${stride}L + ${source}]`;
    const value = stored === "f32" ? element : `dh_from_${stored}(${element})`;
    const rest = `for (dh_long i = 0; i < ${size}; i++) for (dh_long l = kn * ${within}; l < ${terms}; l++)`;
    return {
      apart,
      along,
      lines: [
        `{ const ${types[stored]} *const s = ${from} + ${shift.join(" + ")};`,
        ...nest.slice(0, -1),
        '_Pragma("omp simd")',
        `${nest.at(-1)} ${to}[i * ${apart}L + (${place}) * ${along}L] = ${value};`,
        ...(k.n % deep ? [`if (kn < ${deep}) ${rest} ${to}[i * ${apart}L + l * ${along}L] = 0;`] : []),
        "}",
      ],
    };
  };
  const a = copy("a", "i0", "in", rows);
  const b = copy("b", "j0", "jn", columns);
  const product = printGemm({
    name: `${g.name}_block`,
    dtype: "f32",
    m: rows,
    n: columns,
    whole: g.whole ?? { m: g.m, n: g.n },
    sum: [{ n: terms, a: a.along, b: b.along }],
    a: a.apart,
    b: b.apart,
    c: { row: columns, col: 1 },
    lanes: g.lanes,
  });
  const floats = (n: number) => Math.ceil(n / 16) * 16;
  const sizes = [floats(rows * terms), floats(columns * terms), floats(rows * columns)] as const;
  const least = (at: string, size: number, end: number) => `${end} - ${at} < ${size} ? ${end} - ${at} : ${size}`;
  const more = ["k0", ...around.map((_, d) => `o${d}`)].join(" || ");
  const entry = `C[(i0 + i) * ${g.c.row}L + (j0 + j) * ${g.c.col}L]`;
  const each = `for (dh_long i = 0; i < in; i++)\n    _Pragma("omp simd") for (dh_long j = 0; j < jn; j++) ${entry}`;
  const empty = axes.some(({ n }) => n === 0);
  const body = empty
    ? [
        `for (dh_long i = 0; i < ${g.m}; i++) for (dh_long j = 0; j < ${g.n}; j++) C[i * ${g.c.row}L + j * ${g.c.col}L] = 0;`,
      ]
    : [
        `float *const pa = scratch, *const pb = pa + ${sizes[0]}, *const pc = pb + ${sizes[1]}, *const rest = pc + ${sizes[2]};`,
        ...around.map(({ n }, d) => `for (dh_long o${d} = 0; o${d} < ${n}; o${d}++)`),
        `for (dh_long k0 = 0; k0 < ${k.n}; k0 += ${deep}) for (dh_long j0 = 0; j0 < ${g.n}; j0 += ${columns}) {`,
        `  const dh_long kn = ${least("k0", deep, k.n)}, jn = ${least("j0", columns, g.n)};`,
        ...b.lines.map((line) => `  ${line}`),
        `  for (dh_long i0 = 0; i0 < ${g.m}; i0 += ${rows}) {`,
        `    const dh_long in = ${least("i0", rows, g.m)};`,
        ...a.lines.map((line) => `    ${line}`),
        `    ${g.name}_block(pa, pb, pc, rest);`,
        `    if (${more}) ${each} += pc[i * ${columns} + j];`,
        `    else ${each} = pc[i * ${columns} + j];`,
        "  }",
        "}",
      ];
  return {
    text: `${empty ? "" : product.text}${head(g)} {\n${body.map((line) => `  ${line}\n`).join("")}}\n`,
    scratchBytes: empty ? 0 : 4 * (sizes[0] + sizes[1] + sizes[2]) + product.scratchBytes,
  };
}
