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

/** The kernels in an order that keeps little alive. `twin` makes a temporary like the one given. */
export function recomputed(
  kernels: readonly Kernel[],
  named: ReadonlyMap<string, Buffer>,
  twin: (b: Buffer) => Buffer,
): readonly Kernel[] {
  const parts = new Set(kernels.flatMap((k) => partOf(k, named) ?? []));
  if (parts.size === 0) return kernels;
  let list = kernels;
  const twins = new Set<Buffer>();
  const twinned = (b: Buffer) => {
    const other = twin(b);
    twins.add(other);
    return other;
  };
  for (const part of parts) list = again(part, list, named, twinned);
  return twins.size === 0 ? kernels : eager(list, named, twins);
}

/** The part of the forward pass that a kernel belongs to with all that it writes. */
function partOf(k: Kernel, named: ReadonlyMap<string, Buffer>): object | undefined {
  const [first, ...rest] = buffersOf(k, named).writes.map((b) => b.tensor.origin.part);
  return rest.every((part) => part === first) ? first : undefined;
}

const isGradient = ({ origin }: Tensor): boolean => origin.of !== undefined;

/** The list with one part taken a second time, where gradients read what it makes. */
function again(
  part: object,
  list: readonly Kernel[],
  named: ReadonlyMap<string, Buffer>,
  twin: (b: Buffer) => Buffer,
): readonly Kernel[] {
  const touches = list.map((k) => buffersOf(k, named));
  const isOwn = list.map((k) => partOf(k, named) === part);
  const isLate = touches.map(({ writes }) => writes.some((b) => isGradient(b.tensor)));

  // What only the part itself and gradients read, made by kernels that change nothing else, need not be kept.
  const writer = new Map<Buffer, number>();
  touches.forEach(({ writes }, k) => {
    const inside = isOwn[k] && writes.every((b) => b.role === "temporary");
    if (inside) for (const b of writes) writer.set(b, k);
  });
  touches.forEach(({ reads }, k) => {
    if (!isOwn[k] && !isLate[k]) for (const b of reads) writer.delete(b);
  });

  // The kernels that make what gradients want of it, and what those want in turn.
  const late = list.flatMap((_, k) => (isLate[k] && touches[k]!.reads.some((b) => writer.has(b)) ? [k] : []));
  const twice = new Set<number>();
  const stack = [...late];
  for (let k = stack.pop(); k !== undefined; k = stack.pop()) {
    for (const b of touches[k]!.reads) {
      const by = writer.get(b);
      if (by === undefined || twice.has(by)) continue;
      twice.add(by);
      stack.push(by);
    }
  }
  if (twice.size === 0) return list;

  // Before the first that wants it, and before anything that it reads is replaced.
  const last = Math.max(...twice);
  const read = new Set([...twice].flatMap((k) => touches[k]!.reads.map(placeIn)));
  const replaced = list.findIndex((_, k) => k > last && touches[k]!.writes.some((b) => read.has(placeIn(b))));
  const at = replaced < 0 ? late[0]! : Math.min(late[0]!, replaced);
  const to = new Map<Buffer, Buffer>();
  for (const k of [...twice].sort((a, b) => a - b)) for (const b of touches[k]!.writes) to.set(b, twin(b));
  const copies = [...twice].sort((a, b) => a - b).map((k) => renamed(list[k]!, to));
  const lateOnes = new Set(late);
  const rest = list.map((k, n) => (lateOnes.has(n) ? renamed(k, to) : k));
  return [...rest.slice(0, at), ...copies, ...rest.slice(at)];
}

/** The same kernel on other buffers. */
function renamed(k: Kernel, to: ReadonlyMap<Buffer, Buffer>): Kernel {
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
  if (k.kind === "accumulate") return { ...k, store: moved(k.store) };
  const reductions = k.reductions.map((r) => ({ ...r, value: rewrite(r.value) }));
  return { ...k, reductions, stores: k.stores.map(moved) };
}

/** Whoever reads a twin goes as early as it can, so that the twin can go too. */
function eager(list: readonly Kernel[], named: ReadonlyMap<string, Buffer>, twins: ReadonlySet<Buffer>): Kernel[] {
  const needs = dependencies(list, named);
  const hurried = list.flatMap((k, n) => (buffersOf(k, named).reads.some((b) => twins.has(b)) ? [n] : []));
  const out: Kernel[] = [];
  const done = new Set<number>();
  const emit = (n: number) => {
    done.add(n);
    out.push(list[n]!);
  };
  list.forEach((_, n) => {
    if (done.has(n)) return;
    emit(n);
    for (let k = next(); k !== undefined; k = next()) emit(k);
  });
  return out;

  function next(): number | undefined {
    return hurried.find((k) => !done.has(k) && [...needs[k]!].every((need) => done.has(need)));
  }
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
