/**
 * Nests over the same index space become one: a value that the next kernel reads at the same place stays in a
 * register. This is what makes a whole optimizer update one pass over memory.
 */
import { Expr } from "../ir/expr.ts";
import { type Buffer, buffersOf, type Kernel, type Nest } from "./program.ts";

/** Kernels in an order that can run, and again so on return. */
export function merge(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Kernel[] {
  const groups: Kernel[] = [];
  const writer = new Map<Buffer, number>(); // the group that makes a buffer
  const reach = new Map<number, Set<Buffer>>(); // what a group touches
  for (const k of kernels) {
    const { reads, writes } = buffersOf(k, named);
    const earliest = Math.max(-1, ...reads.map((b) => writer.get(b) ?? -1));
    let home = groups.length;
    if (k.kind === "nest") {
      for (let g = groups.length - 1; g >= Math.max(earliest, 0); g--) {
        const group = groups[g]!;
        const shared = reads.some((b) => reach.get(g)!.has(b));
        if (group.kind !== "nest" || !shared || !sameLoops(group, k)) continue;
        const joined = join(group, k);
        if (!joined) continue;
        groups[g] = joined;
        home = g;
        break;
      }
    }
    if (home === groups.length) groups.push(k);
    const touched = reach.get(home) ?? new Set();
    for (const b of [...reads, ...writes]) touched.add(b);
    reach.set(home, touched);
    for (const b of writes) writer.set(b, home);
  }
  return groups;
}

/** A temporary that only its own nest read has become a register; it needs no memory. */
export function withoutDeadStores(groups: readonly Kernel[], named: ReadonlyMap<string, Buffer>): Kernel[] {
  const read = new Set(groups.flatMap((k) => buffersOf(k, named).reads));
  return groups.map((k) =>
    k.kind === "nest" ? { ...k, stores: k.stores.filter((s) => s.buffer.role !== "temporary" || read.has(s.buffer)) } : k,
  );
}

const sameLoops = (a: Nest, b: Nest) =>
  a.loops.length === b.loops.length && a.loops.every((l, k) => l.n === b.loops[k]!.n && l.name === b.loops[k]!.name);

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
