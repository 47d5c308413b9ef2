/** --tensorboard of every kind of data: what is in the charts, a run that goes on in them, and what cannot be written. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { encode } from "fast-png";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { EventFile } from "../../src/interop/event-file.ts";
import { fail } from "../../src/ir/fail.ts";
import { downhill, flowers, type Said, workplace } from "./terminal.ts";

const { file } = workplace();
const table = ["train", "flowers.csv", "-t", "kind", "--backend", "js", "--hidden", "4", "--epochs", "5"];
const text = [
  "train",
  "hills.txt",
  "--backend",
  "js",
  "--context",
  "8",
  "--layers",
  "1",
  "--heads",
  "2",
  "--width",
  "8",
];
const texts = [...text, "--batch", "4", "--steps", "16"];

beforeAll(() => {
  file("flowers.csv", flowers(800));
  file("hills.txt", "the hills go down, and down again.\n".repeat(12));
});

type Read = { readonly step: number; readonly tags: ReadonlyMap<string, number> };

/** Every field of a message, by its number; the visitor says whether it has read it. */
function fields(bytes: Uint8Array, visit: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (!visit(field, reader)) reader.skip(wire);
  }
}

/** The scalars of an event file, by the field numbers of event.proto and summary.proto. */
function read(path: string): Read[] {
  const bytes = new Uint8Array(readFileSync(path));
  const events: Read[] = [];
  for (let at = 0; at < bytes.length; ) {
    const n = Number(new DataView(bytes.buffer, at).getBigUint64(0, true));
    let step = 0;
    const tags = new Map<string, number>();
    fields(bytes.subarray(at + 12, at + 12 + n), (field, event) => {
      if (field === 2) step = Number(event.int64());
      else if (field === 5) {
        fields(event.bytes(), (_, summary) => {
          let tag = "";
          fields(summary.bytes(), (part, value) => {
            if (part === 1) tag = value.string();
            else tags.set(tag, value.float());
            return true;
          });
          return true;
        });
      }
      return field === 2 || field === 5;
    });
    events.push({ step, tags });
    at += 12 + n + 4;
  }
  return events;
}

const filesIn = (folder: string): string[] => readdirSync(folder).map((name) => join(folder, name));
const all = (folder: string): Read[] => filesIn(folder).flatMap(read);
const series = (events: readonly Read[], tag: string) =>
  events.flatMap(({ step, tags }) => (tags.has(tag) ? [[step, tags.get(tag)!] as const] : []));
const entries = (run: string): any[] =>
  readFileSync(join(run, "journal.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === "entry");
const near = (x: number) => Math.fround(x);

/** The signal of somebody who interrupts as soon as there is something to see in the charts. */
function whenDrawn(folder: string): AbortSignal {
  const { signal } = new AbortController();
  const aborted = () => existsSync(folder) && filesIn(folder).some((path) => statSync(path).size > 100);
  return Object.defineProperty(signal, "aborted", { get: aborted });
}

describe("charts", () => {
  test("of a table: what the journal has, as it goes on", async () => {
    const { code, out, err } = await downhill([...table, "--out", "first", "--tensorboard", "board/a b"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("  charts    tensorboard --logdir 'board/a b'\n");
    const [path, ...others] = filesIn("board/a b");
    expect(others).toEqual([]);
    expect(path).toMatch(/events\.out\.tfevents\.\d+\./);
    const events = read(path!);
    const kept = entries("first");
    expect(kept).toHaveLength(5);
    const of = (get: (entry: any) => number) => kept.map((entry) => [entry.step, near(get(entry))]);
    expect(series(events, "loss/train")).toEqual(of((e) => e.trainLoss));
    expect(series(events, "loss/validation")).toEqual(of((e) => e.validationLoss));
    expect(series(events, "metrics/accuracy")).toEqual(of((e) => e.metrics.accuracy));
    expect(series(events, "lr")).toEqual(of((e) => e.lr));
    expect(series(events, "loss/steps").at(-1)![0]).toBe(kept.at(-1).step);
  });

  test("of images", async () => {
    for (const kind of ["dawn", "dusk"]) {
      mkdirSync(`sky/${kind}`, { recursive: true });
      const level = (i: number, k: number) => (i < 32 === (kind === "dawn") ? 200 : 30) + ((i * 13 + k * 7) % 25);
      for (let k = 0; k < 20; k++) {
        const data = Uint8Array.from({ length: 64 }, (_, i) => level(i, k));
        file(`sky/${kind}/${k}.png`, encode({ width: 8, height: 8, channels: 1, data }));
      }
    }
    // 32 to train on: a last batch of one image, whose maps batch normalisation sees at 2 × 2 at least
    const net = ["--hidden", "2,2,2", "--batch", "31", "--epochs", "2", "--backend", "js"];
    const { code, err } = await downhill(["train", "sky", ...net, "--out", "images", "--tensorboard", "images/board"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(series(all("images/board"), "loss/train").map(([step]) => step)).toEqual([2, 4]);
  });

  test("of a text that is interrupted: resumed, the steps go on in a file of their own", async () => {
    const stopped = await downhill([...texts, "--out", "hills", "--tensorboard", "hills/board"], {
      signal: whenDrawn("hills/board"),
    });
    expect(stopped.code).toBe(130);
    const before = all("hills/board").at(-1)!.step;
    expect(before).toBeLessThan(16);
    const { code, err } = await downhill(["train", "--resume", "hills", "--tensorboard", "hills/board"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(filesIn("hills/board")).toHaveLength(2);
    const [first, second] = filesIn("hills/board").map(read) as [Read[], Read[]];
    const steps = (events: Read[]) => events.slice(1).map(({ step }) => step);
    expect(Math.min(...steps(second))).toBeGreaterThan(Math.max(...steps(first)) - 1);
    const drawn = series([...first, ...second], "loss/validation");
    expect(drawn).toEqual(entries("hills").map((e) => [e.step, near(e.validationLoss)]));
    expect(drawn.at(-1)![0]).toBe(16);
  });
});

describe("where nothing can be written", () => {
  const refused = ({ code, err }: Said, message: RegExp) => {
    expect(err).toMatch(message);
    expect(code).toBe(2);
  };

  test("a folder that cannot be is refused before the run is made", async () => {
    refused(await downhill([...table, "--out", "none", "--tensorboard", "flowers.csv"]), /flowers\.csv/);
    refused(await downhill([...table, "--out", "none", "--tensorboard", "flowers.csv/x"]), /flowers\.csv/);
    expect(existsSync("none")).toBe(false);
  });

  test("a training that could not begin leaves no charts", async () => {
    const argv = [...table, "--out", "unborn", "--tensorboard", "empty/charts"];
    const { code, err } = await downhill(argv, { signal: AbortSignal.abort() });
    expect({ code, err }).toMatchObject({ code: 130 });
    expect(existsSync("empty")).toBe(false);
    rmSync("unborn", { recursive: true });
  });

  test("a disk that is full ends the charts, and not the training", async () => {
    const write = EventFile.prototype.log;
    let room = 3;
    const log = vi.spyOn(EventFile.prototype, "log").mockImplementation(function (this: EventFile, summary) {
      if (room-- <= 0) fail(`${this.path}: there is no space left on the disk`);
      write.call(this, summary);
    });
    const { code, err } = await downhill([...table, "--out", "full", "--tensorboard", "broken"]);
    expect(code).toBe(0);
    log.mockRestore();
    expect(err).toMatch(/^! The charts end early\. broken.*: there is no space left on the disk$/m);
    expect(all("broken")).toHaveLength(1 + 3);
    expect(entries("full")).toHaveLength(5);
  });
});
