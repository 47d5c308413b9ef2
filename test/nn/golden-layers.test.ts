/**
 * Every layer against PyTorch's numbers: outputs, gradients by parameters and inputs, and state over several steps.
 * golden.ts says what a case is, js takes them all in f64, and native the first one of each layer in f32.
 */
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";
import * as activation from "../../src/nn/activation.ts";
import * as nn from "../../src/nn/index.ts";
import * as initialiser from "../../src/nn/init.ts";
import * as loss from "../../src/nn/loss.ts";
import * as modules from "../../src/nn/module.ts";
import { apply, init, type Module } from "../../src/nn/module.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";
import { type Case, type Data, families, filled, held, type Numbers, network } from "./golden.ts";

/** Exports of src/nn that are no layers: whole files, which have golden numbers or tests of their own … */
const others = { ...activation, ...initialiser, ...loss, ...modules };
/** … and single names, each with the reason why it has no case. */
const exempt: Record<string, string> = {
  checkpoint: "computes again what a layer has computed: checkpoint.test.ts holds the bits to those of the layer alone",
  dropout: "draws bits that PyTorch does not have; dropout.test.ts looks at their statistics",
};

/** As the one step of a call. */
const fed = (n: Numbers, float: DType): Value => held({ ...n, shape: [1, ...n.shape] }, float);

/** One step: outputs, the gradient of Σ output · cotangent by all that is a float, and the next state. */
const stepOf =
  (net: Module, training: boolean) =>
  (kept: { params: any; state: any }, feed: { inputs: Tensor[]; cotangents: Record<string, Tensor> }) => {
    const scored = valueAndGrad(({ params, floats }: { params: any; floats: Tensor[] }) => {
      let k = 0;
      const inputs = feed.inputs.map((x) => (x.isFloat ? floats[k++]! : x));
      const [y, next] = apply(net, { params, state: kept.state }, inputs, { training });
      const outputs: Tensor[] = y instanceof Tensor ? [y] : y;
      const terms = Object.entries(feed.cotangents).map(([at, c]) => outputs[Number(at)]!.mul(c).sum());
      return [terms.reduce((a, b) => a.add(b)), { outputs, next }] as const;
    });
    const floats = feed.inputs.filter((x) => x.isFloat);
    const [[, { outputs, next }], slope] = scored({ params: kept.params, floats });
    return { state: { params: kept.params, state: next }, output: { outputs, slope } };
  };

/** The largest difference, relative to the largest entry where that is beyond 1. */
function distance(got: ArrayLike<number>, expected: Data): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = expected.reduce((a, x) => Math.max(a, Math.abs(x)), 1);
  return expected.reduce((worst, x, k) => {
    const d = Math.abs(got[k]! - x) / scale;
    return d <= worst ? worst : d; // a NaN stays
  }, 0);
}

/** What is further from PyTorch than the tolerance, by name, with how far. */
async function deviations(c: Case, backend: BackendName, float: "f32" | "f64", tolerance: number) {
  const net = network(c);
  const first = init(net, 0);
  const kept = { params: filled(first.params, c.params, float), state: filled(first.state, c.state, float) };
  const run = await Run.start(kept, { backend });
  const loops = { true: run.loop(stepOf(net, true)), false: run.loop(stepOf(net, false)) };
  const found: Record<string, number> = {};
  const compare = (name: string, got: Value | undefined, expected: Data | undefined) => {
    const d = got && expected ? distance(got.data, expected) : Number.POSITIVE_INFINITY;
    if (!(d <= tolerance)) found[name] = d;
  };

  for (const [s, step] of c.steps.entries()) {
    const cotangents = step.cotangents.flatMap((n, k) => (n ? [[k, fed(n, float)]] : []));
    const feed = { inputs: step.inputs.map((n) => fed(n, float)), cotangents: Object.fromEntries(cotangents) };
    const { output } = await loops[`${step.training ?? c.training ?? false}`].take(1, feed as any); // any: Values, not Tensors
    const { outputs, slope } = output as any; // any: a tree of Values, looked up by path below

    expect((outputs as Value[]).map((v) => v.shape.slice(1))).toEqual(step.outputs.map((n) => n.shape));
    step.outputs.forEach((n, k) => compare(`step ${s}: output ${k}`, outputs[k], n.data));
    const floats = [...(slope.floats as Value[])];
    step.inputs.forEach((_, k) => {
      const got = feed.inputs[k]!.dtype === float ? floats.shift() : undefined;
      const expected = step.gradients.inputs[k];
      if (expected) compare(`step ${s}: slope of input ${k}`, got, expected);
    });
    const slopes = Object.fromEntries(tree.paths<Value>(slope.params));
    expect(Object.keys(step.gradients.params).sort()).toEqual(Object.keys(slopes).sort());
    for (const [path, v] of Object.entries(slopes)) {
      compare(`step ${s}: slope of ${path}`, v, step.gradients.params[path]);
    }
    for (const [path, v] of tree.paths<Value>(run.state().state)) compare(`step ${s}: ${path}`, v, step.state?.[path]);
  }
  return found;
}

describe.each(families)("$family", ({ cases }) => {
  const seen = new Set<string>();
  test.each(cases)("$layer: $name", async (c) => {
    expect(await deviations(c, "js", "f64", 1e-9)).toEqual({});
    // A C compiler takes its time: native has one case of each layer here, and more in the tests of each family.
    if (hasNative && !seen.has(c.layer)) expect(await deviations(c, "native", "f32", 2e-5)).toEqual({});
    seen.add(c.layer);
  });
});

test("every layer that src/nn exports has a case", () => {
  const covered = new Set(families.flatMap(({ cases }) => cases.map((c) => c.layer)));
  const layers = Object.keys(nn).filter((name) => !(name in others) && !(name in exempt));
  expect(layers.filter((name) => !covered.has(name))).toEqual([]);
  expect(Object.keys(exempt).filter((name) => !(name in nn) || covered.has(name))).toEqual([]);
});
