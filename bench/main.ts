/**
 * npm run bench: how fast training steps are on this machine, as a table or, with --json, as one line per workload and
 * number of threads. Each workload runs in processes of its own, so that memory and first steps are those of a fresh
 * start, on a cache folder of its own, so that the first compilation is one.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Cold, cold, type Phase, prepare, type Warm, warm } from "./measure.ts";
import { type Options, optionsOf, Usage } from "./options.ts";
import { head, legend, type Row, rowOf } from "./table.ts";
import { type Workload, workloads } from "./workloads.ts";

/** Programs run on one thread today. */
const threadCounts = [1];

class Interrupted extends Error {}

const [first, ...rest] = process.argv.slice(2);
process.exitCode = first === "measure" ? await measure(rest) : bench(process.argv.slice(2));

function bench(words: readonly string[]): number {
  const cache = mkdtempSync(join(tmpdir(), "downhill-bench-"));
  process.once("SIGINT", () => {}); // the child gets it too and ends; this process cleans up first
  try {
    const options = optionsOf(words);
    const say = options.json ? () => {} : (line: string) => console.log(line);
    run("prepare", undefined, options, cache);
    say(head);
    let about = "";
    for (const workload of options.chosen) {
      for (const threads of threadCounts) {
        const before = run("cold", workload, options, cache) as Cold;
        const after = run("warm", workload, options, cache) as Warm;
        if (after.backend === "native" && (before.cached || !after.cached))
          throw new Error("the cache was not as expected");
        about = after.about;
        const row = rowFrom(workload, threads, before, after);
        console.log(options.json ? JSON.stringify(row) : rowOf(row, workload));
      }
    }
    const machine = `${cpus()[0]?.model.trim()}, ${availableParallelism()} CPUs, Node ${process.versions.node}, ${about}`;
    say(legend(machine, loadavg()[0]!));
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return error instanceof Usage ? 2 : 1;
  } finally {
    rmSync(cache, { recursive: true, force: true });
  }
}

function rowFrom({ name, bytes }: Workload, threads: number, before: Cold, after: Warm): Row {
  const round = (x: number, digits = 4) => +x.toPrecision(digits);
  return {
    workload: name,
    backend: after.backend,
    threads,
    medianUsPerStep: round(after.medianUsPerStep),
    firstStepMs: round(after.firstStepMs),
    compileColdMs: round(before.compileMs),
    compileCachedMs: round(after.compileMs),
    peakRssMb: round(after.peakRssMb),
    minUsPerStep: round(after.minUsPerStep),
    repetitions: after.repetitions,
    load: after.load,
    ...(bytes && { gbPerSecond: round(bytes / after.medianUsPerStep / 1e3, 3) }),
  };
}

/** One phase in a process of its own; what it answers on its last line. */
function run(phase: Phase, workload: Workload | undefined, { backend, quick }: Options, cache: string): unknown {
  const args = [fileURLToPath(import.meta.url), "measure", phase, workload?.name ?? "", backend, quick ? "quick" : ""];
  const { status, signal, stdout } = spawnSync(process.execPath, ["--enable-source-maps", ...args], {
    env: { ...process.env, DOWNHILL_CACHE: cache },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (signal === "SIGINT") throw new Interrupted();
  if (status !== 0) throw new Error(`${workload?.name ?? phase} failed (${signal ?? `exit code ${status}`})`);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/** The other side of `run`. */
async function measure([phase, name, backend, quick]: string[]): Promise<number> {
  const options = { backend: backend as Options["backend"], quick: quick === "quick" };
  const workload = workloads.find((w) => w.name === name)!;
  const answer =
    phase === "prepare" ? prepare(options) : phase === "cold" ? cold(workload, options) : warm(workload, options);
  console.log(JSON.stringify((await answer) ?? null));
  return 0;
}
