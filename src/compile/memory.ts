/**
 * Where temporaries lie. What only one band sees, slice by slice, has a place in the scratch memory of the thread that
 * takes the block; the others lie in one arena. Lifetimes in the order of kernels, largest first, lowest free offset. The
 * plan is a pure function of the program, so peak memory is known before the first step.
 */
import { storages } from "../ir/dtype.ts";
import { bytesOf } from "../ir/value.ts";
import type { Band } from "./band.ts";
import { placeIn } from "./cut.ts";
import { type Buffer, buffersOf } from "./program.ts";

/** Cache lines and full vectors: every buffer starts on a multiple of this. */
const ALIGN = 64;
/** At least one line, so that a buffer without elements has a place of its own too: places tell buffers apart. */
export const align = (bytes: number): number => Math.max(1, Math.ceil(bytes / ALIGN)) * ALIGN;

/** Alive from moment `first` to moment `last`, both included. */
type Block = { readonly buffer: Buffer; first: number; last: number; readonly bytes: number; at: number };

export type Plan = {
  /** Byte offsets of the temporaries in the arena, and how long it is. */
  readonly at: ReadonlyMap<Buffer, number>;
  readonly bytes: number;
  /** Byte offsets of those in scratch memory, and how much of that one thread needs. */
  readonly scratch: ReadonlyMap<Buffer, number>;
  readonly scratchBytes: number;
};

/** Without `reuse` everything stays until the end. */
export function plan(list: readonly Band[], named: ReadonlyMap<string, Buffer>, { reuse = true } = {}): Plan {
  const home = homes(list, named);
  const scratch = new Map<Buffer, number>();
  let scratchBytes = 0;
  const arena = new Map<Buffer, Block>();
  const touch = (blocks: Map<Buffer, Block>, buffer: Buffer, bytes: number, first: number, last = first) => {
    const known = blocks.get(buffer);
    if (!known) blocks.set(buffer, { buffer, first, last, bytes, at: 0 });
    else {
      known.first = Math.min(known.first, first);
      known.last = Math.max(known.last, last);
    }
  };
  const times = moments(list);
  list.forEach((band, k) => {
    const own = new Map<Buffer, Block>();
    const cut = band.blocks > 1;
    band.members.forEach(({ kernel }, n) => {
      const { reads, writes } = buffersOf(kernel, named);
      for (const b of [...writes, ...reads]) {
        if (b.role !== "temporary") continue;
        const slice = home.get(b) === band ? band.stride.get(placeIn(b)) : undefined;
        if (reuse && cut && slice !== undefined)
          touch(own, b, align(slice * band.perBlock * storages[b.storage ?? b.dtype].bytes), n);
        else if (!reuse) touch(arena, b, align(bytesOf(b)), 0);
        else if (cut) touch(arena, b, align(bytesOf(b)), times[k]!.first, times[k]!.last);
        else touch(arena, b, align(bytesOf(b)), times[k]!.first + n);
      }
    });
    scratchBytes = Math.max(scratchBytes, place(own));
    for (const b of own.values()) scratch.set(b.buffer, b.at);
  });
  const bytes = place(arena);
  return { bytes, at: new Map([...arena.values()].map((b) => [b.buffer, b.at])), scratch, scratchBytes };
}

/** The band that alone touches a buffer. */
function homes(list: readonly Band[], named: ReadonlyMap<string, Buffer>): Map<Buffer, Band | undefined> {
  const home = new Map<Buffer, Band | undefined>();
  for (const band of list) {
    for (const { kernel } of band.members) {
      const { reads, writes } = buffersOf(kernel, named);
      for (const b of [...writes, ...reads]) home.set(b, home.has(b) && home.get(b) !== band ? undefined : band);
    }
  }
  return home;
}

/**
 * When a band runs. One that is not cut runs kernel after kernel on one thread; one that is cut may run at any time
 * between two waits.
 */
function moments(list: readonly Band[]): { first: number; last: number }[] {
  const out: { first: number; last: number }[] = [];
  let [now, begin] = [0, 0];
  const close = (end: number) => {
    for (let k = begin; k < end; k++) {
      if (list[k]!.blocks > 1) out[k] = { first: out[begin]!.first, last: now };
    }
  };
  list.forEach((band, k) => {
    if (band.waits) {
      close(k);
      begin = k;
      now++;
    }
    const first = now;
    now += band.blocks > 1 ? 1 : band.members.length;
    out.push({ first, last: now });
  });
  close(list.length);
  return out;
}

/** Offsets for all blocks; → the bytes they take together. */
function place(blocks: ReadonlyMap<Buffer, Block>): number {
  const placed: Block[] = []; // by where they lie
  for (const b of [...blocks.values()].sort((p, q) => q.bytes - p.bytes)) {
    for (const p of placed) {
      if (p.at >= b.at + b.bytes) break;
      if (p.first <= b.last && b.first <= p.last && b.at < p.at + p.bytes) b.at = p.at + p.bytes;
    }
    let k = placed.length;
    while (k > 0 && placed[k - 1]!.at > b.at) k--;
    placed.splice(k, 0, b);
  }
  return Math.max(0, ...placed.map((b) => b.at + b.bytes));
}
