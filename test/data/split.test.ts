import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { split } from "../../src/data/split.ts";

const counts = (rows: Iterable<number>, classes: ArrayLike<number>, k: number) => {
  const out = new Array<number>(k).fill(0);
  for (const row of rows) out[classes[row]!]!++;
  return out;
};

describe("split", () => {
  const shares = fc.constantFrom(0, 0.1, 0.2, 0.25, 0.4);
  const classes = fc.array(fc.nat(4), { minLength: 3, maxLength: 120 });

  test("is a partition of the rows, with or without classes", () => {
    fc.assert(
      fc.property(classes, fc.nat(), shares, shares, fc.boolean(), (labels, seed, test, validation, stratify) => {
        const n = labels.length;
        const parts = split(n, { seed, test, validation, ...(stratify && { classes: labels }) });
        const all = [...parts.train, ...parts.validation, ...parts.test];
        expect(all.sort((a, b) => a - b)).toEqual(labels.map((_, row) => row));
        expect(parts.train.length).toBeGreaterThan(0);
        expect(parts.test.length > 0).toBe(test > 0);
        if (!stratify) expect(parts.test.length).toBe(test === 0 ? 0 : Math.max(1, Math.round(n * test)));
        for (const part of Object.values(parts)) expect([...part]).toEqual([...part].sort((a, b) => a - b));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("stratified: within one row of every class's share, the total exact, each class in training", () => {
    fc.assert(
      fc.property(classes, fc.nat(), shares, (labels, seed, test) => {
        const n = labels.length;
        const sizes = counts(labels.keys(), labels, 5);
        if (test === 0 || sizes.some((size) => size === 1)) return; // a single row stays in training
        const parts = split(n, { seed, test, classes: labels });
        const total = Math.max(1, Math.round(n * test));
        expect(parts.test.length).toBe(total);
        counts(parts.test, labels, 5).forEach((got, c) => {
          expect(Math.abs(got - (sizes[c]! * total) / n)).toBeLessThan(1);
          if (sizes[c]! > 0) expect(got).toBeLessThan(sizes[c]!);
        });
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("the largest remainders get the last rows: 7, 5 and 3 of 15, a test part of 5", () => {
    const labels = [...Array(7).fill(0), ...Array(5).fill(1), ...Array(3).fill(2)];
    // quotas 2.33, 1.67, 1 → 2, 1, 1 and one more for the second class
    expect(counts(split(15, { seed: 1, test: 1 / 3, classes: labels }).test, labels, 3)).toEqual([2, 2, 1]);
  });

  test("rows sorted by class end up in every part", () => {
    const labels = Array.from({ length: 150 }, (_, row) => Math.floor(row / 50));
    const parts = split(150, { seed: 1, test: 0.2, validation: 0.1, classes: labels });
    expect(counts(parts.test, labels, 3)).toEqual([10, 10, 10]);
    expect(counts(parts.validation, labels, 3)).toEqual([5, 5, 5]);
    expect(counts(parts.train, labels, 3)).toEqual([35, 35, 35]);
    const plain = counts(split(150, { seed: 1 }).test, labels, 3);
    expect(Math.min(...plain)).toBeGreaterThan(3);
  });

  test("classes of one size are not drawn alike", () => {
    const { test } = split(100, { seed: 1, classes: Array.from({ length: 100 }, (_, row) => row % 2) });
    const [even, odd] = [0, 1].map((c) => [...test].filter((row) => row % 2 === c).map((row) => row >> 1));
    expect(even).not.toEqual(odd);
  });

  test("every row is as likely as another to be tested", () => {
    const hits = new Float64Array(20);
    for (let seed = 0; seed < 2000; seed++) for (const row of split(20, { seed }).test) hits[row]!++;
    const chi2 = hits.reduce((s, h) => s + (h - 400) ** 2 / 400, 0);
    expect(chi2).toBeLessThan(43.8 * 0.8); // 19 degrees of freedom, p = 0.001; draws without replacement vary less
  });

  test("the same seed gives the same rows, another seed others", () => {
    expect(split(100, { seed: 4 })).toEqual(split(100, { seed: 4 }));
    expect(split(100, { seed: 4 }).test).not.toEqual(split(100, { seed: 5 }).test);
  });

  test("few rows", () => {
    expect(() => split(1, { seed: 1 })).toThrow("1 row is too few for 2 parts (training, test)");
    expect(() => split(2, { seed: 1, validation: 0.2 })).toThrow("2 rows are too few for 3 parts");
    expect(() => split(0, { seed: 1, test: 0 })).toThrow("0 rows are too few");
    expect(split(1, { seed: 1, test: 0 }).train).toEqual(Int32Array.of(0));
    const two = split(2, { seed: 1, classes: [0, 1] });
    expect([two.train.length, two.test.length]).toEqual([1, 1]);
    const pair = split(5, { seed: 1, test: 0.5, classes: [0, 0, 0, 0, 1] }); // quotas 2.4 and 0.6, but the 1 stays
    expect([...pair.train]).toContain(4);
    expect(pair.test.length).toBe(3);
    const lone = split(10, { seed: 1, classes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] });
    expect([...lone.train]).toContain(9);
  });

  test("shares that make no sense", () => {
    expect(() => split(10, { seed: 1, test: 1 })).toThrow("the test share must be at least 0 and below 1, got 1");
    expect(() => split(10, { seed: 1, test: Number.NaN })).toThrow("got NaN");
    expect(() => split(10, { seed: 1, validation: -0.1 })).toThrow("validation share");
    expect(() => split(10, { seed: 1, test: 0.5, validation: 0.5 })).toThrow("leave nothing for training");
    expect(() => split(10, { seed: 1, classes: [1, 2] })).toThrow("2 classes for 10 rows");
  });
});
