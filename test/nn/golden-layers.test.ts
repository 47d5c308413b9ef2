/**
 * Every layer against PyTorch's numbers: outputs, gradients by parameters and inputs, and state over several steps.
 * Each file of test/golden/layers is an array of cases (scripts/golden/layers.py has the recorder that writes them):
 *
 *   layer, args  what to build: nn[layer](...args). Where args is left out, the exported function is the layer itself,
 *                and an argument that has the form { layer, args } is built in the same way
 *   name         what is special about the case
 *   training     the mode; a step may have its own
 *   params       first numbers by their path in the tree: { "weight": { shape, data }, .. }, all of them; never updated
 *   state        the same for the state, which is carried on from step to step
 *   steps        inputs       [{ shape, data, dtype? }]: f64 (f32 in the native run) unless dtype is "i32" or "bool"
 *                cotangents   one per output, what Σ output · cotangent is differentiated; null leaves an output out
 *                outputs      [{ shape, data }]
 *                gradients    { inputs: [data, or null where none is compared], params: { path: data } }
 *                state        { path: data } after the step
 *
 * Data is flat, row-major.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import * as activation from "../../src/nn/activation.ts";
import * as nn from "../../src/nn/index.ts";
import * as initialiser from "../../src/nn/init.ts";
import * as loss from "../../src/nn/loss.ts";
import * as modules from "../../src/nn/module.ts";
import { apply, init, type Module, module } from "../../src/nn/module.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";

/** Exports of src/nn that are no layers: whole files, which have golden numbers or tests of their own … */
const others = { ...activation, ...initialiser, ...loss, ...modules };
/** … and single names, each with the reason why it has no case. */
const exempt: Record<string, string> = {
  dropout: "draws bits that PyTorch does not have; dropout.test.ts looks at their statistics",
};

type Data = readonly number[];
type Numbers = { readonly shape: readonly number[]; readonly data: Data; readonly dtype?: DType };
type Spec = { readonly layer: string; readonly args?: readonly unknown[] };
type Step = {
  readonly training?: boolean;
  readonly inputs: readonly Numbers[];
  readonly cotangents: readonly (Numbers | null)[];
  readonly outputs: readonly Numbers[];
  readonly gradients: { readonly inputs: readonly (Data | null)[]; readonly params: Record<string, Data> };
  readonly state?: Record<string, Data>;
};
type Case = Spec & {
  readonly name: string;
  readonly training?: boolean;
  readonly params?: Record<string, Numbers>;
  readonly state?: Record<string, Numbers>;
  readonly steps: readonly Step[];
};

const folder = join(import.meta.dirname, "../golden/layers");
const families = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => ({
    family: file.replace(".json", ""),
    cases: JSON.parse(readFileSync(join(folder, file), "utf8")) as readonly Case[],
  }));

/** What a spec names. */
function build({ layer, args }: Spec): unknown {
  const made = (nn as Record<string, unknown>)[layer];
  if (typeof made !== "function") throw new Error(`src/nn exports no layer ${layer}`);
  return args ? made(...args.map(argument)) : made;
}

function argument(x: unknown): unknown {
  if (!tree.isBranch(x)) return x;
  if ("layer" in x) return build(x as Spec);
  return Array.isArray(x) ? x.map(argument) : Object.fromEntries(Object.entries(x).map(([k, v]) => [k, argument(v)]));
}

/** A layer that is a function stands in a module, as it does in a network. */
function network(spec: Spec): Module {
  const made = build(spec);
  return typeof made === "function"
    ? module({ f: made as (...xs: Tensor[]) => Tensor }, (m, x, _, ...more: Tensor[]) => m.f(x, ...more))
    : (made as Module);
}

/** The tree of a module with the case's numbers. Throws where their paths differ. */
function filled(shape: unknown, given: Record<string, Numbers> = {}, float: "f32" | "f64"): any {
  const paths = tree.paths(shape).map(([path]) => path);
  expect(Object.keys(given).sort()).toEqual(paths.sort());
  return tree.mapWithPath((path) => held(given[path]!, float), shape);
}

const held = ({ shape, data, dtype }: Numbers, float: DType): Value =>
  value(shape, data, dtype && dtype !== "f64" ? dtype : float);
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
  test.each(cases)("$layer: $name", async (c) => {
    expect(await deviations(c, "js", "f64", 1e-9)).toEqual({});
    if (hasNative) expect(await deviations(c, "native", "f32", 2e-5)).toEqual({});
  });
});

test("every layer that src/nn exports has a case", () => {
  const covered = new Set(families.flatMap(({ cases }) => cases.map((c) => c.layer)));
  const layers = Object.keys(nn).filter((name) => !(name in others) && !(name in exempt));
  expect(layers.filter((name) => !covered.has(name))).toEqual([]);
  expect(Object.keys(exempt).filter((name) => !(name in nn) || covered.has(name))).toEqual([]);
});
