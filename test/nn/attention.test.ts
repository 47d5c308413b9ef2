/** Attention against loops and PyTorch's numbers: values, every gradient, masks, rows that see nothing, messages. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { type AttentionOptions, attention } from "../../src/nn/attention.ts";
import { apply, init, multiheadAttention } from "../../src/nn/index.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers, slopes, some } from "./evaluate.ts";

type Numbers = {
  readonly shape: number[];
  readonly data: (number | string)[];
  readonly dtype?: "bool";
};
type Golden = {
  readonly name: string;
  readonly q: Numbers;
  readonly k: Numbers;
  readonly v: Numbers;
  readonly mask?: Numbers;
  readonly options: { readonly causal: boolean; readonly scale?: number };
  readonly cotangent: Numbers;
  readonly output: Numbers;
  readonly gradients: Record<string, number[]>;
};
const { cases } = JSON.parse(readFileSync("test/golden/attention.json", "utf8")) as { cases: Golden[] };

type Shape4 = [number, number, number, number];
type Flat = { readonly q: number[]; readonly k: number[]; readonly v: number[]; readonly added?: number[] };

/** Σ_j softmax_j(q_i · k_j · scale + added_ij) v_j, one place after the other; nothing where all scores are −∞. */
function loops(
  { q, k, v, added }: Flat,
  [n, h, t, d]: Shape4,
  [, hkv, s, dv]: Shape4,
  { causal = false, scale = 1 / Math.sqrt(d) }: { causal?: boolean; scale?: number },
  allowed: (b: number, a: number, i: number, j: number) => number | boolean = () => true,
): number[] {
  const y: number[] = [];
  for (let b = 0; b < n; b++) {
    for (let a = 0; a < h; a++) {
      const kv = b * hkv + Math.floor(a / (h / hkv));
      for (let i = 0; i < t; i++) {
        const e: number[] = [];
        for (let j = 0; j < s; j++) {
          let dot = 0;
          for (let c = 0; c < d; c++) dot += q[((b * h + a) * t + i) * d + c]! * k[(kv * s + j) * d + c]!;
          const at = allowed(b, a, i, j);
          const visible = at !== false && !(causal && j > i);
          e.push(visible ? Math.exp(dot * scale + (typeof at === "number" ? (added?.[at] ?? 0) : 0)) : 0);
        }
        const total = e.reduce((x, z) => x + z, 0) || 1;
        for (let c = 0; c < dv; c++) {
          y.push(e.reduce((sum, x, j) => sum + (x / total) * v[(kv * s + j) * dv + c]!, 0));
        }
      }
    }
  }
  return y;
}

/** Output, and the gradients of Σ output · cotangent by q, k, v and an added mask. */
const scored =
  (options: Omit<AttentionOptions, "mask">) =>
  ({ seen, c, ...floats }: { q: Tensor; k: Tensor; v: Tensor; added?: Tensor; seen?: Tensor; c: Tensor }) => {
    const f = ({ q, k, v, added }: { q: Tensor; k: Tensor; v: Tensor; added?: Tensor }) => {
      const y = attention(q, k, v, { ...options, mask: added ?? seen });
      return [y.mul(c).sum(), y] as const;
    };
    const [[, y], slope] = valueAndGrad(f)(floats);
    return { y, slope };
  };

describe.each(cases)("$name", ({ q, k, v, mask, options, cotangent, output, gradients }) => {
  const held = (n: Numbers) => value(n.shape, n.data.map(Number), n.dtype ?? "f64");
  const masks = mask && (mask.dtype ? { seen: held(mask) } : { added: held(mask) });
  const args = { q: held(q), k: held(k), v: held(v), c: held(cotangent), ...masks };
  const expected = ["q", "k", "v", "mask"].flatMap((name) => gradients[name] ?? []);

  test.each(backends)("PyTorch's numbers, on %s", async (backend) => {
    const { y, slope } = await evaluate(scored(options), args, backend);
    expect(distance([...y.data], output.data.map(Number))).toBeLessThan(1e-11);
    const { q, k, v, added } = slope;
    expect(distance(numbers([q, k, v, ...(added ? [added] : [])]), expected)).toBeLessThan(1e-11);
  });

  test("loops, and finite differences of them", async () => {
    const shape = mask && [1, 1, 1, 1, ...mask.shape].slice(-4);
    /** Where in the mask a score finds its entry; a bool mask's entry itself. */
    const allowed = (...at: number[]) => {
      const place = shape?.reduce((sum, m, axis) => sum * m + (m === 1 ? 0 : at[axis]!), 0) ?? 0;
      return mask?.dtype ? Boolean(mask.data[place]) : place;
    };
    const [a, b, c] = [args.q.data, args.k.data, args.v.data].map((x) => [...x]) as [number[], number[], number[]];
    const run = (q: number[], k: number[], v: number[], added: number[]) =>
      loops({ q, k, v, added }, args.q.shape as Shape4, args.v.shape as Shape4, options, allowed);
    const added = mask && !mask.dtype ? mask.data.map(Number) : [];
    expect(distance(run(a, b, c, added), output.data.map(Number))).toBeLessThan(1e-11);
    const weigh = (y: number[]) => y.reduce((sum, x, i) => sum + x * Number(cotangent.data[i]), 0);
    const each = [
      ...slopes((x) => weigh(run(x, b, c, added)), a),
      ...slopes((x) => weigh(run(a, x, c, added)), b),
      ...slopes((x) => weigh(run(a, b, x, added)), c),
      ...slopes((x) => weigh(run(a, b, c, x)), added),
    ];
    const { slope } = await evaluate(scored(options), args);
    const { q, k, v, added: m } = slope;
    expect(distance(numbers([q, k, v, ...(m ? [m] : [])]), each)).toBeLessThan(1e-8);
  });
});

const f64 = (shape: number[], from = 0) =>
  value(
    shape,
    some(
      shape.reduce((a, b) => a * b, 1),
      from,
    ),
    "f64",
  );

test.each(backends)("scores of ±1000 and a row that sees nothing stay finite, in f32 on %s", async (backend) => {
  const large = (shape: number[]) =>
    value(
      shape,
      [...f64(shape).data].map((x) => 100 * x),
    );
  const c = value([1, 1, 3, 4], some(12));
  const seen = value([3, 3], [1, 0, 1, 0, 0, 0, 1, 1, 1], "bool");
  const args = { q: large([1, 1, 3, 4]), k: large([1, 1, 3, 4]), v: large([1, 1, 3, 4]), seen, c };
  const { y, slope } = await evaluate(scored({}), args, backend);
  expect([...numbers(y), ...numbers(slope)].every(Number.isFinite)).toBe(true);
  expect([...y.data.slice(4, 8)]).toEqual([0, 0, 0, 0]);
});

describe("multiheadAttention", () => {
  const net = multiheadAttention(6, 2);
  const { params } = init(net, 1, { dtype: "f64" });
  const call = (x: Value, ...more: Value[]) =>
    evaluate(({ params, inputs }) => apply(net, { params }, inputs)[0], { params, inputs: [x, ...more] });
  /** Rows of one sequence in another order. */
  const ordered = (x: Value, order: number[]) =>
    order.flatMap((t) => [...x.data.slice(t * x.shape[2]!, (t + 1) * x.shape[2]!)]);

  test("without positions and mask it does not know the order", async () => {
    const x = f64([1, 5, 6]);
    const order = [3, 0, 4, 2, 1];
    const y = await call(x);
    const turned = await call(value([1, 5, 6], ordered(x, order), "f64"));
    expect(distance([...turned.data], ordered(y, order))).toBeLessThan(1e-14);
  });

  test("what is padding changes nothing at real tokens", async () => {
    const x = f64([1, 4, 6]);
    const seen = value([1, 4], [1, 1, 1, 0], "bool");
    const other = value([1, 4, 6], [...x.data.slice(0, 18), ...some(6, 77)], "f64");
    const [a, b] = [await call(x, seen), await call(other, seen)];
    expect([...b.data.slice(0, 18)]).toEqual([...a.data.slice(0, 18)]);
    expect([...b.data.slice(18)]).not.toEqual([...a.data.slice(18)]);
  });

  test("a sequence of padding alone gives the bias of out_proj, with finite slopes", async () => {
    const seen = value([2, 3], [0, 0, 0, 1, 1, 0], "bool");
    const f = ({ params: now, x, seen }: { params: any; x: Tensor; seen: Tensor }) => {
      const score = (all: { params: any; x: Tensor }) => {
        const [y] = apply(net, { params: all.params }, [all.x, seen]);
        return [y.square().sum(), y] as const;
      };
      const [[, y], slope] = valueAndGrad(score)({ params: now, x });
      return { y, slope };
    };
    const bias = value([6], some(6), "f64");
    const shifted = { ...params, out_proj: { ...params.out_proj, bias } };
    const { y, slope } = await evaluate(f, { params: shifted, x: f64([2, 3, 6]), seen });
    expect(distance([...y.data.slice(0, 18)], [...bias.data, ...bias.data, ...bias.data])).toBeLessThan(1e-14);
    expect(numbers(slope).every(Number.isFinite)).toBe(true);
  });

  test("dropout takes weights away in training alone, and keeps the mean", async () => {
    const half = multiheadAttention(4, 2, { dropout: 0.5 });
    const { params } = init(half, 1, { dtype: "f64" });
    const x = f64([1, 6, 4]);
    const run = await Run.start(params, { backend: "js" });
    const output = (training: boolean) =>
      run.loop(
        (now, { key }: { key: Tensor }, data: { x: Tensor }) => {
          const [y] = apply(half, { params: now }, data.x, { training, key });
          return { output: y };
        },
        { data: { x } },
      );
    const keys = (n: number) =>
      value(
        [n, 2],
        Array.from({ length: 2 * n }, (_, i) => i),
        "u32",
      );
    const plain = numbers(await evaluate(({ params, x }) => apply(half, { params }, x)[0], { params, x }));
    expect(numbers((await output(false).take(1, { key: keys(1) })).output)).toEqual(plain);
    const drawn = numbers((await output(true).take(2000, { key: keys(2000) })).output);
    const mean = plain.map((_, i) => drawn.reduce((sum, v, k) => (k % 24 === i ? sum + v / 2000 : sum), 0));
    expect(distance(mean, plain)).toBeLessThan(0.05);
    expect(drawn.slice(0, 24)).not.toEqual(drawn.slice(24, 48));
  });

  test("names, shapes and first numbers are nn.MultiheadAttention's", () => {
    const { params } = init(multiheadAttention(64, 4), 1);
    const shapes = tree.paths<Value>(params).map(([path, v]) => `${path} ${v}`);
    expect(shapes).toEqual([
      "in_proj_weight f32[192,64]",
      "in_proj_bias f32[192]",
      "out_proj.weight f32[64,64]",
      "out_proj.bias f32[64]",
    ]);
    const extent = (v: Value) => Math.max(...v.data.map(Math.abs));
    expect(extent(params.in_proj_weight)).toBeCloseTo(Math.sqrt(6 / 256), 3); // Xavier: √(6 / (in + out))
    expect(extent(params.out_proj.weight)).toBeCloseTo(1 / 8, 3); // 1/√64
    expect(extent(params.in_proj_bias!)).toBe(0);
    expect(init(multiheadAttention(8, 4, { kvHeads: 1, bias: false }), 1).params).toMatchObject({
      in_proj_weight: { shape: [12, 8] },
      out_proj: { weight: { shape: [8, 8] } },
    });
  });

  test("messages", () => {
    const trace =
      (...inputs: Tensor[]) =>
      () =>
        apply(net, { params: tree.map((v: Value) => input(v.shape), params) }, inputs);
    const x = input([2, 3, 6]);
    expect(trace(input([2, 3, 5]))).toThrow("multiheadAttention: x is f32[2,3,5], expected f32[n, t, 6]");
    expect(trace(x, input([2, 6]))).toThrow("multiheadAttention: memory is f32[2,6], expected f32[n, s, 6]");
    expect(trace(x, input([1, 4, 6]))).toThrow("x f32[2,3,6] and memory f32[1,4,6] differ in their batch, axis 0");
    expect(trace(x, input([2, 4], "bool"))).toThrow(
      "the padding mask bool[2,4] must be bool[2, 3], one for each token",
    );
    expect(trace(x, x, x)).toThrow("hint: give x, memory and a bool mask");
    expect(() => multiheadAttention(6, 4)).toThrow(
      "multiheadAttention(6, 4): the width 6 cannot be cut into 4 equal heads",
    );
    expect(() => multiheadAttention(8, 4, { kvHeads: 3 })).toThrow("4 query heads cannot share 3 key heads evenly");
    expect(() => multiheadAttention(6, 2, { rotary: true })).toThrow("a head of 3 elements is odd");
    expect(() => multiheadAttention(6, 0)).toThrow("must be whole numbers from 1 on");
  });
});

test("attention: messages", () => {
  const q = input([2, 4, 3, 5]);
  const on = (k: Tensor, v: Tensor, mask?: Tensor) => () => attention(q, k, v, { mask });
  expect(on(input([2, 3, 5]), q)).toThrow(
    "attention: q f32[2,4,3,5], k f32[2,3,5], v f32[2,4,3,5]: expected [n, h, t, d], [n, hkv, s, d] and [n, hkv, s, dv]",
  );
  expect(on(input([2, 4, 3, 5], "f64"), q)).toThrow("expected one float dtype");
  expect(on(input([1, 4, 3, 5]), q)).toThrow("the batch sizes of q and k (axis 0) 2 and 1 differ");
  expect(on(input([2, 4, 3, 6]), q)).toThrow("the head sizes of q and k (axis 3) 5 and 6 differ");
  expect(on(q, input([2, 2, 3, 5]))).toThrow("the heads of k and v (axis 1) 4 and 2 differ");
  expect(on(q, input([2, 4, 2, 5]))).toThrow("the lengths of k and v (axis 2) 3 and 2 differ");
  expect(on(input([2, 3, 3, 5]), input([2, 3, 3, 5]))).toThrow("4 query heads cannot share 3 key heads evenly");
  expect(on(q, q, input([3, 4], "bool"))).toThrow(
    "attention: the mask bool[3,4] does not broadcast to [n, h, t, s] = [2,4,3,3]",
  );
  expect(on(q, q, input([3, 3], "i32"))).toThrow("the mask i32[3,3] must be bool, true where attention is allowed");
});
