/** The stretches of a step on several threads, by hand: who computes, who waits, and how it is drawn. */
import { expect, test } from "vitest";
import { stretchesOf, stretchesText } from "../../src/cli/stretches.ts";
import type { BandTime, KernelTime, ProgramTime } from "../../src/run/profile.ts";

/** A step of 100 µs: packing, a band that is shared unevenly, and after a meeting one of the first thread's alone. */
function step(threads: number): ProgramTime {
  const each = (f: (id: number) => number) => Array.from({ length: threads }, (_, id) => f(id));
  const kernel = (what: string, usOn: number[]): KernelTime => ({
    ...{ what, kind: "nest", writes: "f32[8]", module: "", gradient: false, origin: "", calls: 1, bf16: false },
    ...{ us: usOn.reduce((a, b) => a + b, 0) / threads, usOn, flops: 0, bytes: 1 },
  });
  const last = threads - 1;
  const kernels = [
    kernel(
      "exp",
      each((id) => (id === last ? 20 : 40)),
    ),
    kernel(
      "sum",
      each((id) => (id === last ? 10 : 20)),
    ),
    kernel(
      "add",
      each((id) => (id === 0 ? 30 : 0)),
    ),
  ];
  const bands: BandTime[] = [
    { kernels: [0, 1], blocks: 6, usOn: each((id) => (id === last ? 30 : 60)), waits: true, waitOn: each(() => 0) },
    {
      kernels: [2],
      blocks: 1,
      usOn: each((id) => (id === 0 ? 30 : 0)),
      waits: true,
      waitOn: each((id) => (id === last ? 30 : 0)),
    },
  ];
  return {
    ...{ updates: true, threads, steps: 7, usPerStep: 100, kernels, bands },
    ...{ packOn: each(() => 10), endOn: each((id) => (id === 0 ? 0 : 30)) },
    ...{ waitUs: 0, packUs: 10, restUs: 0, predictedBytes: 0 },
  };
}

const drawn = (threads: number, top = 9) =>
  stretchesText(
    step(threads),
    top,
    80,
    (s) => s,
    (k) => k.what,
  );

test("a stretch goes from one meeting to the next", () =>
  expect(stretchesOf(step(2))).toEqual([
    { computes: [10, 10], waits: [0, 0], blocks: 0, kernels: [] },
    { computes: [60, 30], waits: [0, 30], blocks: 6, kernels: [0, 1] },
    { computes: [30, 0], waits: [0, 30], blocks: 0, kernels: [2] },
  ]));

test("on two threads, each has a bar", () =>
  expect(drawn(2)).toEqual([
    "          µs  waiting  blocks  each thread            longest kernel",
    "10.0 %  10.0      0 %          ██████████ ██████████  packing",
    "60.0 %  60.0     25 %       6  ██████████ █████·····  exp + 1",
    "30.0 %  30.0     50 %     one  ██████████ ··········  add",
  ]));

test("of many, each has a column", () =>
  expect(drawn(24).slice(2, 4)).toEqual([
    "60.0 %  60.0      2 %       6  ███████████████████████▄  exp + 1",
    "30.0 %  30.0     96 %     one  █·······················  add",
  ]));

test("the longest are shown, in their order, and the rest counted", () =>
  expect(drawn(2, 1).slice(1)).toEqual([
    "60.0 %  60.0     25 %       6  ██████████ █████·····  exp + 1",
    "and 2 shorter stretches",
  ]));
