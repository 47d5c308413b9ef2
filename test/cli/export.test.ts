/** export: files of a trained run, read back by what they are for. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { readCsv } from "../../src/data/files.ts";
import { encoderFromJson } from "../../src/data/index.ts";
import { readNpz } from "../../src/interop/index.ts";
import { value } from "../../src/ir/value.ts";
import { readSafetensors } from "../../src/train/index.ts";
import { metadata, operations } from "../interop/onnx/read.ts";
import { infer } from "../interop/onnx/session.ts";
import { downhill, flowers, workplace } from "./terminal.ts";

const { file } = workplace();
const quick = ["--backend", "js", "--hidden", "8", "--epochs", "5", "--lr", "0.03"];

/** width = 2 height + 7, and a column that says nothing. */
const lengths = (rows: number) =>
  ["height,width,odd", ...Array.from({ length: rows }, (_, i) => `${i % 13},${2 * (i % 13) + 7},${i % 2}`)].join("\n");

beforeAll(async () => {
  file("flowers.csv", flowers(60));
  file("lengths.csv", lengths(60));
  file("text.txt", "the quick brown fox jumps over the lazy dog. ".repeat(30));
  for (const argv of [
    ["flowers.csv", "-t", "kind", "--out", "flowers", ...quick],
    ["flowers.csv", "-t", "place", "--out", "places", ...quick],
    ["lengths.csv", "-t", "width", "--out", "lengths", ...quick],
    [
      "text.txt",
      "--model",
      "gpt",
      "--out",
      "text",
      "--backend",
      "js",
      "--steps",
      "2",
      "--context",
      "8",
      "--layers",
      "1",
      "--heads",
      "2",
      "--width",
      "8",
    ],
  ]) {
    const { code, err } = await downhill(["train", ...argv]);
    expect({ argv, code, err }).toEqual({ argv, code: 0, err: "" });
  }
});

const exported = async (...argv: string[]) => {
  const said = await downhill(["export", ...argv]);
  expect(said).toMatchObject({ code: 0, err: "" });
  return said.out;
};
const refused = async (...argv: string[]) => {
  const said = await downhill(["export", ...argv]);
  expect(said).toMatchObject({ code: 2, out: "" });
  return said.err;
};
/** What `predict` says of the rows of training, by columns. */
async function predicted(run: string, data: string) {
  const { out } = await downhill(["predict", run, data, "--backend", "js"]);
  return out
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
}

describe("onnx", () => {
  test("probabilities of classes, from any number of rows", async () => {
    const out = await exported("flowers", "--out", "flowers.onnx", "--probabilities");
    expect(out).toMatch(/probabilities \[batch, 2\]/);
    expect(out).toContain("rose");
    const model = readFileSync("flowers.onnx");
    const { features, labels, encoder, task, target } = metadata(model);
    expect({ task, target, labels: JSON.parse(labels!) }).toEqual({
      task: "binary",
      target: "kind",
      labels: ["rose", "tulip"],
    });
    expect(JSON.parse(encoder!)).toMatchObject({ version: 1 });
    const width = JSON.parse(features!).length;
    for (const rows of [1, 60]) {
      const { probabilities } = await infer(model, { x: value([rows, width], new Float32Array(rows * width)) });
      expect(probabilities!.shape).toEqual([rows, 2]);
      expect(probabilities!.data[0]! + probabilities!.data[1]!).toBeCloseTo(1, 6);
    }
  });

  test("the same as predict says, on rows as training encoded them", async () => {
    await exported("flowers", "--out", "same.onnx", "--probabilities");
    const model = readFileSync("same.onnx");
    const encoder = encoderFromJson(JSON.parse(metadata(model).encoder!));
    const { x } = encoder.transform(readCsv("flowers.csv", { kinds: { kind: "categorical" } }));
    const { probabilities } = await infer(model, { x });
    const want = (await predicted("flowers", "flowers.csv")).map((row) => Number(row[1]));
    want.forEach((p, k) => {
      expect(probabilities!.data[2 * k]!).toBeCloseTo(p, 4);
    });
  });

  test("logits of two classes are one number, a quantity is in its own unit", async () => {
    expect(await exported("flowers", "--out", "logit.onnx")).toMatch(/logit \[batch, 1\]/);
    expect(await exported("lengths", "--out", "lengths.onnx", "--batch", "1")).toMatch(/prediction \[1, 1\]/);
    const model = readFileSync("lengths.onnx");
    expect(operations(model).slice(-2)).toEqual(["Mul", "Add"]);
    const width = JSON.parse(metadata(model).features!).length;
    const { prediction } = await infer(model, { x: value([1, width], new Float32Array(width)) });
    expect(prediction!.data[0]!).toBeGreaterThan(7); // standardised it would be about 0
    expect(await refused("lengths", "--out", "p.onnx", "--probabilities")).toContain("no classes");
  });

  test("a language model takes tokens", async () => {
    const out = JSON.parse(await exported("text", "--out", "text.onnx", "--probabilities", "--json"));
    expect(out).toMatchObject({ file: "text.onnx", format: "onnx", inputs: [{ name: "tokens", shape: ["batch", 8] }] });
    const { probabilities } = await infer(readFileSync("text.onnx"), {
      tokens: value([2, 8], new Int32Array(16), "i32"),
    });
    expect(probabilities!.shape.slice(0, 2)).toEqual([2, 8]);
    const place = Array.from(probabilities!.data).slice(0, probabilities!.shape[2]);
    expect(place.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
  });
});

test("safetensors and npz hold the parameters by PyTorch's names", async () => {
  await exported("flowers", "--out", "flowers.safetensors");
  await exported("flowers", "--to", "npz", "--out", "parameters.zip");
  const { tensors, metadata } = readSafetensors(readFileSync("flowers.safetensors"));
  const arrays = readNpz(readFileSync("parameters.zip"));
  const names = ["0.weight", "0.bias", "3.weight", "3.bias"]; // 2 is dropout;
  expect([...tensors.keys()].sort()).toEqual(names.sort());
  expect([...arrays.keys()].sort()).toEqual(names.sort());
  for (const name of names) expect(arrays.get(name)).toEqual(tensors.get(name));
  expect(metadata).toMatchObject({ format: "pt", target: "kind" });
});

test("what is there stays, unless forced; what cannot be is said", async () => {
  file("taken.onnx", "mine");
  expect(await refused("flowers", "--out", "taken.onnx")).toMatch(/taken\.onnx: there is a file already.*--force/s);
  expect(readFileSync("taken.onnx", "utf8")).toBe("mine");
  await exported("flowers", "--out", "taken.onnx", "--force");
  expect(readFileSync("taken.onnx").length).toBeGreaterThan(500);

  expect(await refused("flowers", "--out", "model.bin")).toMatch(/its ending names no format/);
  expect(await refused("flowers", "--out", "m.npz", "--batch", "3")).toMatch(/--batch belongs to --to onnx/);
  expect(await refused("flowers", "--out", "m.npz", "--probabilities")).toMatch(/--probabilities belongs to --to onnx/);
  expect(await refused("flowers", "--out", "m.npz", "--to", "onxx")).toMatch(/Did you mean onnx/);
  expect(await refused("nowhere", "--out", "m.npz")).toMatch(/nowhere/);
  expect(await refused("flowers", "--out", "no/such/folder/m.npz")).toMatch(
    /^error: no\/such\/folder\/m\.npz: there is no folder no\/such\/folder\s+hint: .*mkdir -p no\/such\/folder\n$/,
  );
  const unwritable = await refused("flowers", "--out", "/proc/m.npz");
  expect(unwritable).toMatch(/\/proc\/m\.npz: cannot be written/);
  expect(unwritable).not.toContain(".tmp");
  expect(existsSync("m.npz")).toBe(false);
  expect(readdirSync(".").filter((name) => name.endsWith(".tmp"))).toEqual([]);
});
