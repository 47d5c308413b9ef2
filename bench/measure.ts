/**
 * What a process of its own measures. They share a cache folder that was empty at first:
 *
 *   limits    samples the machine's limits; makes what is compiled once per machine and counts for nobody: binding, library
 *   cold      compiles a workload's program for the first time
 *   warm      finds that program in the cache, takes a first step, and then as many as it is asked for
 *   given     writes the workload's numbers to a folder, where peers find them, and what its first steps result in
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BackendName, Run, selectBackend, tree, type Value } from "downhill";
import { noise } from "./noise.ts";
import { serve } from "./protocol.ts";
import type { Ready, Workload } from "./workload.ts";

type Backend = BackendName | "auto";

export type Cold = { readonly compileMs: number; readonly cached: boolean };
export type Warm = Cold & {
  readonly backend: string;
  /** Compiler and CPU. */
  readonly about: string;
  /** From before the process began to the end of its first step, without making the numbers. */
  readonly startMs: number;
  /** The largest resident set, asked for before the first step: what the process has, and what is still to be touched. */
  readonly predictedMb: number;
};
export type Times = { readonly us: readonly number[] };
/** Resident sets: at most, and what is there after the steps beyond what Node and the library took before. */
export type End = { readonly peakRssMb: number; readonly usedMb: number };

const MB = 1e6;

/** Samples the limits of `threads` threads as often as it is asked, where the backend can tell. */
export async function limits(backend: Backend, threads: number): Promise<void> {
  const run = await Run.start({}, { backend });
  const data = { a: noise(1, [64, 64]) };
  await run.loop((_, __, { a }) => ({ output: { product: a.matmul(a) } }), { data }).take(1, {});
  const limiter = (await selectBackend(backend)).backend.limiter?.(threads);
  await serve({ known: limiter !== undefined }, async () => limiter?.sample() ?? {});
}

/** From the step's function to a program that can be called: trace, gradient, compile, print, C compiler, load. */
export async function cold(workload: Workload, backend: Backend): Promise<Cold> {
  const { loop } = await workload.start(workload.numbers(), backend);
  const once = workload.feeds(1);
  const begin = performance.now();
  const { executable } = loop.compiled(once);
  return { compileMs: performance.now() - begin, cached: executable.cached };
}

/** `spawned` is when the process was asked for, in ms since 1970. */
export async function warm(workload: Workload, backend: Backend, spawned: number): Promise<void> {
  const base = process.memoryUsage.rss();
  const born = performance.timeOrigin + performance.now() - spawned;
  const { steps, restart, name } = workload;
  const many = workload.feeds(steps);
  const { run, loop, first, compiled, compileMs, startMs, predictedBytes } = await launch(workload, backend, many);

  let taken: Awaited<ReturnType<typeof loop.take>> | undefined;
  const call = async () => {
    if (restart) run.restore(first);
    const t = performance.now();
    taken = await loop.take(steps, many, taken);
    if (taken.steps !== steps) throw new Error(`${name}: step ${taken.steps} was not finite`);
    return ((performance.now() - t) * 1000) / steps;
  };
  await call(); // warm

  const ready: Warm = {
    backend: run.backend.name,
    about: run.backend.about,
    compileMs,
    cached: compiled.executable.cached,
    startMs: born + startMs,
    predictedMb: predictedBytes / MB,
  };
  await serve(ready, async (ask): Promise<Times | End> => {
    if ("end" in ask) {
      const peakRssMb = (process.resourceUsage().maxRSS * 1024) / MB; // reported in KiB
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 50)); // freed arrays go back in the background
      return { peakRssMb, usedMb: (process.memoryUsage.rss() - base) / MB };
    }
    const us: number[] = [];
    for (const end = performance.now() + ask.ms; us.length < ask.least || performance.now() < end; ) {
      us.push(await call());
    }
    return { us };
  });
}

/** A run that has taken its first step. What it was started from is in this frame alone, so that it can go. */
async function launch(workload: Workload, backend: Backend, many: ReturnType<Workload["feeds"]>) {
  const numbers = workload.numbers();
  const once = workload.feeds(1);
  const begin = performance.now();
  const { run, loop } = await workload.start(numbers, backend);
  const started = performance.now();
  const compiled = loop.compiled(many);
  const ready = performance.now();
  const first = workload.restart ? run.snapshot() : new ArrayBuffer(0);
  const { predictedBytes, processBytes = process.memoryUsage.rss() + predictedBytes } = run.memory();
  const stepping = performance.now();
  await loop.take(1, once);
  return {
    run,
    loop,
    first,
    compiled,
    compileMs: ready - started,
    startMs: ready - begin + performance.now() - stepping,
    predictedBytes: processBytes,
  };
}

// ---- what peers are given ----------------------------------------------------------------------------------------------

/** Of each tensor in numbers.bin: where it begins, in bytes. Names are paths: params.layers.0.weight, feeds.rows. */
type Entry = { readonly name: string; readonly dtype: string; readonly shape: readonly number[]; readonly at: number };

export type Given = {
  readonly workload: string;
  /** Steps of a call, and of the check. */
  readonly steps: number;
  readonly checked: number;
  readonly restart: boolean;
  readonly tensors: readonly Entry[];
};

/** Writes given.json and numbers.bin. → what ours results in after the steps that are checked */
export async function given(workload: Workload, backend: Backend, folder: string): Promise<readonly number[]> {
  const { name, steps, checked, restart = false } = workload;
  const numbers = workload.numbers();
  const all = tree.paths<Value>({
    params: numbers.params,
    data: numbers.data,
    feeds: workload.feeds(Math.max(steps, checked.steps)),
  });
  let at = 0;
  const tensors = all.map(([name, { dtype, shape, data }]): Entry => {
    const entry = { name, dtype, shape, at };
    at += data.byteLength;
    return entry;
  });
  const bytes = new Uint8Array(at);
  for (const [k, [, { data }]] of all.entries()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), tensors[k]!.at);
  }
  writeFileSync(join(folder, "numbers.bin"), bytes);
  const about: Given = { workload: name, steps, checked: checked.steps, restart, tensors };
  writeFileSync(join(folder, "given.json"), JSON.stringify(about));
  return checkOf(await workload.start(numbers, backend), workload);
}

/** The losses of the first steps; where there are none, some elements of what the steps have made of the parameters. */
async function checkOf({ run, loop }: Ready, { checked, feeds }: Workload): Promise<number[]> {
  const { output } = await loop.take(checked.steps, feeds(checked.steps));
  if (output.loss) return [...output.loss.data];
  return tree
    .leaves<Value>(run.state().params)
    .flatMap(({ data }) => SAMPLES.map((part) => data[Math.floor(part * data.length)]!));
}

/** Where in a tensor, as parts of its length. */
const SAMPLES = [0, 0.13, 0.37, 0.61, 0.89];
