/**
 * Three networks in f32, bf16 and f16: the same three seeds each, the loss at the end, and the memory of a step. An MLP and
 * a CNN on 2,500 images of Fashion-MNIST (Zalando), and a GPT that reads "Pride and Prejudice" letter by letter.
 *
 * The seeds differ more among themselves than the precisions do: that is what is asserted. `npm run example precision all`
 * trains as long as docs/precision.md says, minutes; without `all` for some seconds, which is enough to see that they learn.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { value } from "downhill";
import { idxImages, idxLabels, parseIdx, parseText } from "downhill/data";
import { characters } from "downhill/data/tokenizer";
import {
  batchNorm2d,
  conv2d,
  crossEntropy,
  flatten,
  gpt,
  linear,
  maxPool2d,
  type Module,
  relu,
  sequential,
} from "downhill/nn";
import { adamW, chain, clipGlobalNorm, matrices, warmupCosine } from "downhill/optim";
import { type Data, fit, windows } from "downhill/train";

const all = process.argv[2] === "all";
const seeds = all ? [1, 2, 3] : [1, 2];

const read = (name: string) => parseIdx(gunzipSync(readFileSync(`examples/data/${name}-ubyte.gz`)), name);
const images = (name: string) => ({
  x: idxImages(read(`fashion-mnist-${name}-images-idx3`)),
  y: idxLabels(read(`fashion-mnist-${name}-labels-idx1`)),
});
const clothes = { train: images("2500-train"), validation: images("500-t10k") };

const text = parseText(readFileSync("examples/data/pride_and_prejudice.txt"));
const tokenizer = characters(text);
const tokens = tokenizer.encode(text);
const cut = Math.floor(0.9 * tokens.length);
const part = (from: number, to: number, stride: number) =>
  windows(value([to - from], tokens.slice(from, to), "i32"), { context: 48, stride });
const letters = { train: part(0, cut, 1), validation: part(cut, tokens.length, 48) };

type Task = {
  readonly net: Module;
  readonly data: { readonly train: Data; readonly validation: Data };
  readonly lr: number;
  readonly batch: number;
  readonly steps: number;
};
const tasks: Readonly<Record<string, Task>> = {
  MLP: {
    net: sequential(flatten, linear(784, 128), relu, linear(128, 10)),
    data: clothes,
    lr: 2e-3,
    batch: 50,
    steps: all ? 500 : 100,
  },
  CNN: {
    net: sequential(
      (x) => x.unsqueeze(1), // f32[n, 1, 28, 28]
      conv2d(1, 16, 3, { padding: 1 }),
      batchNorm2d(16),
      relu,
      maxPool2d(2),
      conv2d(16, 32, 3, { padding: 1 }),
      batchNorm2d(32),
      relu,
      maxPool2d(2),
      flatten,
      linear(32 * 7 * 7, 10),
    ),
    data: clothes,
    lr: 2e-3,
    batch: 50,
    steps: all ? 250 : 50,
  },
  GPT: {
    net: gpt({ vocabulary: tokenizer.size, context: 48, layers: 2, heads: 4, width: 64, bias: false }),
    data: letters,
    lr: 5e-3,
    batch: 16,
    steps: all ? 400 : 60,
  },
};

const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b) / xs.length;
/** Of the seeds, from the lowest to the highest. */
const width = (xs: readonly number[]) => Math.max(...xs) - Math.min(...xs);

console.log("      precision  train loss        validation loss   skipped");
for (const [name, { net, data, lr, batch, steps }] of Object.entries(tasks)) {
  const ends: Record<string, readonly number[]> = {};
  for (const precision of ["f32", "bf16", "f16"] as const) {
    const losses: number[] = [];
    const measured: number[] = [];
    let skipped = 0;
    for (const seed of seeds) {
      const { history, scaling } = await fit({
        net,
        loss: crossEntropy,
        optimizer: chain(clipGlobalNorm(1), adamW({ decayOnly: matrices })),
        lr: warmupCosine({ lr, warmup: steps / 10, steps }),
        data,
        batch,
        steps,
        validateEvery: { steps: Math.ceil(steps / 2) },
        seed,
        precision,
      });
      const last = history.at(-1)!;
      losses.push(last.trainLoss);
      measured.push(last.validationLoss!);
      skipped += scaling?.skipped ?? 0;
    }
    ends[precision] = losses;
    const shown = (xs: readonly number[]) => `${mean(xs).toFixed(4)} (± ${(width(xs) / 2).toFixed(4)})`;
    console.log(`${name}   ${precision.padEnd(9)}  ${shown(losses)}  ${shown(measured)}  ${skipped}`);
  }
  const noise = Math.max(width(ends.f32!), 0.02 * mean(ends.f32!));
  for (const half of ["bf16", "f16"]) {
    assert.ok(Math.abs(mean(ends[half]!) - mean(ends.f32!)) <= noise, `${name}: ${half} is not within noise of f32`);
  }
}
