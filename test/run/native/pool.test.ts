import { describe, expect, test } from "vitest";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { startPool } from "../../../src/run/native/pool.ts";
import { child, compiler } from "./child.ts";

const TEXT = `
  typedef void (*dh_pool)(void (*)(void *, long), void *, long);
  // Each part counts itself; what a part is asked twice, or not at all, shows.
  static void dh_count(void *arg, long part) { ((int *)arg)[part]++; }
  void dh_regions(int *counts, const long *size, dh_pool run) {
    for (long i = 0; i < size[1]; i++) run(dh_count, counts, size[0]);
  }
  // A task that asks for the pool itself.
  static dh_pool dh_inner;
  static void dh_outer(void *arg, long part) { dh_inner(dh_count, (int *)arg + 8 * part, 8); }
  void dh_nested(int *counts, void *unused, dh_pool run) { dh_inner = run; run(dh_outer, counts, 8); }
  // Parts 0 and 1 wait for each other: only two threads at once can end this.
  static void dh_meet(void *arg, long part) { volatile int *here = arg; here[part] = 1; while (!here[1 - part]); }
  void dh_together(int *here, void *unused, dh_pool run) { run(dh_meet, here, 2); }`;

function fixture(threads: number) {
  const binding = loadBinding();
  const library = binding.open(compileToObject(TEXT).path);
  const pool = startPool(threads);
  const regions = (parts: number, times: number) => {
    const counts = new NativeBlock(4 * parts);
    const size = new NativeBlock(16);
    new BigInt64Array(size.view()).set([BigInt(parts), BigInt(times)]);
    binding.call(binding.sym(library, "dh_regions"), counts.address, size.address, pool.run);
    return [...new Int32Array(counts.view())];
  };
  return { binding, pool, regions, at: (name: string) => binding.sym(library, name) };
}

describe.skipIf(!compiler.found)("the pool", () => {
  test.each([
    [1, 1],
    [2, 7],
    [3, 3],
    [3, 2],
    [4, 1000],
    [4, 0],
  ])("%s threads do each of %s parts once", (threads, parts) => {
    const { pool, regions } = fixture(threads);
    expect(pool.threads).toBeGreaterThanOrEqual(threads); // it grows, and never shrinks
    expect(regions(parts, 1)).toEqual(Array(parts).fill(1));
  });

  test("region after region, with sleep between some of them", async () => {
    const { regions } = fixture(4);
    for (let i = 0; i < 5; i++) {
      expect(regions(9, 200)).toEqual(Array(9).fill(200));
      await new Promise((resolve) => setTimeout(resolve, 10)); // long enough for the workers to fall asleep
    }
  });

  test("the threads work at the same time", () => {
    const { binding, pool, at } = fixture(2);
    const here = new NativeBlock(8);
    binding.call(at("dh_together"), here.address, 0, pool.run);
    expect([...new Int32Array(here.view())]).toEqual([1, 1]);
  });

  test("a task may ask for the pool: it then does the parts itself", () => {
    const { binding, pool, at } = fixture(3);
    const counts = new NativeBlock(4 * 64);
    binding.call(at("dh_nested"), counts.address, 0, pool.run);
    expect([...new Int32Array(counts.view())]).toEqual(Array(64).fill(1));
  });

  test.each([0, -1, 1.5, Number.NaN])("%s is not a number of threads", (threads) => {
    expect(() => startPool(threads)).toThrow("not a number of threads");
  });

  test("several threads of Node may ask at once, and the process ends well with the pool alive", async () => {
    const program = `
      import { Worker, isMainThread } from "node:worker_threads";
      import { loadBinding } from "./binding.js";
      import { compileToObject } from "./cache.js";
      import { NativeBlock } from "./memory.js";
      import { startPool } from "./pool.js";
      const binding = loadBinding();
      const f = binding.sym(binding.open(compileToObject(${JSON.stringify(TEXT)}).path), "dh_regions");
      const size = new NativeBlock(16), counts = new NativeBlock(4 * 12);
      const { run } = startPool(isMainThread ? 3 : 4);
      new BigInt64Array(size.view()).set([12n, 500n]);
      const ended = isMainThread
        ? [1, 2].map(() => new Promise((resolve) => new Worker(new URL(import.meta.url)).on("exit", resolve))) : [];
      binding.call(f, counts.address, size.address, run);
      await binding.callAsync(f, counts.address, size.address, run);
      const right = new Int32Array(counts.view()).every((count) => count === 1000);
      if (!right) console.log("wrong");
      if (isMainThread) console.log((await Promise.all(ended)).join());
      if (process.env.DH_EXIT && isMainThread) process.exit(Number(process.env.DH_EXIT));`;
    const endings = await Promise.all([undefined, undefined, "5"].map((code) => child(program, { DH_EXIT: code })));
    expect(endings.map(({ status, signal, out, err }) => [status, signal, out, err])).toEqual([
      [0, null, "0,0\n", ""],
      [0, null, "0,0\n", ""],
      [5, null, "0,0\n", ""],
    ]);
  });
});
