/** GPT: a stack of causal transformer blocks that says, at every place of a text, which token may come next. */
import { fail } from "../ir/fail.ts";
import { split } from "../ir/math.ts";
import { checkOptions } from "../ir/options.ts";
import type { Tensor } from "../ir/tensor.ts";
import { gelu } from "./activation.ts";
import { attendInHeads, headsOf } from "./attention.ts";
import { checkpoint } from "./checkpoint.ts";
import { dropout } from "./dropout.ts";
import { embedding } from "./embedding.ts";
import { normal, zeros } from "./init.ts";
import { linear, product } from "./linear.ts";
import { type Module, module, type ParamSpec } from "./module.ts";
import { positionEmbedding, sinusoidal } from "./position.ts";
import { type NormName, normOf } from "./transformer.ts";

export type GptOptions = {
  /** Tokens are 0 … vocabulary − 1. */
  readonly vocabulary: number;
  /** The longest sequence, in tokens. */
  readonly context: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  /** Rate for the embedded tokens, the attention weights and the changes that blocks make. */
  readonly dropout?: number;
  /** Of all linear layers and layer norms. */
  readonly bias?: boolean;
  /** Heads of keys and values: fewer than `heads` for grouped queries. */
  readonly kvHeads?: number;
  /** Whether the table of tokens is also the last layer's weight. */
  readonly tie?: boolean;
  readonly positions?: "learned" | "sinusoidal" | "rotary";
  readonly norm?: NormName;
  /** Of the norms; their own unless given: 1e-5 for "layer". */
  readonly epsilon?: number;
  /** "gelu tanh" is GPT-2's form, "gelu" the exact one of nanoGPT. */
  readonly activation?: "gelu tanh" | "gelu";
  /** Whether blocks are computed again for the backward pass instead of kept: less memory, more time, the same bits. */
  readonly checkpoint?: boolean;
};

/**
 * Logits of the next token at each place.   x: int[n, t], t ≤ context → f32[n, t, vocabulary]
 *
 * GPT-2: tokens and places are embedded and added, blocks with the norm in front, a norm, and the table of tokens once
 * more as the last layer. A place sees itself and what lies before it. Radford et al. 2019.
 *
 * Parameters have the names of GPT-2 and nanoGPT (transformer.wte.weight, transformer.h.0.attn.c_attn.weight, …), and
 * weights the shape [out, in] of nanoGPT; Hugging Face's GPT-2 has them transposed. While tied, lm_head.weight is
 * transformer.wte.weight and not in the tree. First numbers: N(0, 0.02), those of the layers that end a residual branch
 * (c_proj) N(0, 0.02 / √(2 layers)), biases 0, norms 1.
 *
 * nanoGPT's recipes are { bias: false, activation: "gelu" }, trained by AdamW with b2 0.99, weight decay 0.1 on matrices
 * alone (embeddings among them), the norm of the gradient clipped to 1, lr 1e-3 after a linear warm-up of 100 steps, down
 * a cosine to 1e-4 at the last one. On a CPU: 4 layers, 4 heads, width 128, context 64, batch 12, 2,000 steps.
 *
 * Throws where sizes do not fit, or a sequence is longer than the context; tokens beyond the vocabulary are refused where
 * they come in as data.
 */
export function gpt(options: GptOptions) {
  checkOptions("gpt", options ?? null, [
    ...(["vocabulary", "context", "layers", "heads", "width", "dropout", "bias", "kvHeads", "tie"] as const),
    ...(["positions", "norm", "epsilon", "activation", "checkpoint"] as const),
  ]);
  const { vocabulary, context, layers, width, dropout: rate = 0, tie = true, checkpoint: again } = options;
  const { positions = "learned", norm = "layer" } = options;
  for (const n of [vocabulary, context, layers]) {
    if (!(Number.isInteger(n) && n > 0)) {
      fail(`gpt: ${vocabulary} tokens, context ${context}, ${layers} layers: expected whole numbers from 1 on`);
    }
  }
  const wte = embedding(vocabulary, width, { weightInit: normal(std) });
  const lm_head = tie
    ? module({ weight: wte.children.weight }, (m, x) => product(x, m.weight))
    : linear(width, vocabulary, { bias: false, weightInit: normal(std) });
  const children = {
    transformer: {
      wte,
      ...places(positions, context, width),
      drop: dropout(rate),
      h: Array.from({ length: layers }, () => (again ? checkpoint(block(options)) : block(options))),
      ln_f: normOf(norm, width, options),
    },
    lm_head,
  };
  return module(children, ({ transformer: { wte, wpe, drop, h, ln_f }, lm_head }, x) => {
    if (x.rank !== 2)
      fail(`gpt: expected int[n, t], got ${x}`, x.rank === 1 ? "one text is x.unsqueeze(0)" : undefined);
    if (x.shape[1]! > context) {
      fail(
        `gpt: ${x} has ${x.shape[1]} tokens on axis 1, the context is ${context}`,
        "keep the last ones, or make the model with a longer context",
      );
    }
    const tokens = wte(x);
    const y = h.reduce((y, block) => block(y), drop(wpe ? wpe(tokens) : tokens));
    return lm_head(ln_f(y));
  });
}

const std = 0.02;

/** What is added to the tokens; only learned places have a weight, and rotary ones add nothing. */
type Places = { readonly wpe?: Module<{ readonly weight?: ParamSpec }, readonly [], Tensor> };

function places(kind: GptOptions["positions"], context: number, width: number): Places {
  if (kind === "learned") return { wpe: positionEmbedding(context, width, { weightInit: normal(std) }) };
  if (kind === "sinusoidal") return { wpe: sinusoidal(context, width) };
  return kind === "rotary" ? {} : fail(`gpt: unknown positions "${kind}"`, '"learned", "sinusoidal" or "rotary"');
}

const activations = {
  "gelu tanh": (x: Tensor) => gelu(x, { approximate: "tanh" }),
  gelu: (x: Tensor) => gelu(x),
};

/** transformerBlock with placement "pre", under GPT-2's names and with its first numbers. */
function block(options: GptOptions) {
  const { layers, heads, width, kvHeads = heads, dropout: rate = 0, bias = true } = options;
  const { positions, norm = "layer", activation = "gelu tanh" } = options;
  const { widths, ...cut } = headsOf("gpt", width, heads, { kvHeads, rotary: positions === "rotary" });
  const act = activations[activation] ?? fail(`gpt: unknown activation "${activation}"`, '"gelu tanh" or "gelu"');
  const dense = (inputs: number, outputs: number, spread = std) =>
    linear(inputs, outputs, { bias, weightInit: normal(spread), biasInit: zeros });
  const last = std / Math.sqrt(2 * layers); // 2 · layers changes are added up: their sum keeps its size
  const attn = module(
    {
      c_attn: dense(width, widths[0] + widths[1] + widths[2]),
      attn_dropout: dropout(rate),
      c_proj: dense(width, width, last),
      resid_dropout: dropout(rate),
    },
    (m, x) => {
      const [q, k, v] = split(m.c_attn(x), widths, -1);
      const y = attendInHeads([q!, k!, v!], cut, { causal: true, dropout: m.attn_dropout });
      return m.resid_dropout(m.c_proj(y));
    },
  );
  const mlp = module(
    { c_fc: dense(width, 4 * width), act, c_proj: dense(4 * width, width, last), dropout: dropout(rate) },
    (m, x) => m.dropout(m.c_proj(m.act(m.c_fc(x)))),
  );
  return module({ ln_1: normOf(norm, width, options), attn, ln_2: normOf(norm, width, options), mlp }, (m, x) => {
    const y = x.add(m.attn(m.ln_1(x)));
    return y.add(m.mlp(m.ln_2(y)));
  });
}
