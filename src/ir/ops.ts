/**
 * Every primitive, once: its meaning, its shape, its gradient. The names come first, as unions, and every table here
 * and in the printers is a Record over them, so a row that is missing anywhere does not compile.
 */
import { type Expr, ravel, unravel } from "./expr.ts";
import { foldProduct } from "./fold.ts";
import { halves } from "./half.ts";
import { axes, type Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

export type Unary =
  | "exp"
  | "expm1"
  | "log"
  | "log1p"
  | "sin"
  | "cos"
  | "tanh"
  | "erf"
  | "sqrt"
  | "floor"
  | "bf16"
  | "f16"
  | "cast";
export type Binary = "add" | "mul" | "div" | "max" | "lt" | "le" | "eq" | "xor" | "shr";
export type Elementwise = Unary | Binary | "where";
export type Movement = "reshape" | "permute" | "expand" | "pad" | "shrink" | "flip" | "window";
export type Reduce = "sum" | "amax";
export type Leaf = "input" | "literal" | "const" | "iota";
export type Op = Leaf | Elementwise | Movement | Reduce | "gather" | "scatter" | "bound" | "detach";

// ---- elementwise -----------------------------------------------------------------------------------------------------

type Rule = {
  /** The meaning, on 1 to 3 numbers or booleans; every printer is tested against it. */
  readonly js: (...x: any[]) => number | boolean; // any: an operand is a number or a boolean, by its dtype
  /** `y` is the result; one cotangent per source, null where there is none. Called for float results only. */
  readonly grad: (g: Tensor, y: Tensor, a: Tensor, b: Tensor) => readonly (Tensor | null)[];
};

// biome-ignore format: a table
export const elementwise: { readonly [E in Elementwise]: Rule } = {
  exp:   { js: Math.exp,                 grad: (g, y) => [g.mul(y)] },
  expm1: { js: Math.expm1,               grad: (g, y) => [g.mul(y.add(1))] },
  log:   { js: Math.log,                 grad: (g, _, x) => [g.div(x)] },
  log1p: { js: Math.log1p,               grad: (g, _, x) => [g.div(x.add(1))] },
  sin:   { js: Math.sin,                 grad: (g, _, x) => [g.mul(x.cos())] },
  cos:   { js: Math.cos,                 grad: (g, _, x) => [g.mul(x.sin()).neg()] },
  tanh:  { js: Math.tanh,                grad: (g, y) => [g.mul(y.square().neg().add(1))] },
  erf:   { js: (x) => erf(x),            grad: (g, _, x) => [g.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI))] },
  sqrt:  { js: Math.sqrt,                grad: (g, y) => [g.div(y.mul(2))] },
  floor: { js: Math.floor,               grad: () => [null] },
  bf16:  { js: halves.bf16.nearest,      grad: (g) => [g] },
  f16:   { js: halves.f16.nearest,       grad: (g) => [g] },
  cast:  { js: (x) => +x,                grad: (g, _, x) => [x.isFloat ? g.cast(x.dtype) : null] },
  add:   { js: (a, b) => a + b,          grad: (g) => [g, g] },
  mul:   { js: (a, b) => a * b,          grad: (g, _, a, b) => [g.mul(b), g.mul(a)] },
  div:   { js: (a, b) => a / b,          grad: (g, y, _a, b) => [g.div(b), g.mul(y).div(b).neg()] },
  max:   { js: Math.max,                 grad: (g, _, a, b) => [g.mul(share(a, b)), g.mul(share(b, a))] },
  lt:    { js: (a, b) => a < b,          grad: () => [null, null] },
  le:    { js: (a, b) => a <= b,         grad: () => [null, null] },
  eq:    { js: (a, b) => a === b,        grad: () => [null, null] },
  xor:   { js: (a, b) => (a ^ b) >>> 0,  grad: () => [null, null] },
  shr:   { js: (a, b) => a >>> b,        grad: () => [null, null] },
  where: { js: (c, a, b) => (c ? a : b), grad: (g, _, c) => [null, c.where(g, 0), c.where(0, g)] },
};

/** 1 where a > b, ½ where they tie, 0 where less: a tie is split evenly. */
const share = (a: Tensor, b: Tensor) => b.lt(a).where(1, a.eq(b).where(0.5, 0).cast(a.dtype)).cast(a.dtype);

/**
 * erf by its Taylor series (|x| < 3) or the continued fraction of erfc (Abramowitz & Stegun 7.1.6 and 7.1.14): slow and
 * right to the last digits, which is what a meaning has to be.
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  if (a > 6) return Number.isNaN(x) ? x : Math.sign(x);
  let tail = 0;
  for (let n = 60; n > 0; n--) tail = n / 2 / (a + tail);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + tail));
}

// ---- movement: `index` maps an output index to a source index; outside `inside` the value is 0 -------------------------

export type Range = readonly [from: number, to: number]; // for pad: how many before, how many after
export type Window = {
  readonly axis: number;
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
};
export type MovementArgs = {
  reshape: Shape;
  permute: readonly number[];
  expand: Shape;
  pad: readonly Range[];
  shrink: readonly Range[];
  flip: readonly number[];
  window: Window;
};
type Move<A> = {
  readonly shape: (s: Shape, arg: A) => Shape;
  readonly index: (i: readonly Expr[], arg: A, s: Shape) => { at: Expr[]; inside?: Expr };
  readonly grad: (g: Tensor, arg: A, s: Shape) => Tensor;
};

export const movement: { readonly [M in Movement]: Move<MovementArgs[M]> } = {
  reshape: {
    shape: (_, to) => to,
    index: (i, to, s) => ({ at: regrouped(i, to, s) }),
    grad: (g, _, s) => g.reshape(s),
  },
  permute: {
    shape: (s, order) => order.map((k) => s[k]!),
    index: (i, order) => ({ at: inverse(order).map((k) => i[k]!) }),
    grad: (g, order) => g.permute(inverse(order)),
  },
  expand: {
    shape: (_, to) => to,
    index: (i, to, s) => ({ at: i.map((x, k) => (s[k] === to[k] ? x : x.mul(0))) }),
    grad: (g, to, s) =>
      g.sum(
        axes(s).filter((k) => s[k] !== to[k]),
        { keep: true },
      ),
  },
  pad: {
    shape: (s, by) => s.map((n, k) => by[k]![0] + n + by[k]![1]),
    index: (i, by, s) => {
      const at = i.map((x, k) => x.add(-by[k]![0]));
      const bounds = at.map((x, k) => x.within(by[k]![0] ? 0 : null, by[k]![1] ? s[k]! : null));
      return { at, inside: bounds.reduce((a, b) => a.and(b)) };
    },
    grad: (g, by, s) => g.shrink(s.map((n, k) => [by[k]![0], by[k]![0] + n])),
  },
  shrink: {
    shape: (_, to) => to.map(([from, end]) => end - from),
    index: (i, to) => ({ at: i.map((x, k) => x.add(to[k]![0])) }),
    grad: (g, to, s) => g.pad(s.map((n, k) => [to[k]![0], n - to[k]![1]])),
  },
  flip: {
    shape: (s) => s,
    index: (i, over, s) => ({ at: i.map((x, k) => (over.includes(k) ? x.mul(-1).add(s[k]! - 1) : x)) }),
    grad: (g, over) => g.flip(over),
  },
  /** Sliding windows of one axis as a new last axis: [.., n, ..] → [.., o, .., size]. */
  window: {
    shape: (s, w) => [...s.with(w.axis, windows(s[w.axis]!, w)), w.size],
    index: (i, w) => {
      const tap = i.at(-1)!.mul(w.dilation);
      return { at: i.slice(0, -1).map((x, k) => (k === w.axis ? x.mul(w.stride).add(tap) : x)) };
    },
    grad: (g, w, s) => foldProduct(g, w, s[w.axis]!) ?? g.fold(w, s[w.axis]!),
  },
};

/**
 * The index of shape s at the place of index i of shape `to`: axis by axis where both have it, and by the row-major
 * position within those axes only that were really merged or split. So an axis beside them keeps its index as it is.
 */
function regrouped(i: readonly Expr[], to: Shape, s: Shape): Expr[] {
  if (s.includes(0)) return unravel(ravel(i, to), s);
  const at: Expr[] = [];
  let [j, k] = [0, 0];
  while (k < s.length) {
    const [from, first] = [j, k];
    let [n, m] = [1, s[k++]!];
    while (n !== m) {
      if (n < m) n *= to[j++]!;
      else m *= s[k++]!;
    }
    at.push(...unravel(ravel(i.slice(from, j), to.slice(from, j)), s.slice(first, k)));
  }
  return at;
}

/** How many windows fit on an axis of length n. */
export const windows = (n: number, w: Window): number => Math.floor((n - w.dilation * (w.size - 1) - 1) / w.stride) + 1;

const inverse = (order: readonly number[]) => order.map((_, k) => order.indexOf(k));

// ---- reduce: the axes stay, with length 1; `join` combines two partial results, `zero` is its identity -------------------

type Fold = {
  readonly zero: number;
  readonly join: "add" | "max";
  readonly grad: (g: Tensor, y: Tensor, x: Tensor) => Tensor;
};

export const reduce: { readonly [R in Reduce]: Fold } = {
  sum: { zero: 0, join: "add", grad: (g, _, x) => g.expand(x.shape) },
  amax: { zero: -Infinity, join: "max", grad: (g, y, x) => shared(g, y, x.eq(y).cast(x.dtype)) },
};

/** Equal maxima share the cotangent evenly. */
const shared = (g: Tensor, y: Tensor, hit: Tensor) => hit.mul(g.div(hit.sum(y.arg as number[], { keep: true })));

const among =
  <K extends string>(table: Readonly<Record<K, unknown>>) =>
  (op: string): op is K =>
    Object.hasOwn(table, op);

export const isElementwise = among(elementwise);
export const isMovement = among(movement);
export const isReduce = among(reduce);
