/**
 * What a loop reads and writes element after element in memory that no cache may hold. A processor sees such a walk coming,
 * but not far enough where an element takes long: it has some hundred instructions in hand, an optimizer's update of a line
 * takes fifty, and memory answers after many lines. A loop that asks for each line early computes while memory moves.
 */
import type { Buffer, Loop, Program, Store } from "../compile/program.ts";
import { storages } from "../ir/dtype.ts";
import { type Expr, linear, loadsIn } from "../ir/expr.ts";
import { bytesOf } from "../ir/value.ts";

/** Bytes of a buffer that stays in the first-level cache beside others. */
const NEAR = 1 << 14;

/** Bytes of buffers that some cache holds after all, if not the first: there to ask twice takes longer than it saves. */
const FAR = 1 << 23;

/** Bytes of all that a block makes for itself and a second-level cache does not hold: some is gone when it is read again. */
const BEYOND = 1 << 21;

/** What a kernel's buffers are part of. */
export type Memory = Pick<Program, "named" | "scratchBytes">;

/**
 * Where a walk is at an iteration, and whether it writes there what other threads read: the line is then asked for as its
 * own, before a store has to wait until their caches give it up. Scratch memory is in no other thread's cache.
 */
export type Stream = { readonly buffer: Buffer; readonly at: Expr; readonly written: boolean };

/** Bytes of an element below which a strip is no whole vector: gcc would take narrow vectors for all of the loop. */
const NARROW = 4;

const widthOf = (b: Buffer): number => storages[b.storage ?? b.dtype].bytes;

/**
 * The walks along a loop, each once, without those in what is small, or a block has made for itself and finds in a cache.
 * None where an element of something is narrow, such as a mask.
 */
export function streams(loop: Loop, stores: readonly Store[], { named, scratchBytes }: Memory): Stream[] {
  const loads = loadsIn(stores.flatMap((s) => [s.at, s.value]));
  const read = loads.map((e) => ({ buffer: named.get(e.arg as string)!, at: e.src[0]!, always: e.src[1]!.const }));
  const isNarrow = ({ buffer }: Pick<Stream, "buffer">) => widthOf(buffer) < NARROW;
  if ([...read, ...stores].some(isNarrow)) return [];
  const touched = [
    ...read.filter((r) => r.always).map((r) => ({ ...r, written: false })),
    ...stores.map((s) => ({ ...s, written: s.buffer.role !== "scratch" })),
  ];
  const found: { buffer: Buffer; at: Expr; written: boolean; along: string; begin: number }[] = [];
  for (const { buffer, at, written } of touched) {
    const form = linear(at);
    const near = bytesOf(buffer) < NEAR || (buffer.role === "scratch" && scratchBytes < BEYOND);
    if (near || form?.of.get(loop.name) !== 1) continue;
    const along = `${buffer.role} ${buffer.at} ${[...form.of]}`;
    const begin = form.constant * widthOf(buffer);
    // Neighbours of an element are on the same walk.
    const same = found.find((s) => s.along === along && Math.abs(s.begin - begin) < NEAR);
    if (same) same.written ||= written;
    else found.push({ buffer, at, written, along, begin });
  }
  return found;
}

/** Whether walks go through more than caches hold; what blocks make for themselves is one block, and counts for nothing. */
export function areFar(walks: readonly Pick<Stream, "buffer">[]): boolean {
  const buffers = new Map(walks.map(({ buffer }) => [`${buffer.role} ${buffer.at}`, buffer]));
  return [...buffers.values()].reduce((sum, b) => sum + (b.role === "scratch" ? 0 : bytesOf(b)), 0) >= FAR;
}
