/** Networks that tell images apart, and how the command line trains them: the defaults, from size, channels and number. */
import { totalmem } from "node:os";
import { fail } from "../ir/fail.ts";
import {
  batchNorm2d,
  conv2d,
  dropout,
  flatten,
  type Layer,
  linear,
  type Module,
  maxPool2d,
  normalize,
  randomCrop,
  randomFlip,
  relu,
  sequential,
} from "../nn/index.ts";
import type { Labelled, PictureShape } from "./pictures.ts";
import {
  accumulateOf,
  averageOf,
  decayOf,
  mostBytes,
  precisionOf,
  rateFor,
  scheduleFor,
  type TrainingRecipe,
  type TrainingWishes,
  weightDecayOf,
} from "./recipe.ts";
import { counted, significant } from "./text.ts";

export const visionModels = ["cnn", "mlp", "linear"] as const;
export type VisionModel = (typeof visionModels)[number];
export const augmentations = ["flip", "crop"] as const;
export type AugmentationName = (typeof augmentations)[number];

export type VisionWishes = TrainingWishes & {
  readonly model?: VisionModel;
  readonly hidden?: readonly number[];
  readonly dropout?: number;
  readonly augment?: readonly AugmentationName[];
  readonly epochs?: number;
};
export type VisionRecipe = TrainingRecipe & { readonly epochs: number };

/** What it is: plain JSON, kept in run.json. */
export type VisionArchitecture = PictureShape & {
  readonly model: VisionModel;
  /** Of each channel, over the images to train on. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  readonly augment: readonly AugmentationName[];
  /** Channels of the convolutions, or widths of the hidden layers. */
  readonly hidden: readonly number[];
  readonly dropout: number;
  readonly outputs: number;
};

/** Pixels by which an image is shifted at most: a sixteenth. */
const shift = ({ height, width }: PictureShape): number => Math.max(1, Math.round(Math.min(height, width) / 16));

/** cnn: 3 × 3 convolution, batch normalisation, ReLU and pooling by 2, once per number in `hidden`; then one linear layer. */
export function visionNet(net: VisionArchitecture): Module {
  const { model, channels, height, width, mean, deviation, augment, hidden, outputs } = net;
  const augmented: Record<AugmentationName, () => Layer> = {
    flip: () => randomFlip(),
    crop: () => randomCrop([height, width], { padding: shift(net) }),
  };
  const first = [normalize(mean, deviation), ...augment.map((name) => augmented[name]())];
  const dropped = net.dropout > 0 ? [dropout(net.dropout)] : [];
  if (model !== "cnn") {
    const sizes = [channels * height * width, ...hidden];
    const layers = hidden.flatMap((n, k): Layer[] => [linear(sizes[k]!, n), relu, ...dropped]);
    return sequential(...first, flatten, ...layers, linear(sizes.at(-1)!, outputs));
  }
  const sizes = [channels, ...hidden];
  const blocks = hidden.flatMap((n, k): Layer[] => [
    conv2d(sizes[k]!, n, 3, { padding: 1, bias: false }), // batch normalisation has a bias of its own
    batchNorm2d(n),
    relu,
    maxPool2d(2),
  ]);
  return sequential(...first, ...blocks, flatten, ...dropped, linear(features(net), outputs));
}

/** What the last layer of a cnn sees. */
const features = ({ height, width, hidden }: VisionArchitecture): number => {
  const left = (n: number) => Math.floor(n / 2 ** hidden.length);
  return hidden.at(-1)! * left(height) * left(width);
};

/** Its trainable numbers, counted before they exist. */
export function visionParameters(net: VisionArchitecture): number {
  const { model, channels, height, width, hidden, outputs } = net;
  const pairs = (sizes: readonly number[], each: (a: number, b: number) => number) =>
    sizes.slice(1).reduce((sum, b, k) => sum + each(sizes[k]!, b), 0);
  if (model !== "cnn") return pairs([channels * height * width, ...hidden, outputs], (a, b) => (a + 1) * b);
  return pairs([channels, ...hidden], (a, b) => (9 * a + 2) * b) + (features(net) + 1) * outputs;
}

/** Throws where wishes contradict each other or the images. Of no images mean and deviation are 0 and 1. */
export function visionArchitecture(
  wishes: VisionWishes,
  shape: PictureShape,
  train: Labelled | undefined,
  outputs: number,
): VisionArchitecture {
  const { model = "cnn", augment = [] } = wishes;
  const { height, width } = shape;
  if (model === "linear" && wishes.hidden) fail("--hidden: a linear model has no hidden layers");
  if (model === "linear" && wishes.dropout) fail("--dropout: a linear model has no hidden layers to drop from");
  const blocks = Math.floor(Math.log2(Math.min(height, width) / 4));
  const hidden = wishes.hidden ?? hiddenFor(model, Math.max(1, blocks));
  if (model === "cnn" && 2 ** hidden.length > Math.min(height, width)) {
    fail(
      `--model cnn: images of ${height} × ${width} pixels cannot be halved ${counted(hidden.length, "time")}`,
      "use a larger --size, fewer --hidden, or --model mlp",
    );
  }
  const net = {
    ...shape,
    model,
    ...(train ? moments(train.x) : { mean: ofEach(shape, 0), deviation: ofEach(shape, 1) }),
    augment,
    hidden,
    dropout: wishes.dropout ?? (model === "linear" ? 0 : 0.2),
    outputs,
  };
  const bytes = visionParameters(net) * 4 * 4;
  if (bytes > mostBytes) {
    fail(
      `training this network takes about ${Math.round(bytes / 1e9)} GB of memory`,
      "use a smaller --size or --hidden",
    );
  }
  return net;
}

const ofEach = ({ channels }: PictureShape, x: number): number[] => Array.from({ length: channels }, () => x);

/**
 * Bytes that training takes beside the images, before anything is compiled. Parameters, gradients and two averages; then
 * of a batch the pixels and, of each block, 6.5 times what its convolution gives: itself, what follows it, its windows
 * and the gradients of all these, as compiled programs have them at their peak. Evaluation keeps no more than 1.5 times
 * the largest block. A few tens of per cent too much, never too little.
 */
export function visionBytes(net: VisionArchitecture, batch: number): number {
  const { model, channels, height, width, hidden } = net;
  const pixels = height * width;
  const blocks = hidden.map((n, k) => (model === "cnn" ? (n * pixels) / 4 ** k : n));
  const kept = channels * pixels + 6.5 * blocks.reduce((a, b) => a + b, 0);
  const seen = channels * pixels + 1.5 * Math.max(0, ...blocks);
  return 4 * (4 * visionParameters(net) + Math.max(batch * kept, evaluationBatch(net) * seen));
}

/** Bytes of memory that this process may have: the machine's, or those of its container. */
const memory = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

/**
 * Throws where memory does not hold so many images, once as they are read and once where the program is, and the training
 * of this network: the system would end the process without a word.
 */
export function requireRoom(net: VisionArchitecture, batch: number, images: number, there = memory()): void {
  const { channels, height, width } = net;
  const data = 2 * 4 * images * channels * height * width;
  const training = visionBytes(net, batch);
  if (data + training <= there) return;
  const gb = (n: number) => `${significant(n / 1e9, 2)} GB`;
  fail(
    `training on ${counted(images, "image")} of ${height} × ${width} pixels takes about ${gb(data + training)} of memory: ` +
      `${gb(data)} for the images, ${gb(training)} for the network with batches of ${batch}; there are ${gb(there)}`,
    data > there ? "use a smaller --size, or fewer images" : "use a smaller --size, --batch or --hidden",
  );
}

/** 16, 32, 64 … channels, as the image becomes smaller. */
const hiddenFor = (model: VisionModel, blocks: number): number[] => {
  if (model === "linear") return [];
  if (model === "mlp") return [128];
  return Array.from({ length: blocks }, (_, k) => Math.min(128, 16 * 2 ** k));
};

/** Mean and deviation of each channel; a channel that never changes is only shifted. */
function moments(x: Labelled["x"]): Pick<VisionArchitecture, "mean" | "deviation"> {
  const [n, c, h, w] = x.shape as readonly [number, number, number, number];
  const of = Array.from({ length: c }, (_, channel) => {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < n; i++) {
      const from = (i * c + channel) * h * w;
      for (let k = from; k < from + h * w; k++) {
        sum += x.data[k]!;
        squares += x.data[k]! ** 2;
      }
    }
    const mean = sum / (n * h * w);
    const deviation = Math.sqrt(Math.max(0, squares / (n * h * w) - mean * mean));
    return { mean, deviation: deviation > 1e-6 ? deviation : 1 };
  });
  return { mean: of.map(({ mean }) => mean), deviation: of.map(({ deviation }) => deviation) };
}

/** Images at a time whose values between the layers fit into memory: 256 of 64 × 64 pixels. */
export const evaluationBatch = ({ height, width }: PictureShape): number =>
  Math.max(1, Math.min(256, Math.floor(2 ** 20 / (height * width))));

/** Throws where there are fewer images than a batch takes. */
export function visionRecipe(wishes: VisionWishes, shape: PictureShape, images: number): VisionRecipe {
  const { optimizer = "adamW" } = wishes;
  const asked = wishes.batch === "full" ? images : wishes.batch;
  if (asked !== undefined && asked > images) {
    fail(`--batch ${asked}: that is more than the ${images} images to train on`, "use a smaller batch, or full");
  }
  const usual = images < 2000 ? 32 : images < 20_000 ? 64 : 128;
  const batch = asked ?? Math.min(images, usual, Math.max(8, evaluationBatch(shape)));
  return {
    optimizer,
    lr: wishes.lr ?? rateFor(optimizer),
    schedule: scheduleFor(wishes),
    weightDecay: weightDecayOf(wishes, decayOf(optimizer, 0.05, 1e-4)),
    clip: 1,
    ...precisionOf(wishes),
    ...averageOf(wishes),
    batch,
    ...accumulateOf(wishes, batch, images),
    epochs: wishes.epochs ?? (images < 2000 ? 40 : images < 20_000 ? 20 : 10),
  };
}
