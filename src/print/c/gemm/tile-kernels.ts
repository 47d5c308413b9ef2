/**
 * Tiles: kernels that keep rows × vectors of C in registers and walk k. Their accumulators are printed as named scalars: gcc
 * keeps an array of vectors in memory. One that *packs* makes a panel while it computes: what it reads from A or B for its
 * own sums it stores for the tiles after it.
 *
 * Two multiply-adds a cycle are the limit, and whatever else is issued beside them is what may be saved, all the more where
 * another thread has half of the core's turns: addresses that are numbers, several steps of k at a time, factors that are
 * read as part of a multiply-add.
 */
import { type Kernel, kernel } from "./kernels.ts";
import { declareMask, load, loadMasked, range, registers, store, storeMasked, type Vector } from "./vector.ts";

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
