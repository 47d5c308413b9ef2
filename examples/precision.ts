/**
 * Three networks in f32, bf16 and f16, the same seeds each: the loss at the end and the memory of the training. An MLP and a
 * CNN on images of clothes, a GPT that reads "Pride and Prejudice". Seeds differ more among themselves than precisions do,
 * which is asserted. `npm run example precision all` trains as long as docs/precision.md says; without `all`, some seconds.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { type Tensor, value } from "downhill";
import { idxImages, idxLabels, parseIdx, parseText } from "downhill/data";
import { characters } from "downhill/data/tokenizer";
import * as nn from "downhill/nn";
import { adamW, chain, clipGlobalNorm, matrices, warmupCosine } from "downhill/optim";
import { fit, windows } from "downhill/train";

const all = process.argv[2] === "all";
const seeds = all ? [1, 2, 3] : [1, 2];

const read = (name: string) =>
  parseIdx(gunzipSync(readFileSync(`examples/data/fashion-mnist-2500-train-${name}-ubyte.gz`)));
const clothes = { x: idxImages(read("images-idx3")), y: idxLabels(read("labels-idx1")) };
const text = parseText(readFileSync("examples/data/pride_and_prejudice.txt"));
const tokenizer = characters(text);
const tokens = tokenizer.encode(text);
const letters = windows(value([tokens.length], tokens, "i32"), { context: 48 });

const { batchNorm2d, conv2d, flatten, linear, maxPool2d, relu, sequential } = nn;
const convolutions = [16, 32].flatMap((channels, k) => {
  return [conv2d(k === 0 ? 1 : 16, channels, 3, { padding: 1 }), batchNorm2d(channels), relu, maxPool2d(2)];
});
const tasks = {
  MLP: {
    net: sequential(flatten, linear(784, 128), relu, linear(128, 10)),
    ...{ data: clothes, lr: 2e-3, batch: 50, steps: all ? 500 : 100 },
  },
  CNN: {
    net: sequential((x: Tensor) => x.unsqueeze(1), ...convolutions, flatten, linear(32 * 7 * 7, 10)),
    ...{ data: clothes, lr: 2e-3, batch: 50, steps: all ? 250 : 50 },
  },
  GPT: {
    net: nn.gpt({ vocabulary: tokenizer.size, context: 48, layers: 2, heads: 4, width: 64, bias: false }),
    ...{ data: letters, lr: 5e-3, batch: 16, steps: all ? 400 : 60 },
  },
};

const mean = (xs: readonly number[]) => xs.reduce((a, b) => a + b) / xs.length;
const width = (xs: readonly number[]) => Math.max(...xs) - Math.min(...xs);

console.log("     precision    loss (± half of what seeds differ)  memory, MB   steps skipped");
for (const [name, { net, data, lr, batch, steps }] of Object.entries(tasks)) {
  const ends: Record<string, number[]> = {};
  for (const precision of ["f32", "bf16", "f16"] as const) {
    const runs = seeds.map((seed) =>
      fit({
        net,
        loss: nn.crossEntropy,
        optimizer: chain(clipGlobalNorm(1), adamW({ decayOnly: matrices })),
        lr: warmupCosine({ lr, warmup: steps / 10, steps }),
        data: { train: data },
        ...{ batch, steps, seed, precision, validateEvery: { steps: steps / 2 } },
      }),
    );
    const done = await Promise.all(runs);
    const losses = done.map(({ history }) => history.at(-1)!.trainLoss);
    ends[precision] = losses;
    const skipped = done.reduce((sum, { scaling }) => sum + (scaling?.skipped ?? 0), 0);
    const megabytes = (done[0]!.memory.predictedBytes / 1e6).toFixed(1);
    const cells = [
      `${mean(losses).toFixed(4)} ± ${(width(losses) / 2).toFixed(4)}`.padStart(21),
      megabytes.padStart(27),
    ];
    console.log(`${name}  ${precision.padEnd(6)}${cells.join("")}${String(skipped).padStart(16)}`);
  }
  const noise = Math.max(width(ends.f32!), 0.02 * mean(ends.f32!));
  for (const half of ["bf16", "f16"]) {
    assert.ok(Math.abs(mean(ends[half]!) - mean(ends.f32!)) <= noise, `${name}: ${half} is not within noise of f32`);
  }
}
