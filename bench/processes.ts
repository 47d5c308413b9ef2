/** Processes of our own that measure: each a fresh start, all on one cache folder that was empty when the bench began. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Limits } from "downhill";
import type { Cold, Warm } from "./measure.ts";
import type { Options } from "./options.ts";
import { Worker } from "./protocol.ts";
import { middle } from "./rates.ts";
import type { Workload } from "./workload.ts";

const main = fileURLToPath(new URL(import.meta.url.replace(/processes(?=\.\w+$)/, "main")));

/** `name` is one of those of measure.ts. */
export function start(
  name: string,
  workload: Workload | undefined,
  threads: number,
  { backend }: Options,
  folder: string,
  more = "",
): Worker {
  const spawned = performance.timeOrigin + performance.now();
  const words = ["measure", name, workload?.name ?? "", backend, `${threads}`, more, `${spawned}`];
  const flags = ["--expose-gc"]; // no source maps: Node reads all of them at the start
  // Node 20 reads these certificates at each start, for 50 ms, whether anything is asked of a network or not.
  const { NODE_EXTRA_CA_CERTS: _, ...own } = process.env;
  const env = {
    ...own,
    DOWNHILL_CACHE: join(folder, name === "given" ? "cache-given" : "cache"),
    DOWNHILL_THREADS: `${threads}`,
  };
  return new Worker(workload?.name ?? name, [process.execPath, ...flags, main, ...words], env);
}

/** One that answers once. */
export async function phase<T>(...of: Parameters<typeof start>): Promise<T> {
  return (await start(...of).answer<{ answer: T }>()).answer;
}

const starts = ({ quick }: Options) => (quick ? 1 : 3);

/** The first compilation: the middle one of some, each on a cache that never saw the program. */
export async function firstCompiled(workload: Workload, threads: number, options: Options, folder: string) {
  const found: Cold[] = [];
  while (found.length < starts(options) - 1) {
    const own = mkdtempSync(join(folder, "cold-"));
    if (existsSync(join(folder, "cache"))) cpSync(join(folder, "cache"), join(own, "cache"), { recursive: true });
    found.push(await phase<Cold>("cold", workload, threads, options, own));
    rmSync(own, { recursive: true });
  }
  found.push(await phase<Cold>("cold", workload, threads, options, folder)); // whose program all that follow find
  return { compileMs: middle(found.map((f) => f.compileMs)), cached: found.some((f) => f.cached) };
}

/** A process that is ready to take steps, and how long that took: the middle one of some. */
export async function started(workload: Workload, threads: number, options: Options, folder: string) {
  const one = () => start("warm", workload, threads, options, folder);
  let worker = one();
  const found = [await worker.answer<Warm>()];
  while (found.length < starts(options)) {
    worker.kill();
    worker = one();
    found.push(await worker.answer<Warm>());
  }
  const of = (pick: (ready: Warm) => number) => middle(found.map(pick));
  return { worker, ready: { ...found.at(-1)!, compileMs: of((r) => r.compileMs), startMs: of((r) => r.startMs) } };
}

/** What peers need of a workload, in a folder of its own. → what ours results in */
export async function numbersFor(workload: Workload, numbers: string, options: Options, folder: string) {
  mkdirSync(numbers);
  return phase<number[]>("given", workload, 1, options, folder, numbers);
}

/** The least, the middle and the most of what was seen. */
export type Range = readonly [least: number, middle: number, most: number];
export type Ceiling = { readonly threads: number } & Readonly<Record<"flops" | "memory" | "cache", Range>>;

/** The machine's limits, sampled beside whatever is held against them: a machine that is shared has them by the minute. */
export class Ceilings {
  readonly threads: number;
  private readonly worker: Worker;
  private readonly samples: Limits[] = [];

  private constructor(threads: number, worker: Worker) {
    this.threads = threads;
    this.worker = worker;
  }

  /** Nothing where the backend knows no limits. Also makes what is compiled once per machine and counts for nobody. */
  static async start(threads: number, options: Options, folder: string): Promise<Ceilings | undefined> {
    const worker = start("limits", undefined, threads, options, folder);
    const { known } = await worker.answer<{ known: boolean }>();
    if (known) return new Ceilings(threads, worker);
    worker.kill();
    return undefined;
  }

  async sample(): Promise<Limits> {
    const sample = await this.worker.ask<Limits>({ ms: 0, least: 1 });
    this.samples.push(sample);
    return sample;
  }

  /** All that was seen so far. */
  seen(): Ceiling {
    const range = (of: (sample: Limits) => number): Range => {
      const all = this.samples.map(of);
      return [Math.min(...all), middle(all), Math.max(...all)];
    };
    const { threads } = this;
    return { threads, flops: range((s) => s.flops), memory: range((s) => s.memory), cache: range((s) => s.cache) };
  }

  end(): void {
    this.worker.kill();
  }
}
