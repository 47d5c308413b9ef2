/** train, predict, eval and export on images, in one process, on small pictures and the reference backend. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { beforeAll, describe, expect, test } from "vitest";
import { downhill, workplace } from "./terminal.ts";

const { file } = workplace();
const js = ["--backend", "js"];
const quick = [...js, "--hidden", "4", "--epochs", "6", "--lr", "0.03", "--batch", "8"];

/** Bright above and dark below, or the other way round: one look at a row tells. */
function picture(k: number, up: boolean, [h, w]: readonly [number, number] = [8, 8], channels = 1): Uint8Array {
  const level = (y: number, i: number) => (y < h / 2 === up ? 200 : 30) + ((k * 7 + i * 13) % 25);
  const data = Uint8Array.from({ length: h * w * channels }, (_, i) => level(Math.floor(i / (w * channels)), i));
  return encode({ width: w, height: h, channels, data });
}

function photos(name: string, n: number, size?: (k: number) => [number, number], channels?: number): string {
  for (const kind of ["dawn", "dusk"]) {
    mkdirSync(`${name}/${kind}`, { recursive: true });
    for (let k = 0; k < n; k++) file(`${name}/${kind}/${k}.png`, picture(k, kind === "dawn", size?.(k), channels));
  }
  return name;
}

/** IDX of n pictures of three classes: a bright row of its own. */
function idx(name: string, n: number): { images: string; labels: string } {
  const pixels = Array.from({ length: n }, (_, k) =>
    Array.from({ length: 36 }, (_, i) => (Math.floor(i / 12) === k % 3 ? 220 : 10) + ((k + i) % 20)),
  );
  const images = [0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 6, 0, 0, 0, 6, ...pixels.flat()];
  const labels = [0, 0, 8, 1, 0, 0, 0, n, ...Array.from({ length: n }, (_, k) => k % 3)];
  return {
    images: file(`${name}-images-idx3-ubyte.gz`, gzipSync(Uint8Array.from(images))),
    labels: file(`${name}-labels-idx1-ubyte`, Uint8Array.from(labels)),
  };
}

const filled = (text: string) => text.replace(/\s+/g, " ");

beforeAll(async () => {
  photos("sky", 20);
  const { code, err } = await downhill(["train", "sky", "--out", "first", "--augment", "crop,crop", ...quick]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
});

describe("train", () => {
  test("a folder of class folders: a run of the usual form, and how good it is", async () => {
    const { code, out } = await downhill(["train", "sky/", ...quick]);
    expect(code).toBe(0);
    expect(readdirSync("runs/sky-1").sort()).toEqual([
      "checkpoint.safetensors",
      "journal.jsonl",
      "model.safetensors",
      "run.json",
    ]);
    expect(filled(out)).toContain("40 images; 32 to train on, 8 held out");
    expect(filled(out)).toContain(
      "classes 2: dawn, dusk images grey, 8 × 8 pixels model CNN, channels 4: 109 parameters",
    );
    expect(out.trimEnd().split("\n").at(-1)).toMatch(/^held-out accuracy 1\.0000: 8 of 8 right/);
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("run.json holds the network, and --json the line of every kind of data", async () => {
    const { configuration } = JSON.parse(readFileSync("first/run.json", "utf8"));
    expect(configuration).toMatchObject({
      kind: "images",
      architecture: { model: "cnn", channels: 1, height: 8, width: 8, hidden: [4], augment: ["crop"], outputs: 1 },
      target: { labels: ["dawn", "dusk"] },
    });
    const { out } = await downhill([
      "train",
      "sky",
      "--out",
      "json",
      "--json",
      "--model",
      "linear",
      ...quick.toSpliced(2, 2),
    ]);
    expect(JSON.parse(out)).toMatchObject({
      task: "binary",
      epochs: 6,
      steps: 24,
      testAccuracy: 1,
      testAuc: 1,
      testRows: 8,
    });
  });

  test("colours and sizes that differ: one size, asked for or 64", async () => {
    photos("mixed", 6, (k) => (k === 0 ? [10, 14] : [9, 9]), 3);
    const sized = await downhill(["train", "mixed", "--size", "8", "--out", "sized", ...quick]);
    expect(filled(sized.out)).toContain("images in colour, 8 × 8 pixels");
    const found = await downhill([
      "train",
      "mixed",
      "--model",
      "mlp",
      "--hidden",
      "2",
      "--out",
      "found",
      "--epochs",
      "1",
      "--backend",
      "js",
    ]);
    expect(filled(found.out)).toContain("images in colour, 64 × 64 pixels model MLP, widths 2");
  });

  test("IDX with its labels, held out or with a test of its own", async () => {
    const [train, held] = [idx("train", 60), idx("t10k", 30)];
    const options = ["--labels", train.labels, "--test-images", held.images, "--test-labels", held.labels];
    const { code, out } = await downhill(["train", train.images, ...options, "--out", "three", ...quick]);
    expect(code).toBe(0);
    expect(filled(out)).toContain("90 images; 60 to train on, 30 held out");
    expect(filled(out)).toContain(`downhill eval three ${train.images} --labels ${train.labels}`);
    expect(out).toContain("held-out accuracy 1.0000: 30 of 30");
    const split = await downhill([
      "train",
      train.images,
      "--labels",
      train.labels,
      "--out",
      "part",
      "--size",
      "5",
      ...quick,
    ]);
    expect(filled(split.out)).toContain("48 to train on, 12 held out classes 3: 0, 1, 2 images grey, 5 × 5 pixels");
    const evaluated = await downhill(["eval", "three", held.images, "--labels", held.labels, "--json", ...js]);
    expect(JSON.parse(evaluated.out)).toMatchObject({ task: "multiclass", rows: 30, accuracy: 1 });
    const predicted = (await downhill(["predict", "three", held.images, ...js])).out.split("\n");
    expect(predicted[0]).toBe("prediction,p(0),p(1),p(2)");
    expect(predicted.slice(1, -1).map((line) => line[0])).toEqual(Array.from({ length: 30 }, (_, k) => String(k % 3)));
  });

  test("--resume goes on where it was, and takes no other images or settings", async () => {
    const before = readFileSync("first/model.safetensors");
    const { code } = await downhill(["train", "--resume", "first"]);
    expect(code).toBe(0);
    expect(readFileSync("first/model.safetensors").equals(before)).toBe(true);
    const other = await downhill(["train", "--resume", "first", "--lr", "0.1"]);
    expect([other.code, other.err]).toEqual([
      2,
      expect.stringContaining("--lr 0.1: a resumed run goes on with its own"),
    ]);
    expect((await downhill(["train", "--resume", "first", "--augment", "crop"])).code).toBe(0);
    photos("changed", 20);
    file("changed/dawn/3.png", picture(99, true));
    const changed = await downhill(["train", "changed", "--resume", "first"]);
    expect([changed.code, changed.err]).toEqual([2, expect.stringContaining("not the data that first was trained on")]);
  });
});

describe("a trained model", () => {
  test("predicts the class of images, one or a folder of them", async () => {
    const one = await downhill(["predict", "first", "sky/dusk/3.png", ...js]);
    expect(one.out).toMatch(/^file,prediction,p\(dawn\),p\(dusk\)\nsky\/dusk\/3\.png,dusk,0?\.?\d+/);
    const all = (await downhill(["predict", "first", "sky", ...js])).out.trimEnd().split("\n").slice(1);
    expect(all.length).toBe(40);
    for (const line of all) expect(line.split(",")[1]).toBe(line.split("/")[1]);
  });

  test("is measured on other folders, if their classes are known", async () => {
    mkdirSync("other/dusk", { recursive: true });
    file("other/dusk/1.png", picture(50, false, [12, 12], 3));
    const { out } = await downhill(["eval", "first", "other", "--json", ...js]);
    expect(JSON.parse(out)).toMatchObject({ rows: 1, accuracy: 1 });
    mkdirSync("other/noon");
    file("other/noon/1.png", picture(1, true));
    const { code, err } = await downhill(["eval", "first", "other"]);
    expect([code, err]).toEqual([2, expect.stringContaining('class "noon" is unknown; training knew dawn, dusk')]);
  });

  test("is exported for its images", async () => {
    const { out, err } = await downhill(["export", "first", "--out", "sky.onnx", "--json"]);
    expect(err).toBe("");
    expect(JSON.parse(out)).toMatchObject({ run: "first", file: "sky.onnx", format: "onnx" });
  });
});

describe("refused with what to do", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["no labels", ["train-images-idx3-ubyte.gz", "--model", "cnn"], "which image shows what?"],
    [
      "no labels, and nothing that says images",
      ["train-images-idx3-ubyte.gz"],
      "--labels hint: downhill train train-images-idx3-ubyte.gz --labels <file of labels, in IDX>",
    ],
    ["IDX is no text", ["train-images-idx3-ubyte.gz", "--tokenizer", "char"], "--tokenizer is an option of texts"],
    ["gpt", ["sky", "--model", "gpt"], "--model gpt is no model of images (they are cnn, mlp, linear), and sky is"],
    ["labels of a folder", ["sky", "--labels", "train-labels-idx1-ubyte"], "are the names of the folders in it"],
    [
      "half a test",
      ["train-images-idx3-ubyte.gz", "--labels", "train-labels-idx1-ubyte", "--test-images", "x"],
      "belong together",
    ],
    [
      "another number",
      ["train-images-idx3-ubyte.gz", "--labels", "t10k-labels-idx1-ubyte"],
      "60 images, t10k-labels-idx1-ubyte has 30 labels",
    ],
    [
      "labels first",
      ["train-labels-idx1-ubyte", "--labels", "train-labels-idx1-ubyte"],
      "images in IDX are u8[n, h, w], this is u8[60]",
    ],
    ["options of others", ["sky", "--drop", "x"], "--drop is an option of tables, and sky is trained as images"],
    ["too small", ["sky", "--size", "1"], "images of 1 × 1 pixels cannot be halved 1 time"],
    ["no memory for it", ["sky", "--size", "200000"], "40 images of 200000 × 200000 pixels takes about"],
    [
      "too many pixels",
      ["large"],
      "pixels are more than the 33554432 that an image may have hint: make it smaller first: mag",
    ],
    ["too many blocks", ["sky", "--hidden", "2,2,2,2"], "images of 8 × 8 pixels cannot be halved 4 times"],
    ["a batch of more", ["sky", "--batch", "33"], "--batch 33: that is more than the 32 images to train on"],
    ["layers of none", ["sky", "--model", "linear", "--hidden", "3"], "a linear model has no hidden layers"],
    ["an unknown change", ["sky", "--augment", "flap"], "Did you mean flip?"],
    ["one class", ["single"], "all images are of one class"],
    ["an unreadable image", ["broken"], "broken/b/1.png: this is text"],
  ];

  /** A picture whose header says 100,000 × 100,000 pixels. */
  const large = picture(1, true);
  new DataView(large.buffer, large.byteOffset).setUint32(16, 100_000);
  new DataView(large.buffer, large.byteOffset).setUint32(20, 100_000);

  test.each(cases)("%s", async (_, args, message) => {
    idx("train", 60);
    idx("t10k", 30);
    for (const [path, content] of [
      ["single/a/1.png", picture(1, true)],
      ["large/a/1.png", large],
      ["large/b/1.png", picture(1, true)],
      ["broken/a/1.png", picture(1, true)],
      ["broken/b/1.png", "hello"],
    ] as const) {
      mkdirSync(path.slice(0, -6), { recursive: true });
      writeFileSync(path, content);
    }
    const { code, err } = await downhill(["train", ...args, "--out", "refused"]);
    expect([code, filled(err)]).toEqual([2, expect.stringContaining(message)]);
    rmSync("refused", { recursive: true, force: true });
  });

  test("runs of another kind", async () => {
    const table = await downhill(["predict", "first", "sky", "--unseen", "other"]);
    expect(table.err).toContain("--unseen is an option of tables, and first was trained on images");
    const sample = await downhill(["sample", "first"]);
    expect(sample.err).toContain("first: this run was trained on images, not on a text");
  });
});
