/** `fit` by full-batch methods: against the solution of a linear system, against itself resumed, and what it refuses. */
import { describe, expect, test } from "vitest";
import { type Value, value } from "../../src/ir/value.ts";
import { gradientDescent, lbfgs, type Method, methods as registry } from "../../src/minimize/index.ts";
import { batchNorm1d, crossEntropy, dropout, init, linear, mse, sequential, tanh } from "../../src/nn/index.ts";
import { adam, freeze, under } from "../../src/optim/index.ts";
import {
  type Entry,
  evaluate,
  fit,
  metricsOf,
  NonFiniteError,
  type Packed,
  type Store,
} from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { classes } from "./classes.ts";

const methods: readonly Method[] = [
  ...Object.values(registry).map((row): Method => row.make()),
  gradientDescent({ lineSearch: "exact" }),
  gradientDescent({ lineSearch: "barzilaiBorwein" }),
];

const train = classes(103);
const validation = classes(41, 500);
const net = sequential(linear(3, 6), batchNorm1d(6), tanh, linear(6, 3));
const plain = {
  net,
  loss: crossEntropy,
  optimizer: lbfgs(),
  data: { train },
  batch: "full",
  steps: 8,
  backend: "js",
} as const;

const bits = (t: unknown) => tree.paths<Value>(t).map(([path, v]) => [path, `${v}`, Array.from(v.data)]);

/** A store that keeps its last checkpoint, as packed. */
function memory(): Store & { packed: Packed | undefined; events: string[] } {
  return {
    name: "memory",
    packed: undefined,
    events: [],
    save(packed) {
      this.packed = packed;
    },
    load() {
      return this.packed;
    },
    saveModel: () => {},
    log(event) {
      this.events.push(event.event);
    },
  };
}

describe.each(backends)("on %s", (backend) => {
  test.each(methods.map((m) => [m.describe, m] as const))(
    "%s finds the solution of the normal equations",
    async (_, optimizer) => {
      // y = 2 a − 3 b + 1 + what no line has: orthogonal to a, b and 1, so that the solution is known.
      const rows = [
        [1, 1, 2],
        [1, -1, -2],
        [-1, 1, -2],
        [-1, -1, 2],
      ];
      const x = value(
        [4, 2],
        rows.flatMap(([a, b]) => [a!, b!]),
        "f64",
      );
      const y = value(
        [4, 1],
        rows.map(([a, b, rest]) => 2 * a! - 3 * b! + 1 + rest!),
        "f64",
      );
      const line = linear(2, 1);
      const start = tree.map((v: Value) => value(v.shape, v.data, "f64"), init(line, 1));
      const options = { net: line, loss: mse, start, steps: 200, gradientTolerance: 1e-9, backend };
      const found = await fit({ ...options, data: { train: { x, y } }, optimizer });
      const [[, weight], [, bias]] = tree.paths<Value>(found.params) as [[string, Value], [string, Value]];
      expect(weight.data[0]).toBeCloseTo(2, 7);
      expect(weight.data[1]).toBeCloseTo(-3, 7);
      expect(bias.data[0]).toBeCloseTo(1, 7);
      expect(found).toMatchObject({ stopReason: "converged", backend });
      expect(found.evaluations.gradient).toBeGreaterThan(found.steps);
    },
  );
});

test.each(methods.map((m) => [m.describe, m] as const))(
  "%s, stopped and resumed, gives the same bits",
  async (_, optimizer) => {
    const data = { train, validation };
    const options = { ...plain, data, optimizer, validateEvery: { steps: 3 } };
    const whole = await fit(options);
    const store = memory();
    await fit({ ...options, steps: 5, store });
    const rest = await fit({ ...options, store, resume: true });
    expect(bits(rest.params)).toEqual(bits(whole.params));
    expect(bits(rest.state)).toEqual(bits(whole.state));
    expect(rest.history.at(-1)).toEqual(whole.history.at(-1));
    expect(rest.steps).toBe(8);
    expect(store.events.filter((event) => event !== "entry")).toEqual(["start", "stop", "resume", "stop"]);
  },
);

test("running statistics are taken once a step, of all rows, and no line search touches them", async () => {
  const { params, state } = await fit({ ...plain, net: sequential(batchNorm1d(3), linear(3, 3)), steps: 4 });
  const means = [0, 1, 2].map((c) => train.x.data.reduce((sum, x, k) => (k % 3 === c ? sum + x / 103 : sum), 0));
  const running = tree.paths<Value>(state).find(([path]) => /mean/i.test(path))![1];
  for (const c of [0, 1, 2]) expect(running.data[c]).toBeCloseTo(means[c]! * (1 - 0.9 ** 4), 6);
  expect(tree.leaves(params)).toHaveLength(4);
});

test("history, callbacks and the model agree with evaluate", async () => {
  const entries: Entry[] = [];
  const steps: number[] = [];
  const metrics = metricsOf("multiclass", ["accuracy"]);
  const found = await fit({
    ...plain,
    data: { train, validation },
    metrics,
    onEntry: (entry) => entries.push(entry),
    onProgress: ({ step, losses }) => steps.push(step, losses.length),
  });
  expect(found.history).toEqual(entries);
  expect(entries.map((e) => e.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  for (const [k, { trainLoss }] of entries.entries())
    if (k > 0) expect(trainLoss).toBeLessThan(entries[k - 1]!.trainLoss);
  expect(steps.filter((_, k) => k % 2 === 1).reduce((a, b) => a + b)).toBe(8);
  const last = await evaluate(net, found, validation, { loss: crossEntropy, metrics, backend: "js" });
  expect(entries.at(-1)!.validationLoss).toBeCloseTo(last.loss, 6);
  expect(entries.at(-1)!.metrics).toEqual(last.metrics);
  expect(found).toMatchObject({ stopReason: "done", reason: "8 steps taken", epochs: 8, steps: 8 });
});

test("early stopping returns the best model", async () => {
  // Answers by chance: what is learnt of them is no help with others.
  const chance = value(
    [20],
    Array.from({ length: 20 }, (_, i) => (i * i) % 3),
    "i32",
  );
  const data = { train: { x: classes(20).x, y: chance }, validation };
  const found = await fit({ ...plain, data, steps: 200, earlyStopping: { patience: 4 } });
  expect(found.stopReason).toBe("early stopping");
  const losses = found.history.map((e) => e.validationLoss!);
  expect(found.best!.value).toBe(Math.min(...losses));
  const { loss } = await evaluate(net, found, validation, { loss: crossEntropy, backend: "js" });
  expect(loss).toBeCloseTo(found.best!.value, 6);
});

test("a batch of all rows is the full one", async () => {
  const rows = await fit({ ...plain, batch: 103 as never, steps: 2 });
  const full = await fit({ ...plain, steps: 2 });
  expect(bits(rows.params)).toEqual(bits(full.params));
});

test.each(backends)("what the loss and what the validation takes of memory is told in one, %s", async (backend) => {
  const line = linear(3, 3); // without statistics: what validates has no training data
  const taken = async (train: number, validation: number) => {
    const data = { train: classes(train), validation: classes(validation, 500) };
    return (await fit({ ...plain, net: line, data, steps: 1, backend, threads: 1 })).memory;
  };
  const few = await taken(103, 41);
  for (const more of [await taken(103 + 5000, 41), await taken(103, 41 + 5000)]) {
    const bytes = 5000 * (3 + 1) * 4; // x and a label
    expect(more.predictedBytes - few.predictedBytes).toBeGreaterThanOrEqual(bytes);
    if (backend === "js") expect(more).toEqual({ predictedBytes: more.predictedBytes });
    else {
      expect(more.usedBytes! - few.usedBytes!).toBeGreaterThanOrEqual(bytes - 4096);
      expect(more.processBytes!).toBeGreaterThan(more.predictedBytes);
    }
  }
});

test("one step, and patience for one entry, are told as one", async () => {
  expect((await fit({ ...plain, steps: 1 })).reason).toBe("1 step taken");
  const data = { train, validation: { ...train, y: value([103], new Int32Array(103), "i32") } }; // wrong, ever more so
  const { reason } = await fit({ ...plain, data, steps: 50, earlyStopping: { patience: 1 } });
  expect(reason).toBe("the validation got no better for one entry");
});

test("a signal ends it with what it has", async () => {
  const controller = new AbortController();
  const onEntry = ({ step }: Entry) => step === 3 && controller.abort();
  const found = await fit({ ...plain, steps: 100, onEntry, signal: controller.signal });
  const three = await fit({ ...plain, steps: 3 });
  expect(found).toMatchObject({ stopReason: "aborted", steps: 3 });
  expect(bits(found.params)).toEqual(bits(three.params));
});

describe("what is refused", () => {
  const noisy = sequential(linear(3, 6), dropout(0.5), linear(6, 3));
  const wrong: Record<string, [Record<string, unknown>, RegExp]> = {
    "mini-batches": [{ batch: 32 }, /lbfgs\(.*\) sees all 103 rows in every step, and batch is 32\n.*batch: "full"/],
    "a learning rate": [{ lr: 0.1 }, /lbfgs\(.*\) takes no lr\n.*its own step lengths/],
    accumulation: [{ accumulate: 2 }, /takes no accumulate/],
    shuffling: [{ shuffle: true }, /takes no shuffle/],
    "rounded products": [{ precision: "bf16" }, /takes no precision/],
    dropout: [{ net: noisy }, /the net draws in training.*lbfgs.* needs one\n.*dropout/],
    "no end": [{ steps: undefined }, /say how long to train/],
    "an unknown option": [{ stpes: 3 }, /there is no option stpes/],
    "no net": [{ net: 3 }, /net: expected a module, got 3/],
    "metrics without validation": [{ metrics: metricsOf("multiclass", ["accuracy"]) }, /metrics need data.validation/],
    "resume without a store": [{ resume: true }, /resume needs the store/],
  };
  test.each(Object.entries(wrong))("%s", async (_, [options, message]) => {
    await expect(fit({ ...plain, ...options } as never)).rejects.toThrow(message);
  });

  test("freezing around a method", () => {
    expect(() => freeze(under("layers.0"), lbfgs() as never)).toThrow(/expected a transform such as adam\(\)/);
  });

  test("another method than the run began with", async () => {
    const store = memory();
    await fit({ ...plain, steps: 2, store });
    const other = fit({ ...plain, optimizer: lbfgs({ history: 5 }), store, resume: true });
    await expect(other).rejects.toThrow(/the run had optimizer lbfgs\(history 10/);
  });

  test("a first loss that is no number", async () => {
    const x = value([2, 1], [3e38, -3e38]);
    const bad = fit({ ...plain, net: linear(1, 1), loss: mse, data: { train: { x, y: value([2, 1], [0, 0]) } } });
    await expect(bad).rejects.toThrow(NonFiniteError);
    await expect(bad).rejects.toThrow(/step 1 .* the loss is Infinity/);
  });

  test("and an optimizer's options stay an optimizer's", async () => {
    await expect(fit({ ...plain, optimizer: adam() } as never)).rejects.toThrow(/lr: expected a number/);
  });
});
