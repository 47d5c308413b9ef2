/** What fit evaluates and keeps of rules that average weights, and running statistics recomputed for them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { apply, batchNorm1d, dropout, init, linear, module, mse, relu, sequential, state } from "../../src/nn/index.ts";
import { adamW, ema, lookahead, type Optimizer, sam, scheduleFreeAdamW, sgd, swa } from "../../src/optim/index.ts";
import {
  type Entry,
  evaluate,
  type FitOptions,
  fit,
  type Packed,
  recalibrate,
  type Store,
} from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { type Nested, values } from "../optim/descent.ts";

const n = 60;
const x = value(
  [n, 3],
  Float32Array.from({ length: n * 3 }, (_, k) => 2 + 3 * Math.sin(k * 1.7 + (k % 7))),
);
const y = value(
  [n, 1],
  Float32Array.from({ length: n }, (_, i) => Math.tanh(x.data[3 * i]! - 2) + 0.2 * Math.cos(i)),
);
const data = {
  train: { x, y },
  validation: { x: value([20, 3], x.data.subarray(60, 120)), y: value([20, 1], y.data.subarray(20, 40)) },
};
const net = sequential(linear(3, 6), batchNorm1d(6), relu, linear(6, 1));
const plain = { net, loss: mse, lr: 0.05, data, batch: 12, epochs: 6, seed: 2 } as const;

const rules: (readonly [string, Optimizer])[] = [
  ["ema", ema(adamW(), { decay: 0.9 })],
  ["swa", swa(adamW(), { from: 11, every: 2 })],
  ["lookahead", lookahead(adamW(), { steps: 4 })],
  ["schedule-free", scheduleFreeAdamW()],
];

class Memory implements Store {
  readonly name = "memory";
  checkpoint: Packed | undefined;
  model: unknown;
  save(c: Packed) {
    this.checkpoint = c;
  }
  load() {
    return this.checkpoint;
  }
  saveModel(m: unknown) {
    this.model = m;
  }
  log() {}
}

// ---- torch's update_bn ---------------------------------------------------------------------------------------------------

type Recalibration = {
  readonly momentum: number | null;
  readonly rows: number;
  readonly batch: number;
  readonly x: Nested;
  readonly before: Readonly<Record<string, Nested>>;
  readonly after: Readonly<Record<string, Nested>>;
};
const golden = JSON.parse(readFileSync(new URL("../golden/averaging-optimizers.json", import.meta.url), "utf8")) as {
  readonly recalibrations: readonly Recalibration[];
};

describe("recalibrate", () => {
  test.each(golden.recalibrations.flatMap((c) => backends.map((backend) => [c.momentum, c.rows, backend, c] as const)))(
    "is torch's update_bn: momentum %s, %i rows, on %s",
    async (momentum, rows, backend, c) => {
      const norm = (width: number) => batchNorm1d(width, { momentum });
      const same = sequential(linear(3, 5), norm(5), relu, linear(5, 4), norm(4), relu, linear(4, 1));
      const like = init(same, 1, { dtype: "f64" });
      const dict = values(c.before, "f64");
      const named = (t: unknown) => tree.mapWithPath((path) => dict[path.replace("layers.", "")], t);
      const model = { params: named(like.params), state: named(like.state) } as typeof like;
      const { given } = values({ given: c.x }, "f64") as { given: Value };
      const examples = { x: given, y: value([rows, 1], new Float64Array(rows), "f64") };
      const after = await recalibrate(same, model, examples, { batch: c.batch, shuffle: false, backend });
      const wanted = values(c.after, "f64");
      for (const [path, v] of tree.paths<Value>(after)) {
        const key = path.replace("layers.", "");
        // PyTorch begins to count anew, here the count is of training.
        const { data } = path.endsWith("num_batches_tracked") ? dict[key]! : wanted[key]!;
        v.data.forEach((number, k) => {
          expect(number, path).toBeCloseTo(data[k]!, 12);
        });
      }
    },
  );

  test("takes as many batches as it is told, each row in its place at random, and leaves a lone row out", async () => {
    const model = init(net, 1);
    const backend = "js";
    const [first, again, other] = [
      await recalibrate(net, model, data.train, { batch: 12, batches: 2, backend }),
      await recalibrate(net, model, data.train, { batch: 12, batches: 2, backend }),
      await recalibrate(net, model, data.train, { batch: 12, batches: 2, seed: 1, backend }),
    ];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    const all = await recalibrate(net, model, data.train, { batch: 20, shuffle: false, backend });
    const odd = { x: value([41, 3], x.data.subarray(0, 123)), y: value([41, 1], y.data.subarray(0, 41)) };
    const even = { x: value([40, 3], x.data.subarray(0, 120)), y: value([40, 1], y.data.subarray(0, 40)) };
    const [lone, without] = [odd, even].map((d) => recalibrate(net, model, d, { batch: 20, shuffle: false, backend }));
    expect(await lone).toEqual(await without);
    expect(await lone).not.toEqual(all);
  });

  test("moves running averages alone; other state stays, and what is drawn is drawn from the seed", async () => {
    const counting = module({ calls: state([], () => [7]) }, ({ calls }, t) => {
      calls.next(calls.now.add(1));
      return t;
    });
    const whole = sequential(counting, linear(3, 6), dropout(0.5), batchNorm1d(6), linear(6, 1));
    const model = init(whole, 1);
    const backend = "js";
    const one = await recalibrate(whole, model, data.train, { backend });
    const two = await recalibrate(whole, model, data.train, { seed: 4, shuffle: false, backend });
    expect(one.layers[0].calls.data[0]).toBe(7);
    expect(one.layers[3].running_mean).not.toEqual(model.state.layers[3].running_mean);
    expect(two.layers[3].running_mean).not.toEqual(one.layers[3].running_mean);
  });

  test("a net without state needs none", async () => {
    const stateless = sequential(linear(3, 1));
    const model = init(stateless, 1);
    expect(await recalibrate(stateless, model, data.train)).toBe(model.state);
  });

  test("tells what it cannot use", async () => {
    const model = init(net, 1);
    await expect(recalibrate(net, model, { x, y: value([2], [1, 2]) })).rejects.toThrow(/60 rows and 2 targets/);
    await expect(recalibrate(net, model, data.train, { batches: 0 })).rejects.toThrow(
      /recalibrate: batches.*from 1, got 0/,
    );
    await expect(recalibrate(net, model, data.train, { rows: 1 } as never)).rejects.toThrow(/there is no option rows/);
    await expect(recalibrate(net, model.params as never, data.train)).rejects.toThrow(/expected { params, state }/);
    const [t, n] = [input([2, 3], "f32", "x"), input([], "f32", "n")];
    const params = tree.map((v: Value) => input(v.shape, v.dtype, "p"), model.params);
    const now = tree.map((v: Value) => input(v.shape, v.dtype, "s"), model.state);
    expect(() => apply(net, { params, state: now }, t, { nth: n })).toThrow(/only training moves/);
  });
});

// ---- fit -----------------------------------------------------------------------------------------------------------------

describe.each(backends)("fit on %s", (backend) => {
  // What is compiled is the same for each of them but for the rule, and compiling takes its time.
  const some = backend === "js" ? rules : rules.slice(0, 1);

  test.each(some)("validates and keeps the average: %s", async (_, optimizer) => {
    const store = new Memory();
    const all = { ...plain, optimizer, backend, store };
    const r = await fit(all);
    // Five batches an epoch: what an entry is measured with is what is kept.
    const measured = await evaluate(net, r, data.validation, { loss: mse, backend });
    expect(r.history.at(-1)!.validationLoss).toBeCloseTo(measured.loss, 6);
    expect(store.model).toEqual({ params: r.params, state: r.state });

    // The checkpoint has what is trained and what its average is made of.
    const trained = (path: string) => [...store.checkpoint!.tensors].filter(([name]) => name.startsWith(path));
    const shown = tree.paths<Value>(r.params);
    expect(trained("params.").map(([, v]) => v)).not.toEqual(shown.map(([, v]) => v));
    const running = r.state.layers[1].running_mean;
    expect(trained("state.layers.1.running_mean")[0]![1]).not.toEqual(running);
    const again = await recalibrate(net, r, data.train, { batch: 12, seed: 2, backend });
    expect(again).toEqual(r.state);
  });

  test("an average changes nothing of the training, running statistics included", async () => {
    const kept = [new Memory(), new Memory()];
    const [with_, without] = [
      await fit({ ...plain, optimizer: ema(adamW()), backend, store: kept[0]! }),
      await fit({ ...plain, optimizer: adamW(), backend, store: kept[1]! }),
    ];
    expect(with_.history.map((e) => e.trainLoss)).toEqual(without.history.map((e) => e.trainLoss));
    const model = ({ checkpoint }: Memory) =>
      [...checkpoint!.tensors].filter(([name]) => /^(params|state)\./.test(name));
    expect(model(kept[0]!)).toEqual(model(kept[1]!));
  });

  test.each(some)("interrupted and resumed it has the same bits: %s", async (_, optimizer) => {
    const all: FitOptions<typeof net> = {
      ...plain,
      optimizer,
      backend,
      accumulate: 2,
      recalibrationBatches: 2,
      earlyStopping: { patience: 2 },
    };
    const whole = await fit(all);
    const store = new Memory();
    for (let rounds = 0; ; rounds++) {
      const stop = new AbortController();
      let calls = 0; // of the program: one in this process, two in the next
      const onProgress = () => ++calls === 1 + (rounds % 2) && stop.abort();
      const r = await fit({ ...all, store, resume: true, signal: stop.signal, onProgress });
      if (r.stopReason === "aborted") continue;
      expect(rounds).toBeGreaterThan(2);
      expect({ params: r.params, state: r.state, history: r.history, best: r.best }).toEqual({
        params: whole.params,
        state: whole.state,
        history: whole.history,
        best: whole.best,
      });
      break;
    }
  });
});

test("early stopping keeps the best average, as it was then", async () => {
  const entries: Entry[] = [];
  const r = await fit({
    ...plain,
    optimizer: ema(adamW(), { decay: 0.5 }),
    epochs: 20,
    backend: "js",
    earlyStopping: { patience: 2, minDelta: 100 },
    onEntry: (entry) => entries.push(entry),
  });
  expect([r.stopReason, r.best!.epoch, entries.length]).toEqual(["early stopping", 1, 3]);
  const measured = await evaluate(net, r, data.validation, { loss: mse, backend: "js" });
  expect(measured.loss).toBeCloseTo(entries[0]!.validationLoss!, 6);
});

test("fit refuses a number of batches that is none", async () => {
  await expect(fit({ ...plain, optimizer: ema(adamW()), recalibrationBatches: 0 })).rejects.toThrow(
    /^recalibrationBatches: expected a whole number from 1, got 0/,
  );
});

test("what fit keeps of an average is the mean of the weights that a loop of its own steps through", async () => {
  const line = sequential(linear(3, 1));
  const given = { ...plain, net: line, batch: "full", epochs: 1 } as const;
  const after: Float32Array[] = [];
  for (let steps = 1; steps <= 4; steps++) {
    const r = await fit({ ...given, optimizer: sgd(), lr: 0.01, epochs: steps, backend: "js" });
    after.push(r.params.layers[0].weight.data as Float32Array);
  }
  const r = await fit({ ...given, optimizer: swa(sgd()), lr: 0.01, epochs: 4, backend: "js" });
  r.params.layers[0].weight.data.forEach((w, k) => {
    expect(w).toBeCloseTo(after.reduce((sum, point) => sum + point[k]!, 0) / 4, 6);
  });
});

test("SAM's second pass leaves running statistics alone", async () => {
  // One step: the statistics are those of the first pass, at the first weights, whatever the radius.
  const one = { ...plain, data: { train: data.train }, batch: "full", epochs: 1, backend: "js" } as const;
  const [near, far] = [
    await fit({ ...one, optimizer: sgd() }),
    await fit({ ...one, optimizer: sam(sgd(), { rho: 5 }) }),
  ];
  expect(far.state).toEqual(near.state);
  expect(far.params).not.toEqual(near.params);
});
