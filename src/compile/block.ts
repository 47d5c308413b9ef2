/**
 * How many slices of a band make a block. Few, so that what one kernel makes is still in the cache for the next, and so that
 * there are blocks for every thread; many, so that a product does not wait for the factor that it reads anew in each.
 */
import { storages } from "../ir/dtype.ts";
import { type Axis, crossing, type Place, placeIn } from "./cut.ts";
import type { Buffer, Contraction, Kernel } from "./program.ts";

/** What two neighbouring kernels of a block may take of the second-level cache. */
const CACHE = 1 << 18;
/** Multiply-adds below which nobody gains by a block of its own. */
export const GRAIN = 3 << 20;
/**
 * With fewer rows a matrix product waits for its other factor: where the cache holds those of the whole band, where they
 * come from beyond it for every block, or in 16 bits, which each call packs or widens.
 */
const ROWS = { near: 64, far: 256, packed: 256 };
/** With fewer it is nobody's gain to share such a product with another thread. */
const FEWEST = 64;
/** With fewer, tiles are not full, even of products that are a small part of their band. */
const TILE = 16;
/** Bytes of factors that come from beyond the cache. */
const FAR = 1 << 21;
/** Bytes of a factor that every call brings into another form; weights are packed once per step. */
const COPIED = 1 << 18;
/** Blocks that a band of enough work should have: more threads than this find less to do in it. */
const SHARES = 16;

/** Columns of a product that make a block: tiles are full, and a wide factor comes by once for all of its blocks. */
const COLUMNS = 128;
/** With fewer for each row it reads more of the narrow factor, block by block, than rows would of the wide one. */
const WIDE = 4;
/** Grains of such a block: less is not worth that what is made of the product waits for all of it. */
const ENOUGH = 16;

/**
 * The columns of a product, where they are what threads should share: of a large one that has few rows and reads slices of
 * nothing, such as the gradient of a layer that makes few numbers of many. Its rows would be two or three blocks.
 */
export function columnsOf(k: Kernel, grain: number): Axis | undefined {
  // What is in 16 bits is packed in each call: the rows too, for so few columns.
  if (k.kind !== "contraction" || k.a.buffer.storage || k.b.buffer.storage) return undefined;
  const found = crossing(k);
  if (!found) return undefined;
  const { rows, columns } = found;
  const block = Math.min(grain, COLUMNS);
  const blocks = Math.floor(columns.n / block);
  const wide = columns.n >= WIDE * rows.n && blocks > Math.ceil(rows.n / Math.min(grain, fewestFar(rows.n)));
  return wide && workOf(k) >= ENOUGH * grain * blocks ? { ...columns, block } : undefined;
}

/** Rows of a product that its other factor comes to from beyond the cache. */
const fewestFar = (rows: number) => Math.min(ROWS.far, Math.max(FEWEST, rows / 4));

/** `slices`: how many there are. Where a kernel is not cut, all of them are one block. */
export function perBlock(
  members: readonly { readonly kernel: Kernel; readonly axis: Axis | undefined }[],
  slices: number,
  grain: number,
): number {
  const block = members[0]!.axis?.block;
  if (block !== undefined) return block;
  let bytes = 1;
  let work = 0;
  let products = 0; // the work of those that read a factor anew in each block
  const factors = new Map<Place, number>(); // bytes of what products read as a whole, every block anew
  for (const { kernel, axis } of members) {
    if (!axis) return slices;
    let slice = 0;
    for (const [place, step] of axis.steps) {
      const size = typeof place === "string" ? 4 : storages[place.storage ?? place.dtype].bytes;
      if (step !== null) slice += (step * size * axis.n) / slices;
    }
    bytes = Math.max(bytes, slice);
    const own = workOf(kernel);
    work += own;
    if (!alongMatrix(kernel, axis)) continue;
    products += own;
    const other = axis.name === "m" ? kernel.b : kernel.a;
    const size =
      (times(kernel.sum) * kernel.m * kernel.n * storages[other.buffer.storage ?? other.buffer.dtype].bytes) / axis.n;
    factors.set(placeIn(other.buffer), size);
  }
  const far = [...factors.values()].reduce((sum, n) => sum + n, 0) > FAR;
  const copied = (b: Buffer) => b.role === "temporary" && factors.get(placeIn(b))! > COPIED;
  let rows = 1;
  for (const { kernel, axis } of members) {
    if (!axis || !alongMatrix(kernel, axis)) continue;
    const packs = kernel.a.buffer.storage && kernel.b.buffer.storage;
    const again = far || copied(axis.name === "m" ? kernel.b.buffer : kernel.a.buffer);
    const fewest = packs ? ROWS.packed : again ? fewestFar(axis.n) : ROWS.near;
    // Where products are the smaller part of the band, so is what they lose by waiting.
    const enough = 2 * products < work ? TILE : fewest;
    rows = Math.max(rows, Math.ceil((Math.min(grain, enough) * slices) / axis.n));
  }
  // A power of two is what most numbers of threads divide, or nearly.
  const shares = 2 ** Math.floor(Math.log2(Math.max(1, Math.min(SHARES, work / grain))));
  const most = Math.min(slices, Math.max(rows, Math.min(Math.floor(CACHE / bytes), Math.ceil(slices / shares))));
  // A divisor where one is near: all blocks are then alike, and their kernels know their length.
  for (let r = most; r > most / 2; r--) if (slices % r === 0) return r;
  return Math.max(1, most);
}

const alongMatrix = (k: Kernel, axis: Axis): k is Contraction =>
  k.kind === "contraction" && (axis.name === "m" || axis.name === "n");

/** About how many multiply-adds a kernel takes, or as much other work. */
function workOf(k: Kernel): number {
  if (k.kind === "contraction") return times(k.loops) * k.m * k.n * times(k.sum);
  // Memory and elementary functions cost more than an arithmetic unit would.
  if (k.kind === "accumulate") return 8 * times(k.loops) * k.stores.length;
  return 8 * times(k.loops) * (k.stores.length + k.reductions.reduce((sum, r) => sum + times(r.loops), 0));
}

const times = (loops: readonly { readonly n: number }[]) => loops.reduce((product, l) => product * l.n, 1);
