/**
 * Nests over the same index space become one: a value that the next kernel reads at the same place stays in a
 * register. This is what makes a whole optimizer update one pass over memory. Sums over the same index space become one
 * where both read the same tensor, as the two of a batch norm's gradient do.
 */
import { Expr, linear } from "../ir/expr.ts";
import { type Accumulate, type Buffer, buffersOf, type Kernel, type Nest } from "./program.ts";
import { apart, before } from "./schedule.ts";

/** Fewer kernels that do the same; `schedule` finds their order. */
export function merge(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Kernel[] {
  const groups: Group[] = [];
  const touching = new Map<Buffer, Group[]>();
  const writers = new Map<Buffer, Group[]>(); // of a buffer that is made in parts, several
  for (const k of kernels) {
    const { reads, writes } = buffersOf(k, named);
    const needs = new Set(reads.flatMap((b) => writers.get(b) ?? []));
    const joined = k.kind === "contraction" ? undefined : joinable(k, reads, needs, touching);
    const home: Group = joined ?? { at: groups.length, kernel: k, needs: new Set() };
    for (const b of [...reads, ...writes]) {
      const by = touching.get(b);
      if (!by) touching.set(b, [home]);
      else if (!by.includes(home)) by.push(home);
    }
    for (const b of writes) writers.set(b, [...(writers.get(b) ?? []), home]);
    for (const need of needs) if (need !== home) home.needs.add(need);
    if (!joined) groups.push(home);
  }
  return groups.map((g) => g.kernel);
}

/** `needs`: the groups that make what this one reads. */
type Group = { readonly at: number; kernel: Kernel; readonly needs: Set<Group> };

/** The latest group that k can join: the same loops, a buffer in common, and nothing else k needs waits for that group. */
function joinable(
  k: Nest | Accumulate,
  reads: readonly Buffer[],
  needs: ReadonlySet<Group>,
  touching: ReadonlyMap<Buffer, readonly Group[]>,
): Group | undefined {
  const free = apart(needs);
  const near = new Set(reads.flatMap((b) => touching.get(b) ?? []));
  for (const g of [...near].sort((p, q) => q.at - p.at)) {
    if (g.kernel.kind === "contraction" || !sameLoops(g.kernel, k) || !free(g)) continue;
    if (k.loops.length === 0 && waitsForMore(needs, g)) continue;
    const joined = both(g.kernel, k, needs.has(g));
    if (!joined) continue;
    g.kernel = joined;
    return g;
  }
  return undefined;
}

/**
 * Whether k or g would wait for long work that it does not need alone. Of single numbers nothing is gained that would be
 * worth it: the scale of a gradient, joined with the loss, would hold up the backward pass until all of forward is over.
 */
function waitsForMore(needs: ReadonlySet<Group>, g: Group): boolean {
  const [mine, its] = [new Set([...needs, ...before(needs)]), new Set([...g.needs, ...before(g.needs)])];
  const long = (some: ReadonlySet<Group>, but: ReadonlySet<Group>) =>
    [...some].some((h) => h !== g && !but.has(h) && isLong(h.kernel));
  return long(mine, its) || (!mine.has(g) && long(its, mine));
}

const isLong = (k: Kernel): boolean => k.kind === "contraction" || k.loops.reduce((n, l) => n * l.n, 1) > 1000;

/** A temporary that only its own nest read has become a register; it needs no memory. */
export function withoutDeadStores(groups: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Kernel[] {
  const read = new Set(groups.flatMap((k) => buffersOf(k, named).reads));
  const dead = (b: Buffer) => b.role === "temporary" && !read.has(b);
  return groups.map((k) =>
    k.kind === "nest" && k.stores.some((s) => dead(s.buffer))
      ? { ...k, stores: k.stores.filter((s) => !dead(s.buffer)) }
      : k,
  );
}

const sameLoops = ({ loops: a }: Nest | Accumulate, { loops: b }: Nest | Accumulate) =>
  a.length === b.length && a.every((l, k) => l.n === b[k]!.n && l.name === b[k]!.name);

/** b after a in one kernel, where that can be. `needed`: whether b reads what a makes. */
function both(a: Nest | Accumulate, b: Nest | Accumulate, needed: boolean): Nest | Accumulate | undefined {
  if (a.kind === "nest") return b.kind === "nest" ? join(a, b) : undefined;
  const alike = b.kind === "accumulate" && a.join === b.join && a.zero === b.zero && !needed;
  if (!alike || ![...a.stores, ...b.stores].every((s) => linear(s.at))) return undefined; // scatters can not be cut
  return { ...a, stores: [...a.stores, ...b.stores] };
}

/** b after a in one nest, or undefined where b reads what a makes at another place. */
function join(a: Nest, b: Nest): Nest | undefined {
  const made = new Map(a.stores.map((s) => [s.buffer.name, s]));
  const memo = new Map<Expr, Expr | undefined>();
  const forward = (e: Expr): Expr | undefined => {
    if (memo.has(e)) return memo.get(e);
    const s = e.op === "load" ? made.get(e.arg as string) : undefined;
    let to: Expr | undefined;
    if (s) to = s.at === e.src[0] ? masked(e, s.value) : undefined;
    else {
      const src = e.src.map(forward);
      if (src.every((x) => x !== undefined)) {
        to = src.every((x, k) => x === e.src[k]) ? e : Expr.make(e.op, src, e.arg, e.dtype, e.lo, e.hi);
      }
    }
    memo.set(e, to);
    return to;
  };
  const reductions = b.reductions.map((r) => ({ ...r, value: forward(r.value) }));
  const stores = b.stores.map((s) => ({ ...s, at: forward(s.at), value: forward(s.value) }));
  if (reductions.some((r) => !r.value) || stores.some((s) => !s.at || !s.value)) return undefined;
  return {
    kind: "nest",
    loops: a.loops,
    reductions: [...a.reductions, ...(reductions as Nest["reductions"])],
    stores: [...a.stores, ...(stores as Nest["stores"])],
  };
}

/** The stored value, or 0 where the load was masked out. */
function masked(loaded: Expr, value: Expr): Expr {
  const inside = loaded.src[1]!;
  return inside.const ? value : Expr.make("where", [inside, value, Expr.value(0, loaded.dtype)], null, loaded.dtype);
}
