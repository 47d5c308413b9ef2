import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { batches } from "../../src/data/batches.ts";

describe("batches", () => {
  test("the last one is smaller, or left out", () => {
    expect([...batches(10, { batch: 4, seed: 1 }).sizes]).toEqual([4, 4, 2]);
    expect([...batches(10, { batch: 4, seed: 1, dropLast: true }).sizes]).toEqual([4, 4]);
    expect([...batches(8, { batch: 4, seed: 1 }).sizes]).toEqual([4, 4]);
    expect([...batches(3, { batch: 1, seed: 1 }).sizes]).toEqual([1, 1, 1]);
    expect(batches(7, { batch: "full", seed: 1 })).toMatchObject({ size: 7, steps: 1, sizes: Int32Array.of(7) });
  });

  test("every epoch takes every row once, in its own order", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 80 }), fc.integer({ min: 1, max: 80 }), fc.nat(), (rows, batch, seed) => {
        if (batch > rows) return;
        const plan = batches(rows, { batch, seed });
        expect(plan.sizes.reduce((a, b) => a + b)).toBe(rows);
        expect(plan.sizes.length).toBe(plan.steps);
        for (const epoch of [0, 1]) {
          expect([...plan.order(epoch)].sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, row) => row));
        }
        expect(batches(rows, { batch, seed }).order(1)).toEqual(plan.order(1));
      }),
      { seed: 1 },
    );
    const plan = batches(50, { batch: 5, seed: 1 });
    expect(plan.order(0)).not.toEqual(plan.order(1));
    expect(plan.order(0)).not.toEqual(batches(50, { batch: 5, seed: 2 }).order(0));
  });

  test("unshuffled", () => {
    expect([...batches(4, { batch: 2, seed: 1, shuffle: false }).order(3)]).toEqual([0, 1, 2, 3]);
  });

  test("errors", () => {
    expect(() => batches(10, { batch: 11, seed: 1 })).toThrow("batch: 11 is more than the data: there are 10 rows");
    expect(() => batches(10, { batch: 0, seed: 1 })).toThrow('expected a whole number from 1, or "full", got 0');
    expect(() => batches(10, { batch: 1.5, seed: 1 })).toThrow("got 1.5");
    expect(() => batches(10, { batch: Number.NaN, seed: 1 })).toThrow("got NaN");
    expect(() => batches(0, { batch: "full", seed: 1 })).toThrow("no rows");
  });
});
