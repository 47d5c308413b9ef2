/**
 * The same bits from any number of threads: losses and model after some steps of networks nobody chose, on 1, 2 and 4
 * threads, which may be more than there are processors, and on another number at each share.
 */
import { readdirSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { integers, noise } from "../../bench/noise.ts";
import type { Value } from "../../src/ir/index.ts";
import {
  batchNorm2d,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  gelu,
  gpt,
  layerNorm,
  linear,
  type Module,
  maxPool2d,
  relu,
  sequential,
  tanh,
} from "../../src/nn/index.ts";
import { adam, chain, clipGlobalNorm, momentum } from "../../src/optim/index.ts";
import type { Backend } from "../../src/run/backend.ts";
import { nativeBackend } from "../../src/run/native/backend.ts";
import { probeCompiler } from "../../src/run/native/compiler.ts";
import { alwaysThreads, type Threads } from "../../src/run/native/threads.ts";
import { fit } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";

const compiler = probeCompiler();
const rules = { momentum: momentum({ momentum: 0.9 }), adam: adam(), clipped: chain(clipGlobalNorm(0.5), adam()) };

type Experiment = {
  readonly net: Module;
  readonly x: Value;
  readonly y: Value;
  readonly batch: number;
  readonly rule: keyof typeof rules;
};

/** Losses and model as one text, and whether the program had work for several threads. */
async function train({ net, x, y, batch, rule }: Experiment, threads: number, decide = () => alwaysThreads(threads)) {
  if (!compiler.found) throw new Error(compiler.reason);
  const native = nativeBackend(compiler, decide);
  let shared = false;
  const backend: Backend = {
    ...native,
    load(program, most) {
      const executable = native.load(program, most);
      shared ||= executable.source.includes("dh_team");
      return executable;
    },
  };
  const losses: number[] = [];
  const { params, state } = await fit({
    ...{ net, loss: crossEntropy, optimizer: rules[rule], lr: 1e-2, data: { train: { x, y } }, batch, steps: 6 },
    ...{ seed: 3, backend, threads, onProgress: (p) => losses.push(...Array.from(p.losses)) },
  });
  const bits = tree.leaves<Value>({ params, state }).map(({ data }) => {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
  });
  return { losses, bits, shared };
}

/** Another number of threads at each share of two steps. */
function changing(most: number): Threads {
  let k = 0;
  return { ...alwaysThreads(1), next: (steps) => ({ steps: Math.min(2, steps), threads: (k++ % most) + 1 }) };
}

const rule = fc.constantFrom(...(Object.keys(rules) as (keyof typeof rules)[]));
const activation = fc.constantFrom(relu, tanh, gelu);
const rate = fc.constantFrom(0, 0.3);

// Large enough to be cut into several blocks; odd sizes leave a last block that is shorter.
const mlp = fc
  .record({ rule, activation, rate, batch: fc.constantFrom(150, 256), width: fc.constantFrom(256, 330) })
  .map(({ rule, batch, activation, rate, width }): Experiment => {
    const net = sequential(linear(300, width), layerNorm(width), activation, dropout(rate), linear(width, 10));
    return { net, x: noise(1, [2 * batch, 300]), y: integers(2, [2 * batch], 10), batch, rule };
  });
const cnn = fc
  .record({ rule, activation, rate, batch: fc.constantFrom(33, 48), channels: fc.constantFrom(13, 16) })
  .map(({ rule, batch, activation, rate, channels }): Experiment => {
    const block = [conv2d(3, channels, 3, { padding: 1 }), batchNorm2d(channels), activation, maxPool2d(2)];
    const net = sequential(...block, flatten, dropout(rate), linear(channels * 100, 10));
    return { net, x: noise(1, [2 * batch, 3, 20, 20]), y: integers(2, [2 * batch], 10), batch, rule };
  });
const language = fc
  .record({ rule, rate, batch: fc.constantFrom(15, 16), heads: fc.constantFrom(2, 4) })
  .map(({ rule, batch, rate, heads }): Experiment => {
    const net = gpt({ vocabulary: 65, context: 48, layers: 1, heads, width: 64, dropout: rate });
    return { net, x: integers(1, [2 * batch, 48], 65), y: integers(2, [2 * batch, 48], 65), batch, rule };
  });

const drawn = [
  ...fc.sample(mlp, { numRuns: 2, seed: 1 }).map((e) => ["an MLP", e] as const),
  ...fc.sample(cnn, { numRuns: 1, seed: 2 }).map((e) => ["a CNN", e] as const),
  ...fc.sample(language, { numRuns: 1, seed: 3 }).map((e) => ["a GPT", e] as const),
];

describe.skipIf(!compiler.found)("the bits do not depend on the number of threads", () => {
  test.each(drawn)("%s", async (_, experiment) => {
    const alone = await train(experiment, 1);
    expect(alone.shared).toBe(true);
    expect(alone.losses).toHaveLength(6);
    for (const threads of [2, 4]) expect(await train(experiment, threads)).toEqual(alone);
    expect(await train(experiment, 4, () => changing(4))).toEqual(alone);
  });

  test("many trainings leave no threads behind", async () => {
    const [, experiment] = drawn[0]!;
    await train(experiment, 4);
    const tasks = () => (process.platform === "linux" ? readdirSync("/proc/self/task").length : 0);
    const before = tasks();
    for (let k = 0; k < 5; k++) await train(experiment, 4);
    expect(tasks()).toBe(before);
  });
});
