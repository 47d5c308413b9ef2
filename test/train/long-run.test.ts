/**
 * 2,000 steps of an MLP and of a GPT, native against the reference in JavaScript. An error of a compiled step that is too
 * small for a test of one step adds up over a training, and pulls its losses off the reference's curve.
 *
 * The MLP's losses agree one by one. A GPT's single losses part after some hundred steps, and means of 100 stay together:
 * up to 0.001 nats apart between backends, and as far between two runs of the reference whose weights begin 1e-6 apart; two
 * seeds are 0.04 apart. It has no biases: the gradients of those of its keys are 0 but for rounding, of which Adam makes
 * steps of full size, so that the reference itself, begun 1e-7 apart, is 0.05 from itself after 300 steps.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { uniforms } from "../../bench/noise.ts";
import { type Value, value } from "../../src/ir/index.ts";
import { crossEntropy, gelu, gpt, linear, type Module, relu, sequential } from "../../src/nn/index.ts";
import { adamW } from "../../src/optim/index.ts";
import type { Backend } from "../../src/run/backend.ts";
import { jsBackend } from "../../src/run/js.ts";
import { nativeBackend } from "../../src/run/native/backend.ts";
import { probeCompiler } from "../../src/run/native/compiler.ts";
import { alwaysThreads } from "../../src/run/native/threads.ts";
import { fit } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { hasNative } from "../backends.ts";

type Job = { readonly net: Module; readonly x: Value; readonly y: Value; readonly batch: number; readonly lr: number };

/** Four classes: on which side of a plane, and of a quadric, a point lies. */
function mlp(): Job {
  const [n, d] = [512, 16];
  const x = Float32Array.from(uniforms(1, n * d), (u) => 2 * u - 1);
  const y = Int32Array.from({ length: n }, (_, i) => {
    const row = x.subarray(i * d, (i + 1) * d);
    const plane = row.reduce((sum, v, j) => sum + v * Math.cos(j), 0);
    const quadric = row.reduce((sum, v, j) => sum + v * row[(j + 1) % d]!, 0);
    return 2 * Number(plane > 0) + Number(quadric > 0);
  });
  const net = sequential(linear(d, 32), relu, linear(32, 32), gelu, linear(32, 4));
  return { net, x: value([n, d], x), y: value([n], y, "i32"), batch: 32, lr: 1e-3 };
}

/** The next character of a novel. */
function language(): Job {
  const [n, context] = [1000, 8];
  const text = readFileSync(new URL("../../examples/data/emma.txt", import.meta.url), "utf8").slice(0, 100_000);
  const characters = [...new Set(text)].sort();
  const tokens = Int32Array.from(text, (c) => characters.indexOf(c));
  const starts = Array.from(uniforms(2, n), (u) => Math.floor(u * (tokens.length - context)));
  const windows = (shift: number) =>
    value(
      [n, context],
      Int32Array.from(
        { length: n * context },
        (_, k) => tokens[starts[Math.floor(k / context)]! + (k % context) + shift]!,
      ),
      "i32",
    );
  const net = gpt({ vocabulary: characters.length, context, layers: 1, heads: 2, width: 16, bias: false });
  return { net, x: windows(0), y: windows(1), batch: 8, lr: 3e-3 };
}

async function train({ net, x, y, batch, lr }: Job, backend: Backend, threads: number) {
  const losses: number[] = [];
  const { params } = await fit({
    ...{ net, loss: crossEntropy, optimizer: adamW(), lr, data: { train: { x, y } }, batch, steps: 2000, seed: 3 },
    ...{ backend, threads, onProgress: (p) => losses.push(...Array.from(p.losses)) },
  });
  return { losses, numbers: tree.leaves<Value>(params).map((v) => v.data) };
}

/** Means of 100 losses each. */
const means = (losses: readonly number[]) =>
  Array.from({ length: losses.length / 100 }, (_, k) =>
    losses.slice(100 * k, 100 * (k + 1)).reduce((sum, x) => sum + x / 100, 0),
  );

describe.skipIf(!hasNative)("2,000 steps stay on the reference's curve", () => {
  test.each([
    ["an MLP", mlp(), 1e-5, 0.2],
    ["a GPT", language(), 0.005, 2.5],
  ] as const)("%s", async (_, job, within, end) => {
    const compiler = probeCompiler();
    if (!compiler.found) throw new Error(compiler.reason);
    const native = nativeBackend(compiler, alwaysThreads);
    const alone = await train(job, native, 1);
    expect(await train(job, native, 2)).toEqual(alone);
    const reference = means((await train(job, jsBackend, 1)).losses);
    expect(reference).toHaveLength(20);
    expect(reference.at(-1)).toBeLessThan(end);
    means(alone.losses).forEach((mean, k) => {
      expect(Math.abs(mean - reference[k]!), `steps ${100 * k} to ${100 * k + 99}`).toBeLessThan(within);
    });
  });
});
