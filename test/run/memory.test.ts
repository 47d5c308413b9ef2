/** What a run says that it will take of memory, against what it takes. */
import { describe, expect, test } from "vitest";
import { type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import { apply, checkpoint, gelu, init, linear, type Module, mse, sequential } from "../../src/nn/index.ts";
import { adamW, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { backends, hasNative } from "../backends.ts";

/** Large enough for what a program takes besides its data to be little. */
const large = { batch: 512, width: 64 };

/** A deep net and its training step, started but not stepped. */
async function started(backend: "js" | "native", { batch, width } = large, again = false) {
  const block = (): Module => sequential(linear(width, 4 * width), gelu, linear(4 * width, width));
  const net = sequential(...Array.from({ length: 4 }, () => (again ? checkpoint(block()) : block())));
  const { params } = init(net, 1);
  const rule = adamW();
  const run = await Run.start({ params, opt: rule.init(params) }, { backend, threads: 1 });
  const x = value(
    [batch, width],
    Array.from({ length: batch * width }, (_, k) => Math.sin(k)),
  );
  const loop = run.loop(
    (s, f: { step: Tensor; lr: Tensor }, { x }: { x: Tensor }) => {
      const lossOf = (params: typeof s.params) => mse(apply(net, { params }, x)[0], x);
      const [loss, g] = valueAndGrad(lossOf)(s.params);
      const [params, opt] = update(rule, g, s.opt, { params: s.params, ...f });
      return { state: { params, opt }, output: { loss } };
    },
    { data: { x } },
  );
  const feeds = (n: number) => ({ step: value([n], Array(n).fill(1)), lr: value([n], Array(n).fill(1e-3)) });
  return { run, loop, feeds };
}

describe.each(backends)("%s", (backend) => {
  test("says what it takes before the first step, and grows with the feeds alone", async () => {
    const [batch, width] = [32, 16];
    const { run, loop, feeds } = await started(backend, { batch, width });
    const state = run.memory().predictedBytes;
    const { program, executable } = loop.compiled(feeds(1));
    const before = run.memory().predictedBytes;
    expect(before).toBe(state + batch * width * 4 + executable.bytes + 3 * 4);
    expect(executable.bytes).toBeGreaterThanOrEqual(program.temporaryBytes + program.scratchBytes);
    await loop.take(1, feeds(1));
    expect(run.memory().predictedBytes).toBe(before);
    await loop.take(10, feeds(10));
    expect(run.memory().predictedBytes).toBe(before + 9 * 3 * 4);
  });

  test("what is compiled for feeds of many steps has room for them", async () => {
    const { run, loop, feeds } = await started(backend, { batch: 32, width: 16 });
    loop.compiled(feeds(1));
    loop.compiled(feeds(10));
    const { predictedBytes } = run.memory();
    await loop.take(10, feeds(10));
    expect(run.memory().predictedBytes).toBe(predictedBytes);
  });

  test("a snapshot takes the place of one that nobody needs, where it fits", async () => {
    const run = await Run.start({ a: value([2], [1, 2]) }, { backend });
    const first = run.snapshot();
    run.load({ a: value([2], [3, 4]) });
    expect(run.snapshot(first)).toBe(first);
    run.load({ a: value([2], [5, 6]) });
    run.restore(first);
    expect([...run.state().a.data]).toEqual([3, 4]);
    expect(run.snapshot(new ArrayBuffer(3))).toEqual(first);
  });

  test("programs of one run compute in one place, as large as the largest needs", async () => {
    const run = await Run.start({ w: value([64, 64], Array(4096).fill(0.01)) }, { backend });
    const chain = (n: number) =>
      run.loop(({ w }) => ({
        output: {
          y: Array(n)
            .fill(w)
            .reduce((y: Tensor) => y.matmul(w).tanh(), w)
            .sum(),
        },
      }));
    const [small, large] = [chain(1), chain(3)];
    const bytes = (loop: typeof small) => loop.compiled({}).executable.bytes;
    const of = run.memory().predictedBytes;
    expect(run.memory().predictedBytes - of).toBe(0);
    const most = Math.max(bytes(small), bytes(large));
    expect(run.memory().predictedBytes).toBe(of + most + 2 * 4);
    const { output } = await small.take(1, {});
    await large.take(1, {});
    expect((await small.take(1, {})).output).toEqual(output); // what the other leaves behind is nothing to it
  });
});

describe.runIf(hasNative)("what was used, native", () => {
  test.each([false, true])("lies within a tenth of what was predicted (checkpoint %s)", async (again) => {
    const { run, loop, feeds } = await started("native", large, again);
    loop.compiled(feeds(1));
    const { predictedBytes } = run.memory();
    await loop.take(3, feeds(3));
    const { usedBytes } = run.memory();
    expect(usedBytes! / predictedBytes).toBeGreaterThan(0.9);
    expect(usedBytes! / predictedBytes).toBeLessThan(1.1);
  });

  test("the process will take what it has, what is still to be touched, and a copy of the results", async () => {
    const { run, loop } = await started("native");
    const many = value([1e7], new Float32Array(1e7)); // feeds and losses of 40 MB
    loop.compiled({ step: many, lr: many });
    const near = 16e6; // what other threads of this process may allocate meanwhile
    const before = process.memoryUsage.rss();
    const { predictedBytes, usedBytes = 0, processBytes = 0 } = run.memory();
    expect(predictedBytes - usedBytes).toBeGreaterThan(120e6);
    expect(Math.abs(processBytes - before - (predictedBytes - usedBytes + 40e6))).toBeLessThan(near);
  });

  test("what nobody has touched takes nothing", async () => {
    const { run, loop, feeds } = await started("native");
    const { usedBytes = 0 } = run.memory();
    loop.compiled(feeds(1));
    const data = large.batch * large.width * 4;
    expect(run.memory().usedBytes).toBeLessThan(usedBytes + 2 * data);
  });
});
