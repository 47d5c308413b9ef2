/**
 * Contractions of factors that lie in 16 bits, in C. Those of bfloat16 have three forms, for what the machine has:
 *
 * "amx"     tdpbf16ps on tiles: 16 × 16 sums, 32 of k at a time, four tiles of sums from two of A and two of B
 * "avx512"  vdpbf16ps on vectors: 16 sums, a pair of k at a time
 * "none"    widened to f32 (c/widened.ts), as all others are
 *
 * The first two read one layout: words of two neighbours along k, in tiles of 16 rows of 64 bytes. A tile of A has a row
 * for each row of A, one of B a row for each word of k; what k, m or n lack of a whole tile is 0. Packing is the one place
 * that sees strides. Sums run over k in ascending order, so that an entry of C has the same bits however many rows and
 * columns are computed with it. In bits the three forms differ, and the first two take a denormal for 0.
 *
 * Tiles belong to a thread: each call loads their configuration and gives it back. That the process may have them at all
 * is asked of Linux before (run/native/tiles.ts).
 */
import type { Step } from "../../compile/program.ts";
import { halves } from "./halves.ts";
import { type HalfGemm, head, printWidened } from "./widened.ts";

/** What multiplies bfloat16: see above. */
export type Bf16 = "amx" | "avx512" | "none";

export type Bf16Gemm = HalfGemm & { readonly unit: Bf16 };

/**
 * C = A·B of factors that lie in 16 bits, as `printWidened` has it. Two of bfloat16 are multiplied as such where a unit
 * does that; needs `gemmPrelude` and `bf16Prelude` above it.
 */
export function printBf16Gemm(g: Bf16Gemm): { text: string; scratchBytes: number } {
  const axes = g.sum.filter(({ n }) => n !== 1);
  const rounded = g.stored.a === "bf16" && g.stored.b === "bf16";
  const packs = rounded && g.unit !== "none" && axes.length === 1 && axes[0]!.n >= DEEP / 2 && g.m * g.n > 0;
  return packs ? packed(g, axes[0]!) : printWidened(g);
}

// ---------------------------------------------------------------------------------------------------- packed

/** Rows of a tile, its bytes, and the elements of k that it holds. */
const ROWS = 16;
const TILE = 1024;
const DEEP = 32;
/** What of B may stay in the second-level cache beside the rows of A that come by. */
const CACHE = 1 << 20;

/** Cᵀ = BᵀAᵀ where C lies along its columns. */
function packed(g: Bf16Gemm, k: Step): { text: string; scratchBytes: number } {
  const turned = g.c.row === 1 && g.c.col !== 1;
  const a = { from: "A", stride: g.a, k: k.a, n: g.m, c: g.c.row };
  const b = { from: "B", stride: g.b, k: k.b, n: g.n, c: g.c.col };
  const [rows, columns] = turned ? [b, a] : [a, b];
  const panel = Math.ceil(k.n / DEEP) * TILE;
  const [down, across] = [Math.ceil(rows.n / ROWS), Math.ceil(columns.n / ROWS)];
  const wide = Math.min(across, Math.max(2, Math.floor(CACHE / panel / 2) * 2));
  const of = ({ from, stride, k }: typeof a) => `${from}, ${stride}, ${k}`;
  const sizes = `${rows.n}, ${columns.n}, ${k.n}, ${wide}`;
  return {
    text: `${head(g)} { dh_packed(${of(rows)}, ${of(columns)}, C, ${rows.c}, ${columns.c}, ${sizes}, scratch); }\n`,
    scratchBytes: (down + wide) * panel,
  };
}

/** What a file needs once, before any of these. */
export const bf16Prelude = (unit: Bf16): string =>
  unit === "none" ? halves : [halves, packing(), { amx, avx512 }[unit], product].join("");

/** Transposes a tile, as 16 × 16 words: each round swaps the off-diagonal blocks of `side` words. */
function turn(): string {
  const words = range(ROWS);
  const rounds = [1, 2, 4, 8].map((side) => {
    const low = words.map((l) => (l & side ? ROWS + l - side : l));
    const high = words.map((l) => (l & side ? ROWS + l : l + side));
    const [x, y] = [`x${side}_`, `x${side * 2}_`];
    const row = (i: number) => {
      const [p, q, lanes] = i & side ? [i - side, i, high] : [i, i + side, low];
      return `${y}${i} = DH_SHUFFLE(${x}${p}, ${x}${q}, dh_words, ${lanes.join(", ")})`;
    };
    return `  dh_words ${words.map(row).join(", ")};\n`;
  });
  return `DH_KERNEL void dh_turn(dh_words *t) {
  dh_words ${words.map((i) => `x1_${i} = t[${i}]`).join(", ")};
${rounds.join("")}  ${words.map((i) => `t[${i}] = x16_${i};`).join(" ")}
}
`;
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/**
 * `n` vectors of k elements in panels of 16, each a row of tiles. A vector's elements lie `step` apart, the vectors
 * `stride`: a tile begins with a row for each vector where those lie along k, with a row for each word of k where they
 * lie side by side, and is turned where the other is wanted.
 */
const packing = (): string => `typedef int dh_words __attribute__((vector_size(64)));
typedef int dh_wordsu __attribute__((vector_size(64), aligned(2), may_alias));
typedef unsigned short dh_halvesu __attribute__((vector_size(32), aligned(2), may_alias));
${turn()}DH_KERNEL void dh_pack(const unsigned short *from, dh_long stride, dh_long step, char *to, dh_long n, dh_long k, int words) {
  const int along = step == 1 || stride != 1;
  const dh_long across = (n + 15) / 16, down = (k + 31) / 32;
  for (dh_long tile = 0; tile < across * down; tile++) {
    // In the order in which the elements lie.
    const dh_long i = 16 * (along ? tile / down : tile % across), l = 32 * (along ? tile % down : tile / across);
    const unsigned short *s = from + i * stride + l * step;
    char *const at = to + (i / 16 * down + l / 32) * ${TILE};
    dh_words *t = (dh_words *)at;
    const int rows = n - i < 16 ? n - i : 16, deep = k - l < 32 ? k - l : 32;
    if (step == 1 && deep == 32) {
      for (int r = 0; r < rows; r++) t[r] = *(const dh_wordsu *)(s + r * stride);
      for (int r = rows; r < 16; r++) t[r] = (dh_words){};
    } else if (!along && rows == 16 && deep == 32) {
      for (int p = 0; p < 16; p++) {
        const dh_halvesu *x = (const dh_halvesu *)(s + 2 * p * step), *y = (const dh_halvesu *)(s + (2 * p + 1) * step);
        t[p] = __builtin_convertvector(*x, dh_words) | __builtin_convertvector(*y, dh_words) << 16;
      }
    } else {
      unsigned short *u = (unsigned short *)at;
      for (int r = 0; r < 16; r++) t[r] = (dh_words){};
      for (int r = 0; r < rows; r++) for (int q = 0; q < deep; q++)
        u[along ? r * 32 + q : q / 2 * 32 + r * 2 + q % 2] = s[r * stride + q * step];
    }
    if (along == words) dh_turn(t);
  }
}
`;

/** 1 or 2 panels of A by 1 or 2 of B, `deep` tiles each: C[32, 32] or less of it, `row` elements from row to row. */
const kernels = (body: (rows: number, columns: number) => string): string =>
  [1, 2]
    .flatMap((rows) => [1, 2].map((columns) => [rows, columns] as const))
    .map(
      ([rows, columns]) =>
        `DH_KERNEL void dh_block_${rows}_${columns}(const char *a, const char *b, dh_long panel, dh_long deep, float *c, dh_long row) {
${body(rows, columns)}}
`,
    )
    .join("");

const amx = `${kernels((rows, columns) => {
  const [R, C] = [range(rows), range(columns)];
  const sums = R.flatMap((r) => C.map((c) => ({ r, c, tile: r * 2 + c })));
  const text = (lines: readonly string[]) => lines.map((line) => `"${line}\\n"`).join(" ");
  const products = sums.map(({ r, c, tile }) => `tdpbf16ps %%tmm${6 + c}, %%tmm${4 + r}, %%tmm${tile}`);
  const loads = [
    ...C.map((c) => `tileloadd (%${2 + c},%4,1), %%tmm${6 + c}`),
    ...R.map((r) => `tileloadd (%${r},%4,1), %%tmm${4 + r}`),
  ];
  const stores = sums.map(({ r, c, tile }) => `tilestored %%tmm${tile}, (%${r * 2 + c},%4,1)`);
  const operands = `"r"(c), "r"(c + 16), "r"(c + 16 * row), "r"(c + 16 * row + 16), "r"(4 * row)`;
  return `  __asm__ volatile(${text(sums.map(({ tile }) => `tilezero %%tmm${tile}`))} : :);
  for (dh_long l = 0; l < deep * ${TILE}; l += ${TILE})
    __asm__ volatile(${text([...loads, ...products])} : : "r"(a + l), "r"(a + panel + l), "r"(b + l), "r"(b + panel + l), "r"(64L) : "memory");
  __asm__ volatile(${text(stores)} : : ${operands} : "memory");
`;
})}static void dh_begin(void) {
  static const struct { unsigned char palette, start, none[14]; unsigned short bytes[16]; unsigned char rows[16]; } eight
    __attribute__((aligned(64))) = { 1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16} };
  __asm__ volatile("ldtilecfg %0" : : "m"(eight));
}
static void dh_end(void) { __asm__ volatile("tilerelease"); }
`;

/** Half a tile of rows at a time: 16 sums hide the latency of one. */
const avx512 = `typedef float dh_sums __attribute__((vector_size(64)));
typedef float dh_sumsu __attribute__((vector_size(64), aligned(4), may_alias));
${kernels((rows, columns) => {
  const [R, C] = [range(8), range(columns)];
  const each = (f: (r: number, c: number) => string) => R.flatMap((r) => C.map((c) => f(r, c))).join(" ");
  const add = (r: number, c: number) =>
    `__asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(s${r}_${c}) : "v"(b${c}), "m"(x[${r * 16}]));`;
  return `  for (int i = 0; i < ${rows * 16}; i += 8) {
    dh_sums ${each((r, c) => `s${r}_${c} = {},`).slice(0, -1)};
    const int *x = (const int *)(a + i / 16 * panel + i % 16 * 64);
    for (dh_long l = 0; l < deep * 16; l++) {
      const dh_words ${C.map((c) => `b${c} = *(const dh_words *)(b + ${c} * panel + l * 64)`).join(", ")};
      ${each(add)}
      x += l % 16 == 15 ? 241 : 1;
    }
    ${each((r, c) => `*(dh_sumsu *)(c + (i + ${r}) * row + ${c * 16}) = s${r}_${c};`)}
  }
`;
})}static void dh_begin(void) {}
static void dh_end(void) {}
`;

/** A is packed once, B as much at a time as `wide` panels are; what is no whole block of C goes through one that is. */
const product = `static void dh_packed(const unsigned short *A, dh_long a, dh_long ka, const unsigned short *B, dh_long b, dh_long kb,
    float *C, dh_long row, dh_long col, dh_long m, dh_long n, dh_long k, dh_long wide, char *scratch) {
  static void (*const block[2][2])(const char *, const char *, dh_long, dh_long, float *, dh_long) =
    { { dh_block_1_1, dh_block_1_2 }, { dh_block_2_1, dh_block_2_2 } };
  const dh_long deep = (k + 31) / 32, panel = deep * ${TILE};
  char *const pa = scratch, *const pb = scratch + (m + 15) / 16 * panel;
  float part[1024] __attribute__((aligned(64)));
  dh_begin();
  dh_pack(A, a, ka, pa, m, k, 0);
  for (dh_long j0 = 0; j0 < n; j0 += wide * 16) {
    const dh_long j1 = n - j0 < wide * 16 ? n : j0 + wide * 16;
    dh_pack(B + j0 * b, b, kb, pb, j1 - j0, k, 1);
    for (dh_long i = 0; i < m; i += 32) for (dh_long j = j0; j < j1; j += 32) {
      const int r = m - i > 16, c = j1 - j > 16;
      const int rows = m - i < 32 ? m - i : 32, columns = j1 - j < 32 ? j1 - j : 32;
      const int whole = col == 1 && rows == 16 * (r + 1) && columns == 16 * (c + 1);
      float *const to = C + i * row + j * col;
      block[r][c](pa + i / 16 * panel, pb + (j - j0) / 16 * panel, panel, deep, whole ? to : part, whole ? row : 32);
      if (whole) continue;
      if (col == 1) for (int p = 0; p < rows; p++) __builtin_memcpy(to + p * row, part + p * 32, 4 * columns);
      else for (int p = 0; p < rows; p++) for (int q = 0; q < columns; q++) to[p * row + q * col] = part[p * 32 + q];
    }
  }
  dh_end();
}
`;
