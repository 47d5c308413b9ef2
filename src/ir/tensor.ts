/**
 * Tensor: an immutable node of the graph. It has a shape and a dtype, never memory. One method per primitive; below
 * the line, what is written in those and so has no gradient rule to get wrong. More of that in math.ts.
 */
import { type DType, isFloat } from "./dtype.ts";
import { fail, modulePath, where as place, shown, type Trail, trail, userLine } from "./fail.ts";
import {
  type Binary,
  type Elementwise,
  type Movement,
  type MovementArgs,
  movement,
  type Op,
  type Range,
  type Reduce,
  type Unary,
  type Window,
  windows,
} from "./ops.ts";
import { axes, axisOf, type Shape, sameShape, size } from "./shape.ts";
import type { Value } from "./value.ts";

export type Like = Tensor | number;
/** One axis or several, negative ones from the end; left out, all of them. */
export type Axes = number | readonly number[];

/** Where a node was written: the module path, and a stack that is only turned into text when a message needs it. */
export class Origin {
  readonly module: string;
  /** Of a node in a gradient: where the node was written that it is the gradient of. */
  readonly of: Origin | undefined;
  /** The part of a forward pass that it belongs to, where `recompute` marked one; gradients belong to none. */
  readonly part: object | undefined;
  private readonly trail: Trail;

  constructor(of?: Origin) {
    this.module = of ? of.module : modulePath();
    this.of = of;
    this.part = of ? undefined : marked;
    this.trail = of ? of.trail : trail();
  }

  toString(): string {
    return place(this.module, userLine(this.trail));
  }
}

let common: Origin | undefined;
let marked: object | undefined;

/**
 * Nodes that `body` makes are one part of the forward pass: a program does not keep what is computed in it until gradients
 * want it, but computes it again then (compile/recompute.ts). The same bits, less memory, more time. A part within a
 * part belongs to the outer one.
 */
export function recompute<T>(body: () => T): T {
  if (marked) return body();
  const outer = common;
  [marked, common] = [{}, undefined];
  try {
    return body();
  } finally {
    [marked, common] = [undefined, outer];
  }
}

function from<T>(origin: Origin, body: () => T): T {
  const outer = common;
  common = origin;
  try {
    return body();
  } finally {
    common = outer;
  }
}

/** Nodes that `body` makes belong to the gradient of t. */
export const asGradientOf = <T>(t: Tensor, body: () => T): T => from(new Origin(t.origin), body);

/** Nodes that `body` makes stand for t, and were written where it was. */
export const inPlaceOf = <T>(t: Tensor, body: () => T): T => from(t.origin, body);

/** Nodes that `body` makes are written at one place: the stack, which is slow to look at, is looked at once. */
export const asOne = <T>(body: () => T): T => (common ? body() : from(new Origin(), body));

export class Tensor {
  readonly op: Op;
  readonly src: readonly Tensor[];
  /** What the row of `op` in ops.ts takes: a target shape, axes, ranges, a window; a constant; a literal's Value. */
  readonly arg: unknown;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly origin: Origin;

  constructor(
    op: Op,
    src: readonly Tensor[],
    arg: unknown,
    shape: Shape,
    dtype: DType,
    origin = common ?? new Origin(),
  ) {
    this.op = op;
    this.src = src;
    this.arg = arg;
    this.shape = shape;
    this.dtype = dtype;
    this.origin = origin;
  }

  get rank(): number {
    return this.shape.length;
  }
  get isFloat(): boolean {
    return isFloat(this.dtype);
  }

  // ---- elementwise: operands broadcast as in NumPy ---------------------------------------------------------------------
  exp(): Tensor {
    return unary("exp", this);
  }
  /** eˣ − 1, accurate near 0. */
  expm1(): Tensor {
    return unary("expm1", this);
  }
  log(): Tensor {
    return unary("log", this);
  }
  /** log(1 + x), accurate near 0. */
  log1p(): Tensor {
    return unary("log1p", this);
  }
  sin(): Tensor {
    return unary("sin", this);
  }
  cos(): Tensor {
    return unary("cos", this);
  }
  tanh(): Tensor {
    return unary("tanh", this);
  }
  erf(): Tensor {
    return unary("erf", this);
  }
  sqrt(): Tensor {
    return unary("sqrt", this);
  }
  floor(): Tensor {
    return unary("floor", this);
  }
  /**
   * Rounded to the nearest bfloat16, a float of 8 significant bits, ties to even; the dtype stays. The gradient passes as
   * if nothing had been rounded. Rounded factors are what a matrix product in bf16 is made of: it adds up in f32.
   */
  bf16(): Tensor {
    return unary("bf16", this);
  }
  /** As `bf16`, to the nearest IEEE 754 half: 11 significant bits, and an infinity from 65520 on. */
  f16(): Tensor {
    return unary("f16", this);
  }
  add(b: Like): Tensor {
    return binary("add", this, b);
  }
  mul(b: Like): Tensor {
    return binary("mul", this, b);
  }
  div(b: Like): Tensor {
    return binary("div", this, b);
  }
  /** The larger one; a NaN wins. Where they tie, each gets half of the gradient. */
  max(b: Like): Tensor {
    return binary("max", this, b);
  }
  lt(b: Like): Tensor {
    return binary("lt", this, b);
  }
  le(b: Like): Tensor {
    return binary("le", this, b);
  }
  eq(b: Like): Tensor {
    return binary("eq", this, b);
  }
  xor(b: Like): Tensor {
    return binary("xor", this, b);
  }
  /** Bits shifted right, zeros coming in. */
  shr(b: Like): Tensor {
    return binary("shr", this, b);
  }

  /** Another dtype. A float is cut towards 0; where an integer cannot hold it, or it is NaN, the result is unspecified. */
  cast(d: DType): Tensor {
    if (d === this.dtype) return this;
    if (this.op === "const") {
      const v = this.arg as number;
      return scalar(
        d === "bool" ? +!!v : d === "i32" ? v | 0 : d === "u32" ? v >>> 0 : d === "f32" ? Math.fround(v) : v,
        d,
      );
    }
    return new Tensor("cast", [this], d, this.shape, d);
  }

  /** `yes` where this bool is true, `no` where it is false. */
  where(yes: Like, no: Like): Tensor {
    if (this.dtype !== "bool") fail(`where: the condition ${this} must be bool`, "compare it first: x.lt(0), x.eq(1)");
    const d = yes instanceof Tensor ? yes.dtype : no instanceof Tensor ? no.dtype : "f32";
    return asOne(() => {
      const [a, b] = [lift(yes, d), lift(no, d)];
      if (a.dtype !== b.dtype) fail(`where: dtypes differ in ${a} and ${b}`, "cast one of them");
      const src = broadcast("where", this, a, b);
      return new Tensor("where", src, null, src[0]!.shape, d);
    });
  }

  /** This, as a constant for the gradient. */
  detach(): Tensor {
    return new Tensor("detach", [this], null, this.shape, this.dtype);
  }

  /**
   * Integers that index something of length n. Out-of-range ones are refused with a message where they come in as
   * data; computed ones are clamped. `except` is a value that is let through, such as an ignored class.
   */
  bound(n: number, what: string, except?: number): Tensor {
    if (this.isFloat || this.dtype === "bool")
      fail(`${what}: indices must be integers, got ${this}`, "cast them to i32");
    return new Tensor(
      "bound",
      [this],
      { n, what, ...(except === undefined ? {} : { except }) },
      this.shape,
      this.dtype,
    );
  }

  // ---- movement --------------------------------------------------------------------------------------------------------
  permute(order: readonly number[]): Tensor {
    if (
      !sameShape(
        [...order].sort((a, b) => a - b),
        axes(this.shape),
      )
    ) {
      fail(`permute: [${order}] is not an order of the ${this.rank} axes of ${this}`);
    }
    return moved("permute", this, order);
  }
  expand(to: Shape): Tensor {
    if (to.length !== this.rank || to.some((n, k) => this.shape[k] !== n && !(this.shape[k] === 1 && n >= 0))) {
      fail(`expand: ${this} cannot become [${to}]; only axes of length 1 grow`);
    }
    return moved("expand", this, to);
  }
  /** Zeros before and after each axis. */
  pad(by: readonly Range[]): Tensor {
    if (by.length !== this.rank || by.some(([a, b]) => a < 0 || b < 0)) fail(`pad: [${by}] does not fit ${this}`);
    return moved("pad", this, by);
  }
  /** The part [from, to) of each axis. */
  shrink(to: readonly Range[]): Tensor {
    if (to.length !== this.rank || to.some(([a, b], k) => a < 0 || b > this.shape[k]! || a > b)) {
      fail(`shrink: [${to.join("; ")}] does not lie within ${this}`);
    }
    return moved("shrink", this, to);
  }
  flip(over: Axes): Tensor {
    return moved("flip", this, axesOf("flip", this, over));
  }
  window(w: Window): Tensor {
    const whole = [w.size, w.stride, w.dilation].every((n) => Number.isInteger(n) && n >= 1);
    if (!whole)
      fail(`window: size ${w.size}, stride ${w.stride} and dilation ${w.dilation} must be whole and at least 1`);
    if (windows(this.shape[w.axis] ?? 0, w) < 1)
      fail(`window: ${this} is too short on axis ${w.axis} for a window of ${w.size}`);
    return moved("window", this, w);
  }
  /** The same elements in row-major order; one size may be −1 and is worked out. */
  reshape(to: Shape): Tensor {
    const known = to.reduce((a, n) => (n === -1 ? a : a * n), 1);
    const shape = to.map((n) => (n === -1 ? size(this.shape) / known : n));
    if (size(shape) !== size(this.shape) || shape.some((n) => !(Number.isInteger(n) && n >= 0))) {
      fail(`reshape: ${this} has ${size(this.shape)} elements, [${to}] does not`);
    }
    return moved("reshape", this, shape);
  }

  // ---- reduce ----------------------------------------------------------------------------------------------------------
  sum(over?: Axes, options?: { keep?: boolean }): Tensor {
    return reduced("sum", this, over, options);
  }
  /** The largest; equal ones share the gradient. */
  amax(over?: Axes, options?: { keep?: boolean }): Tensor {
    return reduced("amax", this, over, options);
  }

  // ---- rows of axis 0: `gather` reads this[at], `scatter` adds into n rows; each is the other's transpose ----------------
  gather(at: Tensor): Tensor {
    if (!this.shape[0] && size(at.shape)) fail(`gather: ${this} has no rows to take`);
    const rows = at.op === "bound" ? at : at.bound(this.shape[0] ?? 0, `gather from ${this}`);
    return new Tensor("gather", [this, rows], null, [...at.shape, ...this.shape.slice(1)], this.dtype);
  }
  scatter(at: Tensor, n: number): Tensor {
    if (!sameShape(at.shape, this.shape.slice(0, at.rank)))
      fail(`scatter: indices ${at} must have the first axes of ${this}`);
    if (n === 0 && size(at.shape)) fail(`scatter: ${this} has no rows to go to`);
    const rows = at.op === "bound" ? at : at.bound(n, `scatter into ${n} rows`);
    return new Tensor("scatter", [this, rows], n, [n, ...this.shape.slice(at.rank)], this.dtype);
  }

  // ---- composites ------------------------------------------------------------------------------------------------------
  neg(): Tensor {
    return this.mul(-1);
  }
  square(): Tensor {
    return this.mul(this);
  }
  sub(b: Like): Tensor {
    return this.add(typeof b === "number" ? -b : lift(b, this.dtype).neg());
  }
  /** The smaller one. */
  min(b: Like): Tensor {
    const y = lift(b, this.dtype);
    return this.isFloat ? this.neg().max(y.neg()).neg() : this.lt(y).where(this, y);
  }
  /** Slope 0 at 0. */
  abs(): Tensor {
    return this.dtype === "u32" ? this : this.max(this.neg());
  }
  gt(b: Like): Tensor {
    return b instanceof Tensor ? b.lt(this) : lift(b, this.dtype).lt(this);
  }
  not(): Tensor {
    return this.where(scalar(0, "bool"), scalar(1, "bool"));
  }
  and(b: Tensor): Tensor {
    return this.where(b, scalar(0, "bool"));
  }
  or(b: Tensor): Tensor {
    return this.where(scalar(1, "bool"), b);
  }
  mean(over?: Axes, options?: { keep?: boolean }): Tensor {
    if (!this.isFloat) fail(`mean: ${this} is not a float`, `cast it first: x.cast("f32")`);
    const n = axesOf("mean", this, over).reduce((a, k) => a * this.shape[k]!, 1);
    return this.sum(over, options).mul(1 / n);
  }
  /** The smallest. */
  amin(over?: Axes, options?: { keep?: boolean }): Tensor {
    if (this.dtype === "u32")
      return this.xor(2 ** 32 - 1)
        .amax(over, options)
        .xor(2 ** 32 - 1);
    return this.neg().amax(over, options).neg();
  }

  /** Drop axes of length 1. */
  squeeze(over: Axes): Tensor {
    const drop = axesOf("squeeze", this, over);
    if (drop.some((k) => this.shape[k] !== 1)) fail(`squeeze: axes [${drop}] of ${this} are not all of length 1`);
    return this.reshape(this.shape.filter((_, k) => !drop.includes(k)));
  }
  /** A new axis of length 1 at `axis` of the result. */
  unsqueeze(axis: number): Tensor {
    const k = axis < 0 ? axis + this.rank + 1 : axis;
    if (!(k >= 0 && k <= this.rank)) fail(`unsqueeze: ${this} has no place for axis ${axis}`);
    return this.reshape(this.shape.toSpliced(k, 0, 1));
  }
  /** The last two axes exchanged. */
  transpose(): Tensor {
    if (this.rank < 2) fail(`transpose: ${this} has fewer than two axes`);
    const [a, b] = [this.rank - 2, this.rank - 1];
    return this.permute([...axes(this.shape).slice(0, a), b, a]);
  }
  /** All axes from `from` on merged into one. */
  flatten(from = 0): Tensor {
    return this.reshape([...this.shape.slice(0, from), size(this.shape.slice(from))]);
  }
  /** Part [from, to) of one axis; negative positions count from its end. */
  slice(axis: number, from: number, to?: number): Tensor {
    const k = axesOf("slice", this, axis)[0]!;
    const n = this.shape[k]!;
    const at = (x: number) => (x < 0 ? x + n : x);
    return this.shrink(this.shape.map((m, j): Range => (j === k ? [at(from), at(to ?? n)] : [0, m])));
  }

  /** Matrix product over the last two axes; those before broadcast.  [.., m, k] · [.., k, n] → [.., m, n] */
  matmul(b: Tensor): Tensor {
    if (this.rank < 2 || b.rank < 2) {
      fail(`matmul: ${this} · ${b}: both need at least two axes`, "unsqueeze a vector, or use mul and sum");
    }
    const [inner, other] = [this.shape.at(-1)!, b.shape.at(-2)!];
    if (inner !== other) {
      const turned = inner === b.shape.at(-1) ? `the second is transposed: use matmul(b.transpose())` : undefined;
      fail(`matmul: ${this} · ${b}: the inner sizes ${inner} (last axis) and ${other} (axis −2) differ`, turned);
    }
    if (this.dtype !== b.dtype) fail(`matmul: ${this} · ${b}: the dtypes differ`, "cast one of them");
    return asOne(() => this.unsqueeze(-1).mul(b.unsqueeze(-3)).sum(-2));
  }

  /** Transpose of `window`: overlapping windows [.., o, .., size] added back onto an axis of length n. */
  fold(w: Window, n: number): Tensor {
    if (w.size > 16) return this.foldRows(w, n);
    return w.dilation === 1 ? this.foldRests(w, n) : this.foldTaps(w, n);
  }
  /**
   * All in one kernel, and of the taps only those that meet: with a stride s, place s·u + f is the sum of the taps
   * s·t + f of window u − t over t.
   */
  private foldRests({ axis, size: k, stride }: Window, n: number): Tensor {
    const last = this.rank - 1;
    const [deep, places] = [Math.ceil(k / stride), Math.ceil(n / stride)];
    const split = this.resize(last, deep * stride).split(last, [deep, stride]);
    const rests = split.permute(axes(this.shape).toSpliced(axis + 1, 0, last + 1)); // [.., o, stride, .., deep]
    const terms = Array.from({ length: deep }, (_, t) => {
      const term = rests.slice(-1, t, t + 1).squeeze(-1);
      return term.pad(term.shape.map((o, j): Range => (j === axis ? [t, places - o - t] : [0, 0])));
    });
    return terms
      .reduce((a, b) => a.add(b))
      .merge(axis)
      .resize(axis, n);
  }
  /** One shifted copy per tap, all in one kernel. */
  private foldTaps({ axis, size: k, stride, dilation }: Window, n: number): Tensor {
    const reach = (this.shape[axis]! - 1) * stride + 1;
    const taps = Array.from({ length: k }, (_, j) => {
      const tap = this.slice(-1, j, j + 1).squeeze(-1);
      const apart = stride === 1 ? tap : tap.spread(axis, stride).resize(axis, reach);
      const before = j * dilation;
      return apart.pad(apart.shape.map((_, j2): Range => (j2 === axis ? [before, n - reach - before] : [0, 0])));
    });
    return taps.reduce((a, b) => a.add(b));
  }
  /** For many taps: a graph that does not grow with them. */
  private foldRows({ axis, size: k, stride, dilation }: Window, n: number): Tensor {
    const row = n + dilation;
    const last = this.rank - 1;
    let t = this.permute(axes(this.shape).slice(0, -1).toSpliced(axis, 0, last)); // [.., k, o, ..]
    t = t.spread(axis + 1, stride);
    t = t.resize(axis + 1, row).merge(axis); // k rows of n + dilation, end to end
    t = t.resize(axis, k * n).split(axis, [k, n]); // read as rows of n: row j starts j · dilation later
    return t.sum(axis);
  }
  /** stride − 1 zeros after each element of one axis. */
  private spread(axis: number, stride: number): Tensor {
    return this.split(axis, [this.shape[axis]!, 1])
      .resize(axis + 1, stride)
      .merge(axis);
  }
  private split(axis: number, into: Shape): Tensor {
    return this.reshape(this.shape.toSpliced(axis, 1, ...into));
  }
  private merge(axis: number): Tensor {
    return this.reshape(this.shape.toSpliced(axis, 2, this.shape[axis]! * this.shape[axis + 1]!));
  }
  /** Zeros added, or elements dropped, at the end of one axis. */
  private resize(axis: number, n: number): Tensor {
    const cut = this.shrink(this.shape.map((m, k): Range => [0, k === axis ? Math.min(m, n) : m]));
    return cut.pad(this.shape.map((m, k): Range => [0, k === axis ? Math.max(n - m, 0) : 0]));
  }

  /** The same value as a node of its own, so that a gradient can be asked by it alone. */
  own(): Tensor {
    return new Tensor("reshape", [this], this.shape, this.shape, this.dtype);
  }

  toString(): string {
    return `${this.dtype}[${this.shape}]`;
  }
}

export const input = (shape: Shape, dtype: DType = "f32", name = ""): Tensor =>
  new Tensor("input", [], name, shape, dtype);
export const scalar = (v: number, dtype: DType = "f32"): Tensor => new Tensor("const", [], v, [], dtype);
/** One number everywhere. */
export const full = (v: number, s: Shape, dtype: DType = "f32"): Tensor =>
  scalar(v, dtype)
    .reshape(s.map(() => 1))
    .expand(s);
export const zerosLike = (t: Tensor): Tensor => full(0, t.shape, t.dtype);
/** 0, 1, … n − 1. */
export const iota = (n: number, dtype: DType = "i32"): Tensor => new Tensor("iota", [], n, [n], dtype);
/** Numbers of the host as a constant of the program. */
export const literal = (v: Value): Tensor => new Tensor("literal", [], v, v.shape, v.dtype);

/** A number as a tensor of that dtype. Throws where it is not one: no dtype is changed, and no fraction dropped, silently. */
export function lift(x: Like, d: DType): Tensor {
  if (x instanceof Tensor) return x;
  if (typeof x !== "number") fail(`expected a tensor or a number, got ${shown(x)}`);
  if (isFloat(d)) return scalar(x, d);
  if (!Number.isInteger(x))
    fail(`${x} is not of dtype ${d}, which the other operand has`, `cast that first: x.cast("f32")`);
  return scalar(d === "bool" ? +!!x : d === "u32" ? x >>> 0 : x | 0, d);
}

/** The axes as sorted non-negative numbers. Throws where there is no such axis, or one is named twice. */
export function axesOf(what: string, t: Tensor, over: Axes | undefined): number[] {
  if (over === undefined) return axes(t.shape);
  const ks = (typeof over === "number" ? [over] : over).map((a) => {
    return axisOf(t.shape, a) ?? fail(`${what}: ${t} has no axis ${a}`);
  });
  if (new Set(ks).size !== ks.length) fail(`${what}: axes [${over}] of ${t} name one axis twice`);
  return ks.sort((a, b) => a - b);
}

function unary(op: Unary, x: Tensor): Tensor {
  if (!x.isFloat) fail(`${op}: ${x} is not a float`, `cast it first: x.cast("f32")`);
  return new Tensor(op, [x], null, x.shape, x.dtype);
}

const compares = (op: Elementwise) => op === "lt" || op === "le" || op === "eq";

function binary(op: Binary, x: Tensor, like: Like): Tensor {
  return asOne(() => {
    const y = lift(like, x.dtype);
    if (x.dtype !== y.dtype) fail(`${op}: dtypes differ in ${x} and ${y}`, "cast one of them");
    if ((op === "xor" || op === "shr") && x.dtype !== "u32") fail(`${op}: ${x} is not u32`);
    if (x.dtype === "bool" && !compares(op)) fail(`${op}: ${x} is bool`, `cast it first: x.cast("f32")`);
    const known = simplify(op, x, y);
    if (known) return known;
    const src = broadcast(op, x, y);
    return new Tensor(op, src, null, src[0]!.shape, compares(op) ? "bool" : x.dtype);
  });
}

/** x + 0, x · 1, x / 1 and arithmetic on constants. Gradients are full of them. x · 0 stays: x may be infinite. */
function simplify(op: Binary, x: Tensor, y: Tensor): Tensor | undefined {
  const [a, b] = [constant(x), constant(y)];
  if (a !== undefined && b !== undefined && x.rank === 0 && y.rank === 0 && x.isFloat) {
    if (op === "add") return scalar(a + b, x.dtype);
    if (op === "mul") return scalar(a * b, x.dtype);
    if (op === "div") return scalar(a / b, x.dtype);
  }
  const grows = (t: Tensor, other: Tensor) =>
    other.rank <= t.rank && other.shape.every((n, k) => n === 1 || n === t.shape[k + t.rank - other.rank]);
  if (b !== undefined && grows(x, y) && ((op === "add" && b === 0) || ((op === "mul" || op === "div") && b === 1)))
    return x;
  if (a !== undefined && grows(y, x) && ((op === "add" && a === 0) || (op === "mul" && a === 1))) return y;
  return undefined;
}

/** The one number that a tensor is made of, when it is a constant. */
export function constant(t: Tensor): number | undefined {
  let x = t;
  while (x.op === "reshape" || x.op === "expand" || x.op === "permute") x = x.src[0]!;
  return x.op === "const" ? (x.arg as number) : undefined;
}

/** The tensors in one common shape. Throws with both shapes and the axis where they do not fit. */
export function broadcast(op: string, ...ts: Tensor[]): Tensor[] {
  let rank = 0;
  let same = true;
  for (const t of ts) {
    rank = Math.max(rank, t.rank);
    same &&= sameShape(t.shape, ts[0]!.shape);
  }
  if (same) return ts;
  const to = Array<number>(rank).fill(1);
  for (const t of ts) {
    const from = rank - t.rank;
    for (let k = from; k < rank; k++) {
      const n = t.shape[k - from]!;
      if (n === 1 || n === to[k]) continue;
      if (to[k] !== 1) unlike(op, ts, k - rank);
      to[k] = n;
    }
  }
  return ts.map((t) => moved("expand", widened(t, rank), to));
}

/** With axes of length 1 in front. */
const widened = (t: Tensor, rank: number): Tensor =>
  t.rank === rank ? t : moved("reshape", t, [...Array<number>(rank - t.rank).fill(1), ...t.shape]);

function unlike(op: string, ts: readonly Tensor[], axis: number): never {
  const sizes = ts.map((t) => t.shape.at(t.rank + axis < 0 ? t.rank : axis) ?? 1);
  fail(`${op}: ${ts.join(" and ")} do not broadcast on axis ${axis} (${sizes.join(" against ")})`);
}

function moved<M extends Movement>(op: M, x: Tensor, arg: MovementArgs[M]): Tensor {
  const shape = movement[op].shape(x.shape, arg);
  const idle =
    op === "permute"
      ? (arg as readonly number[]).every((k, j) => k === j)
      : op === "flip"
        ? (arg as readonly number[]).every((k) => x.shape[k] === 1)
        : op !== "window" && sameShape(shape, x.shape);
  return idle ? x : new Tensor(op, [x], arg, shape, x.dtype);
}

function reduced(op: Reduce, x: Tensor, over: Axes | undefined, { keep = false } = {}): Tensor {
  const all = axesOf(op, x, over);
  if (op === "amax" && all.some((k) => x.shape[k] === 0)) fail(`amax: ${x} has no elements on axes [${all}]`);
  if (x.dtype === "bool") fail(`${op}: ${x} is bool`, `cast it first: x.cast("f32")`);
  const ks = all.filter((k) => x.shape[k] !== 1);
  const shape = x.shape.map((n, k) => (ks.includes(k) ? 1 : n));
  return asOne(() => {
    const y = ks.length ? new Tensor(op, [x], ks, shape, x.dtype) : x;
    return keep ? y : y.squeeze(all);
  });
}
