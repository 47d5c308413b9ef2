/** Dropout: the host's bits, the same mask on the way back, and the right chances. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import { apply, dropout, flatten, module, sequential } from "../../src/nn/index.ts";
import * as random from "../../src/random.ts";
import { backends } from "../backends.ts";
import { evaluate } from "./evaluate.ts";

const keyOf = (seed: number) => value([2], random.key(seed), "u32");
const all = (n: number) => value([n], new Float32Array(n).fill(1));
/** The stream of a module path, as nn/module.ts has it. */
const streamOf = (path: string) => random.foldIn([0, 0], path)[0] >>> 1;

describe.each(backends)("on %s", (backend) => {
  test("an element is dropped where the host's uniform number lies below the rate", async () => {
    const net = sequential(flatten, dropout(0.3));
    const x = value(
      [50, 8],
      Array.from({ length: 400 }, (_, i) => i - 200),
    );
    const f = ({ x, key }: { x: Tensor; key: Tensor }) =>
      apply(net, { params: { layers: [{}, {}] } }, x, { training: true, key })[0];
    const y = await evaluate(f, { x, key: keyOf(9) }, backend);
    const stream = streamOf("net.layers.1");
    const expected = x.data.map((v, i) =>
      random.uniform(random.key(9), i, stream) < 0.3 ? 0 : Math.fround(v * Math.fround(1 / 0.7)),
    );
    expect([...y.data].map((v) => v + 0)).toEqual([...expected].map((v) => v + 0));
  });

  test("the way back has the mask of the way there, in f32 and f64", async () => {
    const f = ({ x, key }: { x: Tensor; key: Tensor }) =>
      valueAndGrad((at: Tensor) => {
        const [y] = apply(dropout(0.25), { params: {} }, at, { training: true, key });
        return [y.square().sum(), y] as const;
      })(x);
    const drawn = await Promise.all(
      (["f32", "f64"] as const).map(async (dtype) => {
        const [[, y], g] = await evaluate(
          f,
          { x: value([500], new Float64Array(500).fill(3), dtype), key: keyOf(1) },
          backend,
        );
        y.data.forEach((v, i) => expect(g.data[i]).toBeCloseTo(v === 0 ? 0 : (2 * v) / 0.75, 5));
        return [...y.data].map((v) => v === 0);
      }),
    );
    expect(drawn[0]).toEqual(drawn[1]);
    expect(drawn[0]!.filter(Boolean).length).toBeGreaterThan(80);
  });
});

describe("chances", () => {
  const [steps, n, rate] = [40, 1000, 0.2];
  const masks = async () => {
    const f = ({ x, ...keys }: Record<string, Tensor>) =>
      Object.values(keys).map((key) => apply(dropout(rate), { params: {} }, x!, { training: true, key })[0]);
    const keys = Object.fromEntries(
      Array.from({ length: steps }, (_, s) => [`k${s}`, value([2], random.foldIn(random.key(5), s), "u32")]),
    );
    return (await evaluate(f, { x: all(n), ...keys })).map((y) => [...y.data]);
  };

  test("a share of `rate` is dropped, and the mean stays", async () => {
    const ys = (await masks()).flat();
    const dropped = ys.filter((v) => v === 0).length / ys.length;
    expect(Math.abs(dropped - rate)).toBeLessThan(4.5 * Math.sqrt((rate * (1 - rate)) / ys.length));
    const mean = ys.reduce((a, b) => a + b, 0) / ys.length;
    expect(Math.abs(mean - 1)).toBeLessThan(4.5 * Math.sqrt(rate / (1 - rate) / ys.length));
  });

  test("steps, and neighbours within a step, are independent", async () => {
    const drops = (await masks()).map((y) => y.map((v) => +(v === 0)));
    const pairs = (f: (s: number, i: number) => number) => {
      let both = 0;
      for (let s = 1; s < steps; s++) for (let i = 1; i < n; i++) both += drops[s]![i]! * f(s, i);
      return both / ((steps - 1) * (n - 1));
    };
    const error = 4.5 * Math.sqrt(rate ** 2 / ((steps - 1) * (n - 1)));
    expect(Math.abs(pairs((s, i) => drops[s - 1]![i]!) - rate ** 2)).toBeLessThan(error);
    expect(Math.abs(pairs((s, i) => drops[s]![i - 1]!) - rate ** 2)).toBeLessThan(error);
  });
});

test("every place has a mask of its own, and so has every call of one place", async () => {
  const drop = dropout(0.5);
  const three = module({ a: drop, b: drop }, (m, x) => [m.a(x), m.a(x), m.b(x)]);
  const ys = await evaluate(({ x, key }) => apply(three, { params: { a: {}, b: {} } }, x, { training: true, key })[0], {
    x: all(200),
    key: keyOf(1),
  });
  const masks = ys.map((y) => y.data.join());
  expect(new Set(masks).size).toBe(3);
});

test("a seed is a mask: the same again, another for another seed", async () => {
  const f = ({ x, key }: { x: Tensor; key: Tensor }) =>
    apply(dropout(0.5), { params: {} }, x, { training: true, key })[0];
  const draw = async (seed: number) => (await evaluate(f, { x: all(64), key: keyOf(seed) })).data.join();
  expect(await draw(1)).toBe(await draw(1));
  expect(await draw(1)).not.toBe(await draw(2));
});

test("outside training, or with rate 0, it is the input itself", () => {
  const x = input([3]);
  expect(apply(dropout(0.5), { params: {} }, x)[0]).toBe(x);
  expect(apply(dropout(0), { params: {} }, x, { training: true })[0]).toBe(x);
});

test("no key in training, and rates that are none", () => {
  expect(() => apply(sequential(dropout(0.5)), { params: { layers: [{}] } }, input([3]), { training: true })).toThrow(
    /^apply: training draws random numbers here, and no key was given\n {2}hint: apply\(net, .* key }\) with a u32\[2\] Tensor, a new one per step\n {2}at net\.layers\.0 \(test\/nn/,
  );
  for (const rate of [1, -0.1, 1.5, Number.NaN]) {
    expect(() => dropout(rate)).toThrow(`dropout: the rate must lie in 0 ≤ rate < 1, got ${rate}`);
  }
});
