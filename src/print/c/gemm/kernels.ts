/**
 * The kernels of products with all strides given at run time: compiled once per machine, called by every program.
 *
 * A *tile* (tile-kernels.ts) keeps rows × vectors of C in registers and walks k. A *dot* keeps one vector per entry of C
 * and walks k a vector at a time. *Copies* bring a matrix into panels: `wide` of its rows or columns side by side at each
 * k, so that a tile walks one stream.
 *
 * How a sum is ordered depends on the kernel's family alone (tile, tile with four sets, dot), never on its size.
 */
import { declareMask, load, loadMasked, range, registers, shuffle, store, type Vector } from "./vector.ts";

/** A function of the library: what it is called, how it is declared, and its definition. */
export type Kernel = { readonly name: string; readonly declaration: string; readonly text: string };

/** The definition of one, under a name that no other dtype or width has. */
export function kernel(v: Vector, name: string, parameters: string, body: readonly string[]): Kernel {
  const full = `dh_${v.tag}_${name}`;
  const head = `void ${full}(${parameters})`;
  return { name: full, declaration: `${head};`, text: `${head} {\n${body.join("\n")}\n}\n` };
}

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
