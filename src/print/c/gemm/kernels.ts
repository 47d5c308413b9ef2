/**
 * The kernels of products with all strides given at run time: compiled once per machine, called by every program.
 *
 * A *tile* keeps rows × vectors of C in registers and walks k. Its accumulators are printed as named scalars: gcc keeps
 * an array of vectors in memory. A *dot* keeps one vector per entry of C and walks k a vector at a time. *Copies* bring a
 * matrix into panels: `wide` of its rows or columns side by side at each k, so that a tile walks one stream. A tile that
 * *packs* makes the panel while it computes: what it reads from A or B for its own sums it stores for the tiles after it.
 *
 * How a sum is ordered depends on the kernel's family alone (tile, tile with four sets, dot), never on its size.
 */
import { declareMask, load, loadMasked, range, registers, shuffle, store, storeMasked, type Vector } from "./vector.ts";

/** A function of the library: what it is called, how it is declared, and its definition. */
export type Kernel = { readonly name: string; readonly declaration: string; readonly text: string };

function kernel(v: Vector, name: string, parameters: string, body: readonly string[]): Kernel {
  const full = `dh_${v.tag}_${name}`;
  const head = `void ${full}(${parameters})`;
  return { name: full, declaration: `${head};`, text: `${head} {\n${body.join("\n")}\n}\n` };
}

// ---------------------------------------------------------------------------------------------------- tiles

export type TileShape = {
  readonly rows: number;
  readonly vectors: number;
  /** Sets of accumulators, taken in turn along k and summed in the end: 4 hide the latency of a sum in a small tile. */
  readonly sets: 1 | 4;
};

/** Rows that a tile of so many vectors has at most: its accumulators, a row of B and one entry of A are in registers. */
export function tallest(lanes: number, vectors: number, sets: 1 | 4): number {
  const rows = Math.floor((registers(lanes) - 2 - vectors) / (sets * vectors));
  return Math.min(rows, vectors > 4 ? 2 : 14);
}

/** Vectors that a tile has at most. */
export const widest = 8;

/** Every tile there is for these lanes. */
export function tileShapes(lanes: number): TileShape[] {
  return ([1, 4] as const).flatMap((sets) =>
    range(sets === 1 ? widest : 2).flatMap((w) =>
      range(tallest(lanes, w + 1, sets)).map((r) => ({ rows: r + 1, vectors: w + 1, sets })),
    ),
  );
}

/**
 * How the entries of A lie that a tile reads: those of a row side by side, those of a k side by side, or neither. Where
 * they do, addresses are a pointer and a number, which leaves turns to the sums.
 */
export type Lie = "along" | "across" | "any";

/** How a tile may read A: loads are no limit of one with enough multiply-adds for each, and more of it would be in vain. */
export const lieOf = (shape: TileShape, a: { readonly row: number; readonly col: number }): Lie =>
  !spare(shape) ? "any" : a.col === 1 ? "along" : a.row === 1 ? "across" : "any";

const spare = ({ rows, vectors, sets }: TileShape) => sets === 1 && vectors > 1 && rows * vectors >= rows + vectors + 2;

/** Whether there are tiles of this shape that pack: only the largest, that most of a large product is computed with. */
export const canPack = (lanes: number, { rows, vectors, sets }: TileShape): boolean =>
  sets === 1 && vectors >= 2 && vectors <= 4 && 5 * rows >= 4 * tallest(lanes, vectors, sets);

/** Steps of k that a tile which packs asks ahead for: no prefetcher of the machine follows its strides. */
const early = 8;

/** A tile asks for two neighbouring lines of what comes next in so many steps of k: more keep its own loads waiting. */
export const pace = 4;
/** Bytes of a line of the cache. */
export const line = 64;

/** What distinguishes tiles of one shape. */
export type TileKind = {
  /** The last vector is a whole one. */
  readonly full: boolean;
  readonly lie?: Lie;
  readonly packs?: "A" | "B" | undefined;
};

/** All kinds of one shape. */
export const tileKinds = (lanes: number, shape: TileShape): TileKind[] => [
  { full: true },
  { full: false },
  ...(spare(shape) ? (["along", "across"] as const).map((lie) => ({ full: true, lie })) : []),
  ...(canPack(lanes, shape)
    ? ([
        { full: true, lie: "along", packs: "B" },
        { full: true, lie: "across", packs: "B" },
        { full: true, lie: "across", packs: "A" },
      ] as const)
    : []),
];

/** AVX-512 masks at no cost outside the loop: there one tile serves whole vectors and the rim, with a loop for each. */
const masksAtNoCost = (v: Vector) => v.bytes * v.width === 64;

/**
 * C[rows, columns] = A·B over k steps, or C + A·B with `more`. strides: rows of A, k of A, k of B, rows of C, and the
 * lanes of the last vector that are columns; B's and C's columns are contiguous. Without `full` the last vector may be a
 * part of one.
 *
 * Every `pace` steps a tile with loads to spare asks for what comes next while it computes: for a row of its C, and for
 * the lines at ahead, ahead + step and so on, and those behind them.
 *
 * One that packs leaves a panel in `to`: of B, or of A, which takes the panel's whole vectors.
 */
export function tileKernel(v: Vector, shape: TileShape, { full, lie = "any", packs }: TileKind): Kernel {
  const { rows, vectors, sets } = shape;
  const whole = full || masksAtNoCost(v);
  const masked = lie === "any" && (masksAtNoCost(v) || !whole);
  const [I, J, U] = [range(rows), range(vectors), range(sets)];
  const last = (j: number) => masked && j === vectors - 1;
  const read = (p: string, j: number) => (last(j) ? loadMasked(v, p) : load(v, p));
  const write = (p: string, x: string, j: number) => (last(j) ? storeMasked(v, p, x) : store(v, p, x));
  const sum = (i: number, j: number, u = 0) => `s${i}_${j}${u ? `_${u}` : ""}`;
  const each = (f: (i: number, j: number) => string) => I.map((i) => `    ${J.map((j) => f(i, j)).join(" ")}`);
  // Addresses are a base and one or two strides: few bases leave registers free.
  const [A, C] = [pointers("a", lie === "along" ? 2 : 3, rows), pointers("c", 3, rows)];
  const place = (i: number, j: number) => `${C.at(i, "rc")} + ${j * v.width}`;
  // In bytes, with the number beside the pointer, or gcc keeps a stride and a number in a register for each number.
  const entry = (i: number, u: number) =>
    lie === "across"
      ? `A[${i}]`
      : lie === "any"
        ? `*(${A.at(i, "ra")})`
        : i % 2 === 0
          ? `a${i}[${u}]`
          : `*(const ${v.type} *)((const char *)(a${i - 1} + ${u}) + bytes)`;
  // gcc would load an entry once for all vectors. As part of each multiply-add it takes no instruction of its own, but a
  // load for each, so of two vectors every second row has that: a barrier makes gcc read again.
  const inside = (i: number) => lie !== "any" && masksAtNoCost(v) && vectors === 2 && i % 2 === 0;
  const products = (i: number, u: number, set: number) =>
    inside(i)
      ? J.map((j) => `${sum(i, j, set)} += ${entry(i, u)} * b${j};`).join(' __asm__ volatile("" ::: "memory"); ')
      : `a = ${entry(i, u)}; ${J.map((j) => `${sum(i, j, set)} += a * b${j};`).join(" ")}`;
  const high = Math.ceil(rows / v.width) * v.width;
  const pack = {
    A: [
      ...range(high / v.width).map((q) => {
        const p = `A + ${q * v.width}`;
        return store(v, `to + ${q * v.width}`, q < high / v.width - 1 ? load(v, p) : loadMasked(v, p));
      }),
      `to += ${high}; __builtin_prefetch(A + ${early} * ka + ${rows - 1});`,
    ],
    B: [
      ...J.map(
        (j) => `${store(v, `to + ${j * v.width}`, `b${j}`)} __builtin_prefetch(B + ${early} * kb + ${j * v.width});`,
      ),
      `to += ${vectors * v.width};`,
    ],
  };
  const step = (u: number, set: number, read: (p: string, j: number) => string) => [
    `    { const ${v.name} ${J.map((j) => `b${j} = ${read(`B + ${j * v.width}`, j)}`).join(", ")}; ${v.type} a;`,
    ...(packs ? [`      ${pack[packs].join(" ")}`] : []),
    ...I.map((i) => `      ${products(i, u, set)}`),
    `      ${lie === "across" ? "A += ka; " : ""}B += kb; }`,
  ];
  /** Pointers to A after so many steps, where they do not follow each. */
  const onA = (steps: number) =>
    lie === "across" ? "" : `    ${A.all((p) => `${p} += ${lie === "any" ? "ka" : steps};`)}`;
  // A mask instead of a branch that is foretold wrongly once a call. What it takes is volatile, so that it stays in memory:
  // gcc would keep it in vector registers, and to bring it from there takes the turns of sums.
  const ask = [
    `    __builtin_prefetch(ahead, 0, 2); __builtin_prefetch(ahead + ${line / v.bytes}, 0, 2);`,
    `    ${J.map((j) => `__builtin_prefetch(own + ${j * v.width}, 1);`).join(" ")}`,
    "    ahead += on; own += (until - k) >> 63 & down;",
  ];
  const loop = (read: (p: string, j: number) => string, asking: readonly string[] = []) => [
    ...(sets > 1
      ? [`  for (; k >= ${sets}; k -= ${sets}) {`, ...U.flatMap((u) => [...step(0, u, read), onA(1)]), "  }"]
      : []),
    "  for (; k; k--) {",
    ...asking,
    ...step(0, 0, read),
    onA(1),
    "  }",
  ];
  const plain = (p: string) => load(v, p);
  const strided = [
    ...(lie === "any"
      ? []
      : [
          `  for (; k >= ${pace}; k -= ${pace}) {`,
          ...ask,
          ...range(pace).flatMap((u) => step(u, 0, plain)),
          onA(pace),
          "  }",
        ]),
    ...loop(plain, lie === "any" && spare(shape) ? [`    if (k % ${pace} == 0) {`, ...ask, "    }"] : []),
  ];
  const walk = masked
    ? whole
      ? [`  if (strides[4] < ${v.width}) {`, ...loop(read), "  } else {", ...strided, "  }"]
      : loop(read)
    : strided;
  const name = tileName(shape, whole) + (lie === "any" ? "" : `_${lie}`) + (packs ? `_pack${packs}` : "");
  const parameters = tileParameters(v) + (packs ? `, ${v.type} *restrict to` : "");
  return kernel(v, name, parameters, [
    "  const dh_long ra = strides[0], ka = strides[1], kb = strides[2], rc = strides[3];",
    ...(masked ? [`  ${declareMask(v, "strides[4]")}`] : []),
    ...(packs === "A" ? [`  ${declareMask(v, `${rows - high + v.width}`)}`] : []),
    ...(lie === "across" ? [] : [A.declare("A", "ra", `const ${v.type}`)]),
    ...(lie === "along" ? [`  const dh_long bytes = ${v.bytes} * ra;`] : []),
    ...I.map((i) => `  ${v.name} ${J.flatMap((j) => U.map((u) => `${sum(i, j, u)} = {}`)).join(", ")};`),
    ...(spare(shape)
      ? [
          `  const ${v.type} *own = C;`,
          `  const volatile dh_long on = step, down = rc, until = k - ${pace * (rows - 1)};`,
        ]
      : []),
    ...walk,
    C.declare("C", "rc", v.type),
    ...U.slice(1).flatMap((u) => each((i, j) => `${sum(i, j)} += ${sum(i, j, u)};`)),
    "  if (more) {",
    ...each((i, j) => `${sum(i, j)} += ${read(place(i, j), j)};`),
    "  }",
    ...each((i, j) => write(place(i, j), sum(i, j), j)),
  ]);
}

/** Pointers to the rows of a matrix: one for so many of them, up to three. */
function pointers(p: string, apart: number, rows: number) {
  const bases = range(rows).filter((i) => i % apart === 0);
  return {
    at: (i: number, stride: string) => `${p}${i - (i % apart)}${["", ` + ${stride}`, ` + 2 * ${stride}`][i % apart]}`,
    all: (f: (pointer: string) => string) => bases.map((i) => f(`${p}${i}`)).join(" "),
    declare: (from: string, stride: string, type: string) =>
      `  ${type} *${bases.map((i) => (i ? `*${p}${i} = ${p}${i - apart} + ${apart} * ${stride}` : `${p}0 = ${from}`)).join(", ")};`,
  };
}

const tileName = ({ rows, vectors, sets }: TileShape, whole: boolean) =>
  `tile_${rows}x${vectors}${sets > 1 ? `_${sets}` : ""}${whole ? "" : "_rim"}`;

const tileParameters = (v: Vector) =>
  `const ${v.type} *A, const ${v.type} *B, ${v.type} *C, dh_long k, int more, const dh_long *strides, ` +
  `const ${v.type} *ahead, dh_long step`;

// ---------------------------------------------------------------------------------------------------- dots

/** Entries of C that a dot computes: rows × columns. */
export type DotShape = { readonly rows: number; readonly columns: number };

export function dotShapes(lanes: number): DotShape[] {
  const { rows, columns } = squareDot(lanes);
  return [
    ...range(rows).flatMap((r) => range(columns).map((c) => ({ rows: r + 1, columns: c + 1 }))),
    ...[8, 16].filter((c) => c <= registers(lanes) / 2).map((c) => ({ rows: 1, columns: c })),
  ];
}

/** The dot for many rows. */
export const squareDot = (lanes: number): DotShape => ({ rows: lanes === 16 ? 4 : 2, columns: 4 });

/** C[rows, columns] = A·B; k is contiguous in both. strides: rows of A, columns of B, rows and columns of C. */
export function dotKernel(v: Vector, { rows, columns }: DotShape): Kernel {
  const W = v.width;
  const [I, J] = [range(rows), range(columns)];
  const sum = (i: number, j: number) => `s0_${i * columns + j}`;
  const step = (read: (p: string) => string) => [
    `    const ${v.name} ${J.map((j) => `b${j} = ${read(`B + ${j} * cb`)}`).join(", ")};`,
    ...I.map(
      (i) =>
        `    { const ${v.name} a = ${read(`A + ${i} * ra`)}; ${J.map((j) => `${sum(i, j)} += a * b${j};`).join(" ")} }`,
    ),
  ];
  return kernel(
    v,
    `dot_${rows}x${columns}`,
    `const ${v.type} *A, const ${v.type} *B, ${v.type} *C, dh_long k, const dh_long *strides`,
    [
      "  const dh_long ra = strides[0], cb = strides[1], rc = strides[2], cc = strides[3];",
      `  ${v.name} ${I.flatMap((i) => J.map((j) => `${sum(i, j)} = {}`)).join(", ")};`,
      `  for (; k >= ${W}; k -= ${W}, A += ${W}, B += ${W}) {`,
      ...step((p) => load(v, p)),
      "  }",
      "  if (k) {",
      `    ${declareMask(v, "k")}`,
      ...step((p) => cleared(v, loadMasked(v, p))),
      "  }",
      ...horizontalSums(v, rows * columns),
      ...I.map((i) => `  ${J.map((j) => `C[${i} * rc + ${j} * cc] = s[${i * columns + j}];`).join(" ")}`),
    ],
  );
}

/** A masked load whose other lanes are 0: where no instruction does that, they have read something else. */
const cleared = (v: Vector, x: string) =>
  v.bytes * v.width >= 32
    ? x
    : `(${v.name})((${v.ints})${x} & ((${v.ints}){${range(v.width)}} < (${v.type === "float" ? "int" : "long long"})mask))`;

/**
 * The accumulators s0_0, s0_1, … added up across their lanes into an array `s`, `width` of them at a time: each round adds
 * neighbours and halves the number of vectors, so that lane q of the last one is the sum of accumulator q.
 */
export function horizontalSums(v: Vector, count: number): string[] {
  const W = v.width;
  const out = [`  ${v.type} s[${Math.ceil(count / W) * W}] __attribute__((aligned(64)));`];
  for (let first = 0; first < count; first += W) {
    let names = range(Math.min(W, count - first)).map((q) => `s0_${first + q}`);
    for (let side = 1; side < W; side *= 2) {
      const keep = range(W).map((l) => (l & side ? W + l : l));
      const move = range(W).map((l) => (l & side ? W + l - side : l + side));
      names = range(Math.ceil(names.length / 2)).map((q) => {
        const [x, to] = [names[2 * q]!, `s${side}_${first + q}`];
        const y = names[2 * q + 1] ?? x;
        out.push(`  const ${v.name} ${to} = ${shuffle(v, x, y, keep)} + ${shuffle(v, x, y, move)};`);
        return to;
      });
    }
    out.push(`  *(${v.name} *)(s + ${first}) = ${names[0]};`);
  }
  return out;
}

// ---------------------------------------------------------------------------------------------------- copies

/**
 * Panels of a matrix whose columns are contiguous: to[p][l·wide + q] = from[l·row + p·take + q] for q < take, l < k, where
 * `wide` is so many vectors, take as many or up to a vector less, and a panel has wide·k places. The last one takes what is
 * left of `columns`. What lies from there to `wide` is not defined. With a table, row l begins at from + table[l].
 */
export function copyKernel(v: Vector, vectors: number, table: boolean): Kernel {
  const W = v.width;
  const wide = vectors * W;
  const J = range(vectors);
  const moved = (last: (p: string) => string) =>
    J.map((j) => store(v, `d + ${j * W}`, j < vectors - 1 ? load(v, `s + ${j * W}`) : last(`s + ${j * W}`))).join(" ");
  const panels = (last: (p: string) => string) =>
    `for (; left >= take; left -= take, s += take, d += ${wide} * k) { ${moved(last)} }`;
  return kernel(
    v,
    `copy_${vectors}${table ? "_table" : ""}`,
    `const ${v.type} *from, ${table ? "const int *table" : "dh_long row"}, dh_long take, dh_long columns, ` +
      `${v.type} *restrict to, dh_long k`,
    [
      `  ${declareMask(v, `(take - ${wide - W})`)}`,
      "  for (dh_long l = 0; l < k; l++) {",
      `    const ${v.type} *s = ${table ? "from + table[l]" : "from + l * row"};`,
      `    ${v.type} *d = to + l * ${wide};`,
      "    dh_long left = columns;",
      `    if (take == ${wide}) ${panels((p) => load(v, p))}`,
      `    else ${panels((p) => loadMasked(v, p))}`,
      `    for (; left >= ${W}; left -= ${W}, s += ${W}, d += ${W}) ${store(v, "d", load(v, "s"))}`,
      `    if (left) { ${declareMask(v, "left")} ${store(v, "d", loadMasked(v, "s"))} }`,
      "  }",
    ],
  );
}

/**
 * One panel of a matrix whose columns are not contiguous: to[l·wide + q] = from[l·row + q·col] for q < columns, l < k; what
 * lies between the columns and `wide` is not defined. For row = 1 in square blocks through registers.
 */
export function transposeKernel(v: Vector): Kernel {
  const lanes = range(v.width);
  const rounds: string[] = [];
  let side = 1;
  // Each round swaps the off-diagonal blocks of `side` lanes.
  for (; side < v.width; side *= 2) {
    const low = lanes.map((l) => (l & side ? v.width + l - side : l));
    const high = lanes.map((l) => (l & side ? v.width + l : l + side));
    const [x, y] = [`x${side}_`, `x${side * 2}_`];
    const swapped = lanes.map((i) =>
      i & side
        ? `${y}${i} = ${shuffle(v, `${x}${i - side}`, `${x}${i}`, high)}`
        : `${y}${i} = ${shuffle(v, `${x}${i}`, `${x}${i + side}`, low)}`,
    );
    rounds.push(`    const ${v.name} ${swapped.join(", ")};`);
  }
  const T = v.type;
  return kernel(
    v,
    "transpose",
    `const ${T} *from, dh_long row, dh_long col, ${T} *restrict to, dh_long wide, dh_long columns, dh_long k`,
    [
      "  if (row != 1 || k < W) {",
      "    for (dh_long l = 0; l < k; l++) for (dh_long q = 0; q < columns; q++) to[l * wide + q] = from[l * row + q * col];",
      "    return;",
      "  }",
      // A block at the rim begins earlier and overlaps its neighbour; of fewer columns than a block has, the last is repeated.
      "  for (dh_long p = 0; p < columns; p += W) for (dh_long at = 0; at < k; at += W) {",
      "    const dh_long l = at + W <= k ? at : k - W, q = p + W <= columns || p == 0 ? p : columns - W, last = columns - 1 - q;",
      `    const ${T} *s = from + q * col + l; ${T} *d = to + l * wide + q;`,
      `    const ${v.name} ${lanes.map((i) => `x1_${i} = ${load(v, `s + (${i} < last ? ${i} : last) * col`)}`).join(", ")};`,
      ...rounds,
      `    ${lanes.map((i) => store(v, `d + ${i} * wide`, `x${side}_${i}`)).join(" ")}`,
      "  }",
    ].map((line) => line.replaceAll(/\bW\b/g, `${v.width}`)),
  );
}

/** One panel of a matrix with a table: to[l·wide + q] = from[table[l] + q·col] for q < columns, l < k. */
export function pickKernel(v: Vector): Kernel {
  return kernel(
    v,
    "pick",
    `const ${v.type} *from, const int *table, dh_long col, ${v.type} *restrict to, dh_long wide, dh_long columns, dh_long k`,
    [
      "  for (dh_long l = 0; l < k; l++)",
      "    for (dh_long q = 0; q < columns; q++) to[l * wide + q] = from[table[l] + q * col];",
    ],
  );
}
