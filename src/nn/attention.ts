/**
 * Attention: each place looks at others and takes a mean of what they hold, weighted by how well its query fits their
 * keys. The mathematics is a plain function of queries, keys and values; the module around it has the projections.
 */
import { fail, shown } from "../ir/fail.ts";
import { split } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import { asOne, iota, type Tensor } from "../ir/tensor.ts";
import { dropout } from "./dropout.ts";
import { xavierUniform, zeros } from "./init.ts";
import { linear, product } from "./linear.ts";
import { module, param } from "./module.ts";
import { type RotaryOptions, rotary } from "./position.ts";

export type AttentionOptions = {
  /** Place i attends to places 0 … i of the keys, whatever their number: aligned at the start, as in PyTorch. */
  readonly causal?: boolean;
  /** bool, true where attention is allowed; or a float that is added to the scores. Broadcasts to [n, h, t, s]. */
  readonly mask?: Tensor | undefined;
  /** What the scores are multiplied by; 1/√d unless given. */
  readonly scale?: number;
  /** Applied to the weights: a bound `dropout` module. */
  readonly dropout?: (weights: Tensor) => Tensor;
};

/**
 * softmax(q kᵀ · scale) v.   q: f32[n, h, t, d], k: f32[n, hkv, s, d], v: f32[n, hkv, s, dv] → f32[n, h, t, dv]
 *
 * Where hkv divides h, each key head serves the h/hkv query heads that follow one another (grouped queries, Ainslie et
 * al. 2023; PyTorch's enable_gqa). A place that may attend to nothing gets zeros, and so do its gradients.
 * Throws where the shapes do not fit one another. Vaswani et al. 2017, eq. 1.
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  checkOptions("attention", options, ["causal", "mask", "scale", "dropout"]);
  const { causal = false, mask, dropout = (weights) => weights } = options;
  if (typeof dropout !== "function") {
    fail(`attention: dropout is ${shown(dropout)}`, "give a bound dropout module, as in { dropout: m.dropout }");
  }
  requireFit(q, k, v, mask);
  const [n, h, t, d] = q.shape as [number, number, number, number];
  const [, hkv, s, dv] = v.shape as [number, number, number, number];
  const { scale = 1 / Math.sqrt(d) } = options;
  if (!Number.isFinite(scale)) fail(`attention: the scale must be a finite number, got ${shown(scale)}`);
  // The queries of a group lie one after the other: a taller matrix, and no key is repeated.
  const grouped = [n, hkv, (h / hkv) * t];
  const product = q.reshape([...grouped, d]).matmul(k.transpose());
  let scores = product.reshape([n, h, t, s]).mul(scale);
  if (mask) scores = mask.dtype === "bool" ? mask.where(scores, Number.NEGATIVE_INFINITY) : scores.add(mask);
  if (causal) scores = iota(s).le(iota(t).unsqueeze(1)).where(scores, Number.NEGATIVE_INFINITY);
  const weights = dropout(softmaxOrZeros(scores));
  return weights
    .reshape([...grouped, s])
    .matmul(v)
    .reshape([n, h, t, dv]);
}

/** Softmax over the last axis, and zeros where all scores are −∞: no NaN, neither in value nor in slope. */
const softmaxOrZeros = (scores: Tensor): Tensor =>
  asOne(() => {
    const top = scores.detach().amax(-1, { keep: true });
    const none = top.eq(Number.NEGATIVE_INFINITY);
    const e = scores.sub(none.where(0, top)).exp();
    return e.div(none.where(1, e.sum(-1, { keep: true })));
  });

function requireFit(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | undefined): void {
  const all = `attention: q ${q}, k ${k}, v ${v}`;
  if ([q, k, v].some((x) => x.rank !== 4)) fail(`${all}: expected [n, h, t, d], [n, hkv, s, d] and [n, hkv, s, dv]`);
  if (!q.isFloat || k.dtype !== q.dtype || v.dtype !== q.dtype) fail(`${all}: expected one float dtype`);
  const [n, h, t, d] = q.shape as [number, number, number, number];
  const [, hkv, s] = k.shape as [number, number, number, number];
  const same = (a: number | undefined, b: number | undefined, what: string) =>
    a === b || fail(`${all}: the ${what} ${a} and ${b} differ`);
  same(n, k.shape[0], "batch sizes of q and k (axis 0)");
  same(n, v.shape[0], "batch sizes of q and v (axis 0)");
  same(d, k.shape[3], "head sizes of q and k (axis 3)");
  same(hkv, v.shape[1], "heads of k and v (axis 1)");
  same(s, v.shape[2], "lengths of k and v (axis 2)");
  if (h % hkv) fail(`${all}: ${h} query heads cannot share ${hkv} key heads evenly`);
  if (!mask) return;
  const scores = [n, h, t, s];
  const fits = mask.rank <= 4 && mask.shape.every((m, j) => m === 1 || m === scores[j + 4 - mask.rank]);
  if (!fits) fail(`attention: the mask ${mask} does not broadcast to [n, h, t, s] = [${scores}]`);
  if (mask.dtype !== "bool" && mask.dtype !== q.dtype) {
    fail(
      `attention: the mask ${mask} must be bool, true where attention is allowed, or ${q.dtype}, added to the scores`,
    );
  }
}

/** How a wide vector is cut into heads. */
export type Heads = {
  readonly heads: number;
  /** Heads of keys and values, a divisor of `heads`. */
  readonly kvHeads: number;
  readonly rotary: RotaryOptions | undefined;
};

/** Checked once, where a module is made.  → the options of `attendInHeads`, and the widths of q, k and v side by side */
export function headsOf(
  what: string,
  width: number,
  heads: number,
  { kvHeads = heads, rotary = false }: { readonly kvHeads?: number; readonly rotary?: boolean | RotaryOptions },
): Heads & { readonly widths: readonly [q: number, k: number, v: number] } {
  const call = `${what}(${width}, ${heads})`;
  for (const n of [width, heads, kvHeads]) {
    if (!(Number.isInteger(n) && n > 0)) fail(`${call}: width, heads and kvHeads must be whole numbers from 1 on`);
  }
  if (width % heads) fail(`${call}: the width ${width} cannot be cut into ${heads} equal heads`);
  if (heads % kvHeads) fail(`${call}: ${heads} query heads cannot share ${kvHeads} key heads evenly`);
  if (rotary && (width / heads) % 2) {
    fail(`${call}: a head of ${width / heads} elements is odd; rotary positions turn pairs`);
  }
  const kv = (width / heads) * kvHeads;
  return { heads, kvHeads, rotary: rotary === true ? {} : rotary || undefined, widths: [width, kv, kv] };
}

/**
 * Attention in heads that lie side by side.   q: f32[n, t, heads · d], k, v: f32[n, s, kvHeads · d] → f32[n, t, heads · d]
 */
export function attendInHeads(
  [q, k, v]: readonly [Tensor, Tensor, Tensor],
  { heads, kvHeads, rotary: turn }: Heads,
  options: AttentionOptions,
): Tensor {
  const apart = (x: Tensor, h: number) => x.reshape([x.shape[0]!, x.shape[1]!, h, -1]).permute([0, 2, 1, 3]);
  const placed = (x: Tensor, h: number) => (turn ? rotary(apart(x, h), turn) : apart(x, h));
  const y = attention(placed(q, heads), placed(k, kvHeads), apart(v, kvHeads), options);
  return y.permute([0, 2, 1, 3]).reshape(q.shape);
}

export type MultiheadAttentionOptions = {
  /** Heads of keys and values: fewer than `heads` for grouped queries, 1 for multi-query. */
  readonly kvHeads?: number;
  readonly bias?: boolean;
  /** Rate of the dropout of attention weights. */
  readonly dropout?: number;
  readonly causal?: boolean;
  /** Queries and keys are turned by their places. */
  readonly rotary?: boolean | RotaryOptions;
};

/**
 * Attention in several heads, of a sequence to itself or to a memory. Called with (x), (x, mask), (x, memory) or
 * (x, memory, mask).
 *
 *   x: f32[n, t, width], memory: f32[n, s, width] → f32[n, t, width];   keys and values are of the memory, or of x
 *   mask: bool[n, s], true for real tokens, false for padding; or one that broadcasts to bool[n, heads, t, s]
 *   in_proj_weight: f32[(heads + 2 kvHeads) · d, width], d = width / heads: the rows of q, k and v
 *
 * Names, shapes and first numbers are those of PyTorch's nn.MultiheadAttention with batch_first: in_proj_weight Xavier
 * uniform, biases 0. Differs: a mask is true where attention is allowed, PyTorch's key_padding_mask where it is not; a
 * place that may attend to nothing gives the bias of out_proj, not NaN; keys and values are of one memory.
 * Throws where width, heads and kvHeads do not divide, or the inputs do not fit. Vaswani et al. 2017, section 3.2.2.
 */
export function multiheadAttention(width: number, heads: number, options: MultiheadAttentionOptions = {}) {
  checkOptions("multiheadAttention", options, ["kvHeads", "bias", "dropout", "causal", "rotary"]);
  const { bias = true, dropout: rate = 0, causal = false, ...rest } = options;
  const { widths, ...cut } = headsOf("multiheadAttention", width, heads, rest);
  const rows = widths[0] + widths[1] + widths[2];
  const children = {
    in_proj_weight: param([rows, width], xavierUniform()),
    ...(bias && { in_proj_bias: param([rows], zeros) }),
    out_proj: linear(width, width, { bias, biasInit: zeros }),
    dropout: dropout(rate),
  };
  return module(children, (m, x, _, ...more: readonly Tensor[]) => {
    const [memory, mask] = inputsOf(x, more, width);
    const projected = (y: Tensor, from: number, to: number) => {
      const z = product(y, m.in_proj_weight.slice(0, from, to));
      return m.in_proj_bias ? z.add(m.in_proj_bias.slice(0, from, to)) : z;
    };
    const [q, k, v] = memory
      ? [projected(x, 0, width), ...split(projected(memory, width, rows), [widths[1], widths[2]], -1)]
      : split(projected(x, 0, rows), widths, -1);
    const y = attendInHeads([q!, k!, v!], cut, { causal, mask, dropout: m.dropout });
    return m.out_proj(y);
  });
}

/** Memory and mask by what they are, checked; a padding mask [n, s] as [n, 1, 1, s]. */
function inputsOf(
  x: Tensor,
  more: readonly Tensor[],
  width: number,
): [memory: Tensor | undefined, mask: Tensor | undefined] {
  const mask = more.at(-1)?.dtype === "bool" ? more.at(-1) : undefined;
  const [memory, ...unknown] = mask ? more.slice(0, -1) : more;
  if (unknown.length)
    fail(
      `multiheadAttention: got ${[x, ...more].join(", ")}`,
      "give x, memory and a bool mask, the last two as needed",
    );
  for (const [name, t] of [
    ["x", x],
    ["memory", memory],
  ] as const) {
    if (t && !(t.isFloat && t.rank === 3 && t.shape[2] === width)) {
      const hint = name === "memory" ? "if it is a mask, it must be bool, true where attention is allowed" : undefined;
      fail(`multiheadAttention: ${name} is ${t}, expected f32[n, ${name === "x" ? "t" : "s"}, ${width}]`, hint);
    }
  }
  if (memory && memory.shape[0] !== x.shape[0]) {
    fail(`multiheadAttention: x ${x} and memory ${memory} differ in their batch, axis 0`);
  }
  if (mask?.rank !== 2) return [memory, mask];
  const [n, s] = (memory ?? x).shape as [number, number, number];
  if (mask.shape[0] !== n || mask.shape[1] !== s) {
    fail(`multiheadAttention: the padding mask ${mask} must be bool[${n}, ${s}], one for each token of ${memory ?? x}`);
  }
  return [memory, mask.reshape([n, 1, 1, s])];
}
