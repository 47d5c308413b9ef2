/** Mistakes of the user: each is one clear message on stderr, exit code 2, no stack trace, and nothing written. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { downhill, flowers, workplace } from "./terminal.ts";

const { file } = workplace();
const quick = ["--backend", "js", "--hidden", "4", "--epochs", "5"];
const many = (line: (i: number) => string, n = 40) => Array.from({ length: n }, (_, i) => line(i)).join("\n");

beforeAll(async () => {
  file("good.csv", flowers(60));
  file("empty.csv", "");
  file("header.csv", "a,b,kind\n");
  file("one-class.csv", `a,kind\n${many((i) => `${i},x`)}\n`);
  file("words.csv", `a,kind\n${many((i) => `${i === 7 ? "oops" : i + 0.5},${i % 2}`)}\n`);
  file("ragged.csv", `a,b,kind\n${many((i) => (i === 4 ? "1,2" : `${i},${i % 5},${i % 2}`))}\n`);
  file("infinite.csv", `a,kind\n${many((i) => `${i === 2 ? "inf" : i},${i % 2}`)}\n`);
  file("missing-target.csv", `a,kind\n${many((i) => `${i},${i === 2 ? "NaN" : i % 2}`)}\n`);
  file("constant.csv", `a,kind\n${many((i) => `5,${i % 2}`)}\n`);
  file("twice.csv", `a,a,kind\n${many((i) => `${i},${i},${i % 2}`)}\n`);
  file("one-row.csv", "a,kind\n1,x\n");
  file("text-target.csv", `a,note\n${many((i) => `${i},n${i}`)}\n`);
  writeFileSync("damaged.csv.gz", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]));
  mkdirSync("folder.csv");
  await downhill(["train", "good.csv", "-t", "kind", "--out", "run", ...quick]);
});

const train = (name: string, ...more: string[]) => ["train", name, "--target", "kind", ...more];

const cases: Record<string, [argv: string[], message: RegExp]> = {
  "a missing file": [train("nowhere.csv"), /nowhere\.csv: no such file/],
  "an empty file": [train("empty.csv"), /empty\.csv: the file is empty/],
  "a header alone": [train("header.csv"), /there is a header, but no rows/],
  "a folder": [train("folder.csv"), /this is a folder/],
  "damaged gzip": [train("damaged.csv.gz"), /gzip data/],
  "no data": [["train"], /name a data file/],
  "no target": [["train", "good.csv"], /--target[\s\S]*"height", "width", "place", "kind"/],
  "a target that is not there": [["train", "good.csv", "--target", "kin"], /no column "kin"[\s\S]*did you mean "kind"/],
  "one class": [train("one-class.csv"), /one class only, "x"/],
  "a word among numbers": [train("words.csv"), /line 9, column "a": "oops" is not a number[\s\S]*--categorical/],
  "ragged rows": [train("ragged.csv"), /line 6 has 2 cells, the header has 3/],
  "an infinite cell": [train("infinite.csv"), /line 4, column "a": "inf" is not a finite number/],
  "a missing target cell": [train("missing-target.csv"), /line 4: the target "kind" is missing/],
  "only a constant column": [train("constant.csv"), /no column is left[\s\S]*it is 5 in every training row/],
  "a column name twice": [train("twice.csv"), /columns 1 and 2 are both named "a"/],
  "one row": [train("one-row.csv"), /one class only|too few/],
  "classes that are none": [["train", "text-target.csv", "-t", "note"], /40 different values in 40 rows/],
  "text as a quantity": [train("good.csv", "--task", "regression"), /"rose": a regression needs numbers/],
  "a batch larger than the data": [train("good.csv", "--batch", "1000"), /--batch 1000[\s\S]*48 rows to train on/],
  "lr 0": [train("good.csv", "--lr", "0"), /--lr.*above 0/],
  "lr below 0": [train("good.csv", "--lr=-1"), /--lr.*above 0/],
  "lr NaN": [train("good.csv", "--lr", "NaN"), /--lr.*above 0/],
  "lr out of all bounds": [
    train("good.csv", "--lr", "1e30", "--backend", "js"),
    /training stopped in step \d+[\s\S]*at net\.layers[\s\S]*--lr/,
  ],
  "an unknown optimizer": [train("good.csv", "--optimizer", "adamm"), /Did you mean adam\?/],
  "a full-batch method": [
    train("good.csv", "--optimizer", "lbfgs"),
    /fit\(\{ optimizer: lbfgs\(\), batch: "full", … \}\) trains by it[\s\S]*--batch full/,
  ],
  "an unknown model": [train("good.csv", "--model", "lineer"), /Did you mean linear\?/],
  "images' model of a table": [
    train("good.csv", "--model", "cnn"),
    /--model cnn is no model of tables \(they are mlp, linear\), and good\.csv is trained as a table/,
  ],
  "a text's model of a table": [["train", "good.csv", "--model", "gpt"], /gpt is no model of tables[\s\S]*--tokenizer/],
  "an unknown schedule": [train("good.csv", "--schedule", "cosin"), /Did you mean cosine\?/],
  "an unknown backend": [train("good.csv", "--backend", "nativ"), /Did you mean native\?/],
  "no threads": [train("good.csv", "--threads", "0"), /--threads.*whole number from 1 to 256/],
  "an unknown task": [train("good.csv", "--task", "regresion"), /Did you mean regression\?/],
  "an unknown option": [train("good.csv", "--epoch", "3"), /--epochs/],
  "an unknown command": [["trian", "good.csv"], /Did you mean train\?/],
  "epochs that are no number": [train("good.csv", "--epochs", "many"), /--epochs.*whole number/],
  "a test share of 1": [train("good.csv", "--test-fraction", "1"), /--test-fraction.*between 0 and 1/],
  "a seed below 0": [train("good.csv", "--seed=-3"), /--seed.*whole number/],
  "widths that are no numbers": [train("good.csv", "--hidden", "64,x"), /--hidden.*128,64/],
  "a network beyond memory": [
    train("good.csv", "--hidden", "1000000,1000000"),
    /--hidden 1000000,1000000.*GB of memory/,
  ],
  "hidden layers of a linear model": [
    train("good.csv", "--model", "linear", "--hidden", "3"),
    /a linear model has no hidden layers/,
  ],
  "a column to drop that is not there": [train("good.csv", "--drop", "heigt"), /did you mean "height"/],
  "dropping the target": [train("good.csv", "--drop", "kind"), /"kind" is the target/],
  "a folder that holds a run": [train("good.csv", "--out", "run"), /already holds a run[\s\S]*--resume run/],
  "an output that is a file": [train("good.csv", "--out", "good.csv"), /this is a file, not a folder/],
  "an output that cannot be made": [train("good.csv", "--out", "/proc/nothing/here"), /\/proc\/nothing/],
  "resuming what is not there": [["train", "--resume", "nothing"], /nothing: there is no such folder/],
  "resuming what is no run": [["train", "--resume", "folder.csv"], /holds no run/],
  "predicting with no run": [["predict", "nothing", "good.csv"], /no such folder/],
  "predicting without a file": [["predict", "run"], /missing required argument 'data'/],
};

describe.each(Object.entries(cases))("%s", (_, [argv, message]) => {
  test("is explained, and nothing is left behind", async () => {
    const before = readdirSync(".").sort();
    const { code, out, err } = await downhill(argv);
    expect(err.replace(/\s+/g, " ")).toMatch(new RegExp(message.source.replaceAll("\\n", " "), message.flags));
    expect(code).toBe(2);
    expect(err).not.toMatch(/\n\s+at .*:\d+/); // no line of code
    expect(out).not.toContain("accuracy 0");
    expect(readdirSync(".").sort()).toEqual(before);
  });
});

describe("at predict time", () => {
  const predict = (text: string, ...more: string[]) => downhill(["predict", "run", file("new.csv", text), ...more]);

  test("a category that training never saw", async () => {
    const unseen = "height,width,place\n11,4,moon\n";
    const { code, err, out } = await predict(unseen);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/line 2, column "place": category "moon" never occurred[\s\S]*--unseen other/);
    const { code: accepted, out: answer } = await predict(unseen, "--unseen", "other");
    expect(accepted).toBe(0);
    expect(answer.split("\n")).toHaveLength(3);
  });

  test("a column that is missing, or has another name", async () => {
    const { code, err } = await predict("heights,width,place\n11,4,sun\n");
    expect(code).toBe(2);
    expect(err).toMatch(/"height"[\s\S]*"heights" is perhaps "height"/);
  });

  test("an output that cannot be written", async () => {
    const { code, err } = await predict("height,width,place\n11,4,sun\n", "--out", "/proc/nothing.csv");
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringContaining("/proc/nothing.csv: cannot be written"),
    });
  });
});

describe("a run's folder", () => {
  const damaged = (name: string, damage: (folder: string) => void) => {
    cpSync("run", name, { recursive: true });
    damage(name);
    return name;
  };

  test("a model that is cut off", async () => {
    const run = damaged("cut", (folder) => truncateSync(`${folder}/model.safetensors`, 200));
    const { code, err } = await downhill(["predict", run, "good.csv"]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("cut/model.safetensors") });
  });

  test("a checkpoint with a flipped bit", async () => {
    const run = damaged("flipped", (folder) => {
      const bytes = readFileSync(`${folder}/checkpoint.safetensors`);
      bytes[bytes.length - 9]! ^= 1;
      writeFileSync(`${folder}/checkpoint.safetensors`, bytes);
    });
    const { code, err } = await downhill(["train", "--resume", run]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("checksum differs") });
    expect(existsSync(`${run}/run.json`)).toBe(true);
  });

  test("another version", async () => {
    const run = damaged("future", (folder) => {
      const text = readFileSync(`${folder}/run.json`, "utf8").replace('"version": 1', '"version": 99');
      writeFileSync(`${folder}/run.json`, text);
    });
    for (const argv of [
      ["train", "--resume", run],
      ["predict", run, "good.csv"],
      ["eval", run, "good.csv"],
    ]) {
      const { code, err } = await downhill(argv);
      expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("version 99") });
    }
  });

  test("data that are gone", async () => {
    copyFileSync("good.csv", "soon-gone.csv");
    await downhill(["train", "soon-gone.csv", "-t", "kind", "--out", "orphan", ...quick]);
    const { rmSync } = await import("node:fs");
    rmSync("soon-gone.csv");
    const { code, err } = await downhill(["train", "--resume", "orphan"]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("soon-gone.csv: no such file") });
    expect((await downhill(["train", "good.csv", "--resume", "orphan"])).code).toBe(0);
  });
});
