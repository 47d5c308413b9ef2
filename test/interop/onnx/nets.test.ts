/** Whole nets: what onnxruntime says of an exported net is what the net says here, and the graph is the one expected. */
import { expect, test } from "vitest";
import { type OnnxInput, type OnnxOptions, toOnnx } from "../../../src/interop/onnx/onnx.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { Value } from "../../../src/ir/value.ts";
import * as nn from "../../../src/nn/index.ts";
import { jit } from "../../../src/run/jit.ts";
import * as tree from "../../../src/tree.ts";
import { distance, draw, some } from "../../ir/numbers.ts";
import { operations } from "./read.ts";
import { infer } from "./session.ts";

type Inputs = Readonly<Record<string, Value>>;

/** The net with parameters and state that are not those it starts with: a bias of 0 would hide its absence. */
function started(net: nn.Module) {
  let from = 0;
  const moved = (v: Value) => {
    from += 17;
    return new Value(
      v.dtype,
      v.shape,
      v.data.map((x: number, k: number) => x + some(1, 0.05, 0.4, from + k)[0]!) as never,
    );
  };
  const { params, state } = nn.init(net, 1);
  return { params: tree.map(moved, params), state: tree.map(moved, state) };
}

async function here(net: nn.Module, model: ReturnType<typeof started>, inputs: Inputs, { after }: OnnxOptions) {
  const f = (params: unknown, state: unknown, xs: Tensor[]) => {
    const [y] = nn.apply(net, { params, state } as never, xs);
    return after ? after(y) : y;
  };
  return (await jit(f, { backend: "js" })(model.params, model.state, Object.values(inputs))) as Value;
}

/** The largest difference between the net here and in onnxruntime, for a fixed batch and for two dynamic ones. */
async function apart(net: nn.Module, inputsOf: (n: number) => Inputs, options: OnnxOptions = {}): Promise<number> {
  const model = started(net);
  const files = [
    [[2], toOnnx(net, model, inputsOf(2), options)],
    [[1, 3], toOnnx(net, model, inputsOf(2), { ...options, batch: "dynamic" })],
  ] as const;
  const far: number[] = [];
  for (const [batches, file] of files) {
    for (const n of batches) {
      const { output } = await infer(file, inputsOf(n));
      const want = await here(net, model, inputsOf(n), options);
      expect([output!.dtype, output!.shape]).toEqual([want.dtype, want.shape]);
      far.push(distance(output!.data, want.data));
    }
  }
  return Math.max(...far);
}

const images =
  (c: number, ...s: number[]) =>
  (n: number) => ({ x: draw([n, c, ...s], "f32", -1, 1) });
const rows =
  (...s: number[]) =>
  (n: number) => ({ x: draw([n, ...s], "f32", -2, 2) });
const ids = (t: number, below: number) => (n: number) => ({ x: draw([n, t], "i32", 0, below) });

const of = (net: nn.Module, inputs: Readonly<Record<string, OnnxInput>>, options: OnnxOptions = {}) =>
  operations(toOnnx(net, started(net), inputs, options));

test("an MLP: Gemm with its bias, Relu", async () => {
  const net = nn.sequential(nn.linear(4, 8), nn.relu, nn.dropout(0.5), nn.linear(8, 3));
  expect(of(net, { x: { shape: [2, 4] } })).toEqual(["Gemm", "Relu", "Gemm"]);
  expect(of(net, { x: { shape: [2, 4] } }, { after: nn.softmax })).toEqual(["Gemm", "Relu", "Gemm", "Softmax"]);
  expect(await apart(net, rows(4))).toBeLessThan(1e-6);
  expect(await apart(net, rows(4), { after: nn.softmax, opset: 22 })).toBeLessThan(1e-6);
});

const activations = {
  relu: [nn.relu, ["Relu"]],
  sigmoid: [nn.sigmoid, ["Sigmoid"]],
  silu: [nn.silu, ["Sigmoid", "Mul"]],
  softplus: [nn.softplus, ["Softplus"]],
  elu: [nn.elu, ["Elu"]],
  "elu, α 2": [(x: Tensor) => nn.elu(x, 2), ["Elu"]],
  tanh: [nn.tanh, ["Tanh"]],
  softmax: [nn.softmax, ["Softmax"]],
  "softmax over axis 1": [(x: Tensor) => nn.softmax(x, 1), ["Softmax"]],
  logSoftmax: [nn.logSoftmax, ["LogSoftmax"]],
  leakyRelu: [nn.leakyRelu, ["LessOrEqual", "Mul", "Where"]],
  gelu: [nn.gelu, ["Mul", "Mul", "Erf", "Add", "Mul"]],
  mean: [(x: Tensor) => x.mean(-1), ["ReduceMean"]],
  "mean of everything but the batch": [(x: Tensor) => x.mean([1, 2]), ["ReduceMean"]],
  abs: [(x: Tensor) => x.abs(), ["Abs"]],
  min: [(x: Tensor) => x.min(x.flip(1)), ["Slice", "Min"]],
  difference: [(x: Tensor) => x.sub(x.amax(1, { keep: true })), ["ReduceMax", "Sub"]],
} satisfies Record<string, [(x: Tensor) => Tensor, string[]]>;

test.each(Object.entries(activations))("%s is known by its name", async (_, [f, ops]) => {
  const net = nn.sequential(f);
  expect(of(net, { x: { shape: [2, 3, 4] } })).toEqual(ops);
  expect(await apart(net, rows(3, 4))).toBeLessThan(1e-6);
});

test("an embedding of tokens, merged and classified", async () => {
  const net = nn.sequential(nn.embedding(10, 8), nn.linear(8, 8), nn.relu, nn.flatten, nn.linear(40, 2));
  const ops = ["Gather", "Reshape", "Gemm", "Reshape", "Relu", "Reshape", "Gemm"];
  expect(of(net, { x: { shape: [2, 5], dtype: "i32" } })).toEqual(ops);
  expect(await apart(net, ids(5, 10))).toBeLessThan(1e-6);
});

test("a CNN: Conv with its bias, BatchNormalization, pools", async () => {
  const net = nn.sequential(
    nn.conv2d(1, 4, 3, { padding: 1 }),
    nn.batchNorm2d(4),
    nn.relu,
    nn.maxPool2d(2),
    nn.conv2d(4, 6, 3, { stride: 2, padding: "valid", groups: 2, bias: false }),
    nn.avgPool2d(2),
    nn.adaptiveAvgPool2d(1),
    nn.flatten,
    nn.linear(6, 3),
  );
  const ops = ["Conv", "BatchNormalization", "Relu", "MaxPool", "Conv", "AveragePool", "ReduceMean", "Gemm"];
  expect(of(net, { x: { shape: [2, 1, 22, 22] } })).toEqual(ops);
  expect(await apart(net, images(1, 22, 22))).toBeLessThan(1e-5);
});

const sliding = {
  "conv2d, all options": [
    nn.conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [1, 0], dilation: [1, 2], groups: 2 }),
    ["Conv"],
  ],
  "conv2d, same": [nn.conv2d(4, 2, 4, { padding: "same" }), ["Conv"]],
  "conv2d, 1 × 1": [nn.conv2d(4, 2, 1), ["Conv"]],
  "conv2d, depthwise": [nn.conv2d(4, 8, 3, { groups: 4 }), ["Conv"]],
  "conv2d, circular": [
    nn.conv2d(4, 2, 3, { padding: [1, 0], paddingMode: "circular" }),
    ["Slice", "Slice", "Concat", "Conv"],
  ],
  "maxPool2d, padded": [nn.maxPool2d(3, { stride: 2, padding: 1 }), ["MaxPool"]],
  "maxPool2d, beyond the end": [nn.maxPool2d(2, { ceilMode: true, dilation: 2 }), ["MaxPool"]],
  "avgPool2d, padded": [nn.avgPool2d(3, { stride: 2, padding: 1 }), ["AveragePool"]],
  "adaptiveMaxPool2d, global": [nn.adaptiveMaxPool2d(1), ["ReduceMax"]],
} satisfies Record<string, [nn.Layer, string[]]>;

test.each(Object.entries(sliding))("%s is one node", async (_, [layer, ops]) => {
  const net = nn.sequential(layer);
  expect(of(net, { x: { shape: [2, 4, 9, 7] } })).toEqual(ops);
  expect(await apart(net, images(4, 9, 7))).toBeLessThan(1e-5);
});

test("a GPT: no mask, no exp: Softmax and LayerNormalization; also for one text", async () => {
  const net = nn.gpt({ vocabulary: 11, context: 8, layers: 2, heads: 2, width: 8 });
  for (const batch of [1, 2]) {
    const ops = of(net, { x: { shape: [batch, 5], dtype: "i32" } });
    const count = (op: string) => ops.filter((o) => o === op).length;
    expect([count("Softmax"), count("LayerNormalization"), count("Gemm"), count("MatMul")]).toEqual([2, 5, 9, 4]);
    expect([count("Exp"), count("ReduceSum"), count("Expand")]).toEqual([0, 0, 0]);
  }
  expect(await apart(net, ids(5, 11))).toBeLessThan(1e-5);
});

test("an LSTM over a sequence, and its last output classified", async () => {
  const lstm = nn.lstm(3, 4);
  const net = nn.module({ lstm, out: nn.linear(4, 2) }, (m, x) => m.out(m.lstm(x)[0].slice(1, -1).squeeze(1)));
  expect(of(net, { x: { shape: [2, 5, 3] } })).not.toContain("ReduceSum");
  expect(await apart(net, rows(5, 3))).toBeLessThan(1e-6);
});
