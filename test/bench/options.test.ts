/** The bench's command line, its table and its targets. */
import { describe, expect, test } from "vitest";
import { optionsOf, Usage, usage } from "../../bench/options.ts";
import { head, type PeerRow, peerOf, type Row, rowOf, short } from "../../bench/table.ts";
import { verdicts } from "../../bench/targets.ts";
import { denseFlops } from "../../bench/workload.ts";
import { workloads } from "../../bench/workloads.ts";

describe("options", () => {
  test("all workloads unless some are named, in either case", () => {
    const plain = { help: false, json: false, quick: false, peers: false, save: false };
    expect(optionsOf(["--quick"])).toEqual({ ...plain, quick: true, backend: "auto", threads: [1], chosen: workloads });
    expect(optionsOf(["--json", "--quick", "--only", "mlp-32", "--backend", "js"])).toMatchObject({
      json: true,
      quick: true,
      backend: "js",
      chosen: [{ name: "MLP-32" }],
    });
    expect(optionsOf(["-h"])).toMatchObject({ help: true });
  });

  test("a name that is no workload stands for those that begin so; a workload for itself", () => {
    const names = (only: string) => optionsOf(["--only", only]).chosen.map((w) => w.name);
    expect(names("gpt")).toEqual(["GPT"]);
    expect(names("MLP, rosenbrock")).toEqual(["MLP-1", "MLP-32", "MLP-512", "MLP-4096", "ROSENBROCK"]);
    expect(names("MATMUL-32x128x784".toUpperCase())).toHaveLength(4);
  });

  test.each([
    [["--only", "MLP-33"], /no "MLP-33"; did you mean MLP-32[?]/],
    [["--backend", "natve"], /no "natve"; did you mean native[?]/],
    [["--jsn"], /--jsn.*\n.*npm run bench/s],
    [["--threads", "two"], /"two" is not a whole number/],
    [["--threads", "1,0"], /"0" is not a whole number/],
    [["--threads", "100000"], /has \d+ processors for it, 100000 threads were asked for/],
    [["fast"], /fast/],
  ])("%j is refused with what would be right", (words, message) => {
    expect(() => optionsOf(words)).toThrow(Usage);
    expect(() => optionsOf(words)).toThrow(message);
  });

  test("the workloads that are promised", () => {
    const names = ["SGD-1", "MLP-1", "MLP-32", "MLP-512", "MLP-4096", "CNN", "GPT", "GPT-M", "ADAMW-25M", "ROSENBROCK"];
    const matmuls = ["MATMUL-512", "MATMUL-1024", "MATMUL-2048", "MATMUL-32x128x784-TN"];
    expect(workloads.map((w) => w.name)).toEqual(expect.arrayContaining([...names, ...matmuls]));
    for (const line of usage.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("operations of a dense network", () => {
    // By hand: forward and weights of 784 × 128, forward, weights and inputs of 128 × 10, for one example.
    expect(denseFlops(1, [784, 128, 10])).toBe(2 * 784 * 128 * 2 + 2 * 128 * 10 * 3);
  });
});

const row: Row = {
  workload: "MLP-32",
  backend: "native",
  threads: 1,
  medianUsPerStep: 301.4,
  minUsPerStep: 226,
  repetitions: 7,
  gflops: 57.4,
  percentOfLimit: 32.1,
  compileColdMs: 1605,
  compileCachedMs: 44.7,
  startMs: 275.51,
  peakRssMb: 200,
  predictedMb: 140,
  usedMb: 90,
  load: 0.5,
};
const peer = (name: string, us: number, mb: number): PeerRow => ({
  peer: name,
  about: name,
  medianUsPerStep: us,
  minUsPerStep: us,
  repetitions: 5,
  peakRssMb: mb,
  apart: 1e-6,
});

describe("table", () => {
  test("a column keeps its place", () => {
    const [, titles] = head.split("\n") as [string, string];
    const text = rowOf(row);
    for (const [title, cell] of [
      ["threads", " 1 "],
      ["median", "301 "],
      ["rate", "57.4 GFLOP/s "],
      ["cached", "44.7 ms "],
    ] as const) {
      expect(text.indexOf(cell) + cell.length - 1, title).toBe(titles.indexOf(title) + title.length);
    }
    expect(text).toHaveLength(titles.length);
    expect(titles.length).toBeLessThanOrEqual(120);
    const [first, second] = [peer("jax", 150.7, 300), peer("torch", 500, 200)];
    expect(peerOf(first, { ...row, peers: [first, second] })).toMatch(/jax .*0.5 × ours .*the fastest peer$/);
    expect(peerOf(second, { ...row, peers: [first, second] })).not.toMatch(/fastest/);
  });

  test("three digits", () => {
    expect([0.026214, 1.2345, 99.95, 1605.4].map(short)).toEqual(["0.0262", "1.23", "100", "1,605"]);
  });
});

describe("targets", () => {
  const of = (rows: Row[], what: string) => verdicts(rows).find((v) => v.what.startsWith(what));

  test("are met or missed by what was measured", () => {
    expect(of([row], "time of a step")).toMatchObject({ met: false, target: "≤ 80 µs", found: "301 µs" });
    expect(of([{ ...row, medianUsPerStep: 79 }], "time of a step")).toMatchObject({ met: true });
    expect(of([row], "compiled, cache empty")).toMatchObject({ met: false });
    expect(of([row], "memory as predicted")).toMatchObject({ met: false, found: "30 % off" });
    expect(of([{ ...row, workload: "MATMUL-32x128x784-TN" }], "part of")).toMatchObject({
      met: false,
      target: "≥ 85 %",
    });
  });

  test("of peers: the fastest of a family for its ratio, the fastest of all for memory", () => {
    const peers = [peer("jax", 900, 300), peer("jax scan", 620, 310), peer("torch", 500, 150)];
    expect(of([{ ...row, peers }], "against jax scan")).toMatchObject({ met: true, target: "≥ 2 ×", found: "2.06 ×" });
    expect(of([{ ...row, peers }], "resident")).toMatchObject({ met: false, target: "≤ 150 MB" });
  });

  test("two threads are compared with one, where both were measured", () => {
    const pair = { ...row, threads: 2, medianUsPerStep: 310 };
    expect(of([pair], "two threads")).toBeUndefined();
    expect(of([row, pair], "two threads")).toMatchObject({ met: false, target: "≥ 1 ×", found: "0.972 ×" });
  });
});
