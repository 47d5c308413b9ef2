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
    for (const { inputs, outputs, state } of uses(c).slice(0, 2)) {
      const model = { params: filled(first.params, c.params, "f32"), state: filled(first.state, state, "f32") };
      const given = Object.fromEntries(inputs.map((n, k) => [`x${k}`, held(n, "f32")]));
      const names = outputs.map((_, k) => `y${k}`);
      const file = toOnnx(net, model, given, { outputs: names });
      const answers = await infer(file, given);
      for (const [k, { shape, data }] of outputs.entries()) {
        const y = answers[`y${k}`]!;
        expect(y.shape).toEqual(shape);
        expect(distance(y.data, data), `output ${k}`).toBeLessThan(2e-5);
      }
    }
  });
});
