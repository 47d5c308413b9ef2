/**
 * A loop in strips of as many elements as a line of memory has, for two reasons. Lines can be asked for early, each once
 * (streams.ts). And square roots beside divisions: a processor has one unit for both, and takes several times as long in it
 * as for all else that an optimizer's update does to an element. There come the numbers under the roots first, then all roots
 * of the strip by multiplications, then the rest.
 */
import type { Loop, Store } from "../compile/program.ts";
import { Expr } from "../ir/expr.ts";

/** The index within a strip. */
export const LANE = "lane";

/** What a strip does: the numbers under the roots apart, and what it stores once array k holds the roots of the k-th. */
export type Strip = { readonly under: readonly Expr[]; readonly stores: readonly Store[] };

/** A root among the lanes of array k. */
export const array = (k: number): string => `roots${k}`;

/** The strip at the index of the loop. Its roots are taken apart where they stand beside a division in f32, if `apart`. */
export function strip(loop: Loop, stores: readonly Store[], apart: boolean): Strip {
  const varies = memoized<boolean>((e, below) => (e.op === "var" ? e.arg === loop.name : e.src.some(below)));
  const slow = (op: string) => (e: Expr) => e.op === op && e.dtype === "f32" && varies(e);
  const seen = new Set<Expr>();
  const visit = (e: Expr) => {
    if (seen.has(e)) return;
    seen.add(e);
    e.src.forEach(visit);
  };
  for (const s of stores) visit(s.value);
  const below = memoized<boolean>((e, deeper) => e.src.some((s) => s.op === "sqrt" || deeper(s)));
  const divides = apart && [...seen].some((e) => slow("div")(e) && varies(e.src[1]!));
  const roots = divides ? [...seen].filter((e) => slow("sqrt")(e) && !below(e)) : [];

  const at = Expr.index(loop.name, loop.n).add(Expr.make("var", [], LANE, "i32", 0, 15));
  const places = new Map(roots.map((e, k) => [e, Expr.make("var", [], `${array(k)}[${LANE}]`, "f32")]));
  const moved = (known: (e: Expr) => Expr | undefined) =>
    memoized<Expr>((e, move) => {
      if (e.op === "var" && e.arg === loop.name) return at;
      const to = known(e);
      if (to) return to;
      const src = e.src.map(move);
      return src.every((s, k) => s === e.src[k]) ? e : Expr.make(e.op, src, e.arg, e.dtype, e.lo, e.hi);
    });
  const before = moved(() => undefined);
  const after = moved((e) => places.get(e));
  return {
    under: roots.map((e) => before(e.src[0]!)),
    stores: stores.map((s) => ({ ...s, at: after(s.at), value: after(s.value) })),
  };
}

function memoized<T>(f: (e: Expr, again: (e: Expr) => T) => T): (e: Expr) => T {
  const memo = new Map<Expr, T>();
  const again = (e: Expr): T => {
    const known = memo.get(e) ?? f(e, again);
    memo.set(e, known);
    return known;
  };
  return again;
}
