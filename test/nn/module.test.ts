import { expect, expectTypeOf, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  type Bound,
  type Cell,
  crossEntropy,
  init,
  linear,
  type Module,
  module,
  ones,
  param,
  relu,
  sequential,
  state,
  zeros,
} from "../../src/nn/index.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";

/** A step for any module with one input, as `fit` has it. */
async function train<N extends Module<any, readonly [], Tensor>>(net: N, backend: "js" | "native", steps: number) {
  const run = await Run.start(init(net, 1), { backend });
  const loop = run.loop((s, f: { x: Tensor; y: Tensor }) => {
    const slope = valueAndGrad((params: typeof s.params) => {
      const [logits, next] = apply(net, { params, state: s.state }, f.x, { training: true });
      return [crossEntropy(logits, f.y), next] as const;
    });
    const [[loss, next], g] = slope(s.params);
    const params = tree.map((p: Tensor, d: Tensor) => p.sub(d.mul(0.5)), s.params, g);
    return { state: { params, state: next }, output: { loss }, watch: loss };
  });
  const x = [0, 0, 0, 1, 1, 0, 1, 1];
  const feeds = {
    x: value(
      [steps, 4, 2],
      Array.from({ length: steps * 8 }, (_, i) => x[i % 8]!),
    ),
    y: value(
      [steps, 4],
      Array.from({ length: steps * 4 }, (_, i) => [0, 1, 1, 0][i % 4]!),
      "i32",
    ),
  };
  return (await loop.take(steps, feeds)).output.loss.data;
}

test.each(["js", "native"] as const)("a network learns exclusive or on %s", async (backend) => {
  const losses = await train(sequential(linear(2, 8), relu, linear(8, 2)), backend, 500);
  expect(losses[0]).toBeGreaterThan(0.5);
  expect(losses.at(-1)).toBeLessThan(0.02);
});

test("types", () => {
  const inner = module({ w: param([2], ones), mean: state([2], zeros) }, (m, x, { training }) => {
    expectTypeOf(m.w).toEqualTypeOf<Tensor>();
    expectTypeOf(m.mean).toEqualTypeOf<Cell>();
    expectTypeOf(training).toEqualTypeOf<boolean>();
    return x.mul(m.w);
  });
  const two = module({ w: param([2], ones) }, (m, x, c, y: Tensor) => (c.training ? x.mul(m.w) : y));
  const net = module({ a: inner, two, list: [inner, relu], rec: { q: inner } }, (m, x) => {
    const z: Tensor = m.list[0](m.a(x));
    const q: Tensor = m.two(z, m.rec.q(x));
    return m.list[1](q);
  });
  expectTypeOf<Bound<typeof two>>().toEqualTypeOf<(x: Tensor, y: Tensor) => Tensor>();
  const { params: p, state: s } = init(net, 1);
  const a: Value = p.a.w;
  const b: Value = s.a.mean;
  const c: Value = p.list[0].w;
  // @ts-expect-error a state is not among the parameters
  void p.a.mean;
  // @ts-expect-error one input
  module({ a: inner }, (m, x) => m.a(x, x));
  // @ts-expect-error two inputs
  module({ two }, (m, x) => m.two(x));
  // @ts-expect-error nor a param in the state
  void s.a.w;
  void [a, b, c];
  void value;
  expect(1).toBe(1);
});
