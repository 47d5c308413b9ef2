/** A program that was made before runs without being made again, and gives the same bits. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { iota, literal, scalar, type Tensor, type Value, value, valueAndGrad } from "../../../src/ir/index.ts";
import { apply, checkpoint, crossEntropy, gpt, init, linear, relu, sequential } from "../../../src/nn/index.ts";
import { accumulator, adamW, chain, clipGlobalNorm, update } from "../../../src/optim/index.ts";
import type { Known, Load } from "../../../src/run/backend.ts";
import { jit } from "../../../src/run/jit.ts";
import type { LoopOptions } from "../../../src/run/loop.ts";
import { nativeBackend } from "../../../src/run/native/backend.ts";
import { storedObject } from "../../../src/run/native/cache.ts";
import { type Compiler, probeCompiler } from "../../../src/run/native/compiler.ts";
import { cacheFolder } from "../../../src/run/native/folder.ts";
import { modulesOf } from "../../../src/run/native/modules.ts";
import { type Entry, keepProgram, programKey, storedProgram } from "../../../src/run/native/programs.ts";
import { alwaysThreads } from "../../../src/run/native/threads.ts";
import { unitFor } from "../../../src/run/native/tiles.ts";
import { Run } from "../../../src/run/run.ts";
import * as tree from "../../../src/tree.ts";

// Somebody may be writing in the sources while this runs; what is kept is still of what this process has loaded.
vi.mock("../../../src/run/native/modules.ts", async (original) => {
  const { modulesOf } = await original<typeof import("../../../src/run/native/modules.ts")>();
  return { modulesOf: (here: string, began = Number.POSITIVE_INFINITY) => modulesOf(here, began) };
});

const compiler = probeCompiler();

/** A native backend that says how many programs it had to make, and forgets first what is kept of them where `cold`. */
function watched({ cold = false, threads = 1 } = {}) {
  if (!compiler.found) throw new Error(compiler.reason);
  const native = nativeBackend(compiler, () => alwaysThreads(threads));
  const seen = { asked: 0, made: 0, names: [] as string[] };
  const recall: Load["recall"] = (known: Known, most) => {
    seen.asked++;
    seen.names.push(known.name);
    if (cold) rmSync(fileOf(known.name), { force: true });
    const program = () => {
      seen.made++;
      return known.program();
    };
    return native.load.recall!({ ...known, program }, most);
  };
  const load = Object.assign((...given: Parameters<Load>) => native.load(...given), { recall });
  return { seen, backend: { ...native, load } };
}

const keyOf = (name: string) =>
  (compiler.found && programKey(name, compiler)) || expect.fail("the modules are unknown");
const fileOf = (name: string) => join(cacheFolder(), "programs", `${keyOf(name)}.json`);

const noise = (shape: number[], seed: number) => {
  const n = shape.reduce((a, b) => a * b, 1);
  return value(
    shape,
    Float32Array.from({ length: n }, (_, k) => Math.sin(12.9898 * (k + 1) + seed)),
  );
};
const integers = (shape: number[], below: number) => {
  const n = shape.reduce((a, b) => a * b, 1);
  return value(
    shape,
    Int32Array.from({ length: n }, (_, k) => (k * 7919) % below),
    "i32",
  );
};
const bitsOf = (t: unknown) =>
  tree.leaves<Value>(t).map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex"));

type Backend = ReturnType<typeof watched>["backend"];
const rule = chain(clipGlobalNorm(1), adamW({ weightDecay: 0.1 }));
const data = { x: noise([40, 12], 1), labels: integers([40], 5) };

/** Some steps of a net, and a program that evaluates it. → all bits that come of it */
async function training(backend: Backend, options: LoopOptions & { parts?: boolean; threads?: number } = {}) {
  const { parts = false, threads = 1, ...loopOptions } = options;
  const hidden = sequential(linear(12, 32), relu, linear(32, 32), relu);
  const net = sequential(parts ? checkpoint(hidden) : hidden, linear(32, 5));
  const { params } = init(net, 1);
  const run = await Run.start({ params, opt: rule.init(params) }, { backend, threads });
  const lossOf = (params: any, rows: Tensor, d: { x: Tensor; labels: Tensor }) =>
    crossEntropy(apply(net, { params }, d.x.gather(rows))[0], d.labels.gather(rows));
  const loop = run.loop(
    (s, { rows, step }: { rows: Tensor; step: Tensor }, d) => {
      const [loss, gradients] = valueAndGrad(lossOf)(s.params, rows, d);
      const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(0.01) });
      return { state: { params, opt }, output: { loss }, watch: loss };
    },
    { data, ...loopOptions },
  );
  const evaluate = run.loop((s, _: Record<string, never>, d) => ({ output: lossOf(s.params, iota(40), d) }), { data });
  const feeds = (n: number) => ({
    rows: integers([n, 16], 40),
    step: value(
      [n],
      Array.from({ length: n }, (_, k) => k + 1),
    ),
  });
  const { output } = await loop.take(4, feeds(4));
  const after = await evaluate.take(1, {});
  const { predictedBytes } = run.memory();
  return {
    bits: bitsOf([output, after.output, run.state()]),
    predictedBytes,
    source: loop.compiled(feeds(1)).executable.source,
  };
}

describe.skipIf(!compiler.found)("a program that was made before (needs a C compiler)", () => {
  test.each<[string, Parameters<typeof training>[1]]>([
    ["an MLP", {}],
    ["parts computed again", { parts: true }],
    ["bf16", { precision: "bf16" }],
    ["two threads", { threads: 2 }],
  ])("%s: the same bits, memory and text without making it", async (_, options) => {
    const first = watched({ cold: true, ...options });
    const made = await training(first.backend, options);
    expect(first.seen).toMatchObject({ asked: 2, made: 2 });
    const second = watched(options);
    const recalled = await training(second.backend, options);
    expect(second.seen).toMatchObject({ asked: 2, made: 1 }); // for the text alone
    expect(recalled).toEqual(made);
  });

  test("one trace in two precisions has two names", async () => {
    const [full, half] = [watched({ cold: true }), watched({ cold: true })];
    await training(full.backend);
    await training(half.backend, { precision: "bf16" });
    expect(half.seen.names[0]).not.toBe(full.seen.names[0]);
    const withoutPrecision = (name: string) => name.slice(name.indexOf(" "));
    expect(withoutPrecision(half.seen.names[0]!)).toBe(withoutPrecision(full.seen.names[0]!));
  });

  test("a GPT, and gradients that are added up before an update", async () => {
    const net = gpt({ vocabulary: 11, layers: 1, heads: 2, width: 16, context: 8 });
    const tokens = integers([4, 3, 9], 11);
    const train = async (backend: Backend) => {
      const { params } = init(net, 2);
      const run = await Run.start(
        { params, opt: rule.init(params), so: accumulator.init(params) },
        { backend, threads: 1 },
      );
      const add = run.loop((s, { tokens }: { tokens: Tensor }) => {
        const lossOf = (params: typeof s.params) =>
          crossEntropy(apply(net, { params }, tokens.slice(1, 0, 8))[0], tokens.slice(1, 1), { reduction: "sum" });
        const [loss, gradients] = valueAndGrad(lossOf)(s.params);
        return { state: { ...s, so: accumulator.add(s.so, gradients, 24) }, output: { loss } };
      });
      const move = run.loop((s, { step }: { step: Tensor }) => {
        const at = { params: s.params, step, lr: scalar(0.01) };
        const [params, opt] = update(rule, accumulator.mean(s.so), s.opt, at);
        return { state: { params, opt, so: accumulator.clear(s.so) }, output: {} };
      });
      const { output } = await add.take(4, { tokens });
      await move.take(1, { step: value([1], [1]) });
      return bitsOf([output, run.state()]);
    };
    const bits = await train(watched({ cold: true }).backend);
    const { seen, backend } = watched();
    expect(await train(backend)).toEqual(bits);
    expect(seen).toMatchObject({ asked: 2, made: 0 });
  });

  test("new numbers of a literal are new data of the same program; a new constant is another program", async () => {
    const rows = noise([7, 3], 5);
    const sumOf = async (numbers: number[], factor = 2, cold = false) => {
      const { seen, backend } = watched({ cold });
      const picked = jit(
        (x: Tensor) =>
          x
            .gather(literal(value([2], numbers, "i32")))
            .mul(factor)
            .sum(),
        { backend },
      );
      const { data } = await picked(rows);
      return { sum: data[0]!, made: seen.made };
    };
    const naive = (numbers: number[], factor: number) =>
      numbers.reduce((sum, r) => sum + [0, 1, 2].reduce((a, c) => a + rows.data[3 * r + c]! * factor, 0), 0);
    await sumOf([1, 2], 2, true);
    const { sum, made } = await sumOf([4, 6]);
    expect(made).toBe(0);
    expect(sum).toBeCloseTo(naive([4, 6], 2), 5);
    await sumOf([1, 2], 3, true);
    expect((await sumOf([1, 2], 3)).sum).toBeCloseTo(naive([1, 2], 3), 5);
    await expect(sumOf([1, 7])).rejects.toThrow("gather from f32[7,3]: i32[2] holds 7 at position 1");
  });

  const pair = value([2], [1, 2]);

  test("what is not a program is refused as ever", async () => {
    const { backend } = watched();
    const elsewhere: Tensor[] = [];
    await jit((x: Tensor) => elsewhere.push(x) && x, { backend })(pair);
    await expect(jit((x: Tensor) => x.add(elsewhere[0]!), { backend })(pair)).rejects.toThrow(
      "depends on an input f32[2] that is not among its arguments",
    );
  });
  describe("of which the entry", () => {
    const run = async (cold = false) => {
      const { seen, backend } = watched({ cold });
      const { data } = await jit((x: Tensor) => x.mul(3).add(1), { backend })(pair);
      expect([...data]).toEqual([4, 7]);
      return { made: seen.made, name: seen.names[0]! };
    };
    const other = async () => {
      const { seen, backend } = watched({ cold: true });
      await jit((x: Tensor) => x.mul(5), { backend })(pair);
      return seen.names[0]!;
    };
    const edit = (name: string, by: (text: Buffer) => Uint8Array) =>
      writeFileSync(fileOf(name), by(readFileSync(fileOf(name))));
    const change = (name: string, to: Partial<Entry>) =>
      keepProgram(keyOf(name), { ...storedProgram(keyOf(name))!, ...to });
    const notHere = () => (compiler.found && unitFor(compiler) === "amx" ? "avx512" : "amx");

    test.each<[string, (name: string) => unknown]>([
      [
        "has a flipped bit",
        (name) => edit(name, (text) => text.with(text.length >> 1, text.at(text.length >> 1)! ^ 1)),
      ],
      ["is cut short", (name) => edit(name, (text) => text.subarray(0, text.length - 9))],
      ["is empty", (name) => edit(name, (text) => text.subarray(0, 0))],
      ["is not text", (name) => edit(name, (text) => text.map((b) => b ^ 0xff))],
      ["is another program's", async (name) => copyFileSync(fileOf(await other()), fileOf(name))],
      ["names an object that is gone", (name) => rmSync(storedObject(storedProgram(keyOf(name))!.object)!)],
      ["was made with other kernels", (name) => change(name, { note: "/* kernels: others */\n" })],
      ["multiplies with what is not here", (name) => change(name, { unit: notHere() })],
    ])("%s is made again", async (_, spoil) => {
      const { name, made } = await run(true);
      expect(made).toBe(1);
      expect((await run()).made).toBe(0);
      await spoil(name);
      expect((await run()).made).toBe(1);
      expect((await run()).made).toBe(0);
    });
  });

  test("nothing is kept, and nothing fails, where a file lies in place of their folder", async () => {
    const cache = mkdtempSync(join(tmpdir(), "downhill-kept-"));
    vi.stubEnv("DOWNHILL_CACHE", cache);
    try {
      writeFileSync(join(cache, "programs"), "");
      const { seen, backend } = watched();
      for (let k = 0; k < 2; k++) await jit((x: Tensor) => x.mul(7), { backend })(pair);
      expect(seen.made).toBe(2);
    } finally {
      vi.unstubAllEnvs();
      rmSync(cache, { recursive: true });
    }
  });
});

describe("an entry", () => {
  let cache = "";
  beforeEach(() => {
    cache = mkdtempSync(join(tmpdir(), "downhill-entries-"));
    vi.stubEnv("DOWNHILL_CACHE", cache);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });
  const key = "0123456789";
  const entry: Entry = {
    signature: { resident: 0, feeds: [], outputs: [], temporaryBytes: 64, scratchBytes: 0, shared: false },
    object: "abc",
    called: [],
    note: "",
    unit: "none",
    outline: { literals: [], checks: [] },
  };
  const file = () => join(cache, "programs", `${key}.json`);
  const DAY = 24 * 60 * 60; // seconds

  test("is what was kept, and nobody else may read it", () => {
    expect(storedProgram(key)).toBeUndefined();
    keepProgram(key, entry);
    expect(storedProgram(key)).toEqual(entry);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(cache, "programs"))).toEqual([`${key}.json`]);
  });

  test("with one bit flipped, whichever, or any of its end missing, is removed", () => {
    keepProgram(key, entry);
    const sound = readFileSync(file());
    for (let k = 0; k < sound.length; k++) {
      for (const spoilt of [sound.with(k, sound[k]! ^ 1), sound.subarray(0, k)]) {
        writeFileSync(file(), spoilt);
        expect(storedProgram(key), `byte ${k} of ${sound.length}`).toBeUndefined();
        expect(existsSync(file())).toBe(false);
      }
    }
  });

  test("under another's key is removed", () => {
    keepProgram("another", entry);
    copyFileSync(join(cache, "programs", "another.json"), file());
    expect(storedProgram(key)).toBeUndefined();
    expect(readdirSync(join(cache, "programs"))).toEqual(["another.json"]);
  });

  test("is young again when it is used, once a day", () => {
    keepProgram(key, entry);
    const aged = (days: number) => {
      const then = Math.round(Date.now() / 1000 - days * DAY);
      utimesSync(file(), then, then);
      expect(storedProgram(key)).toEqual(entry);
      return statSync(file()).mtimeMs / 1000 - then;
    };
    expect(aged(59)).toBeGreaterThan(58 * DAY);
    expect(aged(0.5)).toBe(0);
  });

  test("that cannot come to its place leaves no draft", () => {
    mkdirSync(file(), { recursive: true });
    keepProgram(key, entry);
    expect(readdirSync(join(cache, "programs"))).toEqual([`${key}.json`]);
    expect(storedProgram(key)).toBeUndefined();
  });
});

describe("the key of a program", () => {
  const one: Compiler = {
    found: true,
    command: "/usr/bin/cc",
    words: [],
    version: "cc 1",
    fullVersion: "cc 1\nof somebody",
    cpu: { model: "a CPU", features: "fast" },
    simd: "avx512",
    lanes: 16,
    bf16: "none",
    flags: { base: ["-O"], link: ["-shared"] },
  };
  const known = programKey("f32 true x", one);

  test.each<[string, Partial<Compiler>]>([
    ["flags", { flags: { ...one.flags, base: ["-O", "-g"] } }],
    ["flags of the link", { flags: { ...one.flags, link: [] } }],
    ["words of CC", { words: ["-m32"] }],
    ["version of the compiler", { fullVersion: "cc 2" }],
    ["CPU", { cpu: { ...one.cpu, model: "another" } }],
    ["CPU's features", { cpu: { ...one.cpu, features: "faster" } }],
    ["lanes", { lanes: 8 }],
  ])("is another with other %s", (_, other) => {
    expect(known).toMatch(/^[0-9a-f]{40}$/);
    expect(programKey("f32 true x", { ...one })).toBe(known);
    expect(programKey("f32 true x", { ...one, ...other })).not.toBe(known);
  });

  test("is another with another name or other modules, and there is none where those are unknown", async () => {
    expect(programKey("bf16 true x", one)).not.toBe(known);
    const keyFrom = async (modules: string | undefined) => {
      vi.resetModules();
      vi.doMock("../../../src/run/native/modules.ts", () => ({ modulesOf: () => modules }));
      return (await import("../../../src/run/native/programs.ts")).programKey("f32 true x", one);
    };
    const [a, b] = [await keyFrom("a"), await keyFrom("b")];
    expect(await keyFrom("a")).toBe(a);
    expect(new Set([known, a, b]).size).toBe(3);
    expect(await keyFrom(undefined)).toBeUndefined();
  });
});

describe("the modules that are running", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "downhill-modules-"));
    for (const [name, text] of Object.entries(files)) write(name, text);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const files = {
    "ir/tensor.js": "1",
    "compile/compile.js": "2",
    "print/c/gemm.js": "3",
    "run/native/programs.js": "4",
  };
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  };
  const known = (began = Date.now() + 1000) =>
    modulesOf(pathToFileURL(join(folder, "run/native/programs.js")).href, began);

  test("are told from those before a change, in whichever folder", () => {
    const seen = new Set([known()]);
    for (const name of [...Object.keys(files), "print/new.js"]) {
      write(name, "another text");
      expect(known()).toBe(known());
      seen.add(known());
    }
    expect(seen.size).toBe(6);
    write("ir/tensor.js.map", "not a module");
    expect(seen).toContain(known());
  });

  test("are unknown where one was touched since the process began, and where they do not lie", () => {
    expect(known(Date.now() - 1000)).toBeUndefined();
    rmSync(join(folder, "print"), { recursive: true });
    expect(known()).toBeUndefined();
    expect(modulesOf("file:///bundle.js")).toBeUndefined();
  });
});
