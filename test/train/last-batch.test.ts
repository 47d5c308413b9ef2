/** The batch at the end of an epoch that is smaller than the others: kept, left out, and refused before it costs work. */
import { describe, expect, test } from "vitest";
import { value } from "../../src/ir/value.ts";
import { batchNorm1d, init, linear, mse, sequential } from "../../src/nn/index.ts";
import { sgd } from "../../src/optim/index.ts";
import { permutation } from "../../src/random.ts";
import type { Backend } from "../../src/run/backend.ts";
import { jsBackend } from "../../src/run/js.ts";
import { fit, type Packed, type Store } from "../../src/train/index.ts";

const line = linear(2, 1);
const start = init(line, 1, { dtype: "f64" });

function rows(n: number) {
  const x = Float64Array.from({ length: n * 2 }, (_, k) => Math.sin(k * 2.3));
  const y = Float64Array.from({ length: n }, (_, i) => 3 * x[2 * i]! - x[2 * i + 1]! + 0.1 * Math.cos(i));
  return { x: value([n, 2], x, "f64"), y: value([n, 1], y, "f64") };
}
const normed = sequential(linear(2, 3), batchNorm1d(3), linear(3, 1));
const f32 = (n: number) => ({ x: value([n, 2], rows(n).x.data), y: value([n, 1], rows(n).y.data) });
const given = { net: line, loss: mse, optimizer: sgd(), lr: 0.1, seed: 7, backend: "js" } as const;

describe("the default batch", () => {
  test.each([1, 5, 31])("all of %d rows, where 32 would be too many", async (n) => {
    const { params, steps } = await fit({ ...given, data: { train: f32(n) }, epochs: 2 });
    const full = await fit({ ...given, data: { train: f32(n) }, epochs: 2, batch: "full" });
    expect(steps).toBe(2);
    expect(params).toEqual(full.params);
  });

  test("a batch that was asked for is held to the data", async () => {
    const data = { train: f32(5) };
    await expect(fit({ ...given, data, epochs: 1, batch: 32 })).rejects.toThrow("32 is more than the data");
  });
});

describe("dropLast, against plain loops", () => {
  const n = 23;
  const { x, y } = rows(n);

  /** Gradient descent on whole batches only; an update takes up to `accumulate` of them. */
  function byHand(batch: number, accumulate: number, epochs: number) {
    const w = [...start.params.weight.data, ...start.params.bias.data] as [number, number, number];
    const used = Math.floor(n / batch) * batch;
    let steps = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = permutation(n, 7, epoch).subarray(0, used);
      for (let from = 0; from < used; from += batch * accumulate, steps++) {
        const chosen = order.subarray(from, from + batch * accumulate);
        const g = [0, 0, 0];
        for (const i of chosen) {
          const d = w[0] * x.data[2 * i]! + w[1] * x.data[2 * i + 1]! + w[2] - y.data[i]!;
          [x.data[2 * i]!, x.data[2 * i + 1]!, 1].forEach((a, k) => (g[k]! += (2 * d * a) / chosen.length));
        }
        g.forEach((a, k) => (w[k]! -= 0.1 * a));
      }
    }
    return { w, steps };
  }

  const cases = [
    [5, 1],
    [6, 1],
    [12, 1],
    [23, 1],
    [5, 3],
    [4, 2],
  ] as const;
  test.each(cases)("batches of %d, %d to an update", async (batch, accumulate) => {
    const options = { ...given, start, data: { train: { x, y } }, batch, accumulate, dropLast: true };
    const { params, steps } = await fit({ ...options, epochs: 3 });
    const hand = byHand(batch, accumulate, 3);
    expect(steps).toBe(hand.steps);
    [...params.weight.data, ...params.bias.data].forEach((w, k) => expect(w).toBeCloseTo(hand.w[k]!, 12));
  });

  class Memory implements Store {
    readonly name = "memory";
    checkpoint: Packed | undefined;
    save(c: Packed) {
      this.checkpoint = c;
    }
    load() {
      return this.checkpoint;
    }
    saveModel() {}
    log() {}
  }

  test("resumed in the middle of an epoch: the same bits; not resumed with the last batch kept", async () => {
    const options = { ...given, start, data: { train: { x, y } }, batch: 5, dropLast: true };
    const whole = await fit({ ...options, steps: 11 });
    const store = new Memory();
    for (const steps of [2, 5, 11]) await fit({ ...options, steps, store, resume: true });
    const again = await fit({ ...options, steps: 11, store, resume: true });
    expect(again.params).toEqual(whole.params);
    await expect(fit({ ...options, dropLast: false, steps: 12, store, resume: true })).rejects.toThrow(
      "memory: the run had batch 5 with dropLast, now it is 5",
    );
  });
});

describe("a last batch that the net refuses", () => {
  const counting = () => {
    const loaded: number[] = [];
    const load: Backend["load"] = (program) => {
      loaded.push(1);
      return jsBackend.load(program);
    };
    return { loaded, backend: { ...jsBackend, load } };
  };

  test.each([1, 2])("is refused before anything is compiled; %d batches to an update", async (accumulate) => {
    const { loaded, backend } = counting();
    const attempt = fit({ ...given, net: normed, data: { train: f32(11) }, batch: 5, accumulate, epochs: 1, backend });
    await expect(attempt).rejects.toThrow(
      /^fit: the last batch of an epoch has 1 row \(11 rows in batches of 5\), and net or loss refuse it\n {2}batchNorm1d: input f32\[1,3\] has one value.*\n(?: {4}.*\n)* {2}hint: leave that batch out with dropLast: true, or choose another batch$/,
    );
    expect(loaded).toEqual([]);
  });

  test("is no hindrance where it is left out", async () => {
    const { steps } = await fit({
      ...given,
      net: normed,
      data: { train: f32(11) },
      batch: 5,
      epochs: 2,
      dropLast: true,
    });
    expect(steps).toBe(4);
  });

  test("what whole batches have wrong is said as it is", async () => {
    const attempt = fit({ ...given, net: normed, data: { train: f32(11) }, batch: 1, epochs: 1 });
    await expect(attempt).rejects.toThrow(/^batchNorm1d/);
  });
});
