/** Positions against complex rotations and loops: what rotary promises about distances, both layouts, messages. */
import { describe, expect, test } from "vitest";
import { grad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { apply, init, type Module, positionEmbedding, rotary, sinusoidal } from "../../src/nn/index.ts";
import type { RotaryOptions } from "../../src/nn/position.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers, some } from "./evaluate.ts";

/** Each pair as a complex number, times e^(iθ), θ = t / base^(2i / d). */
function turned(
  x: readonly number[],
  t: number,
  d: number,
  { base = 10_000, layout = "half" }: RotaryOptions = {},
): number[] {
  const y = [...x];
  for (let at = 0; at < x.length / d; at++) {
    for (let i = 0; i < d / 2; i++) {
      const angle = (at % t) * base ** (-(2 * i) / d);
      const [p, q] = layout === "half" ? [i, i + d / 2] : [2 * i, 2 * i + 1];
      const [re, im] = [x[at * d + p]!, x[at * d + q]!];
      y[at * d + p] = re * Math.cos(angle) - im * Math.sin(angle);
      y[at * d + q] = re * Math.sin(angle) + im * Math.cos(angle);
    }
  }
  return y;
}

describe.each<RotaryOptions>([
  {},
  { layout: "interleaved" },
  { base: 100, layout: "half" },
  { base: 50, layout: "interleaved" },
])("rotary %o", (options) => {
  const x = value([2, 5, 6], some(60), "f64");

  test.each(backends)("turns pairs, and its gradient turns them back, on %s", async (backend) => {
    const c = value([2, 5, 6], some(60, 33), "f64");
    const slope = (x: Tensor, c: Tensor) => grad((x: Tensor) => rotary(x, options).mul(c).sum())(x);
    const f = ({ x, c }: { x: Tensor; c: Tensor }) => ({ y: rotary(x, options), slope: slope(x, c) });
    const got = await evaluate(f, { x, c }, backend);
    expect(distance([...got.y.data], turned([...x.data], 5, 6, options))).toBeLessThan(1e-14);
    // A rotation's transpose is its inverse: turning the slope gives the cotangent.
    expect(distance(turned([...got.slope.data], 5, 6, options), [...c.data])).toBeLessThan(1e-14);
  });

  test("a product of query and key depends on their distance alone", async () => {
    const same = (from: number) => value([8, 6], Array(8).fill(some(6, from)).flat(), "f64"); // one vector at 8 places
    const f = ({ q, k }: { q: Tensor; k: Tensor }) => rotary(q, options).matmul(rotary(k, options).transpose());
    const scores = [...(await evaluate(f, { q: same(0), k: same(9) })).data];
    for (let i = 1; i < 8; i++) {
      for (let j = 1; j < 8; j++) expect(scores[i * 8 + j]).toBeCloseTo(scores[(i - 1) * 8 + j - 1]!, 13);
    }
    expect(scores[1]).not.toBeCloseTo(scores[8]!, 3);
  });
});

test("at place 1000, f32 angles are as good as f64's", async () => {
  const x = value([1001, 2], Array(1001).fill([1, 0]).flat());
  const y = await evaluate(({ x }: { x: Tensor }) => rotary(x), { x });
  expect([...y.data.slice(-2)]).toEqual([Math.fround(Math.cos(1000)), Math.fround(Math.sin(1000))]);
});

test("sinusoidal is the formula, for every place", async () => {
  const net = sinusoidal(6, 4);
  expect(init(net, 1)).toEqual({ params: {}, state: {} });
  const y = await evaluate(({ x }: { x: Tensor }) => apply(net, { params: {} }, x)[0], {
    x: value([2, 3, 4], Array(24).fill(0), "f64"),
  });
  const rows = [0, 1, 2].flatMap((t) => [Math.sin(t), Math.cos(t), Math.sin(t / 100), Math.cos(t / 100)]);
  expect(distance(numbers(y), [...rows, ...rows])).toBeLessThan(1e-15);
});

test("messages", () => {
  const call = (net: Module, x: Tensor) => () =>
    apply(net, { params: tree.map((v: Value) => input(v.shape), init(net, 1).params) }, x);
  expect(call(positionEmbedding(4, 3), input([2, 5, 3]))).toThrow(
    "positionEmbedding: f32[2,5,3] has 5 places on axis 1, the context is 4\n  hint: shorten the sequence to 4",
  );
  expect(call(sinusoidal(4, 2), input([5, 2]))).toThrow(
    "sinusoidal: f32[5,2] has 5 places on axis 0, the context is 4",
  );
  expect(call(sinusoidal(4, 2), input([3, 4]))).toThrow("sinusoidal: expected f32[.., t, 2], got f32[3,4]");
  expect(() => sinusoidal(4, 3)).toThrow("the width must be even");
  expect(() => sinusoidal(4, 2, { base: 0 })).toThrow("sinusoidal: the base must be positive, got 0");
  expect(() => positionEmbedding(0, 3)).toThrow("positionEmbedding(0, 3): sizes must be whole numbers from 1 on");
  expect(() => rotary(input([3, 5]))).toThrow(
    "rotary: f32[3,5] has 5 elements on its last axis; they are turned in pairs",
  );
  expect(() => rotary(input([4], "i32"))).toThrow("rotary: expected f32[.., t, d], got i32[4]");
  // any: what a caller without types may pass
  expect(() => rotary(input([3, 4]), { layout: "neox" as any })).toThrow('rotary: unknown layout "neox"');
});
