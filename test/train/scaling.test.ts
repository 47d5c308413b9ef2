/**
 * Training in f16: the scale of the loss against PyTorch's GradScaler, steps that overflow and leave no trace, and what
 * ends a training that would skip forever. Overflow is made by a loss that gets too large, on data of the test's own.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Tensor, type Value, value } from "../../src/ir/index.ts";
import { batchNorm1d, init, linear, mse, sequential } from "../../src/nn/index.ts";
import { adam, chain, clipGlobalNorm, cosine } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { type FitOptions, fit, NonFiniteError, type Packed, type Store } from "../../src/train/index.ts";
import { scaled, scalerOf, scaling } from "../../src/train/scaling.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { draw } from "../ir/numbers.ts";

const golden = JSON.parse(readFileSync(new URL("../golden/scaling.json", import.meta.url), "utf8")) as {
  readonly defaults: {
    readonly start: number;
    readonly growth: number;
    readonly backoff: number;
    readonly interval: number;
  };
  readonly cases: readonly {
    readonly start: number;
    readonly interval: number;
    readonly finite: readonly number[];
    readonly scales: readonly number[];
  }[];
};

test("the defaults are PyTorch's", () => {
  const { start, growth, backoff, interval } = scaling;
  expect({ start, growth, backoff, interval }).toEqual(golden.defaults);
});

test("the scale goes PyTorch's way", async () => {
  for (const { start, interval, finite, scales } of golden.cases) {
    const run = await Run.start(scalerOf({ scale: start, good: 0 }), { backend: "js" });
    const loop = run.loop((s, { ok }: { ok: Tensor }) => {
      const next = scaled(s, ok.eq(1), interval);
      return { state: next, output: { scale: next.scale } };
    });
    const { output } = await loop.take(finite.length, { ok: value([finite.length], finite) });
    expect([...output.scale.data]).toEqual(scales);
  }
});

/** A store that keeps each checkpoint. */
function shelf() {
  const kept: Packed[] = [];
  const store: Store = {
    name: "shelf",
    save: async (packed) => void kept.push(packed),
    load: async () => kept.at(-1),
    saveModel: async () => {},
    log: () => {},
  };
  return { kept, store };
}

const rows = 96;
const inputs = 20;
const net = sequential(linear(inputs, 24), batchNorm1d(24), linear(24, 1));
const y = value([rows, 1], draw([rows, 1], "f32").data);
const x = draw([rows, inputs], "f32");
/** The answers, but that of these rows so many times as large. */
const answers = (size: number, loud: readonly number[]): Value =>
  value(
    [rows, 1],
    Float32Array.from(y.data, (v, r) => (loud.includes(r) ? v * size : v)),
  );
const bits = ({ tensors }: Packed) => new Map([...tensors].map(([name, v]) => [name, [...v.data]]));

const base = {
  net,
  loss: mse,
  optimizer: chain(clipGlobalNorm(1), adam()),
  lr: cosine({ lr: 0.02, steps: 30 }),
  batch: 16,
  shuffle: false,
  precision: "f16",
} as const;

describe.each(backends)("%s", (backend) => {
  // Batch 1 of each epoch has answers so large that gradients scaled by 2^16 leave f16's range.
  const data = { train: { x, y: answers(3000, [16, 32]) } };
  const options: FitOptions<typeof net> = { ...base, data, backend };
  const count = (n: number) => ({ ...options, steps: n });

  test("a step that overflows leaves no trace but a smaller scale: neither schedule nor Adam's step number go on", async () => {
    const { kept, store } = shelf();
    const first = await fit({ ...count(1), store });
    expect(first.scaling).toEqual({ scale: 65536, skipped: 0 });
    const controller = new AbortController();
    const stopped = await fit({
      ...count(2),
      store,
      resume: true,
      signal: controller.signal,
      onProgress: ({ scaling }) => scaling!.skipped > 0 && controller.abort(),
    });
    expect(stopped).toMatchObject({ stopReason: "aborted", steps: 1, scaling: { scale: 32768, skipped: 1 } });
    const [before, after] = [kept[0]!, kept.at(-1)!];
    expect(bits(after)).toEqual(bits(before));
    const [was, is] = [before, after].map(({ about }) => JSON.parse(about).progress);
    expect(is.position).toEqual({ ...was.position, update: 2 });
    expect(is.scaling).toEqual({ scale: 32768, good: 0, skipped: 1 });
    expect(was.scaling).toEqual({ scale: 65536, good: 1, skipped: 0 });
  });

  test("skips are told, and stopping anywhere changes no bit", async () => {
    const whole = await fit({ ...options, epochs: 3 });
    const { skipped, scale } = whole.scaling!;
    expect(skipped).toBeGreaterThan(1);
    expect(whole.steps + skipped).toBe(18);
    expect(whole.history.reduce((sum, e) => sum + e.skipped!, 0)).toBe(skipped);
    expect(whole.history.at(-1)!.scale).toBe(scale);
    const { store } = shelf();
    for (let rounds = 0; ; rounds++) {
      const controller = new AbortController();
      const onProgress = () => controller.abort();
      const r = await fit({ ...options, epochs: 3, store, resume: true, signal: controller.signal, onProgress });
      expect(rounds).toBeLessThan(40);
      if (r.stopReason === "aborted") continue;
      expect({ ...r.scaling, params: r.params, state: r.state, history: r.history }).toEqual({
        ...whole.scaling,
        params: whole.params,
        state: whole.state,
        history: whole.history,
      });
      break;
    }
  });

  test("accumulated batches are skipped together, running statistics of the good ones included", async () => {
    const { kept, store } = shelf();
    const all = { ...options, accumulate: 3, epochs: 1, validateEvery: { steps: 1 }, checkpointEverySeconds: 0 };
    const controller = new AbortController();
    const seen: number[] = [];
    await fit({
      ...all,
      store,
      signal: controller.signal,
      onProgress: ({ scaling }) => {
        seen.push(scaling!.skipped);
        if (scaling!.skipped > 0) controller.abort();
      },
    });
    expect(seen).toEqual([1]);
    const packed = bits(kept.at(-1)!);
    const { params, state } = init(net, 0);
    for (const [name, v] of tree.paths<Value>({ params, state })) expect(packed.get(name), name).toEqual([...v.data]);
    const done = await fit({ ...all, store, resume: true });
    expect(done.steps + done.scaling!.skipped).toBe(2);
  });

  test("a loss that is not finite by itself ends the training, and says what was tried", async () => {
    const loss = (p: Tensor, t: Tensor) => p.sub(t).square().mean().sub(1e6).log();
    const error = await fit({ ...options, loss, epochs: 9 }).catch((e) => e);
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error.scale).toBe(1);
    expect(error.message).toMatch(/the loss is NaN[\s\S]*scaled by 1;[\s\S]*bf16/);
  });

  test("f64 trains in f64, and gives back what it was given", async () => {
    const plain = { ...options, data: { train: { x, y } }, precision: "f64", epochs: 2 } as const;
    const double = await fit(plain);
    const f64 = (v: Value) => (v.dtype === "f32" ? value(v.shape, Float64Array.from(v.data), "f64") : v);
    const start = tree.map(f64, init(net, 0));
    const { precision: _, ...by } = plain;
    const hand = await fit({ ...by, data: { train: { x: f64(x), y: f64(y) } }, start });
    expect(double.history.at(-1)!.trainLoss).toBe(hand.history.at(-1)!.trainLoss);
    for (const [path, v] of tree.paths<Value>(double.params)) {
      const exact = new Map(tree.paths<Value>(hand.params)).get(path)!;
      expect(v.dtype).toBe("f32");
      expect([...v.data]).toEqual([...Float32Array.from(exact.data)]);
    }
  });
});
