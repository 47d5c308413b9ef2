/** Event files: the bytes of TensorBoard's own writer, and records that are whole. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { crc32, crc32c } from "../../src/interop/crc.ts";
import { EventFile } from "../../src/interop/event-file.ts";
import {
  entrySummary,
  journalSummaries,
  progressSummary,
  type Summary,
  summaryRecord,
  toTensorBoard,
} from "../../src/interop/index.ts";
import { DownhillError } from "../../src/ir/fail.ts";
import type { Entry, Progress } from "../../src/train/index.ts";

const golden = JSON.parse(readFileSync(new URL("../golden/interop/events.json", import.meta.url), "utf8")) as {
  summaries: Summary[];
  file: string;
};

test("checksums: RFC 3720, B.4, and the check value of CRC-32", () => {
  const bytes = (f: (k: number) => number) => Uint8Array.from({ length: 32 }, (_, k) => f(k));
  expect(crc32c(bytes(() => 0))).toBe(0x8a9136aa);
  expect(crc32c(bytes(() => 0xff))).toBe(0x62a8ab43);
  expect(crc32c(bytes((k) => k))).toBe(0x46dd794e);
  expect(crc32c(bytes((k) => 31 - k))).toBe(0x113fdb5c);
  const iscsiRead =
    "01c00000000000000000000000000000140000000000040000000014000000182800000000000000020000000000000000";
  expect(crc32c(Buffer.from(iscsiRead.slice(0, 96), "hex"))).toBe(0xd9963a56);
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32c(new TextEncoder().encode("123456789"))).toBe(0xe3069283);
});

test("a file is the one that TensorBoard's writer makes, byte for byte", () => {
  expect(Buffer.from(toTensorBoard(golden.summaries)).toString("base64")).toBe(golden.file);
});

const entries: Entry[] = [
  { epoch: 0, step: 0, trainLoss: 0, gradientNorm: 0, lr: 0 },
  { epoch: 1, step: 10, trainLoss: 0.5, gradientNorm: 2, lr: 0.1, validationLoss: 0.75, metrics: { accuracy: 0.5 } },
  { epoch: 2, step: 20, trainLoss: Infinity, gradientNorm: NaN, lr: 1e39, validationLoss: -Infinity },
];

test("zeros, infinities and NaN: what scripts/golden/read-ours.py saw TensorBoard read", async () => {
  const summaries: Summary[] = [
    ...entries.map((entry, k) => entrySummary(entry, 1700000000 + k)),
    {
      step: 30,
      wallTime: 1700000009,
      histograms: { zeros: [0, 0], none: [], w: Float32Array.of(0, -1, 3), huge: [-1.7e308, 0, 1.7e308] },
    },
    { step: 31, wallTime: 1700000010 },
  ];
  const text = Buffer.from(toTensorBoard(summaries)).toString("base64");
  await expect(text).toMatchFileSnapshot("../golden/interop/ours-events.base64");
  expect(toTensorBoard([]).length).toBe(16 + 9 + 15); // time and version alone
});

describe("what a training gives", () => {
  test("an entry of the history is a chart for each number it has", () => {
    expect(entrySummary(entries[1]!, 5)).toEqual({
      step: 10,
      wallTime: 5,
      scalars: {
        "loss/train": 0.5,
        "loss/validation": 0.75,
        "metrics/accuracy": 0.5,
        gradient_norm: 2,
        lr: 0.1,
        epoch: 1,
      },
    });
    expect(Object.keys(entrySummary(entries[0]!, 5).scalars!)).toEqual(["loss/train", "gradient_norm", "lr", "epoch"]);
  });

  test("progress is the mean loss of the steps since the last time", () => {
    const progress: Progress = {
      ...{ epoch: 0, epochs: 1, step: 7, steps: 9, lr: 0.1, seconds: 1, stepsPerSecond: 50 },
      losses: Float32Array.of(1, 2, 6),
    };
    expect(progressSummary(progress, 3)).toEqual({
      step: 7,
      wallTime: 3,
      scalars: { steps_per_second: 50, "loss/steps": 3 },
    });
    expect(progressSummary({ ...progress, losses: [] }, 3).scalars).toEqual({ steps_per_second: 50 });
  });

  test("a journal is its entries, with their times; its nulls are numbers that JSON has not", () => {
    const journal = [
      { event: "start", step: 0, time: 1 },
      ...entries.map((entry, k) => JSON.parse(JSON.stringify({ event: "entry", ...entry, time: 1500 * (k + 1) }))),
      { event: "stop", step: 20, time: 9 },
    ];
    const summaries = journalSummaries(journal);
    expect(summaries.slice(0, 2)).toEqual([entrySummary(entries[0]!, 1.5), entrySummary(entries[1]!, 3)]);
    expect(summaries[2]!.scalars!["loss/train"]).toBeNaN();
    expect(() => journalSummaries([{ event: "entry", step: 3 }])).toThrow("the journal's entry of step 3 has no time");
  });
});

test("what is no number of steps, no time and no distribution is refused", () => {
  const error = (summary: Summary) => expect(() => summaryRecord(summary));
  for (const step of [-1, 0.5, NaN, 2 ** 53])
    error({ step, wallTime: 0 }).toThrow(`a step is a whole number from 0 on, got ${step}`);
  for (const wallTime of [NaN, Infinity]) error({ step: 0, wallTime }).toThrow("a time is in seconds since 1970");
  error({ step: 0, wallTime: 0, histograms: { w: [0, NaN] } }).toThrow('the histogram "w" holds NaN at element 1');
});

describe("on disk", () => {
  const folder = mkdtempSync(join(tmpdir(), "downhill-events-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("records are appended as they come", () => {
    const run = join(folder, "runs/a");
    const [first, ...rest] = golden.summaries;
    const events = new EventFile(run, first!.wallTime);
    for (const summary of [first!, ...rest]) events.log(summary);
    expect(readFileSync(events.path).toString("base64")).toBe(golden.file);
    new EventFile(run, first!.wallTime); // of the same second
    const names = readdirSync(run);
    expect(names).toHaveLength(2);
    for (const name of names) expect(name).toMatch(/^events\.out\.tfevents\.1700000000\./);
  });

  test("a folder that cannot be made says so", () => {
    const file = new EventFile(folder).path;
    expect(() => new EventFile(file)).toThrow(DownhillError);
  });
});
