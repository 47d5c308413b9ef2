/**
 * The order of kernels, and which state is written where it is read. Every kernel that reads the old state has to run
 * before the one that writes the new; where that is impossible the new state goes to a temporary and is copied last.
 */
import { Expr, loadsIn } from "../ir/expr.ts";
import { size } from "../ir/shape.ts";
import { load } from "./lower.ts";
import { type Buffer, buffersOf, type Kernel } from "./program.ts";

export type Update = { readonly now: Buffer; readonly next: Buffer };

/** The kernels in their final order, and the updates that can be made in place; the others end with a copy. */
export function schedule(
  kernels: readonly Kernel[],
  updates: readonly Update[],
  named: ReadonlyMap<string, Buffer>,
): { kernels: Kernel[]; inPlace: Set<Update> } {
  const { writers, readers, after } = dependences(kernels, named);
  const reaches = (from: number, to: ReadonlySet<number>): boolean => {
    const seen = new Set<number>([from]);
    const stack = [from];
    for (let k = stack.pop(); k !== undefined; k = stack.pop()) {
      if (to.has(k)) return true;
      for (const next of after[k]!) if (!seen.has(next)) seen.add(next) && stack.push(next);
    }
    return false;
  };

  const inPlace = new Set<Update>();
  const copies: Kernel[] = [];
  for (const u of updates) {
    const p = writers.get(u.next)![0]!;
    const others = new Set((readers.get(u.now) ?? []).filter((k) => k !== p));
    if (sameIndex(kernels[p]!, u) && !(others.size && reaches(p, others))) {
      for (const k of others) after[k]!.add(p);
      inPlace.add(u);
    } else copies.push(copy(u));
  }
  return { kernels: [...sorted(after).map((k) => kernels[k]!), ...copies], inPlace };
}

/** The kernels so that each reader of a buffer comes after all that write a part of it; otherwise as they are. */
export function settled(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Kernel[] {
  return sorted(dependences(kernels, named).after).map((k) => kernels[k]!);
}

/** By position: who writes and who reads a buffer, and the readers that have to come after each kernel. */
function dependences(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>) {
  const touches = kernels.map((k) => buffersOf(k, named));
  const writers = new Map<Buffer, number[]>(); // of a buffer that is made in parts, several
  const readers = new Map<Buffer, number[]>();
  touches.forEach(({ reads, writes }, k) => {
    for (const b of writes) writers.set(b, [...(writers.get(b) ?? []), k]);
    for (const b of reads) readers.set(b, [...(readers.get(b) ?? []), k]);
  });
  const after: Set<number>[] = kernels.map(() => new Set());
  touches.forEach(({ reads }, k) => {
    for (const w of reads.flatMap((b) => writers.get(b) ?? [])) if (w !== k) after[w]!.add(k);
  });
  return { writers, readers, after };
}

/** Whether the writing kernel reads the old state, if at all, only at the element that it is about to write. */
function sameIndex(k: Kernel, { now, next }: Update): boolean {
  if (k.kind === "contraction") return k.a.buffer !== now && k.b.buffer !== now;
  if (k.kind === "accumulate") {
    return !loadsIn(k.stores.flatMap((s) => [s.at, s.value])).some((e) => e.arg === now.name);
  }
  const at = k.stores.find((s) => s.buffer === next)!.at;
  const roots = [...k.reductions.map((r) => r.value), ...k.stores.flatMap((s) => [s.at, s.value])];
  return loadsIn(roots).every((e) => e.arg !== now.name || e.src[0] === at);
}

function copy({ now, next }: Update): Kernel {
  const n = size(now.shape);
  const i = Expr.index("i0", n);
  const loops = n === 1 ? [] : [{ name: "i0", n }];
  return { kind: "nest", loops, reductions: [], stores: [{ buffer: now, at: i, value: load(next, i) }] };
}

/** A topological order that keeps the given one where it can. */
export function sorted(after: readonly ReadonlySet<number>[]): number[] {
  const waits = after.map(() => 0);
  for (const next of after) for (const k of next) waits[k]!++;
  const ready = waits.flatMap((n, k) => (n === 0 ? [k] : []));
  const out: number[] = [];
  while (ready.length) {
    ready.sort((a, b) => b - a);
    const k = ready.pop()!;
    out.push(k);
    for (const next of after[k]!) if (--waits[next]! === 0) ready.push(next);
  }
  if (out.length !== after.length) throw new Error("schedule: the kernels depend on each other in a circle");
  return out;
}

/** A group of kernels, and those that have to run before it because its kernels say so, not those that these need. */
type Needing<G> = { readonly needs: ReadonlySet<G> };

/** Whether what needs `needs` may join a group: where nothing of these waits for that group. */
export function apart<G extends Needing<G>>(needs: ReadonlySet<G>): (g: G) => boolean {
  let earlier: Set<G> | undefined;
  return (g) => {
    if (needs.size === 0 || (needs.size === 1 && needs.has(g))) return true; // nobody waits for itself
    earlier ??= before(needs);
    return !earlier.has(g);
  };
}

/** What has to run before one of these groups, directly or not. */
export function before<G extends Needing<G>>(groups: Iterable<G>): Set<G> {
  const out = new Set<G>();
  const stack = [...groups];
  for (let g = stack.pop(); g; g = stack.pop()) {
    for (const need of g.needs) {
      if (out.has(need)) continue;
      out.add(need);
      stack.push(need);
    }
  }
  return out;
}
