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
  /** Strides in elements, of any sign; 0 repeats: A[i·row + l·col], i < m, l < k. */
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
  const head =
    `static void ${g.name}(const ${type} *restrict ${first}, const ${type} *restrict ${second}, ` +
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
  return `(${v.name}){${range(count)
    .map((i) => `(${p})[${i}]`)
    .join(", ")}}`;
}

/** Store the first `count` lanes of `x` at `p`. */
function store(v: Vector, p: string, x: string, count = v.width): string {
  if (count === v.width) return `*(${v.name}u *)(${p}) = ${x};`;
  if (v.bytes * v.width === 64) {
    return `__builtin_ia32_store${v.dtype === "f32" ? "ups" : "upd"}512_mask(${p}, ${x}, ${mask(count)});`;
  }
  return range(count)
    .map((i) => `(${p})[${i}] = ${x}[${i}];`)
    .join(" ");
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
  const flat = (s: Strides, rows: number, cols: number) => ({
    row: rows === 1 ? 1 : s.row,
    col: cols === 1 ? 1 : s.col,
  });
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

/** A C with gaps in both directions: correct, no more. */
function loops(g: Normal): Form {
  const { type } = vector(g.dtype, g.lanes);
  const sum =
    `${type} s = 0;\n    for (dh_long l = 0; l < ${g.k}; l++) ` +
    `s += A[i * ${g.a.row} + l * ${g.a.col}] * B[l * ${g.b.row} + j * ${g.b.col}];\n    `;
  return { kernels: [], body: nest(g, "s", sum), scratch: 0 };
}

const nest = (g: Normal, value: string, before = "") =>
  `  for (dh_long i = 0; i < ${g.m}; i++) for (dh_long j = 0; j < ${g.n}; j++) {\n    ` +
  `${before}C[i * ${g.c.row} + j * ${g.c.col}] = ${value};\n  }`;

// ---------------------------------------------------------------------------------------------------- tiles

/** Rows × vectors of C in registers, what is copied to scratch first, and a guess of the cycles it all takes. */
type Tiling = {
  readonly rows: number;
  readonly vectors: number;
  readonly packA: boolean;
  readonly packB: "none" | "copy" | "transpose";
  readonly cycles: number;
};

/** Cycles of one k-step of a tile: 2 FMA and 2 loads per cycle, 6 instructions issued, a latency of 4. */
function tileCycles(rows: number, vectors: number): number {
  const sums = rows * vectors;
  return Math.max(sums / 2, (rows + vectors) / 2, (sums + rows + vectors + 2) / 6, 4 / sets(sums)) + 0.3;
}

/** How many sets of accumulators hide the latency of a sum. */
const sets = (sums: number) => (sums >= 8 ? 1 : sums >= 4 ? 2 : sums >= 2 ? 4 : 8);

const registers = (lanes: number) => (lanes === 16 ? 32 : 16);

/** Rows of k taken at a time: a tile's share of A stays in the first level of the cache. */
const deepest = 384;

function chooseTile(g: Normal): Tiling {
  const v = vector(g.dtype, g.lanes);
  const across = Math.ceil(g.n / v.width);
  const packB = packingB(g, v);
  const packing = { none: 0, copy: 2 * g.k * across, transpose: 6 * v.width * Math.ceil(g.k / v.width) * across }[
    packB
  ];
  // Rows a multiple of 4096 bytes apart share one set of the first-level cache, which holds 8 to 12 lines.
  const most = g.a.col === 1 && (g.a.row * v.bytes) % 4096 === 0 ? 8 : Infinity;
  let best: Omit<Tiling, "packA" | "packB"> | undefined;
  for (let vectors = 1; vectors <= Math.min(8, across); vectors++) {
    for (let rows = 1; rows <= Math.min(g.m, most) && (rows + 1) * vectors + 1 < registers(g.lanes); rows++) {
      const [down, below] = [Math.floor(g.m / rows), g.m % rows];
      const [right, beside] = [Math.floor(across / vectors), across % vectors];
      const step =
        down * right * tileCycles(rows, vectors) +
        (beside ? down * tileCycles(rows, beside) : 0) +
        (below ? right * tileCycles(below, vectors) : 0) +
        (below && beside ? tileCycles(below, beside) : 0);
      const calls = 12 * Math.ceil(g.m / rows) * Math.ceil(across / vectors) + g.m * across;
      const cycles = g.k * step + calls + packing;
      if (!best || cycles < best.cycles) best = { rows, vectors, cycles };
    }
  }
  // A stored along m: its k-steps lie in as many pages, and every panel of B comes by again.
  const packA = g.a.row === 1 && g.a.col * v.bytes >= 1024 && across > best!.vectors && g.k > 1;
  return { ...best!, packA, packB };
}

/**
 * B is transposed when its columns are not contiguous. It is copied when it is large and comes by often enough, so that it
 * streams from one place instead of one page per k-step; sooner when its rows collide in the cache.
 */
function packingB(g: Normal, v: Vector): Tiling["packB"] {
  if (g.b.col !== 1) return "transpose";
  const often = (g.b.row * v.bytes) % 4096 === 0 ? 24 : 64;
  return g.m >= often && g.k * g.n * v.bytes > 1 << 18 ? "copy" : "none";
}

/**
 * For a block of k and columns whose B fits the second-level cache: for the rows of a tile: for the panels of B. So a
 * tile's share of A stays close while B streams past it.
 */
function tiles(g: Normal, t: Tiling): Form {
  const v = vector(g.dtype, g.lanes);
  const kernels = new Map<string, string>();
  const use = ([name, text]: [string, string]) => {
    kernels.set(name, text);
    return name;
  };
  const wide = t.vectors * v.width;
  const high = Math.ceil(t.rows / v.width) * v.width;
  const deep = blocks(g.k, deepest);
  const broad = blocks(g.n, (1 << 20) / v.bytes / deep.size, wide);
  const packedB = t.packB !== "none";
  const sizeB = packedB ? Math.ceil(broad.size / wide) * wide * deep.size : 0;
  const a = t.packA ? { row: 1, col: high } : g.a;
  const strideB = packedB ? wide : g.b.row;
  const scratchA = sizeB ? `scratch + ${sizeB}` : "scratch";

  const call = (rows: number, columns: number, i: string, j: string) => {
    const name = use(tileKernel(g, v, { rows, columns, a, strideB }));
    const atA = t.packA ? scratchA : `A + ${at(i, g.a.row)} + ${at("k0", g.a.col)}`;
    const atB = packedB ? `scratch + (${j} - j0) * kn` : `B + ${at("k0", g.b.row)} + ${j}`;
    return `${name}(${atA}, ${atB}, C + ${at(i, g.c.row)} + ${j}, kn, k0 > 0);`;
  };
  // Panels of full width, then the rim at the right of the last block.
  const rim = g.n % wide;
  const panels = (body: (columns: number, j: string) => string) => [
    ...(g.n >= wide
      ? [`for (dh_long j = j0; j < ${rim ? `j1 - j1 % ${wide}` : "j1"}; j += ${wide}) ${body(wide, "j")}`]
      : []),
    ...(rim ? [`${broad.count > 1 ? `if (j1 == ${g.n}) ` : ""}${body(rim, `${g.n - rim}`)}`] : []),
  ];
  const row = (rows: number, i: string) => [
    ...(t.packA
      ? [`${use(copyKernel(v, rows, high))}(A + ${i} + ${at("k0", g.a.col)}, ${g.a.col}, ${scratchA}, kn);`]
      : []),
    ...panels((columns, j) => call(rows, columns, i, j)),
  ];
  const packPanel = (columns: number, j: string) => {
    const from = `B + ${at("k0", g.b.row)} + ${at(j, g.b.col)}`;
    const to = `scratch + (${j} - j0) * kn`;
    if (t.packB === "copy") return `${use(copyKernel(v, columns, wide))}(${from}, ${g.b.row}, ${to}, kn);`;
    return `${use(transposeKernel(v))}(${from}, ${g.b.row}, ${g.b.col}, ${to}, ${wide}, ${columns}, kn);`;
  };
  const below = g.m % t.rows;
  const body = [
    `for (dh_long k0 = 0; k0 < ${g.k}; k0 += ${deep.size}) for (dh_long j0 = 0; j0 < ${g.n}; j0 += ${broad.size}) {`,
    `  const dh_long kn = ${least("k0", deep.size, g.k)}, j1 = j0 + ${least("j0", broad.size, g.n)};`,
    ...(packedB ? indent(panels(packPanel)) : []),
    `  for (dh_long i = 0; i < ${g.m - below}; i += ${t.rows}) {`,
    ...indent(indent(row(t.rows, "i"))),
    "  }",
    ...(below ? indent(row(below, `${g.m - below}`)) : []),
    "}",
  ];
  return {
    kernels: [...kernels.values()],
    body: indent(body).join("\n"),
    scratch: sizeB + (t.packA ? high * deep.size : 0),
  };
}

const indent = (lines: readonly string[]) => lines.map((line) => `  ${line}`);

/** `size` split into `count` blocks of about `most` or less, as equal as multiples of `unit` allow. */
function blocks(size: number, most: number, unit = 1): { size: number; count: number } {
  const even = Math.ceil(size / Math.ceil(size / most) / unit) * unit;
  return { size: even, count: Math.ceil(size / even) };
}

/** The size of the block that begins at `start`. */
const least = (start: string, size: number, total: number) =>
  total % size === 0 ? `${size}` : `(${total} - ${start} < ${size} ? ${total} - ${start} : ${size})`;

const at = (index: string, stride: number) => (stride === 1 ? index : `${index} * ${stride}`);

type Tile = { readonly rows: number; readonly columns: number; readonly a: Strides; readonly strideB: number };

/** Rows × columns of C over k steps; with `more` they are added to what C holds. Returns its name and its text. */
function tileKernel(g: Normal, v: Vector, { rows, columns, a, strideB }: Tile): [string, string] {
  const I = range(rows);
  const J = range(Math.ceil(columns / v.width));
  const U = range(g.k >= 16 ? sets(rows * J.length) : 1);
  const outer = g.k === 1;
  const split = g.k > deepest;
  const name = identifier(
    "dh_tile",
    v.dtype,
    rows,
    columns,
    rows > 1 ? a.row : 0,
    a.col,
    strideB,
    rows > 1 ? g.c.row : 0,
    outer ? "outer" : `${U.length}${split ? "more" : ""}`,
  );
  const lanes = (j: number) => Math.min(v.width, columns - j * v.width);
  const C = (i: number, j: number) => `C + ${i * g.c.row + j * v.width}`;
  const sum = (i: number, j: number, u = 0) => `c${i}_${j}${u ? `_${u}` : ""}`;
  const each = (f: (i: number, j: number) => string) => I.map((i) => `  ${J.map((j) => f(i, j)).join(" ")}`);
  const loadB = (u: number) =>
    `${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${u * strideB + j * v.width}`, lanes(j))}`).join(", ")};`;
  const step = (u: number) => [
    `    { ${loadB(u)} ${v.type} a;`,
    ...I.map(
      (i) => `      a = A[${i * a.row + u * a.col}]; ${J.map((j) => `${sum(i, j, u)} += a * b${j};`).join(" ")}`,
    ),
    "    }",
  ];
  const advance = (steps: number) => `    A += ${steps * a.col}; B += ${steps * strideB};`;
  const signature =
    `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C, ` +
    "dh_long k, int more) {";
  const body = outer
    ? [`  ${loadB(0)}`, ...each((i, j) => store(v, C(i, j), `(A[${i * a.row}] * b${j})`, lanes(j)))]
    : [
        ...I.map((i) => `  ${v.name} ${J.flatMap((j) => U.map((u) => `${sum(i, j, u)} = {}`)).join(", ")};`),
        ...(U.length > 1
          ? [`  for (; k >= ${U.length}; k -= ${U.length}) {`, ...U.flatMap(step), advance(U.length), "  }"]
          : []),
        "  for (; k; k--) {",
        ...step(0),
        advance(1),
        "  }",
        ...U.slice(1).flatMap((u) => each((i, j) => `${sum(i, j)} += ${sum(i, j, u)};`)),
        ...(split ? ["  if (more) {", ...each((i, j) => `${sum(i, j)} += ${load(v, C(i, j), lanes(j))};`), "  }"] : []),
        ...each((i, j) => store(v, C(i, j), sum(i, j), lanes(j))),
      ];
  return [name, once(name, [signature, ...body, "}"])];
}

/** A name that tells everything its kernel depends on. */
const identifier = (...parts: (string | number)[]) => parts.join("_").replaceAll("-", "m");

const once = (name: string, lines: readonly string[]) =>
  `#ifndef HAS_${name}\n#define HAS_${name}\n${lines.join("\n")}\n#endif\n`;

/** to[l·wide + q] = from[l·stride + q] for q < columns, l < k; what lies between the columns and the vector's end is 0. */
function copyKernel(v: Vector, columns: number, wide: number): [string, string] {
  const name = identifier("dh_copy", v.dtype, columns, wide);
  const J = range(Math.ceil(columns / v.width));
  const each = J.map((j) =>
    store(v, `to + ${j * v.width}`, load(v, `from + ${j * v.width}`, Math.min(v.width, columns - j * v.width))),
  );
  return [
    name,
    once(name, [
      `DH_KERNEL void ${name}(const ${v.type} *restrict from, dh_long stride, ${v.type} *restrict to, dh_long k) {`,
      `  for (; k; k--, from += stride, to += ${wide}) { ${each.join(" ")} }`,
      "}",
    ]),
  ];
}

/** to[l·wide + q] = from[l·row + q·col] for q < columns, l < k; for row = 1 in square blocks through registers. */
function transposeKernel(v: Vector): [string, string] {
  const name = identifier("dh_transpose", v.dtype);
  const W = v.width;
  const lanes = range(W);
  const rounds: string[] = [];
  let side = 1;
  // Each round swaps the off-diagonal blocks of `side` lanes.
  for (; side < W; side *= 2) {
    const low = lanes.map((l) => (l & side ? W + l - side : l));
    const high = lanes.map((l) => (l & side ? W + l : l + side));
    const [x, y] = [`x${side}_`, `x${side * 2}_`];
    rounds.push(
      `    ${v.name} ${lanes
        .map((i) =>
          i & side
            ? `${y}${i} = ${shuffle(v, `${x}${i - side}`, `${x}${i}`, high)}`
            : `${y}${i} = ${shuffle(v, `${x}${i}`, `${x}${i + side}`, low)}`,
        )
        .join(", ")};`,
    );
  }
  return [
    name,
    once(
      name,
      [
        `DH_KERNEL void ${name}(const ${v.type} *restrict from, dh_long row, dh_long col, ${v.type} *restrict to, dh_long wide, dh_long columns, dh_long k) {`,
        "  if (row != 1 || k < W) {",
        "    for (dh_long l = 0; l < k; l++) for (dh_long q = 0; q < columns; q++) to[l * wide + q] = from[l * row + q * col];",
        "    return;",
        "  }",
        // A block at the rim begins earlier and overlaps its neighbour; a column beyond the last repeats it, into the panel's rest.
        "  for (dh_long q = 0; q < columns; q += W) for (dh_long at = 0; at < k; at += W) {",
        "    const dh_long l = at + W <= k ? at : k - W, last = columns - 1 - q;",
        `    const ${v.type} *s = from + q * col + l; ${v.type} *d = to + l * wide + q;`,
        `    ${v.name} ${lanes.map((i) => `x1_${i} = ${load(v, `s + (${i} < last ? ${i} : last) * col`)}`).join(", ")};`,
        ...rounds,
        `    ${lanes.map((i) => store(v, `d + ${i} * wide`, `x${side}_${i}`)).join(" ")}`,
        "  }",
        "}",
      ].map((line) => line.replaceAll(/\bW\b/g, `${W}`)),
    ),
  ];
}

// ---------------------------------------------------------------------------------------------------- dots

/** Entries of C per kernel: rows × columns, one accumulator each. */
function dotTile(g: Normal): { rows: number; columns: number } {
  if (g.m === 1) return { rows: 1, columns: Math.min(g.n, registers(g.lanes) / 2) };
  return g.lanes === 16
    ? { rows: Math.min(4, g.m), columns: Math.min(g.n, 4) }
    : { rows: Math.min(2, g.m), columns: Math.min(g.n, 4) };
}

/** Whichever is slower: the sums, or the smaller matrix coming by for each row of tiles of the larger. */
function dotCycles(g: Normal): number {
  const v = vector(g.dtype, g.lanes);
  const { rows, columns } = dotTile(g);
  const perStep = Math.max(0.5, (rows + columns) / (2 * rows * columns));
  const [passes, inner] = g.m > g.n ? [g.m / rows, g.n] : [g.n / columns, g.m];
  const bytes = inner * g.k * v.bytes;
  return Math.max(
    g.m * g.n * (Math.ceil(g.k / v.width) * perStep + 1.5),
    (passes * bytes) / (bytes <= 1 << 19 ? (v.bytes * v.width) / 2 : 8),
  );
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
  // The larger of the two matrices is read once, in the outer loop; the smaller comes by again from the cache.
  const down = (body: (r: number, i: string) => string[]) => [
    ...loop("i", whole.m, rows, body(rows, "i")),
    ...(whole.m < g.m ? body(g.m - whole.m, `${whole.m}`) : []),
  ];
  const across = (body: (c: number, j: string) => string[]) => [
    ...loop("j", whole.n, columns, body(columns, "j")),
    ...(whole.n < g.n ? body(g.n - whole.n, `${whole.n}`) : []),
  ];
  const body = [
    ...(copied ? [`for (dh_long l = 0; l < ${g.k}; l++) scratch[l] = A[l * ${g.a.col}];`] : []),
    ...(g.m > g.n
      ? down((r, i) => across((c, j) => [call(r, c, i, j)]))
      : across((c, j) => down((r, i) => [call(r, c, i, j)]))),
  ];
  return { kernels: [...kernels.values()], body: indent(body).join("\n"), scratch: copied ? g.k : 0 };
}

const loop = (name: string, end: number, step: number, body: readonly string[]) =>
  end === 0 ? [] : [`for (dh_long ${name} = 0; ${name} < ${end}; ${name} += ${step}) {`, ...indent(body), "}"];

function dotKernel(g: Normal, v: Vector, rows: number, columns: number, strideA: number): [string, string] {
  const name = identifier("dh_dot", v.dtype, rows, columns, g.k, strideA, g.b.col, g.c.row, g.c.col);
  const W = v.width;
  const I = range(rows);
  const J = range(columns);
  const tail = g.k % W;
  const down = g.k - tail;
  const sum = (i: number, j: number) => `s0_${i * columns + j}`;
  const step = (l: string, count: number) =>
    [
      `${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${j * g.b.col} + ${l}`, count)}`).join(", ")};`,
      ...I.map(
        (i) =>
          `{ const ${v.name} a = ${load(v, `A + ${i * strideA} + ${l}`, count)}; ${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")} }`,
      ),
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
  for (const i of I)
    out.push(`  ${J.map((j) => `C[${i * g.c.row + j * g.c.col}] = s[${i * columns + j}];`).join(" ")}`);
  out.push("}");
  return [name, once(name, out)];
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);
