/**
 * Images as a learning problem: a folder of class folders, or a file in IDX, the format of MNIST, with one of labels.
 * Everything here is a function of the files and of a few settings that run.json keeps, so that a run is found again.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { constants, gunzipSync } from "node:zlib";
import { readBytes, readIdx } from "../data/files.ts";
import { idxImages, idxLabels } from "../data/idx.ts";
import { type ClassFiles, classFiles, imageFiles, imageHeaders, readImages } from "../data/image-folder.ts";
import { resize } from "../data/images.ts";
import { type Split, split } from "../data/split.ts";
import { fail } from "../ir/fail.ts";
import { Value } from "../ir/value.ts";
import { shellWord } from "./text.ts";

/** Which files, and how they are read: plain JSON, kept in run.json. */
export type PictureChoices = {
  /** Of a file in IDX: the file of its labels; a second pair of files for the test. */
  readonly labels?: string;
  readonly testImages?: string;
  readonly testLabels?: string;
  readonly size?: number;
  readonly testFraction: number;
  readonly seed: number;
};

/** What all images are brought to. */
export type PictureShape = { readonly channels: 1 | 3; readonly height: number; readonly width: number };

/** Images, f32[n, c, h, w] in [0, 1], with their class numbers, i32[n]. */
export type Labelled = { readonly x: Value<"f32">; readonly y: Value<"i32"> };

export type Gallery = {
  readonly source: string;
  readonly shape: PictureShape;
  readonly classes: readonly string[];
  /** The parts; without a part to watch training on where images are few. */
  readonly train: Labelled;
  readonly validation: Labelled | undefined;
  readonly test: Labelled;
};

/** Images larger than this are made smaller unless --size says otherwise: a network for more is no work for a CPU. */
const largest = 64;

/** Whether images are meant: a folder, or files of labels. */
export const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

/** What is known of images before their pixels are read; `train`: how many there are to train on. */
export type Outline = {
  readonly shape: PictureShape;
  readonly classes: readonly string[];
  readonly images: number;
  readonly train: number;
};

/**
 * Throws what the readers throw, and where labels are missing, too many or too few, or of a single class. `check` is called
 * before memory is taken for pixels, and may throw.
 */
export function galleryOf(data: string, choices: PictureChoices, check: (outline: Outline) => void): Gallery {
  const { labels, testImages, testLabels } = choices;
  if ((testImages === undefined) !== (testLabels === undefined)) {
    fail("--test-images and --test-labels belong together", "give both, or hold out a part with --test-fraction");
  }
  if (isFolder(data)) {
    const foreign = labels ?? testImages;
    if (foreign !== undefined) fail(`${foreign}: labels of ${data} are the names of the folders in it`);
    const found = classFiles(data);
    requireClasses(data, found.classes.length);
    const shape = shapeOf(found, choices.size);
    const images = found.files.length;
    const train = partition(found.y, choices).train.length;
    check({ shape, classes: found.classes, images, train });
    const x = readImages(found.files, { ...shape, size: [shape.height, shape.width] });
    return parts(data, shape, found.classes, { x, y: found.y }, undefined, choices);
  }
  if (labels === undefined) {
    fail(
      `${data}: these are images in IDX, but which image shows what? The file of labels is missing: --labels`,
      `downhill train ${shellWord(data)} --labels ${labelsBeside(data)}`,
    );
  }
  const whole = idxPair(data, labels);
  const test = testImages === undefined ? undefined : idxPair(testImages, testLabels!);
  const classes = whole.y.data.reduce((a, b) => Math.max(a, b), 0) + 1;
  requireClasses(labels, classes);
  if (test) requireKnown(test.y, classes, testLabels!);
  const [n, channels, h, w] = whole.x.shape as readonly [number, 1, number, number];
  const [height, width] = [choices.size ?? h, choices.size ?? w];
  const shape = { channels, height, width };
  const train = partition(whole.y, choices).train.length;
  const names = Array.from({ length: classes }, (_, k) => String(k));
  check({ shape, classes: names, images: n + (test?.y.data.length ?? 0), train });
  const brought = ({ x, y }: Labelled) => ({ x: sized(x, [height, width]), y });
  return parts(data, shape, names, brought(whole), test && brought(test), choices);
}

/** Images of any place, as a trained network takes them; their names, where they are files. */
export function picturesAt(
  data: string,
  shape: PictureShape,
): { readonly x: Value<"f32">; readonly files: readonly string[] | undefined } {
  const size = [shape.height, shape.width] as const;
  if (isIdx(data)) {
    if (shape.channels !== 1) fail(`${data}: images in IDX are grey, and the model was trained on colours`);
    return { x: sized(idxBatch(data), size), files: undefined };
  }
  const files = isFolder(data) ? imageFiles(data) : [data];
  if (files.length === 0) fail(`${data}: no image in this folder`);
  return { x: readImages(files, { channels: shape.channels, size }), files };
}

/** The same with what they show, for a model of these classes. */
export function labelledAt(
  data: string,
  labels: string | undefined,
  shape: PictureShape,
  classes: readonly string[],
): Labelled {
  if (!isFolder(data)) {
    if (labels === undefined) {
      const hint = isIdx(data) ? `add --labels ${labelsBeside(data)}` : "sort images into a folder for each class";
      fail(`${data}: which image shows what?`, hint);
    }
    const y = idxLabels(readIdx(labels));
    requireKnown(y, classes.length, labels);
    const { x } = picturesAt(data, shape);
    requireAlike(x, y, data, labels);
    return { x, y };
  }
  const found = classFiles(data);
  const known = found.classes.map((name) => {
    const k = classes.indexOf(name);
    return k >= 0 ? k : fail(`${data}: class "${name}" is unknown; training knew ${classes.join(", ")}`);
  });
  const size = [shape.height, shape.width] as const;
  return {
    x: readImages(found.files, { channels: shape.channels, size }),
    y: new Value(
      "i32",
      found.y.shape,
      found.y.data.map((k) => known[k]!),
    ),
  };
}

/** The contents of all files as a short text, to know them again. */
export function galleryFingerprint(data: string, { labels, testImages, testLabels }: PictureChoices): string {
  const hash = createHash("sha256");
  const files = isFolder(data) ? classFiles(data).files : [data, labels, testImages, testLabels];
  for (const path of files) {
    if (path === undefined) continue;
    const bytes = readBytes(path);
    hash.update(`${isFolder(data) ? path.slice(data.length) : ""}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest("hex").slice(0, 32);
}

/** As the images are where they agree and are small, else a square. */
function shapeOf({ files }: ClassFiles, size: number | undefined): PictureShape {
  const headers = imageHeaders(files);
  const channels = headers.every((header) => header.channels === 1) ? 1 : 3;
  const { height, width } = headers[0]!;
  const agree = headers.every((header) => header.height === height && header.width === width);
  if (size === undefined && agree && Math.max(height, width) <= largest) return { channels, height, width };
  return { channels, height: size ?? largest, width: size ?? largest };
}

function parts(
  data: string,
  shape: PictureShape,
  classes: readonly string[],
  whole: Labelled,
  test: Labelled | undefined,
  choices: PictureChoices,
): Gallery {
  const rows = partition(whole.y, choices);
  return {
    source: data,
    shape,
    classes,
    train: pick(whole, rows.train),
    validation: rows.validation.length > 0 ? pick(whole, rows.validation) : undefined,
    test: test ?? pick(whole, rows.test),
  };
}

/** Which images are to train on, to watch it, and held out where no others are given for that. */
function partition(y: Labelled["y"], { testImages, testFraction, seed }: PictureChoices): Split {
  const n = y.data.length;
  const held = testImages === undefined ? testFraction : 0;
  const validation = n * (1 - held) < few ? 0 : 0.1;
  return split(n, { seed, test: held, validation, classes: y.data });
}

/** Images to train on below which none are kept back to watch training. */
const few = 600;

function pick({ x, y }: Labelled, rows: Int32Array): Labelled {
  const [, ...shape] = x.shape;
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(rows.length * size);
  rows.forEach((row, k) => data.set(x.data.subarray(row * size, (row + 1) * size), k * size));
  return {
    x: new Value("f32", [rows.length, ...shape], data),
    y: new Value(
      "i32",
      [rows.length],
      rows.map((row) => y.data[row]!),
    ),
  };
}

// ---- IDX ---------------------------------------------------------------------------------------------------------------

/** By its first bytes, unpacked: two zeros, a type, the number of axes. */
export function isIdx(path: string): boolean {
  const [a, b, type = 0, axes = 0] = firstBytes(path);
  return a === 0 && b === 0 && type >= 0x08 && type <= 0x0e && axes >= 1 && axes <= 8;
}

/** A few bytes of a file, however large it is; none where there is no file, or a damaged one: its reader says so. */
function firstBytes(path: string): Uint8Array {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return new Uint8Array();
  try {
    const file = openSync(path, "r");
    try {
      const bytes = new Uint8Array(4096);
      const head = bytes.subarray(0, readSync(file, bytes));
      const packed = head[0] === 0x1f && head[1] === 0x8b;
      return packed ? gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head;
    } finally {
      closeSync(file);
    }
  } catch {
    return new Uint8Array();
  }
}

/** f32[n, 1, h, w] */
function idxBatch(path: string): Value<"f32"> {
  const idx = readIdx(path);
  if (idx.type !== "u8" || idx.shape.length !== 3) {
    fail(`${path}: images in IDX are u8[n, h, w], this is ${idx.type}[${idx.shape}]`, "did the labels come first?");
  }
  const { shape, data } = idxImages(idx);
  if (shape[0] === 0) fail(`${path}: there is no image in it`);
  return new Value("f32", [shape[0]!, 1, shape[1]!, shape[2]!], data);
}

/** The file of labels by MNIST's names, where it is there. */
function labelsBeside(images: string): string {
  const name = basename(images).replace(/images([-.])idx3/, "labels$1idx1");
  const path = join(dirname(images), name);
  return path !== join(images) && existsSync(path) ? shellWord(path) : "<file of labels, in IDX>";
}

function idxPair(images: string, labels: string): Labelled {
  const x = idxBatch(images);
  const y = idxLabels(readIdx(labels));
  requireAlike(x, y, images, labels);
  return { x, y };
}

function sized(x: Value<"f32">, size: readonly [number, number]): Value<"f32"> {
  const [n, c, h, w] = x.shape as readonly [number, number, number, number];
  if (h === size[0] && w === size[1]) return x;
  const [from, to] = [c * h * w, c * size[0] * size[1]];
  const data = new Float32Array(n * to);
  for (let k = 0; k < n; k++) {
    data.set(resize(new Value("f32", [c, h, w], x.data.subarray(k * from, (k + 1) * from)), size).data, k * to);
  }
  return new Value("f32", [n, c, ...size], data);
}

// ---- what does not fit -------------------------------------------------------------------------------------------------

function requireAlike(x: Value, y: Value, images: string, labels: string): void {
  const [a, b] = [x.shape[0], y.shape[0]];
  if (a !== b) fail(`${basename(images)} has ${a} images, ${basename(labels)} has ${b} labels`, "they belong in pairs");
}

function requireKnown(y: Value<"i32">, classes: number, source: string): void {
  const at = y.data.findIndex((k) => k >= classes);
  if (at >= 0) fail(`${source}: label ${at} is ${y.data[at]}, and training knew the classes 0 to ${classes - 1}`);
}

function requireClasses(source: string, n: number): void {
  if (n < 2) fail(`${source}: all images are of one class`, "there must be two classes to tell apart");
}
