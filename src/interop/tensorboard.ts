/**
 * TensorBoard's event files: a sequence of records, each an `Event` message of protobuf in a frame with checksums.
 *
 *   u64 n │ masked CRC-32C of these 8 bytes │ n bytes │ masked CRC-32C of them
 *
 * A file is one record that names the version and then any number of others, so records are appended as they come.
 * Source: tensorflow/core/lib/io/record_writer.cc, tensorboard/compat/proto/{event,summary,histogram}.proto; numbers of
 * fields below are from there.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { fail, shown } from "../ir/fail.ts";
import type { Entry, Event, Progress } from "../train/index.ts";
import { crc32c } from "./crc.ts";
import { requireObject } from "./given.ts";

/** What was measured at one step. A tag such as "loss/train" is a chart, and what is before the slash its group. */
export type Summary = {
  /** Updates done. */
  readonly step: number;
  /** Seconds since 1970. */
  readonly wallTime: number;
  readonly scalars?: Readonly<Record<string, number>>;
  /** Numbers whose distribution is shown, such as the entries of a weight. */
  readonly histograms?: Readonly<Record<string, ArrayLike<number>>>;
};

/**
 * An event file, whole: to be written as `events.out.tfevents.SOMETHING`, alone in a folder, which is what
 * `tensorboard --logdir` shows as a run. The same summaries give the same bytes.
 *
 *   toTensorBoard(journalSummaries(readJournal("runs/a")))
 *
 * Throws at steps that are not whole, times that are not finite, and histograms that hold NaN or infinities.
 */
export function toTensorBoard(summaries: Iterable<Summary>): Uint8Array<ArrayBuffer> {
  const list = [
    ...iterable("toTensorBoard", summaries, "toTensorBoard([{ step: 1, wallTime: 0, scalars: { loss: 0.5 } }])"),
  ];
  const records = [startRecord(list[0]?.wallTime ?? 0), ...list.map(summaryRecord)];
  const out = new Uint8Array(records.reduce((n, record) => n + record.length, 0));
  let at = 0;
  for (const record of records) {
    out.set(record, at);
    at += record.length;
  }
  return out;
}

/** The first record of a file. `wallTime` in seconds since 1970. */
export const startRecord = (wallTime: number): Uint8Array<ArrayBuffer> =>
  framed(event(wallTime).tag(3, WireType.LengthDelimited).string("brain.Event:2").finish());

/** A record to append. Throws as `toTensorBoard`. */
export function summaryRecord(summary: Summary): Uint8Array<ArrayBuffer> {
  const hint = "{ step: 1, wallTime: Date.now() / 1000, scalars: { loss: 0.5 } }";
  requireObject("TensorBoard: a summary", summary, hint);
  const { step, wallTime, scalars = {}, histograms = {} } = summary;
  requireObject("TensorBoard: scalars", scalars, hint);
  requireObject("TensorBoard: histograms", histograms, "{ histograms: { weight: params.weight.data } }");
  if (!(Number.isSafeInteger(step) && step >= 0))
    fail(`TensorBoard: a step is a whole number from 0 on, got ${shown(step)}`);
  const writer = event(wallTime).tag(2, WireType.Varint).int64(step);
  writer.tag(5, WireType.LengthDelimited).fork(); // summary
  for (const [tag, x] of Object.entries(scalars)) {
    named(writer, tag).tag(2, WireType.Bit32).raw(float(x)); // simple_value
    writer.join();
  }
  for (const [tag, numbers] of Object.entries(histograms)) {
    named(writer, tag).tag(5, WireType.LengthDelimited).fork(); // histo
    histogram(writer, tag, numbers);
    writer.join().join();
  }
  return framed(writer.join().finish());
}

/**
 * An entry of `fit`'s history as charts: loss/train, loss/validation, gradient_norm, lr, epoch, and a chart
 * metrics/NAME for each metric. `wallTime` in seconds since 1970.
 */
export function entrySummary(entry: Entry, wallTime: number): Summary {
  requireObject(
    "entrySummary",
    entry,
    "fit({ …, onEntry: (entry) => events.log(entrySummary(entry, Date.now() / 1000)) })",
  );
  const { epoch, step, trainLoss, validationLoss, gradientNorm, lr, metrics = {} } = entry;
  const measured = Object.entries(metrics).map(([name, x]) => [`metrics/${name}`, x] as const);
  return {
    step,
    wallTime,
    scalars: {
      "loss/train": trainLoss,
      ...(validationLoss !== undefined && { "loss/validation": validationLoss }),
      ...Object.fromEntries(measured),
      gradient_norm: gradientNorm,
      lr,
      epoch,
    },
  };
}

/**
 * What `fit`'s onProgress is told, about ten times a second: loss/steps, the mean of the losses since the last call, and
 * steps_per_second. `wallTime` in seconds since 1970.
 */
export function progressSummary(progress: Progress, wallTime: number): Summary {
  const call = "fit({ …, onProgress: (progress) => events.log(progressSummary(progress, Date.now() / 1000)) })";
  requireObject("progressSummary", progress, call);
  const { step, losses, stepsPerSecond } = progress;
  iterable("progressSummary: losses", losses, call);
  const mean = Array.from(losses).reduce((sum, x) => sum + x, 0) / losses.length;
  const scalars = { steps_per_second: stepsPerSecond, ...(losses.length > 0 && { "loss/steps": mean }) };
  return { step, wallTime, scalars };
}

/** The entries of a run's journal, as `readJournal` of `downhill/train/folder` gives it, with the times they were made. */
export function journalSummaries(events: Iterable<Event>): Summary[] {
  const call = 'journalSummaries(readJournal("runs/a"))';
  const list = [...iterable("journalSummaries", events, call)];
  for (const event of list) requireObject("journalSummaries: an event", event, call);
  return list
    .filter(({ event }) => event === "entry")
    .map((event) => {
      // JSON has no NaN or infinity, and the journal null in their place
      const numbers = JSON.parse(JSON.stringify(event), (_, x: unknown) => (x === null ? NaN : x)) as Entry & Event;
      if (typeof numbers.time !== "number")
        fail(`TensorBoard: the journal's entry of step ${numbers.step} has no time`);
      return entrySummary(numbers, (numbers.time as number) / 1000);
    });
}

function iterable<T>(what: string, list: T, hint: string): T {
  if (typeof list === "object" && list !== null && Symbol.iterator in list) return list;
  return fail(`${what}: expected a list, got ${shown(list)}`, hint);
}

/** The beginning of an Event: its time. */
function event(wallTime: number): BinaryWriter {
  if (!Number.isFinite(wallTime)) fail(`TensorBoard: a time is in seconds since 1970, got ${shown(wallTime)}`);
  return new BinaryWriter().tag(1, WireType.Bit64).double(wallTime);
}

/** The beginning of a Summary.Value, to be joined: its tag. */
const named = (writer: BinaryWriter, tag: string): BinaryWriter =>
  writer.tag(1, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).string(tag);

/** An f32; the writer's own refuses what rounds to infinity. */
const float = (x: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, x, true);
  return bytes;
};

/** As many as TensorFlow's own summaries have. */
const bucketCount = 30;

/** HistogramProto: moments, and the counts in buckets of one width from the least to the largest number. */
function histogram(writer: BinaryWriter, tag: string, numbers: ArrayLike<number>): void {
  let [min, max, sum, squares] = [Infinity, -Infinity, 0, 0];
  for (let k = 0; k < numbers.length; k++) {
    const x = numbers[k]!;
    if (!Number.isFinite(x)) fail(`TensorBoard: the histogram "${tag}" holds ${x} at element ${k}`);
    min = Math.min(min, x);
    max = Math.max(max, x);
    sum += x;
    squares += x * x;
  }
  if (numbers.length === 0) [min, max] = [0, 0];
  const n = min < max ? bucketCount : 1;
  const range = max / 2 - min / 2; // halves: the largest numbers have no difference
  const edge = (k: number) => (k === n ? max : 2 * (min / 2 + k * (range / n)));
  const limits = Float64Array.from({ length: n }, (_, k) => edge(k + 1));
  const counts = new Float64Array(n);
  for (let k = 0; k < numbers.length; k++) {
    const x = numbers[k]!;
    let at = range > 0 ? Math.min(n - 1, Math.floor(n * ((x / 2 - min / 2) / range))) : 0;
    if (at > 0 && x < edge(at)) at--; // rounded to the wrong side of an edge
    if (at < n - 1 && x >= edge(at + 1)) at++;
    counts[at]!++;
  }
  for (const [field, x] of [min, max, numbers.length, sum, squares].entries()) {
    writer.tag(field + 1, WireType.Bit64).double(x);
  }
  for (const [field, list] of [
    [6, limits],
    [7, counts],
  ] as const) {
    writer.tag(field, WireType.LengthDelimited).fork();
    for (const x of list) writer.double(x);
    writer.join();
  }
}

/** A record around a message. */
function framed(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(8 + 4 + message.length + 4);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, BigInt(message.length), true);
  view.setUint32(8, masked(crc32c(out.subarray(0, 8))), true);
  out.set(message, 12);
  view.setUint32(12 + message.length, masked(crc32c(message)), true);
  return out;
}

/** A sum that may stand among the bytes it sums: tensorflow/core/lib/hash/crc32c.h, Mask. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
