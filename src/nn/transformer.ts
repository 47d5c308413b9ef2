/**
 * The transformer block: places exchange what they know (attention), then each thinks for itself (two dense layers),
 * both times as a change added to what it was. Where the norm stands decides how it trains: in front of each change
 * ("pre"), the sum itself stays untouched and deep stacks need no warm-up; after it ("post"), as in the first paper.
 */
import { fail } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import type { Tensor } from "../ir/tensor.ts";
import { gelu } from "./activation.ts";
import { type MultiheadAttentionOptions, multiheadAttention } from "./attention.ts";
import { dropout } from "./dropout.ts";
import { linear } from "./linear.ts";
import { module } from "./module.ts";
import { layerNorm, rmsNorm } from "./norm.ts";

export type TransformerBlockOptions = MultiheadAttentionOptions & {
  /** Width of the hidden layer; 4 · width unless given. */
  readonly mlp?: number;
  readonly activation?: (x: Tensor) => Tensor;
  readonly norm?: NormName;
  /** Of both norms; their own unless given. */
  readonly epsilon?: number;
  readonly placement?: "pre" | "post";
};

export type NormName = "layer" | "rms";

/** A norm of the last axis by its name; an rms norm has no bias. */
export function normOf(name: NormName, width: number, { bias = true, epsilon }: NormOptions) {
  const options = epsilon === undefined ? {} : { epsilon };
  if (name === "rms") return rmsNorm(width, options);
  return name === "layer" ? layerNorm(width, { bias, ...options }) : fail(`unknown norm "${name}"`, '"layer" or "rms"');
}

type NormOptions = { readonly bias?: boolean; readonly epsilon?: number | undefined };

/**
 * Attention of a sequence to itself and a dense network at each place, both residual. Called with (x) or (x, mask).
 *
 *   pre   x ← x + attention(norm1(x)),  x ← x + mlp(norm2(x))        Radford et al. 2019, Xiong et al. 2020
 *   post  x ← norm1(x + attention(x)),  x ← norm2(x + mlp(x))        Vaswani et al. 2017
 *   mlp   linear2(activation(linear1(x)))
 *
 *   x: f32[n, t, width] → same;   mask: bool[n, t], true for real tokens, or one that broadcasts to bool[n, heads, t, t]
 *
 * Names and first numbers are those of PyTorch's nn.TransformerEncoderLayer with batch_first, and so is what it computes.
 * Differs in its defaults: placement "pre" (norm_first), the exact gelu instead of relu, no dropout, mlp 4 · width instead
 * of 2048; and a mask is true where attention is allowed. A stack with placement "pre" wants one more norm at its end.
 * `dropout` is the rate for attention weights, hidden units and both changes; `bias` is that of all layers and norms.
 */
export function transformerBlock(width: number, heads: number, options: TransformerBlockOptions = {}) {
  checkOptions("transformerBlock", options, [
    ...(["mlp", "activation", "norm", "epsilon", "placement"] as const),
    ...(["kvHeads", "bias", "dropout", "causal", "rotary"] as const),
  ]);
  const { mlp = 4 * width, activation = gelu, norm = "layer", placement = "pre", epsilon, ...attending } = options;
  const { bias = true, dropout: rate = 0 } = attending;
  if (placement !== "pre" && placement !== "post") {
    fail(`transformerBlock: unknown placement "${placement}" of the norms`, '"pre" or "post"');
  }
  const children = {
    self_attn: multiheadAttention(width, heads, attending),
    linear1: linear(width, mlp, { bias }),
    activation,
    dropout: dropout(rate),
    linear2: linear(mlp, width, { bias }),
    norm1: normOf(norm, width, { bias, epsilon }),
    norm2: normOf(norm, width, { bias, epsilon }),
    dropout1: dropout(rate),
    dropout2: dropout(rate),
  };
  return module(children, (m, x, _, ...mask: readonly Tensor[]) => {
    if (mask.length > 1 || (mask[0] && mask[0].dtype !== "bool")) {
      fail(
        `transformerBlock: got ${[x, ...mask].join(", ")}`,
        "give x and, where some tokens are padding, a bool mask",
      );
    }
    const attended = (y: Tensor) => m.dropout1(m.self_attn(y, ...mask));
    const thought = (y: Tensor) => m.dropout2(m.linear2(m.dropout(m.activation(m.linear1(y)))));
    if (placement === "post") {
      const y = m.norm1(x.add(attended(x)));
      return m.norm2(y.add(thought(y)));
    }
    const y = x.add(attended(m.norm1(x)));
    return y.add(thought(m.norm2(y)));
  });
}
