/**
 * Language models of the command line: the defaults, the network, how it is trained and how good it is. Unless asked
 * otherwise it is nanoGPT's recipe for a CPU (github.com/karpathy/nanoGPT, train_shakespeare_char with the flags of its
 * README): a GPT-2 without biases, AdamW with decay on matrices, a short warm-up and a cosine down to a tenth.
 */
import { fail } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import { crossEntropy, gpt, type Module } from "../nn/index.ts";
import {
  chain,
  clipGlobalNorm,
  matrices,
  type Optimizer,
  optimizers,
  type Schedule,
  schedules,
  under,
  type Where,
  warmupCosine,
} from "../optim/index.ts";
import type { RunOptions } from "../run/run.ts";
import type { Model } from "../train/checkpoint.ts";
import { evaluate, windows } from "../train/index.ts";
import {
  accumulateOf,
  averaged,
  averageOf,
  decayOf,
  mostBytes,
  precisionOf,
  scheduleFor,
  type TrainingRecipe,
  type TrainingWishes,
  weightDecayOf,
} from "./recipe.ts";

export type LanguageWishes = TrainingWishes & {
  readonly context?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly width?: number;
  readonly dropout?: number;
  readonly steps?: number;
};
export type LanguageRecipe = TrainingRecipe & { readonly steps: number };

/** What it is: plain JSON, kept in run.json. */
export type LanguageArchitecture = {
  readonly vocabulary: number;
  readonly context: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly dropout: number;
};

/** Throws where wishes contradict each other. */
export function languageRecipe(wishes: LanguageWishes): LanguageRecipe {
  const { optimizer = "adamW", batch = 12, steps = 2000 } = wishes;
  const schedule = scheduleFor(wishes);
  if (batch === "full") {
    fail("--batch full: every window of a text at once is more than memory holds", "say how many windows, such as 12");
  }
  const { lr = optimizer === "adamW" ? 1e-3 : optimizers[optimizer].defaults.lr } = wishes;
  const weightDecay = weightDecayOf(wishes, decayOf(optimizer, 0.1, 0));
  const asked = { ...accumulateOf(wishes, batch), ...precisionOf(wishes), ...averageOf(wishes) };
  return { optimizer, lr, schedule, weightDecay, clip: 1, batch, steps, ...asked };
}

/** Throws where the heads do not share the width, and where nobody could train it. */
export function languageArchitecture(wishes: LanguageWishes, vocabulary: number): LanguageArchitecture {
  const { context = 64, layers = 4, heads = 4, width = 128, dropout = 0 } = wishes;
  if (width % heads !== 0) {
    fail(
      `--heads ${heads}: the width of ${width} cannot be shared by ${heads} heads`,
      "let --heads divide --width, such as 4 and 128",
    );
  }
  const net = { vocabulary, context, layers, heads, width, dropout };
  const bytes = languageParameters(net) * 4 * 4;
  if (bytes > mostBytes) {
    fail(
      `--context ${context} --layers ${layers} --width ${width}: training this network takes about ${Math.round(bytes / 1e9)} GB of memory`,
      "use a shorter context, fewer layers, or a smaller width",
    );
  }
  return net;
}

/** `checkpoint` changes how it is trained, and no number. */
export const languageModel = (net: LanguageArchitecture, { checkpoint = false } = {}): Module =>
  gpt({ ...net, bias: false, activation: "gelu", checkpoint });

/** Its trainable numbers, counted before they exist: the tables of tokens and places, blocks, norms. */
export const languageParameters = ({ vocabulary, context, layers, width }: LanguageArchitecture): number =>
  (vocabulary + context) * width + layers * (12 * width * width + 2 * width) + width;

/** Weights of the blocks: tables of embeddings, one of which is the last layer, are no matter for Muon. */
const hidden: Where = (path, p) => p.shape.length === 2 && under("transformer.h")(path, p);

/** The rule of a recipe. Only matrices decay; averages are those of nanoGPT. */
export function languageRule(recipe: LanguageRecipe): Optimizer {
  const { optimizer, weightDecay, clip, steps } = recipe;
  const { make, options } = optimizers[optimizer];
  const decays = options.includes("weightDecay");
  const rule = make({
    ...(decays && { weightDecay, decayOnly: matrices }),
    ...(optimizer === "adamW" && { b1: 0.9, b2: 0.99 }),
    ...(optimizer === "muon" && { only: hidden }),
  });
  return averaged(chain(clipGlobalNorm(clip), rule), recipe, steps);
}

/** nanoGPT's warm-up begins at one part of 101, so that no step is lost, and its cosine ends at a tenth. */
export function languageSchedule({ schedule, lr, steps }: LanguageRecipe): Schedule {
  if (schedule !== "warmupCosine") return schedules[schedule].make({ lr, steps });
  const warmup = Math.min(100, Math.floor(steps / 10));
  return warmupCosine({ lr, warmup, steps, from: lr / (warmup + 1), floor: lr / 10 });
}

// ---- how good it is ----------------------------------------------------------------------------------------------------

export type LanguageScore = {
  /** Mean cross-entropy, in nats per token. */
  readonly loss: number;
  readonly perCharacter: number;
  /** e to the loss: among how many tokens the model is, on average, undecided. */
  readonly perplexity: number;
  /** Tokens that were guessed. */
  readonly tokens: number;
};

/**
 * On windows side by side, so that each token is guessed once, from up to `context` before it; what fills no window at
 * the end is left out. `characters`: of the whole text.
 */
export async function languageScore(
  architecture: LanguageArchitecture,
  model: Model,
  { tokens, characters }: { readonly tokens: Value; readonly characters: number },
  where: RunOptions,
): Promise<LanguageScore> {
  const { context } = architecture;
  const data = windows(tokens, { context, stride: context });
  const batch = evaluationBatch(architecture);
  const { loss } = await evaluate(languageModel(architecture), model, data, { ...where, loss: crossEntropy, batch });
  if (!Number.isFinite(loss)) fail(`the model's loss on this text is ${loss}`, "the model is not usable: train again");
  return {
    loss,
    perCharacter: (loss * tokens.data.length) / characters,
    perplexity: Math.exp(loss),
    tokens: data.rows * context,
  };
}

/** Windows at a time: few enough that their logits, activations and attention stay small. */
export const evaluationBatch = ({ vocabulary, context, heads, width }: LanguageArchitecture): number =>
  Math.max(1, Math.min(64, Math.floor(2 ** 22 / (context * Math.max(vocabulary, 4 * width, heads * context)))));
