/**
 * Images of clothes again, by a small convolutional network with batch normalisation whose training images are mirrored
 * and shifted at random. Takes a subset of 2,500 images of Fashion-MNIST (Zalando). `npm run example cnn FOLDER` takes
 * the whole of it, 60,000 images, with twice as many channels, from a folder with its four files (92.2 % right):
 *
 *   apt install dataset-fashion-mnist          # Debian; or from https://github.com/zalandoresearch/fashion-mnist
 *   npm run example cnn /usr/share/datasets/fashion-mnist
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { idxImages, idxLabels, parseIdx } from "downhill/data";
import {
  batchNorm2d,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  linear,
  maxPool2d,
  normalize,
  randomCrop,
  randomFlip,
  relu,
  sequential,
} from "downhill/nn";
import { adamW, oneCycle } from "downhill/optim";
import { evaluate, fit, metricsOf } from "downhill/train";

const folder = process.argv[2];
const read = (name: string) =>
  parseIdx(gunzipSync(readFileSync(`${folder ?? "examples/data"}/${name}-ubyte.gz`)), name);
const part = (name: string) => ({
  x: idxImages(read(`${name}-images-idx3`)),
  y: idxLabels(read(`${name}-labels-idx1`)),
});
const train = part(folder ? "train" : "fashion-mnist-2500-train");
const test = part(folder ? "t10k" : "fashion-mnist-500-t10k");
console.log(`${train.x} images to learn from, ${test.x} to be judged on`);

const width = folder ? 32 : 16;
const net = sequential(
  (x) => x.unsqueeze(1), // f32[n, 1, 28, 28]
  normalize(0.286, 0.353),
  randomFlip(),
  randomCrop(28, { padding: 1 }),
  conv2d(1, width, 3, { padding: 1 }),
  batchNorm2d(width),
  relu,
  maxPool2d(2),
  conv2d(width, 2 * width, 3, { padding: 1 }),
  batchNorm2d(2 * width),
  relu,
  maxPool2d(2),
  flatten,
  dropout(0.2),
  linear(2 * width * 7 * 7, 10),
);
const epochs = 10;
const batch = folder ? 100 : 25;
const steps = Math.ceil(train.y.data.length / batch) * epochs;
const { params, state, secondsTraining, secondsCompiling } = await fit({
  net,
  loss: crossEntropy,
  optimizer: adamW(),
  lr: oneCycle({ lr: 5e-3, steps }),
  data: { train },
  batch,
  epochs,
  onEntry: ({ epoch, trainLoss }) => console.log(`epoch ${epoch}: loss ${trainLoss.toFixed(3)}`),
});
const metrics = metricsOf("multiclass", ["accuracy"]);
const { accuracy } = (await evaluate(net, { params, state }, test, { loss: crossEntropy, metrics, batch: 250 }))
  .metrics;
console.log(`compiled in ${secondsCompiling.toFixed(1)} s, trained in ${secondsTraining.toFixed(1)} s`);
console.log(`accuracy on the held-out images: ${(100 * accuracy!).toFixed(1)} %`);
assert.ok(accuracy! >= (folder ? 0.91 : 0.8));
