import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readBytes, readCsv, readIdx } from "../../src/data/files.ts";
import { idxLabels } from "../../src/data/idx.ts";
import { columnOf } from "../../src/data/table.ts";

const data = fileURLToPath(new URL("../../examples/data/", import.meta.url));

describe("the example data, counted as their README counts them", () => {
  const classes = (file: string, target: string) => {
    const column = columnOf(readCsv(join(data, file)), target);
    const out: Record<string, number> = {};
    for (const value of column.values) out[String(value)] = (out[String(value)] ?? 0) + 1;
    return out;
  };

  test.each([
    ["spambase.csv", 4601, 58, "spam", { 1: 1813, 0: 2788 }],
    [
      "digits.csv.gz",
      1797,
      65,
      "digit",
      Object.fromEntries([178, 182, 177, 183, 181, 182, 181, 179, 174, 180].entries()),
    ],
    ["iris.csv", 150, 5, "species", { setosa: 50, versicolor: 50, virginica: 50 }],
    ["wine.csv", 178, 14, "cultivar", { 0: 59, 1: 71, 2: 48 }],
    ["breast_cancer.csv", 569, 31, "diagnosis", { benign: 357, malignant: 212 }],
  ])("%s", (file, rows, width, target, counts) => {
    const table = readCsv(join(data, file));
    expect([table.rows, table.columns.length]).toEqual([rows, width]);
    for (const column of table.columns) {
      if (column.name === target) continue;
      expect(column.kind).toBe("numeric");
      if (column.kind === "numeric") expect(column.values.every(Number.isFinite)).toBe(true);
    }
    expect(classes(file, target)).toEqual(counts);
  });

  test("spambase's header survives its semicolons", () => {
    const names = readCsv(join(data, "spambase.csv")).columns.map((column) => column.name);
    expect(names.slice(48, 54)).toEqual([...";([!$#"].map((c) => `char_freq_${c}`));
  });

  test("concrete.csv", () => {
    const table = readCsv(join(data, "concrete.csv"));
    const y = columnOf(table, "compressive_strength").values as Float64Array;
    const mean = y.reduce((a, b) => a + b) / y.length;
    const sd = Math.sqrt(y.reduce((a, b) => a + (b - mean) ** 2, 0) / y.length);
    expect([table.rows, table.columns.length]).toEqual([1030, 9]);
    expect(mean).toBeCloseTo(35.818, 3);
    expect(sd).toBeCloseTo(16.698, 2);
  });

  test("Fashion-MNIST", () => {
    const images = readIdx(join(data, "fashion-mnist-2500-train-images-idx3-ubyte.gz"));
    expect(images).toMatchObject({ type: "u8", shape: [2500, 28, 28] });
    const counts = new Array<number>(10).fill(0);
    for (const k of idxLabels(readIdx(join(data, "fashion-mnist-2500-train-labels-idx1-ubyte.gz"))).data) counts[k]!++;
    expect(counts).toEqual([248, 272, 249, 256, 245, 250, 240, 260, 241, 239]);
    expect(readIdx(join(data, "fashion-mnist-500-t10k-images-idx3-ubyte.gz")).shape).toEqual([500, 28, 28]);
    expect(idxLabels(readIdx(join(data, "fashion-mnist-500-t10k-labels-idx1-ubyte.gz"))).shape).toEqual([500]);
  });
});

describe("files", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "downhill-data-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test("gzip is told by its content, not by its name", () => {
    const path = write("packed.csv", gzipSync("a,b\n1,2\n"));
    expect(readCsv(path).rows).toBe(1);
    expect(readCsv(write("plain.csv.gz", "a,b\n1,2\n")).rows).toBe(1);
  });

  test("errors name the file", () => {
    expect(() => readCsv(join(folder, "none.csv"))).toThrow(/none\.csv: no such file/);
    expect(() => readCsv(join(write("file", "x"), "below.csv"))).toThrow(/below\.csv: no such file/);
    mkdirSync(join(folder, "dir"));
    expect(() => readCsv(join(folder, "dir"))).toThrow(/dir: this is a folder/);
    expect(() => readCsv(write("ragged.csv", "a,b\n1\n"))).toThrow(/ragged\.csv: line 2 has 1 cell/);
    expect(() => readCsv(write("empty.csv", ""))).toThrow(/empty\.csv: the file is empty/);
    expect(() => readIdx(write("text.idx", "hello"))).toThrow(/text\.idx: not an IDX file/);
  });

  test("damaged gzip", () => {
    const whole = gzipSync("a,b\n".repeat(1000));
    expect(() => readBytes(write("cut.gz", whole.subarray(0, 20)))).toThrow(/cut\.gz: the gzip data ends too early/);
    const flipped = Uint8Array.from(whole);
    flipped[flipped.length - 6]! ^= 0xff;
    expect(() => readBytes(write("flipped.gz", flipped))).toThrow(/flipped\.gz: the gzip data is damaged/);
  });
});
