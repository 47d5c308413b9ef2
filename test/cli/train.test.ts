/** train, predict and eval in one process, on small data and the reference backend. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { data, downhill, flowers, workplace } from "./terminal.ts";

const { file } = workplace();
const quick = ["--backend", "js", "--hidden", "8", "--epochs", "20", "--lr", "0.03"];

beforeAll(async () => {
  file("flowers.csv", flowers(100));
  const { code, err } = await downhill(["train", "flowers.csv", "--target", "kind", "--out", "first", ...quick]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
});

/** As one line: where it is wrapped does not matter. */
const filled = (text: string) => text.replace(/\s+/g, " ");

describe("train", () => {
  test("leaves a run's folder and says how good the model is in its last line", async () => {
    const { code, out } = await downhill(["train", "flowers.csv", "-t", "kind", ...quick]);
    expect(code).toBe(0);
    expect(readdirSync("runs/flowers-1").sort()).toEqual([
      "checkpoint.safetensors",
      "journal.jsonl",
      "model.safetensors",
      "run.json",
    ]);
    const lines = out.trimEnd().split("\n");
    expect(lines.at(-1)).toMatch(/accuracy [01]\.\d{4}/);
    expect(filled(out)).toContain("80 to train on, 20 held out");
    expect(filled(out)).toContain("2 numbers (1 with missing cells");
    expect(out).toMatch(/rose +10 +0\n/); // the confusion matrix
    expect(lines.filter((line) => /epoch +\d+\/20/.test(line)).length).toBeLessThanOrEqual(10);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  test("--json: one line on stdout, the rest on stderr", async () => {
    const { code, out, err } = await downhill([
      "train",
      "flowers.csv",
      "-t",
      "kind",
      "--out",
      "json",
      "--json",
      ...quick,
    ]);
    expect(code).toBe(0);
    expect(out.trimEnd().split("\n")).toHaveLength(1);
    expect(err).toContain("held-out accuracy");
    expect(JSON.parse(out)).toMatchObject({
      task: "binary",
      backend: "js",
      seed: 1,
      epochs: 20,
      steps: 60,
      trainLoss: expect.any(Number),
      testLoss: expect.any(Number),
      testAccuracy: 1,
      secondsTraining: expect.any(Number),
      run: "json",
    });
  });

  test("a quantity: RMSE and R², in the target's unit", async () => {
    const { out } = await downhill([
      "train",
      "flowers.csv",
      "-t",
      "height",
      "--out",
      "height",
      "--json",
      "--task",
      "regression",
      ...quick,
    ]);
    const { testRmse, testR2, testAccuracy } = JSON.parse(out);
    expect(testAccuracy).toBeUndefined();
    expect(testR2).toBeGreaterThan(0.5);
    expect(testRmse).toBeLessThan(5);
  });

  test("the same seed gives the same model, another seed another one", async () => {
    const model = async (out: string, seed: string) => {
      await downhill(["train", "flowers.csv", "-t", "kind", "--out", out, "--seed", seed, ...quick]);
      return readFileSync(`${out}/model.safetensors`);
    };
    const first = await model("seed-1", "1");
    expect(await model("seed-1-again", "1")).toEqual(first);
    expect(await model("seed-2", "2")).not.toEqual(first);
  });

  test("on a terminal a line moves, within its width, and is cleared", async () => {
    const { out } = await downhill(["train", "flowers.csv", "-t", "kind", "--out", "tty", ...quick], {
      columns: 80,
      color: true,
    });
    expect(out).toContain("\u001b[?25l");
    expect(out).toContain("\u001b[?25h"); // the cursor is back
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is looked for
    const plain = out.replace(/\u001b\[[\d;?]*[A-Za-z]|\u001b[78]/g, "\r");
    for (const line of plain.split(/[\r\n]+/).filter((line) => line.includes("epoch "))) {
      expect(line.length).toBeLessThan(80);
    }
  });

  test("a file in gzip, with characters in its header that shells and parsers like", async () => {
    const text =
      "char_freq_;,char_freq_$,#,kind\n" +
      Array.from({ length: 40 }, (_, i) => `${i % 2},${i % 5},${i % 3},${i % 2 ? "a" : "b"}`).join("\n");
    file("odd.csv.gz", gzipSync(text));
    const { code } = await downhill(["train", "odd.csv.gz", "--target", "kind", "--out", "odd", ...quick]);
    expect(code).toBe(0);
    const again = await downhill([
      "train",
      "odd.csv.gz",
      "--target",
      "char_freq_;",
      "--drop",
      "kind",
      "--out",
      "odd-2",
      ...quick,
    ]);
    expect(again.code).toBe(0);
  });

  test("warnings of the data are told", async () => {
    const lines = flowers(60).trimEnd().split("\n");
    file("warn.csv", lines.map((line, k) => `${line},${k === 0 ? "always" : "1"}`).join("\n"));
    const { out } = await downhill(["train", "warn.csv", "-t", "kind", "--out", "warn", ...quick]);
    expect(out).toContain('Column "always" is left out');
    expect(filled(out)).toContain('"height" alone tells the class');
  });
});

describe("--resume", () => {
  test("of a run that has ended measures it again", async () => {
    const before = readFileSync("first/model.safetensors");
    const { code, out } = await downhill(["train", "--resume", "first", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ epochs: 20, steps: 60, run: "first" });
    expect(readFileSync("first/model.safetensors")).toEqual(before);
  });

  test("settings may be repeated, but not changed", async () => {
    expect((await downhill(["train", "--resume", "first", "--epochs", "20", "--target", "kind"])).code).toBe(0);
    expect((await downhill(["train", "--resume", "first", "--threads", "3"])).code).toBe(0); // they change nothing
    const { code, err } = await downhill(["train", "--resume", "first", "--lr", "0.5"]);
    expect(code).toBe(2);
    expect(err).toContain("--lr 0.5: a resumed run goes on with its own settings, here 0.03");
  });

  test("other data are refused", async () => {
    file("other.csv", flowers(102));
    const { code, err } = await downhill(["train", "other.csv", "--resume", "first"]);
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringContaining("not the data that first was trained on"),
    });
  });
});

describe("predict", () => {
  const rows = (text: string) => text.trimEnd().split("\n");

  test("a prediction and its probabilities for each row", async () => {
    const { code, out } = await downhill(["predict", "first", "flowers.csv"]);
    expect(code).toBe(0);
    const [header, ...lines] = rows(out);
    expect(header).toBe("prediction,p(rose),p(tulip)");
    expect(lines).toHaveLength(100);
    for (const [i, line] of lines.entries()) {
      const [label, rose, tulip] = line.split(",");
      expect(label).toBe(i % 2 === 0 ? "rose" : "tulip");
      expect(Number(rose) + Number(tulip)).toBeCloseTo(1, 5);
      expect(Number(rose) > 0.5).toBe(label === "rose");
    }
  });

  test("columns in another order, one too many, and no target", async () => {
    file("new.csv", "place,colour,width,height\nsun,red,4,11\nshade,blue,5,22\n");
    const { code, out, err } = await downhill(["predict", "first", "new.csv"]);
    expect(code).toBe(0);
    expect(rows(out).map((line) => line.split(",")[0])).toEqual(["prediction", "rose", "tulip"]);
    expect(err).toContain('"colour" was not there in training');
  });

  test("--out writes the same as stdout", async () => {
    const { out } = await downhill(["predict", "first", "flowers.csv"]);
    expect((await downhill(["predict", "first", "flowers.csv", "--out", "answers.csv"])).out).toBe("");
    expect(readFileSync("answers.csv", "utf8")).toBe(out);
  });

  test("labels that CSV must quote", async () => {
    const text = flowers(60).replaceAll("rose", '"rose, ""wild"""');
    file("quoted.csv", text);
    await downhill(["train", "quoted.csv", "-t", "kind", "--out", "quoted", ...quick]);
    const { out } = await downhill(["predict", "quoted", "quoted.csv"]);
    expect(rows(out)[0]).toBe('prediction,"p(rose, ""wild"")",p(tulip)');
  });
});

describe("eval", () => {
  test("on all rows; --json with the confusion matrix", async () => {
    const { code, out } = await downhill(["eval", "first", "flowers.csv"]);
    expect(code).toBe(0);
    expect(out.trimEnd().split("\n").at(-1)).toMatch(/^accuracy 1\.0000: 100 of 100 right/);
    const json = await downhill(["eval", "first", "flowers.csv", "--json"]);
    expect(JSON.parse(json.out)).toMatchObject({
      rows: 100,
      right: 100,
      confusion: [
        [50, 0],
        [0, 50],
      ],
      auc: 1,
    });
  });

  test("the score of the held-out rows is that of training's report", async () => {
    const { out } = await downhill(["train", data("iris.csv"), "-t", "species", "--out", "iris", "--json", ...quick]);
    const found = JSON.parse((await downhill(["eval", "iris", data("iris.csv"), "--json"])).out);
    expect(found.rows).toBe(150);
    expect(found.accuracy).toBeGreaterThan(0.8);
    expect(JSON.parse(out).testRows).toBe(30);
  });

  test("a file without the target", async () => {
    file("blind.csv", "height,width,place\n11,4,sun\n");
    const { code, err } = await downhill(["eval", "first", "blind.csv"]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('no column "kind"') });
    expect(existsSync("blind.csv.tmp")).toBe(false);
  });
});
