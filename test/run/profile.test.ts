/** Where the threads of a step spend its time: that kernels, waits and packing are all of it. No time is judged. */
import { expect, test } from "vitest";
import type { Tensor } from "../../src/ir/index.ts";
import { Profiler } from "../../src/run/profile.ts";
import { Run } from "../../src/run/run.ts";
import { selectBackend } from "../../src/run/select.ts";
import { hasNative } from "../backends.ts";
import { draw } from "../ir/numbers.ts";

const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

test.skipIf(!hasNative).each([1, 2, 3])("on %s threads", async (threads) => {
  const profiler = new Profiler((await selectBackend("native")).backend, threads);
  const run = await Run.start({ w: draw([256, 256], "f32") }, { backend: profiler.backend });
  const loop = run.loop(({ w }: { w: Tensor }, { x }: { x: Tensor }) => {
    const y = x.matmul(w).tanh();
    const g = x.permute([1, 0]).matmul(y);
    return { state: { w: w.sub(g.mul(0.01)) }, output: { size: y.square().sum() } };
  });
  for (let call = 0; call < 3; call++) await loop.take(2, { x: draw([2, 512, 256], "f32") });
  const [found] = profiler.times();
  expect(found).toMatchObject({ threads, updates: true, steps: 4 }); // those of the first call are not counted
  const { kernels, bands, packOn, endOn, waitUs, packUs, restUs, usPerStep } = found!;
  expect(bands.some((b) => b.blocks > 1)).toBe(true);
  expect(bands.flatMap((b) => b.kernels)).toEqual(kernels.map((_, k) => k));
  for (const k of kernels) expect(total(k.usOn) / threads).toBeCloseTo(k.us, 6);
  for (const b of bands) {
    b.usOn.forEach((us, id) => expect(us).toBeCloseTo(total(b.kernels.map((k) => kernels[k]!.usOn[id]!)), 6));
    if (b.blocks === 1) expect(total(b.usOn.slice(1))).toBe(0); // the first thread's alone
    if (!b.waits) expect(total(b.waitOn)).toBe(0);
  }
  expect(total([...bands.map((b) => total(b.waitOn)), ...endOn]) / threads).toBeCloseTo(waitUs, 6);
  expect(total(packOn) / threads).toBeCloseTo(packUs, 6);
  expect(total([...kernels.map((k) => k.us), waitUs, packUs, restUs]) / usPerStep).toBeCloseTo(1, 3);
});
