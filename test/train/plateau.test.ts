/** Rates that follow the history: those of a loop over it, in one run and in one that is stopped again and again. */
import { describe, expect, test } from "vitest";
import { type Value, value } from "../../src/ir/value.ts";
import { crossEntropy, linear, sequential, tanh } from "../../src/nn/index.ts";
import { adam, join, plateau, linear as ramp } from "../../src/optim/index.ts";
import { type Entry, type FitOptions, fit, metricsOf, type Packed, type Store } from "../../src/train/index.ts";
import { leaves } from "../../src/tree.ts";

/** Three classes that no line parts, some of them wrong, so that the validation loss soon gets no better. */
function classes(n: number, phase: number) {
  const xs = Float32Array.from({ length: n * 3 }, (_, k) => Math.sin((k + phase) * 1.7 + (k % 7)));
  const ys = Int32Array.from({ length: n }, (_, i) => (i % 5 === 0 ? i % 3 : xs[3 * i]! * xs[3 * i + 1]! > 0 ? 2 : 1));
  return { x: value([n, 3], xs), y: value([n], ys, "i32") };
}
const net = sequential(linear(3, 8), tanh, linear(8, 3));
const options = {
  net,
  loss: crossEntropy,
  optimizer: adam(),
  lr: plateau({ lr: 0.05, factor: 0.5, patience: 1 }),
  data: { train: classes(60, 0), validation: classes(40, 500) },
  epochs: 20,
  batch: 10,
  seed: 3,
  backend: "js",
} satisfies FitOptions<typeof net>;

const numbers = (t: unknown) => leaves<Value>(t).map(({ data }) => [...data]);

/** Patience 1, factor ½ and the threshold of PyTorch, as a loop over what was measured before each entry. */
function rates(measured: readonly number[], better: (now: number, best: number) => boolean): number[] {
  let [lr, bad] = [0.05, 0];
  let best: number | undefined;
  return measured.map((now) => {
    const before = lr;
    if (best === undefined || better(now, best)) [best, bad] = [now, 0];
    else if (++bad > 1) [lr, bad] = [lr / 2, 0];
    return before;
  });
}
const lower = (now: number, best: number) => now < best * (1 - 1e-4);
const higher = (now: number, best: number) => now > best * (1 + 1e-4);

const looked: [string, object, (e: Entry) => number, typeof lower][] = [
  ["the validation loss", {}, (e) => e.validationLoss!, lower],
  ["the training loss, without a validation", { data: { train: options.data.train } }, (e) => e.trainLoss, lower],
  [
    "a metric",
    {
      lr: plateau({ lr: 0.05, factor: 0.5, patience: 1, metric: "accuracy", better: "higher" }),
      metrics: metricsOf("multiclass"),
    },
    (e) => e.metrics!.accuracy!,
    higher,
  ],
  ["entries of some steps", { validateEvery: { steps: 4 } }, (e) => e.validationLoss!, lower],
];

describe.each(looked)("on %s", (_, more, measure, better) => {
  test("the rates are those of a loop over the history", async () => {
    const { history } = await fit({ ...options, ...more });
    expect(history.map(({ lr }) => lr)).toEqual(rates(history.map(measure), better));
    expect(history.at(-1)!.lr).toBeLessThan(history[0]!.lr);
  });

  test("stopped and resumed: the same bits", async () => {
    const whole = await fit({ ...options, ...more });
    let kept: Packed | undefined;
    const store: Store = {
      name: "memory",
      save(packed) {
        kept = packed;
      },
      load: () => kept,
      saveModel() {},
      log() {},
    };
    let rounds = 0;
    for (;;) {
      const stop = new AbortController();
      let calls = 0;
      const onProgress = () => ++calls === 3 && stop.abort();
      const r = await fit({ ...options, ...more, store, resume: true, signal: stop.signal, onProgress });
      rounds++;
      if (r.stopReason === "aborted") continue;
      expect(rounds).toBeGreaterThan(3);
      expect(r.history).toEqual(whole.history);
      expect(numbers(r.params)).toEqual(numbers(whole.params));
      break;
    }
  });
});

test("after a warm-up the history begins anew", async () => {
  const warmup = { schedule: ramp({ lr: 0.05, from: 0.01, steps: 12 }), steps: 12 };
  const { history } = await fit({ ...options, lr: join([warmup, { schedule: options.lr }]) });
  const after = history.slice(2); // of 6 steps each
  expect(after.map(({ lr }) => lr)).toEqual(
    rates(
      after.map((e) => e.validationLoss!),
      lower,
    ),
  );
});

test("a metric that will not be measured is told before the first step", async () => {
  const lr = plateau({ lr: 0.05, metric: "recall", better: "higher" });
  let entries = 0;
  await expect(fit({ ...options, lr, onEntry: () => entries++ })).rejects.toThrow(
    /plateau: "recall" is not measured\n {2}hint: measured: loss/,
  );
  expect(entries).toBe(0);
});
