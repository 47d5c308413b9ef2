import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCsv } from "../../src/data/csv.ts";
import { columnOf, tableOf } from "../../src/data/table.ts";
import { fitTarget, inferTask, type Task, targetFromJson } from "../../src/data/target.ts";

const repeat = <T>(values: readonly T[], times: number) => Array.from({ length: times }, () => values).flat();
const range = (from: number, n: number) => Array.from({ length: n }, (_, i) => from + i);

describe("inferTask", () => {
  test.each<[string, Task, readonly (string | number)[]]>([
    ["two texts", "binary", ["no", "yes", "no", "yes"]],
    ["three texts", "multiclass", ["a", "b", "c", "a"]],
    ["0 and 1", "binary", [0, 1, 1, 0]],
    ["1 and 2, few rows", "binary", [1, 2]],
    ["ten digits", "multiclass", repeat(range(0, 10), 5)],
    ["ratings 3 … 8", "multiclass", repeat(range(3, 6), 20)],
    ["26 letters as numbers", "multiclass", repeat(range(0, 26), 30)],
    ["fractions", "regression", repeat([0.5, 1.5], 20)],
    ["whole numbers, nearly as many as rows", "regression", range(1, 12)],
    ["years", "regression", repeat(range(1980, 40), 30)],
    ["counts that thin out", "regression", [...repeat(range(1, 27), 20), ...repeat([8, 9, 10], 600), 28]],
  ])("%s: %s", (_, task, y) => {
    expect(inferTask(columnOf(tableOf({ y }), "y")).task).toBe(task);
  });

  test("many different numbers are no burden", () => {
    const y = Float64Array.from({ length: 300_000 }, (_, i) => i * 7);
    expect(inferTask({ kind: "numeric", name: "y", values: y }).task).toBe("regression");
  });

  test("says why", () => {
    expect(inferTask(columnOf(tableOf({ y: ["a", "b"] }), "y")).reason).toBe('"y" holds 2 different texts');
  });
});

describe("classes", () => {
  test("numbers ascending, texts in natural order, and back", () => {
    const numbers = fitTarget(tableOf({ y: [10, 2, 10, 1, 2, 1] }), "y", { task: "multiclass" });
    expect(numbers.toJSON()).toEqual({ version: 1, name: "y", task: "multiclass", labels: [1, 2, 10] });
    const texts = fitTarget(tableOf({ y: ["a10", "a2", "b", "a2"] }), "y");
    expect([...texts.encode(tableOf({ y: ["b", "a2", "a10"] })).data]).toEqual([2, 0, 1]);
    expect(texts.encode(tableOf({ y: ["b", "a2", "a10"] }), [2, 0])).toMatchObject({ dtype: "i32", shape: [2] });
    expect(texts.decode(1)).toBe("a10");
    expect(() => texts.decode(3)).toThrow("there is no class 3");
  });

  test("decode undoes encode, also through JSON", () => {
    const label = fc.constantFrom("a", "b", "B", "01", "1", "é", "x y");
    fc.assert(
      fc.property(fc.array(label, { minLength: 2, maxLength: 9 }), (y) => {
        if (new Set(y).size < 2) return;
        const table = tableOf({ y }, { kinds: { y: "categorical" } });
        const target = targetFromJson(JSON.parse(JSON.stringify(fitTarget(table, "y"))));
        expect(Array.from(target.encode(table).data, (k) => target.decode(k))).toEqual(y);
      }),
      { seed: 1 },
    );
  });

  test("errors", () => {
    const csv = (text: string) => parseCsv(text, { source: "d.csv" });
    expect(() => fitTarget(csv("a,y\n1,x\n2,x\n"), "y")).toThrow('d.csv: target "y" has one class only, "x"');
    expect(() => fitTarget(csv("a,y\n1,5\n2,5\n"), "y")).toThrow('target "y" has one class only, "5"');
    expect(() => fitTarget(csv("a,y\n1,x\n2,\n3,\n4,y\n"), "y")).toThrow(
      'd.csv: line 3: the target "y" is missing, and in 1 more row',
    );
    expect(() => fitTarget(csv("a,y\n1,\n2,\n"), "y")).toThrow("is missing in every row");
    expect(() => fitTarget(csv("a,y\n1,x\n2,z\n"), "label")).toThrow('no column "label"');
    const names = tableOf({ y: range(0, 20).map((i) => `name ${i}`) });
    expect(() => fitTarget(names, "y")).toThrow("20 different values in 20 rows: these are no classes");
    expect(() => fitTarget(tableOf({ y: ["a", "b", "c"] }), "y", { task: "binary" })).toThrow("has 3 classes");
    const target = fitTarget(csv("y\nham\nspam\nspam\nham\n"), "y");
    expect(() => target.encode(csv("y\nham\nspan\n"))).toThrow(
      'd.csv: line 3, target "y": class "span" is unknown; training knew "ham", "spam"\n  hint: did you mean "spam"?',
    );
    // @ts-expect-error another version
    expect(() => targetFromJson({ version: 2 })).toThrow("version 2");
  });
});

describe("quantities", () => {
  test("standardised by the training rows, and back", () => {
    const table = tableOf({ y: [1, 3, 1000] });
    const target = fitTarget(table, "y", { task: "regression", rows: [0, 1] });
    expect(target.toJSON()).toEqual({ version: 1, name: "y", task: "regression", mean: 2, sd: 1 });
    const z = target.encode(table);
    expect([z.dtype, ...z.data]).toEqual(["f32", -1, 1, 998]);
    expect(Array.from(z.data, (v) => target.decode(v))).toEqual([1, 3, 1000]);
  });

  test("errors", () => {
    expect(() => fitTarget(tableOf({ y: [2.5, 2.5] }), "y", { task: "regression" })).toThrow("2.5 in every row");
    expect(() => fitTarget(tableOf({ y: ["a", "b"] }), "y", { task: "regression" })).toThrow(
      "a regression needs numbers",
    );
  });
});
