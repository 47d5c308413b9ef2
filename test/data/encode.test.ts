import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCsv } from "../../src/data/csv.ts";
import { encoderFromJson, fitEncoder } from "../../src/data/encode.ts";
import { readCsv } from "../../src/data/files.ts";
import { tableOf } from "../../src/data/table.ts";
import { normal } from "../../src/random.ts";

const data = fileURLToPath(new URL("../../examples/data/", import.meta.url));
const rowsOf = ({ x }: { x: { shape: readonly number[]; data: Float32Array } }) => {
  const width = x.shape[1]!;
  return Array.from({ length: x.shape[0]! }, (_, i) => [...x.data.subarray(i * width, (i + 1) * width)]);
};
const gauss = (n: number, stream = 0) => Array.from({ length: n }, (_, i) => normal([5, 6], i, stream));
const kinds = (warnings: readonly { kind: string; column?: string }[]) =>
  warnings.map((w) => `${w.kind} ${w.column ?? ""}`.trim());

describe("numbers", () => {
  test("standardised by the training rows alone, in loops", () => {
    const table = tableOf({ a: [1, 2, 3, 100], b: [4, 4, 8, -4] });
    const rows = [0, 1, 2];
    const { encoder, warnings } = fitEncoder(table, { rows });
    expect(warnings).toEqual([]);
    const expected = [0, 1, 2, 3].map((row) =>
      (["a", "b"] as const).map((name) => {
        const values = { a: [1, 2, 3, 100], b: [4, 4, 8, -4] }[name];
        const mean = rows.reduce((s, r) => s + values[r]!, 0) / 3;
        const sd = Math.sqrt(rows.reduce((s, r) => s + (values[r]! - mean) ** 2, 0) / 3);
        return Math.fround(Math.min(10, (values[row]! - mean) / sd));
      }),
    );
    expect(rowsOf(encoder.transform(table))).toEqual(expected);
    expect(rowsOf(encoder.transform(table, { rows: [2, 0] }))).toEqual([expected[2], expected[0]]);
  });

  test("an absurd cell at predict time is cut off, with a warning", () => {
    const { encoder } = fitEncoder(tableOf({ a: [1, 2, 3, 4] }));
    const out = encoder.transform(tableOf({ a: [1e300, -1e300, 2] }));
    expect(rowsOf(out).slice(0, 2)).toEqual([[10], [-10]]);
    const rare = tableOf({ a: [...new Array<number>(200).fill(0), 1] });
    expect(fitEncoder(rare).encoder.transform(rare).warnings).toEqual([]); // 14 standard deviations, but seen before
    expect(out.warnings).toMatchObject([{ kind: "clipped", column: "a", evidence: { rows: 2 } }]);
  });

  test("missing cells: the median, and a column that says so where training had any", () => {
    const { encoder } = fitEncoder(tableOf({ a: [1, null, 3, 11, 5], b: [1, 2, 3, 4, 5] }));
    expect(encoder.featureNames).toEqual(["a", "a (missing)", "b"]);
    // 1, 4 (the median of 1 3 5 11), 3, 11, 5: mean 4.8, variance 11.36
    const z = (v: number) => Math.fround((v - 4.8) / Math.sqrt(11.36));
    const out = rowsOf(encoder.transform(tableOf({ a: [1, null], b: [3, null] })));
    expect(out[0]![0]).toBeCloseTo(z(1), 6);
    expect(out[1]![0]).toBeCloseTo(z(4), 6);
    expect(out.map((row) => row.slice(1))).toEqual([
      [0, 0],
      [1, 0], // b: its median 3 is its mean
    ]);
  });

  test("constant columns are left out; a constant that is missing now and then still says where", () => {
    const { encoder, warnings } = fitEncoder(
      tableOf({ a: [7, 7, 7], b: [null, null, null], c: [5, null, 5], d: [1, 2, 3] }),
    );
    expect(encoder.featureNames).toEqual(["c (missing)", "d"]);
    expect(kinds(warnings)).toEqual(["constant-column a", "constant-column b"]);
    expect(() => fitEncoder(tableOf({ a: [7, 7], b: ["x", "x"] }))).toThrow(
      'no column is left to learn from: Column "a" is left out: it is 7 in every training row',
    );
  });
});

describe("heavy tails", () => {
  const skewed = gauss(400).map((z) => Math.exp(2 * z));

  test("one-sided: sign(x − from) · ln(1 + |x − from| / scale), by numpy", () => {
    // numpy: x = np.array([0]*6 + [1, 2, 3, 4, 10, 10_000]); from = 0 (1st percentile), d = x[x > 0],
    // np.percentile(d, 25) = 2.25, t = np.log1p(x / 2.25), (t - t.mean()) / t.std()
    const x = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 10, 10_000];
    const { encoder, warnings } = fitEncoder(tableOf({ x }));
    expect(kinds(warnings)).toEqual(["heavy-tail x"]);
    expect(encoder.folded).toEqual(["x"]);
    const out = rowsOf(encoder.transform(tableOf({ x }))).flat();
    const golden = [
      -0.476484945, -0.476484945, -0.476484945, -0.476484945, -0.476484945, -0.476484945, -0.314334785, -0.19604238,
      -0.102864533, -0.025982497, 0.270755879, 3.227377986,
    ];
    out.forEach((z, i) => expect(z).toBeCloseTo(golden[i]!, 6));
  });

  test("either side and both sides lose their tails; the order of values stays", () => {
    const cauchy = gauss(400, 1).map((z, i) => z / (gauss(400, 2)[i]! || 1));
    for (const x of [skewed, skewed.map((v) => -v), skewed.map((v) => v + 1e6), cauchy]) {
      const { encoder, warnings } = fitEncoder(tableOf({ x }));
      expect(kinds(warnings)).toEqual(["heavy-tail x"]);
      const { kurtosis, kurtosisAfter } = warnings[0]!.evidence;
      expect(kurtosisAfter).toBeLessThan(kurtosis! / 4);
      const z = rowsOf(encoder.transform(tableOf({ x }))).flat();
      const order = x.map((_, i) => i).sort((a, b) => x[a]! - x[b]!);
      for (let i = 1; i < order.length; i++) expect(z[order[i]!]!).toBeGreaterThanOrEqual(z[order[i - 1]!]!);
    }
  });

  test("mirrored values are encoded mirrored", () => {
    const code = (x: number[]) => rowsOf(fitEncoder(tableOf({ x })).encoder.transform(tableOf({ x }))).flat();
    const mirrored = code(skewed.map((v) => -v));
    code(skewed).forEach((z, i) => {
      expect(mirrored[i]).toBeCloseTo(-z, 5);
    });
  });

  test("absurd cells on both sides do not flatten a normal column", () => {
    const x = [...gauss(1000), 1e12, -1e9];
    const { encoder } = fitEncoder(tableOf({ x }));
    const z = rowsOf(encoder.transform(tableOf({ x })))
      .flat()
      .slice(0, 1000);
    const mean = z.reduce((a, b) => a + b) / 1000;
    const sd = Math.sqrt(z.reduce((a, b) => a + (b - mean) ** 2, 0) / 1000);
    expect(sd).toBeGreaterThan(0.2);
  });

  test("well-behaved columns and flags are not touched", () => {
    const x = gauss(1000);
    const uniform = x.map((_, i) => i * 1.5);
    const exponential = x.map((_, i) => -Math.log(1 - (i + 0.5) / 1000)).map((v) => v ** 0.9);
    const flag = x.map((_, i) => (i % 100 === 0 ? 1 : 0));
    const { encoder } = fitEncoder(tableOf({ x, uniform, exponential, flag }));
    expect(encoder.folded).toEqual([]);
    expect(fitEncoder(tableOf({ x: skewed }), { foldTails: false }).encoder.folded).toEqual([]);
  });

  test("on the example data", () => {
    const folded = (file: string, target: string) =>
      fitEncoder(readCsv(join(data, file)), { exclude: [target] }).encoder.folded;
    expect(folded("spambase.csv", "spam").length).toBe(55);
    expect(folded("iris.csv", "species")).toEqual([]);
    expect(folded("wine.csv", "cultivar")).toEqual([]);
    expect(folded("concrete.csv", "compressive_strength")).toEqual(["age"]);
    expect(folded("breast_cancer.csv", "diagnosis")).toEqual([
      "radius_se",
      "perimeter_se",
      "area_se",
      "smoothness_se",
      "concavity_se",
      "fractal_dimension_se",
    ]);
  });
});

describe("categories", () => {
  test("one column each, in natural order, missing last", () => {
    const { encoder } = fitEncoder(tableOf({ c: ["b", "a10", null, "a2", "b"] }));
    expect(encoder.featureNames).toEqual(["c=a2", "c=a10", "c=b", "c=(missing)"]);
    expect(rowsOf(encoder.transform(tableOf({ c: ["a10", null, "b"] })))).toEqual([
      [0, 1, 0, 0],
      [0, 0, 0, 1],
      [0, 0, 1, 0],
    ]);
  });

  test("one never seen: an error that names it, or none of the known", () => {
    const { encoder } = fitEncoder(tableOf({ c: ["red", "green", "red"] }));
    const table = parseCsv("c\nred\ngren\n", { source: "new.csv" });
    expect(() => encoder.transform(table)).toThrow(
      'new.csv: line 3, column "c": category "gren" never occurred in training, which knew "green", "red"\n' +
        '  hint: did you mean "green"?',
    );
    const out = encoder.transform(table, { unseen: "other" });
    expect(rowsOf(out)).toEqual([
      [0, 1],
      [0, 0],
    ]);
    expect(out.warnings).toMatchObject([{ kind: "unseen-category", column: "c", evidence: { rows: 1 } }]);
    expect(() => encoder.transform(tableOf({ c: [null, "red"] }))).toThrow('row 1, column "c": a missing cell never');
  });

  test("many: the most frequent are kept, the others are one, and so is a new one", () => {
    const c = Array.from({ length: 300 }, (_, i) => `v${Math.floor(Math.sqrt(i))}`); // v17 11 times, v16 33 times, …
    const { encoder, warnings } = fitEncoder(tableOf({ c }), { maxCategories: 4 });
    expect(encoder.featureNames).toEqual(["c=v14", "c=v15", "c=v16", "c=(other)"]);
    expect(warnings).toMatchObject([
      { kind: "many-categories", evidence: { categories: 18, kept: 3, pooledRows: 207 } },
    ]);
    expect(rowsOf(encoder.transform(tableOf({ c: ["v15", "v3", "new"] })))).toEqual([
      [0, 1, 0, 0],
      [0, 0, 0, 1],
      [0, 0, 0, 1],
    ]);
  });

  test("categories that only the held-out rows have are unknown", () => {
    const { encoder } = fitEncoder(tableOf({ c: ["a", "b", "c"] }), { rows: [0, 1] });
    expect(encoder.featureNames).toEqual(["c=a", "c=b"]);
  });
});

describe("columns", () => {
  const n = 30;
  const a = gauss(n);

  test("identifiers and dates are left out, unless kept", () => {
    const table = tableOf({
      CustomerId: a.map((_, i) => 5000 - 3 * i),
      name: a.map((_, i) => `person ${i}`),
      day: a.map((_, i) => `2024-01-${String((i % 9) + 1).padStart(2, "0")}`),
      count: a.map((_, i) => i),
      grid: a.map((_, i) => 2 * i),
      a,
    });
    const { encoder, warnings } = fitEncoder(table);
    expect(encoder.featureNames).toEqual(["count", "grid", "a"]);
    expect(kinds(warnings)).toEqual(["dropped-column CustomerId", "dropped-column name", "dropped-column day"]);
    expect(fitEncoder(table, { keep: ["CustomerId"] }).encoder.featureNames).toContain("CustomerId");
  });

  test("their order does not matter; extra ones are ignored with a warning, the target without", () => {
    const { encoder } = fitEncoder(tableOf({ a: [1, 2, 3], b: ["x", "y", "x"], y: [0, 1, 0] }), { exclude: ["y"] });
    const left = encoder.transform(tableOf({ a: [1], b: ["y"] }));
    const right = encoder.transform(tableOf({ z: [9], y: [1], b: ["y"], a: [1] }));
    expect(right.x).toEqual(left.x);
    expect(right.warnings).toMatchObject([{ kind: "extra-columns", message: /"z" was not there/ }]);
  });

  test("missing ones are named, with what they are perhaps called now", () => {
    const { encoder } = fitEncoder(tableOf({ sepal_width: [1, 2], b: [1, 2] }));
    expect(() => encoder.transform(tableOf({ b: [1], "Sepal-Width": [2] }, { source: "p.csv" }))).toThrow(
      'p.csv: a column that training used is missing: "sepal_width"\n  hint: "Sepal-Width" is perhaps "sepal_width"',
    );
    expect(() => encoder.transform(tableOf({ q: [1] }))).toThrow("2 columns that training used are missing");
  });

  test("what a column was in training decides, not what the new file looks like", () => {
    const { encoder } = fitEncoder(tableOf({ size: ["1", "2", "XL", "XL"], a: [1, 2, 3, 4] }));
    expect(encoder.kinds).toEqual({ size: "categorical", a: "numeric" });
    const table = parseCsv("size,a\n1,2\n2,\n");
    expect(rowsOf(encoder.transform(table)).map((row) => row.slice(0, 3))).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    const words = parseCsv("size,a\n1,many\n2,few\n", { source: "w.csv" });
    expect(() => encoder.transform(words)).toThrow('w.csv: line 2, column "a": "many" is not a number');
  });
});

test("through JSON nothing changes", () => {
  const cell = fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }), { nil: null, freq: 4 });
  const row = fc.tuple(cell, fc.option(fc.constantFrom("a", "b", "c"), { nil: null }));
  fc.assert(
    fc.property(fc.array(row, { minLength: 3, maxLength: 40 }), (rows) => {
      const table = tableOf({ n: rows.map(([n]) => n), c: rows.map(([, c]) => c), ok: rows.map((_, i) => i) });
      const { encoder } = fitEncoder(table);
      const { x } = encoder.transform(table);
      expect(encoderFromJson(JSON.parse(JSON.stringify(encoder))).transform(table).x).toEqual(x);
      expect(x.shape).toEqual([rows.length, encoder.featureNames.length]);
      expect(x.data.every((v) => Math.abs(v) <= 10)).toBe(true);
    }),
    { seed: 1 },
  );
  // @ts-expect-error another version
  expect(() => encoderFromJson({ version: 9 })).toThrow("encoder: version 9");
});

describe("categories as integers", () => {
  const train = tableOf({ city: ["Bern", "Ulm", "Bern", null], size: [1, 2, 3, 5], kind: ["b", "a", "a", "b"] });
  const { encoder } = fitEncoder(train);

  test("places in the list of each categorical column, missing ones a category of their own", () => {
    const { codes, columns, warnings } = encoder.codes(train);
    expect(columns).toEqual([
      { name: "city", size: 4 },
      { name: "kind", size: 3 },
    ]);
    expect(codes.shape).toEqual([4, 2]);
    expect([...codes.data]).toEqual([0, 1, 1, 0, 0, 0, 2, 1]);
    expect(warnings).toEqual([]);
    expect([...encoder.codes(train, { rows: [3, 1] }).codes.data]).toEqual([2, 1, 1, 0]);
  });

  test("one that training never saw is refused, or the last code where that is asked for", () => {
    const table = tableOf({ kind: ["a", "c"], size: [1, 2], city: ["Ulm", "Ulm"] });
    expect(() => encoder.codes(table)).toThrow(/category "c" never occurred in training/);
    const { codes, warnings } = encoder.codes(table, { unseen: "other" });
    expect([...codes.data]).toEqual([1, 0, 1, 2]);
    expect(warnings).toMatchObject([{ kind: "unseen-category", column: "kind" }]);
  });
});
