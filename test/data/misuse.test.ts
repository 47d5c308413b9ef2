/** What plain JavaScript hands over in a wrong place is told with the call, by every function of the data subpaths. */
import { describe, expect, test } from "vitest";
import * as csv from "../../src/data/csv.ts";
import * as folder from "../../src/data/image-folder.ts";
import * as images from "../../src/data/images.ts";
import * as data from "../../src/data/index.ts";
import * as tokenizer from "../../src/data/tokenizer.ts";
import { DownhillError } from "../../src/ir/fail.ts";
import { value } from "../../src/ir/value.ts";

const table = data.tableOf({ a: [1, 2, 3], b: ["x", "y", "x"] });
const [column] = table.columns;
const idx = data.parseIdx(Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 1, 7));

/** Arguments that are right, for each function and class. */
const calls: Record<string, readonly unknown[]> = {
  ClassTarget: ["a", ["x", "y"]],
  Encoder: [data.fitEncoder(table).encoder.toJSON()],
  NumberTarget: ["a", 0, 1],
  TextStream: [tokenizer.characters("ab"), []],
  batches: [4, { batch: 2, seed: 1 }],
  bpe: ["ab ab", { vocabulary: 260 }],
  characters: ["ab"],
  classFiles: ["folder"],
  columnOf: [table, "a"],
  decodeImage: [new Uint8Array(4), {}],
  encoderFromJson: [data.fitEncoder(table).encoder.toJSON()],
  fitEncoder: [table, {}],
  fitTarget: [table, "a", {}],
  idxImages: [idx, {}],
  idxLabels: [idx],
  imageFiles: ["folder"],
  imageHeader: [new Uint8Array(4), {}],
  imageHeaders: [["1.png"], {}],
  inferTask: [column],
  inspect: [table, { target: "b", task: "binary", split: data.split(3, { seed: 1 }) }],
  isMissing: ["a"],
  missingAt: [column, 0],
  parseCsv: ["a\n1", {}],
  parseIdx: [new Uint8Array(4), "idx"],
  parseText: [Uint8Array.of(65), "text"],
  parseTokenizer: ["{}"],
  place: [table, 0],
  readImageFolder: ["folder", {}],
  readImages: [["1.png"], {}],
  resize: [value([1, 1, 1], [0]), [2, 2], {}],
  split: [4, { seed: 1 }],
  tableFromCells: [{ source: "s", names: ["a"], columns: [["1"]], lines: null }, {}],
  tableOf: [{ a: [1] }, {}],
  targetFromJson: [data.fitTarget(table, "b").toJSON()],
  textAt: [column, 0],
  tokenizerFromJson: [{}],
  trainBpe: ["ab ab", { vocabulary: 260 }],
  without: [table, ["a"]],
};
/** What may stand anywhere: names that are only printed. */
const printed = ["ClassTarget 0", "NumberTarget 0", "parseIdx 1", "parseText 1"];

// any: mistakes of type, made on purpose
const all: Record<string, any> = { ...csv, ...folder, ...images, ...data, ...tokenizer };

test.each(Object.entries(all))("%s", (name, f) => {
  const right = calls[name]!;
  const call = (args: readonly unknown[]) => (/^[A-Z]/.test(name) ? new f(...args) : f(...args));
  expect(() => call([])).toThrow(DownhillError);
  for (const [k, fits] of right.entries()) {
    if (printed.includes(`${name} ${k}`)) continue;
    for (const wrong of ["nothing of this name", 3, null, {}, []]) {
      const isOne = typeof wrong === "object" && wrong !== null && typeof fits === "object" && fits !== null;
      if (typeof wrong === typeof fits && (wrong === null || !isOne)) continue;
      if (isOne && Array.isArray(wrong) === Array.isArray(fits)) continue;
      expect(() => call(right.map((x, j) => (j === k ? wrong : x))), `argument ${k}: ${JSON.stringify(wrong)}`).toThrow(
        DownhillError,
      );
    }
  }
});

describe("messages", () => {
  test.each<[() => unknown, string]>([
    [() => all.columnOf("data.csv", "a"), 'columnOf: expected a table, got "data.csv"\n  hint: columnOf(parseCsv('],
    [() => all.inferTask(table), "inferTask: expected a column of a table, got an object with source"],
    [() => all.batches(100), "got undefined\n  hint: batches(1000, { batch: 32, seed: 1 })"],
    [
      () => all.split(table, { seed: 1 }),
      "split: rows: expected how many rows there are, a whole number, got an object",
    ],
    [() => all.bpe("x"), "bpe: expected an object of options, got undefined\n  hint: bpe(text, { vocabulary: 1000 })"],
    [() => all.parseTokenizer({}), "parseTokenizer: expected a text, got an empty object"],
    [() => all.readImageFolder(), "readImageFolder: path: expected a text, got undefined"],
    [() => all.readImageFolder(import.meta.filename), "this is a file, not a folder"],
    [() => all.missingAt(column, 7), 'missingAt: column "a" has rows 0 … 2, got 7'],
    [() => all.fitTarget(table, "b", { task: "classes" }), 'fitTarget: there is no task "classes"\n  hint: tasks are'],
    [() => all.characters("ab").encode(3), "encode: expected a text, got 3"],
    [() => all.characters("ab").decode(3), "decode: expected a list of tokens, got 3"],
  ])("%#", (call, message) => {
    expect(call).toThrow(message);
  });
});
