/**
 * nanoGPT's recipe over 40 steps against PyTorch (scripts/golden/gpt-steps.py): model, gradients, clipping, AdamW with decay
 * on matrices, schedule and weight tying together, from the same numbers.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { integers, uniforms } from "../../bench/noise.ts";
import { type Float, iota, type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import { apply, crossEntropy, gpt, init } from "../../src/nn/index.ts";
import { adamW, chain, clipGlobalNorm, globalNorm, matrices, update, warmupCosine } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";

const golden = JSON.parse(readFileSync(new URL("../golden/gpt-steps.json", import.meta.url), "utf8")) as {
  readonly names: readonly string[];
  readonly losses: readonly number[];
  readonly norms: readonly number[];
};

const [steps, batch, context] = [40, 4, 8];
const net = gpt({ vocabulary: 11, context, layers: 2, heads: 2, width: 16, activation: "gelu" });
const rule = chain(clipGlobalNorm(1), adamW({ b2: 0.99, weightDecay: 0.1, decayOnly: matrices }));
const lr = warmupCosine({ lr: 1e-2, warmup: 10, steps, from: 1e-2 / 11, floor: 1e-3 });

/** The formula's numbers in the place of the first ones. */
function start(dtype: Float) {
  const { params } = init(net, 1, { dtype });
  const paths = tree.paths(params).map(([path]) => path);
  expect([...paths].sort()).toEqual(golden.names);
  return tree.mapWithPath((path, p: { readonly shape: readonly number[] }) => {
    const k = golden.names.indexOf(path);
    const one = /[.]ln_.*weight$/.test(path) ? 1 : 0;
    const count = p.shape.reduce((a, b) => a * b, 1);
    return value(
      p.shape,
      uniforms(100 + k, count).map((u) => (2 * u - 1) / 4 + one),
      dtype,
    );
  }, params) as typeof params;
}

async function train(backend: "js" | "native", dtype: Float) {
  const params = start(dtype);
  const run = await Run.start({ params, opt: rule.init(params) }, { backend });
  const loop = run.loop(
    (s, f: { starts: Tensor; step: Tensor; lr: Tensor }, { tokens }) => {
      const at = f.starts.unsqueeze(1).add(iota(context));
      const [loss, gradients] = valueAndGrad((p: typeof s.params) =>
        crossEntropy(apply(net, { params: p }, tokens.gather(at))[0], tokens.gather(at.add(1))),
      )(s.params);
      const [next, opt] = update(rule, gradients, s.opt, { params: s.params, step: f.step, lr: f.lr });
      return { state: { params: next, opt }, output: { loss, norm: globalNorm(gradients) } };
    },
    { data: { tokens: integers(1, [200], 11) } },
  );
  const all = Array.from({ length: steps }, (_, i) => i);
  const { output } = await loop.take(steps, {
    starts: value(
      [steps, batch],
      all.flatMap((i) => [0, 1, 2, 3].map((j) => (7 * i + 5 * j) % 192)),
      "i32",
    ),
    step: value(
      [steps],
      all.map((i) => i + 1),
      dtype,
    ),
    lr: value([steps], all.map(lr), dtype),
  });
  return output;
}

const apart = (a: ArrayLike<number>, b: readonly number[]) => Math.max(...b.map((x, k) => Math.abs(a[k]! - x)));

test("in double precision, on js", async () => {
  const { loss, norm } = await train("js", "f64");
  expect(apart(loss.data, golden.losses)).toBeLessThan(1e-10);
  expect(apart(norm.data, golden.norms)).toBeLessThan(1e-9);
});

test.skipIf(!hasNative)("in single precision, on native", async () => {
  const { loss } = await train("native", "f32");
  expect(apart(loss.data, golden.losses)).toBeLessThan(1e-4);
});
