/** Accumulated batches of texts of different length are the big batch, token by token; a mean of means is not. */
import { describe, expect, test } from "vitest";
import { type Tensor, type Value, value } from "../../src/ir/index.ts";
import { crossEntropy, embedding, init, linear, relu, sequential } from "../../src/nn/index.ts";
import { sgd } from "../../src/optim/index.ts";
import { type FitLoss, type FitOptions, fit } from "../../src/train/index.ts";
import { leaves } from "../../src/tree.ts";

const [texts, context, vocabulary, padding] = [11, 7, 5, -1] as const;

/** Text i has 0 to 7 tokens, the rest is padding: one in six has none at all. */
const lengths = Array.from({ length: texts }, (_, i) => [7, 1, 4, 0, 2, 6][i % 6]!);
const token = (i: number, k: number) => (i * 3 + k * k + (k % 3)) % vocabulary;
const xs = lengths.map((_, i) => Array.from({ length: context }, (_, k) => token(i, k)));
const ys = lengths.map((n, i) => Array.from({ length: context }, (_, k) => (k < n ? token(i, k + 1) : padding)));
const data = { train: { x: value([texts, context], xs.flat(), "i32"), y: value([texts, context], ys.flat(), "i32") } };

/** Logits of the next token are a row of a table: a bigram model, whose gradient is short enough to write down. */
const bigram = embedding(vocabulary, vocabulary);
const table = Float64Array.from({ length: vocabulary ** 2 }, (_, k) => Math.sin(k * 1.3));
const start = { params: { weight: value([vocabulary, vocabulary], table, "f64") }, state: {} };
const options = {
  loss: crossEntropy as FitLoss,
  optimizer: sgd(),
  data,
  shuffle: false,
  lr: 1,
  steps: 1,
  backend: "js",
} as const;

/** Σ w(y) (softmax − one-hot) of each token into the row of its predecessor, over Σ w(y); and the mean loss. */
function byHand(rows: readonly number[], weights: readonly number[]) {
  const gradient = new Float64Array(table.length);
  let [total, weight] = [0, 0];
  for (const i of rows) {
    for (let k = 0; k < context; k++) {
      const [x, y] = [xs[i]![k]!, ys[i]![k]!];
      if (y === padding) continue;
      const logits = table.subarray(x * vocabulary, (x + 1) * vocabulary);
      const sum = logits.reduce((s, l) => s + Math.exp(l), 0);
      total -= weights[y]! * (logits[y]! - Math.log(sum));
      weight += weights[y]!;
      logits.forEach((l, j) => {
        gradient[x * vocabulary + j]! += weights[y]! * (Math.exp(l) / sum - (j === y ? 1 : 0));
      });
    }
  }
  return { loss: total / weight, gradient: gradient.map((g) => g / weight) };
}

const counted: Parameters<typeof crossEntropy>[2] = { ignoreIndex: padding };
const even = Array<number>(vocabulary).fill(1);
const classWeights = [1, 0.2, 3, 0.5, 2];
const parts =
  (more: object): FitLoss =>
  (p: Tensor, t: Tensor) =>
    crossEntropy.parts(p, t, { ...counted, ...more });
const all = lengths.map((_, i) => i);

describe.each([
  ["tokens", parts({}), even],
  ["weighted tokens", parts({ classWeights }), classWeights],
] as const)("a gradient over %s", (_, loss, weights) => {
  test.each([
    [11, 1],
    [4, 3],
    [1, 11],
    [2, 6],
  ])("in batches of %i texts, %i of them", async (batch, accumulate) => {
    const r = await fit({ ...options, net: bigram, start, loss, batch, accumulate });
    const { loss: mean, gradient } = byHand(all, weights);
    const moved = (r.params as typeof start.params).weight.data;
    gradient.forEach((g, k) => expect(Math.abs(table[k]! - moved[k]! - g)).toBeLessThan(1e-12));
    expect(Math.abs(r.history[0]!.trainLoss - mean)).toBeLessThan(1e-12);
    expect(Math.abs(r.history[0]!.gradientNorm - Math.hypot(...gradient))).toBeLessThan(1e-12);
  });

  test("is not the mean of the batches' means", () => {
    const groups = [all.slice(0, 4), all.slice(4, 8), all.slice(8)].map((rows) => byHand(rows, weights).gradient);
    const wrong = groups[0]!.map((_, k) => groups.reduce((sum, g) => sum + g[k]! / groups.length, 0));
    const { gradient } = byHand(all, weights);
    expect(Math.max(...gradient.map((g, k) => Math.abs(g - wrong[k]!)))).toBeGreaterThan(1e-3);
  });
});

test("several epochs of a deeper net, clipped by nothing, stay together", async () => {
  const net = sequential(embedding(vocabulary, 6), linear(6, 8), relu, linear(8, vocabulary));
  const more: Partial<FitOptions<typeof net>> = { lr: 0.1, steps: 6, shuffle: true, seed: 3 };
  const from = init(net, 1, { dtype: "f64" });
  const loss = parts({ classWeights });
  const [big, little] = await Promise.all([
    fit({ ...options, ...more, net, start: from, loss, batch: 8 }),
    fit({ ...options, ...more, net, start: from, loss, batch: 2, accumulate: 4 }),
  ]);
  const [a, b] = [big, little].map(({ params }) => leaves<Value>(params).flatMap(({ data }) => [...data]));
  a!.forEach((p, k) => expect(Math.abs(p - b![k]!)).toBeLessThan(1e-12));
});
