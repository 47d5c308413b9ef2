import { constants } from "node:buffer";
import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { type Binding, loadBinding, maxView } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { child, compiler } from "./child.ts";

const TEXT = `
  // out[0] = sum of the buffers' first elements, times the scalar
  void dh_sum(float **buffers, const double *scalars, void *run) {
    buffers[2][0] = (buffers[0][0] + buffers[1][0]) * scalars[0];
  }
  // Waits until somebody else sets the flag.
  void dh_wait(volatile int *flag) { while (!*flag); }
  // state[0]: inside; state[1]: how often two calls were inside at once; state[2]: calls
  void dh_alone(volatile int *state, long spins) {
    if (__atomic_exchange_n(&state[0], 1, __ATOMIC_SEQ_CST)) state[1]++;
    for (volatile long i = 0; i < spins; i++);
    __atomic_store_n(&state[0], 0, __ATOMIC_SEQ_CST);
    state[2]++;
  }`;

function fixture(): { binding: Binding; at: (name: string) => number } {
  const binding = loadBinding();
  const library = binding.open(compileToObject(TEXT).path);
  return { binding, at: (name) => binding.sym(library, name) };
}

describe.skipIf(!compiler.found)("the binding", () => {
  test("is one per thread", () => {
    expect(loadBinding()).toBe(loadBinding());
  });

  test("calls a program with a table of buffers and its scalars", () => {
    const { binding, at } = fixture();
    const buffers = [1.5, 2.5, 0].map((value) => {
      const block = new NativeBlock(64);
      new Float32Array(block.view())[0] = value;
      return block;
    });
    const table = new NativeBlock(8 * buffers.length);
    new BigUint64Array(table.view()).set(buffers.map(({ address }) => BigInt(address)));
    const scalars = new NativeBlock(8);
    new Float64Array(scalars.view())[0] = 10;
    binding.call(at("dh_sum"), table.address, scalars.address, 0);
    expect(new Float32Array(buffers[2]!.view())[0]).toBe(40);
  });

  test("calls with memory that JavaScript made", () => {
    const { binding, at } = fixture();
    const flag = new Int32Array([1]);
    binding.call(at("dh_wait"), binding.addr(flag), 0, 0); // returns at once
    expect(binding.addr(flag.subarray(0)) % 4).toBe(0);
  });

  test("blocks are zeroed and aligned, large ones to 2 MiB", () => {
    const { binding } = fixture();
    for (const [bytes, alignment] of [
      [1, 64],
      [100_000, 64],
      [2 ** 21, 2 ** 21],
      [5 * 2 ** 20 + 1, 2 ** 21],
    ] as const) {
      const address = binding.alloc(bytes);
      expect(address % alignment).toBe(0);
      const view = binding.view(address, bytes);
      expect(new Uint8Array(view).every((byte) => byte === 0)).toBe(true);
      new Uint8Array(view).fill(255);
      binding.detach(view);
      expect(view.byteLength).toBe(0);
      binding.free(address);
    }
  });

  test("around a block lies memory that is its own, for vectors that are read as a whole at its ends", () => {
    const { binding } = fixture();
    for (const bytes of [2 ** 16, 2 ** 21]) {
      const blocks = [0, 1, 2, 3, 4].map(() => binding.alloc(bytes)).sort((a, b) => a - b);
      const [kept] = blocks.splice(2, 1) as [number];
      for (const neighbour of blocks) binding.free(neighbour);
      expect(binding.resident(kept - 64, bytes + 128)).toBe(0); // throws where a page is not mapped
      binding.free(kept);
    }
  });

  // What would end the process without a check. Each is thrown, and the process lives to see the next.
  const wrong = [0, -1, Number.NaN, Infinity, -Infinity, 0.5, 2 ** 53, 1e300, "1", null, undefined, {}, 1n];
  test.each(wrong.map((value) => [value]))("%s is refused as an address", (value) => {
    const { binding, at } = fixture();
    const bad = value as number; // the checks are for callers without types
    const block = new NativeBlock(64);
    const usage = /not|must|usage|no block/;
    expect(() => binding.call(bad, 0, 0, 0)).toThrow(usage);
    expect(() => binding.sym(bad, "dh_sum")).toThrow(usage);
    expect(() => binding.alloc(bad)).toThrow(/must|memory/);
    expect(() => binding.free(bad)).toThrow(usage);
    expect(() => binding.view(bad, 8)).toThrow(usage);
    expect(() => binding.detach(value as ArrayBuffer)).toThrow(usage);
    expect(() => binding.addr(value as Float32Array)).toThrow(usage);
    expect(() => binding.write(bad, new Uint8Array(1))).toThrow(usage);
    expect(() => binding.write(block.address, value as Uint8Array)).toThrow(usage);
    expect(() => binding.indices(value as Float32Array, 1)).toThrow(usage);
    expect(() => binding.open(value as string)).toThrow(usage);
    expect(() => binding.sym(1, value as string)).toThrow(usage);
    if (value === 0) return; // the other arguments may be 0
    expect(() => binding.view(block.address, bad)).toThrow(/not|inside|larger/);
    for (const i of [0, 1, 2]) {
      const [x, y, z] = [0, 0, 0].with(i, bad);
      expect(() => binding.call(at("dh_sum"), x!, y!, z!)).toThrow(usage);
    }
  });

  test("indices are counted up to the first number that is none, whatever the array", () => {
    const { binding } = fixture();
    for (const kind of [Float32Array, Float64Array, Int32Array, Uint32Array, Uint8Array]) {
      for (const bad of [5, 200, ...(kind.name.startsWith("Float") ? [Number.NaN, Infinity] : []), -1]) {
        for (const at of [0, 3, 8])
          expect(binding.indices(kind.of(4, 0, 1, 2, 3, 4, 0, 4, 2).with(at, bad), 5)).toBe(at);
      }
      expect(binding.indices(kind.of(4, 0, 9).subarray(0, 2), 5)).toBe(2);
      expect(binding.indices(new kind(0), 5)).toBe(0);
    }
    expect(binding.indices(new Uint32Array([2 ** 32 - 2]), 2 ** 32 - 1)).toBe(1);
    expect(binding.indices(new Int16Array(3), 5)).toBe(0); // no dtype's
  });

  test("a view must lie inside one living block", () => {
    const { binding } = fixture();
    const address = binding.alloc(100);
    expect(binding.view(address, 100).byteLength).toBe(100);
    expect(binding.view(address + 60, 40).byteLength).toBe(40);
    for (const [at, bytes] of [
      [address, 101],
      [address + 60, 41],
      [address - 1, 8],
      [address + 101, 0],
      [4096, 8],
    ] as const) {
      expect(() => binding.view(at, bytes)).toThrow("not inside one allocated block");
    }
    binding.free(address);
    expect(() => binding.view(address, 8)).toThrow("not inside one allocated block");
    expect(() => binding.free(address)).toThrow("no block begins at this address");
  });

  test("the largest view is Node's, and a larger one is refused before Node ends the process", () => {
    expect(maxView).toBe(constants.MAX_LENGTH);
    expect(() => loadBinding().view(4096, maxView + 1)).toThrow("larger than one ArrayBuffer may be");
  });

  test("more memory than there can be is refused in words", () => {
    expect(() => loadBinding().alloc(2 ** 52)).toThrow(/out of memory: the system refused 4294967296.0 MiB/);
  });

  test("what cannot be opened or found is named", () => {
    const { binding } = fixture();
    expect(() => binding.open("/nonexistent.so")).toThrow("/nonexistent.so");
    const { path } = compileToObject(TEXT);
    expect(() => binding.sym(binding.open(path), "dh_missing")).toThrow("dh_missing");
    expect(() => binding.sym(binding.open(path), "x".repeat(600))).toThrow("not a name");
  });

  test("an object opened globally gives its symbols to later ones", () => {
    const { binding } = fixture();
    const user = "extern int dh_shared(void); void dh_ask(int *out) { *out = dh_shared(); }";
    const { path } = compileToObject(user);
    expect(() => binding.open(path)).toThrow("dh_shared");
    binding.open(compileToObject("int dh_shared(void) { return 7; }").path, true);
    const out = new NativeBlock(4);
    binding.call(binding.sym(binding.open(path), "dh_ask"), out.address, 0, 0);
    expect(new Int32Array(out.view())[0]).toBe(7);
  });

  test("denormal numbers are intact after loading programs", async () => {
    const { binding, at } = fixture();
    const flag = new Int32Array([1]);
    binding.call(at("dh_wait"), binding.addr(flag), 0, 0);
    const [tiny, exponent] = [1e-310, -720].map(Number) as [number, number];
    expect(tiny * 0.5).not.toBe(0);
    expect(Math.exp(exponent)).not.toBe(0);
  });

  test("an asynchronous call leaves the event loop free", async () => {
    const { binding, at } = fixture();
    const flag = new NativeBlock(4);
    const word = new Int32Array(flag.view());
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 5) word[0] = 1; // were the loop blocked, the call would wait for ever
    }, 1);
    await flag.during(binding.callAsync(at("dh_wait"), flag.address, 0, 0));
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(5);
  });

  test("asynchronous calls run one at a time", async () => {
    const { binding, at } = fixture();
    const state = new NativeBlock(12);
    const calls = Array.from({ length: 20 }, () => binding.callAsync(at("dh_alone"), state.address, 100_000, 0));
    await Promise.all(calls);
    expect([...new Int32Array(state.view())]).toEqual([0, 0, 20]);
  });

  test("calls that wait for their turn leave Node's threads to Node", async () => {
    const { binding, at } = fixture();
    const flag = new NativeBlock(4);
    const calls = Array.from({ length: 8 }, () => binding.callAsync(at("dh_wait"), flag.address, 0, 0));
    await readFile(new URL(import.meta.url)); // needs one of the four threads that the calls could have taken
    new Int32Array(flag.view())[0] = 1;
    await Promise.all(calls);
  });

  test("a wrong asynchronous call is a rejection, and the next one runs", async () => {
    const { binding, at } = fixture();
    const state = new NativeBlock(12);
    await expect(binding.callAsync(0, 0, 0, 0)).rejects.toThrow("must be an address");
    await binding.callAsync(at("dh_alone"), state.address, 1, 0);
    expect(new Int32Array(state.view())[2]).toBe(1);
  });
});

const threads = (main: string, worker: string) => `
  import { Worker, isMainThread, parentPort, threadId } from "node:worker_threads";
  import { loadBinding } from "./binding.js";
  import { compileToObject } from "./cache.js";
  import { NativeBlock } from "./memory.js";
  const binding = loadBinding();
  const library = binding.open(compileToObject(${JSON.stringify(TEXT)}).path);
  const at = (name) => binding.sym(library, name);
  if (isMainThread) { ${main} } else { ${worker} }`;

describe.skipIf(!compiler.found)("a whole process", () => {
  test("loads the binding in several threads, which run programs at the same time", async () => {
    const program = threads(
      `const workers = [1, 2, 3].map(() => new Worker(new URL(import.meta.url)));
       const ended = workers.map((worker) => new Promise((resolve) => {
         worker.on("message", (text) => console.log(text));
         worker.on("exit", resolve);
       }));
       const codes = await Promise.all(ended);
       const state = new NativeBlock(12);
       await binding.callAsync(at("dh_alone"), state.address, 1, 0);
       console.log(codes.join(), new Int32Array(state.view())[2]);`,
      `const state = new NativeBlock(12);
       for (let i = 0; i < 1000; i++) binding.call(at("dh_alone"), state.address, 100, 0);
       for (let i = 0; i < 10; i++) await state.during(binding.callAsync(at("dh_alone"), state.address, 100, 0));
       parentPort.postMessage([...new Int32Array(state.view())].join());`,
    );
    expect(await child(program)).toEqual({
      status: 0,
      signal: null,
      out: `${"0,0,1010\n".repeat(3)}0,0,0 1\n`,
      err: "",
    });
  });

  test("loads the binding twice", async () => {
    const program = `
      import { compileToObject } from "./cache.js";
      import { loadBinding } from "./binding.js";
      import { GLUE } from "./glue.js";
      const first = loadBinding();
      const { path } = compileToObject(GLUE, { optimize: "-O2" });
      const again = { exports: {} };
      process.dlopen(again, path);
      const address = first.alloc(64);
      console.log(again.exports.view(address, 64).byteLength);`;
    const { status, out } = await child(program);
    expect({ status, out }).toEqual({ status: 0, out: "64\n" });
  });

  test("may end, or end a thread, in the middle of a call", async () => {
    const busy = (spins: number) => `
      const state = new NativeBlock(2 ** 22);
      void state.during(binding.callAsync(at("dh_alone"), state.address, ${spins}, 0));`;
    const worker = threads(
      `const worker = new Worker(new URL(import.meta.url));
       await new Promise((resolve) => worker.on("message", resolve));
       console.log(await worker.terminate());`,
      `${busy(2e7)} parentPort.postMessage("started"); setInterval(() => {}, 1000);`,
    );
    expect(await child(worker)).toEqual({ status: 0, signal: null, out: "1\n", err: "" });
    const main = threads(`${busy(2e7)} setTimeout(() => process.exit(3), 5);`, "");
    expect(await child(main)).toEqual({ status: 3, signal: null, out: "", err: "" });
  });
});
