/** Processes that measure, ours and the peers': started, compared in what they compute, and asked in turns. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Limits } from "downhill";
import type { Cold, End, Times, Warm } from "./measure.ts";
import type { Options } from "./options.ts";
import type { Peer } from "./peers.ts";
import { Interrupted, Worker } from "./protocol.ts";
import type { PeerRow, Row } from "./table.ts";
import type { Workload } from "./workload.ts";

type Found = { readonly ours: Warm & Times & End; readonly peers: readonly PeerRow[] };
type Comparison = {
  readonly compared: readonly Peer[];
  readonly numbers: string;
  readonly check: readonly number[];
  readonly say: (line: string) => void;
};

/** Ours and the peers, ready at the same time, then in turns. */
export async function rounds(
  workload: Workload,
  threads: number,
  options: Options,
  folder: string,
  { compared, numbers, check, say }: Comparison,
): Promise<Found> {
  const workers: Worker[] = [];
  try {
    const ours = start("warm", workload, threads, options, folder, `${threads}`);
    workers.push(ours);
    const ready = await ours.answer<Warm>();
    const others: { peer: Peer; worker: Worker; about: string; apart: number; us: number[] }[] = [];
    for (const peer of compared) {
      const worker = new Worker(`${peer.name}, ${workload.name}`, peer.command(numbers, threads), peer.env(threads));
      workers.push(worker);
      try {
        const { about, check: theirs } = await worker.answer<{ about: string; check: number[] }>();
        const apart = differ(check, theirs);
        if (!(apart <= workload.checked.within)) {
          say(`  ${peer.name} computes something else: ${theirs.slice(0, 4)} …, ours ${check.slice(0, 4)} …`);
          worker.kill();
        } else others.push({ peer, worker, about, apart, us: [] });
      } catch (problem) {
        if (problem instanceof Interrupted) throw problem;
        say(`  ${(problem as Error).message.split("\n").at(-1)} (${peer.name})`);
      }
    }
    const budget = options.quick ? 400 : 4000; // ms
    const turns = others.length === 0 ? 1 : options.quick ? 2 : 5;
    const ask = { ms: budget / turns, least: options.quick ? 2 : Math.ceil(7 / turns) };
    const us: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      us.push(...(await ours.ask<Times>(ask)).us);
      for (const other of others) other.us.push(...(await other.worker.ask<Times>(ask)).us);
    }
    const end = await ours.ask<End>({ end: true });
    const rows: PeerRow[] = [];
    for (const { peer, worker, about, apart, us } of others) {
      const { peakRssMb } = await worker.ask<End>({ end: true });
      rows.push({ peer: peer.name, about, ...middle(us), peakRssMb: round(peakRssMb), apart: round(apart) });
    }
    return { ours: { ...ready, ...end, us }, peers: rows };
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** The largest |a − b| / max(1, |a|) of the two lists; infinite where one is longer. */
function differ(ours: readonly number[], theirs: readonly number[]): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY;
  return Math.max(...ours.map((a, k) => Math.abs(a - theirs[k]!) / Math.max(1, Math.abs(a))));
}

const round = (x: number, digits = 4): number => +x.toPrecision(digits);

function middle(us: readonly number[]) {
  const sorted = [...us].sort((a, b) => a - b);
  return {
    medianUsPerStep: round(sorted[sorted.length >> 1]!),
    minUsPerStep: round(sorted[0]!),
    repetitions: sorted.length,
  };
}

export function rowFrom(
  { name, bytes, flops }: Workload,
  threads: number,
  load: number,
  before: Cold,
  { ours, peers }: Found,
  limits: Limits | undefined,
): Row {
  const times = middle(ours.us);
  const seconds = times.minUsPerStep * 1e-6;
  const [work, most] = bytes ? [bytes, limits?.memory] : [flops, limits?.flops];
  return {
    workload: name,
    backend: ours.backend,
    threads,
    ...times,
    ...(bytes
      ? { gbPerSecond: round(bytes / seconds / 1e9, 3) }
      : flops && { gflops: round(flops / seconds / 1e9, 3) }),
    ...(work && most && { percentOfLimit: round((100 * work) / seconds / most, 3) }),
    compileColdMs: round(before.compileMs),
    compileCachedMs: round(ours.compileMs),
    startMs: round(ours.startMs),
    peakRssMb: round(ours.peakRssMb),
    predictedMb: round(ours.predictedMb),
    usedMb: round(ours.usedMb),
    load,
    ...(peers.length > 0 && { peers }),
  };
}

// ---- processes of our own ----------------------------------------------------------------------------------------------

/** What peers need of a workload, in a folder of its own. → what ours results in */
export async function numbersFor(
  workload: Workload,
  numbers: string,
  options: Options,
  folder: string,
): Promise<number[]> {
  mkdirSync(numbers);
  return phase("given", workload, 1, options, folder, numbers);
}

export async function phase<T>(
  name: string,
  workload: Workload | undefined,
  threads: number,
  options: Options,
  folder: string,
  more = "",
): Promise<T> {
  const worker = start(name, workload, threads, options, folder, more);
  return (await worker.answer<{ answer: T }>()).answer;
}

const main = fileURLToPath(new URL(import.meta.url.replace(/turns(?=\.\w+$)/, "main")));

function start(
  name: string,
  workload: Workload | undefined,
  threads: number,
  { backend }: Options,
  folder: string,
  more: string,
): Worker {
  const spawned = performance.timeOrigin + performance.now();
  const words = ["measure", name, workload?.name ?? "", backend, `${threads}`, more, `${spawned}`];
  const flags = ["--enable-source-maps", "--expose-gc"];
  const env = {
    ...process.env,
    DOWNHILL_CACHE: join(folder, name === "given" ? "cache-given" : "cache"),
    DOWNHILL_THREADS: `${threads}`,
  };
  const command = [process.execPath, ...flags, main, ...words] as const;
  return new Worker(`${workload?.name ?? name}`, [...command], env);
}
