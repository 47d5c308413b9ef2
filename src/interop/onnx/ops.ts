/**
 * What each primitive is in ONNX. A row gets the tensor and the wires of its sources, and makes nodes that are right by
 * themselves; what makes the graph short and fast are the identities of builder.ts and the patterns.
 *
 * ONNX defines nearly all operations for all types, onnxruntime implements fewer of them: a row that would need a
 * missing one goes through int64, which holds every u32.
 */
import type { MovementArgs, Op } from "../../ir/ops.ts";
import { axes } from "../../ir/shape.ts";
import type { Tensor } from "../../ir/tensor.ts";
import type { Value } from "../../ir/value.ts";
import type { Builder } from "./builder.ts";
import { contraction } from "./contraction.ts";
import { expm1, log1p } from "./near-zero.ts";
import { dataTypes } from "./proto.ts";
import { convolution, pool } from "./sliding.ts";
import { numberOf, type Wire } from "./wire.ts";

/** ONNX's numbers for types that no tensor here has. */
const float16 = 10;
const bfloat16 = 16;

/** The graph so far: the wire of each tensor that has been translated. */
export type Translated = ReadonlyMap<Tensor, Wire>;
type Row = (b: Builder, t: Tensor, src: readonly Wire[], known: Translated) => Wire;

/** The ONNX operation of the same name and meaning. */
const plain =
  (op: string): Row =>
  (b, _, src) =>
    b.elementwise(op, src);
const compared =
  (op: string): Row =>
  (b, _, src) =>
    b.elementwise(op, src[0]!.type === "bool" ? src.map((x) => b.cast(x, "i32")) : src, { type: "bool" });

/** To a type that no tensor here has, and at once back. */
const through =
  (to: number): Row =>
  (b, _, [x]) => {
    const rounded = b.node("Cast", [x!], { to }, x!.type, x!.shape);
    return b.node("Cast", [rounded], { to: dataTypes[x!.type] }, x!.type, x!.shape);
  };

/** Through int64 and back where x is u32; a cast drops the higher bits, as u32 arithmetic does. */
const wide = (b: Builder, x: Wire, body: (x: Wire) => Wire): Wire =>
  x.type === "u32" ? b.cast(body(b.cast(x, "i64")), "u32") : body(x);

const reduced =
  (op: "ReduceSum" | "ReduceMax"): Row =>
  (b, t, [x]) =>
    wide(b, x!, (y) => b.reduce(op, y, t.arg as readonly number[]));

const argOf = <M extends keyof MovementArgs>(t: Tensor) => t.arg as MovementArgs[M];

export const rows: Record<Exclude<Op, "input">, Row> = {
  literal: (b, t) => b.literal(t.arg as Value),
  const: (b, t) => b.scalar(t.arg as number, t.dtype),
  iota: (b, t) => b.iota(t.arg as number, t.dtype),

  exp: plain("Exp"),
  expm1: (b, _, [x]) => expm1(b, x!),
  log: plain("Log"),
  log1p: (b, _, [x]) => log1p(b, x!),
  sin: plain("Sin"),
  cos: plain("Cos"),
  tanh: plain("Tanh"),
  erf: plain("Erf"),
  sqrt: plain("Sqrt"),
  floor: plain("Floor"),
  bf16: through(bfloat16),
  f16: through(float16),
  cast: (b, t, [x]) => b.cast(x!, t.dtype),
  add: plain("Add"),
  mul: plain("Mul"),
  div: plain("Div"),
  max: plain("Max"),
  lt: compared("Less"),
  le: compared("LessOrEqual"),
  eq: (b, _, src) => b.elementwise("Equal", src, { type: "bool" }),
  xor: plain("BitwiseXor"),
  shr: (b, _, src) => b.elementwise("BitShift", src, { attributes: { direction: "RIGHT" } }),
  where: (b, t, [c, yes, no]) => {
    if (t.dtype === "bool") return chosen(b, c!, yes!, no!);
    const through = t.dtype === "u32" ? "i64" : t.dtype;
    return b.cast(b.elementwise("Where", [c!, b.cast(yes!, through), b.cast(no!, through)]), t.dtype);
  },

  reshape: (b, t, [x]) => b.reshape(x!, t.shape),
  permute: (b, t, [x]) => b.transpose(x!, argOf<"permute">(t)),
  expand: (b, t, [x]) => b.expand(x!, t.shape),
  pad: (b, t, [x]) => {
    const by = argOf<"pad">(t);
    return b.node("Pad", [x!, b.ints([...by.map(([from]) => from), ...by.map(([, to]) => to)])], {}, t.dtype, t.shape);
  },
  shrink: (b, t, [x]) => {
    const cut = axes(t.shape).filter((k) => t.shape[k] !== x!.shape[k]);
    const [from, to] = [0, 1].map((end) => cut.map((k) => argOf<"shrink">(t)[k]![end]!));
    return b.node("Slice", [x!, b.ints(from!), b.ints(to!), b.ints(cut)], {}, t.dtype, t.shape);
  },
  /** A slice that goes backwards: from the last element, −1, to one before the first, which is as far as int64 goes. */
  flip: (b, t, [x]) => {
    const over = argOf<"flip">(t);
    const all = (n: number) => b.ints(over.map(() => n));
    return b.node("Slice", [x!, all(-1), all(-(2 ** 63)), b.ints(over), all(-1)], {}, t.dtype, t.shape);
  },
  /** Every window's elements gathered in place of the axis, which gives [.., o, size, ..]; then size goes last. */
  window: (b, t, [x]) => {
    const { axis, size: n, stride, dilation } = argOf<"window">(t);
    const o = t.shape[axis]!;
    const at = b.ints(
      Array.from({ length: o * n }, (_, k) => Math.floor(k / n) * stride + (k % n) * dilation),
      [o, n],
    );
    const y = b.node("Gather", [x!, at], { axis }, t.dtype, x!.shape.toSpliced(axis, 1, o, n));
    return b.transpose(y, [...axes(y.shape).toSpliced(axis + 1, 1), axis + 1]);
  },

  sum: (b, t, src, known) =>
    convolution(b, t, known) ?? contraction(b, t, known) ?? pool(b, t, known) ?? reduced("ReduceSum")(b, t, src, known),
  amax: (b, t, src, known) => pool(b, t, known) ?? reduced("ReduceMax")(b, t, src, known),

  gather: (b, t, [x, at]) =>
    b.node("Gather", [x!, at!.type === "i32" ? at! : b.cast(at!, "i64")], { axis: 0 }, t.dtype, t.shape),
  scatter: (b, t, [x, at]) => {
    const rows = b.reshape(b.cast(at!, "i64"), [...at!.shape, 1]);
    const zeros = b.expand(b.scalar(0, t.dtype), t.shape);
    return b.node("ScatterND", [zeros, rows, x!], { reduction: "add" }, t.dtype, t.shape);
  },
  /** Indices that are given are checked by whoever runs the graph. Computed ones are clamped, as everywhere here. */
  bound: (b, t, [x]) => {
    if (isGiven(t.src[0]!)) return x!;
    const { n } = t.arg as { n: number };
    return b.elementwise("Clip", [x!, b.scalar(0, t.dtype), b.scalar(Math.max(n - 1, 0), t.dtype)]);
  },
  detach: (_, __, [x]) => x!,
};

/** c ? yes : no on truth values. */
function chosen(b: Builder, c: Wire, yes: Wire, no: Wire): Wire {
  const [always, never] = [numberOf(yes), numberOf(no)];
  const and = (x: Wire, y: Wire) => b.elementwise("And", [x, y]);
  const not = (x: Wire) => b.elementwise("Not", [x]);
  if (always === 0 && never === 1) return not(c);
  if (never === 0) return and(c, yes);
  if (always === 1) return b.elementwise("Or", [c, no]);
  return b.elementwise("Or", [and(c, yes), and(not(c), no)]);
}

/** Whether these are numbers that came in, perhaps in another shape or type. */
function isGiven(t: Tensor): boolean {
  let x = t;
  while (x.op === "reshape" || x.op === "permute" || x.op === "shrink" || x.op === "detach") x = x.src[0]!;
  return x.op === "input" || x.op === "literal" || x.op === "iota";
}
