/** PyTorch's state dicts: its models give their logits here, and what is written here it loads with strict=True. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromStateDict, toStateDict } from "../../src/interop/index.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  batchNorm2d,
  conv2d,
  embedding,
  flatten,
  gpt,
  init,
  linear,
  type Module,
  maxPool2d,
  module,
  param,
  relu,
  sequential,
  zeros,
} from "../../src/nn/index.ts";
import { jit } from "../../src/run/jit.ts";
import { readSafetensors, type Tensors, writeSafetensors } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance } from "../nn/evaluate.ts";

const folder = new URL("../golden/interop/", import.meta.url);
type Case = { input: any; logits: any }; // any: nested lists of numbers
const golden = JSON.parse(readFileSync(new URL("state-dicts.json", folder), "utf8")) as Record<string, Case> & {
  dtypes: { file: string; numbers: Record<string, { shape: number[]; data: number[] }> };
  beyond: Record<string, string>;
};
const load = (name: string) => readSafetensors(readFileSync(new URL(`${name}.safetensors`, folder)), name).tensors;
const flat = (list: any): number[] => list.flat(Infinity) as number[];

const cnn = sequential(
  conv2d(2, 4, 3, { padding: 1 }),
  batchNorm2d(4),
  relu,
  maxPool2d(2),
  conv2d(4, 6, 3, { stride: 2, padding: 1 }),
  batchNorm2d(6),
  relu,
  maxPool2d(2),
  flatten,
  linear(24, 5),
);
const sizes = { vocabulary: 13, context: 8, width: 16, heads: 2, layers: 2 };
const gpt2 = gpt(sizes);
const nanogpt = gpt({ ...sizes, activation: "gelu" });

const models: Record<string, { net: Module; files: string[]; input: Value; conv1d?: boolean }> = {
  cnn: { net: cnn, files: ["cnn"], input: value([3, 2, 16, 16], flat(golden.cnn!.input)) },
  gpt2: {
    net: gpt2,
    files: ["gpt2", "gpt2-old"],
    input: value([2, 8], flat(golden.gpt2!.input), "i32"),
    conv1d: true,
  },
  nanogpt: { net: nanogpt, files: ["nanogpt"], input: value([2, 8], flat(golden.nanogpt!.input), "i32") },
};

describe.each(Object.entries(models))("%s of PyTorch", (name, { net, files, input, conv1d = false }) => {
  test.each(backends)("gives PyTorch's logits, %s", async (backend) => {
    const logits = jit((variables: any, x: Tensor) => apply(net, variables, x)[0] as Tensor, { backend });
    for (const file of files) {
      const y = await logits(fromStateDict(net, load(file)), input);
      expect(distance([...y.data], flat(golden[name]!.logits))).toBeLessThan(1e-4);
    }
  });

  test("is written as scripts/golden/read-ours.py saw PyTorch load it", async () => {
    const dict = toStateDict(net, fromStateDict(net, load(files[0]!)), { conv1d });
    const text = Buffer.from(writeSafetensors(dict, { format: "pt" })).toString("base64");
    await expect(text).toMatchFileSnapshot(`../golden/interop/ours-${name}.safetensors.base64`);
  });

  test("a first segment that all names share is dropped, also a second one", () => {
    const wrapped = new Map([...load(files[0]!)].map(([key, v]) => [`module._orig_mod.${key}`, v]));
    expect(fromStateDict(net, wrapped)).toEqual(fromStateDict(net, load(files[0]!)));
  });

  test("there and back is the same, in either dtype", () => {
    const model = init(net, 3);
    expect(fromStateDict(net, toStateDict(net, model, { conv1d }), { conv1d })).toEqual(model);
    const wide = fromStateDict(net, toStateDict(net, model), { dtype: "f64" });
    expect(tree.leaves<Value>(wide).every((v) => v.dtype === "f64")).toBe(true);
    expect(fromStateDict(net, toStateDict(net, wide))).toEqual(model);
  });
});

test("safetensors of PyTorch, of every dtype", () => {
  const { file, numbers } = golden.dtypes;
  const { tensors } = readSafetensors(Buffer.from(file, "base64"));
  const kept: Record<string, string> = { F64: "f64", F32: "f32", F16: "f32", BF16: "f32", BOOL: "bool", none: "i32" };
  expect(tensors.size).toBe(Object.keys(numbers).length);
  for (const [name, { shape, data }] of Object.entries(numbers)) {
    const v = tensors.get(name)!;
    expect(v.dtype).toBe(kept[name] ?? (name.startsWith("U") ? "u32" : "i32"));
    expect(v).toEqual(value(shape, data, v.dtype));
  }
  for (const [name, bytes] of Object.entries(golden.beyond)) {
    expect(() => readSafetensors(Buffer.from(bytes, "base64"), "m.safetensors")).toThrow(
      `tensor "${name}": it is ${name.toLowerCase()} and holds ${name === "I64" ? -2147483649 : 4294967296} at element`,
    );
  }
});

describe("names", () => {
  const one = (n: number, ...shape: number[]) => value(shape, Array(shape.reduce((a, b) => a * b, 1)).fill(n));

  test("only the segment of `sequential` is dropped", () => {
    const net = module(
      { layers: [linear(1, 1), sequential(linear(1, 2), sequential(relu, linear(2, 1)))] },
      (_, x) => x,
    );
    expect([...toStateDict(net, init(net, 1)).keys()]).toEqual([
      "layers.0.weight",
      "layers.0.bias",
      "layers.1.0.weight",
      "layers.1.0.bias",
      "layers.1.1.1.weight",
      "layers.1.1.1.bias",
    ]);
  });

  test("a tied weight has each of its names, or the first", () => {
    const { wte, lm_head } = { wte: "transformer.wte.weight", lm_head: "lm_head.weight" };
    const model = init(gpt2, 1);
    const all = toStateDict(gpt2, model);
    expect(all.get(lm_head)).toBe(all.get(wte));
    const first = toStateDict(gpt2, model, { tied: "first" });
    expect([first.has(wte), first.has(lm_head)]).toEqual([true, false]);
    const other = new Map([...all].filter(([name]) => name !== wte));
    for (const dict of [all, first, other]) expect(fromStateDict(gpt2, dict)).toEqual(model);
    const differs = new Map([...all, [lm_head, one(1, 13, 16)]]);
    expect(() => fromStateDict(gpt2, differs)).toThrow(
      `"transformer.wte.weight" and "lm_head.weight" differ, and the net has one weight for both`,
    );
    const untied = gpt({ ...sizes, tie: false });
    expect(fromStateDict(untied, all).params).toHaveProperty(lm_head);
    expect(() => fromStateDict(untied, first)).toThrow(`missing: "lm_head.weight"`);
  });

  test("transposed weights: the ones that are not square decide, unless the caller does", () => {
    const net = module({ c_attn: linear(2, 6), c_proj: linear(2, 2) }, (_, x) => x);
    const square: Tensors = new Map([
      ["c_proj.weight", value([2, 2], [1, 2, 3, 4])],
      ["c_proj.bias", one(0, 2)],
      ["c_attn.bias", one(0, 6)],
    ]);
    const dict = (...shape: number[]) => new Map([...square, ["c_attn.weight", one(0, ...shape)]]);
    const projection = (tensors: Tensors, conv1d?: boolean) => [
      ...fromStateDict(net, tensors, conv1d === undefined ? {} : { conv1d }).params.c_proj.weight.data,
    ];
    expect(projection(dict(6, 2))).toEqual([1, 2, 3, 4]);
    expect(projection(dict(2, 6))).toEqual([1, 3, 2, 4]);
    expect(projection(dict(2, 6), true)).toEqual([1, 3, 2, 4]);
    const alone = module({ c_proj: linear(2, 2) }, (_, x) => x);
    const asItIs = new Map([...square].filter(([name]) => name.startsWith("c_proj")));
    expect([...fromStateDict(alone, asItIs).params.c_proj.weight.data]).toEqual([1, 2, 3, 4]);
    expect(() => projection(dict(2, 6), false)).toThrow('"c_attn.weight" is f32[2,6], the net has [6,2]');
  });

  test("rename gives names and drops what is not wanted; start has what is missing", () => {
    const trunk = sequential(linear(2, 3), relu, linear(3, 10));
    const net = module({ trunk: linear(2, 3), head: linear(3, 4) }, (_, x) => x);
    const start = init(net, 7);
    const dict = toStateDict(trunk, init(trunk, 1));
    const rename = (name: string) => (name.startsWith("0.") ? `trunk.${name.slice(2)}` : undefined);
    const { params } = fromStateDict(net, dict, { rename, start });
    expect(params.trunk.weight).toBe(dict.get("0.weight"));
    expect(params.head).toEqual(start.params.head);
    expect(() => fromStateDict(net, dict, { rename: () => "w" })).toThrow('rename gives the name "w" twice');
    expect(() => fromStateDict(net, dict, { rename })).toThrow('missing: "head.weight", "head.bias"');
  });

  test("batches counted by PyTorch are left aside, and kept where the net counts too", () => {
    const counted = new Map([...toStateDict(cnn, init(cnn, 1)), ["1.num_batches_tracked", value([], [7], "i32")]]);
    expect(fromStateDict(cnn, counted)).toEqual(init(cnn, 1));
    const counts = sequential(batchNorm2d(3, { momentum: null }));
    const dict = new Map([["0.num_batches_tracked", value([], [7], "i32") as Value]]);
    for (const name of ["weight", "bias", "running_mean", "running_var"]) dict.set(`0.${name}`, one(1, 3));
    expect(fromStateDict(counts, dict).state).toHaveProperty("layers.0.num_batches_tracked", value([], [7]));
  });

  test("a mask is known by its shape: a bias of that name is one", () => {
    const net = module({ attn: module({ weight: param([2], zeros) }, (_, x) => x) }, (_, x) => x);
    const weight = ["attn.weight", one(1, 2)] as const;
    expect(fromStateDict(net, new Map([weight, ["attn.bias", one(1, 1, 1, 8, 8)]])).params.attn.weight).toBe(weight[1]);
    expect(() => fromStateDict(net, new Map([weight, ["attn.bias", one(1, 2)]]))).toThrow(
      'unknown to the net: "attn.bias"',
    );
  });
});

describe("what does not fit", () => {
  const net = module({ fc1: linear(2, 3), fc2: linear(3, 1), words: embedding(5, 2) }, (_, x) => x);
  const dict = toStateDict(net, init(net, 1));
  const but = (...changes: [string, Value | undefined][]): Tensors =>
    new Map([...dict, ...changes].filter((pair): pair is [string, Value] => pair[1] !== undefined));

  test("is said all at once, with the source and a way on", () => {
    const without = new Map([...dict].filter(([name]) => name !== "fc2.bias" && name !== "words.weight"));
    const wrong = new Map([...without, ["fc2.bais", value([1], [0])], ["fc1.weight", value([2, 3], Array(6).fill(0))]]);
    let message = "";
    try {
      fromStateDict(net, wrong, { source: "m.safetensors" });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split("\n").slice(0, 5)).toEqual([
      "fromStateDict: m.safetensors does not fit the net",
      '  missing: "fc2.bias", "words.weight"',
      '  unknown to the net: "fc2.bais"',
      '  "fc1.weight" is f32[2,3], the net has [3,2]',
      '  hint: is "fc2.bais" what the net calls "fc2.bias"? { rename: (name) => … } gives names, undefined drops one',
    ]);
  });

  test("integers are no parameters: quantised weights need their scale", () => {
    expect(() => fromStateDict(net, but(["fc2.bias", value([1], [3], "i32")]))).toThrow(
      '"fc2.bias" is i32[1], a parameter is a float',
    );
  });

  test("nothing at all, a model of a thousand names", () => {
    expect(() => fromStateDict(net, new Map())).toThrow('missing: "fc1.weight", "fc1.bias", "fc2.weight"');
    const many = new Map(Array.from({ length: 5000 }, (_, k) => [`h.${k}.weight`, value([1], [0])] as const));
    expect(() => fromStateDict(net, many)).toThrow("and 4988 more");
  });

  test("a model of another net is not written", () => {
    const { params, state } = init(net, 1);
    const { fc2: _, ...less } = params;
    expect(() => toStateDict(net, { params: less as typeof params, state })).toThrow("have nothing at fc2.weight");
    const more = { ...params, fc3: value([1], [0]) };
    expect(() => toStateDict(net, { params: more, state })).toThrow("the net has nothing called fc3");
    const other = { ...params, fc2: { ...params.fc2, bias: value([2], [0, 0]) } };
    expect(() => toStateDict(net, { params: other, state })).toThrow("fc2.bias is f32[2], the net expects [1] there");
  });
});
