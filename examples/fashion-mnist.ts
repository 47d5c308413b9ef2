/**
 * Images of clothes: a network of one hidden layer on 2,500 images of Fashion-MNIST (Zalando), judged on 500 others.
 * `npm run example fashion-mnist 7` trains with seed 7 instead of 1.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { idxImages, idxLabels, parseIdx } from "downhill/data";
import { crossEntropy, dropout, flatten, linear, relu, sequential } from "downhill/nn";
import { adamW, warmupCosine } from "downhill/optim";
import { evaluate, fit, metricsOf } from "downhill/train";

const clothes = "T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot".split(", ");
const seed = Number(process.argv[2] ?? 1);

const read = (name: string) => parseIdx(gunzipSync(readFileSync(`examples/data/${name}-ubyte.gz`)), name);
const part = (name: string) => ({
  x: idxImages(read(`${name}-images-idx3`)),
  y: idxLabels(read(`${name}-labels-idx1`)),
});
const train = part("fashion-mnist-2500-train");
const test = part("fashion-mnist-500-t10k");
console.log(`${train.x} images to learn from, ${test.x} to be judged on; ${clothes.length} kinds`);

const net = sequential(flatten, linear(28 * 28, 128), relu, dropout(0.2), linear(128, 10));
const epochs = 20;
const batch = 50;
const steps = (epochs * train.y.data.length) / batch;
const { params, state, secondsTraining, history } = await fit({
  net,
  loss: crossEntropy,
  optimizer: adamW(),
  lr: warmupCosine({ lr: 2e-3, warmup: 100, steps }),
  data: { train },
  batch,
  epochs,
  seed,
});
const metrics = metricsOf("multiclass", ["accuracy"]);
const { accuracy } = (await evaluate(net, { params, state }, test, { loss: crossEntropy, metrics })).metrics;
console.log(
  `loss ${history[0]?.trainLoss.toFixed(3)} → ${history.at(-1)?.trainLoss.toFixed(3)} in ${secondsTraining.toFixed(1)} s`,
);
console.log(`accuracy on the held-out images: ${(100 * accuracy!).toFixed(1)} %`);
assert.ok(accuracy! >= 0.8);
