/** A program of many kernels in C: equal ones are one function, and its steps are a unit beside them. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import { printC } from "../../src/print/c.ts";
import { Run } from "../../src/run/run.ts";
import { backends } from "../backends.ts";

const count = 50;
const feeds = Array.from({ length: count }, (_, k) =>
  value(
    [1, 32],
    Array.from({ length: 32 }, (_, i) => Math.sin(k + i)),
  ),
);
const norms = (_: unknown, f: readonly Tensor[]) => ({ output: f.map((x) => x.square().sum()) });

describe.each(backends)("%s", (backend) => {
  test("the norms of fifty vectors", async () => {
    const run = await Run.start({}, { backend });
    const { output } = await run.loop(norms).take(1, feeds);
    output.forEach((norm, k) => {
      const naive = feeds[k]!.data.reduce((sum, x) => sum + x * x, 0);
      expect(norm.data[0]! / naive).toBeCloseTo(1, 6);
    });
  });
});

test("are one function, called fifty times from a unit of its own", async () => {
  const { program } = (await Run.start({}, { backend: "js" })).loop(norms).compiled(feeds);
  const { units } = printC(program, 16);
  expect(units.map((u) => u.optimize)).toEqual(["-O3", "-O0"]);
  expect(units[0]!.text.match(/^void dh_k\d+/gm)).toEqual(["void dh_k0"]);
  expect(units[1]!.text.match(/ dh_k0\(\(/g)).toHaveLength(count);
});

test("the list of calls counts products as well: a long one is not optimised", async () => {
  const run = await Run.start({}, { backend: "js" });
  const of = (count: number) => {
    const products = (_: unknown, f: readonly Tensor[]) => ({
      output: f.slice(0, count).flatMap((x) => [x.square().sum(), x.matmul(x)]),
    });
    const { program } = run.loop(products).compiled(squares);
    return { calls: program.kernels.length, main: printC(program, 16).units[1]!.optimize };
  };
  const squares = Array.from({ length: 30 }, () => value([1, 32, 32], new Float32Array(1024)));
  expect(of(15)).toEqual({ calls: 30, main: "-O1" });
  expect(of(30)).toEqual({ calls: 60, main: "-O0" });
});

test("different kernels are dealt out to as many units as the compiler has processes", async () => {
  const lengths = Array.from({ length: 24 }, (_, k) => value([1, 16 + k], new Float32Array(16 + k)));
  const { program } = (await Run.start({}, { backend: "js" })).loop(norms).compiled(lengths);
  for (const processes of [1, 2, 3, 4]) {
    const kernels = printC(program, 16, "none", { processes })
      .units.filter((u) => u.optimize === "-O3")
      .map((u) => u.text.match(/^void dh_k\d+/gm)!);
    expect(kernels.map((names) => names.length)).toEqual(Array(processes).fill(24 / processes));
    expect(new Set(kernels.flat()).size).toBe(24);
  }
});
