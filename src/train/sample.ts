/**
 * Text from a language model: its logits become a distribution, the distribution a token, and the token the end of the
 * sequence that the model sees next.
 */
import { fail, shown } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Value, value } from "../ir/value.ts";
import { apply, type Module } from "../nn/index.ts";
import { foldIn, integer, key } from "../random.ts";
import type { Result } from "../run/loop.ts";
import { Run, type RunOptions } from "../run/run.ts";
import { requireModel, requireNet, requireObject } from "./check.ts";
import type { Model } from "./checkpoint.ts";

export type Sampling = {
  /** What logits are divided by: below 1 the likely becomes likelier still. 0 is always the likeliest. 1 unless given. */
  readonly temperature?: number;
  /** Only so many of the likeliest tokens. Fan, Lewis & Dauphin 2018. All unless given. */
  readonly topK?: number;
  /**
   * Only the nucleus: the fewest of the likeliest tokens that together have at least this probability, the one that
   * crosses it included. Holtzman et al. 2020. Of what `topK` leaves, made to sum to 1. All unless given.
   */
  readonly topP?: number;
};

/**
 * The probability of each token: temperature, then top-k, then top-p.   logits: [v] → f64[v], sum 1
 *
 * Of equally likely tokens the one with the lower number comes first, so that exactly k are left; PyTorch programs that
 * compare with the k-th logit keep all that tie with it. Throws where an option is out of its domain, or the logits are
 * no numbers; −∞ is a token that cannot come.
 */
export function distribution(logits: ArrayLike<number>, sampling: Sampling = {}): Float64Array<ArrayBuffer> {
  const { temperature = 1, topK = Infinity, topP = 1 } = sampling;
  requireSampling(sampling);
  const top = highest(logits);
  const p = new Float64Array(logits.length);
  if (temperature === 0) {
    p[top] = 1;
    return p;
  }
  // Divided after the highest is taken off: a small temperature would overflow otherwise.
  for (let k = 0; k < p.length; k++) p[k] = Math.exp((logits[k]! - logits[top]!) / temperature);
  if (topK < p.length || topP < 1) {
    const order = Array.from(p.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
    for (const k of order.splice(topK)) p[k] = 0;
    normalise(p);
    if (topP < 1) for (const k of order.slice(crossing(p, order, topP))) p[k] = 0;
  }
  return normalise(p);
}

/** Throws where an option is out of its domain. */
export function requireSampling({ temperature = 1, topK = Infinity, topP = 1 }: Sampling): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    fail(`temperature: expected a number from 0, got ${temperature}`, "0 always takes the likeliest token");
  }
  if (!(topK === Infinity || Number.isInteger(topK)) || topK < 1) {
    fail(`topK: expected a whole number from 1, got ${topK}`);
  }
  if (!(topP > 0 && topP <= 1)) fail(`topP: expected a probability above 0 and up to 1, got ${topP}`);
}

/** Where the highest logit is, the first of equals. */
function highest(logits: ArrayLike<number>): number {
  let top = 0;
  for (let k = 0; k < logits.length; k++) {
    const z = logits[k]!;
    if (!(z < Infinity))
      fail(`the model's logit for token ${k} is ${z}`, "the model has left the numbers: train again");
    if (z > logits[top]!) top = k;
  }
  if (!(logits[top]! > -Infinity)) fail("the model's logits allow no token at all");
  return top;
}

/** How many of the first in `order` have at least probability `share` together. */
function crossing(p: Float64Array, order: readonly number[], share: number): number {
  let sum = 0;
  const last = order.findIndex((k) => {
    sum += p[k]!;
    return sum >= share;
  });
  return last < 0 ? order.length : last + 1; // rounding may leave the sum of all below it
}

function normalise<T extends Float64Array>(p: T): T {
  const sum = p.reduce((a, b) => a + b, 0);
  for (let k = 0; k < p.length; k++) p[k]! /= sum;
  return p;
}

/** The token of a uniform u in [0, 1): where the sum of the probabilities up to it is above u. */
export function draw(p: ArrayLike<number>, u: number): number {
  let sum = 0;
  let last = 0;
  for (let k = 0; k < p.length; k++) {
    if (!(p[k]! > 0)) continue;
    sum += p[k]!;
    if (u < sum) return k;
    last = k;
  }
  return last; // the sum of all may round to less than 1
}

export type GenerateOptions = Sampling &
  RunOptions & {
    /** What the text begins with: at least one token. */
    readonly prompt: ArrayLike<number>;
    /** How many to add. */
    readonly tokens: number;
    /** How many the model sees at once; of a longer sequence it sees the last. */
    readonly context: number;
    /** 0 unless given. The n-th draw is a function of the seed and n. */
    readonly seed?: number;
  };

/**
 * Tokens that follow the prompt, one after the other, as a causal language model gives them: a net from i32[1, t] to
 * logits f32[1, t, vocabulary] in which no place sees a later one. The program is compiled once, for `context` places:
 * those after the sequence are filled, and nothing looks at them.
 *
 *   for await (const token of generate(net, model, { prompt, tokens: 200, context: 64, topK: 40, seed: 1 })) …
 *
 * Throws where an option is out of its domain, the prompt is empty or holds a token that the model does not know, and
 * where the logits are no numbers.
 */
export async function* generate(
  net: Module,
  model: Model,
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  requireNet("generate: net", net);
  requireModel("generate: model", model, generateCall);
  requireObject("generate", options, generateCall);
  const { prompt, tokens, context, seed = 0, backend, threads, ...sampling } = options;
  requireSampling(sampling);
  for (const [name, n] of Object.entries({ tokens, context })) {
    if (!Number.isInteger(n) || n < 1) fail(`generate: ${name} must be a whole number from 1, got ${n}`);
  }
  const given: unknown = prompt;
  if (!(Array.isArray(given) || ArrayBuffer.isView(given)) || !Array.from(prompt).every(Number.isInteger)) {
    fail(
      `generate: the prompt must be tokens, whole numbers in a list, got ${shown(given)}`,
      typeof given === "string" ? "prompt: tokenizer.encode(text)" : generateCall,
    );
  }
  if (prompt.length === 0) fail("generate: the prompt is empty", "begin with at least one token, such as a line end");
  const random = foldIn(key(seed), "sample");
  const { params, state } = model;
  const run = await Run.start({ params, state }, { backend, threads });
  const loop = run.loop<{ window: Value; last: Value }, { logits: Tensor }>(nextStep(net) as any); // any: as in predict.ts
  const seen = Array.from(prompt).slice(-context);
  let yielded = performance.now();
  for (let n = 0; n < tokens; n++) {
    const window = new Int32Array(context);
    window.set(seen);
    const feeds = { window: value([1, context], window, "i32"), last: value([1], [seen.length - 1], "i32") };
    const { logits } = (await loop.take(1, feeds)).output;
    const token = draw(distribution(logits.data, sampling), integer(random, 2 ** 53, n) * 2 ** -53);
    yield token;
    seen.push(token);
    if (seen.length > context) seen.shift();
    if (performance.now() - yielded > 50) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // so that Ctrl-C and a page get their turn
      yielded = performance.now();
    }
  }
}

const generateCall = "generate(net, { params, state }, { prompt: tokenizer.encode(text), tokens: 200, context: 64 })";

/** The logits at one place of a window.   window: i32[t], last: i32[] → f32[vocabulary] */
const nextStep =
  (net: Module) =>
  (s: { params: any; state: any }, feed: { window: Tensor; last: Tensor }): Result<any, { logits: Tensor }> => {
    const x = feed.window.unsqueeze(0);
    const y: Tensor = apply(net, { params: s.params, state: s.state }, x)[0];
    if (y.rank !== 3 || y.shape[0] !== 1 || y.shape[1] !== x.shape[1]) {
      fail(
        `generate: the net gives ${y} for tokens ${x}; a language model gives logits [1, ${x.shape[1]}, vocabulary]`,
      );
    }
    return { output: { logits: y.squeeze(0).gather(feed.last) } };
  };
