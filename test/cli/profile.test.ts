/** Where a step's time goes: that all of it is told and named, in the width of a terminal. No time is judged. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Profile } from "../../src/cli/profile.ts";
import { boundOf } from "../../src/cli/profile.ts";
import { jsBackend } from "../../src/run/js.ts";
import { Profiler } from "../../src/run/profile.ts";
import { hasNative } from "../backends.ts";
import { downhill, flowers, workplace } from "./terminal.ts";

const place = workplace();
const run = "runs/flowers";
let files: [string, string][];
const contents = () =>
  readdirSync(run).map((name): [string, string] => [name, readFileSync(join(run, name), "latin1")]);

beforeAll(async () => {
  place.file("flowers.csv", flowers(120));
  const words = ["train", "flowers.csv", "--target", "kind", "--epochs", "20", "--hidden", "8", "--out", run, "-q"];
  expect((await downhill(words)).code).toBe(0);
  files = contents();
});

describe.skipIf(!hasNative)("a training", () => {
  test("its kernels take its time, and have names, flops and bytes", async () => {
    const { code, out, err } = await downhill(["profile", run, "--steps", "10", "--json"]);
    expect(err).toBe("");
    expect(code).toBe(0);
    const found = JSON.parse(out) as Profile;
    expect(found).toMatchObject({ of: run, training: true, updates: true, steps: expect.any(Number) });
    expect(found.steps).toBeGreaterThanOrEqual(10);
    const all = found.kernels.reduce((sum, { us }) => sum + us, found.restUs);
    expect(all / found.usPerStep).toBeCloseTo(1, 9);
    for (const { us, bytes, flops, calls } of found.kernels) {
      expect(us).toBeGreaterThanOrEqual(0);
      expect(bytes).toBeGreaterThan(0);
      expect(flops).toBeGreaterThanOrEqual(0);
      expect(calls).toBeGreaterThanOrEqual(1);
    }
    // By hand: a batch of 32 rows and 5 features (two numbers, one of them with a mark where it is missing, a category
    // of two) through 8 units; the first layer's product and the gradient of its weight are two of the products.
    const products = found.kernels.filter((k) => k.kind === "contraction");
    expect(products.length).toBeGreaterThanOrEqual(2);
    expect(products.map((k) => k.module)).toContain("net.layers.0");
    expect(found.predictedBytes).toBeGreaterThan(0);
    expect(contents()).toEqual(files);
  });

  test("for a person, within 80 columns, the longest first", async () => {
    const { out } = await downhill(["profile", run, "--steps", "10", "--top", "3"]);
    const lines = out.split("\n");
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
    const percents = lines.flatMap((line) => (/^(\d+\.\d) % .*\[/.exec(line) ? [Number.parseFloat(line)] : []));
    expect(percents).toHaveLength(3);
    expect(percents).toEqual([...percents].sort((a, b) => b - a));
    expect(out).toMatch(/more kernels: --top \d+/);
    expect(out).toMatch(/GFLOP\/s of \d/);
  });

  test("on two threads, where it has something to share", async () => {
    const words = ["profile", run, "--steps", "10", "--threads", "2"];
    const found = JSON.parse((await downhill([...words, "--json"])).out) as Profile;
    expect(found.limits.threads).toBe(found.threads);
    expect(found.kernels.every((k) => k.usOn.length === found.threads)).toBe(true);
    const { out } = await downhill(words);
    expect(out).toContain(found.threads === 2 ? "on 2 threads" : "One of the 2 threads does it all");
    for (const line of out.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  test("what it cannot do is said", async () => {
    place.file("notes.txt", "no program");
    place.file("program.js", "");
    place.file("broken.mjs", 'throw new RangeError("of its own");');
    place.file("source.ts", "");
    for (const [words, message] of [
      [["nowhere"], /nowhere: there is no such run, nor a program\n.*hint: downhill profile runs/],
      [["notes.txt"], /notes.txt: neither the folder of a training nor a program/],
      [["program.js", "--steps", "3"], /--steps is an option of trainings/],
      [["source.ts"], /compile it first/],
      [["broken.mjs"], /RangeError: of its own\n {4}at .*broken.mjs:1.*error: broken.mjs: the program ended/s],
      [[run, "--top", "0"], /whole number from 1/],
      [[run, "--threads", "0"], /whole number from 1 to 256/],
    ] as const) {
      const { code, err } = await downhill(["profile", ...words]);
      expect(code).toBe(2);
      expect(err).toMatch(message);
    }
  });
});

test("a backend without clocks is refused with the reason", () => {
  expect(() => new Profiler(jsBackend)).toThrow(/js backend has no clock.*\n.*native/);
});

test("what bounds a kernel is the nearer limit", () => {
  const limits = { threads: 1, flops: 100e9, memory: 10e9, cache: 50e9 };
  const of = (flops: number, bytes: number) => boundOf({ usOn: [1000], flops, bytes, bf16: false }, limits);
  expect(of(50e6, 2e6)).toMatchObject({ by: "compute", part: 0.5 });
  expect(of(1e6, 8e6)).toMatchObject({ by: "memory", part: 0.8 });
  // 20 GB/s are more than memory gives.
  expect(of(1e6, 20e6)).toMatchObject({ by: "cache", part: 0.4 });
  expect(of(0, 5e5)).toMatchObject({ by: "cache", part: 0.01 });
  // The limits of two threads, of which each has half; what a kernel takes on both is its time.
  const two = { threads: 2, flops: 200e9, memory: 20e9, cache: 100e9 };
  expect(boundOf({ usOn: [600, 400], flops: 50e6, bytes: 2e6, bf16: false }, two)).toMatchObject({ part: 0.5 });
  // What multiplies bf16 is no part of these limits.
  const rounded = { usOn: [1000], flops: 200e6, bytes: 2e6, bf16: true };
  expect(boundOf(rounded, limits)).toMatchObject({ by: "f32", part: 2 });
});
