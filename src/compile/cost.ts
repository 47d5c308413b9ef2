/**
 * What a kernel has to do at least, read off the program: the arithmetic it is made of, and the places it reads and
 * writes, each once however often it comes back to it. The two axes of a roofline.
 */
import { storages } from "../ir/dtype.ts";
import { type Expr, loadsIn } from "../ir/expr.ts";
import { isElementwise } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import type { Buffer, Kernel, Loop } from "./program.ts";

export type Cost = {
  /** A multiply-add of a product is two, any other operation on floats is one, an elementary function too. */
  readonly flops: number;
  readonly bytes: number;
};

export function costOf(kernel: Kernel, named: ReadonlyMap<string, Buffer>): Cost {
  const places = new Map<Buffer, number>();
  const touch = (b: Buffer, n: number) => places.set(b, Math.min(size(b.shape), (places.get(b) ?? 0) + n));
  let flops = 0;
  if (kernel.kind === "contraction") {
    const { loops, m, n, sum, a, b, c } = kernel;
    const k = sum.reduce((all, step) => all * step.n, 1);
    const outer = (e: Expr) => extent(e, loops);
    flops = 2 * m * n * k * count(loops);
    touch(a.buffer, outer(a.at) * m * k);
    touch(b.buffer, outer(b.at) * n * k);
    touch(c.buffer, outer(c.at) * m * n);
  } else {
    const { loops, stores } = kernel;
    const values: [Expr, readonly Loop[]][] = stores.flatMap(({ at, value }): [Expr, readonly Loop[]][] => [
      [at, loops],
      [value, loops],
    ]);
    if (kernel.kind === "nest") {
      for (const r of kernel.reductions) {
        values.push([r.value, [...loops, ...r.loops]]);
        flops += count([...loops, ...r.loops]); // joining
      }
    } else flops += count(loops) * stores.length;
    for (const load of loadsIn(values.map(([e]) => e))) {
      const around = values.find(([e]) => loadsIn([e]).includes(load))![1];
      touch(named.get(load.arg as string)!, extent(load, around));
    }
    for (const { buffer, at } of stores) touch(buffer, extent(at, loops));
    const counted = new Set<Expr>();
    for (const [value, around] of values) flops += operations(value, around, counted);
  }
  let bytes = 0;
  for (const [{ dtype, storage }, n] of places) bytes += n * storages[storage ?? dtype].bytes;
  return { flops, bytes };
}

const count = (loops: readonly Loop[]): number => loops.reduce((all, l) => all * l.n, 1);

/** How many different values an expression can take, as far as the loops tell: those it depends on. */
function extent(e: Expr, loops: readonly Loop[]): number {
  const names = new Set([...below(e)].flatMap((x) => (x.op === "var" ? [x.arg as string] : [])));
  return count(loops.filter((l) => names.has(l.name)));
}

/** Operations on floats below an expression, each as often as the loops it depends on have iterations. */
function operations(root: Expr, loops: readonly Loop[], counted: Set<Expr>): number {
  let all = 0;
  for (const e of below(root)) {
    if (counted.has(e)) continue;
    counted.add(e);
    const float = e.dtype === "f32" || e.dtype === "f64";
    if (float && isElementwise(e.op as never) && e.op !== "where" && e.op !== "cast") all += extent(e, loops);
  }
  return all;
}

function below(root: Expr): Set<Expr> {
  const seen = new Set<Expr>();
  const stack = [root];
  for (let e = stack.pop(); e; e = stack.pop()) {
    if (seen.has(e)) continue;
    seen.add(e);
    stack.push(...e.src);
  }
  return seen;
}
