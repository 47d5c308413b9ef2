/** Layers against loops written from their formulas: values, gradients by finite differences, native, and messages. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  embedding,
  flatten,
  gelu,
  init,
  linear,
  type Module,
  ones,
  relu,
  sequential,
  tanh,
  zeros,
} from "../../src/nn/index.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";
import { distance, evaluate, numbers, slopes, some } from "./evaluate.ts";

/** A layer, an input, and the same in loops: all parameters in the order of the tree, and the input → the output. */
type Layer = {
  name: string;
  net: Module<any, readonly [], Tensor>; // any: the walk is over layers with all kinds of children
  x: Value;
  loops: (parameters: number[], x: number[]) => number[];
};

/** y_no = Σ_i x_ni w_oi + b_o */
function dense(x: number[], w: number[], b: number[], inputs: number): number[] {
  const outputs = w.length / inputs;
  const y: number[] = [];
  for (let n = 0; n < x.length / inputs; n++) {
    for (let o = 0; o < outputs; o++) {
      let sum = b[o] ?? 0;
      for (let i = 0; i < inputs; i++) sum += x[n * inputs + i]! * w[o * inputs + i]!;
      y.push(sum);
    }
  }
  return y;
}

const f64 = (...shape: number[]) =>
  value(
    shape,
    some(
      shape.reduce((a, b) => a * b, 1),
      100,
    ),
    "f64",
  );

const layers: Layer[] = [
  { name: "linear", net: linear(3, 4), x: f64(5, 3), loops: (p, x) => dense(x, p.slice(0, 12), p.slice(12), 3) },
  {
    name: "linear without bias",
    net: linear(3, 4, { bias: false }),
    x: f64(5, 3),
    loops: (p, x) => dense(x, p, [], 3),
  },
  {
    name: "linear on one example",
    net: linear(3, 2),
    x: f64(3),
    loops: (p, x) => dense(x, p.slice(0, 6), p.slice(6), 3),
  },
  {
    name: "linear on [n, t, d]",
    net: linear(3, 2),
    x: f64(2, 4, 3),
    loops: (p, x) => dense(x, p.slice(0, 6), p.slice(6), 3),
  },
  {
    name: "sequential",
    net: sequential(flatten, linear(4, 3), tanh, linear(3, 2)),
    x: f64(5, 2, 2),
    loops: (p, x) =>
      dense(dense(x, p.slice(0, 12), p.slice(12, 15), 4).map(Math.tanh), p.slice(15, 21), p.slice(21), 3),
  },
  {
    name: "embedding",
    net: embedding(6, 3),
    x: value([2, 2], [5, 0, 3, 5], "i32"),
    loops: (p, x) => x.flatMap((row) => p.slice(row * 3, row * 3 + 3)),
  },
];

/** A sum that tells every output apart, and its gradient by the parameters and, where it is a float, the input. */
const scored = (net: Layer["net"], n: number) => (all: { params: any; x: Tensor; c: Tensor }) => {
  const f = ({ params, x = all.x }: { params: any; x?: Tensor }) => {
    const [y] = apply(net, { params }, x);
    return [y.square().add(y).reshape([n]).mul(all.c).sum(), y] as const;
  };
  const [[score, y], slope] = valueAndGrad(f)(
    all.x.isFloat ? { params: all.params, x: all.x } : { params: all.params },
  );
  return { y, score, slope };
};

describe.each(layers)("$name", ({ net, x, loops }) => {
  const { params } = init(net, 3, { dtype: "f64" });
  const flat = numbers(params);
  const expected = loops(flat, [...x.data]);
  const c = value([expected.length], some(expected.length), "f64");
  const f = scored(net, expected.length);

  test("value and every gradient", async () => {
    const { y, slope } = await evaluate(f, { params, x, c });
    expect(distance([...y.data], expected)).toBeLessThan(1e-14);
    const both = x.dtype === "f64" ? [...flat, ...x.data] : flat;
    const score = (at: number[]) => {
      const [p, rest] = [at.slice(0, flat.length), at.slice(flat.length)];
      return loops(p, rest.length ? rest : [...x.data]).reduce((sum, v, k) => sum + (v * v + v) * c.data[k]!, 0);
    };
    expect(distance(numbers(slope), slopes(score, both))).toBeLessThan(1e-8);
  });

  test.runIf(hasNative)("native agrees, in f64 and in f32", async () => {
    const wide = numbers(await evaluate(f, { params, x, c }));
    expect(distance(numbers(await evaluate(f, { params, x, c }, "native")), wide)).toBeLessThan(1e-13);
    const narrow = (v: Value) => (v.dtype === "f64" ? value(v.shape, v.data) : v);
    const single = { params: tree.map(narrow, params), x: narrow(x), c: narrow(c) };
    expect(distance(numbers(await evaluate(f, single, "native")), wide)).toBeLessThan(5e-6);
  });
});

describe("messages", () => {
  const call = (net: Layer["net"], x: Tensor) => () => {
    const { params } = init(net, 1);
    return apply(net, { params: tree.map((v: Value) => input(v.shape, v.dtype), params) }, x);
  };

  test("linear: the shapes, the axis, the module and the line", () => {
    const net = sequential(linear(4, 8), relu, linear(7, 2));
    expect(call(net, input([5, 4]))).toThrow(
      /^linear: input f32\[5,8\] has 8 features on axis 1, weight f32\[2,7\] expects 7\n {2}at net\.layers\.2 \(test\/nn\/layers\.test\.ts:\d+\)$/,
    );
  });

  test("linear: what to do", () => {
    expect(call(linear(4, 8), input([4, 5]))).toThrow("hint: the input looks like [features, n]; use x.transpose()");
    expect(call(linear(9, 8), input([5, 3, 3]))).toThrow(
      "hint: the input looks like [n, .., ..]; put flatten before this layer",
    );
    expect(call(linear(3, 8), input([5, 8]))).toThrow("hint: linear takes (inputs, outputs): linear(8, 3)?");
    expect(call(linear(3, 8), input([]))).toThrow("linear: input f32[] has no axis, weight f32[8,3] expects 3");
    expect(call(linear(3, 8), input([5, 3], "f64"))).toThrow('hint: cast it first: x.cast("f32")');
    expect(() => linear(3, 0)).toThrow("linear(3, 0): sizes must be whole numbers from 1 on");
    expect(() => embedding(2.5, 3)).toThrow("embedding(2.5, 3): sizes must be");
  });

  test("embedding: indices", async () => {
    expect(call(embedding(4, 2), input([5]))).toThrow("embedding: input: indices must be integers, got f32[5]");
    const { params } = init(embedding(4, 2), 1);
    const look = (at: number) =>
      evaluate(({ params, x }) => apply(embedding(4, 2), { params }, x)[0], { params, x: value([1], [at], "i32") });
    await expect(look(4)).rejects.toThrow("embedding: input: x holds 4 at position 0; it must lie in 0 … 3");
  });
});

test("initialisers and biases can be chosen", () => {
  const { params } = init(linear(2, 2, { weightInit: ones, biasInit: zeros }), 1);
  expect([...params.weight.data, ...params.bias.data]).toEqual([1, 1, 1, 1, 0, 0]);
  expect(Object.keys(init(linear(2, 2, { bias: false }), 1).params)).toEqual(["weight"]);
  expect(init(sequential(linear(2, 2), gelu), 1).params.layers[1]).toEqual({});
});
