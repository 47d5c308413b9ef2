/** The bench's command line, and its table. */
import { describe, expect, test } from "vitest";
import { optionsOf, Usage } from "../../bench/options.ts";
import { head, type Row, rowOf, short } from "../../bench/table.ts";
import { workloads } from "../../bench/workloads.ts";

describe("options", () => {
  test("all workloads unless one is named, in either case", () => {
    expect(optionsOf([])).toEqual({ json: false, quick: false, backend: "auto", chosen: workloads });
    expect(optionsOf(["--json", "--quick", "--only", "mlp-32", "--backend", "js"])).toMatchObject({
      json: true,
      quick: true,
      backend: "js",
      chosen: [{ name: "MLP-32" }],
    });
  });

  test.each([
    [["--only", "MLP-33"], /no "MLP-33"; did you mean MLP-32[?]/],
    [["--backend", "natve"], /no "natve"; did you mean native[?]/],
    [["--jsn"], /--jsn.*\n.*npm run bench/s],
    [["fast"], /fast/],
  ])("%j is refused with what would be right", (words, message) => {
    expect(() => optionsOf(words)).toThrow(Usage);
    expect(() => optionsOf(words)).toThrow(message);
  });

  test("the workloads that are promised", () => {
    const names = ["SGD-1", "MLP-1", "MLP-32", "MLP-512", "MLP-4096", "CNN", "GPT", "ADAMW-25M", "ROSENBROCK"];
    expect(workloads.map((w) => w.name)).toEqual(names);
  });
});

describe("table", () => {
  const row: Row = {
    workload: "MLP-32",
    backend: "native",
    threads: 1,
    medianUsPerStep: 301.4,
    firstStepMs: 75.51,
    compileColdMs: 1605,
    compileCachedMs: 44.7,
    peakRssMb: 162,
    minUsPerStep: 226,
    repetitions: 7,
    load: 0.5,
  };

  test("a column keeps its place", () => {
    const [, titles] = head.split("\n") as [string, string];
    const text = rowOf(row, {});
    for (const [title, cell] of [["backend", "native"]] as const)
      expect(text.indexOf(cell)).toBe(titles.indexOf(title));
    for (const [title, cell] of [["threads", " 1 "]] as const) {
      expect(text.indexOf(cell) + 2).toBe(titles.indexOf(title) + title.length);
    }
    expect(text).toHaveLength(titles.length);
  });

  test("targets are met or missed, by how much", () => {
    expect(rowOf(row, { target: 150 })).toMatch(/target 150: missed, 2.01 ×$/);
    expect(rowOf(row, { target: 400 })).toMatch(/target 400: met$/);
    expect(rowOf({ ...row, gbPerSecond: 26.6 }, {})).toMatch(/26.6 GB\/s$/);
  });

  test("three digits", () => {
    expect([0.026214, 1.2345, 99.95, 1605.4].map(short)).toEqual(["0.0262", "1.23", "100", "1,605"]);
  });
});
