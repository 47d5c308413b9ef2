/**
 * Where a kernel can be cut: the loop whose steps lead from one run of memory to the next in all that it writes. By interval
 * arithmetic on linear positions: what an iteration touches, less the loop's own share, has to stay within one step of it.
 * What cannot be shown is taken as read, or written, as a whole.
 */
import { type Expr, type Linear, linear, loadsIn } from "../ir/expr.ts";
import type { Accumulate, Buffer, Contraction, Kernel, Nest } from "./program.ts";

/** One place in memory: state and what replaces it are one, everything else is its own. */
export type Place = Buffer | string;
export const placeIn = (b: Buffer): Place => (b.role === "state" ? `state ${b.at}` : b);

/** The loop a kernel can be cut along: its length, and per place the elements between two steps, null for all of it. */
export type Axis = {
  readonly name: string;
  readonly n: number;
  readonly steps: ReadonlyMap<Place, number | null>;
  /** Steps of a block, where the kernel shares slices with nobody and says so itself. */
  readonly block?: number;
};

/** The loop along which a kernel writes run after run of memory, or undefined. */
export function axisOf(k: Kernel, named: ReadonlyMap<string, Buffer>): Axis | undefined {
  for (const axis of k.kind === "contraction" ? productAxes(k) : nestAxes(k, named)) {
    if (axis.n > 1 && axis.writes.every((b) => typeof axis.steps.get(placeIn(b)) === "number")) return axis;
  }
  return undefined;
}

/**
 * The two loops of a product that reads slices of nothing, such as the gradient of a weight: along one it writes run after
 * run of memory, `rows`, and along the other a piece of each.
 */
export function crossing(k: Contraction): { readonly rows: Axis; readonly columns: Axis } | undefined {
  if (k.loops.length > 0) return undefined;
  const axes: readonly Axis[] = productAxes(k);
  const rows = axes.find((axis) => axis.steps.get(placeIn(k.c.buffer)) !== null);
  const columns = axes.find((axis) => axis !== rows);
  const slices = axes.flatMap(({ steps }) => [...steps.values()].filter((step) => step !== null));
  return rows && columns && slices.length === 1 ? { rows, columns } : undefined;
}

type Candidate = Axis & { readonly writes: readonly Buffer[] };

function* nestAxes(k: Nest | Accumulate, named: ReadonlyMap<string, Buffer>): Iterable<Candidate> {
  const { stores } = k;
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
