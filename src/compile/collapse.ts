/**
 * Neighbouring loops that walk every buffer as one long axis become one loop: the inner loop is then as long as memory
 * allows, which is what a vectorising compiler wants.
 */
import { Expr, linear, terms } from "../ir/expr.ts";
import type { Kernel, Loop, Store } from "./program.ts";

export function collapse(k: Kernel): Kernel {
  if (k.kind === "contraction") return k;
  if (k.kind === "accumulate") {
    const { loops, rewrite } = flatten(
      k.loops,
      k.stores.map((s) => s.at),
      k.stores.map((s) => s.value),
    );
    return { ...k, loops, stores: k.stores.map((s) => moved(s, rewrite)) };
  }
  const values = [...k.reductions.map((r) => r.value), ...k.stores.map((s) => s.value)];
  const outer = flatten(
    k.loops,
    k.stores.map((s) => s.at),
    values,
  );
  const reductions = k.reductions.map((r) => {
    const value = outer.rewrite(r.value);
    const inner = flatten(r.loops, [], [value]);
    return { ...r, loops: inner.loops, value: inner.rewrite(value) };
  });
  return { ...k, loops: outer.loops, reductions, stores: k.stores.map((s) => moved(s, outer.rewrite)) };
}

const moved = (s: Store, rewrite: Rewrite): Store => ({ ...s, at: rewrite(s.at), value: rewrite(s.value) });

type Rewrite = (e: Expr) => Expr;

/** The loops with neighbours merged, and what that does to an expression. */
function flatten(loops: readonly Loop[], positions: readonly Expr[], values: readonly Expr[]) {
  const forms: ReadonlyMap<string, number>[] = [];
  const fixed = new Set<string>(); // variables whose value matters, not only the place they lead to
  const seen = new Set<Expr>();
  const position = (e: Expr) => {
    const form = linear(e);
    if (form) forms.push(form.of);
    else visit(e);
  };
  const visit = (e: Expr) => {
    if (seen.has(e)) return;
    seen.add(e);
    if (e.op === "var") fixed.add(e.arg as string);
    if (e.op === "load") {
      position(e.src[0]!);
      visit(e.src[1]!);
    } else e.src.forEach(visit);
  };
  positions.forEach(position);
  values.forEach(visit);

  const gone = new Set<string>();
  const out: Loop[] = [];
  for (const l of loops) {
    const last = out.at(-1);
    const asOne = (of: ReadonlyMap<string, number>) => (of.get(last!.name) ?? 0) === l.n * (of.get(l.name) ?? 0);
    if (last && !fixed.has(last.name) && !fixed.has(l.name) && forms.every(asOne)) {
      gone.add(last.name);
      out[out.length - 1] = { name: l.name, n: last.n * l.n };
    } else out.push(l);
  }
  return { loops: out, rewrite: gone.size ? rewriting(out, gone) : (e: Expr) => e };
}

/** Positions lose the variables that are gone; their share is in the coefficient of the loop they went into. */
function rewriting(loops: readonly Loop[], gone: ReadonlySet<string>): Rewrite {
  const longer = new Map(loops.map((l) => [l.name, Expr.index(l.name, l.n)]));
  const memo = new Map<Expr, Expr>();
  const rewrite: Rewrite = (e) => {
    let to = memo.get(e);
    if (!to) {
      const src = e.src.map((s, k) => (e.op === "load" && k === 0 ? place(s) : rewrite(s)));
      to = src.every((x, k) => x === e.src[k]) ? e : Expr.make(e.op, src, e.arg, e.dtype, e.lo, e.hi);
      memo.set(e, to);
    }
    return to;
  };
  const place = (e: Expr): Expr => {
    if (!linear(e)) return rewrite(e);
    return terms(e).reduce((sum, t) => {
      const x = t.op === "mul" ? t.src[0]! : t;
      if (x.op !== "var") return sum.add(t);
      const name = x.arg as string;
      if (gone.has(name)) return sum;
      return sum.add((longer.get(name) ?? x).mul(t.op === "mul" ? t.src[1]!.const! : 1));
    }, Expr.int(0));
  };
  return (e) => (e.dtype === "i32" && linear(e) ? place(e) : rewrite(e));
}
