/** GPT: names and first numbers of GPT-2, what a place may see, other positions, tokens out of range, a text learned. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { apply, crossEntropy, type GptOptions, gpt, init, sinusoidal, transformerBlock } from "../../src/nn/index.ts";
import { optimizers, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers } from "./evaluate.ts";

const small = { vocabulary: 11, context: 8, layers: 2, heads: 2, width: 8 } as const;
const text = [3, 1, 4, 1, 5, 9, 2, 6];
const ids = (list: readonly number[], n = 1) => value([n, list.length / n], list, "i32");

/** Logits of a model with the numbers of a seed. */
async function logits(options: GptOptions, x: Value): Promise<Value> {
  const net = gpt(options);
  const { params } = init(net, 4, { dtype: "f64" });
  return evaluate(({ params, x }) => apply(net, { params }, x)[0], { params, x });
}

describe("parameters", () => {
  const shapes = (options: GptOptions) =>
    tree.paths<Value>(init(gpt(options), 1).params).map(([path, v]) => `${path} ${v.shape}`);

  test("names and shapes are nanoGPT's", () => {
    const layer = (k: number) => [
      `transformer.h.${k}.ln_1.weight 8`,
      `transformer.h.${k}.ln_1.bias 8`,
      `transformer.h.${k}.attn.c_attn.weight 24,8`,
      `transformer.h.${k}.attn.c_attn.bias 24`,
      `transformer.h.${k}.attn.c_proj.weight 8,8`,
      `transformer.h.${k}.attn.c_proj.bias 8`,
      `transformer.h.${k}.ln_2.weight 8`,
      `transformer.h.${k}.ln_2.bias 8`,
      `transformer.h.${k}.mlp.c_fc.weight 32,8`,
      `transformer.h.${k}.mlp.c_fc.bias 32`,
      `transformer.h.${k}.mlp.c_proj.weight 8,32`,
      `transformer.h.${k}.mlp.c_proj.bias 8`,
    ];
    const ends = ["transformer.ln_f.weight 8", "transformer.ln_f.bias 8"];
    const all = ["transformer.wte.weight 11,8", "transformer.wpe.weight 8,8", ...layer(0), ...layer(1), ...ends];
    expect(shapes(small).sort()).toEqual([...all].sort());
    expect(shapes({ ...small, bias: false }).sort()).toEqual(all.filter((line) => !line.includes(".bias")).sort());
    expect(shapes({ ...small, tie: false }).sort()).toEqual([...all, "lm_head.weight 11,8"].sort());
    const without = all.filter((line) => !line.startsWith("transformer.wpe"));
    for (const positions of ["sinusoidal", "rotary"] as const) {
      expect(shapes({ ...small, positions }).sort()).toEqual([...without].sort());
    }
    expect(shapes({ ...small, kvHeads: 1 })).toContain("transformer.h.1.attn.c_attn.weight 16,8");
    expect(shapes({ ...small, norm: "rms" })).not.toContain("transformer.ln_f.bias 8");
  });

  test("as many as nanoGPT reports for its CPU recipe: 0.80 million, places not counted", () => {
    const recipe = { vocabulary: 65, context: 64, layers: 4, heads: 4, width: 128, bias: false };
    const { params } = init(gpt(recipe), 1);
    const counted = tree.paths<Value>(params).filter(([path]) => !path.includes("wpe"));
    expect((counted.reduce((sum, [, v]) => sum + v.data.length, 0) / 1e6).toFixed(2)).toBe("0.80");
  });

  test("first numbers: N(0, 0.02), smaller where a residual branch ends, biases 0, norms 1", () => {
    const { params } = init(gpt({ ...small, width: 64, vocabulary: 200, layers: 8, tie: false }), 1);
    const std = (v: Value) => Math.hypot(...v.data) / Math.sqrt(v.data.length);
    const block = params.transformer.h[3]!;
    const spread = [
      params.transformer.wte.weight,
      params.transformer.wpe!.weight!,
      params.lm_head.weight,
      block.attn.c_attn.weight,
      block.mlp.c_fc.weight,
    ];
    for (const v of spread) expect(std(v) / 0.02).toBeCloseTo(1, 1);
    for (const v of [block.attn.c_proj.weight, block.mlp.c_proj.weight]) expect(std(v) / 0.005).toBeCloseTo(1, 1);
    for (const [path, v] of tree.paths<Value>(params)) {
      if (path.endsWith(".bias")) expect(v.data.every((x) => x === 0)).toBe(true);
      if (/ln_\w\.weight$/.test(path)) expect(v.data.every((x) => x === 1)).toBe(true);
    }
  });
});

describe.each<Partial<GptOptions>>([
  {},
  { positions: "sinusoidal", norm: "rms" },
  { positions: "rotary", kvHeads: 1, bias: false },
])("with %o", (options) => {
  const row = (v: Value, t: number) => [...v.data.slice(t * 11, t * 11 + 11)];

  test("what comes later changes no logit, and what came before does", async () => {
    const before = await logits({ ...small, ...options }, ids(text));
    expect(before.shape).toEqual([1, 8, 11]);
    const after = await logits({ ...small, ...options }, ids(text.with(5, 0)));
    for (let t = 0; t < 5; t++) expect(row(after, t)).toEqual(row(before, t));
    for (let t = 5; t < 8; t++) expect(row(after, t)).not.toEqual(row(before, t));
  });

  test("a prefix has the logits that it has in the whole text, and texts of a batch do not meet", async () => {
    const whole = await logits({ ...small, ...options }, ids(text));
    const part = await logits({ ...small, ...options }, ids(text.slice(0, 3)));
    expect(distance([...part.data], [...whole.data.slice(0, 33)])).toBeLessThan(1e-14);
    const two = await logits({ ...small, ...options }, ids([7, 7, 7, ...text.slice(0, 3)], 2));
    expect(distance([...two.data.slice(33)], [...part.data])).toBeLessThan(1e-14);
  });

  test("the order of what came before counts", async () => {
    const swapped = await logits({ ...small, ...options }, ids([1, 3, ...text.slice(2)]));
    const before = await logits({ ...small, ...options }, ids(text));
    expect(distance(row(swapped, 7), row(before, 7))).toBeGreaterThan(1e-9);
  });
});

test("sinusoidal positions are learned ones with the sines in their table", async () => {
  const table = await evaluate(({ x }: { x: Tensor }) => apply(sinusoidal(8, 8), { params: {} }, x)[0], {
    x: value([8, 8], Array(64).fill(0), "f64"),
  });
  const net = gpt(small);
  const { params } = init(net, 4, { dtype: "f64" });
  const filled = { ...params, transformer: { ...params.transformer, wpe: { weight: table } } };
  const learned = await evaluate(({ params, x }) => apply(net, { params }, x)[0], { params: filled, x: ids(text) });
  const given = await logits({ ...small, positions: "sinusoidal" }, ids(text));
  expect(distance([...given.data], [...learned.data])).toBeLessThan(1e-14);
});

test("its block is transformerBlock under other names, rotary positions and grouped queries included", async () => {
  const shared = { kvHeads: 1, bias: false, norm: "rms", epsilon: 1e-5 } as const;
  const net = gpt({ ...small, ...shared, layers: 1, positions: "rotary", activation: "gelu" });
  const block = transformerBlock(8, 2, { ...shared, causal: true, rotary: true });
  const { params } = init(net, 4, { dtype: "f64" });
  const [h] = params.transformer.h;
  const renamed = {
    self_attn: { in_proj_weight: h!.attn.c_attn.weight, out_proj: h!.attn.c_proj },
    linear1: h!.mlp.c_fc,
    linear2: h!.mlp.c_proj,
    norm1: h!.ln_1,
    norm2: h!.ln_2,
  };
  const inner = (params: any, x: Tensor) => apply(block, { params }, x)[0]; // any: the same tree without what has no numbers
  const y = await evaluate(
    ({ params, renamed, x }) => {
      const { wte, ln_f } = params.transformer;
      const y = inner(renamed, wte.weight.gather(x));
      const scale = y.square().mean(-1, { keep: true }).add(1e-5).sqrt();
      return y.div(scale).mul(ln_f.weight).matmul(wte.weight.transpose());
    },
    { params, renamed, x: ids(text) },
  );
  const expected = await evaluate(({ params, x }) => apply(net, { params }, x)[0], { params, x: ids(text) });
  expect(distance([...y.data], [...expected.data])).toBeLessThan(1e-13);
});

describe.each(backends)("on %s", (backend) => {
  const net = gpt({ ...small, layers: 1 });

  test("tokens beyond the vocabulary are refused before anything runs, and the run goes on", async () => {
    const { params } = init(net, 1);
    const run = await Run.start(params, { backend });
    const loop = run.loop((now, { x }: { x: Tensor }) => ({ output: apply(net, { params: now }, x)[0] }));
    const take = (list: number[]) => loop.take(1, { x: value([1, 1, list.length], list, "i32") });
    await expect(take(text.with(5, 11))).rejects.toThrow(
      "embedding: input: x holds 11 at [0, 5]; it must lie in 0 … 10",
    );
    await expect(take(text.with(0, -1))).rejects.toThrow("x holds -1 at [0, 0]");
    const { output } = await take(text);
    expect(numbers(output).every(Number.isFinite)).toBe(true);
  });

  test("in training, the same key drops the same", async () => {
    const dropping = gpt({ ...small, dropout: 0.3 });
    const { params } = init(dropping, 1, { dtype: "f64" });
    const run = (word: number, on = backend) =>
      evaluate(
        ({ params, x, key }) => apply(dropping, { params }, x, { training: true, key })[0],
        { params, x: ids(text), key: value([2], [word, 0], "u32") },
        on,
      );
    const first = numbers(await run(1));
    expect(numbers(await run(1))).toEqual(first);
    expect(distance(numbers(await run(2)), first)).toBeGreaterThan(1e-3);
    expect(distance(first, numbers(await run(1, "js")))).toBeLessThan(1e-12);
  });

  test("a text that repeats itself is learned", async () => {
    const { params } = init(gpt({ ...small, layers: 1, bias: false }), 1);
    const model = gpt({ ...small, layers: 1, bias: false });
    const rule = optimizers.adamW.make();
    const run = await Run.start({ params, opt: rule.init(params) }, { backend });
    const loop = run.loop(
      (now, { step }: { step: Tensor }, { x, y }: { x: Tensor; y: Tensor }) => {
        const lossOf = (params: typeof now.params) => crossEntropy(apply(model, { params }, x)[0], y);
        const [loss, slope] = valueAndGrad(lossOf)(now.params);
        const lr = step.mul(0).add(0.01);
        const [next, opt] = update(rule, slope, now.opt, { params: now.params, step, lr });
        return { state: { params: next, opt }, output: loss };
      },
      { data: { x: ids([0, 1, 2, 3, 0, 1, 2, 3]), y: ids([1, 2, 3, 0, 1, 2, 3, 0]) } },
    );
    const steps = value(
      [120],
      Array.from({ length: 120 }, (_, s) => s + 1),
    );
    const losses = (await loop.take(120, { step: steps })).output.data;
    expect(losses[0]).toBeCloseTo(Math.log(11), 0);
    expect(losses[119]).toBeLessThan(0.05);
  });
});

test("messages", () => {
  const net = gpt(small);
  const { params } = init(net, 1);
  const on = (x: Tensor) => () => apply(net, { params: tree.map((v: Value) => input(v.shape), params) }, x);
  expect(on(input([2, 9], "i32"))).toThrow(
    /^gpt: i32\[2,9\] has 9 tokens on axis 1, the context is 8\n {2}hint: keep the last ones, .*\n {2}at net \(test/,
  );
  expect(on(input([8], "i32"))).toThrow("gpt: expected int[n, t], got i32[8]\n  hint: one text is x.unsqueeze(0)");
  expect(on(input([2, 8]))).toThrow("embedding: input: indices must be integers, got f32[2,8]");
  expect(() => gpt({ ...small, width: 9 })).toThrow("gpt(9, 2): the width 9 cannot be cut into 2 equal heads");
  expect(() => gpt({ ...small, layers: 0 })).toThrow("gpt: 11 tokens, context 8, 0 layers: expected whole numbers");
  expect(() => gpt({ ...small, kvHeads: 4 })).toThrow("2 query heads cannot share 4 key heads evenly");
  expect(() => gpt({ ...small, width: 6, positions: "rotary" })).toThrow("a head of 3 elements is odd");
  // any: what a caller without types may pass
  expect(() => gpt({ ...small, positions: "alibi" as any })).toThrow('gpt: unknown positions "alibi"');
  expect(() => gpt({ ...small, activation: "relu" as any })).toThrow('gpt: unknown activation "relu"');
  expect(() => gpt({ ...small, norm: "batch" as any })).toThrow('unknown norm "batch"');
});
