import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldIn, integer, key, normal, permutation, threefry2x32, uniform } from "../src/random.ts";

describe("threefry2x32", () => {
  // Random123, tests/kat_vectors: "threefry2x32 20 <counter> <key> <result>".
  test.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x243f6a88, 0x85a308d3],
      [0x13198a2e, 0x03707344],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)("known answer for counter %j, key %j", (counter, k, result) => {
    expect(threefry2x32(k, counter)).toEqual([...result]);
  });

  test("against the paper's definition in big integers", () => {
    const m = 0xffffffffn;
    const paper = (k: readonly [number, number], c: readonly [number, number]): [number, number] => {
      const ks = [BigInt(k[0]), BigInt(k[1]), 0n];
      ks[2] = 0x1bd11bdan ^ ks[0]! ^ ks[1]!;
      let x0 = (BigInt(c[0]) + ks[0]!) & m;
      let x1 = (BigInt(c[1]) + ks[1]!) & m;
      for (let d = 0; d < 5; d++) {
        for (const r of d % 2 === 0 ? [13n, 15n, 26n, 6n] : [17n, 29n, 16n, 24n]) {
          x0 = (x0 + x1) & m;
          x1 = ((x1 << r) | (x1 >> (32n - r))) & m;
          x1 ^= x0;
        }
        x0 = (x0 + ks[(d + 1) % 3]!) & m;
        x1 = (x1 + ks[(d + 2) % 3]! + BigInt(d + 1)) & m;
      }
      return [Number(x0), Number(x1)];
    };
    const word = fc.integer({ min: 0, max: 0xffffffff });
    const pair = fc.tuple(word, word);
    fc.assert(
      fc.property(pair, pair, (k, c) => {
        expect(threefry2x32(k, c)).toEqual(paper(k, c));
      }),
      { seed: 1 },
    );
  });
});

describe("keys", () => {
  test("a seed is its two words", () => {
    expect(key(7)).toEqual([7, 0]);
    expect(key(2 ** 53 - 1)).toEqual([0xffffffff, 0x1fffff]);
    expect(() => key(-1)).toThrow("seed: expected an integer");
    expect(() => key(0.5)).toThrow("seed: expected an integer");
    expect(() => key(Number.NaN)).toThrow("seed: expected an integer");
  });

  test("labels give distinct keys, and a text is not the chain of its parts", () => {
    const k = key(1);
    const labels = ["", "a", "b", "ab", "ba", "layers.0", "layers.1", 0, 1, 2, 2 ** 32, 2 ** 32 + 1];
    const keys = [...labels.map((label) => foldIn(k, label)), foldIn(foldIn(k, "a"), "b"), foldIn(key(2), "a")];
    expect(new Set(keys.map(String)).size).toBe(keys.length);
    expect(() => foldIn(k, -1)).toThrow("foldIn");
  });
});

describe("draws", () => {
  const n = 40_000;
  const k = foldIn(key(3), "draws");
  const draw = (f: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => f(i));
  const moment = (x: Float64Array, p: number) => x.reduce((s, v) => s + v ** p, 0) / x.length;

  test("uniform: multiples of 2⁻²⁴ below 1 with the moments of U(0, 1)", () => {
    const u = draw((i) => uniform(k, i));
    expect(u.every((x) => x >= 0 && x < 1 && Number.isInteger(x * 2 ** 24) && Math.fround(x) === x)).toBe(true);
    expect(Math.abs(moment(u, 1) - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(moment(u, 2) - 1 / 3)).toBeLessThan(4 * Math.sqrt(4 / 45 / n));
  });

  test("normal: the first four moments are 0, 1, 0, 3", () => {
    const z = draw((i) => normal(k, i));
    expect(Math.abs(moment(z, 1))).toBeLessThan(4 * Math.sqrt(1 / n));
    expect(Math.abs(moment(z, 2) - 1)).toBeLessThan(4 * Math.sqrt(2 / n));
    expect(Math.abs(moment(z, 3))).toBeLessThan(4 * Math.sqrt(15 / n));
    expect(Math.abs(moment(z, 4) - 3)).toBeLessThan(4 * Math.sqrt(96 / n));
    expect(z.every(Number.isFinite)).toBe(true);
  });

  test("the definition, from the known answer c4923a9c 483df7a0, by numpy", () => {
    const at = [[0x13198a2e, 0x03707344], 0x243f6a88, 0x85a308d3] as const;
    expect(uniform(...at)).toBe(0xc4923a * 2 ** -24);
    expect(normal(...at)).toBeCloseTo(-0.14603320611167148, 14);
    expect(integer([0x13198a2e, 0x03707344], 1000, 0x243f6a88, 0x85a308d3)).toBe(
      Math.floor((0xc4923a9c / 2 ** 32) * 1000),
    );
  });

  test("streams do not repeat each other", () => {
    const a = draw((i) => uniform(k, i, 0));
    const b = draw((i) => uniform(k, i, 1));
    const correlation = a.reduce((s, x, i) => s + (x - 0.5) * (b[i]! - 0.5), 0) / n / (1 / 12);
    expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(n));
  });

  test("integer: each of 7 values is as frequent as the others", () => {
    const counts = new Float64Array(7);
    for (let i = 0; i < n; i++) counts[integer(k, 7, i)]!++;
    const chi2 = counts.reduce((s, c) => s + (c - n / 7) ** 2 / (n / 7), 0);
    expect(chi2).toBeLessThan(22.5); // 6 degrees of freedom, p = 0.001
  });
});

describe("permutation", () => {
  test("is a permutation, and a pure function of (n, seed, epoch)", () => {
    const args = [fc.integer({ min: 0, max: 300 }), fc.nat(), fc.nat(1000)] as const;
    fc.assert(
      fc.property(...args, (n, seed, epoch) => {
        const order = permutation(n, seed, epoch);
        expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
        expect(permutation(n, seed, epoch)).toEqual(order);
      }),
      { seed: 1 },
    );
  });

  test("differs by seed and by epoch", () => {
    const orders = [permutation(50, 1, 0), permutation(50, 1, 1), permutation(50, 2, 0), permutation(50, 0, 1)];
    expect(new Set(orders.map(String)).size).toBe(4);
  });

  test("all 24 orders of four are equally frequent", () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 12_000; epoch++) {
      const order = String(permutation(4, 5, epoch));
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    const chi2 = [...counts.values()].reduce((s, c) => s + (c - 500) ** 2 / 500, 0);
    expect(chi2).toBeLessThan(49.7); // 23 degrees of freedom, p = 0.001
  });
});
