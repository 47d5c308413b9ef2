/**
 * Kernels that read a tensor across its memory, such as the copy of a weight into another order: written row by row, each
 * row would fetch as many lines of memory as it has elements, and the next row the same lines again. A loop is cut in two,
 * and its outer part put around all others, so that few lines are in turn at a time and stay in the cache.
 */
import { Expr, linear, loadsIn } from "../ir/expr.ts";
import type { Kernel, Loop, Nest } from "./program.ts";

/** Lines that the first-level cache holds beside those that are written. */
const LINES = 256;
/** Elements of a line. */
const LINE = 16;

export function tile(k: Kernel): Kernel {
  if (k.kind !== "nest" || k.reductions.length > 0 || k.loops.length < 2 || !isAcross(k)) return k;
  // The innermost loop with which a run of memory is a line long.
  let run = 1;
  let at = k.loops.length - 1;
  while (at > 0 && run * k.loops[at]!.n < LINE) run *= k.loops[at--]!.n;
  const cut = k.loops[at]!;
  const most = Math.ceil(LINE / run);
  const short = Array.from({ length: most }, (_, d) => most - d).find((d) => cut.n % d === 0)!;
  if (at === 0 || short < most / 2 || short === cut.n) return k;
  const outer: Loop = { name: `${cut.name}t`, n: cut.n / short };
  const inner: Loop = { name: cut.name, n: short };
  const to = Expr.index(outer.name, outer.n).mul(short).add(Expr.index(inner.name, inner.n));
  const now = replacing(Expr.index(cut.name, cut.n), to);
  const stores = k.stores.map((s) => ({ ...s, at: now(s.at), value: now(s.value) }));
  return { ...k, loops: [outer, ...k.loops.with(at, inner)], stores };
}

/** Whether something is read whose neighbours in memory come by only after more lines than the cache holds. */
function isAcross({ loops, stores }: Nest): boolean {
  return loadsIn(stores.map((s) => s.value)).some((e) => {
    const of = linear(e.src[0]!)?.of;
    const step = (l: Loop) => Math.abs(of?.get(l.name) ?? 0);
    const near = loops.findLastIndex((l) => step(l) > 0 && step(l) < LINE);
    const between = loops.slice(near + 1).filter((l) => step(l) > 0);
    return near >= 0 && between.reduce((n, l) => n * l.n, 1) >= LINES;
  });
}

/** Expressions with another index in the place of a loop variable. */
function replacing(variable: Expr, to: Expr): (e: Expr) => Expr {
  const memo = new Map<Expr, Expr>([[variable, to]]);
  const now = (e: Expr): Expr => {
    const known = memo.get(e);
    if (known) return known;
    const src = e.src.map(now);
    const [a, b] = src as [Expr, Expr];
    const index = e.dtype === "i32" && e.lo !== -Infinity; // a user's integers are no index
    let made = e;
    if (src.some((x, k) => x !== e.src[k])) {
      if (index && e.op === "add") made = a.add(b);
      else if (index && e.op === "mul") made = a.mul(b.const!);
      else made = Expr.make(e.op, src, e.arg, e.dtype, e.lo, e.hi);
    }
    memo.set(e, made);
    return made;
  };
  return now;
}
