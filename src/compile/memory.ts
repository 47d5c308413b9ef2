/**
 * One arena for every temporary: lifetimes in kernel order, largest first, lowest free offset. The plan is a pure
 * function of the program, so peak memory is known before the first step.
 */
import { bytesOf } from "../ir/value.ts";
import { type Buffer, buffersOf, type Kernel } from "./program.ts";

/** Cache lines and full vectors: every buffer starts on a multiple of this. */
const ALIGN = 64;
/** At least one line, so that a buffer without elements has a place of its own too: places tell buffers apart. */
export const align = (bytes: number): number => Math.max(1, Math.ceil(bytes / ALIGN)) * ALIGN;

/** Alive from kernel `first` to kernel `last`, both included. */
type Block = { readonly buffer: Buffer; readonly first: number; last: number; readonly bytes: number; at: number };

/** Byte offsets of the temporaries, and how long the arena is. Without `reuse` everything stays until the end. */
export function plan(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>, { reuse = true } = {}) {
  const blocks = new Map<Buffer, Block>();
  kernels.forEach((k, n) => {
    const { writes, reads } = buffersOf(k, named);
    for (const buffer of [...writes, ...reads]) {
      if (buffer.role !== "temporary") continue;
      const known = blocks.get(buffer);
      if (known) known.last = Math.max(known.last, n);
      else
        blocks.set(buffer, {
          buffer,
          first: n,
          last: reuse ? n : kernels.length,
          bytes: align(bytesOf(buffer)),
          at: 0,
        });
    }
  });
  const placed: Block[] = [];
  for (const b of [...blocks.values()].sort((p, q) => q.bytes - p.bytes)) {
    const alive = placed.filter((p) => p.first <= b.last && b.first <= p.last).sort((p, q) => p.at - q.at);
    for (const p of alive) if (p.at < b.at + b.bytes && b.at < p.at + p.bytes) b.at = p.at + p.bytes;
    placed.push(b);
  }
  return {
    bytes: Math.max(0, ...placed.map((b) => b.at + b.bytes)),
    at: new Map(placed.map((b) => [b.buffer, b.at])),
  };
}
