/**
 * Tensors → kernels. Fusion is one function: `at(tensor, index)` walks from an output element back through all that
 * has no buffer, and gives the expression that computes it.
 */
import type { DType } from "../ir/dtype.ts";
import { Expr, linear, loadsIn, ravel, unravel } from "../ir/expr.ts";
import { isElementwise, isMovement, isReduce, movement, reduce } from "../ir/ops.ts";
import { axes, type Shape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Product } from "./contraction.ts";
import { axesInMemory, type Layouts, position } from "./layout.ts";
import type { Buffer, Kernel, Loop } from "./program.ts";

/** The kernel that computes t into `out`. `buffers` are all tensors that have memory. */
export function lower(
  t: Tensor,
  out: Buffer,
  buffers: ReadonlyMap<Tensor, Buffer>,
  layouts: Layouts,
  product: Product | undefined,
): Kernel {
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
    return { kind: "accumulate", loops: long(loops), stores: [store], zero: 0, join: "add" };
  }
  const { loops, made } = split(nest(t.shape), axesInMemory(t, layouts), (i) => ({
    at: position(t, i, layouts),
    value: compute(t, i, inside, at),
  }));
  return { kind: "nest", loops, reductions: [], stores: [{ buffer: out, ...made }] };
}

/**
 * What `make` gives for the index of an output element, and the loops over them in the order of memory. Where a loop's
 * variable is divided by a number, as in what was spread over windows, the loop becomes two, and every place is linear
 * in their variables. The innermost loop stays whole: it is what vectorises.
 */
function split<T extends { at: Expr; value: Expr }>(
  axes: readonly Loop[],
  order: readonly number[],
  make: (i: Expr[]) => T,
) {
  const parts = axes.map((l) => [l]);
  const innermost = axes[order.findLast((k) => axes[k]!.n !== 1) ?? -1]?.name;
  for (;;) {
    const i = parts.map((ls) => ls.reduce((sum, l) => sum.mul(l.n).add(Expr.index(l.name, l.n)), Expr.int(0)));
    const made = make(i);
    const cut = divided([made.at, made.value], innermost);
    const k = parts.findIndex((ls) => ls.some((l) => l.name === cut?.name));
    const at = parts[k]?.findIndex((l) => l.name === cut?.name);
    if (!cut || at === undefined) return { loops: long(order.flatMap((k) => parts[k]!)), made };
    const { name, n } = parts[k]![at]!;
    parts[k]!.splice(at, 1, { name: `${name}q${cut.by}`, n: n / cut.by }, { name: `${name}r${cut.by}`, n: cut.by });
  }
}

/** A loop variable that is divided by a divisor of its length, but for one. */
function divided(roots: readonly Expr[], but: string | undefined): { name: string; by: number } | undefined {
  const seen = new Set<Expr>();
  const stack = [...roots];
  for (let e = stack.pop(); e; e = stack.pop()) {
    if (seen.has(e)) continue;
    seen.add(e);
    const [x, by] = e.src;
    const whole = (e.op === "div" || e.op === "mod") && e.dtype === "i32" && x!.op === "var" && x!.arg !== but;
    if (whole && (x!.hi + 1) % by!.const! === 0) return { name: x!.arg as string, by: by!.const! };
    stack.push(...e.src);
  }
  return undefined;
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
  const order = axesInMemory(t, layouts);
  const value = (i: readonly Expr[], r: readonly Expr[]) =>
    at(
      x,
      i.map((e, k) => r[over.indexOf(k)] ?? e),
      Expr.bool(true),
    );
  /** Each entry as the terms at these places of x, joined. */
  const joined = (places: readonly (readonly Expr[])[]) =>
    split(all, order, (i) => ({
      at: position(t, i, layouts),
      value: places.map((r) => value(i, r)).reduce((a, b) => Expr.make(join, [a, b], null, t.dtype)),
    }));
  const count = inner.reduce((product, l) => product * l.n, 1);
  if (count > 0 && count <= FEW && closeBy(value(variables(all), variables(inner)), all[order.at(-1) ?? -1])) {
    const taps = Array.from({ length: count }, (_, k) =>
      unravel(
        Expr.int(k),
        over.map((j) => x.shape[j]!),
      ),
    );
    const { loops, made } = joined(taps);
    return { kind: "nest", loops, reductions: [], stores: [{ buffer: out, ...made }] };
  }
  const one = joined([variables(inner)]);
  // Longest steps outside, so that the sum walks memory as it lies.
  const forms = loadsIn([one.made.value]).flatMap((e) => linear(e.src[0]!)?.of ?? []);
  const step = (l: Loop) => Math.max(0, ...forms.map((of) => Math.abs(of.get(l.name) ?? 0)));
  inner.sort((a, b) => step(b) - step(a));
  if (alongRows(one.made.value, one.loops, inner)) {
    const rows = inner.at(-1)!;
    const by = TOGETHER.find((n) => rows.n % n === 0)!;
    const fewer = inner.with(-1, { ...rows, n: rows.n / by });
    const place = new Map(fewer.map((l) => [l.name, Expr.index(l.name, l.n).mul(l.name === rows.name ? by : 1)]));
    const together = Array.from({ length: by }, (_, n) =>
      over.map((k) => place.get(`r${k}`)!.add(`r${k}` === rows.name ? n : 0)),
    );
    const { loops, made } = joined(together);
    const row = rowOf(loops, [made.at, ...loadsIn([made.value]).map((e) => e.src[0]!)]);
    const stores = [{ buffer: out, ...made }];
    return { kind: "accumulate", loops: [...loops.slice(0, row), ...fewer, ...loops.slice(row)], stores, zero, join };
  }
  const name = `acc_${out.name}`;
  return {
    kind: "nest",
    loops: one.loops,
    reductions: [{ name, loops: inner, value: one.made.value, zero, join }],
    stores: [{ buffer: out, at: one.made.at, value: Expr.make("acc", [], name, t.dtype) }],
  };
}

/** Where the innermost loops begin that walk all of memory as one: a row that is added up while it is in the cache. */
function rowOf(loops: readonly Loop[], places: readonly Expr[]): number {
  const forms = places.map((e) => linear(e)?.of);
  let row = loops.length - 1;
  const asOne = (outer: Loop, l: Loop) =>
    forms.every((of) => of && (of.get(outer.name) ?? 0) === l.n * (of.get(l.name) ?? 0));
  while (row > 0 && asOne(loops[row - 1]!, loops[row]!)) row--;
  return row;
}

/** Rows that are added up before they go to the sum: it would otherwise wait for each. The first that divides them. */
const TOGETHER = [4, 7, 5, 3, 2, 1];

/** As many taps of a window are written out, one after the other. */
const FEW = 16;

/** Whether neighbours along an output axis are read close by, so that vectors run along it. */
function closeBy(value: Expr, last: Loop | undefined): boolean {
  if (!last || last.n < 4) return false;
  const steps = loadsIn([value]).map((e) => Math.abs(linear(e.src[0]!)?.of.get(last.name) ?? 0));
  return steps.every((step) => step <= 4) && steps.some((step) => step > 0);
}

/**
 * Whether memory runs along an output axis and across the reduced ones: then whole rows are added up at a time. A number
 * for each row, such as its mean, may lie as it likes.
 */
function alongRows(value: Expr, loops: readonly Loop[], inner: readonly Loop[]): boolean {
  const last = loops.at(-1);
  if (!last || last.n < 4) return false;
  const forms = loadsIn([value]).map((e) => linear(e.src[0]!)?.of);
  const across = forms.filter((of) => of?.get(last.name));
  const unit = (l: Loop) => across.some((of) => of?.get(l.name) === 1);
  return unit(last) && !inner.some(unit);
}

const nest = (s: Shape): Loop[] => axes(s).map((k) => ({ name: `i${k}`, n: s[k]! }));
const long = (loops: readonly Loop[]) => loops.filter((l) => l.n !== 1);
const variables = (loops: readonly Loop[]) => loops.map((l) => Expr.index(l.name, l.n));
