/** fit against plain loops, and against itself: interrupted, accumulated, resumed. */
import { describe, expect, test } from "vitest";
import { type Value, value } from "../../src/ir/value.ts";
import {
  binaryCrossEntropy,
  crossEntropy,
  dropout,
  init,
  linear,
  type Module,
  mse,
  relu,
  sequential,
  tanh,
} from "../../src/nn/index.ts";
import { adam, chain, clipGlobalNorm, freeze, linear as ramp, sgd, under } from "../../src/optim/index.ts";
import { permutation } from "../../src/random.ts";
import type { Backend } from "../../src/run/backend.ts";
import { jsBackend } from "../../src/run/js.ts";
import { probeCompiler } from "../../src/run/native/compiler.ts";
import {
  type Entry,
  evaluate,
  type FitOptions,
  fit,
  metricsOf,
  NonFiniteError,
  type Packed,
  predict,
  type Store,
} from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { child } from "./child.ts";
import { classes } from "./classes.ts";

const backends = probeCompiler().found ? (["js", "native"] as const) : (["js"] as const);

const train = classes(103);
const validation = classes(41, 500);
const net = sequential(linear(3, 8), tanh, dropout(0.2), linear(8, 3));
const plain = { net, loss: crossEntropy, optimizer: adam(), lr: 0.02, data: { train }, batch: 10, seed: 3 } as const;

const bits = (t: unknown) =>
  tree
    .paths<Value>(t)
    .map(([path, v]) => [
      path,
      v.dtype,
      v.shape,
      Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength).toString("hex"),
    ]);

class Memory implements Store {
  readonly name = "memory";
  checkpoint: Packed | undefined;
  readonly events: Record<string, unknown>[] = [];
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
  log(e: Record<string, unknown>) {
    this.events.push(e);
  }
}

describe("against plain loops", () => {
  const n = 23;
  const x = Float64Array.from({ length: n * 2 }, (_, k) => Math.sin(k * 2.3));
  const y = Float64Array.from({ length: n }, (_, i) => 3 * x[2 * i]! - x[2 * i + 1]! + 0.5 + 0.1 * Math.cos(i));
  const data = { train: { x: value([n, 2], x, "f64"), y: value([n, 1], y, "f64") } };
  const line = linear(2, 1);
  const start = init(line, 1, { dtype: "f64" });
  const rate = ramp({ lr: 0.2, from: 0.02, steps: 12 });

  /** Gradient descent on the mean square, row by row. */
  function byHand(batch: number, epochs: number, shuffle: boolean) {
    const w = [...start.params.weight.data, ...start.params.bias.data] as [number, number, number];
    const losses: number[] = [];
    let step = 0;
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = shuffle ? permutation(n, 7, epoch) : Int32Array.from({ length: n }, (_, i) => i);
      let sum = 0;
      for (let from = 0; from < n; from += batch) {
        const rows = order.subarray(from, from + batch);
        const g = [0, 0, 0];
        let loss = 0;
        for (const i of rows) {
          const d = w[0] * x[2 * i]! + w[1] * x[2 * i + 1]! + w[2] - y[i]!;
          loss += (d * d) / rows.length;
          [x[2 * i]!, x[2 * i + 1]!, 1].forEach((a, k) => (g[k]! += (2 * d * a) / rows.length));
        }
        sum += loss * rows.length;
        g.forEach((a, k) => (w[k]! -= rate(step) * a));
        step++;
      }
      losses.push(sum / n);
    }
    return { w, losses };
  }

  test.each([
    ["mini-batches, the last one smaller", 5, 4, true],
    ["one row at a time", 1, 3, true],
    ["all rows", "full", 15, true],
    ["in the order of the rows", 8, 5, false],
  ] as const)("%s", async (_, batch, epochs, shuffle) => {
    const r = await fit({
      net: line,
      loss: mse,
      optimizer: sgd(),
      lr: rate,
      data,
      batch,
      epochs,
      shuffle,
      seed: 7,
      start,
      backend: "js",
    });
    const hand = byHand(batch === "full" ? n : batch, epochs, shuffle && batch !== "full");
    [...r.params.weight.data, ...r.params.bias.data].forEach((p, k) =>
      expect(Math.abs(p - hand.w[k]!)).toBeLessThan(1e-13),
    );
    expect(r.history.map((h) => h.epoch)).toEqual(hand.losses.map((_, k) => k + 1));
    r.history.forEach((h, k) => expect(Math.abs(h.trainLoss - hand.losses[k]!)).toBeLessThan(1e-13));
    expect(r).toMatchObject({
      epochs,
      steps: epochs * Math.ceil(n / (batch === "full" ? n : batch)),
      stopReason: "done",
      backend: "js",
    });
  });
});

describe("accumulated batches are the big batch", () => {
  const small = sequential(linear(3, 8), tanh, linear(8, 3));
  const exact = (d: typeof train) => ({ x: value(d.x.shape, [...d.x.data], "f64"), y: d.y });
  const start = init(small, 1, { dtype: "f64" });
  const options = {
    net: small,
    optimizer: adam(),
    lr: 0.01,
    data: { train: exact(train) },
    epochs: 3,
    seed: 2,
    start,
    backend: "js",
  } as const;
  const weighted = { classWeights: [1, 2, 5] };

  test.each([
    ["a mean", (p, t) => crossEntropy(p, t)],
    [
      "its parts, weights by class, a class ignored",
      (p, t) => crossEntropy.parts(p, t, { ...weighted, ignoreIndex: 1 }),
    ],
  ] as [string, FitOptions<typeof small>["loss"]][])("%s; the last batch is smaller", async (_, loss) => {
    const big = await fit({ ...options, loss, batch: 20 });
    const little = await fit({ ...options, loss, batch: 5, accumulate: 4 });
    expect(little.steps).toBe(big.steps); // 103 rows: 5 updates of 20 and one of 3
    const [a, b] = [big, little].map((r) => tree.leaves<Value>(r.params).flatMap((v) => [...v.data])) as [
      number[],
      number[],
    ];
    a.forEach((p, k) => expect(Math.abs(p - b[k]!)).toBeLessThan(1e-12));
    big.history.forEach((h, k) => {
      expect(Math.abs(h.trainLoss - little.history[k]!.trainLoss)).toBeLessThan(1e-13);
      expect(Math.abs(h.gradientNorm - little.history[k]!.gradientNorm)).toBeLessThan(1e-13);
    });
  });

  test("a mean over what a mean divides by is another number, so parts are what add up", async () => {
    const loss: FitOptions<typeof small>["loss"] = (p, t) => crossEntropy(p, t, weighted);
    const big = await fit({ ...options, loss, batch: 20 });
    const little = await fit({ ...options, loss, batch: 5, accumulate: 4 });
    expect(Math.abs(big.history[2]!.trainLoss - little.history[2]!.trainLoss)).toBeGreaterThan(1e-6);
  });
});

describe.each(backends)("interrupted and resumed, on %s", (backend) => {
  const options = {
    ...plain,
    data: { train, validation },
    epochs: 12,
    metrics: metricsOf("multiclass"),
    earlyStopping: { patience: 3, metric: "accuracy" },
    lr: ramp({ lr: 0.05, from: 0.001, steps: 60 }),
    backend,
  } as const;

  /** The process is stopped and another goes on: after one call of the program, after two more, after three more, … */
  async function interrupted<N extends Module>(all: FitOptions<N>) {
    const store = new Memory();
    for (let rounds = 0; rounds < 200; rounds++) {
      const stop = new AbortController();
      let calls = 0;
      const onProgress = () => ++calls === rounds + 1 && stop.abort();
      const r = await fit({ ...all, store, resume: true, signal: stop.signal, onProgress });
      if (r.stopReason !== "aborted") return { r, store, rounds };
    }
    throw new Error("it never came to an end");
  }

  test.each([
    ["one batch per update", {}],
    ["accumulated", { accumulate: 3 }],
    ["one row at a time", { batch: 1, epochs: 2 }],
    ["without a validation", { data: { train }, metrics: [] }],
  ] as [string, object][])("the same bits as uninterrupted: %s", async (_, more) => {
    const all: FitOptions<typeof net> = { ...options, ...more };
    const { earlyStopping: _early, ...without } = all;
    const given = all.data.validation ? all : without;
    const whole = await fit(given);
    const { r, rounds } = await interrupted(given);
    expect(rounds).toBeGreaterThan(3);
    expect(bits(r.params)).toEqual(bits(whole.params));
    expect(r.history).toEqual(whole.history);
    expect([r.steps, r.epochs, r.stopReason, r.best]).toEqual([
      whole.steps,
      whole.epochs,
      whole.stopReason,
      whole.best,
    ]);
  });

  test("a run that came to its end stays as it is, or goes on with more epochs", async () => {
    const store = new Memory();
    const { earlyStopping: _, ...rest } = options;
    const first = await fit({ ...rest, epochs: 3, store });
    const again = await fit({ ...rest, epochs: 3, store, resume: true });
    expect(bits(again.params)).toEqual(bits(first.params));
    expect(again.history).toEqual(first.history);
    const more = await fit({ ...rest, epochs: 5, store, resume: true });
    expect(bits(more.params)).toEqual(bits((await fit({ ...rest, epochs: 5 })).params));
  });
});

test("the signal may come at any moment, in the middle of a call or of a validation", async () => {
  const options = {
    ...plain,
    data: { train, validation },
    epochs: 6,
    metrics: metricsOf("multiclass"),
    validationBatch: 6,
  };
  const whole = await fit({ ...options, backend: "js" });
  const store = new Memory();
  let calls = 0; // of the program, since the last resume
  let rounds = 0;
  let stop = new AbortController();
  /** The reference backend, where the signal comes while a call runs and `stop` ends that call after its first step. */
  const interrupting: Backend = {
    ...jsBackend,
    load(program) {
      const inner = jsBackend.load(program);
      let asked = false;
      return {
        ...inner,
        run(places, steps) {
          asked = false;
          if (++calls === 3 + (rounds % 7)) stop.abort();
          return inner.run(places, asked ? 1 : steps);
        },
        stop() {
          asked = true;
        },
      };
    },
  };
  for (;;) {
    stop = new AbortController();
    calls = 0;
    const r = await fit({ ...options, backend: interrupting, store, resume: true, signal: stop.signal });
    rounds++;
    if (r.stopReason === "aborted") continue;
    expect(bits(r.params)).toEqual(bits(whole.params));
    expect(r.history).toEqual(whole.history);
    break;
  }
  expect(rounds).toBeGreaterThan(4);
});

test("the seed decides: the same bits again, others with another", async () => {
  const once = await fit({ ...plain, epochs: 2, backend: "js" });
  expect(bits((await fit({ ...plain, epochs: 2, backend: "js" })).params)).toEqual(bits(once.params));
  expect(bits((await fit({ ...plain, epochs: 2, backend: "js", seed: 4 })).params)).not.toEqual(bits(once.params));
});

test("dropout draws anew in each step", async () => {
  const wide = sequential(dropout(0.5), linear(3, 3));
  const zero = { ...plain, net: wide, lr: 1e-30, data: { train }, batch: "full", backend: "js" } as const;
  const losses: number[] = [];
  await fit({ ...zero, epochs: 5, onProgress: (p) => losses.push(...Array.from(p.losses)) });
  expect(new Set(losses).size).toBe(5);
});

describe("validation and early stopping", () => {
  const options = {
    ...plain,
    data: { train, validation },
    epochs: 60,
    metrics: metricsOf("multiclass"),
    backend: "js",
  } as const;

  test("the entries hold what evaluate and predict say of the same model", async () => {
    const r = await fit({ ...options, epochs: 4, validationBatch: 9 });
    const last = r.history.at(-1)!;
    const said = await evaluate(net, r, validation, {
      loss: crossEntropy,
      metrics: metricsOf("multiclass"),
      batch: 41,
      backend: "js",
    });
    expect(said.metrics).toEqual(last.metrics);
    expect(Math.abs(said.loss - last.validationLoss!)).toBeLessThan(1e-7);
    const z = await predict(net, r, validation.x, { backend: "js", batch: 7 });
    expect(z.shape).toEqual([41, 3]);
    let loss = 0;
    for (let i = 0; i < 41; i++) {
      const row = [...z.data.subarray(3 * i, 3 * i + 3)];
      loss += (Math.log(row.reduce((a, b) => a + Math.exp(b), 0)) - row[validation.y.data[i]!]!) / 41;
    }
    expect(Math.abs(loss - said.loss)).toBeLessThan(1e-6);
  });

  test("the model is that of the best entry", async () => {
    const r = await fit({ ...options, lr: 0.1, earlyStopping: { patience: 4, metric: "logLoss" } });
    expect(r.stopReason).toBe("early stopping");
    const scores = r.history.map((h) => h.metrics!.logLoss!);
    const best = scores.indexOf(Math.min(...scores));
    expect(r.best).toEqual({ value: scores[best], epoch: best + 1, step: (best + 1) * 11, since: 4 });
    expect(r.epochs).toBe(best + 5);
    const until = await fit({ ...options, lr: 0.1, epochs: best + 1 });
    expect(bits(r.params)).toEqual(bits(until.params));
  });

  test("a change below minDelta is no improvement", async () => {
    const r = await fit({ ...options, earlyStopping: { patience: 2, minDelta: 100 } });
    expect(r.best).toMatchObject({ epoch: 1, since: 2 });
    expect(r.epochs).toBe(3);
  });

  test("an entry can stand for several epochs, and the end has one", async () => {
    const entries: Entry[] = [];
    const r = await fit({ ...options, epochs: 7, validateEvery: 3, onEntry: (e) => entries.push(e) });
    expect(entries.map((e) => [e.epoch, e.step])).toEqual([
      [3, 33],
      [6, 66],
      [7, 77],
    ]);
    expect(r.history).toEqual(entries);
    const cut = await fit({ ...options, epochs: 7, steps: 15, validateEvery: 3 });
    expect(cut.history.map((e) => [e.epoch, e.step])).toEqual([[1, 15]]);
    expect([cut.epochs, cut.steps]).toEqual([1, 15]);
  });

  test("thousands of epochs leave about a thousand entries", async () => {
    const r = await fit({ ...plain, batch: "full", epochs: 2500, backend: "js" });
    expect(r.history.length).toBe(834);
    expect(r.history.at(-1)!.step).toBe(2500);
  });
});

describe.each(backends)("numbers that are none, on %s", (backend) => {
  const mlp = sequential(linear(3, 8), relu, linear(8, 3));
  const caught = async (options: Partial<FitOptions<Module>>): Promise<[NonFiniteError, Memory]> => {
    const store = new Memory();
    try {
      await fit({ ...plain, net: mlp, epochs: 50, backend, store, ...options });
    } catch (error) {
      if (error instanceof NonFiniteError) return [error, store];
      throw error;
    }
    throw new Error("it did not stop");
  };

  test("an absurd rate: step, rate, cause and remedy; the checkpoint is the state before", async () => {
    const [error, store] = await caught({ lr: 1e30, optimizer: sgd() });
    expect(error.lr).toBe(1e30);
    expect(error.step).toBeGreaterThan(1);
    expect(error.message).toMatch(/^training stopped in step \d+ \(epoch 1, lr 1e\+30\): the /);
    expect(error.message).toContain("hint: the learning rate may be too large: try 1e+29");
    expect(Number.isFinite(error.lastLoss)).toBe(true);
    const before = await fit({ ...plain, net: mlp, backend, lr: 1e30, optimizer: sgd(), steps: error.step - 1 }).catch(
      () => undefined,
    );
    const kept = [...store.checkpoint!.tensors].filter(([name]) => name.startsWith("params."));
    if (before) expect(bits(Object.fromEntries(kept)).map((b) => b[3])).toEqual(bits(before.params).map((b) => b[3]));
    expect(store.events.at(-1)).toMatchObject({ event: "stop", reason: "non-finite", step: error.step - 1 });
  });

  test("in the middle of many steps: the one that failed, named with its op and module", async () => {
    // The rate turns absurd at step 40; the step after it is the one that fails.
    const lr = (step: number) => (step === 39 ? 1e25 : 0.01);
    const [error, store] = await caught({ lr, batch: 2 });
    expect([error.step, error.epoch]).toEqual([41, 1]);
    expect(JSON.parse(store.checkpoint!.about).progress.position).toEqual({ epoch: 0, update: 40, step: 40 });
    expect(error.finding?.module).toContain("net");
    expect(error.message).toContain("cause: ");
    const before = await fit({ ...plain, net: mlp, batch: 2, backend, lr, steps: 40 });
    const kept = [...store.checkpoint!.tensors].filter(([name]) => name.startsWith("params."));
    expect(bits(Object.fromEntries(kept)).map((b) => b[3])).toEqual(bits(before.params).map((b) => b[3]));
  });

  test("accumulated: the checkpoint is before the update", async () => {
    const lr = (step: number) => (step === 6 ? 1e25 : 0.01);
    const [error, store] = await caught({ lr, batch: 4, accumulate: 3 });
    expect(error.step).toBe(8);
    expect(JSON.parse(store.checkpoint!.about).progress.position).toEqual({ epoch: 0, update: 7, step: 7 });
    const before = await fit({ ...plain, net: mlp, batch: 4, accumulate: 3, backend, lr, steps: 7 });
    const kept = [...store.checkpoint!.tensors].filter(([name]) => name.startsWith("params."));
    expect(bits(Object.fromEntries(kept)).map((b) => b[3])).toEqual(bits(before.params).map((b) => b[3]));
  });

  test("a loss that f32 can still hold, and that means nothing any more", async () => {
    const y = value(
      [103, 1],
      Float32Array.from(train.y.data, (k) => (k > 0 ? 1 : 0)),
    );
    const [error] = await caught({
      net: linear(3, 1),
      loss: binaryCrossEntropy,
      optimizer: sgd(),
      lr: 1e30,
      data: { train: { x: train.x, y } },
    });
    expect(error.message).toMatch(/the loss has grown to \S+e\+\d+; the loss before was/);
    expect(error.step).toBe(2);
  });

  test("data at the edge of f32 fail in step 1, and the rate is not blamed", async () => {
    const x = value(
      [103, 3],
      Float32Array.from(train.x.data, (a) => a * 1e38),
    );
    const [error] = await caught({ data: { train: { x, y: train.y } } });
    expect(error.step).toBe(1);
    expect(error.message).toContain("hint: nothing has been learned yet");
    expect(error.finding).toBeDefined();
  });

  test("the last update is looked at, too", async () => {
    const wide = {
      train: {
        x: value(
          [103, 3],
          train.x.data.map((a) => a * 1e3),
        ),
        y: train.y,
      },
    };
    const [error] = await caught({
      lr: (step) => (step === 1 ? 3e38 : 1e-9),
      optimizer: sgd(),
      steps: 2,
      net: linear(3, 3),
      data: wide,
    });
    expect(error.message).toContain("the parameters are not finite");
  });
});

describe("what is refused, before anything is compiled", () => {
  const nan = (row: number) => {
    const xs = train.x.data.slice();
    xs[3 * row + 2] = NaN;
    return value([103, 3], xs);
  };
  const cases: Record<string, [Partial<FitOptions<Module>>, string]> = {
    "batch larger than the data": [{ batch: 104 }, "batch: 104 is more than the data: there are 103 rows"],
    "batch of no rows": [{ batch: 0 }, "batch: expected a whole number from 1"],
    "rate 0": [{ lr: 0 }, "lr: expected a number above 0, got 0"],
    "rate below 0": [{ lr: -0.1 }, "lr: expected a number above 0, got -0.1"],
    "rate NaN": [{ lr: NaN }, "lr: expected a number above 0, got NaN"],
    "schedule NaN": [{ lr: (t) => (t > 2 ? NaN : 0.1) }, "lr: the schedule gives NaN for step 4"],
    "no epochs": [{ epochs: 0 }, "epochs: expected a whole number from 1, got 0"],
    "half an epoch": [{ epochs: 0.5 }, "epochs: expected a whole number from 1, got 0.5"],
    "no steps": [{ steps: 0 }, "steps: expected a whole number from 1, got 0"],
    "accumulate 0": [{ accumulate: 0 }, "accumulate: expected a whole number of batches from 1, got 0"],
    seed: [{ seed: -1 }, "seed: expected an integer from 0"],
    lengths: [
      { data: { train: { x: train.x, y: validation.y } } },
      "training data: x is f32[103,3], y is i32[41]: 103 rows and 41 targets",
    ],
    "NaN in x": [{ data: { train: { x: nan(17), y: train.y } } }, "training data: x holds NaN in row 17, column 2"],
    "NaN in validation": [
      { data: { train, validation: { x: nan(5), y: train.y } } },
      "validation data: x holds NaN in row 5, column 2",
    ],
    "no rows": [
      { data: { train: { x: value([0, 3], []), y: value([0], [], "i32") } } },
      "its first axis must be the rows",
    ],
    "label out of range": [
      {
        data: {
          train: {
            x: train.x,
            y: value(
              [103],
              train.y.data.map((k, i) => (i === 9 ? 3 : k)),
              "i32",
            ),
          },
        },
      },
      "y holds 3 at position 9; it must lie in 0 … 2",
    ],
    "metrics without validation": [{ metrics: metricsOf("binary") }, "metrics need data.validation"],
    "early stopping without validation": [{ earlyStopping: { patience: 3 } }, "earlyStopping needs data.validation"],
    "early stopping by what is not measured": [
      { data: { train, validation }, earlyStopping: { patience: 3, metric: "auc" } },
      '"auc" is not measured',
    ],
    "patience 0": [
      { data: { train, validation }, earlyStopping: { patience: 0 } },
      "patience: expected a whole number from 1",
    ],
    "validateEvery 0": [{ validateEvery: 0 }, "validateEvery: expected a whole number from 1"],
    "resume without a store": [{ resume: true }, "resume needs the store"],
    "a net without parameters": [{ net: sequential(tanh) }, "the net has no parameters"],
  };
  test.each(Object.entries(cases))("%s", async (_, [options, message]) => {
    await expect(fit({ ...plain, epochs: 5, backend: "js", ...options } as FitOptions<Module>)).rejects.toThrow(
      message,
    );
  });

  test("neither epochs nor steps", async () => {
    await expect(fit({ ...plain, backend: "js" })).rejects.toThrow("say how long to train");
  });

  test("a checkpoint of another run", async () => {
    const store = new Memory();
    await fit({ ...plain, epochs: 1, backend: "js", store });
    const resumed = (more: object) => fit({ ...plain, epochs: 2, backend: "js", store, resume: true, ...more });
    await expect(resumed({ seed: 4 })).rejects.toThrow("memory: the run had seed 3, now it is 4");
    await expect(resumed({ batch: 11 })).rejects.toThrow("the run had batch 10, now it is 11");
    await expect(resumed({ optimizer: chain(clipGlobalNorm(1), adam()) })).rejects.toThrow(
      "the run had optimizer adam(",
    );
    await expect(resumed({ data: { train: classes(103, 1) } })).rejects.toThrow(
      "the run had training data x f32[103,3] #",
    );
    const other = sequential(linear(3, 9), tanh, dropout(0.2), linear(9, 3));
    await expect(resumed({ net: other })).rejects.toThrow('"params.layers.0.weight" is f32[8,3], expected f32[9,3]');
    const { tensors, about } = store.checkpoint!;
    store.checkpoint = { tensors, about: about.replace('"version":1', '"version":7') };
    await expect(resumed({})).rejects.toThrow("written in version 7 of the format, this is version 1");
  });
});

describe("predict", () => {
  const small = sequential(linear(3, 4), tanh, linear(4, 2));
  const model = init(small, 1);
  const by = (x: Value, batch: number) => predict(small, model, x, { backend: "js", batch });

  test.each([1, 2, 3, 8, 9, 16, 41, 103])("%d rows, in batches of any size", async (n) => {
    const x = value([n, 3], train.x.data.slice(0, 3 * n));
    const whole = await by(x, 1);
    expect(whole.shape).toEqual([n, 2]);
    for (const batch of [3, 5, 8, 64, 1024]) expect(await by(x, batch)).toEqual(whole);
  });

  test("one program serves any number of rows: a batch, and powers of two for what is left", async () => {
    const programs: string[] = [];
    const counting: Backend = {
      ...jsBackend,
      load(program) {
        programs.push(`${program.outputs[0]!.shape}`);
        return jsBackend.load(program);
      },
    };
    for (const n of [16, 40, 48, 37]) {
      await predict(small, model, value([n, 3], train.x.data.slice(0, 3 * n)), { backend: counting, batch: 16 });
    }
    expect(new Set(programs)).toEqual(new Set(["16,2", "8,2"]));
  });

  test("no rows and no batch are refused", async () => {
    await expect(by(value([0, 3], []), 8)).rejects.toThrow("its first axis must be the rows");
    await expect(by(train.x, 0)).rejects.toThrow("batch: expected a whole number from 1, got 0");
  });
});

test.skipIf(!probeCompiler().found)("memory stays flat over 10⁵ steps", async () => {
  const { out } = await child(
    `
    import { value } from "./ir/value.js";
    import { linear, binaryCrossEntropy } from "./nn/index.js";
    import { sgd } from "./optim/index.js";
    import { fit } from "./train/index.js";
    const n = 1000;
    const x = value([n, 20], Float32Array.from({ length: n * 20 }, (_, k) => Math.sin(k)));
    const y = value([n, 1], Float32Array.from({ length: n }, (_, i) => (x.data[20 * i] > 0 ? 1 : 0)));
    const rss = [];
    const onEntry = () => { gc(); rss.push(process.memoryUsage.rss() / 2 ** 20); };
    const data = { train: { x, y } };
    await fit({ net: linear(20, 1), loss: binaryCrossEntropy, optimizer: sgd(), lr: 0.01, data, batch: 1, epochs: 300, validateEvery: 20, onEntry, backend: "native" });
    console.log(JSON.stringify(rss));`,
    { flags: ["--expose-gc"] },
  );
  const rss = JSON.parse(out) as number[];
  expect(rss.length).toBe(15); // every 20,000 steps; the first 100,000 are the warm-up
  expect(rss.at(-1)! - rss[4]!, rss.map((mb) => mb.toFixed(1)).join(" ")).toBeLessThan(4);
});

describe("frozen parameters", () => {
  const frozen = freeze(under("layers.0"), adam({ weightDecay: 0.1 }));
  const still = sequential(linear(3, 8), tanh, linear(8, 3)); // without dropout, so that batches of any size agree
  const start = init(still, 3);
  const options = { ...plain, net: still, optimizer: frozen, start, steps: 7 } as const;

  test.each(backends)("keep their bits; the rest learns, and alone is in the norm (%s)", async (backend) => {
    const [part, all] = [
      await fit({ ...options, backend, steps: 1 }),
      await fit({ ...options, backend, steps: 1, optimizer: adam() }),
    ];
    expect(part.history[0]!.gradientNorm).toBeLessThan(0.95 * all.history[0]!.gradientNorm);
    const { params } = await fit({ ...options, backend });
    expect(bits(params.layers[0])).toEqual(bits(start.params.layers[0]));
    expect(bits(params.layers[2])).not.toEqual(bits(start.params.layers[2]));
  });

  test("are left out of what is accumulated", async () => {
    const whole = await fit({ ...options, backend: "js" });
    const halves = await fit({ ...options, backend: "js", batch: 5, accumulate: 2 });
    const [a, b] = [tree.leaves<Value>(whole.params), tree.leaves<Value>(halves.params)];
    a.forEach((v, k) => v.data.forEach((x, i) => expect(b[k]!.data[i]).toBeCloseTo(x, 5)));
    expect(bits(halves.params.layers[0])).toEqual(bits(start.params.layers[0]));
  });
});
