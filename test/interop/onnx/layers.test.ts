/** Every layer through onnxruntime, outside training, against PyTorch's numbers. */
import { describe, expect, test } from "vitest";
import { toOnnx } from "../../../src/interop/onnx/onnx.ts";
import { init } from "../../../src/nn/index.ts";
import { type Case, families, filled, held, network } from "../../nn/golden.ts";
import { infer } from "./session.ts";

/** The largest difference, relative to the largest entry where that is beyond 1. */
function distance(got: ArrayLike<number>, expected: readonly number[]): number {
  if (got.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = expected.reduce((a, x) => Math.max(a, Math.abs(x)), 1);
  return expected.reduce((worst, x, k) => Math.max(worst, Math.abs(got[k]! - x) / scale), 0);
}

/** Which axis of input k is the batch, -1 for none: states come as [layers, n, hidden], masks as [1, 1, t, t]. */
function axisOf({ layer, name, steps }: Case, k: number): number {
  if (layer === "linear" && name === "on [inputs]") return -1;
  if (layer === "multiheadAttention" && name === "mask of [1, 1, t, t]" && k === 1) return -1;
  return /^(rnn|lstm|gru)$/.test(layer) && k > 0 && steps[0]!.inputs[k]!.shape.length === 3 ? 1 : 0;
}

/** The steps of a case that do not train, each with the state that it begins with. */
function uses(c: Case) {
  const shapes = c.state ?? {};
  return c.steps.flatMap((step, s) => {
    const before = c.steps[s - 1]?.state;
    const state = before
      ? Object.fromEntries(Object.entries(before).map(([path, data]) => [path, { ...shapes[path]!, data }]))
      : shapes;
    return (step.training ?? c.training) ? [] : [{ ...step, state }];
  });
}

describe.each(families)("$family", ({ cases }) => {
  test.each(cases.filter((c) => uses(c).length > 0))("$layer: $name", async (c) => {
    const net = network(c);
    const first = init(net, 0);
    for (const { inputs, outputs, state } of uses(c).slice(-1)) {
      const model = { params: filled(first.params, c.params, "f32"), state: filled(first.state, state, "f32") };
      const given = Object.fromEntries(inputs.map((n, k) => [`x${k}`, held(n, "f32")]));
      const names = outputs.map((_, k) => `y${k}`);
      const shapes = Object.entries(given).map(([name, { shape, dtype }], k) => {
        const batch = axisOf(c, k);
        return [name, { dtype, shape: shape.map((n, axis) => (axis === batch ? "batch" : n)) }] as const;
      });
      const files = [toOnnx(net, model, given, { outputs: names })];
      if (axisOf(c, 0) >= 0)
        files.push(toOnnx(net, model, Object.fromEntries(shapes), { outputs: names, batch: "dynamic" }));
      for (const file of files) {
        const answers = await infer(file, given);
        for (const [k, { shape, data }] of outputs.entries()) {
          const y = answers[`y${k}`]!;
          expect(y.shape).toEqual(shape);
          expect(distance(y.data, data), `output ${k}`).toBeLessThan(2e-5);
        }
      }
    }
  });
});
