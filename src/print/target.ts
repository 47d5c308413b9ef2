/**
 * Kernels → source text, by one walk. A target is a table of spellings and a few small templates; every table is whole,
 * so what a target lacks is a type error and never another target's text.
 */
import type { Accumulate, Buffer, Loop, Nest, Reduction, Store } from "../compile/program.ts";
import { type DType, isFloat, type Storage, storages } from "../ir/dtype.ts";
import { type Expr, fresh, linear, loadsIn } from "../ir/expr.ts";
import type { Elementwise } from "../ir/ops.ts";
import { runs, steady } from "./innermost.ts";
import { areFar, type Memory, type Stream, streams } from "./streams.ts";
import { array, LANE, strip } from "./strips.ts";

/** `d` is the type of the operands: of the result too, but for comparisons and casts. `to` is the type of the result. */
export type Spelling = (d: DType, a: string, b: string, c: string, to: DType) => string;

export type Target = {
  readonly ops: { readonly [O in Elementwise | "mod" | "and" | "clamp"]: Spelling };
  literal(v: number, d: DType): string;
  load(pointer: string, at: string, s: Storage): string;
  store(pointer: string, at: string, value: string, s: Storage): string;
  declare(name: string, value: string, d: DType, mutable: boolean): string;
  /** Opens it; a line "}" closes it. */
  loop(l: Range): string;
  fold(r: Reduction): Fold;
  /** The line above the innermost loop of reductions that says that their order is free, where the target wants to be told. */
  freeOrder(clauses: readonly string[]): string | undefined;
  /**
   * a · b + c. A compiler that may round only once takes another choice in another loop, where c is a product as well or
   * has two cases, or somebody else wants the product: where it has the choice, the target says which. So the same
   * expression has the same bits in every kernel.
   */
  readonly multiplyAdd: ((d: DType, a: string, b: string, c: string) => string) | undefined;
  /** The line above a loop that is not to be unrolled, where the target wants to be told. */
  readonly rolled: string | undefined;
  /** How loops are walked in strips, where that is faster. */
  readonly strips: Strips | undefined;
};

export type Strips = {
  readonly lanes: number;
  /** Opens the loop over whole strips. */
  loop(from: string, to: string, name: string): string;
  /** Opens the loop over the lanes of one. */
  readonly inner: readonly string[];
  array(name: string): string;
  /** Every number of an array by its square root; undefined where the instruction is as fast. */
  readonly roots: ((name: string) => string) | undefined;
  /**
   * Ask for the line of memory that the walk comes to some strips after this element; what will be written is taken from
   * other threads' caches at once.
   */
  ahead(pointer: string, at: string, written: boolean): string;
  /** Bring it as far as the second-level cache, much earlier. */
  farAhead(pointer: string, at: string): string;
};

/** How a reduction is written: how it starts, what it does with a named value, and how it ends. */
export type Fold = {
  readonly start: readonly string[];
  step(value: string): string;
  readonly end: readonly string[];
  /** What `freeOrder` has to say of it. */
  readonly clauses: readonly string[];
};

/** A loop from 0 to n, or between two places that are text of the target. */
export type Range = Loop | { readonly name: string; readonly from: string; readonly to: string };

/** The loop of a kernel that is cut: its function is told `from` where it begins, and ends after `count`, or at `to`. */
export type Part = { readonly loop: string; readonly count?: number };

/** A kernel's function body, and the buffers its pointers p0, p1, … stand for: those it writes first. */
export type Printed = { readonly body: string; readonly pointers: readonly Pointer[] };
export type Pointer = { readonly buffer: Buffer; readonly written: boolean };

export const storageOf = (b: Buffer): Storage => b.storage ?? b.dtype;

/** One place in memory seen as one dtype. State that is updated in place is one place with two buffers. */
export const placeOf = (b: Buffer): string => `${b.role} ${b.at} ${storageOf(b)}`;

export function printKernel(k: Nest | Accumulate, memory: Memory, target: Target, part?: Part): Printed {
  const pointers = new Map<string, { name: string; buffer: Buffer; written: boolean }>();
  const pointer = (buffer: Buffer, written: boolean): string => {
    const key = placeOf(buffer);
    const p = pointers.get(key) ?? { name: `p${pointers.size}`, buffer, written };
    p.written ||= written;
    pointers.set(key, p);
    return p.name;
  };
  const load = (name: string) => {
    const b = memory.named.get(name)!;
    return { from: pointer(b, false), storage: storageOf(b) };
  };
  const writer = () => new Writer(target, load);
  const lines = fresh(() => {
    if (k.kind === "accumulate") return accumulate(k, writer(), target, pointer, part);
    return k.reductions.length > 0 || k.loops.length === 0
      ? reducing(k, writer(), target, pointer, part)
      : mapping(k, memory, writer, target, pointer, part);
  });
  return { body: indent(lines).join("\n"), pointers: [...pointers.values()] };
}

type Pointers = (b: Buffer, written: boolean) => string;

const within = (l: Loop, part: Part | undefined): Range => (l.name === part?.loop ? between(part, l.name) : l);

const between = ({ count }: Part, name: string, times = 1): Range => {
  const scaled = (text: string) => (times === 1 ? text : `(${text}) * ${times}`);
  return { name, from: scaled("from"), to: scaled(count === undefined ? "to" : `from + ${count}`) };
};

/** A nest without reductions: its innermost loop is what vectorises, in as many pieces as make it simple. */
function mapping(
  k: Nest,
  memory: Memory,
  writer: () => Writer,
  t: Target,
  pointer: Pointers,
  part: Part | undefined,
): string[] {
  const outer = k.loops.slice(0, -1);
  const last = k.loops.at(-1)!;
  const cut = last.name === part?.loop;
  const pieces = cut
    ? [{ ...last, from: 0, to: last.n, of: steady(last.name) }]
    : runs(last, valuesAndPlaces(k.stores));
  const body = outer.map((l) => t.loop(within(l, part)));
  const alone = (stores: readonly Store[]) => {
    const w = writer();
    w.count(valuesAndPlaces(stores));
    return storing(stores, w, t, pointer);
  };
  for (const { from, to, of } of pieces) {
    const stores = k.stores.map((s) => ({ ...s, at: of(s.at), value: of(s.value) }));
    const whole = cut || (from === 0 && to === last.n);
    const range = whole ? within(last, part) : { name: last.name, from: `${from}`, to: `${to}` };
    const n = cut ? (part.count ?? 1) : to - from;
    const across = isAcross(last, stores);
    const far = () => (across ? [] : streams(last, stores, memory)).map((w) => ({ ...w, p: pointer(w.buffer, false) }));
    const rest = inStrips(last, stores, range, n, t, writer, far, alone);
    body.push(...(rest?.lines ?? []));
    if (rest?.all) continue;
    if (t.rolled && across) body.push(t.rolled);
    body.push(t.loop(rest?.range ?? range), ...alone(stores), "}");
  }
  return [...body, ...outer.map(() => "}")];
}

/**
 * Whether a loop reads across memory. gcc, which unrolls a short one and makes vectors of the next, moves element by element
 * then: no faster, and a third of a second to compile.
 */
const isAcross = (loop: Loop, stores: readonly Store[]): boolean =>
  loadsIn(stores.map((s) => s.value)).some((e) => Math.abs(linear(e.src[0]!)?.of.get(loop.name) ?? 0) > 1);

/**
 * The strips of a loop, where it gains by them, and the range that is left. `n`: what its length is a multiple of;
 * `walks`: where it walks along memory that is asked for early.
 */
function inStrips(
  loop: Loop,
  stores: readonly Store[],
  range: Range,
  n: number,
  t: Target,
  writer: () => Writer,
  walks: () => readonly (Stream & { readonly p: string })[],
  storing: (stores: readonly Store[]) => string[],
) {
  const { strips } = t;
  if (!strips || loop.n < 2 * strips.lanes) return undefined;
  const { roots } = strips;
  const far = walks();
  const s = strip(loop, stores, roots !== undefined);
  if (s.under.length === 0 && far.length === 0) return undefined;
  const { from, to } = "n" in range ? { from: "0", to: `${range.n}` } : range;
  const early = writer();
  early.count(far.map(({ at }) => at));
  // Where elements take long, few strips are in hand at once: asking memory twice is 3 to 6 % faster. Quick loops lose up
  // to 8 %, and those in caches up to 5.
  const asks = s.under.length > 0 && areFar(far) ? [strips.farAhead, strips.ahead] : [strips.ahead];
  const ahead = far.flatMap(({ p, at, written }) => asks.map((ask) => ask(p, early.text(at), written)));
  const w = writer();
  w.count(s.under);
  const under = s.under.map((e) => w.text(e));
  const rooted = (spell: (name: string) => string) => [
    ...under.map((_, k) => strips.array(array(k))),
    ...strips.inner,
    ...w.flush(),
    ...under.map((value, k) => t.store(array(k), LANE, value, "f32")),
    "}",
    ...under.map((_, k) => spell(array(k))),
  ];
  const lines = [
    strips.loop(from, to, loop.name),
    ...early.flush(),
    ...ahead,
    ...(roots && under.length > 0 ? rooted(roots) : []),
    ...strips.inner,
    ...storing(s.stores),
    "}",
    "}",
  ];
  const rest = { name: loop.name, from: `(${to}) - ((${to}) - (${from})) % ${strips.lanes}`, to };
  return { lines, range: rest, all: n % strips.lanes === 0 };
}

/** A nest that begins with reductions at each of its indices. */
function reducing(k: Nest, w: Writer, t: Target, pointer: Pointers, part: Part | undefined): string[] {
  const reductions = k.reductions.map((r) => {
    const last = r.loops.at(-1);
    return last ? { ...r, value: steady(last.name)(r.value) } : r;
  });
  w.count([...reductions.map((r) => r.value), ...valuesAndPlaces(k.stores)]);
  const body = k.loops.map((l) => t.loop(within(l, part)));
  for (const together of sameLoops(reductions)) {
    const folds = together.map((r) => t.fold({ ...r, name: w.accumulator(r.name) }));
    const inner = w.inside(
      together[0]!.loops,
      () => together.map((r, n) => folds[n]!.step(w.named(r.value))),
      t.freeOrder(folds.flatMap((f) => f.clauses)),
    );
    body.push(...w.flush(), ...folds.flatMap((f) => f.start), ...inner, ...folds.flatMap((f) => f.end));
  }
  return [...body, ...storing(k.stores, w, t, pointer), ...k.loops.map(() => "}")];
}

const valuesAndPlaces = (stores: readonly Store[]) => stores.flatMap((s) => [s.at, s.value]);

/** All values first: a store must not be seen by a later load of what was there before. */
function storing(stores: readonly Store[], w: Writer, t: Target, pointer: Pointers): string[] {
  const values = stores.map((s) => w.named(s.value));
  const places = stores.map((s) => w.text(s.at));
  return [
    ...w.flush(),
    ...stores.map(({ buffer }, n) => t.store(pointer(buffer, true), places[n]!, values[n]!, storageOf(buffer))),
  ];
}

/** Neighbouring reductions of one kind over the same loops that do not wait for each other: one walk over memory. */
function sameLoops(reductions: readonly Reduction[]): Reduction[][] {
  const out: Reduction[][] = [];
  const kind = (r: Reduction) => `${r.join} ${r.loops.map((l) => `${l.name} ${l.n}`)}`;
  for (const r of reductions) {
    const last = out.at(-1);
    if (last && kind(last[0]!) === kind(r) && !uses(r.value, new Set(last.map((x) => x.name)))) last.push(r);
    else out.push([r]);
  }
  return out;
}

function uses(e: Expr, accumulators: ReadonlySet<string>): boolean {
  const seen = new Set<Expr>();
  const stack = [e];
  for (let x = stack.pop(); x; x = stack.pop()) {
    if (x.op === "acc" && accumulators.has(x.arg as string)) return true;
    if (seen.has(x)) continue;
    seen.add(x);
    stack.push(...x.src);
  }
  return false;
}

function accumulate(k: Accumulate, w: Writer, t: Target, pointer: Pointers, part: Part | undefined): string[] {
  w.count(valuesAndPlaces(k.stores));
  const fills = k.stores.flatMap(({ buffer, at }) => {
    const { dtype: d } = buffer;
    // Of a part only its own share of the output is filled: the elements from one iteration's to the next one's.
    const share = part && linear(at)!.of.get(part.loop)!;
    const whole = share ? between(part, "z", share) : { name: "z", n: buffer.shape.reduce((a, b) => a * b, 1) };
    return [t.loop(whole), t.store(pointer(buffer, true), "z", t.literal(k.zero, d), d), "}"];
  });
  const loops = k.loops.map((l) => within(l, part));
  const body = w.inside(loops, () =>
    k.stores.map(({ buffer, at, value }) => {
      const [out, place, { dtype: d }] = [pointer(buffer, true), w.text(at), buffer];
      return t.store(out, place, t.ops[k.join](d, t.load(out, place, d), w.text(value), "", d), d);
    }),
  );
  return [...fills, ...w.flush(), ...body];
}

/** Expressions to text. What is used twice gets a name, declared in the innermost loop that it depends on. */
class Writer {
  private readonly target: Target;
  private readonly buffer: (name: string) => { readonly from: string; readonly storage: Storage };
  private readonly uses = new Map<Expr, number>();
  private readonly names = new Map<Expr, string>();
  private readonly accumulators = new Map<string, string>();
  private readonly varies = new Map<Expr, boolean>();
  private inner = new Set<string>();
  private lines: string[] = [];
  private innerLines: string[] = [];
  private readonly innerNames: Expr[] = [];
  private declared = 0;

  constructor(target: Target, buffer: (name: string) => { readonly from: string; readonly storage: Storage }) {
    this.target = target;
    this.buffer = buffer;
  }

  count(roots: readonly Expr[]): void {
    const visit = (e: Expr) => {
      const n = this.uses.get(e) ?? 0;
      this.uses.set(e, n + 1);
      if (n === 0) e.src.forEach(visit);
    };
    roots.forEach(visit);
  }

  /** Statements within loops: what they need of the loops is declared in them, the rest before. */
  inside(loops: readonly Range[], statements: () => string[], aboveInnermost?: string): string[] {
    this.inner = new Set(loops.map((l) => l.name));
    this.varies.clear();
    const last = statements();
    const open = loops.map((l) => this.target.loop(l));
    if (aboveInnermost && open.length > 0) open.splice(-1, 0, aboveInnermost);
    const body = [...open, ...this.innerLines, ...last, ...loops.map(() => "}")];
    for (const e of this.innerNames.splice(0)) this.names.delete(e);
    this.innerLines = [];
    this.inner = new Set();
    this.varies.clear();
    return body;
  }

  /** What the result of a reduction is called: by its number, so that kernels which do the same are one function. */
  accumulator(name: string): string {
    const short = this.accumulators.get(name) ?? `acc${this.accumulators.size}`;
    this.accumulators.set(name, short);
    return short;
  }

  /** The declarations that have come up since the last time. */
  flush(): string[] {
    const lines = this.lines;
    this.lines = [];
    return lines;
  }

  /** As text, but never more than a name or a literal. */
  named(e: Expr): string {
    const s = this.text(e);
    return this.names.has(e) || e.op === "const" || e.op === "var" || e.op === "acc" ? s : this.declare(e, s);
  }

  text(e: Expr): string {
    const known = this.names.get(e);
    if (known) return known;
    if (e.op === "var") return `${e.arg}`;
    if (e.op === "acc") return this.accumulator(e.arg as string);
    if (e.op === "const") return this.target.literal(e.const!, e.dtype);
    const s = this.spell(e);
    return this.uses.get(e)! < 2 && !loads(e) ? s : this.declare(e, s);
  }

  private declare(e: Expr, s: string): string {
    const v = `v${this.declared++}`;
    const inner = this.inInner(e);
    (inner ? this.innerLines : this.lines).push(this.target.declare(v, s, e.dtype, false));
    if (inner) this.innerNames.push(e);
    this.names.set(e, v);
    return v;
  }

  private inInner(e: Expr): boolean {
    if (this.inner.size === 0) return false;
    let v = this.varies.get(e);
    if (v === undefined) {
      v = e.op === "var" ? this.inner.has(e.arg as string) : e.src.some((s) => this.inInner(s));
      this.varies.set(e, v);
    }
    return v;
  }

  private spell(e: Expr): string {
    const { target: t } = this;
    if (e.op === "load") {
      const [at, inside] = e.src as [Expr, Expr];
      const { from: pointer, storage } = this.buffer(e.arg as string);
      const from = (place: string) => t.load(pointer, place, storage);
      if (inside.const) return from(this.text(at));
      const [place, valid] = [this.text(at), this.text(inside)];
      // The condition is one on integers: of another width than the value, it moves into the index.
      const value = storages[storage].bytes === 4 ? from(place) : from(t.ops.where("i32", valid, place, "0", "i32"));
      return t.ops.where(e.dtype, valid, value, t.literal(0, e.dtype), e.dtype);
    }
    if (e.op === "add" && t.multiplyAdd && isFloat(e.dtype)) {
      for (const [x, other] of [e.src, e.src.toReversed()] as [Expr, Expr][]) {
        const product = rounds(x) ? x : negated(x);
        if (!product || !rounds(product)) continue;
        const [a, b] = product.src.map((s) => this.text(s)) as [string, string];
        const factor = product === x ? a : t.ops.mul(e.dtype, a, t.literal(-1, e.dtype), "", e.dtype);
        return t.multiplyAdd(e.dtype, factor, b, this.text(other));
      }
    }
    const [a = "", b = "", c = ""] = e.src.map((x) => this.text(x));
    if (e.dtype === "i32" && (e.op === "add" || e.op === "mul") && e.lo === -Infinity) {
      // A user's integers wrap around; C leaves that undefined for signed ones. Indices have bounds and never do.
      const unsigned = (x: string) => t.ops.cast("i32", x, "", "", "u32");
      return t.ops.cast("u32", t.ops[e.op]("u32", unsigned(a), unsigned(b), "", "u32"), "", "", "i32");
    }
    const operands = e.op === "where" ? e.dtype : e.src[0]!.dtype;
    return t.ops[e.op as keyof Target["ops"]](operands, a, b, c, e.dtype);
  }
}

/**
 * A load is made before the expression that needs it, even when only one branch does, so that nothing but its own place
 * is a condition of it: gcc 12 vectorises a load under a condition that is itself loaded, as a mask or a float is, into
 * wrong code, and loads without conditions are faster.
 */
const loads = (e: Expr): boolean => e.op === "load";

/** A product that is rounded, unlike the one by −1 that makes a sum a difference. */
const rounds = (e: Expr): boolean => e.op === "mul" && !negated(e);

/** What is taken from another number. */
const negated = (e: Expr): Expr | undefined =>
  e.op === "mul" && e.src.some((s) => s.const === -1) ? e.src.find((s) => s.const !== -1) : undefined;

function indent(lines: readonly string[]): string[] {
  let depth = 1;
  return lines.map((line) => {
    if (line === "}") depth--;
    return "  ".repeat(line.endsWith("{") ? depth++ : depth) + line;
  });
}

/** Equal kernels over different buffers are one function: its body, and who calls it with what. */
export function functions<K, P>(kernels: readonly K[], print: (k: K) => P, textOf: (p: P) => string) {
  const names = new Map<string, string>();
  const calls = kernels.map((k) => {
    const printed = print(k);
    const text = textOf(printed);
    if (!names.has(text)) names.set(text, `dh_k${names.size}`);
    return { kernel: k, printed, name: names.get(text)! };
  });
  return { calls, bodies: [...names].map(([text, name]) => ({ name, text })) };
}
