/**
 * The native backend: programs printed as C, compiled by the system's compiler, called in this process, on as many
 * threads as make them faster. What a program became is kept (programs.ts), so that the next process calls the same
 * object without making the program.
 */
import { availableParallelism } from "node:os";
import type { Program } from "../../compile/program.ts";
import { printC } from "../../print/c.ts";
import type { Backend, Executable, Known, Load } from "../backend.ts";
import { checkThreads, mostThreads } from "../threads.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject, storedObject } from "./cache.ts";
import { type Compiler, processor } from "./compiler.ts";
import { NativeMemory, opened } from "./executable.ts";
import { calledBy, openLibraries } from "./library.ts";
import { measureLimits, NativeLimiter } from "./limits.ts";
import { type Compiled, keepProgram, programKey, storedProgram } from "./programs.ts";
import { alwaysThreads, MeasuredThreads, type Threads } from "./threads.ts";
import { unitFor } from "./tiles.ts";

/** `decide` makes what chooses the number of threads of a program, from the most it may be. */
export function nativeBackend(
  compiler: Compiler,
  decide: (most: number) => Threads = (most) => new MeasuredThreads(most),
): Backend {
  return {
    name: "native",
    about: `${compiler.version}, ${compiler.simd}, ${processor().model}`,
    banded: true,
    allocate: (bytes) => new NativeMemory(bytes),
    indices: (data, n) => loadBinding().indices(data, n),
    residentBytes: () => process.memoryUsage.rss(),
    load: loaderFor(compiler, decide),
    clocked(program, threads = 1) {
      const start = performance.now();
      const { path, compiled, source, cached } = compile(program, compiler, threads);
      const called = opened(path, compiled.signature, threads, alwaysThreads, program);
      return { source, compileMs: performance.now() - start, cached, ...called };
    },
    limits: (threads) => measureLimits(compiler, threads),
    limiter: (threads) => new NativeLimiter(compiler, threads),
  };
}

/** What the environment says, else a thread for each processor that this process may use. */
function defaultThreads(): number {
  const { DOWNHILL_THREADS: asked = "" } = process.env;
  if (asked.trim() === "") return Math.min(mostThreads, availableParallelism());
  return checkThreads("DOWNHILL_THREADS", Number(asked), asked);
}

function loaderFor(compiler: Compiler, decide: (most: number) => Threads): Load {
  const made = (program: Program, threads: number) => {
    const start = performance.now();
    const { path, compiled, source, cached } = compile(program, compiler);
    const called = opened(path, compiled.signature, threads, decide);
    const executable: Executable = { source, compileMs: performance.now() - start, cached, ...called };
    return { executable, compiled };
  };
  const recall = ({ name, program, outline }: Known, threads = defaultThreads()) => {
    const start = performance.now();
    const key = programKey(name, compiler);
    const entry = key === undefined ? undefined : storedProgram(key);
    const path = entry && objectOf(entry, compiler);
    if (!path) {
      const { executable, compiled } = made(program(), threads);
      const entry = { ...compiled, outline: outline() };
      if (key !== undefined) keepProgram(key, entry);
      return { executable, outline: entry.outline };
    }
    const called = opened(path, entry.signature, threads, decide);
    const executable: Executable = {
      get source() {
        return printed(program(), compiler).source;
      },
      compileMs: performance.now() - start,
      cached: true,
      ...called,
    };
    return { executable, outline: entry.outline };
  };
  return Object.assign((program: Program, threads = defaultThreads()) => made(program, threads).executable, { recall });
}

/** Where the object of a program lies, with the libraries opened that it calls; undefined where it is another's by now. */
function objectOf({ object, called, note, unit }: Compiled, compiler: Compiler): string | undefined {
  if (unit !== "none" && unit !== unitFor(compiler)) return undefined;
  return openLibraries(compiler, called).note === note ? storedObject(object) : undefined;
}

/** The program as C; `clocks` is for how many threads it has clocks. */
function printed(program: Program, compiler: Compiler, clocks = 0) {
  const rounded = [...program.named.values()].some((b) => b.storage === "bf16");
  const unit = rounded ? unitFor(compiler) : "none";
  const c = printC(program, compiler.lanes, unit, { clocks, processes: availableParallelism() });
  return { ...c, unit, source: c.units.map((u) => u.text).join("\n") };
}

/** The program as an object in the cache. */
function compile(program: Program, compiler: Compiler, clocks = 0) {
  const { units, unit, source, temporaryBytes, scratchBytes, shared } = printed(program, compiler, clocks);
  const called = calledBy(
    units.map((u) => u.text),
    compiler,
  );
  const { note, link } = openLibraries(compiler, called);
  const { path, key, cached } = compileToObject(
    units.map((u) => ({ ...u, text: note + u.text })),
    { link },
  );
  const { resident, feeds, outputs, watch } = program;
  const slice = ({ dtype, shape }: Program["feeds"][number]) => ({ dtype, shape });
  const signature = {
    resident: resident.length,
    feeds: feeds.map(slice),
    outputs: outputs.map(slice),
    ...(watch !== undefined && { watch }),
    ...{ temporaryBytes, scratchBytes, shared },
  };
  const compiled: Compiled = { signature, object: key, called, note, unit };
  return { path, cached, source, compiled };
}
