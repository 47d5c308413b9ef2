/**
 * What an innermost loop need not do in every iteration. A division by what stays the same is a product with its
 * reciprocal, which is taken once. And where a condition on places holds for a run of iterations, as it does for each of
 * several tensors that are joined, every run is a loop of its own in which nothing is asked.
 */
import type { Loop } from "../compile/program.ts";
import { isFloat } from "../ir/dtype.ts";
import { Expr, linear } from "../ir/expr.ts";

/** The iterations from `from` to `to`, and an expression as it is in them. */
export type Run = { readonly from: number; readonly to: number; readonly of: (e: Expr) => Expr };

/** Fewer iterations than this, on average, are not worth a loop of their own. */
const SHORT = 16;

/** The runs of a loop that computes `roots`, in order. */
export function runs(loop: Loop, roots: readonly Expr[]): Run[] {
  const conditions = new Map<Expr, Condition>();
  const seen = new Set<Expr>();
  const visit = (e: Expr) => {
    if (seen.has(e)) return;
    seen.add(e);
    const c = conditionOn(loop.name, e);
    if (c) conditions.set(e, c);
    e.src.forEach(visit);
  };
  roots.forEach(visit);
  const starts = [...new Set([0, ...[...conditions.values()].map((c) => c.turn)])]
    .filter((i) => i >= 0 && i < loop.n)
    .sort((a, b) => a - b);
  if (starts.length * SHORT > loop.n) return [{ from: 0, to: loop.n, of: steady(loop.name) }];
  return starts.map((from, k) => {
    const known = (e: Expr) => conditions.get(e)?.holds(from);
    return { from, to: starts[k + 1] ?? loop.n, of: rewriter(loop.name, known) };
  });
}

/** An expression as it is in all iterations of a loop. */
export const steady = (loop: string): ((e: Expr) => Expr) => rewriter(loop, () => undefined);

/** The first iteration with another answer, and the answer at one. */
type Condition = { readonly turn: number; readonly holds: (i: number) => boolean };

/** Of a comparison of integers that depends on the loop alone. */
function conditionOn(name: string, e: Expr): Condition | undefined {
  if ((e.op !== "lt" && e.op !== "le") || e.src[0]!.dtype !== "i32") return undefined;
  const [a, b] = e.src.map(linear);
  if (!a || !b) return undefined;
  if ([...a.of.keys(), ...b.of.keys()].some((v) => v !== name)) return undefined;
  const slope = (a.of.get(name) ?? 0) - (b.of.get(name) ?? 0);
  const offset = a.constant - b.constant - (e.op === "le" ? 1 : 0); // in integers x ≤ 0 is x − 1 < 0
  if (slope === 0) return undefined;
  const turn = slope > 0 ? Math.ceil(-offset / slope) : Math.floor(offset / -slope) + 1;
  return { turn, holds: (i) => offset + slope * i < 0 };
}

function rewriter(name: string, known: (e: Expr) => boolean | undefined): (e: Expr) => Expr {
  const memo = new Map<Expr, Expr>();
  const rewrite = (e: Expr): Expr => {
    const to = memo.get(e) ?? simpler(e);
    memo.set(e, to);
    return to;
  };
  const simpler = (e: Expr): Expr => {
    const answer = known(e);
    if (answer !== undefined) return Expr.bool(answer);
    const src = e.src.map(rewrite);
    const [a, b, c] = src as [Expr, Expr, Expr];
    if (e.op === "where" && a.const !== undefined) return a.const ? b : c;
    if (e.op === "and") return a.and(b);
    if (e.op === "load" && b.const === 0) return Expr.value(0, e.dtype);
    // What lies beside a part of joined tensors adds nothing.
    if (e.op === "add" && e.src[0] !== a && a.const === 0) return b;
    if (e.op === "add" && e.src[1] !== b && b.const === 0) return a;
    if (e.op === "div" && isFloat(e.dtype) && b.const === undefined && varies(a) && !varies(b))
      return Expr.make("mul", [a, Expr.make("div", [Expr.value(1, e.dtype), b], null, e.dtype)], null, e.dtype);
    return src.every((s, k) => s === e.src[k]) ? e : Expr.make(e.op, src, e.arg, e.dtype, e.lo, e.hi);
  };
  const within = new Map<Expr, boolean>();
  const varies = (e: Expr): boolean => {
    const is = within.get(e) ?? (e.op === "var" ? e.arg === name : e.src.some(varies));
    within.set(e, is);
    return is;
  };
  return rewrite;
}
