/**
 * From the graph of one step to a program: unify → choose what is stored → lower → merge → schedule → take parts twice →
 * collapse loops → gather in bands → place.
 */
import { fresh } from "../ir/expr.ts";
import { fail } from "../ir/fail.ts";
import { topo, unify } from "../ir/graph.ts";
import { isMovement, type Range } from "../ir/ops.ts";
import { size } from "../ir/shape.ts";
import { inPlaceOf, Tensor } from "../ir/tensor.ts";
import { bytesOf } from "../ir/value.ts";
import { layouts } from "./arrange.ts";
import { bands, uncut } from "./band.ts";
import { collapse } from "./collapse.ts";
import { type Product, product } from "./contraction.ts";
import { stored } from "./fuse.ts";
import { joins } from "./join.ts";
import { lower } from "./lower.ts";
import { simplifyMasks } from "./masks.ts";
import { align, plan } from "./memory.ts";
import { merge, withoutDeadStores } from "./merge.ts";
import { partialSums } from "./partial.ts";
import { roundedTo } from "./precision.ts";
import { type Buffer, type Check, farthest, type Kernel, type Program, type Role } from "./program.ts";
import { recomputed } from "./recompute.ts";
import { remade } from "./remake.ts";
import { schedule, settled, type Update } from "./schedule.ts";
import { simplifySums } from "./sums.ts";
import { tile } from "./tile.ts";
import { simplifyViews } from "./views.ts";

/** A traced step. All but `next` and `outputs` are inputs. */
export type Trace = {
  readonly state: readonly { readonly now: Tensor; readonly next: Tensor }[];
  readonly resident: readonly Tensor[];
  readonly feeds: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** An output, a scalar float, that ends a loop of steps when it is not finite. */
  readonly watch?: Tensor;
};

/** The largest index, and elements that one tensor in memory may have: indices are 32-bit. */
const LARGEST = 2 ** 31 - 1;

export type Options = {
  /**
   * Keep every float in memory, fuse nothing, and leave the state as it was: slow, and what a replay that looks for the
   * first non-finite number needs.
   */
  readonly everything?: boolean;
  /** Take kernels together that caches and threads can share. */
  readonly banded?: boolean;
  /** Multiply-adds that are worth a block of their own in a band. */
  readonly grain?: number;
  /** Bytes of a tensor from which a band may make it again for itself. */
  readonly far?: number;
};

export function compile(trace: Trace, options: Options = {}): Program {
  return fresh(() => build(trace, options));
}

function build(trace: Trace, { everything = false, banded = false, grain, far }: Options): Program {
  // Each result is a node of its own that is no input, so that each has a kernel that writes it.
  const taken = new Set<Tensor>();
  const asked = unify([...trace.outputs, ...trace.state.map((s) => s.next)]);
  const simple = everything ? asked : simplifyMasks(simplifyViews(simplifySums(asked)));
  const roots = unify(banded ? partialSums(simple) : simple).map((t, k) => {
    const unchanged = k >= trace.outputs.length && trace.state[k - trace.outputs.length]!.now === t;
    if (unchanged) return t;
    const own = taken.has(t) || t.op === "input" || t.op === "literal" ? inPlaceOf(t, () => t.own()) : t;
    taken.add(own);
    return own;
  });
  const results = roots.filter((t) => taken.has(t));
  const order = topo(roots);
  const given = new Set([...trace.state.map((s) => s.now), ...trace.resident, ...trace.feeds]);
  for (const t of order) {
    if (t.op === "input" && !given.has(t))
      fail(`compile: the step depends on an input ${t} that is not among its arguments`);
  }

  const lying = layouts(order, new Set(results));
  const products = new Map<Tensor, Product>();
  for (const t of order) {
    const p = product(t, lying);
    if (p) products.set(t, p);
  }
  const keep = stored(results, order, products, lying);
  const { wholes, layouts: placed } = everything
    ? { wholes: new Map<Tensor, Tensor>(), layouts: lying }
    : joins(order, keep, new Set(results), products, lying);
  if (everything) {
    // Of a sum of products only the sum: the products of a matrix product are more than anybody could hold.
    const factors = new Set(order.flatMap((t) => (t.op === "sum" && t.src[0]!.op === "mul" ? [t.src[0]!] : [])));
    for (const t of order) if (t.isFloat && t.op !== "const" && !isMovement(t.op) && !factors.has(t)) keep.add(t);
  }

  for (const t of keep) if (size(t.shape) > LARGEST) tooLarge(t);

  const outputs = roots.slice(0, trace.outputs.length);
  const literals = order.filter((t) => t.op === "literal");
  const buffers = new Map<Tensor, Draft>();
  const give = (t: Tensor, role: Role, at: number) => {
    const b: Draft = { name: `b${buffers.size}`, role, at, dtype: t.dtype, shape: t.shape, tensor: t };
    const half = role === "temporary" && t.dtype === "f32" && !taken.has(t) ? roundedTo(t) : undefined;
    if (half && !everything) b.storage = half;
    buffers.set(t, b);
    return b;
  };
  let stateBytes = 0;
  const state = trace.state.map(({ now }) => {
    const b = give(now, "state", stateBytes);
    stateBytes += align(bytesOf(b));
    return b;
  });
  const resident = [...trace.resident, ...literals].map((t, k) => give(t, "resident", k));
  const feeds = trace.feeds.map((t, k) => give(t, "feed", k));
  const outs = outputs.map((t, k) => give(t, "output", k));
  const made = order.filter((t) => keep.has(t) && t.op !== "input" && t.op !== "literal");
  for (const t of made) if (!buffers.has(t) && !wholes.has(t)) give(t, "temporary", 0);
  for (const [part, whole] of wholes) buffers.set(part, buffers.get(whole)!);
  const joined = new Set(wholes.values());

  const named = new Map<string, Buffer>([...buffers.values()].map((b) => [b.name, b]));
  const lowered = made.flatMap((t) => {
    if (joined.has(t)) return [];
    const kernel = lower(t, buffers.get(t)!, buffers, placed, products.get(t));
    if (farthest(kernel) > LARGEST) tooLarge(t);
    return kernel;
  });
  const updates = trace.state.flatMap(({ now }, k): Update[] => {
    const next = roots[outputs.length + k]!;
    return next === now ? [] : [{ now: buffers.get(now)!, next: buffers.get(next)! }];
  });
  // Whoever reads a part waits for all of its whole: merging has to know.
  const known = joined.size > 0 ? settled(lowered, named) : lowered;
  const { kernels: ordered, inPlace } = everything
    ? { kernels: lowered, inPlace: [] }
    : schedule(merge(known, named), updates, named);
  for (const { now, next } of inPlace) {
    const b = buffers.get(next.tensor)!;
    b.role = "state";
    b.at = now.at;
  }
  const twin = (b: Buffer) => {
    const { op, src, arg, shape, dtype, origin } = b.tensor;
    const other = give(new Tensor(op, src, arg, shape, dtype, origin), "temporary", 0);
    named.set(other.name, other);
    return other;
  };
  const banding = (parts: readonly (readonly Kernel[])[]) => {
    const first = bands(parts, named, grain);
    const again = remade(parts, first, named, twin, far);
    return again ? bands(again.parts, named, grain, again.beside) : first;
  };
  const needed = everything ? [ordered] : recomputed(withoutDeadStores(ordered, named), named, twin);
  const parts = needed.map((kernels) => kernels.map((k) => tile(collapse(k))));
  const list = banded ? banding(parts) : uncut(parts.flat());
  const places = plan(list, named, { reuse: !everything });
  for (const [b, at] of places.at) buffers.get(b.tensor)!.at = at;
  for (const [b, at] of places.scratch) Object.assign(buffers.get(b.tensor)!, { role: "scratch", at });

  return {
    bands: list,
    kernels: list.flatMap((b) => b.members.map((m) => m.kernel)),
    state,
    resident,
    feeds,
    outputs: outs,
    stateBytes,
    temporaryBytes: places.bytes,
    scratchBytes: places.scratchBytes,
    named,
    checks: checks(order),
    watch: trace.watch && outs[trace.outputs.indexOf(trace.watch)]!.at,
  };
}

/** What is never in memory, such as all products of a matrix product, may be larger, as long as no index is. */
function tooLarge(t: Tensor): never {
  fail(`compile: ${t}, or what it is made of, has more than 2^31 − 1 elements (${t.origin})`, "take smaller batches");
}

/** A buffer while its place is still being decided. */
type Draft = { -readonly [K in keyof Buffer]: Buffer[K] };

/** The bounds that can be checked where the data comes in. */
function checks(order: readonly Tensor[]): Check[] {
  return order.flatMap((t): Check[] => {
    if (t.op !== "bound") return [];
    const way: Tensor[] = [];
    let input = t.src[0]!;
    while (isMovement(input.op) || input.op === "cast" || input.op === "gather" || input.op === "detach") {
      way.unshift(input);
      input = input.src[0]!;
    }
    const bound = t.arg as Omit<Check, "input" | "part">; // what Tensor.bound puts there
    return input.op === "input" || input.op === "literal" ? [{ ...bound, input, part: partOf(input, way) }] : [];
  });
}

/**
 * The part of an input that is looked at: a column of a table is held to its own bound. Slices are followed as far as
 * nothing but choices of rows comes between; what lies further on the way cannot widen the part.
 */
function partOf(input: Tensor, way: readonly Tensor[]): Range[] {
  const part: Range[] = input.shape.map((n) => [0, n]);
  let lead = 1; // axes that stand for axis 0 of the input
  let rows = false; // whether those are rows that were chosen: then any may be among them
  for (const t of way) {
    if (t.op === "gather" && lead > 0) {
      lead += t.src[1]!.rank - 1;
      rows = true;
    } else if (t.op === "shrink") {
      (t.arg as readonly Range[]).forEach(([from, to], axis) => {
        const k = axis < lead ? 0 : axis - lead + 1;
        if (axis >= lead || !rows) part[k] = [part[k]![0] + from, part[k]![0] + to];
      });
    } else if (t.op !== "cast" && t.op !== "detach") break;
  }
  return part;
}

/** Bytes that a run of the program takes beside its feeds and outputs; `own` are those of its executable, or as planned. */
export const peakBytes = (p: Program, own = p.temporaryBytes + p.scratchBytes): number =>
  p.stateBytes + own + p.resident.reduce((sum, b) => sum + bytesOf(b), 0);
