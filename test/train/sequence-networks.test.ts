/** Training steps of recurrent and attention networks nobody chose, in f64: what C computes is what the reference computes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  apply,
  crossEntropy,
  embedding,
  gru,
  init,
  type Layer,
  layerNorm,
  linear,
  lstm,
  module,
  positionEmbedding,
  rmsNorm,
  rnn,
  sequential,
  transformerBlock,
} from "../../src/nn/index.ts";
import { globalNorm, optimizers, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { hasNative } from "../backends.ts";

const recurrent = { lstm, gru, rnn };
const layer = fc.record({
  kind: fc.constantFrom("attention", "attention", "lstm", "gru", "rnn"),
  causal: fc.boolean(),
  kvHeads: fc.constantFrom(1, 2, 4),
  bidirectional: fc.boolean(),
  norm: fc.constantFrom("layer", "rms"),
  dropout: fc.constantFrom(0, 0.2),
});
const experiment = fc.record({
  batch: fc.constantFrom(1, 2, 3),
  time: fc.constantFrom(1, 4, 6),
  layers: fc.array(layer, { minLength: 1, maxLength: 2 }),
});
type Experiment = typeof experiment extends fc.Arbitrary<infer E> ? E : never;

const [words, width, steps] = [11, 8, 3];

function network({ time, layers }: Experiment) {
  const bodies = layers.map(({ kind, causal, kvHeads, bidirectional, norm, dropout }): Layer => {
    if (kind === "attention") return transformerBlock(width, 4, { causal, kvHeads, norm, dropout, mlp: 12 });
    const make = recurrent[kind as keyof typeof recurrent];
    const body = make(width, bidirectional ? width / 2 : width, { bidirectional });
    return module({ body }, (m, x) => m.body(x)[0]);
  });
  const last = layers[0]!.norm === "layer" ? layerNorm(width) : rmsNorm(width);
  return sequential(embedding(words, width), positionEmbedding(time, width), ...bodies, last, linear(width, words));
}

const ids = (n: number, seed: number) => Array.from({ length: n }, (_, k) => (k * k + 3 * k + seed) % words);

/** Losses and gradient norms of a few steps. */
async function train(e: Experiment, backend: "js" | "native"): Promise<number[]> {
  const net = network(e);
  const rule = optimizers.momentum.make({});
  const { params } = init(net, 1, { dtype: "f64" });
  const run = await Run.start({ params, opt: rule.init(params) }, { backend });
  const loop = run.loop((s, f: { x: Tensor; y: Tensor; key: Tensor; step: Tensor; lr: Tensor }) => {
    const [loss, gradients] = valueAndGrad((p: typeof s.params) =>
      crossEntropy(apply(net, { params: p }, f.x, { training: true, key: f.key })[0], f.y),
    )(s.params);
    const [after, opt] = update(rule, gradients, s.opt, { params: s.params, step: f.step, lr: f.lr });
    return { state: { params: after, opt }, output: { loss, norm: globalNorm(gradients) } };
  });
  const shape = [steps, e.batch, e.time];
  const count = steps * e.batch * e.time;
  const { output } = await loop.take(steps, {
    x: value(shape, ids(count, 1), "i32"),
    y: value(shape, ids(count, 5), "i32"),
    key: value([steps, 2], [1, 2, 3, 4, 5, 6], "u32"),
    step: value([steps], [1, 2, 3], "f64"),
    lr: value([steps], [0.05, 0.05, 0.05], "f64"),
  });
  return [...output.loss.data, ...output.norm.data];
}

describe.skipIf(!hasNative)("sequence networks, native against the reference", () => {
  test.each(fc.sample(experiment, { numRuns: 4, seed: 3 }))("$batch × $time: $layers", async (e) => {
    const [native, js] = [await train(e, "native"), await train(e, "js")];
    expect(native).toHaveLength(2 * steps);
    native.forEach((v, k) => {
      expect(Math.abs(v - js[k]!)).toBeLessThan(1e-9 * (1 + Math.abs(js[k]!)));
    });
  });
});
