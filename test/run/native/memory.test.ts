import { describe, expect, test } from "vitest";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { child, compiler } from "./child.ts";

describe.skipIf(!compiler.found)("NativeBlock", () => {
  test("views share the block's memory, and the same range is the same view", () => {
    const block = new NativeBlock(64);
    new Float32Array(block.view()).fill(2);
    expect(new Float32Array(block.view(32, 8))).toEqual(new Float32Array([2, 2]));
    expect(block.view()).toBe(block.view());
    expect(block.view(32)).toBe(block.view(32, 32));
    new Float32Array(block.view(32))[0] = 3;
    expect(new Float32Array(block.view())[8]).toBe(3);
  });

  test.each([Uint8Array, Int8Array, Int16Array, Int32Array, Uint32Array, Float32Array, Float64Array])(
    "what is written lies there, and nothing beside it is touched: %o",
    (kind) => {
      const block = new NativeBlock(64);
      block.write(8, kind.of(9, 1, 2, 3).subarray(1));
      block.write(40, new kind(0));
      const found = new Uint8Array(block.view());
      const bytes = 3 * kind.BYTES_PER_ELEMENT;
      expect(new kind(block.view().slice(8, 8 + bytes))).toEqual(kind.of(1, 2, 3));
      expect([...found.subarray(0, 8), ...found.subarray(8 + bytes)].every((x) => x === 0)).toBe(true);
    },
  );

  test("what does not fit is not written", () => {
    const block = new NativeBlock(64);
    for (const at of [-1, 57, 64, Number.NaN])
      expect(() => block.write(at, new Float64Array(1).fill(1))).toThrow("not inside a block of 64");
    expect(() => loadBinding().write(block.address + 57, new Float64Array(1).fill(1))).toThrow("not inside");
    expect(new Uint8Array(block.view()).every((x) => x === 0)).toBe(true);
    block.free();
    expect(() => block.write(0, new Uint8Array(1))).toThrow("has been freed");
    expect(() => loadBinding().write(block.address, new Uint8Array(1))).toThrow("not inside");
  });

  test("V8 counts blocks from the next turn of the event loop on, and none that is freed by then", async () => {
    const program = `
      import { setImmediate as turn } from "node:timers/promises";
      import { NativeBlock } from "./memory.js";
      const before = process.memoryUsage().external;
      const counted = () => Math.round((process.memoryUsage().external - before) / 2 ** 24); // Node has its own, a little
      const blocks = [32, 16].map((mb) => new NativeBlock(mb * 2 ** 20));
      blocks[0].write(0, new Uint8Array(8));
      blocks[1].free();
      const early = counted();
      await turn();
      console.log(early, counted(), blocks[0].bytes);`;
    expect(await child(program)).toMatchObject({ status: 0, out: `0 2 ${2 ** 25}\n` });
  });

  test.each([
    [-1, 4],
    [0, 65],
    [65, 0],
    [60, 8],
    [Number.NaN, 4],
    [0, Number.NaN],
  ])("bytes %s and %s more are outside of a block of 64", (offset, bytes) => {
    expect(() => new NativeBlock(64).view(offset, bytes)).toThrow("not inside a block of 64");
  });

  test.each([-1, Number.NaN, 0.5, Infinity])("a block of %s bytes is refused", (bytes) => {
    expect(() => new NativeBlock(bytes)).toThrow();
  });

  test("an empty block has an address and an empty view", () => {
    const block = new NativeBlock(0);
    expect(block.address).toBeGreaterThan(0);
    expect(block.view().byteLength).toBe(0);
    block.free();
  });

  test("free empties the views, so that a stale one is harmless, and may be repeated", () => {
    const block = new NativeBlock(64);
    const stale = [new Float32Array(block.view()), new Float32Array(block.view(32))];
    block.free();
    expect(stale.map(({ length }) => length)).toEqual([0, 0]);
    expect(() => block.view()).toThrow("has been freed");
    expect(() => loadBinding().view(block.address, 8)).toThrow("not inside");
    block.free();
  });

  test("a block cannot be freed under a running call", async () => {
    const binding = loadBinding();
    const wait = "void dh_wait(volatile int *flag) { while (!*flag); }";
    const f = binding.sym(binding.open(compileToObject(wait).path), "dh_wait");
    const block = new NativeBlock(4);
    const call = block.during(binding.callAsync(f, block.address, 0, 0));
    expect(() => block.free()).toThrow("while a call uses it");
    new Int32Array(block.view())[0] = 1;
    await call;
    block.free();
  });

  test("a view keeps the memory, also when the block itself is dropped", async () => {
    const program = `
      import { setImmediate as turn } from "node:timers/promises";
      import { NativeBlock } from "./memory.js";
      const kept = [];
      for (let i = 0; i < 50; i++) kept.push(new Float64Array(new NativeBlock(2 ** 16).view()).fill(i));
      for (let i = 0; i < 5; i++) { gc(); await turn(); }
      const others = []; // would reuse addresses that were given back too early
      for (let i = 0; i < 50; i++) others.push(new Float64Array(new NativeBlock(2 ** 16).view()).fill(-1));
      console.log(kept.every((array, i) => array.every((x) => x === i)));`;
    const { status, out } = await child(program, {}, ["--expose-gc"]);
    expect({ status, out }).toEqual({ status: 0, out: "true\n" });
  });

  test("memory that nobody reaches goes back: 5 GiB in turn, never more than 1 GiB at once", async () => {
    const program = `
      import { setImmediate as turn } from "node:timers/promises";
      import { loadBinding } from "./binding.js";
      import { compileToObject } from "./cache.js";
      import { NativeBlock } from "./memory.js";
      const binding = loadBinding();
      const text = "void dh_touch(char *p, long n) { for (long i = 0; i < n; i += 4096) p[i] = 1; }";
      const touch = binding.sym(binding.open(compileToObject(text).path), "dh_touch");
      let most = 0;
      for (let i = 0; i < 600; i++) {
        const { address, bytes } = new NativeBlock(2 ** 23); // never viewed, only used by native code
        binding.call(touch, address, bytes, 0);
        if (i % 10 === 0) { await turn(); most = Math.max(most, process.memoryUsage.rss()); }
      }
      console.log(most < 2 ** 30 ? "flat" : most);`;
    const { status, out } = await child(program);
    expect({ status, out }).toEqual({ status: 0, out: "flat\n" });
  });

  test("a thread's memory goes with the thread", async () => {
    const program = `
      import { Worker, isMainThread } from "node:worker_threads";
      import { NativeBlock } from "./memory.js";
      if (isMainThread) {
        let most = 0;
        for (let i = 0; i < 12; i++) {
          await new Promise((resolve) => new Worker(new URL(import.meta.url)).on("exit", resolve));
          most = Math.max(most, process.memoryUsage.rss());
        }
        console.log(most < 2 ** 29 ? "flat" : most);
      } else {
        globalThis.kept = new NativeBlock(2 ** 26);
        new Uint8Array(kept.view()).fill(1);
      }`;
    const { status, out } = await child(program);
    expect({ status, out }).toEqual({ status: 0, out: "flat\n" });
  });
});
