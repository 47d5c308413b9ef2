/** The bench's command line and its workloads. */
import { describe, expect, test } from "vitest";
import { optionsOf, Usage, usage } from "../../bench/options.ts";
import { denseBytes, denseFlops } from "../../bench/workload.ts";
import { workloads } from "../../bench/workloads.ts";
import type { Value } from "../../src/ir/value.ts";
import * as tree from "../../src/tree.ts";

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
    const matmuls = ["MATMUL-512", "MATMUL-1024", "MATMUL-1024-BF16", "MATMUL-2048", "MATMUL-32x128x784-TN"];
    expect(workloads.map((w) => w.name)).toEqual(expect.arrayContaining([...names, ...matmuls]));
    for (const line of usage.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  test("operations and bytes of a dense network", () => {
    // By hand: forward and weights of 784 × 128, forward, weights and inputs of 128 × 10, for one example.
    expect(denseFlops(1, [784, 128, 10])).toBe(2 * 784 * 128 * 2 + 2 * 128 * 10 * 3);
    // 32 rows of f32, and 784 × 128 + 128 + 128 × 10 + 10 parameters, each and two moments of it read and written.
    expect(denseBytes(32, [784, 128, 10])).toBe(32 * 784 * 4 + 101_770 * 6 * 4);
  });

  // The network's matrices from its definition: a block has qkv, projection and two layers of 4 × width; no biases.
  test("operations and bytes of GPT", () => {
    const { flops, bytes, numbers } = workloads.find((w) => w.name === "GPT")!;
    const [layers, width, context, batch] = [4, 128, 64, 12];
    const matrices = layers * (width * 3 * width + width * width + 2 * width * 4 * width) + 65 * width;
    const attention = 2 * 2 * context * width; // scores and their product with the values, of a token in a layer
    expect(flops).toBe(batch * context * 3 * (2 * matrices + layers * attention));
    const parameters = tree.leaves<Value>(numbers().params).reduce((sum, { data }) => sum + data.length, 0);
    expect(bytes).toBe(6 * 4 * parameters + 4 * batch * (context + 1));
  });

  test("parameters of the CNN", () => {
    const { bytes, numbers } = workloads.find((w) => w.name === "CNN")!;
    const parameters = tree.leaves<Value>(numbers().params).reduce((sum, { data }) => sum + data.length, 0);
    expect(bytes).toBe(4 * 4 * parameters + 4 * 64 * 28 * 28);
  });
});
