/**
 * What is cheaper to make again than to keep. A batch norm's result, rectified, is read by the pool of its own band and,
 * bands later, by the gradient: as large as what it is made of, which the gradient reads as well. So the later band makes its
 * slice again from what it has at hand, and neither band's goes to memory: it lives in scratch, block by block.
 *
 * They are the same kernels, and what they compute is printed so that it has the same bits wherever it stands
 * (`multiplyAdd` in print/target.ts): the largest of a window is found again.
 */
import { everyIn } from "../ir/expr.ts";
import { bytesOf } from "../ir/value.ts";
import type { Band } from "./band.ts";
import { placeIn } from "./cut.ts";
import { type Buffer, buffersOf, type Kernel, type Nest } from "./program.ts";
import { only, renamed } from "./recompute.ts";

/** Bytes of a tensor that may not stay in a second-level cache from one band to another. */
const FAR = 1 << 20;
/** Bytes of what is read as a whole, such as a number for each channel. */
const SMALL = 1 << 14;
/** Operations on an element: more would take longer than memory. */
const FEW = 12;
const slow = new Set(["exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "erf", "sqrt", "div"]);

/**
 * What is made again where that saves memory: the kernels of `parts`, some of which read it, and what stands `beside` which
 * of them to make it (see bands); undefined where nothing is.
 */
export function remade(
  parts: readonly (readonly Kernel[])[],
  list: readonly Band[],
  named: ReadonlyMap<string, Buffer>,
  twin: (b: Buffer) => Buffer,
  far = FAR,
): { parts: Kernel[][]; beside: Map<Kernel, Kernel[]> } | undefined {
  const order = parts.flat();
  const at = new Map(order.map((k, n) => [k, n]));
  const home = new Map(list.flatMap((band) => band.members.map(({ kernel }) => [kernel, band])));
  const writers = new Map<Buffer, Kernel[]>();
  const readers = new Map<Buffer, Kernel[]>();
  for (const k of order) {
    const { reads, writes } = buffersOf(k, named);
    for (const b of writes) writers.set(b, [...(writers.get(b) ?? []), k]);
    for (const b of reads) readers.set(b, [...(readers.get(b) ?? []), k]);
  }

  const twins = new Map<Band, Map<Buffer, Buffer>>(); // what each band reads instead
  const copies = new Map<Band, Copy[]>(); // what makes it, each after those whose results it reads
  for (const [b, [k, another]] of writers) {
    if (!k || another || b.role !== "temporary" || bytesOf(b) < far || !isRepeatable(k)) continue;
    const own = home.get(k)!;
    const later = new Map<Band, number>(); // and where it is first read there
    for (const reader of readers.get(b) ?? []) {
      const band = home.get(reader)!;
      if (band !== own) later.set(band, Math.min(at.get(reader)!, later.get(band) ?? order.length));
    }
    if (later.size === 0 || own.blocks === 1) continue;
    const { reads } = buffersOf(k, named);
    const cut = (band: Band, r: Buffer) => (band.stride.get(placeIn(r)) ?? 0) * band.slices;
    const hasAtHand = (band: Band) =>
      band.blocks > 1 && [b, ...reads].every((r) => (cut(own, r) ? cut(own, r) === cut(band, r) : bytesOf(r) <= SMALL));
    const places = new Set(reads.map(placeIn));
    // By the first reader as well: its first block would write what the second one makes it of.
    const replaced = order
      .slice(at.get(k)!, Math.max(...later.values()) + 1)
      .some((between) => buffersOf(between, named).writes.some((w) => places.has(placeIn(w))));
    if (replaced || ![...later.keys()].every(hasAtHand)) continue;
    for (const [band, first] of later) {
      const to = twins.get(band) ?? new Map<Buffer, Buffer>();
      const makes = twin(b);
      twins.set(band, to.set(b, makes));
      const copy = { kernel: renamed(only(k, new Set([b])), to), makes, before: first };
      copies.set(band, [...(copies.get(band) ?? []), copy]);
    }
  }
  if (copies.size === 0) return undefined;
  for (const list of copies.values()) {
    for (const { kernel, before } of list.toReversed()) {
      const { reads } = buffersOf(kernel, named);
      for (const c of list) if (reads.includes(c.makes)) c.before = Math.min(c.before, before);
    }
  }
  const beside = new Map<Kernel, Kernel[]>();
  const now = (k: Kernel) => {
    const band = home.get(k)!;
    const to = twins.get(band);
    if (!to) return k;
    const reader = renamed(k, to);
    const first = (copies.get(band) ?? []).filter((c) => c.before === at.get(k));
    if (first.length > 0)
      beside.set(
        reader,
        first.map((c) => c.kernel),
      );
    return reader;
  };
  return { parts: parts.map((kernels) => kernels.map(now)), beside };
}

/** A kernel a second time, what it makes, and the place in the order that it stands before. */
type Copy = { readonly kernel: Kernel; readonly makes: Buffer; before: number };

/** Whether a kernel maps elements by a few quick operations. */
function isRepeatable(k: Kernel): k is Nest {
  if (k.kind !== "nest" || k.reductions.length > 0) return false;
  const all = [...everyIn(k.stores.map((s) => s.value))].filter(
    (e) => e.src.length > 0 && e.op !== "load" && e.dtype !== "i32",
  );
  return all.length <= FEW && !all.some((e) => slow.has(e.op));
}
