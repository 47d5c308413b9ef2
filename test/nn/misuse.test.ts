/** What plain JavaScript lets through: options that no layer has, and what is no layer or no tensor. */
import { describe, expect, test } from "vitest";
import { input } from "../../src/ir/tensor.ts";
import * as nn from "../../src/nn/index.ts";

// any: these calls are mistakes of type, made on purpose
const loose = nn as any;
const x = input([2, 3, 4, 4]);

describe("options", () => {
  const { attention, gpt, ...rest } = loose;
  const sizes = { vocabulary: 5, context: 4, layers: 1, heads: 1, width: 2 };
  const q = input([1, 1, 2, 2]);
  const calls: Record<string, (options: unknown) => unknown> = {
    linear: (o) => rest.linear(3, 2, o),
    embedding: (o) => rest.embedding(3, 2, o),
    positionEmbedding: (o) => rest.positionEmbedding(3, 2, o),
    sinusoidal: (o) => rest.sinusoidal(3, 2, o),
    rotary: (o) => rest.rotary(q, o),
    layerNorm: (o) => rest.layerNorm(3, o),
    rmsNorm: (o) => rest.rmsNorm(3, o),
    groupNorm: (o) => rest.groupNorm(1, 3, o),
    residual: (o) => rest.residual(nn.relu, o),
    randomFlip: (o) => rest.randomFlip(o),
    randomCrop: (o) => rest.randomCrop(2, o),
    multiheadAttention: (o) => rest.multiheadAttention(4, 2, o),
    transformerBlock: (o) => rest.transformerBlock(4, 2, o),
    attention: (o) => attention(q, q, q, o),
    gpt: (o) => gpt(typeof o === "object" ? { ...sizes, ...o } : o),
  };
  const families: [RegExp, (name: string) => (options: unknown) => unknown][] = [
    [/^conv/, (name) => (o) => rest[name](2, 2, 3, o)],
    [/^(max|avg)Pool/, (name) => (o) => rest[name](2, o)],
    [/^(batch|instance)Norm/, (name) => (o) => rest[name](3, o)],
    [/^(rnn|lstm|gru)/, (name) => (o) => rest[name](3, 2, o)],
  ];
  for (const name of Object.keys(nn)) {
    const made = families.find(([pattern]) => pattern.test(name))?.[1](name);
    if (made) calls[name] = made;
  }

  test.each(Object.entries(calls))("%s", (name, call) => {
    expect(() => call({ epz: 1 })).toThrow(`${name}: there is no option epz\n  hint: it takes `);
    expect(() => call(2)).toThrow(`${name}: options are an object, got 2\n  hint: it takes `);
    if (name !== "gpt") expect(() => call(undefined)).not.toThrow();
    expect(() => call({})).not.toThrow();
  });

  test("a name that PyTorch has and this does not", () => {
    expect(() => loose.batchNorm2d(3, { eps: 1e-3 })).toThrow(
      "batchNorm2d: there is no option eps\n  hint: it takes epsilon, momentum, affine, trackRunningStats",
    );
  });

  test("values that no option has", () => {
    expect(() => attention(q, q, q, { scale: Number.NaN })).toThrow("attention: the scale must be a finite number");
    expect(() => attention(q, q, q, { dropout: 0.5 })).toThrow("attention: dropout is 0.5\n  hint: give a bound");
    expect(() => loose.randomFlip({ axis: "left" })).toThrow('randomFlip: unknown axis "left"');
    expect(() => loose.conv2d(3, 2, 3, { dilation: Number.NaN })).toThrow("or a list of 2, got NaN");
    expect(() => loose.conv2d(3, 2, [3, "3"])).toThrow('or a list of 2, got [3,"3"]');
    expect(() => loose.maxPool2d(x)).toThrow("or a list of 2, got a Tensor");
    expect(() => loose.layerNorm([])).toThrow("layerNorm: the shape is the size of the last axis, or a list");
    expect(() => loose.rmsNorm("3")).toThrow('sizes of the last ones, got "3"');
  });
});

test("sizes beyond any memory", () => {
  expect(() => loose.init(nn.conv2d(1e9, 1e9, 3), 1)).toThrow(
    "init: [1000000000,1000000000,3,3] are 9000000000000000000 numbers, more than there is memory for",
  );
});

test("upsample has no mode", () => {
  expect(() => loose.upsample(2, { mode: "bilinear" })).toThrow(
    "upsample: it takes the scale alone, got also an object with mode",
  );
  expect(() => loose.upsample()).toThrow("upsample: the scale");
});

test("a mask that is not bool", () => {
  const net = nn.multiheadAttention(4, 2);
  const params = {
    in_proj_weight: input([12, 4]),
    in_proj_bias: input([12]),
    out_proj: { weight: input([4, 4]), bias: input([4]) },
    dropout: {},
  };
  for (const dtype of ["f32", "i32"] as const) {
    const mask = input([2, 3], dtype);
    expect(() => loose.apply(net, { params }, [input([2, 3, 4]), mask])).toThrow(
      `multiheadAttention: memory is ${mask}, expected f32[n, s, 4]\n  hint: if it is a mask, it must be bool`,
    );
  }
});

describe("what is no layer", () => {
  test("in sequential", () => {
    const list = [nn.linear(3, 2), nn.relu];
    expect(() => loose.sequential(list)).toThrow(
      "sequential: layer 0 is an array of 2\n  hint: layers are the arguments themselves: sequential(...list)",
    );
    expect(() => loose.sequential(nn.relu, "relu")).toThrow('sequential: layer 1 is "relu"\n  hint: a layer is');
    expect(() => loose.sequential(undefined)).toThrow("sequential: layer 0 is undefined");
  });

  test("an activation that was called", () => {
    const names = Object.keys(nn).filter((name) => /^(relu|leakyRelu|elu|tanh|sig|soft|silu|gelu|logS)/.test(name));
    expect(names).toHaveLength(10);
    for (const name of names) {
      expect(() => loose[name]()).toThrow(`${name}: expected a Tensor, got undefined\n  hint: between layers`);
    }
    expect(() => loose.leakyRelu(0.2)).toThrow("leakyRelu: expected a Tensor, got 0.2");
  });

  test("several outputs where one is wanted", () => {
    const net = loose.sequential(nn.lstm(3, 2), nn.linear(2, 1));
    const lstm = {
      weight_ih_l0: input([8, 3]),
      weight_hh_l0: input([8, 2]),
      bias_ih_l0: input([8]),
      bias_hh_l0: input([8]),
    };
    const params = { layers: [lstm, { weight: input([1, 2]), bias: input([1]) }] };
    expect(() => loose.apply(net, { params }, input([1, 4, 3]))).toThrow(
      /expected a Tensor as input, got 3: f32\[1,4,2\], f32\[1,1,2\], f32\[1,1,2\]\n {2}hint: .*m\.lstm\(x\)\[0\]/,
    );
  });

  test("a second input in the place of apply's options", () => {
    expect(() => loose.apply(nn.dropout(0), { params: {} }, x, x)).toThrow(
      "apply: f32[2,3,4,4] is in the place of the options\n  hint: several inputs are one list",
    );
    expect(() => loose.apply(nn.dropout(0), { params: {} }, x, { train: true })).toThrow(
      "apply: there is no option train\n  hint: it takes training, key",
    );
  });
});
