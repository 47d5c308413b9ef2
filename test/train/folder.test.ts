/** A run's folder: what is written is whole, what is read is checked, and a killed process leaves nothing behind. */
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { value } from "../../src/ir/value.ts";
import { crossEntropy, init, linear, relu, sequential } from "../../src/nn/index.ts";
import { adam } from "../../src/optim/index.ts";
import { probeCompiler } from "../../src/run/native/compiler.ts";
import { RunFolder, readJournal, readModel, readRun } from "../../src/train/folder.ts";
import { fit } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { child, fresh } from "./child.ts";

const description = { seed: 5, configuration: { epochs: 3, hidden: [8] }, data: { source: "a.csv", rows: 60 } };
const net = sequential(linear(3, 8), relu, linear(8, 3));
const n = 60;
const x = value(
  [n, 3],
  Float32Array.from({ length: n * 3 }, (_, k) => Math.sin(k * 1.3)),
);
const y = value(
  [n],
  Int32Array.from({ length: n }, (_, i) => (x.data[3 * i]! > 0 ? 2 : x.data[3 * i + 1]! > 0 ? 1 : 0)),
  "i32",
);
const options = {
  net,
  loss: crossEntropy,
  optimizer: adam(),
  lr: 0.01,
  data: { train: { x, y } },
  batch: 7,
  seed: 5,
  backend: "js",
} as const;

async function trained(name = "run") {
  const path = fresh(name);
  const store = RunFolder.create(path, description);
  const result = await fit({ ...options, epochs: 3, store });
  store.close();
  return { path, result, checkpoint: join(path, "checkpoint.safetensors"), model: join(path, "model.safetensors") };
}

describe("a run leaves", () => {
  test("its files, and nothing else; each says what it is", async () => {
    const { path, result } = await trained();
    expect(readdirSync(path).sort()).toEqual([
      "checkpoint.safetensors",
      "journal.jsonl",
      "model.safetensors",
      "run.json",
    ]);
    expect(readRun(path)).toMatchObject({ ...description, version: 1, versions: { node: process.versions.node } });
    expect(readRun(path).versions.downhill).toMatch(/^\d+\.\d+\.\d+/);
    const like = init(net, 1);
    expect(readModel(path, like)).toEqual({ params: result.params, state: result.state });
    const names = readFileSync(join(path, "model.safetensors"), "latin1");
    for (const [name] of tree.paths(like.params)) expect(names).toContain(`"${name}"`);
    const events = readJournal(path);
    expect(events.map((e) => e.event)).toEqual(["start", "entry", "entry", "entry", "stop"]);
    expect(events[3]).toMatchObject({ epoch: 3, step: 27, trainLoss: result.history[2]!.trainLoss });
    expect(events[4]).toMatchObject({ reason: "done" });
  });

  test("a journal in which what was done again stands once", async () => {
    const path = fresh("journal");
    const folder = RunFolder.create(path, description);
    const log = (event: string, step: number) => folder.log({ event, step });
    for (const [event, step] of [
      ["start", 0],
      ["entry", 10],
      ["entry", 20],
      ["resume", 12],
      ["entry", 20],
      ["stop", 20],
    ] as const)
      log(event, step);
    folder.close();
    expect(readJournal(path).map((e) => [e.event, e.step])).toEqual([
      ["start", 0],
      ["entry", 10],
      ["resume", 12],
      ["entry", 20],
      ["stop", 20],
    ]);
  });
});

test("resumed before the first checkpoint, a run begins again, and so does its journal", async () => {
  const path = fresh("early");
  const folder = RunFolder.create(path, description);
  folder.log({ event: "start", epoch: 0, step: 0 });
  folder.log({ event: "entry", epoch: 1, step: 9 });
  folder.close(); // here it was killed
  const store = RunFolder.open(path);
  await fit({ ...options, epochs: 1, store, resume: true });
  store.close();
  expect(readJournal(path).map((e) => [e.event, e.step])).toEqual([
    ["start", 0],
    ["resume", 0],
    ["entry", 9],
    ["stop", 9],
  ]);
});

describe("a torn last line of the journal", () => {
  test("is not read, and is gone after the next event", () => {
    const path = fresh("torn");
    const file = join(path, "journal.jsonl");
    const first = RunFolder.create(path, description);
    first.log({ event: "start", step: 0 });
    first.close();
    appendFileSync(file, '{"event":"entry","st');
    expect(readJournal(path).map((e) => e.event)).toEqual(["start"]);
    const second = RunFolder.open(path);
    second.log({ event: "resume", step: 0 });
    second.close();
    expect(readJournal(path).map((e) => e.event)).toEqual(["start", "resume"]);
    expect(readFileSync(file, "utf8").split("\n").length).toBe(3);
  });

  test("a damaged line elsewhere is named", () => {
    const path = fresh("damaged");
    const folder = RunFolder.create(path, description);
    folder.log({ event: "start" });
    folder.close();
    appendFileSync(join(path, "journal.jsonl"), '{"event\n{"event":"stop"}\n');
    expect(() => readJournal(path)).toThrow("journal.jsonl: line 2 is damaged");
  });
});

describe("one writer at a time", () => {
  test("a folder that holds a run is not overwritten", async () => {
    const { path } = await trained();
    expect(() => RunFolder.create(path, description)).toThrow("already holds a run (run.json)");
    expect(readdirSync(path)).not.toContain("lock");
  });

  test("a second writer is refused while the first holds it", () => {
    const path = fresh("held");
    const folder = RunFolder.create(path, description);
    expect(() => RunFolder.open(path)).toThrow(`another process writes here (process ${process.pid} on ${hostname()})`);
    expect(() => RunFolder.open(join(path, "..", path.split("/").at(-1)!))).toThrow("another process writes here");
    folder.close();
    RunFolder.open(path).close();
  });

  test("the lock of a process that is gone is no lock; that of another machine is", () => {
    const path = fresh("gone");
    RunFolder.create(path, description).close();
    const lock = join(path, "lock");
    const gone = spawnSync(process.execPath, ["-e", ""]).pid;
    writeFileSync(lock, JSON.stringify({ pid: gone, host: hostname() }));
    writeFileSync(join(path, "checkpoint.safetensors.1234.tmp"), "half");
    writeFileSync(join(path, "mine.tmp"), "not ours");
    RunFolder.open(path).close();
    expect(readdirSync(path).sort()).toEqual(["mine.tmp", "run.json"]);
    writeFileSync(lock, JSON.stringify({ pid: process.pid, host: hostname() })); // our number, but of an earlier life
    RunFolder.open(path).close();
    writeFileSync(lock, JSON.stringify({ pid: gone, host: "elsewhere" }));
    expect(() => RunFolder.open(path)).toThrow(`another process writes here (process ${gone} on elsewhere)`);
    writeFileSync(lock, ""); // made, not yet written
    expect(() => RunFolder.open(path)).toThrow("another process writes here");
    utimesSync(lock, 0, 0);
    RunFolder.open(path).close();
  });
});

describe("what is missing or damaged is named, with what to do", () => {
  test("no folder, no run, no JSON, another version", () => {
    const path = fresh("missing");
    expect(() => RunFolder.open(path)).toThrow("there is no such folder");
    mkdirSync(path);
    expect(() => RunFolder.open(path)).toThrow("this folder holds no run: there is no run.json");
    writeFileSync(join(path, "run.json"), "{");
    expect(() => RunFolder.open(path)).toThrow("run.json: this is not JSON");
    writeFileSync(join(path, "run.json"), "null");
    expect(() => RunFolder.open(path)).toThrow("in version undefined of the format, this is version 1");
    writeFileSync(join(path, "run.json"), '{"version": 2, "versions": {"downhill": "9.1.0"}}');
    expect(() => RunFolder.open(path)).toThrow(
      "written by downhill 9.1.0 in version 2 of the format, this is version 1",
    );
  });

  test("no model yet; a model of another net", async () => {
    const { path, model } = await trained();
    expect(() => readModel(path, init(sequential(linear(3, 9), relu, linear(9, 3)), 1))).toThrow(
      '"layers.0.weight" is f32[8,3], expected f32[9,3]',
    );
    expect(() => readModel(path, init(linear(3, 3), 1))).toThrow('there is no "weight" in it');
    rmSync(model);
    expect(() => readModel(path, init(net, 1))).toThrow("there is no model.safetensors yet");
  });

  test.each([
    ["cut off", (file: string) => truncateSync(file, statSync(file).size - 5), "not a readable safetensors file"],
    ["empty", (file: string) => truncateSync(file, 0), "it has 0 bytes"],
    [
      "one bit flipped",
      (file: string) => flip(file, statSync(file).size - 6),
      "its content is not what was written: the checksum differs",
    ],
    [
      "another version",
      (file: string) => edit(file, '"version":"1"', '"version":"3"'),
      "written in version 3 of the format, this is version 1",
    ],
    [
      "a model",
      (file: string) => edit(file, "downhill checkpoint", "downhill checkers  "),
      "this is no checkpoint of downhill",
    ],
    ["its description edited", (file: string) => edit(file, '\\"seed\\":5', '\\"seed\\":6'), "the checksum differs"],
  ])("a checkpoint that is %s", async (_, harm, message) => {
    const { path, checkpoint } = await trained();
    harm(checkpoint);
    const store = RunFolder.open(path);
    const resumed = fit({ ...options, epochs: 4, store, resume: true });
    await expect(resumed).rejects.toThrow(message);
    await expect(resumed).rejects.toThrow(checkpoint);
    await expect(resumed).rejects.toThrow("hint: ");
    store.close();
  });

  const flip = (file: string, at: number) => {
    const bytes = readFileSync(file);
    bytes[at]! ^= 4;
    writeFileSync(file, bytes);
  };
  const edit = (file: string, from: string, to: string) => {
    const bytes = readFileSync(file);
    const at = bytes.indexOf(from);
    expect(at).toBeGreaterThan(0);
    bytes.write(to, at);
    writeFileSync(file, bytes);
  };
});

describe("what cannot be written", () => {
  test("a path through a file, and no folder is left", () => {
    const file = fresh("file");
    writeFileSync(file, "");
    expect(() => RunFolder.create(file, description)).toThrow("a part of this path is a file");
    expect(() => RunFolder.create(join(file, "run"), description)).toThrow("a part of this path is a file");
  });

  test.skipIf(process.platform === "win32")("no permission", async () => {
    const path = fresh("locked");
    mkdirSync(path, { mode: 0o500 });
    const { out } = await child(`
      import { RunFolder } from "./train/folder.js";
      if (process.getuid() === 0) process.setuid(65534); // root may write anywhere
      for (const path of [${JSON.stringify(join(path, "run"))}, ${JSON.stringify(path)}]) {
        try { RunFolder.create(path, { seed: 1 }); } catch (error) { console.log(error.name + ": " + error.message); }
      }`);
    expect(out).toContain(`DownhillError: ${join(path, "run")}: no permission to write or read here`);
    expect(out.match(/no permission/g)?.length, out).toBe(2);
    expect(readdirSync(path)).toEqual([]);
  });

  // A limit on the size of files stands for a full disk: the write fails in the middle, and needs no rights to set up.
  test.skipIf(process.platform === "win32")(
    "a write that fails leaves the last good checkpoint, and no half file",
    async () => {
      const path = fresh("full");
      const program = `
      import { RunFolder } from "./train/folder.js";
      import { value } from "./ir/value.js";
      const folder = RunFolder.create(${JSON.stringify(path)}, ${JSON.stringify(description)});
      const checkpoint = (n) => ({ tensors: new Map([["params.w", value([n], new Float32Array(n).fill(n))]]), about: "{}" });
      folder.save(checkpoint(100));
      folder.log({ event: "start" });
      for (const attempt of [() => folder.save(checkpoint(100_000)), () => folder.log({ event: "x".repeat(100_000) })]) {
        try { attempt(); } catch (error) { console.log(error.name + ": " + error.message); }
      }
      console.log([...folder.load().tensors.values()].map(String).join());
      folder.close();`;
      const { out, status } = await child(program, { shell: "trap '' XFSZ; ulimit -f 8;" });
      expect(status, out).toBe(0);
      expect(out).toContain(
        `DownhillError: ${path}/checkpoint.safetensors: the file would be larger than this process may write`,
      );
      expect(out).toContain(`DownhillError: ${path}/journal.jsonl: the file would be larger`);
      expect(out).toContain("f32[100]");
      expect(readdirSync(path).sort()).toEqual(["checkpoint.safetensors", "journal.jsonl", "run.json"]);
      expect(readJournal(path).map((e) => e.event)).toEqual(["start"]);
    },
  );

  const disk = fresh("disk");
  const mounted = () => {
    mkdirSync(disk);
    return spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]).status === 0;
  };
  test.skipIf(process.getuid?.() !== 0 || process.platform !== "linux")("a full disk is called one", (context) => {
    if (!mounted()) context.skip();
    try {
      const path = join(disk, "run");
      const folder = RunFolder.create(path, description);
      const checkpoint = (size: number) => ({
        tensors: new Map([["w", value([size], new Float32Array(size))]]),
        about: "{}",
      });
      folder.save(checkpoint(100));
      expect(() => folder.save(checkpoint(30_000))).toThrow("checkpoint.safetensors: the disk is full");
      expect(folder.load()?.tensors.get("w")).toEqual(value([100], new Float32Array(100)));
      folder.close();
      expect(readdirSync(path).sort()).toEqual(["checkpoint.safetensors", "run.json"]);
      writeFileSync(join(disk, "rest"), new Uint8Array(2 ** 12));
      expect(() => writeFileSync(join(disk, "more"), new Uint8Array(2 ** 16))).toThrow("ENOSPC");
      expect(() => RunFolder.create(join(disk, "second"), description)).toThrow("the disk is full");
      expect(existsSync(join(disk, "second"))).toBe(false);
    } finally {
      spawnSync("umount", [disk]);
    }
  });
});

describe.each(probeCompiler().found ? ["js", "native"] : ["js"])("killed with -9 and resumed, on %s", (backend) => {
  const source = (path: string) => `
    import { existsSync } from "node:fs";
    import { value } from "./ir/value.js";
    import { crossEntropy, dropout, linear, sequential, tanh } from "./nn/index.js";
    import { adam, cosine } from "./optim/index.js";
    import { RunFolder } from "./train/folder.js";
    import { fit, metricsOf } from "./train/index.js";
    const data = (n, phase) => {
      const x = Float32Array.from({ length: 3 * n }, (_, k) => Math.sin(1.7 * (k + phase)));
      const y = Int32Array.from({ length: n }, (_, i) => (x[3 * i] > 0.2 ? 2 : x[3 * i + 2] > 0 ? 1 : 0));
      return { x: value([n, 3], x), y: value([n], y, "i32") };
    };
    const path = ${JSON.stringify(path)};
    const resume = existsSync(path);
    const store = resume ? RunFolder.open(path) : RunFolder.create(path, { seed: 1, configuration: {}, data: {} });
    const lr = cosine({ lr: 0.02, steps: 1400 });
    await fit({
      net: sequential(linear(3, 16), tanh, dropout(0.1), linear(16, 3)), loss: crossEntropy, optimizer: adam(), lr, seed: 1,
      data: { train: data(1003, 0), validation: data(200, 5000) }, metrics: metricsOf("multiclass"),
      batch: 10, epochs: 14, earlyStopping: { patience: 12 }, checkpointEverySeconds: 0, backend: ${JSON.stringify(backend)},
      store, resume, onProgress: ({ step }) => console.log("step " + step),
    });
    store.close();
    console.log("done");`;

  test("gives the bytes of a run that was left alone", async () => {
    const alone = fresh("alone");
    expect((await child(source(alone))).out).toContain("done");
    const path = fresh("killed");
    let kills = 0;
    for (let from = 0; ; ) {
      // Somewhere after the next couple of calls of the program; where in an epoch is the clock's affair.
      let target = from + 150 + 37 * kills;
      const { signal, out } = await child(source(path), {
        heard: (line, kill) => {
          const step = Number(line.slice(5));
          if (line.startsWith("step") && step >= target) {
            target = Infinity;
            from = step;
            kill();
          }
        },
      });
      if (out.includes("done")) break;
      expect(signal, out).toBe("SIGKILL");
      kills++;
    }
    expect(kills).toBeGreaterThan(2);
    const model = (folder: string) => readFileSync(join(folder, "model.safetensors"));
    expect(model(path).equals(model(alone))).toBe(true);
    const entries = (folder: string) =>
      readJournal(folder).flatMap(({ time: _, ...e }) => (e.event === "entry" ? [e] : []));
    expect(entries(path)).toEqual(entries(alone));
  });
});
