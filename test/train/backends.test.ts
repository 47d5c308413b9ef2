/**
 * Whole training steps, of networks nobody chose: what C computes is what the reference computes. The parts are compared
 * one by one elsewhere; this is for what a C compiler makes of them once they are fused and inlined together.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scalar, type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  apply,
  binaryCrossEntropy,
  crossEntropy,
  dropout,
  gelu,
  huber,
  init,
  linear,
  mse,
  relu,
  sequential,
  sigmoid,
  softplus,
  tanh,
} from "../../src/nn/index.ts";
import { globalNorm, type OptimizerName, optimizers, update } from "../../src/optim/index.ts";
import { probeCompiler } from "../../src/run/native/compiler.ts";
import { Run } from "../../src/run/run.ts";

const size = fc.constantFrom(1, 2, 3, 4, 7, 8, 16, 17, 32);
const hidden = fc.record({
  width: size,
  activation: fc.constantFrom(relu, tanh, sigmoid, gelu, softplus),
  rate: fc.constantFrom(0, 0.1, 0.5),
});
const experiment = fc.record({
  batch: size,
  inputs: size,
  outputs: fc.constantFrom(1, 2, 3, 10),
  layers: fc.array(hidden, { maxLength: 3 }),
  loss: fc.constantFrom("mse", "huber", "binary", "classes"),
  optimizer: fc.constantFrom(...(Object.keys(optimizers) as OptimizerName[])),
});
type Experiment = typeof experiment extends fc.Arbitrary<infer E> ? E : never;

const rows = 40;
const steps = 4;
const numbers = (n: number, seed: number) => Array.from({ length: n }, (_, k) => Math.sin(seed + 12.9898 * k));

/** Losses and gradient norms of a few steps. */
async function train(e: Experiment, backend: "js" | "native"): Promise<number[]> {
  let width = e.inputs;
  const layers = e.layers.flatMap(({ width: next, activation, rate }) => {
    const layer = linear(width, next);
    width = next;
    return [layer, activation, dropout(rate)];
  });
  const net = sequential(...layers, linear(width, e.outputs));
  const lossOf = { mse, huber, binary: binaryCrossEntropy, classes: crossEntropy }[e.loss];
  const targets: Record<Experiment["loss"], () => Value> = {
    mse: () => value([rows, e.outputs], numbers(rows * e.outputs, 2)),
    huber: () => value([rows, e.outputs], numbers(rows * e.outputs, 3)),
    binary: () =>
      value(
        [rows, e.outputs],
        numbers(rows * e.outputs, 4).map((v) => +(v > 0)),
      ),
    classes: () =>
      value(
        [rows],
        numbers(rows, 5).map((v) => Math.floor(((v + 1) / 2.001) * e.outputs)),
        "i32",
      ),
  };
  const data = { x: value([rows, e.inputs], numbers(rows * e.inputs, 1)), y: targets[e.loss]() };
  const rule = optimizers[e.optimizer].make({});
  const { params } = init(net, 1);
  const run = await Run.start({ params, opt: rule.init(params) }, { backend });
  const loop = run.loop(
    (s, f: { rows: Tensor; key: Tensor; step: Tensor }, { x, y }) => {
      const [loss, gradients] = valueAndGrad((p: typeof s.params) =>
        lossOf(apply(net, { params: p }, x.gather(f.rows), { training: true, key: f.key })[0], y.gather(f.rows)),
      )(s.params);
      const [next, opt] = update(rule, gradients, s.opt, { params: s.params, step: f.step, lr: scalar(1e-3) });
      return { state: { params: next, opt }, output: { loss, norm: globalNorm(gradients) } };
    },
    { data },
  );
  const { output } = await loop.take(steps, {
    rows: value(
      [steps, e.batch],
      numbers(steps * e.batch, 6).map((v) => Math.floor(((v + 1) / 2.001) * rows)),
      "i32",
    ),
    key: value([steps, 2], [1, 2, 3, 4, 5, 6, 7, 8], "u32"),
    step: value([steps], [1, 2, 3, 4]),
  });
  return [...output.loss.data, ...output.norm.data];
}

describe.skipIf(!probeCompiler().found)("native against the reference", () => {
  test.each(fc.sample(experiment, { numRuns: 12, seed: 2 }))(
    "$batch × $inputs → $outputs, $loss, $optimizer",
    async (e) => {
      const [native, js] = [await train(e, "native"), await train(e, "js")];
      expect(native).toHaveLength(2 * steps);
      native.forEach((v, k) => expect(Math.abs(v - js[k]!)).toBeLessThan(1e-3 * (1e-3 + Math.abs(js[k]!))));
    },
  );
});
