/**
 * Recognises a sum of products as a matrix product: which loop variables walk the rows of A, the columns of B, and
 * what is summed. Movement ops only change strides, so transposes, merged axes and sliding windows cost nothing here;
 * a convolution is a product whose sum has several axes. Only zeros around a factor need a copy of it in memory.
 */
import { Expr, linear } from "../ir/expr.ts";
import { isMovement, movement } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Layouts, position } from "./layout.ts";
import type { Loop, Step, Strides } from "./program.ts";

/** A contraction in terms of the tensors it reads; `a.at` and the others are shifts by the outer loops. */
export type Product = {
  readonly loops: readonly Loop[];
  readonly m: number;
  readonly n: number;
  readonly sum: readonly Step[];
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: { readonly at: Expr; readonly strides: Strides };
};
type Matrix = { readonly tensor: Tensor; readonly at: Expr; readonly stride: number };

/** Where an index of the product lands in a factor: elements per step of the loops, i0 … that stay and r0 … that are summed. */
export type Factor = { readonly tensor: Tensor; readonly constant: number; readonly of: ReadonlyMap<string, number> };

/** Below this many elements a lone matrix is not worth a kernel of its own: the product fuses with its neighbours. */
const LARGE_MATRIX = 2048;

/** The factors of t = Σ a·b, or undefined where it is no such sum. Needs a scope of Exprs. */
export function factorsOf(t: Tensor, layouts: Layouts): { a: Factor; b: Factor } | undefined {
  const x = t.src[0]!;
  if (t.op !== "sum" || x.op !== "mul" || !t.isFloat || size(x.shape) === 0) return undefined;
  const index = loopsOf(t).map((l) => Expr.index(l.name, l.n));
  const a = factor(x.src[0]!, index, layouts);
  const b = factor(x.src[1]!, index, layouts);
  return a && b && { a, b };
}

/** One loop per axis of what is summed. */
const loopsOf = (t: Tensor): Loop[] =>
  t.src[0]!.shape.map((n, k) => ({ name: `${(t.arg as readonly number[]).includes(k) ? "r" : "i"}${k}`, n }));

/** t = Σ a·b as a matrix product, or undefined where it is not one or is better fused. Needs a scope of Exprs. */
export function product(t: Tensor, layouts: Layouts): Product | undefined {
  const factors = factorsOf(t, layouts);
  if (!factors) return undefined;
  const { a, b } = factors;
  const all = loopsOf(t);
  const summed = (l: Loop) => l.name.startsWith("r");
  const c = linear(
    position(
      t,
      all.map((l) => (summed(l) ? Expr.int(0) : Expr.index(l.name, l.n))),
      layouts,
    ),
  );
  if (!c) return undefined;

  const loops = all.filter((l) => l.n > 1);
  const inA = (l: Loop) => a.of.has(l.name);
  const inB = (l: Loop) => b.of.has(l.name);
  if (loops.some((l) => (summed(l) ? !(inA(l) && inB(l)) : !inA(l) && !inB(l)))) return undefined;
  const step = (of: ReadonlyMap<string, number>, l: Loop) => of.get(l.name) ?? 0;
  // Longest steps outside: what lies side by side is walked last, and merged where it goes on as one.
  const nested = (ls: Loop[], ...forms: ReadonlyMap<string, number>[]) =>
    merged(
      ls.sort((p, q) => Math.abs(step(forms[0]!, q)) - Math.abs(step(forms[0]!, p))),
      forms,
    );
  const ks = nested(loops.filter(summed), b.of, a.of);
  const ms = nested(
    loops.filter((l) => !summed(l) && !inB(l)),
    a.of,
    c.of,
  );
  const ns = nested(
    loops.filter((l) => !summed(l) && !inA(l)),
    b.of,
    c.of,
  );
  const k = ks.reduce((product, l) => product * l.n, 1);
  const m = ms.at(-1) ?? ONE;
  const n = ns.at(-1) ?? ONE;
  if (m.n * n.n === 1) return undefined;
  if (m.n === 1 || n.n === 1) {
    // A matrix by a vector: only where the matrix lies in memory anyway.
    const matrix = m.n === 1 ? b.tensor : a.tensor;
    if (ks.length > 1 || m.n * n.n * k < LARGE_MATRIX || !inMemory(matrix)) return undefined;
  }
  const batch = loops.filter((l) => !summed(l) && inA(l) && inB(l));
  const outer = [...batch, ...ms.slice(0, -1), ...ns.slice(0, -1)].sort((p, q) => step(c.of, q) - step(c.of, p));
  const shift = (of: ReadonlyMap<string, number>, constant: number) =>
    outer.reduce((sum, l) => sum.add(Expr.index(l.name, l.n).mul(of.get(l.name) ?? 0)), Expr.int(constant));
  return {
    loops: outer,
    m: m.n,
    n: n.n,
    sum: ks.map((l) => ({ n: l.n, a: step(a.of, l), b: step(b.of, l) })),
    a: { tensor: a.tensor, at: shift(a.of, a.constant), stride: step(a.of, m) },
    b: { tensor: b.tensor, at: shift(b.of, b.constant), stride: step(b.of, n) },
    c: { at: shift(c.of, c.constant), strides: { row: step(c.of, m), col: step(c.of, n) } },
  };
}

const ONE: Loop = { name: "", n: 1 };
const inMemory = (t: Tensor) => t.op === "input" || t.op === "literal" || t.op === "sum" || t.op === "gather";

/**
 * The tensor below all movement, and where an index of the outside lands in it, as a linear form. It ends sooner where
 * something is to be in memory: zeros around a tensor, the copy of a weight that has a layout of its own, and an axis
 * merged of some that do not lie one within the other.
 */
function factor(outside: Tensor, i: readonly Expr[], layouts: Layouts): Factor | undefined {
  let t = outside;
  let at = [...i];
  let found = placed(t, at, layouts);
  while ((isMovement(t.op) && !layouts.has(t)) || t.op === "detach") {
    if (isMovement(t.op)) {
      const moved = movement[t.op].index(at, t.arg as never, t.src[0]!.shape);
      if (moved.inside && !moved.inside.const) break;
      at = moved.at;
    }
    t = t.src[0]!;
    found = placed(t, at, layouts) ?? found;
  }
  if (t.op === "const" || t.op === "iota" || size(t.shape) === 1) return undefined;
  return found;
}

function placed(tensor: Tensor, at: readonly Expr[], layouts: Layouts): Factor | undefined {
  const form = linear(position(tensor, at, layouts));
  return form && { tensor, constant: form.constant, of: form.of };
}

/** Neighbouring loops that walk memory as one, made one: its name is the inner one's. */
function merged(ls: readonly Loop[], forms: readonly ReadonlyMap<string, number>[]): Loop[] {
  const out: Loop[] = [];
  for (const l of ls) {
    const last = out.at(-1);
    if (last && forms.every((of) => of.get(last.name) === l.n * (of.get(l.name) ?? 0))) {
      out[out.length - 1] = { name: l.name, n: last.n * l.n };
    } else out.push(l);
  }
  return out;
}
