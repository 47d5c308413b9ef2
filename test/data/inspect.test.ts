import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readCsv } from "../../src/data/files.ts";
import { inspect } from "../../src/data/inspect.ts";
import { split } from "../../src/data/split.ts";
import { columnOf, type Table, tableOf } from "../../src/data/table.ts";
import { fitTarget, inferTask } from "../../src/data/target.ts";
import { normal } from "../../src/random.ts";

const data = fileURLToPath(new URL("../../examples/data/", import.meta.url));
const gauss = (n: number, stream: number) => Array.from({ length: n }, (_, i) => normal([8, 9], i, stream));

function look(table: Table, target: string, share = 0.2) {
  const { task } = inferTask(columnOf(table, target));
  const classes = task === "regression" ? undefined : fitTarget(table, target).encode(table).data;
  const parts = split(table.rows, { seed: 1, test: share, ...(classes && { classes }) });
  return { warnings: inspect(table, { target, task, split: parts }), parts };
}
const kinds = (table: Table, target: string) =>
  look(table, target).warnings.map((w) => `${w.kind} ${w.column ?? ""}`.trim());

describe("the example data: honest, strong columns are no leak", () => {
  test.each([
    ["spambase.csv", "spam", ["duplicates-across-split"]],
    ["digits.csv.gz", "digit", []],
    ["breast_cancer.csv", "diagnosis", []],
    ["wine.csv", "cultivar", []],
    ["concrete.csv", "compressive_strength", ["duplicates-across-split"]],
  ])("%s", (file, target, expected) => {
    expect(kinds(readCsv(join(data, file)), target)).toEqual(expected);
  });
  test("iris.csv", () => {
    expect(kinds(readCsv(join(data, "iris.csv")), "species")).not.toContain("leakage petal_width");
  });

  test("spambase's duplicates, counted by their text", () => {
    const table = readCsv(join(data, "spambase.csv"));
    const { warnings, parts } = look(table, "spam");
    const text = (row: number) =>
      table.columns
        .slice(0, -1)
        .map((column) => column.values[row])
        .join();
    const seen = new Map([...parts.train].map((row) => [text(row), row]));
    const repeated = [...parts.test].filter((row) => seen.has(text(row)));
    expect(repeated.length).toBeGreaterThan(50);
    expect(warnings[0]!.evidence).toMatchObject({ test: repeated.length, testRows: parts.test.length, validation: 0 });
    expect(warnings[0]!.message).toContain(`${repeated.length} of 920 test rows repeat a training row exactly`);
  });
});

describe("duplicates", () => {
  test("with another target, texts and missing cells among the features", () => {
    const a = [...gauss(59, 0), Number.NaN];
    const c = a.map((_, i) => (i % 2 ? "x" : null));
    const table = tableOf({ a: [...a, ...a], c: [...c, ...c], y: [...a.map(() => "u"), ...a.map(() => "v")] });
    const parts = { train: Int32Array.from(a.keys()), validation: Int32Array.of(60), test: Int32Array.of(61, 119) };
    const [warning] = inspect(table, { target: "y", task: "binary", split: parts });
    expect(warning).toMatchObject({
      kind: "duplicates-across-split",
      evidence: { test: 2, validation: 1, contradicting: 3 },
    });
  });
});

describe("leakage", () => {
  const n = 300;
  const honest = gauss(n, 1);
  const y = honest.map((z, i) => (z + gauss(n, 2)[i]! > 0 ? 1 : 0));

  test("a copy, a relabelling, a threshold, a category, and where it is missing", () => {
    const strong = y.map((v, i) => (i % 50 === 0 ? 1 - v : v) + honest[i]! / 10); // right in 98 %
    const table = tableOf({
      honest,
      strong,
      copy: y,
      relabelled: y.map((v) => 7 - 4 * v),
      threshold: y.map((v, i) => v * 5 + Math.abs(honest[i]!) - (1 - v) * 5),
      city: y.map((v, i) => (v ? ["Bern", "Basel"][i % 2]! : "Genf")),
      absent: y.map((v) => (v ? null : 3)),
      y,
    });
    expect(kinds(table, "y").sort()).toEqual([
      "leakage absent",
      "leakage city",
      "leakage copy",
      "leakage relabelled",
      "leakage threshold",
    ]);
  });

  test("three classes in one column, whatever their order; a middle piece is no stump", () => {
    const classes = honest.map((_, i) => ["a", "b", "c"][i % 3]!);
    const coded = classes.map((label, i) => ({ a: 5, b: -5, c: 0 })[label]! + Math.tanh(honest[i]!));
    expect(kinds(tableOf({ honest, coded, classes }), "classes")).toEqual(["leakage coded"]);
    // Two classes in three pieces: a single threshold gets two thirds.
    const band = classes.map((label) => (label === "c" ? "in" : "out"));
    expect(kinds(tableOf({ honest, coded, band }), "band")).toEqual([]);
  });

  test("a quantity: its copy in another unit", () => {
    const price = honest.map((z, i) => 100 + 20 * z + 10 * gauss(n, 3)[i]!);
    const cents = price.map((p, i) => (i % 10 === 0 ? null : Math.round(100 * p)));
    expect(kinds(tableOf({ honest, cents, price }), "price")).toEqual(["leakage cents"]);
  });

  test("silent on tiny data, on a single column, and where the majority is nearly always right", () => {
    const few = y.slice(0, 24);
    expect(kinds(tableOf({ a: few, b: honest.slice(0, 24), y: few }), "y")).not.toContain("leakage a");
    expect(kinds(tableOf({ a: y, y }), "y")).not.toContain("leakage a");
    const rare = honest.map((_, i) => (i % 150 === 0 ? "yes" : "no"));
    expect(kinds(tableOf({ honest, other: gauss(n, 4), rare }), "rare")).toEqual(["imbalance"]);
  });
});

test("imbalance: share and majority", () => {
  const y = Array.from({ length: 200 }, (_, i) => (i % 20 === 0 ? "ill" : "well"));
  const { warnings } = look(tableOf({ a: gauss(200, 1), b: gauss(200, 2), y }), "y");
  expect(warnings).toMatchObject([
    { kind: "imbalance", evidence: { smallest: 10, rows: 200, share: 0.05, majorityAccuracy: 0.95 } },
  ]);
  expect(warnings[0]!.message).toContain('Class "ill" has 10 of 200 rows (5.0 %); always answering "well"');
});

test("few rows", () => {
  const n = 30;
  const y = gauss(n, 0);
  expect(kinds(tableOf({ a: gauss(n, 1), y }), "y")).toEqual(["few-rows"]);
  const wide = Object.fromEntries(Array.from({ length: 70 }, (_, k) => [`a${k}`, gauss(80, k + 10)]));
  expect(kinds(tableOf({ ...wide, y: gauss(80, 1) }), "y")).toEqual(["few-rows"]);
});
