/** A text from the command line: train, sample, eval, resume, and what is wrong with a text or a prompt. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  languageArchitecture,
  languageModel,
  languageParameters,
  languageRecipe,
  languageSchedule,
} from "../../src/cli/language.ts";
import { folded } from "../../src/cli/text.ts";
import type { Value } from "../../src/ir/value.ts";
import { init } from "../../src/nn/index.ts";
import * as tree from "../../src/tree.ts";
import { downhill, flowers, type Said, workplace } from "./terminal.ts";

const { file } = workplace();
const small = ["--context", "8", "--layers", "1", "--heads", "2", "--width", "8", "--batch", "4"];
const quick = [...small, "--backend", "js", "--steps", "16"];
const line = "the hills go down, and down again.\n";
const filled = (text: string) => text.replace(/\s+/g, " ");

beforeAll(async () => {
  file("hills.txt", line.repeat(12));
  const { code, err } = await downhill(["train", "hills.txt", "--out", "hills", ...quick]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
});

describe("train", () => {
  test("tells what it does, leaves a run with its tokenizer, and ends with the loss", async () => {
    const { code, out } = await downhill(["train", "hills.txt", ...quick]);
    expect(code).toBe(0);
    expect(readdirSync("runs/hills-1").sort()).toEqual([
      "checkpoint.safetensors",
      "journal.jsonl",
      "model.safetensors",
      "run.json",
      "tokenizer.json",
    ]);
    expect(filled(out)).toContain("420 characters; the last 10 % are held out");
    expect(filled(out)).toContain("characters, a vocabulary of 16: 378 to train on, 42 held out");
    expect(filled(out)).toContain("GPT, 1 layer, 2 heads, width 8, context 8: 984 parameters");
    expect(out).toMatch(/step 16\/16 +loss [\d.]+ +held-out loss [\d.]+ .*tokens\/s/);
    expect(out).toContain("A sample\n");
    const lines = out.trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(/^held-out loss \d\.\d{4} nats per character, perplexity [\d.]+ on 40 tokens$/);
  });

  test("--checkpoint: the same model in less memory, and a run that goes on without it", async () => {
    const bytes = async (folder: string, ...more: string[]) => {
      const { code, out } = await downhill(["train", "hills.txt", "--out", folder, "--json", ...quick, ...more]);
      expect(code).toBe(0);
      return JSON.parse(out).memory.predictedBytes as number;
    };
    const kept = await bytes("kept");
    expect(await bytes("again", "--checkpoint")).toBeLessThan(kept);
    const model = (folder: string) => readFileSync(`${folder}/model.safetensors`);
    expect(model("again")).toEqual(model("kept"));
    expect((await downhill(["train", "--resume", "again"])).code).toBe(0);
    expect((await downhill(["train", "--resume", "kept", "--checkpoint"])).code).toBe(0);
  });

  test("--json: one line on stdout; the loss is that of eval on the held-out part", async () => {
    const { code, out, err } = await downhill(["train", "hills.txt", "--out", "json", "--json", ...quick]);
    expect(code).toBe(0);
    expect(err).toContain("held-out loss");
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      task: "text",
      backend: "js",
      seed: 1,
      steps: 16,
      trainTokens: 378,
      testTokens: 42,
      vocabulary: 16,
      parameters: 984,
      trainLoss: expect.any(Number),
      sample: expect.stringMatching(/^[\s\S]{200}$/),
      run: "json",
    });
    expect(report.testLossPerCharacter).toBe(report.testLoss);
    expect(report.testPerplexity).toBeCloseTo(Math.exp(report.testLoss), 10);
    file("end.txt", line.repeat(12).slice(378));
    const measured = JSON.parse((await downhill(["eval", "json", "end.txt", "--json"])).out);
    expect(measured).toMatchObject({ task: "text", loss: report.testLoss, tokens: 40, run: "json" });
  });

  test("byte pairs, by name or by their number; the vocabulary is learnt", async () => {
    const { out } = await downhill(["train", "hills.txt", "--out", "bpe", "--vocabulary", "270", "--json", ...quick]);
    expect(JSON.parse(out)).toMatchObject({ vocabulary: 270 });
    expect(JSON.parse(out).testLossPerCharacter).toBeLessThan(JSON.parse(out).testLoss);
    const { pre_tokenizer } = JSON.parse(readFileSync("bpe/tokenizer.json", "utf8"));
    expect(pre_tokenizer.type).toBe("ByteLevel");
    const named = await downhill(["train", "hills.txt", "--out", "bpe-2", "--tokenizer", "bpe", "--json", ...quick]);
    expect(JSON.parse(named.out).vocabulary).toBeGreaterThan(256);
    const given = ["train", "hills.txt", "--out", "bpe-3", "--tokenizer", "bpe/tokenizer.json", "--json", ...quick];
    expect(JSON.parse((await downhill(given)).out)).toMatchObject({ vocabulary: 270 });
    const { out: text } = await downhill(["sample", "bpe", "--prompt", "日本 👍", "--tokens", "5", "--json"]);
    expect(JSON.parse(text)).toMatchObject({ prompt: "日本 👍", tokens: 5 });
  });

  test("another name with --model gpt; a table in a .txt with --target", async () => {
    file("hills.md", line.repeat(12));
    expect((await downhill(["train", "hills.md", "--model", "gpt", "--out", "md", ...quick])).code).toBe(0);
    file("flowers.txt", flowers(60));
    const table = ["train", "flowers.txt", "-t", "kind", "--out", "table", "--backend", "js", "--epochs", "2"];
    expect((await downhill(table)).code).toBe(0);
  });

  test("on a terminal: steps, tokens a second, within the width", async () => {
    const { out } = await downhill(["train", "hills.txt", "--out", "tty", ...quick], { columns: 80, color: true });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
    const plain = out.replace(/\u001b\[[\d;?]*[A-Za-z]|\u001b[78]/g, "\r");
    const moving = plain.split(/[\r\n]+/).filter((l) => /step \d+\/16/.test(l));
    expect(moving.length).toBeGreaterThan(0);
    for (const l of moving) expect(l.length).toBeLessThan(80);
  });
});

describe("widths", () => {
  const longest = (text: string) => Math.max(...text.split("\n").map((l) => l.length));

  test("every line of a training, on narrow and wide terminals and in a pipe", async () => {
    file("endless.txt", "the hills go down and down again, ".repeat(30));
    const train = [
      "train",
      "endless.txt",
      "--steps",
      "2000",
      ...small,
      "--width",
      "4",
      "--context",
      "4",
      "--batch",
      "1",
    ];
    const piped = await downhill([...train, "--backend", "js", "--out", "piped"]);
    expect(longest(piped.out)).toBeLessThanOrEqual(80);
    expect(piped.out.split("\n").filter((l) => l.startsWith("  │ ")).length).toBeGreaterThan(2);
    const narrow = await downhill(["train", "hills.txt", "--out", "narrow", "--quiet", ...quick], { columns: 60 });
    const told = narrow.out.slice(0, narrow.out.indexOf("The model is in"));
    expect(longest(told)).toBeLessThanOrEqual(60);
    const broad = await downhill(["train", "hills.txt", "--out", "broad", "--quiet", ...quick], { columns: 100 });
    expect(longest(broad.out)).toBeGreaterThan(80);
  });

  test("folded: at spaces, else anywhere, in columns of the terminal", () => {
    expect(folded("down and down again", 9)).toEqual(["down and", "down", "again"]);
    expect(folded("abcdefgh", 3)).toEqual(["abc", "def", "gh"]);
    expect(folded("日本語の文", 5)).toEqual(["日本", "語の", "文"]);
    expect(folded("e\u0301e\u0301e\u0301", 2)).toEqual(["e\u0301e\u0301", "e\u0301"]);
    expect(folded("a\u001b[2Jb\tc", 80)).toEqual(["a\ufffd[2Jb  c"]);
    expect(folded("", 5)).toEqual([""]);
  });
});

describe("--resume", () => {
  test("goes on with its own settings and tokenizer, and refuses others", async () => {
    const before = readFileSync("hills/model.safetensors");
    const { code, out } = await downhill(["train", "--resume", "hills", "--json", "--heads", "2", "--model", "gpt"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ steps: 16, run: "hills" });
    expect(readFileSync("hills/model.safetensors")).toEqual(before);
    const other = await downhill(["train", "--resume", "hills", "--context", "4"]);
    expect(other).toMatchObject({ code: 2, err: expect.stringContaining("--context 4: a resumed run goes on") });
    file("another.txt", line.repeat(13));
    const data = await downhill(["train", "another.txt", "--resume", "hills"]);
    expect(data).toMatchObject({ code: 2, err: expect.stringContaining("not the data that hills was trained on") });
  });
});

describe("sample", () => {
  const sample = async (...more: string[]) => (await downhill(["sample", "hills", ...more])).out;

  test("the prompt and what follows; the seed decides", async () => {
    const once = await sample("--prompt", "the hills", "--tokens", "30", "--seed", "4");
    expect(once).toMatch(/^the hills[\s\S]{30}\n$/);
    expect(await sample("--prompt", "the hills", "--tokens", "30", "--seed", "4")).toBe(once);
    expect(await sample("--prompt", "the hills", "--tokens", "30", "--seed", "5")).not.toBe(once);
    expect(await sample("--tokens", "30")).toMatch(/^[\s\S]{30}\n$/);
  });

  test("temperature 0, top-k 1 and a tiny top-p are all the likeliest token", async () => {
    const text = (...more: string[]) => sample("--prompt", "the", "--tokens", "20", ...more);
    const greedy = await text("--temperature", "0");
    expect(await text("--top-k", "1", "--temperature", "2")).toBe(greedy);
    expect(await text("--top-p", "1e-9", "--seed", "9")).toBe(greedy);
  });

  test("--json", async () => {
    const answer = JSON.parse(await sample("--json", "--prompt", "down", "--tokens", "7", "--top-p", "0.9"));
    expect(answer).toMatchObject({ run: "hills", prompt: "down", tokens: 7, seed: 1, temperature: 0.8, topP: 0.9 });
    expect(answer.text).toHaveLength(7);
  });

  test("before the training has ended, from its last checkpoint", async () => {
    cpSync("hills", "under-way", { recursive: true });
    rmSync("under-way/model.safetensors");
    const { code, out } = await downhill(["sample", "under-way", "--tokens", "30"]);
    expect({ code, out }).toEqual({ code: 0, out: await sample("--tokens", "30") });
    rmSync("under-way/checkpoint.safetensors");
    const { err } = await downhill(["sample", "under-way"]);
    expect(err).toMatch(/under-way: there is no model\.safetensors yet/);
  });

  test("a text without line ends begins with its own first token", async () => {
    file("flat.txt", "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc".repeat(4));
    await downhill(["train", "flat.txt", "--out", "flat", ...quick]);
    expect((await downhill(["sample", "flat", "--tokens", "9"])).out).toMatch(/^[abc]{9}\n$/);
  });
});

describe("Ctrl-C", () => {
  /** As if the signal came the moment it may. */
  const interrupted = (argv: string[]): Promise<Said> => downhill(argv, { signal: AbortSignal.abort() });

  test("ends a sample with a whole line", async () => {
    const { code, out } = await interrupted(["sample", "hills", "--prompt", "the", "--tokens", "1000000"]);
    expect({ code, out }).toEqual({ code: 130, out: expect.stringMatching(/^the[\s\S]\n$/) });
  });

  test("saves a training, which ends as if never interrupted", async () => {
    const { code, err } = await interrupted(["train", "hills.txt", "--out", "stopped", ...quick]);
    expect({ code, err }).toMatchObject({ code: 130, err: expect.stringContaining("--resume stopped") });
    expect(err).toMatch(/Interrupted after \d+ steps?; the run is saved in stopped/);
    expect((await downhill(["train", "--resume", "stopped"])).code).toBe(0);
    expect(readFileSync("stopped/model.safetensors")).toEqual(readFileSync("hills/model.safetensors"));
  });
});

describe("eval", () => {
  test("another text: unknown characters are refused, or left out", async () => {
    file("strange.txt", `${line}zebra!\n${line}`);
    const { code, err } = await downhill(["eval", "hills", "strange.txt"]);
    expect(code).toBe(2);
    expect(err).toMatch(/"z" \(U\+007A\) in line 2, column 1[\s\S]*--unseen other/);
    const { out } = await downhill(["eval", "hills", "strange.txt", "--unseen", "other"]);
    expect(out).toMatch(/^loss \d\.\d{4} nats per character, perplexity [\d.]+ on 72 tokens\n$/);
  });
});

describe("mistakes", () => {
  beforeAll(async () => {
    file("empty.txt", "");
    file("binary.txt", Uint8Array.from([72, 105, 0, 1, 2]));
    file("latin1.txt", Uint8Array.from([72, 0xe9, 10]));
    file("same.txt", "a".repeat(500));
    file("short.txt", "so short");
    file("broken.json", '{"model": 3}');
    file("good.csv", flowers(60));
    await downhill(["train", "good.csv", "-t", "kind", "--out", "a-table", "--backend", "js", "--epochs", "1"]);
    await downhill(["train", "hills.txt", "--out", "untold", ...quick]);
    writeFileSync("untold/tokenizer.json", "{");
  });

  const train = (name: string, ...more: string[]) => ["train", name, ...quick, ...more];
  test.each<[string, string[], RegExp]>([
    ["a missing file", train("nowhere.txt"), /nowhere\.txt: no such file/],
    ["an empty file", train("empty.txt"), /empty\.txt: the file is empty/],
    ["a binary file", train("binary.txt"), /byte 2 is 0: this is a binary file/],
    ["another encoding", train("latin1.txt"), /byte 1 \(0xE9\) is not UTF-8.*iconv/],
    ["a short text", train("short.txt"), /short\.txt to train on is 7 tokens, too few for a context of 8/],
    [
      "a context longer than the held-out part",
      train("hills.txt", "--context", "64"),
      /last 10 % of hills\.txt is 42 tok/,
    ],
    ["heads that do not divide the width", train("hills.txt", "--heads", "3"), /--heads 3: the width of 8/],
    ["a network beyond memory", train("hills.txt", "--width", "100000"), /--width 100000: .*GB of memory/],
    ["all windows at once", train("hills.txt", "--batch", "full"), /--batch full/],
    [
      "more windows than there are",
      train("hills.txt", "--batch", "1000"),
      /--batch 1000: the part of hills\.txt to train on has 370 windows of 8 tokens hint: use a smaller batch, or a longer/,
    ],
    ["one character", train("same.txt"), /same\.txt: all its characters are the same one, "a": there is nothing to pr/],
    ["a vocabulary below the bytes", train("hills.txt", "--vocabulary", "100"), /vocabulary of 100 is too small/],
    [
      "a vocabulary of characters",
      train("hills.txt", "--tokenizer", "char", "--vocabulary", "300"),
      /--vocabulary 300/,
    ],
    ["no tokenizer", train("hills.txt", "--tokenizer", "nothing.json"), /nothing\.json: no such file/],
    [
      "a file that is none",
      train("hills.txt", "--tokenizer", "broken.json"),
      /broken\.json: this is no tokenizer\.json/,
    ],
    ["an option of tables", train("hills.txt", "--hidden", "8"), /--hidden is an option of tables/],
    ["epochs of a text", train("hills.txt", "--epochs", "2"), /--epochs is an option of tables.*--steps/],
    ["a table's model", train("hills.txt", "--model", "mlp"), /mlp is no model of texts \(it is gpt\).*--target/],
    ["images' model", train("hills.txt", "--model", "cnn"), /cnn is no model of texts \(it is gpt\)/],
    ["an option of texts", ["train", "good.csv", "-t", "kind", "--heads", "2"], /--heads is an option of texts/],
    ["sampling from a table's run", ["sample", "a-table"], /was trained on a table.*downhill predict/],
    ["predicting with a text's run", ["predict", "hills", "good.csv"], /was trained on a text.*downhill sample/],
    ["sampling from nothing", ["sample", "nothing"], /nothing: there is no such folder/],
    ["a damaged tokenizer", ["sample", "untold"], /untold\/tokenizer\.json: this is not JSON/],
    [
      "a prompt of unknown characters",
      ["sample", "hills", "--prompt", "the Z"],
      /^error: --prompt: .*"Z" \(U\+005A\) in line 1, column 5(?!.*--unseen)/,
    ],
    ["top-p 0", ["sample", "hills", "--top-p", "0"], /--top-p.*above 0 and up to 1/],
    ["top-p above 1", ["sample", "hills", "--top-p", "1.5"], /--top-p.*above 0 and up to 1/],
    ["top-p NaN", ["sample", "hills", "--top-p", "NaN"], /--top-p/],
    ["a temperature below 0", ["sample", "hills", "--temperature=-1"], /--temperature.*from 0 on/],
    ["a temperature of NaN", ["sample", "hills", "--temperature", "NaN"], /--temperature/],
    ["top-k 0", ["sample", "hills", "--top-k", "0"], /--top-k.*whole number from 1/],
    ["no tokens", ["sample", "hills", "--tokens", "0"], /--tokens.*whole number from 1/],
    ["eval on a text that is too short", ["eval", "hills", "short.txt", "--unseen", "other"], /too few for a context/],
    ["eval of a text as a table", ["eval", "hills", "hills.txt", "--header"], /--header is an option of tables/],
  ])("%s", async (_, argv, message) => {
    const before = readdirSync(".").sort();
    const { code, out, err } = await downhill(argv);
    expect(filled(err)).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: expect.stringMatching(/^(?![\s\S]*loss \d)/) });
    expect(err).not.toMatch(/\n\s+at .*:\d+/);
    expect(readdirSync(".").sort()).toEqual(before);
    expect(existsSync("runs/hills-2")).toBe(false);
  });
});

describe("the recipe", () => {
  test("parameters are counted as they are made", () => {
    for (const wishes of [{}, { layers: 2, heads: 3, width: 12, context: 5 }]) {
      const net = languageArchitecture(wishes, 75);
      const made = tree.leaves<Value>(init(languageModel(net), 1).params).reduce((sum, v) => sum + v.data.length, 0);
      expect(languageParameters(net)).toBe(made);
    }
  });

  // get_lr of nanoGPT's train.py: warm-up (it + 1) / 101, then a cosine from step 100 to the last, down to a tenth.
  test("the rate is nanoGPT's, step by step", () => {
    const rate = languageSchedule(languageRecipe({}));
    for (let it = 0; it <= 2000; it++) {
      const cosine = 0.5 * (1 + Math.cos((Math.PI * (it - 100)) / 1900));
      const expected = it < 100 ? (1e-3 * (it + 1)) / 101 : 1e-4 + cosine * 9e-4;
      expect(rate(it)).toBeCloseTo(expected, 12);
    }
  });
});
