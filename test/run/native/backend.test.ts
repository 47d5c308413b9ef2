import { afterEach, describe, expect, test, vi } from "vitest";
import { value } from "../../../src/ir/index.ts";
import type { Step } from "../../../src/run/loop.ts";
import { nativeBackend } from "../../../src/run/native/backend.ts";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { alwaysThreads, type Threads } from "../../../src/run/native/threads.ts";
import { Run } from "../../../src/run/run.ts";

const tiny = () => [1e-310].map((x) => x * 0.5)[0]; // not a constant that the host could fold

describe.skipIf(!probeCompiler().found)("native programs", () => {
  // any: feeds are Values outside and Tensors inside
  const halve: Step<{ x: any }, any, any, any> = (s, f) => ({ state: { x: s.x.mul(f.by) }, output: { x: s.x } });

  test("flush denormal results, and the host's own arithmetic stays as it was", async () => {
    const run = await Run.start({ x: value([2], [1e-37, 1]) }, { backend: "native" });
    const loop = run.loop(halve);
    const by = (n: number) => ({ by: value([n], Array(n).fill(0.5)) });
    await loop.take(1, by(1));
    expect(tiny()).toBe(5e-311);
    await loop.take(9, by(9));
    expect([...run.state().x.data]).toEqual([0, 2 ** -10]);
    for (const steps of [200_000, 200_000]) await loop.take(steps, by(steps)); // the second call leaves this thread
    expect(tiny()).toBe(5e-311);
  });

  test("a large gradient of few rows, shared by its columns, is the same on any number of threads", async () => {
    const compiler = probeCompiler();
    if (!compiler.found) throw new Error(compiler.reason);
    const [batch, rows, columns] = [4200, 96, 500]; // three blocks of 128 columns, and the rest
    // Small whole numbers: every sum is exact, whatever its order.
    const small = (n: number, by: number) => Float32Array.from({ length: n }, (_, k) => ((k * by) % 7) - 3);
    const g = value([batch, rows], small(batch * rows, 3));
    const x = value([batch, columns], small(batch * columns, 11));
    const trained = async (threads: number) => {
      const w = value([rows, columns], new Float32Array(rows * columns));
      const run = await Run.start({ w }, { backend: nativeBackend(compiler, () => alwaysThreads(threads)), threads });
      const loop = run.loop(
        (s: { w: any }, _: object, d: any) => ({ state: { w: s.w.sub(d.g.transpose().matmul(d.x)) }, output: {} }),
        {
          data: { g, x },
        },
      );
      const cuts = loop.compiled({}).program.bands.map((b) => b.members[0]!.cut?.axis);
      expect(cuts[0]).toBe("n");
      await loop.take(2, {});
      return run.state().w.data;
    };
    const alone = await trained(1);
    for (const threads of [2, 3]) expect(await trained(threads)).toEqual(alone);
    for (let at = 0; at < rows * columns; at += 97) {
      const [i, j] = [Math.floor(at / columns), at % columns];
      let sum = 0;
      for (let k = 0; k < batch; k++) sum += g.data[k * rows + i]! * x.data[k * columns + j]!;
      expect(alone[at]).toBe(-2 * sum || 0);
    }
  });

  /** Calls are taken in shares of four steps; `shares` has how many steps each of them took. */
  const inFours = async (x: number) => {
    const compiler = probeCompiler();
    if (!compiler.found) throw new Error(compiler.reason);
    const shares: number[] = [];
    const fours: Threads = {
      ...alwaysThreads(1),
      next: (steps) => ({ steps: Math.min(4, steps), threads: 1 }),
      took: ({ steps }) => shares.push(steps),
    };
    const run = await Run.start({ x: value([], [x]) }, { backend: nativeBackend(compiler, () => fours) });
    const loop = run.loop((s: { x: any }, f: { by: any }) => {
      const next = s.x.mul(f.by);
      return { state: { x: next }, output: { twice: next.add(next), x: next }, watch: next };
    });
    return { run, shares, take: (by: number[]) => loop.take(by.length, { by: value([by.length], by) }) };
  };

  test("a long call is taken in shares, each with its own part of feeds and outputs", async () => {
    const { take, shares } = await inFours(1);
    for (let again = 0; again < 2; again++) {
      const { steps, output } = await take([3, 5, 7, 9, 2, 0.5, 3, 1 / 2835, 2, 0.5]);
      expect(steps).toBe(10);
      expect([...output.x.data].map((v) => Math.round(v * 1e4) / 1e4)).toEqual([
        3, 15, 105, 945, 1890, 945, 2835, 1, 2, 1,
      ]);
      expect([...output.twice.data]).toEqual([...output.x.data].map((v) => 2 * v));
    }
    expect(shares).toEqual([4, 4, 2, 4, 4, 2]);
  });

  test.each([1, 3, 4, 5, 8, 10])("what is not finite in step %s ends the call there", async (bad) => {
    const { take, run } = await inFours(1);
    const { steps, output } = await take(Array.from({ length: 10 }, (_, k) => (k === bad - 1 ? Infinity : 1)));
    expect(steps).toBe(bad);
    expect(output.x.shape).toEqual([bad]);
    expect(run.state().x.data[0]).toBe(Infinity);
  });

  test("stop between two shares ends the call", async () => {
    const { take, run, shares } = await inFours(1);
    const long = take(Array(4000).fill(1));
    await new Promise((resolve) => setImmediate(resolve));
    run.stop();
    const { steps } = await long;
    expect(steps).toBeLessThan(4000);
    expect(shares.reduce((a, b) => a + b, 0)).toBe(steps);
  });

  describe("the environment's number of threads", () => {
    afterEach(() => vi.unstubAllEnvs());
    test.each(["0", "257", "two", "1.5"])("%s is none", async (threads) => {
      vi.stubEnv("DOWNHILL_THREADS", threads);
      const run = await Run.start({ x: value([], [1]) }, { backend: "native" });
      const loop = run.loop((s: { x: any }) => ({ state: { x: s.x.mul(2) }, output: {} }));
      await expect(loop.take(1, {})).rejects.toThrow(
        `DOWNHILL_THREADS: expected a whole number from 1 to 256, got "${threads}"`,
      );
      // What the program says comes first.
      const own = await Run.start({ x: value([], [1]) }, { backend: "native", threads: 1 });
      expect((await own.loop((s: { x: any }) => ({ state: { x: s.x.mul(2) }, output: {} })).take(1, {})).steps).toBe(1);
    });
  });
});
