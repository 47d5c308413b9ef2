/**
 * A graph for batches of any size. Shapes are numbers here, so a net is traced at three sizes of batch: where the three
 * graphs agree, they are the graph, and a number of which all three say a · batch + b is worked out while the graph
 * runs. The sizes are large primes, so that no length of the net is taken for one of the batch.
 */
import type { DType } from "../../ir/dtype.ts";
import { fail } from "../../ir/fail.ts";
import { type Shape, sameShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import { Builder } from "./builder.ts";
import { live, type Wire } from "./wire.ts";

export const batchSizes = [1009, 1013, 1019] as const;

/** a · batch + b, of numbers that belong to the three sizes; undefined where they are something else. */
function affine(given: readonly number[]): { a: number; b: number } | undefined {
  const [first, second] = given as [number, number];
  const a = (second - first) / (batchSizes[1] - batchSizes[0]);
  const b = first - a * batchSizes[0];
  return Number.isInteger(a) && given.every((n, k) => n === a * batchSizes[k]! + b) ? { a, b } : undefined;
}

/** A shape that belongs to the three sizes, with a name for each axis that follows the batch. */
export const dynamicShape = (shapes: readonly Shape[]): (number | string)[] =>
  shapes[0]!.map((_, axis) => {
    const { a, b } = affine(shapes.map((s) => s[axis]!)) ?? refuse("the output's shape", undefined);
    if (a === 0) return b;
    return `${a === 1 ? "" : `${a}*`}batch${b > 0 ? `+${b}` : b < 0 ? b : ""}`;
  });

/**
 * One graph from the three. `traces` are its outputs at each size; the batch is as long as that axis of that input. Throws where the graphs differ in more than shapes.
 */
export function generalised(
  traces: readonly (readonly Wire[])[],
  batched: { readonly input: string; readonly axis: number },
): Wire[] {
  const wires = traces.map(live);
  const places = wires.map((list) => new Map(list.map((x, k) => [x, k])));
  const b = new Builder();
  const to = new Map<Wire, Wire>();
  let input: Wire | undefined;

  /** The size of the batch, as a list of one. */
  const batch = () => b.node("Shape", [input!], { start: batched.axis, end: batched.axis + 1 }, "i64", [1]);
  const computed = (of: { a: number; b: number }[]): Wire => {
    let y = batch();
    if (of.length > 1 || of[0]!.a !== 1) y = b.node("Mul", [y, b.ints(of.map((n) => n.a))], {}, "i64", [of.length]);
    if (of.some((n) => n.b !== 0)) y = b.node("Add", [y, b.ints(of.map((n) => n.b))], {}, "i64", y.shape);
    return y;
  };

  /** A list of integers at the three sizes; of a shape to take on, one axis may be left to be worked out. */
  const ints = (lists: readonly (readonly number[])[], shape: Shape, isShape: boolean, x: Wire): Wire => {
    const [first] = lists as [readonly number[]];
    const differ = [...first.keys()].filter((k) => lists.some((list) => list[k] !== first[k]));
    if (differ.length === 0) return b.ints(first, shape);
    if (isShape && differ.length === 1) return b.ints(first.with(differ[0]!, -1));
    return computed(first.map((_, k) => affine(lists.map((list) => list[k]!)) ?? refuse("a shape", x)));
  };

  wires[0]!.forEach((x, k) => {
    const same = wires.map((list) => list[k]);
    if (!same.every((y, j): y is Wire => !!y && alike(x, y, places[0]!, places[j]!))) refuse("the graph", x);
    const { from, type, shape } = x;
    b.origin = x.origin;
    if (from.kind === "node") {
      const src = from.src.map((s, at) => {
        if (s.from.kind !== "ints") return to.get(s)!;
        const lists = wires.map((list) => intsAt(list[places[0]!.get(s)!]!));
        return ints(lists, s.shape, from.op === "Reshape" && at === 1, x);
      });
      to.set(x, b.node(from.op, src, from.attributes, type, shape));
    } else if (from.kind === "iota") {
      const ns = wires.map((list) => iotaAt(list[k]!));
      const n = affine(ns) ?? refuse("a range", x);
      to.set(x, n.a === 0 ? b.iota(n.b, type) : range(n));
    } else if (from.kind !== "ints") {
      const copy = leaf(b, x);
      to.set(x, copy);
      if (from.kind === "input" && from.name === batched.input) input = copy;
    }

    function range(n: { a: number; b: number }): Wire {
      const scalar = (y: Wire) => b.node("Reshape", [y, b.ints([])], {}, "i64", []);
      const src = [b.scalar(0, "i64"), scalar(computed([n])), b.scalar(1, "i64")];
      return b.cast(b.node("Range", src, {}, "i64", shape), type);
    }
  });
  for (const [j, list] of traces.entries()) {
    const more = list.findIndex((y, k) => places[j]!.get(y) !== places[0]!.get(traces[0]![k]!));
    if (more >= 0) refuse("the graph", list[more]);
  }
  return traces[0]!.map((x) => to.get(x)!);
}

const intsAt = ({ from }: Wire): readonly number[] => (from.kind === "ints" ? from.list : []);
const iotaAt = ({ from }: Wire): number => (from.kind === "iota" ? from.n : Number.NaN);

function leaf(b: Builder, { from, type, shape }: Wire): Wire {
  if (from.kind === "input") return b.input(from.name, type as DType, shape);
  if (from.kind === "weight") return b.weight(from.name, from.value);
  if (from.kind === "literal") return b.literal(from.value);
  return b.scalar((from as { number: number }).number, type);
}

/** Whether two wires are made in the same way, but for integers that may follow the batch. */
function alike(x: Wire, y: Wire, inX: ReadonlyMap<Wire, number>, inY: ReadonlyMap<Wire, number>): boolean {
  const [p, q] = [x.from, y.from];
  if (x.type !== y.type || x.shape.length !== y.shape.length) return false;
  if (p.kind === "node" && q.kind === "node") {
    const sources = p.src.length === q.src.length && p.src.every((s, k) => inX.get(s) === inY.get(q.src[k]!));
    return p.op === q.op && sources && JSON.stringify(p.attributes) === JSON.stringify(q.attributes);
  }
  if (p.kind === "ints" && q.kind === "ints") return p.list.length === q.list.length;
  if (p.kind === "iota" && q.kind === "iota") return true;
  if (p.kind === "scalar" && q.kind === "scalar") return Object.is(p.number, q.number);
  if (p.kind === "input" && q.kind === "input") return p.name === q.name;
  if (p.kind === "weight" && q.kind === "weight") return p.name === q.name;
  return p.kind === "literal" && q.kind === "literal" && equal(p.value, q.value);
}

const equal = (a: Value, b: Value): boolean =>
  sameShape(a.shape, b.shape) && a.data.every((n: number, k: number) => Object.is(n, b.data[k]));

function refuse(what: string, x: Wire | undefined): never {
  const place = x?.origin ? `${x.origin}` : "";
  return fail(
    `toOnnx: ${what}${x?.from.kind === "node" ? ` (${x.from.op})` : ""} depends on the size of the batch${
      place ? `, at ${place}` : ""
    }`,
    "rows that see each other, or loops over them, have no one graph; export for one size, such as { batch: 1 }",
  );
}
