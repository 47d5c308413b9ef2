/**
 * What a process of its own measures of one workload. Three of them share a cache folder that was empty at first:
 *
 *   prepare   makes the native binding, which is compiled once per machine and counts for no workload
 *   cold      compiles the workload's program for the first time
 *   warm      finds that program in the cache, takes a first step, and then many
 */
import { loadavg } from "node:os";
import { Run, scalar } from "downhill";
import type { Workload } from "./workloads.ts";

export type Phase = "prepare" | "cold" | "warm";

export type Cold = { readonly compileMs: number; readonly cached: boolean };
export type Warm = Cold & {
  readonly backend: string;
  /** Compiler and CPU. */
  readonly about: string;
  readonly firstStepMs: number;
  readonly medianUsPerStep: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  readonly peakRssMb: number;
  /** Processes that wanted to run during the last minute, before this one began. */
  readonly load: number;
};

type Options = { readonly backend: "auto" | "native" | "js"; readonly quick: boolean };

/** Make and load the native binding. */
export async function prepare({ backend }: Options): Promise<void> {
  const run = await Run.start({}, { backend });
  await run.loop(() => ({ output: { one: scalar(1) } })).take(1, {});
}

/** From the step's function to a program that can be called: trace, gradient, compile, print, C compiler, load. */
export async function cold(workload: Workload, { backend }: Options): Promise<Cold> {
  const { feeds, start } = workload.prepare();
  const { loop } = await start(backend);
  const once = feeds(1);
  const begin = performance.now();
  const { executable } = loop.compiled(once);
  return { compileMs: performance.now() - begin, cached: executable.cached };
}

export async function warm(workload: Workload, { backend, quick }: Options): Promise<Warm> {
  const load = loadavg()[0]!;
  const { feeds, start } = workload.prepare();
  const once = feeds(1);

  const begin = performance.now();
  const { run, loop } = await start(backend);
  const started = performance.now();
  const { executable } = loop.compiled(once);
  const compiled = performance.now();
  await loop.take(1, once);
  const firstStepMs = performance.now() - begin;

  const { steps, restart } = workload;
  const many = feeds(steps);
  const first = restart ? run.snapshot() : undefined;
  const call = async () => {
    if (first) run.restore(first);
    const t = performance.now();
    const taken = await loop.take(steps, many);
    if (taken.steps !== steps) throw new Error(`${workload.name}: step ${taken.steps} was not finite`);
    return ((performance.now() - t) * 1000) / steps;
  };
  await call(); // room for so many steps is made here
  const times: number[] = [];
  const [budgetMs, least] = quick ? [400, 3] : [4000, 7];
  for (const end = performance.now() + budgetMs; times.length < least || performance.now() < end; ) {
    times.push(await call());
  }
  times.sort((a, b) => a - b);
  return {
    backend: run.backend.name,
    about: run.backend.about,
    compileMs: compiled - started,
    cached: executable.cached,
    firstStepMs,
    medianUsPerStep: times[times.length >> 1]!,
    minUsPerStep: times[0]!,
    repetitions: times.length,
    peakRssMb: process.resourceUsage().maxRSS / 1024, // reported in KiB
    load,
  };
}
