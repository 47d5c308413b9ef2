/**
 * npm run bench: how fast training steps are on this machine, as a table or, with --json, as one line per workload and
 * number of threads. Each workload runs in processes of its own, so that memory and first steps are those of a fresh
 * start, on a cache folder of its own, so that the first compilation is one. With --peers other libraries do the same
 * work from the same numbers, in turns with ours.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Limits } from "downhill";
import { type Cold, cold, type End, given, limits, type Times, type Warm, warm } from "./measure.ts";
import { type Options, optionsOf, Usage, usage } from "./options.ts";
import { installed, type Peer } from "./peers.ts";
import { Interrupted, Worker } from "./protocol.ts";
import { save } from "./results.ts";
import { head, legend, type PeerRow, peerOf, type Row, rowOf, verdictLines } from "./table.ts";
import { verdicts } from "./targets.ts";
import type { Workload } from "./workload.ts";
import { workloads } from "./workloads.ts";

const [first, ...rest] = process.argv.slice(2);
process.exitCode = first === "measure" ? await measure(rest) : await bench(process.argv.slice(2));

async function bench(words: readonly string[]): Promise<number> {
  let folder: string | undefined;
  process.once("SIGINT", () => {}); // the children get it too and end; this process cleans up first
  try {
    const options = optionsOf(words);
    if (options.help) {
      console.log(usage);
      return 0;
    }
    folder = mkdtempSync(join(tmpdir(), "downhill-bench-"));
    await all(options, folder);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return error instanceof Usage ? 2 : 1;
  } finally {
    if (folder) rmSync(folder, { recursive: true, force: true });
  }
}

async function all(options: Options, folder: string): Promise<void> {
  const say = options.json ? () => {} : (line: string) => console.log(line);
  const { peers, missing } = options.peers ? installed() : { peers: [], missing: [] };
  for (const line of missing) say(`not compared: ${line}`);
  const ceilings: Limits[] = [];
  for (const threads of options.threads) {
    const found = await phase<Limits | null>("limits", undefined, threads, options, folder);
    if (found) ceilings.push(found);
  }
  say(head);
  const rows: Row[] = [];
  let about = "";
  for (const workload of options.chosen) {
    const numbers = join(folder, workload.name);
    const compared = peers.filter((peer) => peer.takes(workload.name));
    const check = compared.length > 0 ? await numbersFor(workload, numbers, options, folder) : [];
    for (const threads of options.threads) {
      const load = loadavg()[0]!;
      const before = await phase<Cold>("cold", workload, threads, options, folder, `${threads}`);
      const found = await rounds(workload, threads, options, folder, { compared, numbers, check, say });
      if (found.ours.backend === "native" && (before.cached || !found.ours.cached)) {
        throw new Error(`${workload.name}: the cache was not as expected`);
      }
      about = found.ours.about;
      const ceiling = ceilings.find((l) => l.threads === threads);
      const row = rowFrom(workload, threads, load, before, found, ceiling);
      rows.push(row);
      if (options.json) console.log(JSON.stringify(row));
      else for (const line of [rowOf(row), ...(row.peers ?? []).map((peer) => peerOf(peer, row))]) say(line);
    }
    rmSync(numbers, { recursive: true, force: true });
  }
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const machine = `${model}, ${availableParallelism()} CPUs, ${process.platform} ${release()}, Node ${process.versions.node}, ${about}`;
  const judged = verdicts(rows);
  const text = [legend(machine, loadavg()[0]!, ceilings), "", verdictLines(judged)].join("\n");
  say(text);
  if (options.save) say(`\nkept: ${save({ model, machine, limits: ceilings, rows, verdicts: judged }).join(", ")}`);
}

type Found = { readonly ours: Warm & Times & End; readonly peers: readonly PeerRow[] };
type Comparison = {
  readonly compared: readonly Peer[];
  readonly numbers: string;
  readonly check: readonly number[];
  readonly say: (line: string) => void;
};

/** Ours and the peers, ready at the same time, then in turns. */
async function rounds(
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

function rowFrom(
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
async function numbersFor(workload: Workload, numbers: string, options: Options, folder: string): Promise<number[]> {
  mkdirSync(numbers);
  return phase("given", workload, 1, options, folder, numbers);
}

async function phase<T>(
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

/** Each number of threads compiles for itself: `cold` must find nothing. */
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
  const env = { ...process.env, DOWNHILL_CACHE: join(folder, "cache"), DOWNHILL_THREADS: `${threads}` };
  const command = [process.execPath, ...flags, fileURLToPath(import.meta.url), ...words] as const;
  return new Worker(`${workload?.name ?? name}`, [...command], env);
}

/** The other side of `start`. */
async function measure([name, of, backend, threads, more, spawned]: string[]): Promise<number> {
  const on = backend as Options["backend"];
  const workload = workloads.find((w) => w.name === of)!;
  if (name === "warm") await warm(workload, on, Number(spawned));
  else {
    const answer =
      name === "limits"
        ? limits(on, Number(threads))
        : name === "cold"
          ? cold(workload, on)
          : given(workload, on, more!);
    console.log(JSON.stringify({ bench: "answer", answer: await answer }));
  }
  return 0;
}
