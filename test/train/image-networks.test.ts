/**
 * Training steps of convolutional networks nobody chose, in f64: what C computes is what the reference computes. Strides,
 * groups and windows meet here with what is fused around them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  adaptiveAvgPool2d,
  apply,
  avgPool2d,
  batchNorm2d,
  conv2d,
  convTranspose2d,
  crossEntropy,
  flatten,
  gelu,
  groupNorm,
  init,
  type Layer,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "../../src/nn/index.ts";
import { globalNorm, optimizers, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { hasNative } from "../backends.ts";

const block = fc.record({
  channels: fc.constantFrom(2, 4, 6, 16),
  kernel: fc.constantFrom(1, 2, 3),
  stride: fc.constantFrom(1, 1, 2),
  padding: fc.constantFrom(0, 1, 2),
  dilation: fc.constantFrom(1, 1, 2),
  grouped: fc.boolean(),
  norm: fc.constantFrom("batch", "group", "none"),
  activation: fc.constantFrom(relu, gelu),
  pool: fc.constantFrom("max", "overlapping", "mean", "none"),
  transposed: fc.boolean(),
});
const experiment = fc.record({
  batch: fc.constantFrom(2, 3, 5),
  side: fc.constantFrom([12, 12], [13, 10]),
  colors: fc.constantFrom(2, 4),
  blocks: fc.array(block, { minLength: 1, maxLength: 2 }),
});
type Experiment = typeof experiment extends fc.Arbitrary<infer E> ? E : never;

const pools: Record<string, Layer[]> = {
  max: [maxPool2d(2, { ceilMode: true })],
  overlapping: [maxPool2d(3, { stride: 1, padding: 1 })],
  mean: [avgPool2d(2, { padding: 1, countIncludePad: false })],
  none: [],
};

function network({ colors, blocks }: Experiment) {
  let channels: number = colors;
  const layers = blocks.flatMap(({ channels: next, kernel, stride, padding, dilation, ...b }): Layer[] => {
    const groups = b.grouped ? 2 : 1;
    const make = b.transposed ? convTranspose2d : conv2d;
    const options = { stride, dilation, groups, padding: Math.min(padding, dilation * (kernel - 1)) };
    const convolution = make(channels, next, kernel, options);
    channels = next;
    const norms = { batch: [batchNorm2d(next)], group: [groupNorm(2, next)], none: [] };
    return [convolution, ...norms[b.norm as keyof typeof norms], b.activation, ...pools[b.pool]!];
  });
  return sequential(...layers, adaptiveAvgPool2d(2), flatten, linear(4 * channels, 3));
}

const numbers = (n: number, seed: number) => Array.from({ length: n }, (_, k) => Math.sin(seed + 12.9898 * k));
const steps = 3;

/** Losses and gradient norms of a few steps. */
async function train(e: Experiment, backend: "js" | "native"): Promise<number[]> {
  const net = network(e);
  const rule = optimizers.momentum.make({});
  const { params, state } = init(net, 1, { dtype: "f64" });
  const run = await Run.start({ params, state, opt: rule.init(params) }, { backend });
  const loop = run.loop((s, f: { x: Tensor; y: Tensor; step: Tensor; lr: Tensor }) => {
    const [[loss, next], gradients] = valueAndGrad((p: typeof s.params) => {
      const [y, next] = apply(net, { params: p, state: s.state }, f.x, { training: true });
      return [crossEntropy(y, f.y), next] as const;
    })(s.params);
    const [after, opt] = update(rule, gradients, s.opt, { params: s.params, step: f.step, lr: f.lr });
    return { state: { params: after, state: next, opt }, output: { loss, norm: globalNorm(gradients) } };
  });
  const shape = [steps, e.batch, e.colors, ...e.side];
  const { output } = await loop.take(steps, {
    x: value(
      shape,
      numbers(
        shape.reduce((a, b) => a * b),
        1,
      ),
      "f64",
    ),
    y: value(
      [steps, e.batch],
      Array.from({ length: steps * e.batch }, (_, k) => k % 3),
      "i32",
    ),
    step: value([steps], [1, 2, 3], "f64"),
    lr: value([steps], [0.05, 0.05, 0.05], "f64"),
  });
  return [...output.loss.data, ...output.norm.data];
}

describe.skipIf(!hasNative)("convolutional networks, native against the reference", () => {
  test.each(fc.sample(experiment, { numRuns: 8, seed: 5 }))("$batch × $colors × $side: $blocks", async (e) => {
    const [native, js] = [await train(e, "native"), await train(e, "js")];
    expect(native).toHaveLength(2 * steps);
    native.forEach((v, k) => {
      expect(Math.abs(v - js[k]!)).toBeLessThan(1e-9 * (1 + Math.abs(js[k]!)));
    });
  });
});
