/** What cannot be exported is refused with its reason; what only looks odd is exported right. */
import { expect, test } from "vitest";
import { type OnnxInput, type OnnxOptions, toOnnx } from "../../../src/interop/onnx/onnx.ts";
import { chance } from "../../../src/ir/random.ts";
import { scalar, type Tensor } from "../../../src/ir/tensor.ts";
import { type Value, value } from "../../../src/ir/value.ts";
import * as nn from "../../../src/nn/index.ts";
import * as tree from "../../../src/tree.ts";
import { distance } from "../../ir/numbers.ts";
import { initializers, metadata, operations } from "./read.ts";
import { infer } from "./session.ts";

const x = { x: { shape: [2, 3] } };
const exported = (net: nn.Module, inputs: Readonly<Record<string, OnnxInput>> = x, options?: OnnxOptions) =>
  toOnnx(net, nn.init(net, 1), inputs, options);
const f = (body: (x: Tensor) => Tensor) => nn.sequential(body);

test("a net that draws in evaluation, by the place where it does", () => {
  const noisy = nn.module(
    { inner: nn.module({}, (_, x, { draw }) => chance(0.5, draw().key, x.shape).where(x, 0)) },
    (m, x) => m.inner(x),
  );
  expect(() => exported(noisy)).toThrow(/draws random numbers in evaluation, at net\.inner/);
});

test("a state that changes in evaluation", () => {
  const counter = nn.module({ calls: nn.state([], nn.zeros) }, ({ calls }, x) => {
    calls.next(calls.now.add(1));
    return x;
  });
  expect(() => exported(counter)).toThrow(/state calls changes in evaluation/);
});

test("parameters that are no floats, are missing, or are another net's", () => {
  const net = nn.linear(3, 2);
  const model = nn.init(net, 1);
  const whole = tree.map(
    ({ shape }: Value) => value(shape, new Int32Array(shape.reduce((a, b) => a * b, 1)), "i32"),
    model.params,
  );
  expect(() => toOnnx(net, { params: whole }, x)).toThrow(/weight is i32\[2,3\]; parameters and state are floats/);
  expect(() => toOnnx(net, { params: {} as never }, x)).toThrow(/params has nothing at weight/);
  expect(() => toOnnx(net, { params: { weight: 3 } as never }, x)).toThrow(/weight is 3, not a Value/);
  expect(() => toOnnx(net, nn.init(nn.linear(4, 2), 1) as typeof model, x)).toThrow(/holds f32\[2,4\] at weight/);
});

test("inputs: none, one without a name, one of another shape, one called as a parameter", () => {
  expect(() => exported(nn.linear(3, 2), {})).toThrow(/the net has no input/);
  expect(() => exported(nn.linear(3, 2), { "": { shape: [2, 3] } })).toThrow(/an input has no name/);
  expect(() => exported(nn.linear(3, 2), { x: { shape: [2, 4] } })).toThrow(/linear: input f32\[2,4\]/);
  expect(() => exported(nn.linear(3, 2), { weight: { shape: [2, 3] } })).toThrow(/"weight" names two of/);
  expect(() => exported(f(nn.relu), x, { outputs: ["x"] })).toThrow(/"x" names two of/);
  expect(() => exported(f(nn.relu), x, { outputs: ["a", "b"] })).toThrow(/2 names for 1 outputs \(output\)/);
});

test("options out of their domain", () => {
  expect(() => exported(f(nn.relu), x, { opset: 17 })).toThrow(/opset 17 is not one of 18, 19, 20, 21, 22/);
  expect(() => exported(f(nn.relu), x, { batch: 0 })).toThrow(/batch: expected a whole number from 1, or "dynamic"/);
  expect(() => exported(f(nn.relu), { x: { shape: ["batch", 3] } })).toThrow(/how long is the axis "batch"/);
  expect(() => exported(f(nn.relu), { x: { shape: [] } }, { batch: "dynamic" })).toThrow(/no input has an axis/);
});

const dynamic = (body: (x: Tensor) => Tensor) => () => exported(f(body), x, { batch: "dynamic" });

test("a dynamic batch whose rows the graph itself depends on, by the line that does", () => {
  const overRows = (x: Tensor) =>
    Array.from({ length: x.shape[0]! }, (_, k) => x.slice(0, k, k + 1)).reduce((a, b) => a.add(b));
  expect(dynamic(overRows)).toThrow(/depends on the size of the batch.*refusals\.test\.ts:\d+/);
  expect(dynamic((x) => x.mul(x.shape[0]!))).toThrow(/depends on the size of the batch/);
  expect(dynamic((x) => x.window({ axis: 0, size: 2, stride: 1, dilation: 1 }))).toThrow(
    /depends on the size of the batch/,
  );
});

test("a dynamic batch in every kind of shape", async () => {
  const rows = (x: Tensor) => {
    const all = x
      .reshape([x.shape[0]! * 3, 1])
      .pad([
        [1, 1],
        [0, 0],
      ])
      .slice(0, 1, -1); // 3 · batch, 3 · batch + 2
    const pairs = all.reshape([x.shape[0]!, 1, 3]).expand([x.shape[0]!, x.shape[0]!, 3]); // expanded along the batch
    const place = scalar(1, "f32").add(pairs.sum(0).mean(0)); // a sum and a mean over the batch
    return pairs.sum(1).add(place).flip(0).amax(1, { keep: true });
  };
  const file = exported(f(rows), x, { batch: "dynamic" });
  for (const n of [1, 2, 5]) {
    const given = Array.from({ length: 3 * n }, (_, k) => Math.sin(k));
    const { output } = await infer(file, { x: value([n, 3], given) });
    const mean = [0, 1, 2].map((j) => given.reduce((sum, v, k) => (k % 3 === j ? sum + v : sum), 0) / n);
    const want = Array.from({ length: n }, (_, i) =>
      Math.max(...[0, 1, 2].map((j) => n * given[3 * (n - 1 - i) + j]! + 1 + n * mean[j]!)),
    );
    expect(output!.shape).toEqual([n, 1]);
    expect(distance(output!.data, want)).toBeLessThan(1e-6);
  }
});

test("a net that gives its input, twice, and one that gives a parameter", async () => {
  const both = nn.module({ w: nn.param([2], nn.ones) }, (m, x) => ({ same: x, again: x, own: m.w }));
  const answers = await infer(exported(both), { x: value([2, 3], [1, 2, 3, 4, 5, 6]) });
  expect(Object.keys(answers)).toEqual(["same", "again", "own"]);
  expect([...answers.again!.data, ...answers.own!.data]).toEqual([1, 2, 3, 4, 5, 6, 1, 1]);
});

test("equal parts of a graph are there once, and what nobody needs is not", () => {
  const net = nn.module({ a: nn.linear(3, 3), unused: nn.linear(3, 3) }, (m, x) => m.a(x).exp().add(m.a(x).exp()));
  const file = exported(net, x, { metadata: { made: "by hand, für alle" } });
  expect(operations(file)).toEqual(["Gemm", "Exp", "Add"]);
  expect(initializers(file).filter((name) => !name.startsWith("constant"))).toEqual(["a.weight", "a.bias"]);
  expect(metadata(file)).toEqual({ made: "by hand, für alle" });
});

test("expm1 and log1p lose nothing near 0, and are right far from it", async () => {
  const at = [-1e-6, 1e-7, 3e-8, -0.3, 0.99, 1.01, 3e-4, 20, 80];
  const net = nn.module({}, (_, x) => ({ expm1: x.expm1(), log1p: x.log1p() }));
  const given = value([9], at);
  const { expm1, log1p } = await infer(exported(net, { x: given }), { x: given });
  [...given.data].forEach((v, k) => {
    expect(expm1!.data[k]! / Math.expm1(v)).toBeCloseTo(1, 5);
    expect(log1p!.data[k]! / Math.log1p(v)).toBeCloseTo(1, 6);
  });
  const far = value([3], [-Infinity, Infinity, -1]);
  const ends = await infer(exported(net, { x: far }), { x: far });
  expect([...ends.expm1!.data.slice(0, 2), ...ends.log1p!.data.slice(1)]).toEqual([-1, Infinity, Infinity, -Infinity]);
});

test("computed indices are clamped, as they are here", async () => {
  const net = nn.module({ table: nn.param([3], () => [10, 20, 30]) }, (m, x) => m.table.gather(x.mul(2).cast("i32")));
  const { output } = await infer(exported(net, { x: { shape: [4] } }), { x: value([4], [-5, 0, 1, 9]) });
  expect([...output!.data]).toEqual([10, 10, 30, 30]);
});

test.each([false, true])("a masked row that sees nothing gets zeros; causal %s", async (causal) => {
  const net = nn.module({}, (_, x, __, mask: Tensor) => {
    const q = x.unsqueeze(1);
    return nn.attention(q, q, q, { mask: mask.reshape([2, 1, 1, 3]), causal });
  });
  const given = {
    x: value([2, 3, 2], [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]), // two examples of three places
    mask: value([2, 3], [1, 0, 1, 0, 0, 1], "bool"),
  };
  const { output } = await infer(exported(net, given), given);
  // Of the second example only the last place may be looked at, which causally it does alone.
  const last = [5, 6];
  const blind = causal ? [0, 0, 0, 0] : [...last, ...last];
  expect([...output!.data.slice(6)]).toEqual([...blind, ...last]);
});

test("sums that only look like joined parts, or like pools", async () => {
  const net = nn.module({}, (_, x) => {
    const column = x.slice(1, 0, 1).pad([
      [0, 2],
      [0, 0],
    ]); // [4, 1]
    const row = x
      .slice(1, 1, 2)
      .squeeze(1)
      .pad([[2, 0]]); // [4]
    const apart = x.reshape([1, 2, 2]).pad([
      [0, 0],
      [0, 0],
      [3, 3],
    ]); // windows of nothing but padding
    const windows = apart.window({ axis: 2, size: 2, stride: 2, dilation: 1 });
    return { outer: column.add(row), sums: windows.sum(-1) };
  });
  const given = { x: value([2, 2], [1, 2, 3, 4]) };
  const { outer, sums } = await infer(exported(net, given), given);
  expect([...outer!.data]).toEqual([1, 3, 0, 0].flatMap((c) => [0, 0, 2, 4].map((r) => c + r)));
  expect([...sums!.data]).toEqual([0, 1, 2, 0, 0, 3, 4, 0]);
});
