/**
 * Tensors → kernels. Fusion is one function: `at(tensor, index)` walks from an output element back through all that
 * has no buffer, and gives the expression that computes it.
 */
import type { DType } from "../ir/dtype.ts";
import { Expr, linear, ravel } from "../ir/expr.ts";
import { isElementwise, isMovement, isReduce, movement, reduce } from "../ir/ops.ts";
import { axes, type Shape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Product } from "./contraction.ts";
import { axesInMemory, type Layouts, position } from "./layout.ts";
import { type Buffer, type Kernel, type Loop, loadsIn } from "./program.ts";

/** The kernel that computes `out.tensor`. `buffers` are all tensors that have memory. */
export function lower(
  out: Buffer,
  buffers: ReadonlyMap<Tensor, Buffer>,
  layouts: Layouts,
  product: Product | undefined,
): Kernel {
  const t = out.tensor;
  if (product) {
    const matrix = ({ tensor, at, stride }: Product["a"]) => ({ buffer: buffers.get(tensor)!, at, stride });
    const { loops, m, n, sum, a, b, c } = product;
    return { kind: "contraction", loops, m, n, sum, a: matrix(a), b: matrix(b), c: { buffer: out, ...c } };
  }
  const at = reader(buffers, layouts);
  const inside = Expr.bool(true);
  if (isReduce(t.op)) return reduction(t, out, at, layouts);
  if (t.op === "scatter") {
    // The one kernel that pushes: it loops over the source.
    const [x, rows] = t.src as [Tensor, Tensor];
    const loops = nest(x.shape);
    const j = variables(loops);
    const row = at(rows, j.slice(0, rows.rank), inside).clamp(t.shape[0]!);
    const to = ravel([row, ...j.slice(rows.rank)], t.shape);
    const store = { buffer: out, at: to, value: at(x, j, inside) };
    return { kind: "accumulate", loops: long(loops), store, zero: 0, join: "add" };
  }
  const loops = nest(t.shape);
  const i = variables(loops);
  const store = { buffer: out, at: position(t, i, layouts), value: compute(t, i, inside, at) };
  return { kind: "nest", loops: inMemory(t, loops, layouts), reductions: [], stores: [store] };
}

type At = (t: Tensor, i: readonly Expr[], inside: Expr) => Expr;

/** The value of t at index i. Where `inside` is false the value is not used, and a load is skipped. */
function reader(buffers: ReadonlyMap<Tensor, Buffer>, layouts: Layouts): At {
  const memo = new Map<Tensor, Map<string, Expr>>();
  const at: At = (t, i, inside) => {
    if (inside.const === 0) return Expr.value(0, t.dtype);
    const known = memo.get(t) ?? new Map<string, Expr>();
    memo.set(t, known);
    const key = `${i.map((x) => x.id)} ${inside.id}`;
    const b = buffers.get(t);
    const e = known.get(key) ?? (b ? load(b, position(t, i, layouts), inside) : compute(t, i, inside, at));
    known.set(key, e);
    return e;
  };
  return at;
}

export const load = (b: Buffer, position: Expr, inside: Expr = Expr.bool(true)): Expr =>
  Expr.make("load", [position, inside], b.name, b.dtype);

function compute(t: Tensor, i: readonly Expr[], inside: Expr, at: At): Expr {
  const [x, rows] = t.src as [Tensor, Tensor];
  if (t.op === "const") return Expr.value(t.arg as number, t.dtype);
  if (t.op === "iota") return convert(i[0]!, t.dtype);
  if (t.op === "detach" || t.op === "bound") return at(x, i, inside);
  if (t.op === "gather") {
    const row = at(rows, i.slice(0, rows.rank), inside).clamp(x.shape[0]!);
    return at(x, [row, ...i.slice(rows.rank)], inside);
  }
  if (t.op === "cast") return convert(at(x, i, inside), t.dtype);
  if (isElementwise(t.op)) {
    const src = t.src.map((s) => at(s, i, inside));
    if (t.op === "add") return sum(src[0]!, src[1]!, t.dtype);
    return t.op === "div" && t.isFloat ? quotient(src[0]!, src[1]!, t.dtype) : Expr.make(t.op, src, null, t.dtype);
  }
  if (!isMovement(t.op)) throw new Error(`lower: ${t.op} always has a buffer`);
  // never: the argument's type goes with the op
  const moved = movement[t.op].index(i, t.arg as never, x.shape);
  const valid = moved.inside ?? Expr.bool(true);
  if (valid.const === 0) return Expr.value(0, t.dtype);
  const value = at(x, moved.at, inside.and(valid));
  if (valid.const || value.op === "load") return value; // a load outside is already 0
  return Expr.make("where", [valid, value, Expr.value(0, t.dtype)], null, t.dtype);
}

/** What lies beside a part of joined ones adds nothing. */
const sum = (a: Expr, b: Expr, d: DType): Expr =>
  a.const === 0 ? b : b.const === 0 ? a : Expr.make("add", [a, b], null, d);

/** By a number that is the same in every iteration: one division before the loop, and a product in it. */
function quotient(a: Expr, b: Expr, d: DType): Expr {
  if (b.varies || !a.varies) return Expr.make("div", [a, b], null, d);
  return Expr.make("mul", [a, Expr.make("div", [Expr.value(1, d), b], null, d)], null, d);
}

const convert = (e: Expr, d: DType): Expr => (e.dtype === d ? e : Expr.make("cast", [e], null, d));

function reduction(t: Tensor, out: Buffer, at: At, layouts: Layouts): Kernel {
  const x = t.src[0]!;
  const over = t.arg as readonly number[];
  const { zero, join } = reduce[t.op as "sum" | "amax"];
  const inner = over.map((k): Loop => ({ name: `r${k}`, n: x.shape[k]! }));
  const all = nest(t.shape);
  const loops = inMemory(t, all, layouts);
  const i = variables(all);
  const r = variables(inner);
  const value = at(
    x,
    i.map((e, k) => r[over.indexOf(k)] ?? e),
    Expr.bool(true),
  );
  const place = position(t, i, layouts);
  if (alongRows(value, loops, inner)) {
    const store = { buffer: out, at: place, value };
    return { kind: "accumulate", loops: [...inner, ...loops], store, zero, join };
  }
  const name = `acc_${out.name}`;
  return {
    kind: "nest",
    loops,
    reductions: [{ name, loops: inner, value, zero, join }],
    stores: [{ buffer: out, at: place, value: Expr.make("acc", [], name, t.dtype) }],
  };
}

/** Whether memory runs along an output axis and across the reduced ones: then whole rows are added up at a time. */
function alongRows(value: Expr, loops: readonly Loop[], inner: readonly Loop[]): boolean {
  const last = loops.at(-1);
  if (!last || last.n < 4) return false;
  const forms = loadsIn([value]).map((e) => linear(e.src[0]!)?.of);
  const unit = (l: Loop) => forms.some((of) => of?.get(l.name) === 1);
  return unit(last) && !inner.some(unit);
}

const nest = (s: Shape): Loop[] => axes(s).map((k) => ({ name: `i${k}`, n: s[k]! }));
const inMemory = (t: Tensor, loops: readonly Loop[], layouts: Layouts) =>
  long(axesInMemory(t, layouts).map((k) => loops[k]!));
const long = (loops: readonly Loop[]) => loops.filter((l) => l.n !== 1);
const variables = (loops: readonly Loop[]) => loops.map((l) => Expr.index(l.name, l.n));
