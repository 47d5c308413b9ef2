/**
 * What the next block of a band picks from a large table, as a batch of images is picked from all of them. No prefetcher of
 * the machine knows where these rows lie, and the loop that copies them waits for each. But the tiles of a product can ask
 * for a line every few steps: while one block computes, the largest of its products asks for the rows of the next.
 */
import type { Band, Member } from "../../compile/band.ts";
import type { Buffer, Contraction, Nest, Program } from "../../compile/program.ts";
import { storages } from "../../ir/dtype.ts";
import { linear, loadsIn, terms } from "../../ir/expr.ts";
import { bytesOf } from "../../ir/value.ts";
import type { Idle, Places } from "./gemm.ts";

/** Bytes of a table that a second-level cache does not hold. */
const FAR = 1 << 21;
/** Bytes of a line of memory. */
const LINE = 64;

/** Row i of the band lies at data + index[i] · bytes. */
type Table = { readonly data: Buffer; readonly index: Buffer; readonly bytes: number };
/** Each of the `full` first blocks picks so many rows; `during` has the time to ask for those of the next. */
export type Upcoming = Table & { readonly rows: number; readonly full: number; readonly during: Member };

/** What a band picks the most of, by indices that are there before the step. */
export function upcoming({ members, slices, blocks, perBlock }: Band, program: Program): Upcoming | undefined {
  if (blocks === 1) return undefined;
  const picked = members.flatMap(({ kernel, cut }) =>
    kernel.kind === "nest" && cut
      ? tables(kernel, cut.axis, program).map((table) => ({ ...table, rows: perBlock * cut.perSlice }))
      : [],
  );
  const products = members.flatMap((during) =>
    during.kernel.kind === "contraction" && during.cut?.axis === "m" && during.kernel.loops.length === 0
      ? [{ during, work: workOf(during.kernel) }]
      : [],
  );
  if (picked.length === 0 || products.length === 0) return undefined;
  const most = picked.reduce((x, y) => (y.rows * y.bytes > x.rows * x.bytes ? y : x));
  return {
    ...most,
    full: Math.floor(slices / perBlock),
    during: products.reduce((x, y) => (y.work > x.work ? y : x)).during,
  };
}

/** The tables that a nest copies whole rows of, one in each iteration of `axis`. */
function tables(k: Nest, axis: string, { named }: Program): Table[] {
  const long = k.loops.reduce((product, l) => (l.name === axis ? product : product * l.n), 1);
  return loadsIn(k.stores.map((s) => s.value)).flatMap((load) => {
    const data = named.get(load.arg as string)!;
    const row = terms(load.src[0]!).find((t) => t.op === "mul" && t.src[0]!.op === "clamp" && t.src[1]!.const === long);
    const at = row?.src[0]?.src[0];
    if (at?.op !== "load" || bytesOf(data) < FAR) return [];
    const index = named.get(at.arg as string)!;
    const place = linear(at.src[0]!);
    const inOrder = place?.constant === 0 && place.of.size === 1 && place.of.get(axis) === 1;
    const given = index.role === "feed" || index.role === "resident";
    return given && index.dtype === "i32" && inOrder
      ? [{ data, index, bytes: long * storages[data.storage ?? data.dtype].bytes }]
      : [];
  });
}

const workOf = ({ m, n, sum }: Contraction) => sum.reduce((product, s) => product * s.n, m * n);

/** The places that calls with so much time ask for, whole rows or parts of one; undefined where most rows find no call. */
export function placesOf({ rows, bytes }: Upcoming, { calls, bytes: most }: Idle): Places | undefined {
  if (most === 0) return undefined;
  const part = Math.ceil(bytes / Math.ceil(bytes / most) / LINE) * LINE;
  const all = rows * Math.ceil(bytes / part);
  return 2 * calls >= all ? { count: Math.min(calls, all), bytes: part } : undefined;
}

/** The statements that list them in `next`, for a product of this type; data and index are pointers in C. */
export function listed(
  { bytes, rows, full }: Upcoming,
  next: Places,
  type: string,
  data: string,
  index: string,
): string {
  const parts = Math.ceil(bytes / next.bytes);
  const [row, part] = parts === 1 ? ["i", ""] : [`i / ${parts}`, ` + i % ${parts} * ${next.bytes}`];
  // Behind the last block it is always the same row.
  return [
    `const long more = block + 1 < ${full};`,
    `const int *const rows = (${index}) + more * (block + 1) * ${rows};`,
    `const ${type} *next[${next.count}];`,
    `for (int i = 0; i < ${next.count}; i++)`,
    `next[i] = (const ${type} *)((const char *)(${data}) + rows[more * (${row})] * ${bytes}L${part});`,
  ].join(" ");
}
