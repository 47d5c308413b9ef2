/** The values of an ONNX graph: what each is made from, and a few questions that whoever makes the next one asks. */
import { type Shape, sameShape } from "../../ir/shape.ts";
import type { Origin } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import type { OnnxType } from "./proto.ts";

/** An integer, a list of them, a text, or a float, which has to be told from an integer. */
export type Attribute = number | readonly number[] | string | { readonly f: number };
export type Attributes = { readonly [name: string]: Attribute };

/** What a wire comes from. Lists of integers and iota may depend on the size of the batch; the other leaves may not. */
type Source =
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "weight"; readonly name: string; readonly value: Value }
  | { readonly kind: "literal"; readonly value: Value }
  | { readonly kind: "scalar"; readonly number: number }
  | { readonly kind: "ints"; readonly list: readonly number[] }
  | { readonly kind: "iota"; readonly n: number }
  | { readonly kind: "node"; readonly op: string; readonly src: readonly Wire[]; readonly attributes: Attributes };

/** A value of the graph. */
export type Wire = {
  readonly id: number;
  readonly type: OnnxType;
  readonly shape: Shape;
  readonly from: Source;
  /** Where the user wrote what it came from. */
  readonly origin: Origin | undefined;
};

/** The source of a node of this operation, undefined of anything else. */
export const made = (x: Wire | undefined, op: string): Extract<Source, { kind: "node" }> | undefined =>
  x?.from.kind === "node" && x.from.op === op ? x.from : undefined;

/** The number that a wire holds everywhere, when it is a constant. */
export const numberOf = (x: Wire | undefined): number | undefined =>
  x?.from.kind === "scalar" ? x.from.number : undefined;

export const intsOf = (x: Wire | undefined): readonly number[] => (x?.from.kind === "ints" ? x.from.list : []);

/** What is behind whatever only broadcasts. */
export function broadcasting(x: Wire): Wire {
  for (let at = x; ; ) {
    const from = made(at, "Expand") ?? made(at, "Reshape");
    const below = from?.src[0];
    if (!from || !below) return at;
    const leading = at.shape.length - below.shape.length;
    const onlyOnes = leading >= 0 && sameShape(at.shape, [...Array<number>(leading).fill(1), ...below.shape]);
    if (from.op === "Reshape" && !onlyOnes) return at;
    at = below;
  }
}

/** What the outputs need, sources first. */
export function live(outputs: readonly Wire[]): Wire[] {
  const found = new Set<Wire>(outputs);
  for (const x of found) if (x.from.kind === "node") for (const s of x.from.src) found.add(s);
  return [...found].sort((a, b) => a.id - b.id);
}
