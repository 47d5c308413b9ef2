/**
 * A sum of products as a matrix product. Whatever movement lies between, each factor is followed down to the deepest
 * tensor of which every axis is still one axis of the product. Axes then fall into four groups: in both factors and the
 * result (batch), in one of them and the result (rows, columns), in both and summed (inner).
 */
import { Expr, fresh } from "../../ir/expr.ts";
import { isMovement, movement } from "../../ir/ops.ts";
import { axes, type Shape, size } from "../../ir/shape.ts";
import { constant, type Tensor } from "../../ir/tensor.ts";
import type { Builder } from "./builder.ts";
import type { Translated } from "./ops.ts";
import { made, type Wire } from "./wire.ts";

/** A tensor, and which axis of the product each of its axes is; undefined for one of length 1 that is none. */
type Factor = { readonly tensor: Tensor; readonly axes: readonly (number | undefined)[] };

/** The wire of t = Σ a · b where that is a matrix product, undefined elsewhere. */
export const contraction = (b: Builder, t: Tensor, known: Translated): Wire | undefined =>
  fresh(() => {
    const x = t.src[0]!;
    if (x.op !== "mul" || !t.isFloat || size(x.shape) === 0) return undefined;
    const index = x.shape.map((n, k) => Expr.index(`${k}`, n));
    return product(b, t, factor(x.src[0]!, index), factor(x.src[1]!, index), known);
  });

function factor(outside: Tensor, index: readonly Expr[]): Factor | undefined {
  let found: Factor | undefined;
  let at = [...index];
  for (let t = outside; ; t = t.src[0]!) {
    const own = at.map((e, k) => (e.op === "var" && e.hi === t.shape[k]! - 1 ? Number(e.arg) : undefined));
    const whole = own.every((axis, k) => t.shape[k] === 1 || (axis !== undefined && own.indexOf(axis) === k));
    if (whole) found = { tensor: t, axes: own };
    if (constant(t) !== undefined) return found; // a constant has no axes below: a first state of zeros, say
    if (isMovement(t.op)) {
      const moved = movement[t.op].index(at, t.arg as never, t.src[0]!.shape);
      if (moved.inside && !moved.inside.const) return found;
      at = moved.at;
    } else if (t.op !== "detach") return found;
  }
}

function product(b: Builder, t: Tensor, p: Factor | undefined, q: Factor | undefined, known: Translated) {
  if (!p || !q) return undefined;
  const full = t.src[0]!.shape;
  const over = t.arg as readonly number[];
  const long = axes(full).filter((k) => full[k] !== 1);
  const within = (k: number) => [p.axes.includes(k), q.axes.includes(k)] as const;
  const inner = long.filter((k) => over.includes(k));
  if (inner.some((k) => !within(k).every(Boolean)) || long.some((k) => !within(k).some(Boolean))) return undefined;
  const free = long.filter((k) => !over.includes(k));
  const shared = free.filter((k) => within(k).every(Boolean));
  const [own, others] = [free.filter((k) => !q.axes.includes(k)), free.filter((k) => !p.axes.includes(k))];
  if (own.length + others.length === 0) return undefined; // each row by its own row: no matrix
  // The factor whose axes come first in the result is the left one, so that nothing has to be turned afterwards.
  const swap = own.length === 0 || (others.length > 0 && others[0]! < own[0]!);
  const [left, right, rows, columns] = swap ? [q, p, others, own] : [p, q, own, others];

  const lengths = (ks: readonly number[]) => ks.map((k) => full[k]!);
  const a = arranged(b, left, known, shared, rows, inner, lengths);
  const c = arranged(b, right, known, shared, inner, columns, lengths);
  const y = matmul(b, a, c);
  const order = [...shared, ...rows, ...columns];
  const split = b.reshape(y, lengths(order));
  const back = b.transpose(
    split,
    free.map((k) => order.indexOf(k)),
  );
  return b.reshape(back, t.shape);
}

/** A factor as [..shared, first, second], the axes of a group merged into one. */
function arranged(
  b: Builder,
  f: Factor,
  known: Translated,
  shared: readonly number[],
  first: readonly number[],
  second: readonly number[],
  lengths: (ks: readonly number[]) => Shape,
): Wire {
  const present = f.axes.filter((k) => k !== undefined);
  const order = [...shared, ...first, ...second];
  const x = b.reshape(known.get(f.tensor)!, lengths(present));
  const turned = b.transpose(
    x,
    order.map((k) => present.indexOf(k)),
  );
  return b.reshape(turned, [...lengths(shared), size(lengths(first)), size(lengths(second))]);
}

/** Gemm where a lone matrix is transposed, which it does on its own; MatMul elsewhere. */
function matmul(b: Builder, x: Wire, y: Wire): Wire {
  const shape = [...x.shape.slice(0, -1), y.shape.at(-1)!];
  if (shape.length === 2) {
    const [p, q] = [made(x, "Transpose")?.src[0], made(y, "Transpose")?.src[0]];
    if (p || q) return b.node("Gemm", [p ?? x, q ?? y], { transA: p ? 1 : 0, transB: q ? 1 : 0 }, x.type, shape);
  }
  return b.node("MatMul", [x, y], {}, x.type, shape);
}
