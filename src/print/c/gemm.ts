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
import type { Step, Strides } from "../../compile/program.ts";

export type Gemm = {
  /** The C function's name, prefixed `dh_`. */
  readonly name: string;
  readonly dtype: "f32" | "f64";
  readonly m: number;
  readonly n: number;
  /** The axes that are summed over, the last one fastest: strides in elements, of any sign; 0 repeats. */
  readonly sum: readonly Step[];
  /** A[i·a + Σ l·step.a], i < m, l < step.n. */
  readonly a: number;
  /** B[j·b + Σ l·step.b], j < n. */
  readonly b: number;
  /** C[i·row + j·col]. */
  readonly c: Strides;
  /** f32 lanes of the machine's vectors: 16 (AVX-512), 8 (AVX2), 4 (anything else). */
  readonly lanes: number;
};

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

/**
 * All of k as one axis of A and of B. Where it does not lie on one stride, `table` names the offsets of each k in the
 * text, and the stride is 0.
 */
type Normal = Omit<Gemm, "a" | "b"> & {
  readonly k: number;
  readonly a: Strides & { readonly table?: string };
  readonly b: Strides & { readonly table?: string };
  readonly flipped: boolean;
  /** Outermost axes of the sum, taken one index at a time, so that no table grows beyond reason. */
  readonly passes: readonly Step[];
};

/** Entries of one table of offsets. */
const longestTable = 4096;

/**
 * Cᵀ = BᵀAᵀ turns a column-contiguous C into a row-contiguous one, and a single column into a single row. Strides of
 * axes of size 1 say nothing; they become 1, the layout that every form accepts.
 */
function normalise(g: Gemm): Normal {
  const flat = (stride: number, n: number) => (n === 1 ? 1 : stride);
  const c = { row: flat(g.c.row, g.m), col: flat(g.c.col, g.n) };
  const flipped = g.m > 1 && (g.n === 1 || (c.row === 1 && c.col !== 1));
  const axes = merged(flipped ? g.sum.map((s) => ({ n: s.n, a: s.b, b: s.a })) : g.sum);
  const [rows, columns] = flipped ? [g.n, g.m] : [g.m, g.n];
  const [rowA, colB] = flipped ? [flat(g.b, g.n), flat(g.a, g.m)] : [flat(g.a, g.m), flat(g.b, g.n)];
  let first = 0;
  const length = () => axes.slice(first).reduce((product, s) => product * s.n, 1);
  while (first < axes.length - 1 && length() > longestTable) first++;
  const [passes, sum] = [axes.slice(0, first), axes.slice(first)];
  const k = length();
  const along = (side: "a" | "b") => {
    const strides = merged(sum.map((s) => ({ n: s.n, a: s[side], b: 0 })));
    return strides.length === 1 ? { stride: strides[0]!.a } : { stride: 0, table: `${g.name}_${side}` };
  };
  const [ofA, ofB] = [along("a"), along("b")];
  return {
    ...g,
    m: rows,
    n: columns,
    k,
    sum,
    passes,
    flipped,
    a: { row: rowA, col: flat(ofA.stride, k), ...(ofA.table && { table: ofA.table }) },
    b: { row: flat(ofB.stride, k), col: colB, ...(ofB.table && { table: ofB.table }) },
    c: flipped ? { row: c.col, col: c.row } : c,
  };
}

/** Axes without those of length 1, and neighbours that both matrices walk as one made one. There is always one. */
function merged(axes: readonly Step[]): Step[] {
  const out: Step[] = [];
  for (const s of axes.filter(({ n }) => n !== 1)) {
    const last = out.at(-1);
    if (last && last.a === s.n * s.a && last.b === s.n * s.b) out[out.length - 1] = { ...s, n: last.n * s.n };
    else out.push(s);
  }
  return out.length ? out : [{ n: 1, a: 1, b: 1 }];
}

/** The offsets of each k in one matrix. */
function offsets(sum: readonly Step[], side: "a" | "b"): number[] {
  return sum.reduce((all, s) => all.flatMap((at) => range(s.n).map((l) => at + l * s[side])), [0]);
}

const tables = (g: Normal): string =>
  (["a", "b"] as const)
    .flatMap((side) => {
      const { table } = g[side];
      return table ? [`static const int ${table}[] = {${offsets(g.sum, side).join(", ")}};\n`] : [];
    })
    .join("");

type Form = { kernels: string[]; body: string; scratch: number };

function form(g: Normal): Form {
  if (g.m === 0 || g.n === 0) return { kernels: [], body: "", scratch: 0 };
  if (g.k === 0) return { kernels: [], body: nest(g, "0"), scratch: 0 };
  const last = g.sum.at(-1)!;
  const lone = g.sum.length === 1 && g.passes.length === 0;
  const dots = last.b === 1 && (last.a === 1 || (g.m === 1 && lone));
  if (g.c.col !== 1) return dots ? dot(g) : loops(g);
  const tiling = chooseTile(g);
  return dots && dotCycles(g) < tiling.cycles ? dot(g) : tiles(g, tiling);
}

// ---------------------------------------------------------------------------------------------------- plain loops

/** A C with gaps in both directions: correct, no more. */
function loops(g: Normal): Form {
  const { type } = vector(g.dtype, g.lanes);
  const axes = [...g.passes, ...g.sum];
  const along = (side: "a" | "b") => axes.map((s, d) => `l${d} * ${s[side]}`).join(" + ");
  const sum =
    `${type} s = 0;\n    ${axes.map(({ n }, d) => `for (dh_long l${d} = 0; l${d} < ${n}; l${d}++) `).join("")}` +
    `s += A[i * ${g.a.row} + ${along("a")}] * B[${along("b")} + j * ${g.b.col}];\n    `;
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
  const packing = {
    none: 0,
    copy: 2 * g.k * across,
    transpose: g.b.table ? 1.5 * g.k * g.n : 6 * v.width * Math.ceil(g.k / v.width) * across,
  }[packB];
  const passes = g.passes.reduce((product, s) => product * s.n, 1);
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
      const cycles = passes * (g.k * step + calls + packing);
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
  const often = !g.b.table && (g.b.row * v.bytes) % 4096 === 0 ? 24 : 64;
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
  const b = packedB ? { row: wide, col: 1 } : g.b;
  const scratchA = sizeB ? `scratch + ${sizeB}` : "scratch";
  const pass = (side: "a" | "b") => g.passes.map((s, d) => ` + p${d} * ${s[side]}`).join("");
  /** Where the block of k begins in a matrix; with a table of offsets that is a place in the table. */
  const startA = `A${pass("a")}${g.a.table ? "" : ` + ${at("k0", g.a.col)}`}`;
  const startB = `B${pass("b")}${g.b.table ? "" : ` + ${at("k0", g.b.row)}`}`;
  const along = ({ table }: { table?: string }, ...strides: (string | number)[]) =>
    table ? [`${table} + k0`] : strides;
  const more = ["k0 > 0", ...g.passes.map((_, d) => `p${d} > 0`)].join(" || ");

  const call = (rows: number, columns: number, i: string, j: string) => {
    const name = use(tileKernel(g, v, { rows, columns, a, b }));
    const atA = t.packA ? scratchA : `${startA} + ${at(i, g.a.row)}`;
    const atB = packedB ? `scratch + (${j} - j0) * kn` : `${startB} + ${j}`;
    const list = [atA, atB, `C + ${at(i, g.c.row)} + ${j}`, "kn", more, ...along(a), ...along(b)];
    return `${name}(${list.join(", ")});`;
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
      ? [`${use(copyKernel(v, rows, high, g.a))}(${startA} + ${i}, ${along(g.a, g.a.col)}, ${scratchA}, kn);`]
      : []),
    ...panels((columns, j) => call(rows, columns, i, j)),
  ];
  const packPanel = (columns: number, j: string) => {
    const from = `${startB} + ${at(j, g.b.col)}`;
    const to = `scratch + (${j} - j0) * kn`;
    const step = along(g.b, g.b.row).join();
    if (t.packB === "copy") return `${use(copyKernel(v, columns, wide, g.b))}(${from}, ${step}, ${to}, kn);`;
    const kernel = g.b.table ? pickKernel(v) : transposeKernel(v);
    return `${use(kernel)}(${from}, ${step}, ${g.b.col}, ${to}, ${wide}, ${columns}, kn);`;
  };
  const below = g.m % t.rows;
  const body = [
    ...g.passes.map(({ n }, d) => `for (dh_long p${d} = 0; p${d} < ${n}; p${d}++)`),
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
    kernels: [tables(g), ...kernels.values()],
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

type Axes = Strides & { readonly table?: string };
type Tile = { readonly rows: number; readonly columns: number; readonly a: Axes; readonly b: Axes };

/** Rows × columns of C over k steps; with `more` they are added to what C holds. Returns its name and its text. */
function tileKernel(g: Normal, v: Vector, { rows, columns, a, b }: Tile): [string, string] {
  const I = range(rows);
  const J = range(Math.ceil(columns / v.width));
  const U = range(g.k >= 16 ? sets(rows * J.length) : 1);
  const outer = g.k === 1 && g.passes.length === 0;
  const split = g.k > deepest || g.passes.length > 0;
  const name = identifier(
    "dh_tile",
    v.dtype,
    rows,
    columns,
    rows > 1 ? a.row : 0,
    a.table ? "t" : a.col,
    b.table ? "t" : b.row,
    rows > 1 ? g.c.row : 0,
    outer ? "outer" : `${U.length}${split ? "more" : ""}`,
  );
  const lanes = (j: number) => Math.min(v.width, columns - j * v.width);
  const C = (i: number, j: number) => `C + ${i * g.c.row + j * v.width}`;
  const sum = (i: number, j: number, u = 0) => `c${i}_${j}${u ? `_${u}` : ""}`;
  const each = (f: (i: number, j: number) => string) => I.map((i) => `  ${J.map((j) => f(i, j)).join(" ")}`);
  const [alongA, alongB] = [
    (u: number) => (a.table ? ` + ta[${u}]` : ` + ${u * a.col}`),
    (u: number) => (b.table ? ` + tb[${u}]` : ` + ${u * b.row}`),
  ];
  const loadB = (u: number) =>
    `${v.name} ${J.map((j) => `b${j} = ${load(v, `B + ${j * v.width}${alongB(u)}`, lanes(j))}`).join(", ")};`;
  const step = (u: number) => [
    `    { ${loadB(u)} ${v.type} a;`,
    ...I.map(
      (i) => `      a = A[${i * a.row}${alongA(u)}]; ${J.map((j) => `${sum(i, j, u)} += a * b${j};`).join(" ")}`,
    ),
    "    }",
  ];
  const advance = (steps: number) =>
    `    ${a.table ? `ta += ${steps}` : `A += ${steps * a.col}`}; ${b.table ? `tb += ${steps}` : `B += ${steps * b.row}`};`;
  const signature =
    `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C, ` +
    `dh_long k, int more${a.table ? ", const int *ta" : ""}${b.table ? ", const int *tb" : ""}) {`;
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
function copyKernel(v: Vector, columns: number, wide: number, { table }: Axes): [string, string] {
  const name = identifier("dh_copy", v.dtype, columns, wide, ...(table ? ["t"] : []));
  const J = range(Math.ceil(columns / v.width));
  const from = table ? "from + *stride" : "from";
  const each = J.map((j) =>
    store(v, `to + ${j * v.width}`, load(v, `${from} + ${j * v.width}`, Math.min(v.width, columns - j * v.width))),
  );
  const stride = table ? "const int *stride" : "dh_long stride";
  return [
    name,
    once(name, [
      `DH_KERNEL void ${name}(const ${v.type} *restrict from, ${stride}, ${v.type} *restrict to, dh_long k) {`,
      `  for (; k; k--, ${table ? "stride++" : "from += stride"}, to += ${wide}) { ${each.join(" ")} }`,
      "}",
    ]),
  ];
}

/** to[l·wide + q] = from[table[l] + q·col] for q < columns, l < k. */
function pickKernel(v: Vector): [string, string] {
  const name = identifier("dh_pick", v.dtype);
  return [
    name,
    once(name, [
      `DH_KERNEL void ${name}(const ${v.type} *restrict from, const int *table, dh_long col, ${v.type} *restrict to, dh_long wide, dh_long columns, dh_long k) {`,
      "  for (dh_long l = 0; l < k; l++) for (dh_long q = 0; q < columns; q++) to[l * wide + q] = from[table[l] + q * col];",
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
  const { runs, run } = runsOf(g);
  const bytes = inner * runs * run * v.bytes;
  return Math.max(
    g.m * g.n * (runs * Math.ceil(run / v.width) * perStep + 1.5),
    (passes * bytes) / (bytes <= 1 << 19 ? (v.bytes * v.width) / 2 : 8),
  );
}

/** The sum as so many runs of elements that lie side by side. */
function runsOf(g: Normal): { readonly outer: readonly Step[]; readonly runs: number; readonly run: number } {
  const axes = [...g.passes, ...g.sum];
  const outer = axes.slice(0, -1);
  return { outer, runs: outer.reduce((product, s) => product * s.n, 1), run: axes.at(-1)!.n };
}

function dot(g: Normal): Form {
  const v = vector(g.dtype, g.lanes);
  const kernels = new Map<string, string>();
  const { rows, columns } = dotTile(g);
  const copied = g.sum.at(-1)!.a !== 1 && g.k > 1;
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
  const { outer, run } = runsOf(g);
  const name = identifier(
    "dh_dot",
    v.dtype,
    rows,
    columns,
    ...outer.flatMap((s) => [s.n, s.a, s.b]),
    run,
    strideA,
    g.b.col,
    g.c.row,
    g.c.col,
  );
  const W = v.width;
  const I = range(rows);
  const J = range(columns);
  const tail = run % W;
  const down = run - tail;
  const [x, y] = outer.length ? ["x", "y"] : ["A", "B"];
  const sum = (i: number, j: number) => `s0_${i * columns + j}`;
  const step = (l: string, count: number) =>
    [
      `${v.name} ${J.map((j) => `b${j} = ${load(v, `${y} + ${j * g.b.col} + ${l}`, count)}`).join(", ")};`,
      ...I.map(
        (i) =>
          `{ const ${v.name} a = ${load(v, `${x} + ${i * strideA} + ${l}`, count)}; ${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")} }`,
      ),
    ].map((line) => `    ${line}`);
  const out = [
    `DH_KERNEL void ${name}(const ${v.type} *restrict A, const ${v.type} *restrict B, ${v.type} *restrict C) {`,
    `  ${v.name} ${I.flatMap((i) => J.map((j) => `${sum(i, j)} = {}`)).join(", ")};`,
  ];
  if (outer.length) {
    const at = (side: "a" | "b") => outer.map((s, d) => ` + l${d} * ${s[side]}`).join("");
    out.push(
      `  ${outer.map(({ n }, d) => `for (dh_long l${d} = 0; l${d} < ${n}; l${d}++) `).join("")}{`,
      `  const ${v.type} *x = A${at("a")}, *y = B${at("b")};`,
    );
  }
  if (down) out.push(`  for (dh_long l = 0; l < ${down}; l += ${W}) {`, ...step("l", W), "  }");
  if (tail) out.push("  {", ...step(`${down}`, tail), "  }");
  if (outer.length) out.push("  }");
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
