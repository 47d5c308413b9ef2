/**
 * Contractions in C: one function per shape and layout, every size and stride a constant of the text.
 *
 * Two kernels do the work. A *tile* keeps rows × vectors of C in registers and walks k, so B must be contiguous along its
 * columns; where it is not, or where its rows collide in the cache, a panel of it is first copied to scratch. A *dot*
 * keeps one vector per entry of C and walks k a vector at a time, so that A and B stored along k need no copy; it pays
 * with horizontal sums, and wins when there are few rows. A model of the cycles chooses (`plan`).
 *
 * Accumulators are printed as named scalars: gcc keeps an array of vectors in memory. Vector extensions, no headers:
 * `immintrin.h` alone costs 0.1 s. Kernels are guarded by their names, which tell everything they depend on, so that
 * equal ones are printed more than once but compiled once.
 */

export type Gemm = {
  /** The C function's name, prefixed `dh_`. */
  readonly name: string;
  readonly dtype: "f32" | "f64";
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Strides in elements: A[i·row + l·col], i < m, l < k. */
  readonly a: Strides;
  /** B[l·row + j·col], j < n. */
  readonly b: Strides;
  /** C[i·row + j·col]. */
  readonly c: Strides;
  /** f32 lanes of the machine's vectors: 16 (AVX-512), 8 (AVX2), 4 (anything else). */
  readonly lanes: number;
};

export type Strides = { readonly row: number; readonly col: number };

/** What a file needs once, before any contraction. */
export function gemmPrelude(lanes: number): string {
  return `typedef __PTRDIFF_TYPE__ dh_long;
#ifdef __clang__
#define DH_KERNEL static __attribute__((noinline))
#define DH_SHUFFLE(a, b, ints, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DH_KERNEL static __attribute__((noinline, noclone))
#define DH_SHUFFLE(a, b, ints, ...) __builtin_shuffle(a, b, (ints){__VA_ARGS__})
#endif
${(["f32", "f64"] as const).map((dtype) => vectorTypes(vector(dtype, lanes))).join("\n")}
`;
}

/**
 * C = A·B; what C held before is overwritten. The text defines
 *   static void NAME(const T *restrict A, const T *restrict B, T *restrict C, T *restrict scratch)
 * and needs `gemmPrelude` above it. `scratch` holds `scratchBytes`, aligned to 64; it may be null when that is 0.
 * Any strides and any sizes, 0 included. The order of every sum depends on the shape, the layout and the lanes alone.
 */
export function printGemm(gemm: Gemm): { text: string; scratchBytes: number } {
  const g = normalise(gemm);
  const { kernels, body, scratch } = form(g);
  const { type, bytes } = vector(g.dtype, g.lanes);
  // After a flip the caller's A plays the part of B: the parameters swap their names, not their places.
  const [first, second] = g.flipped ? ["B", "A"] : ["A", "B"];
  const head = `static void ${g.name}(const ${type} *restrict ${first}, const ${type} *restrict ${second}, ` +
    `${type} *restrict C, ${type} *restrict scratch)`;
  return { text: `${kernels.join("")}${head} {\n${body}\n}\n`, scratchBytes: scratch * bytes };
}

// ---------------------------------------------------------------------------------------------------- vectors

/** How a dtype is spelled in vectors of this machine. */
type Vector = { readonly dtype: string; type: string; bytes: number; width: number; name: string; ints: string };

function vector(dtype: "f32" | "f64", lanes: number): Vector {
  return dtype === "f32"
    ? { dtype, type: "float", bytes: 4, width: lanes, name: "dh_vf", ints: "dh_vi" }
    : { dtype, type: "double", bytes: 8, width: lanes / 2, name: "dh_vd", ints: "dh_vl" };
}

function vectorTypes({ type, bytes, width, name, ints }: Vector): string {
  const size = `vector_size(${bytes * width})`;
  return `typedef ${type} ${name} __attribute__((${size}));
typedef ${type} ${name}u __attribute__((${size}, aligned(${bytes}), may_alias));
typedef ${type === "float" ? "int" : "long long"} ${ints} __attribute__((${size}));`;
}

/** Load `count` lanes at `p`; the others are zero and their memory is not touched. */
function load(v: Vector, p: string, count = v.width): string {
  if (count === v.width) return `*(const ${v.name}u *)(${p})`;
  if (v.bytes * v.width === 64) {
    return `(${v.name})__builtin_ia32_load${v.dtype === "f32" ? "ups" : "upd"}512_mask(${p}, (${v.name}){}, ${mask(count)})`;
  }
  return `(${v.name}){${range(count).map((i) => `(${p})[${i}]`).join(", ")}}`;
}

/** Store the first `count` lanes of `x` at `p`. */
function store(v: Vector, p: string, x: string, count = v.width): string {
  if (count === v.width) return `*(${v.name}u *)(${p}) = ${x};`;
  if (v.bytes * v.width === 64) {
    return `__builtin_ia32_store${v.dtype === "f32" ? "ups" : "upd"}512_mask(${p}, ${x}, ${mask(count)});`;
  }
  return range(count).map((i) => `(${p})[${i}] = ${x}[${i}];`).join(" ");
}

const mask = (count: number) => `0x${((1 << count) - 1).toString(16)}`;

const shuffle = (v: Vector, x: string, y: string, lanes: readonly number[]) =>
  `DH_SHUFFLE(${x}, ${y}, ${v.ints}, ${lanes.join(", ")})`;

// ---------------------------------------------------------------------------------------------------- normal form

type Normal = Gemm & { readonly flipped: boolean };

/**
 * Cᵀ = BᵀAᵀ turns a column-contiguous C into a row-contiguous one, and a single column into a single row. Strides of
 * axes of size 1 say nothing; they become 1, the layout that every form accepts.
 */
function normalise(g: Gemm): Normal {
  const flat = (s: Strides, rows: number, cols: number) => ({ row: rows === 1 ? 1 : s.row, col: cols === 1 ? 1 : s.col });
  const a = flat(g.a, g.m, g.k);
  const b = flat(g.b, g.k, g.n);
  const c = flat(g.c, g.m, g.n);
  const swap = (s: Strides) => ({ row: s.col, col: s.row });
  if (g.m > 1 && (g.n === 1 || (c.row === 1 && c.col !== 1))) {
    return { ...g, m: g.n, n: g.m, a: swap(b), b: swap(a), c: swap(c), flipped: true };
  }
  return { ...g, a, b, c, flipped: false };
}

type Form = { kernels: string[]; body: string; scratch: number };

function form(g: Normal): Form {
  if (g.m === 0 || g.n === 0) return { kernels: [], body: "", scratch: 0 };
  if (g.k === 0) return { kernels: [], body: nest(g, "0"), scratch: 0 };
  const dots = g.b.row === 1 && (g.a.col === 1 || g.m === 1);
  if (g.c.col !== 1) return dots ? dot(g) : loops(g);
  const tiling = chooseTile(g);
  return dots && dotCycles(g) < tiling.cycles ? dot(g) : tiles(g, tiling);
}

// ---------------------------------------------------------------------------------------------------- plain loops

/** Layouts nobody meets in a training step: correct, in f64 or f32 as given. */
function loops(g: Normal): Form {
  const { type } = vector(g.dtype, g.lanes);
  const sum = `${type} s = 0;\n    for (dh_long l = 0; l < ${g.k}; l++) ` +
    `s += A[i * ${g.a.row} + l * ${g.a.col}] * B[l * ${g.b.row} + j * ${g.b.col}];\n    `;
  return { kernels: [], body: nest(g, "s", sum), scratch: 0 };
}

const nest = (g: Normal, value: string, before = "") =>
  `  for (dh_long i = 0; i < ${g.m}; i++) for (dh_long j = 0; j < ${g.n}; j++) {\n    ` +
  `${before}C[i * ${g.c.row} + j * ${g.c.col}] = ${value};\n  }`;

// ---------------------------------------------------------------------------------------------------- tiles

/** Rows × vectors of C in registers, whether B is copied, and a guess of the cycles it takes. */
type Tiling = { readonly rows: number; readonly vectors: number; readonly pack: "none" | "copy" | "transpose"; cycles: number };

/** Cycles of one k-step of a tile: 2 FMA and 2 loads per cycle, 6 instructions issued, a latency of 4. */
const tileCycles = (rows: number, vectors: number) =>
  Math.max((rows * vectors) / 2, (rows + vectors) / 2, (rows * vectors + rows + vectors + 2) / 6, 4 / depth(rows * vectors)) + 0.3;

/** How many sets of accumulators a tile needs to hide the latency of an addition. */
const depth = (accumulators: number) => (accumulators >= 8 ? 1 : accumulators >= 4 ? 2 : accumulators >= 2 ? 4 : 8);

const registers = (lanes: number) => (lanes === 16 ? 32 : 16);

function chooseTile(g: Normal): Tiling {
  const v = vector(g.dtype, g.lanes);
  const across = Math.ceil(g.n / v.width);
  const pack = packing(g, v);
  const packCycles = pack === "none" ? 0 : (g.k * g.n) / (pack === "copy" ? v.width / 2 : v.width / 4) + g.k;
  // Rows a multiple of 4096 bytes apart share one set of the first-level cache, which holds 8 to 12 lines.
  const most = (g.a.row * v.bytes) % 4096 === 0 && g.a.col === 1 ? 8 : Infinity;
  let best: Tiling | undefined;
  for (let vectors = 1; vectors <= Math.min(8, across); vectors++) {
    for (let rows = 1; rows <= Math.min(g.m, most) && (rows + 1) * vectors + 1 < registers(g.lanes); rows++) {
      const full = Math.floor(g.m / rows) * Math.floor(across / vectors);
      const right = across % vectors ? Math.floor(g.m / rows) * tileCycles(rows, across % vectors) : 0;
      const below = g.m % rows ? Math.floor(across / vectors) * tileCycles(g.m % rows, vectors) : 0;
      const corner = g.m % rows && across % vectors ? tileCycles(g.m % rows, across % vectors) : 0;
      const calls = Math.ceil(g.m / rows) * Math.ceil(across / vectors) * 12 + (g.m * across);
      const cycles = g.k * (full * tileCycles(rows, vectors) + right + below + corner) + calls + packCycles;
      if (!best || cycles < best.cycles) best = { rows, vectors, pack, cycles };
    }
  }
  return best!;
}

function packing(g: Normal, v: Vector): Tiling["pack"] {
  if (g.b.col !== 1) return "transpose";
  const collides = (g.b.row * v.bytes) % 1024 === 0 && g.k * g.n * v.bytes > 1 << 18;
  return g.m >= 64 && collides ? "copy" : "none";
}

function tiles(g: Normal, t: Tiling): Form {
  const v = vector(g.dtype, g.lanes);
  const kernels = new Map<string, string>();
  const wide = t.vectors * v.width;
  const depthOf = blocks(g.k, 512);
  const tall = blocks(g.m, (1 << 19) / v.bytes / depthOf.size, t.rows);
  const packed = t.pack !== "none";
  const stride = packed ? wide : g.b.row;
  const accumulate = depthOf.count > 1 ? "k0 > 0" : "0";

  const call = (rows: number, columns: number, i: string, j: string) => {
    const [name, text] = tileKernel(g, v, rows, columns, stride);
    kernels.set(name, text);
    const a = `A + ${at(i, g.a.row)} + ${at("k0", g.a.col)}`;
    const b = packed ? "scratch" : `B + ${at("k0", g.b.row)} + ${j}`;
    return `${name}(${a}, ${b}, C + ${at(i, g.c.row)} + ${j}, kn, ${accumulate});`;
  };
  const panel = (columns: number, j: string) => {
    const rest = g.m % t.rows;
    const out: string[] = [];
    if (packed) out.push(pack(g, v, kernels, columns, wide, j));
    if (g.m >= t.rows) {
      const end = rest ? `(i1 < ${g.m - rest} ? i1 : ${g.m - rest})` : "i1";
      out.push(`for (dh_long i = i0; i < ${end}; i += ${t.rows}) ${call(t.rows, columns, "i", j)}`);
    }
    if (rest) out.push(`if (i1 == ${g.m}) ${call(rest, columns, `${g.m - rest}`, j)}`);
    return out.map((line) => `    ${line}`).join("\n");
  };
  const whole = g.n - (g.n % wide);
  const body: string[] = [
    `  for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${depthOf.size}) for (dh_long i0 = 0; i0 < ${g.m}; i0 += ${tall.size}) {`,
    `    const dh_long kn = ${least(`${g.k} - k0`, depthOf, g.k)}, i1 = i0 + ${least(`${g.m} - i0`, tall, g.m)};`,
  ];
  if (whole) body.push(`    for (dh_long j = 0; j < ${whole}; j += ${wide}) {\n${panel(wide, "j")}\n    }`);
  if (whole < g.n) body.push(panel(g.n - whole, `${whole}`));
  body.push("  }");
  return { kernels: [...kernels.values()], body: body.join("\n"), scratch: packed ? depthOf.size * wide : 0 };
}

/** `size` split into `count` blocks of about `most` or less, as equal as multiples of `unit` allow. */
function blocks(size: number, most: number, unit = 1): { size: number; count: number } {
  const even = Math.ceil(size / Math.ceil(size / most) / unit) * unit;
  return { size: even, count: Math.ceil(size / even) };
}

const least = (rest: string, block: { size: number }, total: number) =>
  total % block.size === 0 ? `${block.size}` : `(${rest} < ${block.size} ? ${rest} : ${block.size})`;

const at = (index: string, stride: number) => (stride === 1 ? index : `${index} * ${stride}`);

/** Rows × columns of C, `columns` at most 8 vectors: the kernel that everything rests on. Returns its name and its text. */
function tileKernel(g: Normal, v: Vector, rows: number, columns: number, stride: number): [string, string] {
  const I = range(rows);
  const J = range(Math.ceil(columns / v.width));
  const sets = g.k >= 16 ? depth(rows * J.length) : 1;
  const split = blocks(g.k, 512).count > 1;
  const name = identifier("dh_tile", v.dtype, rows, columns, rows > 1 ? g.a.row : 0, g.a.col, stride, rows > 1 ? g.c.row : 0,
    g.k === 1 ? "outer" : `${sets}${split ? "more" : ""}`);
  const lanes = (j: number) => Math.min(v.width, columns - j * v.width);
  const C = (i: number, j: number) => `C + ${i * g.c.row + j * v.width}`;
  const each = (f: (i: number, j: number) => string) => I.map((i) => `  ${J.map((j) => f(i, j)).join(" ")}`);
  const loadB = (u: number) => `${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${u * stride + j * v.width}`, lanes(j))}`).join(", ")};`;
  const out = [`DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C, dh_long k, int more) {`];
  if (g.k === 1) {
    out.push(`  ${loadB(0)}`, ...each((i, j) => store(v, C(i, j), `(A[${i * g.a.row}] * b${j})`, lanes(j))));
  } else {
    const sum = (i: number, j: number, u: number) => `c${i}_${j}${u ? `_${u}` : ""}`;
    const step = (u: number) => [
      `    { ${loadB(u)}`,
      ...I.map((i) => `      { const ${v.type} a = A[${i * g.a.row + u * g.a.col}]; ${J.map((j) => `${sum(i, j, u)} += a * b${j};`).join(" ")} }`),
      "    }",
    ];
    for (const i of I) out.push(`  ${v.name} ${J.flatMap((j) => range(sets).map((u) => `${sum(i, j, u)} = {}`)).join(", ")};`);
    if (sets > 1) {
      out.push(`  for (; k >= ${sets}; k -= ${sets}) {`, ...range(sets).flatMap(step), `    A += ${sets * g.a.col}; B += ${sets * stride};`, "  }");
    }
    out.push("  for (; k; k--) {", ...step(0), `    A += ${g.a.col}; B += ${stride};`, "  }");
    if (sets > 1) out.push(...each((i, j) => `${sum(i, j, 0)} ${range(sets - 1).map((u) => `+= ${sum(i, j, u + 1)}`).join(`; ${sum(i, j, 0)} `)};`));
    if (split) {
      out.push("  if (more) {", ...each((i, j) => `${sum(i, j, 0)} += ${load(v, C(i, j), lanes(j))};`), "  }");
    }
    out.push(...each((i, j) => store(v, C(i, j), sum(i, j, 0), lanes(j))));
  }
  out.push("}");
  return [name, once(name, out.join("\n"))];
}

/** A name that tells everything its kernel depends on. */
const identifier = (...parts: (string | number)[]) => parts.join("_").replaceAll("-", "m");

const once = (name: string, text: string) => `#ifndef HAS_${name}\n#define HAS_${name}\n${text}\n#endif\n`;

/** Copies kn × columns of B, from row k0 and column j on, to rows of `wide` elements in scratch. */
function pack(g: Normal, v: Vector, kernels: Map<string, string>, columns: number, wide: number, j: string): string {
  const source = `B + ${at("k0", g.b.row)} + ${j === "j" ? at("j", g.b.col) : `${Number(j) * g.b.col}`}`;
  if (g.b.row !== 1 || v.width < 4) {
    return `for (dh_long l = 0; l < kn; l++) for (dh_long q = 0; q < ${columns}; q++) ` +
      `scratch[l * ${wide} + q] = (${source})[l * ${g.b.row} + ${at("q", g.b.col)}];`;
  }
  const [name, text] = transposeKernel(v);
  kernels.set(name, text);
  return `${name}(${source}, ${g.b.col}, scratch, ${wide}, ${columns}, kn);`;
}

/** to[l·wide + q] = from[q·stride + l] for q < columns, l < k: square blocks through registers, the rims one by one. */
function transposeKernel(v: Vector): [string, string] {
  const name = `dh_transpose_${v.dtype}`;
  const W = v.width;
  const lanes = range(W);
  const out = [
    `DH_KERNEL void ${name}(const ${v.type} *restrict from, dh_long stride, ${v.type} *restrict to, dh_long wide, dh_long columns, dh_long k) {`,
    `  const dh_long across = columns - columns % ${W}, down = k - k % ${W};`,
    `  for (dh_long q = 0; q < across; q += ${W}) for (dh_long l = 0; l < down; l += ${W}) {`,
    `    const ${v.type} *s = from + q * stride + l; ${v.type} *d = to + l * wide + q;`,
    `    ${v.name} ${lanes.map((i) => `x1_${i} = ${load(v, `s + ${i} * stride`)}`).join(", ")};`,
  ];
  // Each round swaps the off-diagonal blocks of `side` lanes.
  let side = 1;
  for (; side < W; side *= 2) {
    const low = lanes.map((l) => (l & side ? W + l - side : l));
    const high = lanes.map((l) => (l & side ? W + l : l + side));
    const [x, y] = [`x${side}_`, `x${side * 2}_`];
    out.push(`    ${v.name} ${lanes.map((i) => i & side
      ? `${y}${i} = ${shuffle(v, `${x}${i - side}`, `${x}${i}`, high)}`
      : `${y}${i} = ${shuffle(v, `${x}${i}`, `${x}${i + side}`, low)}`).join(", ")};`);
  }
  out.push(
    `    ${lanes.map((i) => store(v, `d + ${i} * wide`, `x${side}_${i}`)).join(" ")}`,
    "  }",
    "  for (dh_long l = down; l < k; l++) for (dh_long q = 0; q < across; q++) to[l * wide + q] = from[q * stride + l];",
    "  for (dh_long q = across; q < columns; q++) for (dh_long l = 0; l < k; l++) to[l * wide + q] = from[q * stride + l];",
    "}",
  );
  return [name, once(name, out.join("\n"))];
}

// ---------------------------------------------------------------------------------------------------- dots

/** Entries of C per kernel: rows × columns, one accumulator each. */
function dotTile(g: Normal): { rows: number; columns: number } {
  if (g.m === 1) return { rows: 1, columns: Math.min(g.n, registers(g.lanes) / 2) };
  return g.lanes === 16 ? { rows: Math.min(4, g.m), columns: Math.min(g.n, 4) } : { rows: Math.min(2, g.m), columns: Math.min(g.n, 4) };
}

function dotCycles(g: Normal): number {
  const v = vector(g.dtype, g.lanes);
  const { rows, columns } = dotTile(g);
  const padded = Math.ceil(g.m / rows) * rows * Math.ceil(g.n / columns) * columns;
  const perEntry = Math.max(0.5, (rows + columns) / (2 * rows * columns));
  return padded * (Math.ceil(g.k / v.width) * perEntry + 3) ;
}

function dot(g: Normal): Form {
  const v = vector(g.dtype, g.lanes);
  const kernels = new Map<string, string>();
  const { rows, columns } = dotTile(g);
  const copied = g.a.col !== 1;
  const whole = { m: g.m - (g.m % rows), n: g.n - (g.n % columns) };
  const a = copied ? { row: g.k, col: 1 } : g.a;
  const call = (r: number, c: number, i: string, j: string) => {
    const [name, text] = dotKernel(g, v, r, c, a.row);
    kernels.set(name, text);
    return `${name}(${copied ? "scratch" : "A"} + ${at(i, a.row)}, B + ${at(j, g.b.col)}, C + ${at(i, g.c.row)} + ${at(j, g.c.col)});`;
  };
  const body: string[] = [];
  if (copied) body.push(`  for (dh_long l = 0; l < ${g.k}; l++) scratch[l] = A[l * ${g.a.col}];`);
  const row = (r: number, i: string) => {
    if (whole.n) body.push(`    for (dh_long j = 0; j < ${whole.n}; j += ${columns}) ${call(r, columns, i, "j")}`);
    if (whole.n < g.n) body.push(`    ${call(r, g.n - whole.n, i, `${whole.n}`)}`);
  };
  body.push(`  for (dh_long i = 0; i < ${whole.m}; i += ${rows}) {`);
  row(rows, "i");
  body.push("  }");
  if (whole.m < g.m) row(g.m - whole.m, `${whole.m}`);
  return { kernels: [...kernels.values()], body: body.join("\n"), scratch: copied ? g.k : 0 };
}

function dotKernel(g: Normal, v: Vector, rows: number, columns: number, strideA: number): [string, string] {
  const name = identifier("dh_dot", v.dtype, rows, columns, g.k, strideA, g.b.col, g.c.row, g.c.col);
  const W = v.width;
  const I = range(rows);
  const J = range(columns);
  const tail = g.k % W;
  const down = g.k - tail;
  const sum = (i: number, j: number) => `s0_${i * columns + j}`;
  const step = (l: string, count: number) => [
    `${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${j * g.b.col} + ${l}`, count)}`).join(", ")};`,
    ...I.map((i) => `{ const ${v.name} a = ${load(v, `A + ${i * strideA} + ${l}`, count)}; ${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")} }`),
  ].map((line) => `    ${line}`);
  const out = [
    `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C) {`,
    `  ${v.name} ${I.flatMap((i) => J.map((j) => `${sum(i, j)} = {}`)).join(", ")};`,
  ];
  if (down) out.push(`  for (dh_long l = 0; l < ${down}; l += ${W}) {`, ...step("l", W), "  }");
  if (tail) out.push("  {", ...step(`${down}`, tail), "  }");
  // Horizontal sums, `W` accumulators at a time: each round adds neighbours and halves the number of vectors, so that
  // lane q of the last one is the sum of accumulator q.
  out.push(`  ${v.type} s[${Math.ceil((rows * columns) / W) * W}] __attribute__((aligned(64)));`);
  for (let first = 0; first < rows * columns; first += W) {
    let names = range(Math.min(W, rows * columns - first)).map((q) => `s0_${first + q}`);
    for (let side = 1; side < W; side *= 2) {
      const keep = range(W).map((l) => (l & side ? W + l : l));
      const move = range(W).map((l) => (l & side ? W + l - side : l + side));
      const next = range(Math.ceil(names.length / 2)).map((q) => `s${side}_${first + q}`);
      next.forEach((to, q) => {
        const x = names[2 * q]!;
        const y = names[2 * q + 1] ?? x;
        out.push(`  const ${v.name} ${to} = ${shuffle(v, x, y, keep)} + ${shuffle(v, x, y, move)};`);
      });
      names = next;
    }
    out.push(`  *(${v.name} *)(s + ${first}) = ${names[0]};`);
  }
  for (const i of I) out.push(`  ${J.map((j) => `C[${i * g.c.row + j * g.c.col}] = s[${i * columns + j}];`).join(" ")}`);
  out.push("}");
  return [name, once(name, out.join("\n"))];
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
