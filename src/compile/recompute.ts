/**
 * Activation checkpointing: what a marked part of the forward pass makes is not kept until its gradient is taken, but made
 * again then. Griewank & Walther 2000; Chen et al. 2016. Memory becomes less, time more.
 *
 * Here it is a matter of kernels, after everything has been decided: those of the part run a second time, on buffers of
 * their own, just before the first kernel of the gradient that wants what they make. They are the same kernels, so every
 * bit is the same.
 */
import { Expr } from "../ir/expr.ts";
import type { Tensor } from "../ir/tensor.ts";
import { placeIn } from "./cut.ts";
import { type Buffer, buffersOf, type Kernel, type Store } from "./program.ts";
import { sorted } from "./schedule.ts";

/**
 * The kernels in an order that keeps little alive, in lists that each begin with what is computed again: one is over
 * before the next begins. `twin` makes a temporary like the one given.
 */
export function recomputed(
  kernels: readonly Kernel[],
  named: ReadonlyMap<string, Buffer>,
  twin: (b: Buffer) => Buffer,
): readonly (readonly Kernel[])[] {
  const parts = new Set(kernels.flatMap((k) => partOf(k, named) ?? []));
  const copies: Kernel[][] = [];
  let list = kernels;
  for (const part of parts) {
    const found = again(part, list, named, twin);
    if (!found) continue;
    copies.push(found.copies);
    list = [...found.before, ...found.copies, ...found.after];
  }
  if (copies.length === 0) return [kernels];
  const begins = new Set(copies.map(([first]) => first));
  const out: Kernel[][] = [[]];
  for (const k of inTime(list, new Set(copies.flat()), named)) {
    if (begins.has(k)) out.push([]);
    out.at(-1)!.push(k);
  }
  return out;
}

/** The part of the forward pass that a kernel belongs to with all that it writes. */
function partOf(k: Kernel, named: ReadonlyMap<string, Buffer>): object | undefined {
  const [first, ...rest] = buffersOf(k, named).writes.map((b) => b.tensor.origin.part);
  return rest.every((part) => part === first) ? first : undefined;
}

const isGradient = ({ origin }: Tensor): boolean => origin.of !== undefined;

/** One part's kernels a second time, and the list before and after them; undefined where gradients read none of it. */
function again(part: object, list: readonly Kernel[], named: ReadonlyMap<string, Buffer>, twin: (b: Buffer) => Buffer) {
  const touches = list.map((k) => buffersOf(k, named));
  const isOwn = list.map((k) => partOf(k, named) === part);
  const isLate = touches.map(({ writes }) => writes.every((b) => isGradient(b.tensor) || b.role === "state"));

  // What only the part itself and gradients read, made by kernels that change nothing else, need not be kept; unless it is
  // made of state that is another one by then.
  const plain = list.map((_, k) => isOwn[k]! && touches[k]!.writes.every((b) => b.role === "temporary"));
  const end = plain.lastIndexOf(true);
  const replacedBy = (k: number) => touches[k]!.writes.flatMap((b) => (b.role === "state" ? [placeIn(b)] : []));
  const changed = new Set(list.slice(0, end).flatMap((_, k) => replacedBy(k)));
  const writers = new Map<Buffer, number[]>(); // of a buffer that is made in parts, several
  touches.forEach(({ writes }, k) => {
    for (const b of writes) writers.set(b, [...(writers.get(b) ?? []), k]);
  });
  touches.forEach(({ reads, writes }, k) => {
    if (!plain[k] || reads.some((b) => changed.has(placeIn(b)))) for (const b of writes) writers.delete(b);
    if (!isOwn[k] && !isLate[k]) for (const b of reads) writers.delete(b);
  });

  // The kernels that make what gradients want of it, and what those want in turn. A gradient that is taken while the part
  // is still being computed, such as that of a mask, finds what it wants there.
  const late = list.flatMap((_, k) =>
    k > end && isLate[k] && touches[k]!.reads.some((b) => writers.has(b)) ? [k] : [],
  );
  const twice = new Set<number>();
  const wanted = new Set<Buffer>();
  const stack = [...late];
  for (let k = stack.pop(); k !== undefined; k = stack.pop()) {
    for (const b of touches[k]!.reads) {
      for (const by of writers.get(b) ?? []) {
        wanted.add(b);
        if (twice.has(by)) continue;
        twice.add(by);
        stack.push(by);
      }
    }
  }
  if (twice.size === 0) return undefined;

  // Before the first that wants it, and before anything that it reads is replaced.
  const order = [...twice].sort((a, b) => a - b);
  const read = new Set(order.flatMap((k) => touches[k]!.reads.map(placeIn)));
  const replaced = list.findIndex((_, k) => k > end && replacedBy(k).some((place) => read.has(place)));
  const at = replaced < 0 ? late[0]! : Math.min(late[0]!, replaced);
  const to = new Map([...wanted].map((b) => [b, twin(b)]));
  const copies = order.map((k) => renamed(only(list[k]!, wanted), to));
  const wanting = new Set(late);
  const rest = list.map((k, n) => (wanting.has(n) ? renamed(k, to) : k));
  return { before: rest.slice(0, at), copies, after: rest.slice(at) };
}

/** Without what nobody wants again, such as a part of a tensor whose other parts are kept. */
export const only = (k: Kernel, wanted: ReadonlySet<Buffer>): Kernel =>
  k.kind === "nest" ? { ...k, stores: k.stores.filter((s) => wanted.has(s.buffer)) } : k;

/** The same kernel on other buffers. */
export function renamed(k: Kernel, to: ReadonlyMap<Buffer, Buffer>): Kernel {
  const other = (b: Buffer) => to.get(b) ?? b;
  if (k.kind === "contraction") {
    const { a, b, c } = k;
    return {
      ...k,
      a: { ...a, buffer: other(a.buffer) },
      b: { ...b, buffer: other(b.buffer) },
      c: { ...c, buffer: other(c.buffer) },
    };
  }
  const names = new Map([...to].map(([b, twin]) => [b.name, twin.name]));
  const memo = new Map<Expr, Expr>();
  const rewrite = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known) return known;
    const src = e.src.map(rewrite);
    const arg = e.op === "load" ? (names.get(e.arg as string) ?? e.arg) : e.arg;
    const same = arg === e.arg && src.every((x, n) => x === e.src[n]);
    const now = same ? e : Expr.make(e.op, src, arg, e.dtype, e.lo, e.hi);
    memo.set(e, now);
    return now;
  };
  const moved = ({ buffer, at, value }: Store): Store => ({
    buffer: other(buffer),
    at: rewrite(at),
    value: rewrite(value),
  });
  if (k.kind === "accumulate") return { ...k, stores: k.stores.map(moved) };
  const reductions = k.reductions.map((r) => ({ ...r, value: rewrite(r.value) }));
  return { ...k, reductions, stores: k.stores.map(moved) };
}

/** Copies only when nothing else can be done, so that all that their twins are for has been done before the next ones. */
function inTime(
  list: readonly Kernel[],
  copies: ReadonlySet<Kernel>,
  named: ReadonlyMap<string, Buffer>,
): readonly Kernel[] {
  const order = [...list.filter((k) => !copies.has(k)), ...list.filter((k) => copies.has(k))];
  const rank = new Map(order.map((k, n) => [k, n]));
  const after = order.map(() => new Set<number>());
  dependencies(list, named).forEach((needs, k) => {
    for (const need of needs) after[rank.get(list[need]!)!]!.add(rank.get(list[k]!)!);
  });
  return sorted(after).map((n) => order[n]!);
}

/** Of each kernel, those before it that it cannot go before: they make what it reads, or touch what it writes. */
function dependencies(list: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Set<number>[] {
  const written = new Map<unknown, number>();
  const read = new Map<unknown, number[]>();
  return list.map((kernel, k) => {
    const { reads, writes } = buffersOf(kernel, named);
    const needs = new Set<number>();
    for (const b of [...reads, ...writes]) {
      const by = written.get(placeIn(b));
      if (by !== undefined) needs.add(by);
    }
    for (const b of writes) for (const by of read.get(placeIn(b)) ?? []) needs.add(by);
    for (const b of reads) read.set(placeIn(b), [...(read.get(placeIn(b)) ?? []), k]);
    for (const b of writes) {
      written.set(placeIn(b), k);
      read.delete(placeIn(b));
    }
    return needs;
  });
}
