/** The transformer block: PyTorch's names, what each place may see, where dropout acts. Its numbers are golden ones. */
import { describe, expect, test } from "vitest";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { apply, init, relu, sequential, type TransformerBlockOptions, transformerBlock } from "../../src/nn/index.ts";
import * as tree from "../../src/tree.ts";
import { distance, evaluate, numbers, some } from "./evaluate.ts";

const f64 = (...shape: number[]) =>
  value(
    shape,
    some(
      shape.reduce((a, b) => a * b, 1),
      5,
    ),
    "f64",
  );

const run = (options: TransformerBlockOptions, x: Value, ...mask: Value[]) => {
  const net = transformerBlock(6, 3, options);
  const { params } = init(net, 2, { dtype: "f64" });
  return evaluate(({ params, inputs }) => apply(net, { params }, inputs)[0], { params, inputs: [x, ...mask] });
};

test("names and shapes are nn.TransformerEncoderLayer's", () => {
  const paths = (options: TransformerBlockOptions) =>
    tree.paths<Value>(init(transformerBlock(6, 2, options), 1).params).map(([path, v]) => `${path} ${v.shape}`);
  // sorted(f"{k} {tuple(v.shape)}" for k, v in nn.TransformerEncoderLayer(6, 2, 24).state_dict().items())
  expect(paths({}).sort()).toEqual([
    "linear1.bias 24",
    "linear1.weight 24,6",
    "linear2.bias 6",
    "linear2.weight 6,24",
    "norm1.bias 6",
    "norm1.weight 6",
    "norm2.bias 6",
    "norm2.weight 6",
    "self_attn.in_proj_bias 18",
    "self_attn.in_proj_weight 18,6",
    "self_attn.out_proj.bias 6",
    "self_attn.out_proj.weight 6,6",
  ]);
  expect(paths({ bias: false, norm: "rms", kvHeads: 1, mlp: 5, activation: relu })).toEqual([
    "self_attn.in_proj_weight 12,6",
    "self_attn.out_proj.weight 6,6",
    "linear1.weight 5,6",
    "linear2.weight 6,5",
    "norm1.weight 6",
    "norm2.weight 6",
  ]);
});

describe.each(["pre", "post"] as const)("placement %s", (placement) => {
  const x = f64(1, 5, 6);
  const row = (v: Value, t: number) => [...v.data.slice(t * 6, t * 6 + 6)];
  /** x with other numbers at one place. */
  const changed = (t: number) => value([1, 5, 6], [...x.data].with(t * 6, 3), "f64");

  test("places in another order give the same in that order, unless they are turned by their positions", async () => {
    const order = [4, 1, 0, 3, 2];
    const permuted = (v: Value) => order.flatMap((t) => row(v, t));
    const apart = async (options: TransformerBlockOptions) => {
      const y = await run({ placement, ...options }, x);
      const z = await run({ placement, ...options }, value([1, 5, 6], permuted(x), "f64"));
      return distance([...z.data], permuted(y));
    };
    expect(await apart({})).toBeLessThan(1e-13);
    expect(await apart({ rotary: true })).toBeGreaterThan(1e-3);
  });

  test("causal: what comes later changes nothing", async () => {
    const [y, z] = [await run({ placement, causal: true }, x), await run({ placement, causal: true }, changed(3))];
    for (const t of [0, 1, 2]) expect(row(z, t)).toEqual(row(y, t));
    for (const t of [3, 4]) expect(row(z, t)).not.toEqual(row(y, t));
  });

  test("padding is not seen", async () => {
    const mask = value([1, 5], [1, 1, 0, 1, 1], "bool");
    const [y, z] = [await run({ placement }, x, mask), await run({ placement }, changed(2), mask)];
    for (const t of [0, 1, 3, 4]) expect(row(z, t)).toEqual(row(y, t));
    expect(numbers(await run({ placement }, x, mask))).not.toEqual(numbers(await run({ placement }, x)));
  });
});

test("in training, dropout acts on hidden units and on both changes, each with bits of its own", async () => {
  const net = transformerBlock(6, 2, { dropout: 0.5, mlp: 6, activation: relu });
  const { params } = init(net, 2, { dtype: "f64" });
  const key = value([2], [7, 0], "u32");
  const x = value([2, 50, 6], Array(600).fill(0), "f64");
  const eye = Array.from({ length: 36 }, (_, k) => (k % 7 ? 0 : 1));
  /** The block's change, with all parameters 0 but some, which the tree lists as given. */
  const change = async (some: Record<string, number[]>) => {
    const chosen = tree.mapWithPath(
      (path, v: Value) => value(v.shape, some[path] ?? Array(v.data.length).fill(0), "f64"),
      params,
    );
    const f = (
      { params, x, key }: { params: any; x: Tensor; key: Tensor }, // any: a tree that map has made
    ) => apply(net, { params }, x, { training: true, key })[0];
    return numbers(await evaluate(f, { params: chosen, x, key }));
  };
  const one = Array(6).fill(1);
  const first = await change({ "self_attn.out_proj.bias": one });
  const second = await change({ "linear2.bias": one });
  const hidden = await change({ "linear1.bias": one, "linear2.weight": eye });
  const share = (ys: number[], y: number) => ys.filter((v) => v === y).length / ys.length;
  for (const ys of [first, second]) {
    expect([...new Set(ys)].sort()).toEqual([0, 2]);
    expect(share(ys, 2)).toBeCloseTo(1 / 2, 1);
  }
  expect([...new Set(hidden)].sort()).toEqual([0, 4]);
  expect(share(hidden, 4)).toBeCloseTo(1 / 4, 1);
  const both = (a: number[], b: number[]) => a.map((v, k) => v * b[k]!);
  expect(share(both(first, second), 4)).toBeCloseTo(1 / 4, 1);
  expect(both(hidden, second).every((v, k) => v === 2 * hidden[k]!)).toBe(true); // nothing passes but what both let pass
  expect(await change({ "linear2.bias": one })).toEqual(second);
});

test("messages", () => {
  const net = sequential(transformerBlock(6, 2));
  const { params } = init(net, 1);
  const on = (...inputs: Tensor[]) => {
    const traced = tree.map((v: Value) => input(v.shape), params);
    return () => apply(net, { params: traced }, inputs);
  };
  expect(on(input([2, 3, 4]))).toThrow(
    /layerNorm: .*f32\[2,3,4\](.|\n)*at net\.layers\.0\.norm1 \(test\/nn\/transformer\.test\.ts/,
  );
  const block = transformerBlock(6, 2);
  const traced = tree.map((v: Value) => input(v.shape), init(block, 1).params);
  expect(() => apply(block, { params: traced }, [input([2, 3, 6]), input([2, 5, 6])])).toThrow(
    "transformerBlock: got f32[2,3,6], f32[2,5,6]\n  hint: give x and, where some tokens are padding, a bool mask",
  );
  // any: what a caller without types may pass
  expect(() => transformerBlock(6, 2, { norm: "batch" as any })).toThrow(
    'unknown norm "batch"\n  hint: "layer" or "rms"',
  );
  expect(() => transformerBlock(6, 2, { placement: "mid" as any })).toThrow('unknown placement "mid" of the norms');
  expect(() => transformerBlock(6, 2, { dropout: 1 })).toThrow("dropout: the rate must lie in 0 ≤ rate < 1, got 1");
});
