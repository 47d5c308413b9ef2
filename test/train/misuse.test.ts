/** What a type checker would have said: to those who have none, each mistake is told with what was got and the call. */
import { describe, expect, test } from "vitest";
import { DownhillError } from "../../src/ir/fail.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { crossEntropy, embedding, init, linear, type Module, mse, relu, sequential } from "../../src/nn/index.ts";
import { adam, cosine } from "../../src/optim/index.ts";
import { jit } from "../../src/run/jit.ts";
import { evaluate, fit, generate, metricsOf, predict, windows } from "../../src/train/index.ts";
import { backends } from "../backends.ts";

const x = value([6, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
const y = value([6], [0, 1, 0, 1, 2, 2], "i32");
const net = sequential(linear(2, 3));
const model = init(net, 1);
const given = { net, loss: crossEntropy, optimizer: adam(), lr: 0.1, data: { train: { x, y } }, epochs: 1 };

// any: the point is what the types forbid
const told = async (call: () => Promise<unknown>): Promise<string> => {
  const error: unknown = await call().then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(DownhillError);
  return (error as Error).message;
};

describe("fit", () => {
  const cases: Record<string, [object, string, string]> = {
    "optimizer: the function": [
      { optimizer: adam },
      "optimizer: expected what adam() and its like give, got the function adam",
      "call it: optimizer: adam()",
    ],
    "an option that does not exist": [{ thread: 2 }, "fit: there is no option thread", "it takes net, loss, "],
    "optimizer: a name": [{ optimizer: "adam" }, 'got "adam"', "optimizer: adam()"],
    "no optimizer": [{ optimizer: undefined }, "got undefined", "optimizer: adam()"],
    "no lr": [
      { lr: undefined },
      "fit: lr: expected a number, or a function of the updates done before, got undefined",
      "lr: 0.001",
    ],
    "lr: an object": [{ lr: { rate: 0.1 } }, "got an object with rate", "cosine({"],
    "lr: a maker of schedules": [
      { lr: () => cosine },
      "a schedule gives a number for each step, this one the function cosine",
      "cosine({",
    ],
    "data without train": [
      { data: { x, y } },
      "fit: data: expected { train } or { train, validation }, got an object with x, y",
      "data: { train: { x, y } }",
    ],
    "no data": [{ data: undefined }, "fit: data: expected { train }", "fit({ net"],
    "train: an array": [
      { data: { train: [x, y] } },
      "training data: expected { x, y }, got an array of 2",
      "{ x: value(",
    ],
    "x: plain rows": [
      {
        data: {
          train: {
            x: [
              [1, 2],
              [3, 4],
            ],
            y,
          },
        },
      },
      "training data: x: expected a Value, numbers with a shape, got an array of 2",
      "value([2, 2], rows.flat())",
    ],
    "y: a plain array": [
      { data: { train: { x, y: [0, 1, 2] } } },
      "training data: y: expected a Value, numbers with a shape, got an array of 3",
      'value([3], numbers, "i32")',
    ],
    "x: a typed array": [{ data: { train: { x: new Float32Array(12), y } } }, "got a Float32Array of 12", "value(["],
    "validation without y": [
      { data: { train: { x, y }, validation: { x } } },
      "validation data: y: expected a Value, numbers with a shape, got undefined",
      "value([",
    ],
    "loss: a name": [
      { loss: "mse" },
      'fit: loss: expected a function of prediction and target, got "mse"',
      'import { mse } from "downhill/nn"',
    ],
    "loss: no tensor": [
      { loss: () => 3 },
      "loss: expected one number as a Tensor, or { total, weight } of it, got 3",
      ".mean()",
    ],
    "loss: one for each row": [
      { loss: (p: any, t: any) => p.sum(-1).sub(t.cast("f32")) },
      "loss: expected one float, got f32[6]",
      ".mean()",
    ],
    "no net": [{ net: undefined }, "fit: net: expected a module, got undefined", "sequential(linear(3, 8)"],
    "net: a list": [{ net: [linear(2, 3), relu] }, "got an array of 2", "sequential(...layers)"],
    "net: the function": [{ net: linear }, "got the function linear", "call it"],
    "start without state": [
      { start: { params: model.params } },
      "fit: start: expected { params, state }, got an object with params: it has no state",
      "init(net, seed)",
    ],
    "store: a path": [
      { store: "runs/a" },
      'fit: store: expected what has save, load, saveModel, log, got "runs/a"',
      'RunFolder.create("runs/a"',
    ],
    "signal: its controller": [
      { signal: new AbortController() },
      "fit: signal: expected what has addEventListener, removeEventListener, got an AbortController",
      "controller.signal",
    ],
    "metrics: names": [
      { data: { train: { x, y }, validation: { x, y } }, metrics: ["accuracy"] },
      'fit: metrics: expected a list of metrics, got one with "accuracy" in it',
      'metricsOf("multiclass", ["accuracy"])',
    ],
    "metrics: one": [
      { metrics: metricsOf("multiclass")[0] },
      "fit: metrics: expected a list of metrics, got an object with name",
      "metricsOf(",
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [options, message, hint]) => {
    const text = await told(() => fit({ ...given, ...options, backend: "js" } as any));
    expect(text).toContain(message);
    expect(text.slice(text.indexOf("hint:"))).toContain(hint);
  });

  test("no options", async () => {
    expect(await told(() => (fit as any)())).toContain(
      "fit: expected one object of options, got undefined\n  hint: fit({ net",
    );
  });
});

describe.each(backends)("class numbers out of range, on %s", (backend) => {
  const each = async (y: Value, net: Module, x: Value) =>
    told(() => fit({ ...given, net, data: { train: { x, y } }, backend }));

  test("of rows", async () => {
    const text = await each(value([6], [0, 1, 0, 3, 2, 2], "i32"), net, x);
    expect(text).toContain(
      "crossEntropy: logits f32[6,3] have 3 classes: y holds 3 at position 3; it must lie in 0 … 2",
    );
  });

  test("of sequences", async () => {
    const tokens = value([3, 2], [0, 1, 2, 3, 4, 5], "i32");
    const text = await each(value([3, 2], [0, 1, 2, -1, 0, 1], "i32"), sequential(embedding(6, 3)), tokens);
    expect(text).toContain(
      "crossEntropy: logits f32[3,2,3] have 3 classes: y holds -1 at [1, 1]; it must lie in 0 … 2",
    );
    const odd = await told(() => predict(embedding(5, 3), init(embedding(5, 3), 1), tokens, { backend }));
    expect(odd).toContain("x holds 5 at [2, 1]; it must lie in 0 … 4");
  });
});

test("class numbers as floats", async () => {
  const y = value([6], [0, 1, 0, 1, 2, 2]);
  expect(await told(() => fit({ ...given, data: { train: { x, y } }, backend: "js" }))).toContain(
    'hint: make class numbers integers where they come in: value([6], numbers, "i32")',
  );
});

describe("texts", () => {
  const model = init(embedding(3, 3), 1);
  const options = { prompt: [0], tokens: 2, context: 4 };
  const first = async (...args: unknown[]) => (generate as any)(...args).next(); // any: what the types forbid
  const cases: Record<string, [() => Promise<unknown>, string]> = {
    "a prompt of text": [
      () => first(embedding(3, 3), model, { ...options, prompt: "abc" }),
      'the prompt must be tokens, whole numbers in a list, got "abc"\n  hint: prompt: tokenizer.encode(text)',
    ],
    "a prompt of fractions": [() => first(embedding(3, 3), model, { ...options, prompt: [0.5] }), "got an array of 1"],
    "no options": [() => first(embedding(3, 3), model), "generate: expected an object of options, got undefined"],
    "params for a model": [() => first(embedding(3, 3), model.params, options), "generate: model: expected { params"],
    "tokens as an array": [async () => windows([1, 2, 3] as any, { context: 2 }), "the tokens are an array of 3;"],
    "windows without a context": [
      async () => (windows as any)(value([3], [0, 1, 2], "i32")),
      "windows: expected an object of options, got undefined\n  hint: windows(tokens, { context: 64 })",
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [call, message]) => {
    expect(await told(call)).toContain(message);
  });
});

test("metricsOf", () => {
  expect(() => metricsOf("multi" as any)).toThrow('no task "multi"; there are binary, multiclass, regression');
  expect(() => metricsOf("binary", "auc" as any)).toThrow('expected a list of names, got "auc"');
});

describe("jit", () => {
  const square = jit((t: Tensor) => t.square(), { backend: "js" });
  const cases: Record<string, [() => Promise<unknown>, string]> = {
    "a number": [
      () => square(3 as any),
      "jit: argument 1: expected a Value, numbers with a shape, got 3\n  hint: jit((x) => x.square())(value([3], [1, 2, 3])); a single number is value([], [3])",
    ],
    "an array": [() => square([1, 2] as any), "jit: argument 1.0: expected a Value"],
    "a typed array in a tree": [
      () => square({ a: new Float32Array(2) } as any),
      "jit: argument 1.a: expected a Value, numbers with a shape, got a Float32Array of 2",
    ],
    nothing: [
      () => (square as any)(undefined),
      "jit: argument 1: expected a Value, numbers with a shape, got undefined",
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [call, message]) => {
    expect(await told(call)).toContain(message);
  });

  test("what is no function", () => {
    expect(() => jit(3 as any)).toThrow("jit: expected a function of Tensors, got 3");
  });

  test("a loss through jit", async () => {
    const { data } = await jit(mse, { backend: "js" })(value([2], [1, 2]), value([2], [1, 4]));
    expect([...data]).toEqual([2]);
  });
});

describe("predict and evaluate", () => {
  const options = { loss: crossEntropy, backend: "js" };
  const cases: Record<string, [() => Promise<unknown>, string]> = {
    "params for a model": [
      () => predict(net, model.params as any, x),
      "predict: model: expected { params, state }, got an object with layers",
    ],
    "a model without state": [() => predict(net, { params: model.params } as any, x), "it has no state"],
    "a fit that nobody awaited": [
      () => predict(net, Promise.resolve(model) as any, x),
      "got a Promise, which must be awaited",
    ],
    "x: an array": [
      () => predict(net, model, [1, 2] as any),
      "predict: x: expected a Value, numbers with a shape, got an array of 2",
    ],
    "a batch for options": [() => predict(net, model, x, 32 as any), "predict: expected an object of options, got 32"],
    "no net": [() => predict(undefined as any, model, x), "predict: net: expected a module, got undefined"],
    "evaluate without options": [
      () => (evaluate as any)(net, model, { x, y }),
      "evaluate: expected an object of options, got undefined\n  hint: evaluate(net, { params, state }, { x, y }, { loss: crossEntropy })",
    ],
    "evaluate without a loss": [() => evaluate(net, model, { x, y }, {} as any), "evaluate: loss: expected a function"],
    "evaluate: params": [
      () => evaluate(net, model.params as any, { x, y }, options as any),
      "evaluate: model: expected { params, state }",
    ],
    "evaluate: plain numbers": [
      () => evaluate(net, model, { x: [1], y: [2] } as any, options as any),
      "evaluate: data: x: expected a Value",
    ],
    "evaluate: lengths": [
      () => evaluate(net, model, { x, y: value([2], [0, 1], "i32") }, options as any),
      "evaluate: data: x is f32[6,2], y is i32[2]: 6 rows and 2 targets",
    ],
    "evaluate: a metric's name": [
      () => evaluate(net, model, { x, y }, { ...options, metrics: ["f1"] } as any),
      'metricsOf("multiclass", ["f1"])',
    ],
  };
  test.each(Object.entries(cases))("%s", async (_, [call, message]) => {
    expect(await told(call)).toContain(message);
  });

  test("what is right passes", async () => {
    const { loss } = await evaluate(net, model, { x, y }, { loss: crossEntropy, backend: "js" });
    expect(loss).toBeGreaterThan(0);
    await fit({
      ...given,
      net: linear(2, 1),
      loss: mse,
      data: { train: { x, y: value([6, 1], [1, 2, 3, 4, 5, 6]) } },
      backend: "js",
    });
  });
});
