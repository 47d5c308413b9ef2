/**
 * Scalar expressions: what a kernel computes at one index, and the index itself. An integer expression carries its
 * interval [lo, hi]; intervals and one rule for splitting are all the algebra that reshapes and windows need.
 *
 * Equal expressions are one object inside a `fresh` scope, so that identity is equality and a value that is used
 * twice is computed once.
 */
import type { DType } from "./dtype.ts";
import type { Elementwise } from "./ops.ts";
import type { Shape } from "./shape.ts";

/** `mod`, `and` and `clamp` serve indices; `load` reads a buffer; `acc` is the result of a reduction of the kernel. */
export type ExprOp = Elementwise | "var" | "const" | "load" | "acc" | "mod" | "and" | "clamp";
/** The name of a variable or an accumulator, the value of a constant, the key of a buffer. */
export type ExprArg = string | number | null;

type Scope = { readonly table: Map<number, Expr>; count: number };
let scope: Scope = { table: new Map(), count: 0 };

/** Run `body` with a table of its own, so that expressions live no longer than the compilation they belong to. */
export function fresh<T>(body: () => T): T {
  const outer = scope;
  scope = { table: new Map(), count: 0 };
  try {
    return body();
  } finally {
    scope = outer;
  }
}

export class Expr {
  readonly id: number;
  readonly op: ExprOp;
  readonly src: readonly Expr[];
  readonly arg: ExprArg;
  readonly dtype: DType;
  readonly lo: number;
  readonly hi: number;
  /** Whether it can differ between two iterations of a loop. */
  readonly varies: boolean;
  /** The next one in the table with the same hash. */
  private readonly next: Expr | undefined;
  /** What `linear` has found. */
  private form: Linear | null | undefined = undefined;

  private constructor(
    op: ExprOp,
    src: readonly Expr[],
    arg: ExprArg,
    dtype: DType,
    lo: number,
    hi: number,
    next: Expr | undefined,
  ) {
    this.id = scope.count++;
    this.op = op;
    this.src = src;
    this.arg = arg;
    this.dtype = dtype;
    this.lo = lo;
    this.hi = hi;
    this.varies = op === "var" || op === "acc" || src.some((s) => s.varies);
    this.next = next;
  }

  static make(op: ExprOp, src: readonly Expr[], arg: ExprArg, dtype: DType, lo = -Infinity, hi = Infinity): Expr {
    const hash = hashOf(op, src, arg);
    const first = scope.table.get(hash);
    for (let e = first; e; e = e.next) {
      if (e.op !== op || e.dtype !== dtype || e.lo !== lo || e.hi !== hi || !Object.is(e.arg, arg)) continue;
      if (e.src.length === src.length && src.every((s, k) => s === e.src[k])) return e;
    }
    const e = new Expr(op, src, arg, dtype, lo, hi, first);
    scope.table.set(hash, e);
    return e;
  }

  static value(v: number, d: DType): Expr {
    return Expr.make("const", [], v, d, v, v);
  }
  static int(v: number): Expr {
    return Expr.value(v, "i32");
  }
  static bool(v: boolean): Expr {
    return Expr.value(+v, "bool");
  }
  /** A loop variable, 0 ≤ name < n. */
  static index(name: string, n: number): Expr {
    return n === 1 ? Expr.int(0) : Expr.make("var", [], name, "i32", 0, n - 1);
  }

  get const(): number | undefined {
    return this.op === "const" ? (this.arg as number) : undefined;
  }

  add(b: Expr | number): Expr {
    if (typeof b === "number") return this.add(Expr.int(b));
    if (this.const !== undefined && b.const !== undefined) return Expr.int(this.const + b.const);
    if (b.const === 0) return this;
    if (this.const === 0) return b;
    if (b.op === "add") return b.src.reduce((sum, t) => sum.add(t), this);
    if (b.const !== undefined || scaled(b)[0].op === "mod") {
      const parts = terms(this);
      for (const [k, t] of parts.entries()) {
        const whole = t.const !== undefined && b.const !== undefined ? Expr.int(t.const + b.const) : rejoined(t, b);
        if (whole)
          return parts
            .toSpliced(k, 1)
            .reduce((sum, x) => sum.add(x), Expr.int(0))
            .add(whole);
      }
    }
    return Expr.make("add", [this, b], null, "i32", this.lo + b.lo, this.hi + b.hi);
  }

  mul(b: number): Expr {
    if (b === 1) return this;
    if (b === 0) return Expr.int(0);
    if (this.const !== undefined) return Expr.int(this.const * b);
    if (this.op === "add") return this.src[0]!.mul(b).add(this.src[1]!.mul(b));
    if (this.op === "mul") return this.src[0]!.mul(this.src[1]!.const! * b);
    const [p, q] = [this.lo * b, this.hi * b];
    return Expr.make("mul", [this, Expr.int(b)], null, "i32", Math.min(p, q), Math.max(p, q));
  }

  /** Quotient rounded down, of a non-negative number. n is 0 for an axis without elements, whose index never is. */
  div(n: number): Expr {
    if (n === 0) return Expr.int(0);
    if (n === 1) return this;
    if (this.const !== undefined) return Expr.int(Math.floor(this.const / n));
    if (this.lo >= 0 && this.hi < n) return Expr.int(0);
    const { high, low } = this.split(n);
    if (high.const !== 0 && low.lo >= 0) return high.add(low.div(n));
    return Expr.make("div", [this, Expr.int(n)], null, "i32", Math.floor(this.lo / n), Math.floor(this.hi / n));
  }

  mod(n: number): Expr {
    if (n <= 1) return Expr.int(0);
    if (this.const !== undefined) return Expr.int(this.const % n);
    if (this.lo >= 0 && this.hi < n) return this;
    const { high, low } = this.split(n);
    if (high.const !== 0 && low.lo >= 0) return low.mod(n);
    return Expr.make("mod", [this, Expr.int(n)], null, "i32", 0, n - 1);
  }

  /**
   * A sum as n · high + low. Where low is not negative the multiples of n pass through a division untouched, and where
   * it stays below n nothing is left to divide: this is what makes merging and splitting axes free.
   */
  private split(n: number): { high: Expr; low: Expr } {
    let high = Expr.int(0);
    let low = Expr.int(0);
    for (const term of terms(this)) {
      const scale = term.const ?? (term.op === "mul" ? term.src[1]!.const! : 1);
      if (scale % n !== 0) low = low.add(term);
      else high = high.add(term.const !== undefined ? scale / n : term.src[0]!.mul(scale / n));
    }
    return { high, low };
  }

  /** lo ≤ this < hi, leaving out a side that is null or that the interval already proves; false where it disproves one. */
  within(lo: number | null, hi: number | null): Expr {
    const test = (a: Expr, b: Expr) => Expr.make("lt", [a, b], null, "bool", 0, 1);
    const above =
      lo === null || this.lo >= lo ? Expr.bool(true) : this.hi < lo ? Expr.bool(false) : test(Expr.int(lo - 1), this);
    const below =
      hi === null || this.hi < hi ? Expr.bool(true) : this.lo >= hi ? Expr.bool(false) : test(this, Expr.int(hi));
    return above.and(below);
  }

  and(b: Expr): Expr {
    if (this.const !== undefined) return this.const ? b : this;
    if (b.const !== undefined) return b.const ? this : b;
    return Expr.make("and", [this, b], null, "bool", 0, 1);
  }

  /** @internal `linear`, which is asked of the same places again and again: worked out once. */
  get linear(): Linear | undefined {
    if (this.form === undefined) this.form = formOf(this) ?? null;
    return this.form ?? undefined;
  }

  /** The nearest number in 0 … n − 1, so that a stray index reads a wrong row and never foreign memory. */
  clamp(n: number): Expr {
    if (this.lo >= 0 && this.hi < n) return this;
    return Expr.make("clamp", [this, Expr.int(n - 1)], null, "i32", 0, n - 1);
  }
}

/** Of what tells expressions apart most; they are compared besides. Small integers, so that no text is made. */
function hashOf(op: ExprOp, src: readonly Expr[], arg: ExprArg): number {
  let hash = op.length;
  const mix = (n: number) => {
    hash = Math.imul(hash ^ n, 0x9e3779b1);
    hash ^= hash >>> 15;
  };
  for (const s of src) mix(s.id);
  if (typeof arg === "string") for (let k = 0; k < arg.length; k++) mix(arg.charCodeAt(k));
  else if (arg !== null) mix((arg * 4096) | 0);
  return hash;
}

/** (x div n) · n c + (x mod n) · c is x · c: what a reshape took apart, put together again by the next one. */
function rejoined(quotient: Expr, rest: Expr): Expr | undefined {
  const [q, high] = scaled(quotient);
  const [r, low] = scaled(rest);
  if (q.op !== "div" || r.op !== "mod" || q.src[0] !== r.src[0] || q.src[1] !== r.src[1]) return undefined;
  return high === q.src[1]!.const! * low ? q.src[0]!.mul(low) : undefined;
}

/** A term as an expression and its constant factor. */
const scaled = (t: Expr): [Expr, number] =>
  t.op === "mul" && t.src[1]!.const !== undefined ? [t.src[0]!, t.src[1]!.const] : [t, 1];

/** The addends of an integer sum. */
export function terms(e: Expr): Expr[] {
  const out: Expr[] = [];
  const visit = (x: Expr): void => {
    if (x.op === "add" && x.dtype === "i32") x.src.forEach(visit);
    else out.push(x);
  };
  visit(e);
  return out;
}

/** constant + Σ coefficient · variable. */
export type Linear = { readonly constant: number; readonly of: ReadonlyMap<string, number> };

/** e as a linear form, or undefined where it is none. */
export const linear = (e: Expr): Linear | undefined => e.linear;

function formOf(e: Expr): Linear | undefined {
  const of = new Map<string, number>();
  let constant = 0;
  for (const t of terms(e)) {
    const [x, scale] = scaled(t);
    if (t.const !== undefined) constant += t.const;
    else if (x.op === "var") of.set(x.arg as string, (of.get(x.arg as string) ?? 0) + scale);
    else return undefined;
  }
  return { constant, of };
}

/** Every distinct load below the expressions. */
export const loadsIn = (roots: readonly Expr[]): Expr[] => [...everyIn(roots)].filter((e) => e.op === "load");

/** Every distinct expression below some, themselves included. */
export function everyIn(roots: readonly Expr[]): Set<Expr> {
  const seen = new Set<Expr>();
  const stack = [...roots];
  for (let e = stack.pop(); e; e = stack.pop()) {
    if (seen.has(e)) continue;
    seen.add(e);
    stack.push(...e.src);
  }
  return seen;
}

/** Row-major position of an index. */
export const ravel = (i: readonly Expr[], s: Shape): Expr =>
  i.reduce((sum, x, k) => sum.mul(s[k]!).add(x), Expr.int(0));

/** The index at a row-major position. */
export function unravel(flat: Expr, s: Shape): Expr[] {
  const out: Expr[] = [];
  let rest = flat;
  for (let k = s.length - 1; k >= 0; k--) {
    out.unshift(k === 0 ? rest : rest.mod(s[k]!));
    rest = rest.div(s[k]!);
  }
  return out;
}
