/** Augmentation: the host's bits, naive loops over the same draws, and the same choice on every backend. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { apply, type Module, normalize, randomCrop, randomFlip, sequential } from "../../src/nn/index.ts";
import * as random from "../../src/random.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, some } from "./evaluate.ts";

const seed = 4;
const keyOf = (s: number) => value([2], random.key(s), "u32");
/** The stream of a module path, as nn/module.ts has it. */
const streamOf = (path: string) => random.foldIn([0, 0], path)[0] >>> 1;
const images = (n: number, c: number, h: number, w: number) => value([n, c, h, w], some(n * c * h * w));
/** A layer that is the net itself. */
const train =
  (layer: Module<Record<never, never>, readonly [], Tensor>) =>
  ({ x, key }: { x: Tensor; key: Tensor }) =>
    apply(layer, { params: {} }, x, { training: true, key })[0];

/** What a part of `height` × `width` shows that begins in `top[i]`, `left[i]` of image i; zeros outside. */
function cut(x: Value, top: ArrayLike<number>, left: ArrayLike<number>, height: number, width: number): number[] {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const out: number[] = [];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < c; j++) {
      for (let y = top[i]!; y < top[i]! + height; y++) {
        for (let z = left[i]!; z < left[i]! + width; z++) {
          const inside = y >= 0 && y < h && z >= 0 && z < w;
          out.push(inside ? x.data[((i * c + j) * h + y) * w + z]! : 0);
        }
      }
    }
  }
  return out;
}

describe.each(backends)("on %s", (backend) => {
  test.each(["horizontal", "vertical"] as const)(
    "%s flips: the images that the host's numbers choose",
    async (axis) => {
      const [n, c, h, w] = [40, 2, 3, 4];
      const x = images(n, c, h, w);
      const y = await evaluate(train(randomFlip({ axis, rate: 0.3 })), { x, key: keyOf(seed) }, backend);
      const flipped = Array.from({ length: n }, (_, i) => random.uniform(random.key(seed), i, streamOf("net")) < 0.3);
      expect(new Set(flipped).size).toBe(2);
      const wanted = x.data.map((_, k) => {
        const [i, column, row] = [Math.floor(k / (c * h * w)), k % w, Math.floor(k / w) % h];
        if (!flipped[i]) return x.data[k]!;
        return x.data[axis === "horizontal" ? k - column + (w - 1 - column) : k + (h - 1 - 2 * row) * w]!;
      });
      expect([...y.data]).toEqual([...wanted]);
    },
  );

  test.each([
    { size: 6, padding: 2, shape: [50, 2, 6, 6] },
    { size: [3, 5], padding: 0, shape: [50, 1, 7, 6] },
    { size: [4, 9], padding: 3, shape: [50, 3, 4, 3] },
  ] as const)(
    "crops of $size from $shape, padding $padding: where the host's integers say",
    async ({ size, padding, shape }) => {
      const x = images(shape[0], shape[1], shape[2], shape[3]);
      const [n, , h, w] = shape;
      const [height, width] = typeof size === "number" ? [size, size] : size;
      const y = await evaluate(train(randomCrop(size, { padding })), { x, key: keyOf(seed) }, backend);
      const places = [h - height, w - width].map((spare, axis) =>
        Array.from({ length: n }, (_, i) => {
          const word = random.bits(random.key(seed), axis * n + i, streamOf("net"));
          return Math.floor((word * (spare + 2 * padding + 1)) / 2 ** 32) - padding;
        }),
      );
      places.forEach((at, axis) => {
        const all = [h - height, w - width][axis]! + 2 * padding + 1;
        expect(new Set(at).size).toBe(all); // 50 draws of at most 7 places leave none out
      });
      expect([y.shape, [...y.data]]).toEqual([
        [n, shape[1], height, width],
        cut(x, places[0]!, places[1]!, height, width),
      ]);
    },
  );

  test("what is cut out gives its gradient back to where it was", async () => {
    const x = images(6, 2, 4, 5);
    const crop = train(randomCrop(4, { padding: 1 }));
    const f = ({ key, ...feed }: { x: Tensor; key: Tensor }) =>
      valueAndGrad((at: Tensor) => {
        const y = crop({ x: at, key });
        return [y.square().sum(), y] as const;
      })(feed.x);
    const [[loss, y], slope] = await evaluate(f, { x, key: keyOf(seed) }, backend);
    expect(distance([loss.data[0]!], [[...y.data].reduce((a, b) => a + b * b, 0)])).toBeLessThan(1e-5);
    const seen = slope.data.filter((v) => v !== 0).length;
    expect(seen).toBe(y.data.filter((v) => v !== 0).length);
    slope.data.forEach((v, k) => expect(v === 0 || Math.abs(v - 2 * x.data[k]!) < 1e-6).toBe(true));
  });
});

test("each place in a net draws on its own, each key another picture", async () => {
  const net = sequential(randomFlip(), randomFlip({ axis: "vertical" }), randomCrop(4, { padding: 1 }));
  const f = ({ x, key }: { x: Tensor; key: Tensor }) =>
    apply(net, { params: { layers: [{}, {}, {}] } }, x, { training: true, key })[0];
  const draw = async (s: number) => (await evaluate(f, { x: images(20, 1, 4, 4), key: keyOf(s) })).data.join();
  expect(await draw(1)).toBe(await draw(1));
  expect(await draw(1)).not.toBe(await draw(2));
});

describe("outside training", () => {
  const at = (layer: Module<Record<never, never>, readonly [], Tensor>, x: Value) =>
    evaluate(({ x }: { x: Tensor }) => apply(layer, { params: {} }, x)[0], { x });

  test("no flips, and the middle: an odd pixel as torchvision's CenterCrop leaves it", async () => {
    const x = input([2, 1, 5, 4]);
    expect(apply(randomFlip(), { params: {} }, x)[0]).toBe(x);
    expect(apply(randomCrop([5, 4]), { params: {} }, x)[0]).toBe(x);
    const y = images(2, 2, 6, 7);
    // spare rows and columns 0 … 4: round(spare / 2) to the even side
    for (const [size, padding, top, left] of [
      [[6, 6], 0, 0, 0],
      [[5, 5], 0, 0, 1],
      [[4, 4], 0, 1, 2],
      [[3, 3], 0, 2, 2],
      [[7, 8], 1, -1, -1],
      [[6, 7], 2, 0, 0],
    ] as const) {
      const z = await at(randomCrop(size, { padding }), y);
      expect([...z.data]).toEqual(cut(y, [top, top], [left, left], size[0], size[1]));
    }
  });

  test("normalize acts all the same, per channel or for all", async () => {
    const x = images(2, 3, 1, 2);
    const [mean, deviation] = [
      [0.1, 0.2, -0.3],
      [0.5, 2, 0.25],
    ];
    const wanted = [...x.data].map((v, k) => (v - mean[Math.floor(k / 2) % 3]!) / deviation[Math.floor(k / 2) % 3]!);
    expect(distance([...(await at(normalize(mean, deviation), x)).data], wanted)).toBeLessThan(1e-6);
    const training = ({ x }: { x: Tensor }) =>
      apply(normalize(mean, deviation), { params: {} }, x, { training: true })[0];
    expect(distance([...(await evaluate(training, { x })).data], wanted)).toBeLessThan(1e-6);
    const one = (await at(normalize(0.5, [0.25]), x)).data;
    expect(
      distance(
        [...one],
        [...x.data].map((v) => (v - 0.5) / 0.25),
      ),
    ).toBeLessThan(1e-6);
  });
});

test("refused", () => {
  const on = (layer: Module<Record<never, never>, readonly [], Tensor>, shape: number[], training = true) =>
    expect(() => apply(layer, { params: {} }, input(shape), { training }));
  expect(() => randomFlip({ rate: 1.5 })).toThrow("randomFlip: the rate must lie in 0 ≤ rate ≤ 1, got 1.5");
  expect(() => randomCrop(0)).toThrow("whole numbers of pixels, got [0,0] and 0");
  expect(() => randomCrop(3, { padding: -1 })).toThrow("got [3,3] and -1");
  expect(() => normalize(0, 0)).toThrow("deviations above 0, got 0 and 0");
  on(randomCrop(6, { padding: 1 }), [1, 1, 3, 9], false).toThrow(
    "randomCrop: a part of 6 × 6 pixels does not fit into f32[1,1,3,9] and 1 pixels of padding",
  );
  on(randomFlip(), [5, 28, 28]).toThrow(/images are \[n, c, h, w\], got f32\[5,28,28\]\n {2}hint: .*unsqueeze\(1\)/);
  on(normalize([1, 2], 1), [5, 3, 2, 2]).toThrow("normalize: 2 means for the 3 channels of f32[5,3,2,2]");
  on(randomFlip(), [5, 1, 2, 2]).toThrow("no key was given");
});
