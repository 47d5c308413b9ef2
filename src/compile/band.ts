/**
 * Bands: kernels that can be cut along one outer axis into the same slices of memory, rows of a batch or rows of a
 * weight, are taken together. A step walks a band in blocks of slices, each block through all its kernels, so that what
 * one makes is still in the cache when the next one reads it, and threads share the blocks. The blocks are a matter of
 * the program alone: how many threads there are changes no bit.
 *
 * A slice is a run of memory. A kernel is cut along the loop whose steps lead from one run to the next in all it writes;
 * of another's results it may read just its own slice. What it reads as a whole, such as weights, must be there before.
 */

import { dtypes } from "../ir/dtype.ts";
import { type Expr, type Linear, linear } from "../ir/expr.ts";
import {
  type Accumulate,
  type Buffer,
  buffersOf,
  type Contraction,
  type Kernel,
  loadsIn,
  type Nest,
} from "./program.ts";
import { apart, sorted } from "./schedule.ts";

/** A kernel of a band: the loop that is cut, `m` or `n` for the rows or columns of a product, and its share of a slice. */
export type Member = {
  readonly kernel: Kernel;
  readonly cut?: { readonly axis: string; readonly perSlice: number };
};

export type Band = {
  readonly members: readonly Member[];
  /** How often the band can be cut; 1 where it cannot. */
  readonly slices: number;
  /** Slices of one block; the last block may have fewer. */
  readonly perBlock: number;
  readonly blocks: number;
  /** Elements of one slice of the buffers that are cut, by place. */
  readonly stride: ReadonlyMap<Place, number>;
  /** Whether everybody must have finished what comes before; otherwise it needs nothing made since the last wait. */
  readonly waits: boolean;
};

/** One place in memory: state and what replaces it are one, everything else is its own. */
type Place = Buffer | string;
export const placeIn = (b: Buffer): Place => (b.role === "state" ? `state ${b.at}` : b);

/** The loop a kernel can be cut along: its length, and per place the elements between two steps, null for all of it. */
type Axis = { readonly name: string; readonly n: number; readonly steps: ReadonlyMap<Place, number | null> };

export function bands(kernels: readonly Kernel[], named: ReadonlyMap<string, Buffer>, grain = GRAIN): Band[] {
  const groups: Group[] = [];
  const touching = new Map<Place, Group[]>(); // whose slices or wholes a place is among, in the order of the groups
  const written = new Map<Place, Group>(); // who wrote a place last
  const read = new Map<Place, Set<Group>>(); // who has read it since
  for (const kernel of kernels) {
    const { reads, writes } = buffersOf(kernel, named);
    const needs = new Set<Group>();
    for (const b of [...reads, ...writes]) {
      const g = written.get(placeIn(b));
      if (g) needs.add(g);
    }
    for (const b of writes) for (const g of read.get(placeIn(b)) ?? []) needs.add(g);
    const axis = axisOf(kernel, named);
    const joined = axis && joinable(touching, axis, writes, needs);
    const home: Group = joined ?? {
      at: groups.length,
      members: [],
      slices: axis?.n ?? 1,
      whole: new Map(),
      writes: new Set(),
      needs: new Set(),
    };
    if (!joined) groups.push(home);
    if (axis) {
      for (const place of axis.steps.keys()) {
        if (home.whole.has(place)) continue;
        const by = touching.get(place);
        if (by) by.push(home);
        else touching.set(place, [home]);
      }
      add(home, axis);
    }
    home.members.push({ kernel, axis });
    for (const b of reads) {
      const place = placeIn(b);
      read.set(place, (read.get(place) ?? new Set()).add(home));
    }
    for (const b of writes) {
      home.writes.add(placeIn(b));
      written.set(placeIn(b), home);
      read.delete(placeIn(b));
    }
    for (const need of needs) if (need !== home) home.needs.add(need);
  }
  return phases(groups, grain);
}

/** Each kernel by itself, in order, for a target that walks them one after the other. */
export const uncut = (kernels: readonly Kernel[]): Band[] =>
  kernels.map((kernel) => ({
    members: [{ kernel }],
    slices: 1,
    perBlock: 1,
    blocks: 1,
    stride: new Map(),
    waits: false,
  }));

/**
 * `whole`: the elements of all slices of a place that is cut, null where a kernel reads it otherwise. `needs`: the groups
 * that have to run before this one because its kernels say so, not those that these need.
 */
type Group = {
  readonly at: number;
  readonly members: { readonly kernel: Kernel; readonly axis: Axis | undefined }[];
  slices: number;
  readonly whole: Map<Place, number | null>;
  readonly writes: Set<Place>;
  readonly needs: Set<Group>;
};

/** The latest group that a kernel can join: nothing else that the kernel needs waits for that group. */
function joinable(
  touching: ReadonlyMap<Place, readonly Group[]>,
  axis: Axis,
  writes: readonly Buffer[],
  needs: ReadonlySet<Group>,
): Group | undefined {
  const near = new Set([...axis.steps.keys()].flatMap((place) => touching.get(place) ?? []));
  const candidates = [...near].filter((g) => canJoin(g, axis, writes)).sort((p, q) => q.at - p.at);
  return candidates.find(apart(needs));
}

/** Whether the kernel finds in g a slice that it shares, and nothing of g's that it would need more than a slice of. */
function canJoin(g: Group, axis: Axis, writes: readonly Buffer[]): boolean {
  if (gcd(g.slices, axis.n) < 2) return false;
  let shared = false;
  for (const [place, step] of axis.steps) {
    const whole = g.whole.get(place);
    if (whole === undefined) continue;
    const same = whole !== null && step !== null && whole === step * axis.n;
    if (!same && (g.writes.has(place) || writes.some((b) => placeIn(b) === place))) return false;
    shared ||= same;
  }
  return shared;
}

function add(g: Group, axis: Axis): void {
  g.slices = gcd(g.slices, axis.n);
  for (const [place, step] of axis.steps) {
    const whole = step === null ? null : step * axis.n;
    g.whole.set(place, g.whole.has(place) && g.whole.get(place) !== whole ? null : whole);
  }
}

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

// ---------------------------------------------------------------------------------------------------- blocks

/** What two neighbouring kernels of a block may take of the second-level cache. */
const CACHE = 1 << 18;
/** Multiply-adds below which nobody gains by a block of its own. */
const GRAIN = 3 << 20;
/**
 * With fewer rows a matrix product waits for its other factor: where the cache holds those of the whole band, where they
 * come from beyond it for every block, or in bfloat16, which each call packs and then multiplies six times as fast.
 */
const ROWS = { near: 32, far: 256, packed: 256 };
/** With fewer it is nobody's gain to share such a product with another thread. */
const FEWEST = 64;
/** Bytes of factors that come from beyond the cache. */
const FAR = 1 << 21;
/** Bytes of a factor that every call brings into another form; weights are packed once per step. */
const COPIED = 1 << 18;
/** Blocks that a band of enough work should have: more threads than this find less to do in it. */
const SHARES = 16;

function band({ members, slices, whole }: Group, grain: number): Omit<Band, "waits"> {
  const each = perBlock(members, slices, grain);
  const stride = new Map([...whole].flatMap(([place, n]) => (n === null ? [] : [[place, n / slices] as const])));
  return {
    members: members.map(({ kernel, axis }) =>
      axis ? { kernel, cut: { axis: axis.name, perSlice: axis.n / slices } } : { kernel },
    ),
    slices,
    perBlock: each,
    blocks: Math.ceil(slices / each),
    stride,
  };
}

function perBlock(members: Group["members"], slices: number, grain: number): number {
  let bytes = 1;
  let work = 0;
  const factors = new Map<Place, number>(); // bytes of what products read as a whole, every block anew
  for (const { kernel, axis } of members) {
    if (!axis) return slices;
    let own = 0;
    for (const [place, step] of axis.steps) {
      const size = typeof place === "string" ? 4 : dtypes[place.dtype].bytes;
      if (step !== null) own += (step * size * axis.n) / slices;
    }
    bytes = Math.max(bytes, own);
    work += workOf(kernel);
    if (!alongMatrix(kernel, axis)) continue;
    const other = axis.name === "m" ? kernel.b : kernel.a;
    const size = (times(kernel.sum) * kernel.m * kernel.n * dtypes[other.buffer.dtype].bytes) / axis.n;
    factors.set(placeIn(other.buffer), size);
  }
  const far = [...factors.values()].reduce((sum, n) => sum + n, 0) > FAR;
  const copied = (b: Buffer) => b.role === "temporary" && factors.get(placeIn(b))! > COPIED;
  let rows = 1;
  for (const { kernel, axis } of members) {
    if (!axis || !alongMatrix(kernel, axis)) continue;
    const packs = kernel.a.buffer.storage === "bf16" && kernel.b.buffer.storage === "bf16";
    const again = far || copied(axis.name === "m" ? kernel.b.buffer : kernel.a.buffer);
    const fewest = packs ? ROWS.packed : again ? Math.min(ROWS.far, Math.max(FEWEST, axis.n / 4)) : ROWS.near;
    rows = Math.max(rows, Math.ceil((Math.min(grain, fewest) * slices) / axis.n));
  }
  // A power of two is what most numbers of threads divide, or nearly.
  const shares = 2 ** Math.floor(Math.log2(Math.max(1, Math.min(SHARES, work / grain))));
  const most = Math.min(slices, Math.max(rows, Math.min(Math.floor(CACHE / bytes), Math.ceil(slices / shares))));
  // A divisor where one is near: all blocks are then alike, and their kernels know their length.
  for (let r = most; r > most / 2; r--) if (slices % r === 0) return r;
  return Math.max(1, most);
}

const alongMatrix = (k: Kernel, axis: Axis): k is Contraction =>
  k.kind === "contraction" && (axis.name === "m" || axis.name === "n");

/** About how many multiply-adds a kernel takes, or as much other work. */
function workOf(k: Kernel): number {
  if (k.kind === "contraction") return times(k.loops) * k.m * k.n * times(k.sum);
  // Memory and elementary functions cost more than an arithmetic unit would.
  if (k.kind === "accumulate") return 8 * times(k.loops);
  return 8 * times(k.loops) * (k.stores.length + k.reductions.reduce((sum, r) => sum + times(r.loops), 0));
}

const times = (loops: readonly { readonly n: number }[]) => loops.reduce((product, l) => product * l.n, 1);

// ---------------------------------------------------------------------------------------------------- cuts

/** The loop along which a kernel writes run after run of memory, or undefined. */
function axisOf(k: Kernel, named: ReadonlyMap<string, Buffer>): Axis | undefined {
  for (const axis of k.kind === "contraction" ? productAxes(k) : nestAxes(k, named)) {
    if (axis.n > 1 && axis.writes.every((b) => typeof axis.steps.get(placeIn(b)) === "number")) return axis;
  }
  return undefined;
}

type Candidate = Axis & { readonly writes: readonly Buffer[] };

function* nestAxes(k: Nest | Accumulate, named: ReadonlyMap<string, Buffer>): Iterable<Candidate> {
  const stores = k.kind === "nest" ? k.stores : [k.store];
  const values = [...(k.kind === "nest" ? k.reductions.map((r) => r.value) : []), ...stores.map((s) => s.value)];
  const inner = k.kind === "nest" ? k.reductions.flatMap((r) => r.loops) : [];
  const bounds = new Map([...k.loops, ...inner].map((l) => [l.name, { lo: 0, hi: l.n - 1 }]));
  const accesses = [
    ...stores.map((s) => access(placeIn(s.buffer), s.at, undefined, bounds)),
    ...loadsIn([...values, ...stores.map((s) => s.at)]).map((e) =>
      access(placeIn(named.get(e.arg as string)!), e.src[0]!, e.src[1], bounds),
    ),
  ];
  const writes = stores.map((s) => s.buffer);
  for (const { name, n } of k.loops) {
    const steps = new Map<Place, number | null>();
    for (const a of accesses) {
      const step = stepOf(name, a);
      steps.set(a.place, steps.has(a.place) && steps.get(a.place) !== step ? null : step);
    }
    yield { name, n, steps, writes };
  }
}

type Bounds = Map<string, { lo: number; hi: number }>;

/** Where a nest reads or writes, and what is known of the loops there. */
type Access = { readonly place: Place; readonly form: Linear | undefined; readonly bounds: Bounds };

function access(place: Place, at: Expr, inside: Expr | undefined, loops: Bounds): Access {
  if (!inside || inside.const) return { place, form: linear(at), bounds: loops };
  const bounds = new Map([...loops].map(([name, b]) => [name, { ...b }]));
  tighten(inside, bounds);
  return { place, form: linear(at), bounds };
}

/** Elements between one iteration's run of memory and the next one's, or null where the runs are not apart. */
function stepOf(loop: string, { form, bounds }: Access): number | null {
  if (!form) return null;
  const step = form.of.get(loop) ?? 0;
  if (step <= 0) return null;
  let lo = form.constant;
  let hi = form.constant;
  for (const [name, scale] of form.of) {
    if (name === loop) continue;
    const b = bounds.get(name)!;
    lo += scale * (scale > 0 ? b.lo : b.hi);
    hi += scale * (scale > 0 ? b.hi : b.lo);
  }
  return lo >= 0 && hi < step ? step : null;
}

/** What a condition on single loops, such as that of a padded tensor, says of their range. */
function tighten(inside: Expr, bounds: Bounds): void {
  if (inside.op === "and") for (const e of inside.src) tighten(e, bounds);
  if (inside.op !== "lt") return;
  const [left, right] = inside.src.map(linear);
  if (!left || !right) return;
  const of = new Map(right.of);
  for (const [name, scale] of left.of) of.set(name, (of.get(name) ?? 0) - scale);
  // Σ of · loop + constant > 0
  const constant = right.constant - left.constant;
  const [only, another] = [...of].filter(([, scale]) => scale !== 0);
  const b = only && bounds.get(only[0]);
  if (!b || another) return;
  const scale = only[1];
  if (scale > 0) b.lo = Math.max(b.lo, Math.floor(-constant / scale) + 1);
  else b.hi = Math.min(b.hi, Math.ceil(constant / -scale) - 1);
}

function productAxes({ loops, m, n, sum, a, b, c }: Contraction): Candidate[] {
  const none = { n: 1, a: 0, b: 0, c: 0 };
  const shifts = [a, b, c].map((x) => linear(x.at)!);
  const axes = [
    ...loops.map((l) => {
      const [ofA, ofB, ofC] = shifts.map((f) => f.of.get(l.name) ?? 0) as [number, number, number];
      return { name: l.name, n: l.n, a: ofA, b: ofB, c: ofC };
    }),
    { ...none, name: "m", n: m, a: a.stride, c: c.strides.row },
    { ...none, name: "n", n, b: b.stride, c: c.strides.col },
    ...sum.map((s) => ({ ...none, ...s, name: "" })),
  ];
  const step = (side: "a" | "b" | "c", cut: (typeof axes)[number]): number | null => {
    const along = cut[side];
    if (along <= 0) return null;
    const constant = shifts[["a", "b", "c"].indexOf(side)]!.constant;
    let [lo, hi] = [constant, constant];
    for (const x of axes) {
      if (x === cut) continue;
      const far = x[side] * (x.n - 1);
      if (far < 0) lo += far;
      else hi += far;
    }
    return lo >= 0 && hi < along ? along : null;
  };
  return axes
    .filter((x) => x.name !== "")
    .map((cut) => {
      const steps = new Map<Place, number | null>();
      for (const [side, buffer] of [
        ["a", a.buffer],
        ["b", b.buffer],
        ["c", c.buffer],
      ] as const) {
        const place = placeIn(buffer);
        const own = step(side, cut);
        steps.set(place, steps.has(place) && steps.get(place) !== own ? null : own);
      }
      return { name: cut.name, n: cut.n, steps, writes: [c.buffer] };
    });
}

// ---------------------------------------------------------------------------------------------------- order

/**
 * The bands in an order with few waits: each goes to the first phase in which all that it needs was made in an earlier
 * one, or by the same thread. What is not cut runs on one thread, always the same, and need not wait for itself.
 */
function phases(groups: readonly Group[], grain: number): Band[] {
  const index = new Map(groups.map((g, k) => [g, k]));
  const after = groups.map(() => new Set<number>());
  for (const g of groups) for (const b of g.needs) after[index.get(b)!]!.add(index.get(g)!);
  const made = groups.map((g) => band(g, grain));
  const cut = made.map((b) => b.blocks > 1);
  const phase: number[] = [];
  const order = sorted(after);
  for (const k of order) {
    phase[k] = 0;
    for (const b of groups[k]!.needs) {
      const need = index.get(b)!;
      phase[k] = Math.max(phase[k]!, phase[need]! + (cut[k] || cut[need] ? 1 : 0));
    }
  }
  let now = 0;
  return order
    .sort((a, b) => phase[a]! - phase[b]!)
    .map((k) => {
      const waits = phase[k]! > now;
      now = phase[k]!;
      return { ...made[k]!, waits };
    });
}
