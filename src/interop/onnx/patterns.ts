/**
 * Composites under the names that others know them by: what `relu`, `softmax` or `mean` of ir/math.ts have become in
 * primitives is one node again. Each row looks at the operands of a node that is about to be made, and gives the node
 * to make instead. A graph without any of them computes the same.
 */
import { sameShape } from "../../ir/shape.ts";
import type { Builder } from "./builder.ts";
import { expm1, log1p } from "./near-zero.ts";
import { broadcasting, intsOf, made, numberOf, type Wire } from "./wire.ts";

type Pattern = (b: Builder, x: Wire, y: Wire, z: Wire) => Wire | undefined;

const isFloat = (x: Wire) => x.type === "f32" || x.type === "f64";
const is = (n: number, x: Wire | undefined) => numberOf(x) === n;
/** The one operand of a node of this operation. */
const under = (op: string, x: Wire | undefined): Wire | undefined => made(x, op)?.src[0];
/** x where one of the operands of y is `n` and the other x. */
const besides = (n: number, x: Wire, y: Wire): Wire | undefined => (is(n, x) ? y : is(n, y) ? x : undefined);

/** −x as x · −1. */
const negative: Pattern = (b, x, y) => {
  const of = besides(-1, x, y);
  if (!of || of.type === "u32") return undefined;
  return under("Neg", of) ?? b.elementwise("Neg", [of]);
};

/** a − b as a + −b. */
const difference: Pattern = (b, x, y) => {
  const [left, right] = [under("Neg", x), under("Neg", y)];
  if (right) return b.elementwise("Sub", [x, right]);
  return left && b.elementwise("Sub", [y, left]);
};

/** |x| as max(x, −x), min(a, b) as −max(−a, −b). */
const magnitude: Pattern = (b, x, y) =>
  under("Neg", y) === x || under("Neg", x) === y ? b.elementwise("Abs", [under("Neg", x) ?? x]) : undefined;
const smaller: Pattern = (b, x) => {
  const [p, q] = made(x, "Max")?.src.map((s) => under("Neg", s)) ?? [];
  return p && q && b.elementwise("Min", [p, q]);
};

/** Σx / n over the axes of the sum, with or without these axes. */
const mean: Pattern = (b, x, y) => {
  for (const [sum, factor] of [
    [x, numberOf(y)],
    [y, numberOf(x)],
  ] as const) {
    const from = made(sum, "ReduceSum");
    if (!from || factor === undefined || !isFloat(sum)) continue;
    const [of, over] = from.src as [Wire, Wire];
    const n = intsOf(over).reduce((a, k) => a * of.shape[k]!, 1);
    if (factor === 1 / n) return b.node("ReduceMean", [of, over], from.attributes, sum.type, sum.shape);
  }
  return undefined;
};

/** x ≤ 0 ? 0 : x. */
const relu: Pattern = (b, c, yes, no) => {
  const [x, zero] = made(c, "LessOrEqual")?.src ?? [];
  return x === no && is(0, zero) && is(0, yes) && isFloat(no) ? b.elementwise("Relu", [no]) : undefined;
};

/** e / (1 + e), or 1 / (1 + e) where x ≥ 0, of e = exp(−|x|). */
const sigmoid: Pattern = (b, top, bottom) => {
  const [c, e, one] = made(top, "Where")?.src ?? [];
  const parts = made(bottom, "Add")?.src ?? [];
  if (!e || !is(1, one) || besides(1, parts[0]!, parts[1]!) !== e) return undefined;
  const x = fallen(under("Exp", e), c);
  return x && b.elementwise("Sigmoid", [x]);
};

/** x of y = −|x|, written as c ? x : −x with c = x < 0. */
function fallen(y: Wire | undefined, c: Wire | undefined): Wire | undefined {
  const [test, x, minus] = made(y, "Where")?.src ?? [];
  return x && test === c && below(c) === x && under("Neg", minus) === x ? x : undefined;
}
/** x of x < 0. */
function below(c: Wire | undefined): Wire | undefined {
  const [x, zero] = made(c, "Less")?.src ?? [];
  return is(0, zero) ? x : undefined;
}

/** max(x, 0) + log1p(exp(−|x|)), of which ops.ts has made the logarithm. onnxruntime has it for f32 alone. */
const softplus: Pattern = (b, x, y) => {
  const [c, zero, positive] = made(x, "Where")?.src ?? [];
  const e = made(made(y, "Where")?.src[2], "Where")?.src[1];
  const of = fallen(under("Exp", e), c);
  if (!e || !of || !is(0, zero) || positive !== of || log1p(b, e) !== y || of.type !== "f32") return undefined;
  return b.elementwise("Softplus", [of]);
};

/** x, or α (eˣ − 1) where x < 0. */
const elu: Pattern = (b, c, yes, no) => {
  const held = (z: Wire | undefined) => {
    const [test, x, zero] = made(z, "Where")?.src ?? [];
    return test === c && x === no && is(0, zero) ? z : undefined;
  };
  if (below(c) !== no || no.type !== "f32") return undefined;
  const scaled = made(yes, "Mul")?.src;
  for (const [y, alpha] of scaled ? [scaled, scaled.toReversed()] : [[yes]]) {
    const factor = alpha ? numberOf(alpha) : 1;
    const z = held(under("Abs", made(made(y, "Where")?.src[0], "Less")?.src[0]));
    if (factor !== undefined && z && expm1(b, z) === y)
      return b.node("Elu", [no], { alpha: { f: factor } }, no.type, no.shape);
  }
  return undefined;
};

/** What softmax takes off before exp: the largest along an axis, 0 where that is infinite. → the axis */
function peak(m: Wire | undefined, x: Wire): number | undefined {
  const [test, zero, top] = made(m, "Where")?.src ?? [];
  const [size, infinity] = made(test, "Equal")?.src ?? [];
  const [of, over] = made(top, "ReduceMax")?.src ?? [];
  const [axis, another] = intsOf(over);
  const found = is(0, zero) && is(Number.POSITIVE_INFINITY, infinity) && under("Abs", size) === top && of === x;
  return found && another === undefined ? axis : undefined;
}

/** x and the axis of x − its largest. */
function lowered(y: Wire | undefined): { x: Wire; axis: number } | undefined {
  const [x, m] = made(y, "Sub")?.src ?? [];
  const axis = x && peak(m, x);
  return x && axis !== undefined ? { x, axis } : undefined;
}
const sumsOver = (sum: Wire | undefined, of: Wire, axis: number): boolean => {
  const [x, over] = made(sum, "ReduceSum")?.src ?? [];
  return x === of && `${intsOf(over)}` === `${axis}`;
};

/**
 * e / Σe of e = exp(x − max x), as `attention` has it: zeros for a row of nothing but −∞, of which Softmax makes NaN.
 * Where a row is known to hold something else, there is nothing to choose.
 */
const softmaxOrZeros: Pattern = (b, e, bottom) => {
  const [x, m] = made(under("Exp", e), "Sub")?.src ?? [];
  const [none, zero, top] = made(m, "Where")?.src ?? [];
  const [same, one, sum] = made(bottom, "Where")?.src ?? [];
  const [tested, infinity] = made(none, "Equal")?.src ?? [];
  const [of, over] = made(top, "ReduceMax")?.src ?? [];
  const [axis, another] = intsOf(over);
  if (!x || of !== x || !none || same !== none || tested !== top || axis === undefined || another !== undefined)
    return undefined;
  if (!is(0, zero) || !is(1, one) || !is(Number.NEGATIVE_INFINITY, infinity) || !sumsOver(sum, e, axis))
    return undefined;
  const y = b.node("Softmax", [x], { axis }, e.type, e.shape);
  return seesSomething(x) ? y : b.elementwise("Where", [none, b.scalar(0, e.type), y]);
};
/** Scores without a mask, or with the causal one, whose first place everything sees. */
function seesSomething(x: Wire): boolean {
  if (made(x, "Mul")) return true;
  const [mask, scores, masked] = made(x, "Where")?.src ?? [];
  if (!made(scores, "Mul")) return false;
  const [places, own] = made(mask, "LessOrEqual")?.src ?? [];
  const rows = made(own, "Reshape")?.src[0];
  return is(Number.NEGATIVE_INFINITY, masked) && places?.from.kind === "iota" && rows?.from.kind === "iota";
}

/** e / Σe of e = exp(x − max x). */
const softmax: Pattern = (b, top, bottom) => {
  const from = lowered(under("Exp", top));
  if (!from || !sumsOver(bottom, top, from.axis)) return undefined;
  return b.node("Softmax", [from.x], { axis: from.axis }, top.type, top.shape);
};

/** s − log Σ exp(s) of s = x − max x. */
const logSoftmax: Pattern = (b, s, log) => {
  const from = lowered(s);
  const sum = under("Log", log);
  const e = made(sum, "ReduceSum")?.src[0];
  if (!from || !e || under("Exp", e) !== s || !sumsOver(sum, e, from.axis)) return undefined;
  return b.node("LogSoftmax", [from.x], { axis: from.axis }, s.type, s.shape);
};

/** A product of two matrices, and a number for each column: one node. */
const withBias: Pattern = (b, x, y) => affine(b, x, y) ?? affine(b, y, x) ?? biased(b, x, y) ?? biased(b, y, x);
function affine(b: Builder, y: Wire, given: Wire): Wire | undefined {
  const bias = broadcasting(given);
  const product = made(y, "Reshape")?.src[0] ?? y; // of a batch of sequences, whose rows were merged for the product
  const from = made(product, "Gemm") ?? made(product, "MatMul");
  const width = product.shape[1];
  if (from?.src.length !== 2 || from.src.some((s) => s.shape.length !== 2)) return undefined;
  if (!isFloat(y) || bias.shape.length !== 1 || bias.shape[0] !== width || y.shape.at(-1) !== width) return undefined;
  return b.reshape(b.node("Gemm", [...from.src, bias], from.attributes, y.type, product.shape), y.shape);
}

/** f32[c] of a wire that broadcasts as [c, 1, ..]: numbers for the channels of x. */
function channels(b: Builder, w: Wire | undefined, x: Wire): Wire | undefined {
  const rank = x.shape.length;
  const own = w?.shape ?? [];
  const c = own[own.length - rank + 1];
  const others = own.filter((n) => n !== 1).length;
  if (!w || c !== x.shape[1] || others !== (c === 1 ? 0 : 1)) return undefined;
  return b.reshape(w, [c!]);
}

/** A convolution, and a number for each channel. */
function biased(b: Builder, y: Wire, bias: Wire): Wire | undefined {
  const from = made(y, "Conv");
  const numbers = channels(b, bias, y);
  if (from?.src.length !== 2 || !numbers) return undefined;
  return b.node("Conv", [...from.src, numbers], from.attributes, y.type, y.shape);
}

/** What `standardised` of nn/norm.ts is: (x − mean) · (1 / √(variance + ε)). */
function standardised(y: Wire | undefined) {
  const [apart, root] = made(y, "Mul")?.src ?? [];
  const [x, mean] = made(apart, "Sub")?.src ?? [];
  const [one, sqrt] = made(root, "Div")?.src ?? [];
  const [variance, epsilon] = made(under("Sqrt", sqrt), "Add")?.src ?? [];
  const eps = numberOf(epsilon);
  return apart && x && mean && variance && eps !== undefined && is(1, one)
    ? { apart, x, mean, variance, eps }
    : undefined;
}

/** Over the last axes, by their own mean and variance, times a weight of their shape. */
const layerNorm: Pattern = (b, y, given) => {
  const from = standardised(y);
  const weight = broadcasting(given);
  if (!from) return undefined;
  const { apart, x, mean, variance, eps } = from;
  const [of, over] = made(mean, "ReduceMean")?.src ?? [];
  const [square, same] = made(variance, "ReduceMean")?.src ?? [];
  const [p, q] = made(square, "Mul")?.src ?? [];
  const axis = x.shape.length - weight.shape.length;
  const last = weight.shape.every((n, k) => n === x.shape[axis + k] && intsOf(over)[k] === axis + k);
  if (of !== x || over !== same || p !== apart || q !== apart || !last || intsOf(over).length !== weight.shape.length)
    return undefined;
  return b.node("LayerNormalization", [x, weight], { axis, epsilon: { f: eps } }, x.type, x.shape);
};
/** And a bias of that shape. */
const layerNormBias: Pattern = (b, y, given) => {
  const bias = broadcasting(given);
  const from = made(y, "LayerNormalization");
  if (from?.src.length !== 2 || `${bias.shape}` !== `${from.src[1]!.shape}`) return undefined;
  return b.node("LayerNormalization", [...from.src, bias], from.attributes, y.type, y.shape);
};

/** By mean and variance of each channel that are no statistics of x, times a weight and plus a bias per channel. */
const batchNorm: Pattern = (b, y, bias) => {
  const [z, weight] = made(y, "Mul")?.src ?? [];
  const from = standardised(z);
  if (!from) return undefined;
  const { x, mean, variance, eps } = from;
  const numbers = [weight, bias, mean, variance].map((w) => channels(b, w, x));
  if (!numbers.every((w) => w !== undefined)) return undefined;
  return b.node("BatchNormalization", [x, ...numbers], { epsilon: { f: eps } }, x.type, x.shape);
};

/** Two factors, one after the other, are one; what a mean and a sum over windows leave of each other is none. */
const scaled: Pattern = (b, x, y) => {
  const factor = numberOf(y);
  const before = made(x, "Reshape")?.src[0] ?? x;
  const [of, first] = made(before, "Mul")?.src ?? [];
  const number = numberOf(first);
  if (factor === undefined || number === undefined || !of || !isFloat(x)) return undefined;
  const both = factor * number;
  const y1 = Math.abs(both - 1) < 1e-14 ? of : b.elementwise("Mul", [of, b.scalar(both, x.type)]);
  return b.reshape(y1, x.shape);
};

/** Parts with zeros around them, each in another place along one axis: the parts end to end. */
const joined: Pattern = (b, x, y) => {
  const [p, q] = [padding(x), padding(y)];
  if (!p || !q || p.axis !== q.axis || !sameShape(x.shape, y.shape)) return undefined;
  const axis = p.axis;
  const [first, second] = p.before < q.before ? [p, q] : [q, p];
  const end = first.before + first.of.shape[axis]!;
  if (second.before !== end) return undefined;
  const shape = first.of.shape.with(axis, first.of.shape[axis]! + second.of.shape[axis]!);
  const parts = [first, second].flatMap(({ of }) => {
    const inner = made(of, "Concat");
    return inner?.attributes.axis === axis ? inner.src : [of];
  });
  const both = b.node("Concat", parts, { axis }, x.type, shape);
  const after = x.shape[axis]! - end - second.of.shape[axis]!;
  if (first.before === 0 && after === 0) return both;
  const by = [0, 1].flatMap((side) => shape.map((_, k) => (k !== axis ? 0 : side ? after : first.before)));
  return b.node("Pad", [both, b.ints(by)], {}, x.type, x.shape);
};
function padding(x: Wire): { of: Wire; axis: number; before: number } | undefined {
  const [of, by] = made(x, "Pad")?.src ?? [];
  if (!of) return undefined;
  const padded = x.shape.flatMap((n, k) => (n === of.shape[k] ? [] : [k]));
  return padded.length === 1 ? { of, axis: padded[0]!, before: intsOf(by)[padded[0]!]! } : undefined;
}

const patterns: Readonly<Record<string, readonly Pattern[]>> = {
  Mul: [negative, mean, scaled, layerNorm],
  Add: [difference, joined, withBias, layerNormBias, batchNorm, softplus],
  Sub: [logSoftmax],
  Max: [magnitude],
  Neg: [smaller],
  Div: [sigmoid, softmax, softmaxOrZeros],
  Where: [relu, elu],
};

/** What to make in place of this operation on these operands, where a pattern knows it. */
export function recognised(b: Builder, op: string, src: readonly Wire[]): Wire | undefined {
  const [x, y, z] = src as [Wire, Wire, Wire];
  for (const pattern of patterns[op] ?? []) {
    const found = pattern(b, x, y, z);
    if (found) return found;
  }
  return undefined;
}
