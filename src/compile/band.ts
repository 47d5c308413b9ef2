/**
 * Bands: kernels that can be cut along one outer axis into the same slices of memory, rows of a batch or rows of a
 * weight, are taken together. A step walks a band in blocks of slices, each block through all its kernels, so that what
 * one makes is still in the cache when the next one reads it, and threads share the blocks. The blocks are a matter of
 * the program alone: how many threads there are changes no bit.
 *
 * A slice is a run of memory. A kernel is cut along the loop whose steps lead from one run to the next in all it writes;
 * of another's results it may read just its own slice. What it reads as a whole, such as weights, must be there before.
 */
import { columnsOf, GRAIN, perBlock } from "./block.ts";
import { type Axis, axisOf, type Place, placeIn } from "./cut.ts";
import { type Buffer, buffersOf, type Kernel } from "./program.ts";
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

/**
 * The bands of a step. Where it falls into several parts, each is over before the next begins. `beside`: kernels of which
 * nobody reads anything but the one that they stand before, and whose band they go with.
 */
export function bands(
  parts: readonly (readonly Kernel[])[],
  named: ReadonlyMap<string, Buffer>,
  grain = GRAIN,
  beside: ReadonlyMap<Kernel, readonly Kernel[]> = new Map(),
): Band[] {
  const groups: Group[] = [];
  const touching = new Map<Place, Group[]>(); // whose slices or wholes a place is among, in the order of the groups
  const written = new Map<Place, Group>(); // who wrote a place last
  const read = new Map<Place, Set<Group>>(); // who has read it since
  const grouped: Group[][] = parts.map(() => []); // the groups of each part
  for (const [part, kernel] of parts.flatMap((list, part) => list.map((k) => [part, k] as const))) {
    const together = [...(beside.get(kernel) ?? []), kernel].map((k) => ({
      kernel: k,
      axis: (beside.has(kernel) ? undefined : columnsOf(k, grain)) ?? axisOf(k, named),
      ...buffersOf(k, named),
    }));
    const needs = new Set(grouped[part - 1]);
    for (const { reads, writes } of together) {
      for (const b of [...reads, ...writes]) {
        const g = written.get(placeIn(b));
        if (g) needs.add(g);
      }
      for (const b of writes) for (const g of read.get(placeIn(b)) ?? []) needs.add(g);
    }
    const { axis } = together.at(-1)!;
    const joined = axis && joinable(touching, together, needs, part);
    const home: Group = joined ?? {
      at: groups.length,
      part,
      members: [],
      slices: axis?.n ?? 1,
      whole: new Map(),
      writes: new Set(),
      needs: new Set(),
    };
    if (!joined) {
      groups.push(home);
      grouped[part]!.push(home);
    }
    for (const { kernel, axis, reads, writes } of together) {
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
  readonly part: number;
  readonly members: { readonly kernel: Kernel; readonly axis: Axis | undefined }[];
  slices: number;
  readonly whole: Map<Place, number | null>;
  readonly writes: Set<Place>;
  readonly needs: Set<Group>;
};

type Joining = { readonly axis: Axis | undefined; readonly writes: readonly Buffer[] };

/** The latest group that a kernel can join, with those beside it: nothing else that they need waits for that group. */
function joinable(
  touching: ReadonlyMap<Place, readonly Group[]>,
  together: readonly Joining[],
  needs: ReadonlySet<Group>,
  part: number,
): Group | undefined {
  const main = together.at(-1)!;
  const near = new Set([...main.axis!.steps.keys()].flatMap((place) => touching.get(place) ?? []));
  const fits = (g: Group) =>
    sharesSlices(g, main) === true && together.every((one) => sharesSlices(g, one) !== undefined);
  const candidates = [...near].filter((g) => g.part === part && fits(g)).sort((p, q) => q.at - p.at);
  return candidates.find(apart(needs));
}

/** Whether a kernel finds in g a slice that it shares; undefined where it needs more than a slice of something of g's. */
function sharesSlices(g: Group, { axis, writes }: Joining): boolean | undefined {
  if (!axis || gcd(g.slices, axis.n) < 2) return undefined;
  let shared = false;
  for (const [place, step] of axis.steps) {
    const whole = g.whole.get(place);
    if (whole === undefined) continue;
    const same = whole !== null && step !== null && whole === step * axis.n;
    if (!same && (g.writes.has(place) || writes.some((b) => placeIn(b) === place))) return undefined;
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

// ---------------------------------------------------------------------------------------------------- order

/**
 * The bands in an order with few waits: each goes to the first phase in which all that it needs was made in an earlier
 * one, or by the same thread. What is not cut runs on one thread, always the same, and need not wait for itself; it comes
 * first in its phase, for the others then have blocks to take meanwhile.
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
    .sort((a, b) => phase[a]! - phase[b]! || Number(cut[a]) - Number(cut[b]))
    .map((k) => {
      const waits = phase[k]! > now;
      now = phase[k]!;
      return { ...made[k]!, waits };
    });
}
