/**
 * An ONNX graph while it is made. The same operation on the same values is one node, and each constructor knows the few
 * identities that turn a literal translation into the graph a person would have drawn: what only broadcasts is left to
 * the operation that reads it, reshapes and transposes in a row are one. What nobody reads is dropped at the end.
 */
import type { DType } from "../../ir/dtype.ts";
import { type Shape, sameShape, size } from "../../ir/shape.ts";
import type { Origin } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import { recognised } from "./patterns.ts";
import { dataTypes, type OnnxType } from "./proto.ts";
import { type Attributes, broadcasting, intsOf, made, type Wire } from "./wire.ts";

export class Builder {
  /** The tensor being translated: what is made belongs to it. */
  origin: Origin | undefined;
  private readonly known = new Map<string, Wire>();
  private readonly values = new Map<Value, number>();

  // ---- leaves ------------------------------------------------------------------------------------------------------------
  input(name: string, type: DType, shape: Shape): Wire {
    return this.wire({ kind: "input", name }, type, shape, name);
  }
  weight(name: string, value: Value): Wire {
    return this.wire({ kind: "weight", name, value }, value.dtype, value.shape, name);
  }
  literal(value: Value): Wire {
    if (!this.values.has(value)) this.values.set(value, this.values.size);
    return this.wire({ kind: "literal", value }, value.dtype, value.shape, `${this.values.get(value)}`);
  }
  scalar(number: number, type: OnnxType): Wire {
    return this.wire({ kind: "scalar", number }, type, [], Object.is(number, -0) ? "-0" : `${number}`);
  }
  /** int64 numbers, as shapes, axes and indices are given. */
  ints(list: readonly number[], shape: Shape = [list.length]): Wire {
    return this.wire({ kind: "ints", list }, "i64", shape, `${list}`);
  }
  iota(n: number, type: OnnxType): Wire {
    return this.wire({ kind: "iota", n }, type, [n], "");
  }

  /** A node as it stands. */
  node(op: string, src: readonly Wire[], attributes: Attributes, type: OnnxType, shape: Shape): Wire {
    const key = `${op} ${src.map((x) => x.id)} ${JSON.stringify(attributes)}`;
    return this.wire({ kind: "node", op, src, attributes }, type, shape, key);
  }

  private wire(from: Wire["from"], type: OnnxType, shape: Shape, what: string): Wire {
    const key = `${from.kind} ${type}[${shape}] ${what}`;
    const one = this.known.get(key) ?? { id: this.known.size, type, shape, from, origin: this.origin };
    this.known.set(key, one);
    return one;
  }

  // ---- movement ----------------------------------------------------------------------------------------------------------
  reshape(x: Wire, shape: Shape): Wire {
    const before = made(x, "Reshape");
    if (before) return this.reshape(before.src[0]!, shape);
    if (sameShape(x.shape, shape)) return x;
    const [one] = made(x, "Expand")?.src ?? [];
    if (one && one.shape.length === 0) return this.expand(one, shape);
    return this.reducedTo(x, shape) ?? this.node("Reshape", [x, this.ints(shape)], {}, x.type, shape);
  }

  /** A reduction that keeps its axes with length 1, where these are dropped at once: one that does not keep them. */
  private reducedTo(x: Wire, shape: Shape): Wire | undefined {
    const from = x.from;
    if (from.kind !== "node" || !from.op.startsWith("Reduce") || from.attributes.keepdims !== 1) return undefined;
    const over = intsOf(from.src[1]);
    const kept = x.shape.filter((_, k) => !over.includes(k));
    if (!sameShape(kept, shape)) return undefined;
    return this.node(from.op, from.src, { ...from.attributes, keepdims: 0 }, x.type, shape);
  }

  transpose(x: Wire, perm: readonly number[]): Wire {
    const before = made(x, "Transpose");
    if (before) {
      const first = before.attributes.perm as readonly number[];
      const both = perm.map((k) => first[k]!);
      return this.transpose(before.src[0]!, both);
    }
    const shape = perm.map((k) => x.shape[k]!);
    const long = perm.filter((k) => x.shape[k] !== 1);
    const moves = long.some((k, j) => k < (long[j - 1] ?? -1)); // axes of length 1 change places for nothing
    return moves ? this.node("Transpose", [x], { perm }, x.type, shape) : this.reshape(x, shape);
  }

  /** To a shape that x broadcasts to; its rank may be larger. */
  expand(x: Wire, shape: Shape): Wire {
    if (sameShape(x.shape, shape)) return x;
    const bare = broadcasting(x);
    if (size(bare.shape) === size(shape)) return this.reshape(bare, shape);
    const missing = shape.length - bare.shape.length;
    const to = shape.map((n, k) => (bare.shape[k - missing] === n ? 1 : n)); // 1 lets an axis be as it is
    return this.node("Expand", [bare, this.ints(to)], {}, x.type, shape);
  }

  cast(x: Wire, type: OnnxType): Wire {
    return x.type === type ? x : this.node("Cast", [x], { to: dataTypes[type] }, type, x.shape);
  }

  // ---- arithmetic --------------------------------------------------------------------------------------------------------
  /**
   * An operation whose operands broadcast. What only broadcasts an operand is left out, so that a bias is added as it
   * lies; where that leaves less than the full shape, it is the result that is expanded.
   */
  elementwise(
    op: string,
    operands: readonly Wire[],
    { type = operands.at(-1)!.type, attributes = {} }: { type?: OnnxType; attributes?: Attributes } = {},
  ): Wire {
    const full = broadcastShape(operands);
    // One of the full shape has nothing to broadcast: its number of axes is the result's.
    const whole = (x: Wire) => made(x, "Reshape") && sameShape(x.shape, full) && broadcasting(x).shape.length > 0;
    const src = operands.map((x) => (whole(x) ? x : broadcasting(x)));
    const shape = broadcastShape(src);
    return this.expand(recognised(this, op, src) ?? this.node(op, src, attributes, type, shape), full);
  }

  /** Σ or the largest over some axes, which stay with length 1. */
  reduce(op: "ReduceSum" | "ReduceMax" | "ReduceMean", x: Wire, over: readonly number[]): Wire {
    const shape = x.shape.map((n, k) => (over.includes(k) ? 1 : n));
    return this.node(op, [x, this.ints(over)], { keepdims: 1 }, x.type, shape);
  }
}

function broadcastShape(operands: readonly Wire[]): number[] {
  const rank = Math.max(...operands.map((x) => x.shape.length));
  return Array.from({ length: rank }, (_, k) => {
    const lengths = operands.map(({ shape }) => shape[k - rank + shape.length] ?? 1);
    return lengths.find((n) => n !== 1) ?? 1;
  });
}
