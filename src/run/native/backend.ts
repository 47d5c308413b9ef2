/**
 * The native backend: programs printed as C, compiled by the system's compiler, called in this process, on as many
 * threads as make them faster.
 */
import { availableParallelism } from "node:os";
import { align } from "../../compile/memory.ts";
import type { Program } from "../../compile/program.ts";
import { dtypes } from "../../ir/dtype.ts";
import { bytesOf } from "../../ir/value.ts";
import { clockSlots } from "../../print/c/clock.ts";
import { printC } from "../../print/c.ts";
import type { Backend, Executable, Memory, Places, Spent } from "../backend.ts";
import { checkThreads, mostThreads } from "../threads.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import { type Compiler, processor } from "./compiler.ts";
import { openLibraries } from "./library.ts";
import { measureLimits, NativeLimiter } from "./limits.ts";
import { NativeBlock } from "./memory.ts";
import { team } from "./team.ts";
import { alwaysThreads, MeasuredThreads, type Threads } from "./threads.ts";
import { unitFor } from "./tiles.ts";

/** Calls expected to take longer than this leave the main thread. */
const LONG_CALL = 4; // ms

class NativeMemory implements Memory {
  readonly block: NativeBlock;
  constructor(bytes: number) {
    this.block = new NativeBlock(bytes);
  }
  get buffer(): ArrayBuffer {
    return this.block.view();
  }
  get bytes(): number {
    return this.block.bytes;
  }
  get residentBytes(): number {
    return this.block.residentBytes;
  }
}

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
    residentBytes: () => process.memoryUsage.rss(),
    load: (program, threads = defaultThreads()) => load(program, compiler, threads, decide),
    clocked: (program, threads = 1) => load(program, compiler, threads, alwaysThreads, true),
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

function load(
  program: Program,
  compiler: Compiler,
  most: number,
  decide: (most: number) => Threads,
  clocks = false,
): Executable {
  const start = performance.now();
  const rounded = [...program.named.values()].some((b) => b.storage === "bf16");
  const { units, temporaryBytes, scratchBytes, shared } = printC(
    program,
    compiler.lanes,
    rounded ? unitFor(compiler) : "none",
    { clocks: clocks ? most : 0 },
  );
  const { note, link } = openLibraries(
    compiler,
    units.map((u) => u.text),
  );
  const { path, cached } = compileToObject(
    units.map((u) => ({ ...u, text: note + u.text })),
    { link },
  );
  const binding = loadBinding();
  const object = binding.open(path);
  const run = binding.sym(object, "dh_run");
  const threads = shared ? most : 1;
  const choice = decide(threads);
  const behind = align(temporaryBytes); // where scratch memory begins
  const { resident, feeds, outputs, watch } = program;
  const pointers = 4 + resident.length + feeds.length + outputs.length;
  // One block for what a call is told: [pointers][steps to take, steps taken, threads wanted][stop].
  const told = new NativeBlock(8 * pointers + 32);
  const table = new BigUint64Array(told.view(0, 8 * pointers));
  const steps = new Float64Array(told.view(8 * pointers, 24));
  const stop = new Int32Array(told.view(8 * pointers + 24, 8));
  const at = told.address;
  const call = [run, at, at + 8 * pointers, at + 8 * pointers + 24] as const;

  let last: Places | undefined;
  let from = 0; // the step of the call that the table points to
  /** Point the table to where step `step` of a call finds its memory: feeds and outputs hold one slice per step. */
  const aim = (places: Places, step: number) => {
    if (places === last && step === from) return;
    const address = (m: Memory) => (m as NativeMemory).block.address;
    const slices = (memories: readonly Memory[], of: typeof feeds) =>
      memories.map((m, k) => address(m) + step * bytesOf(of[k]!));
    const lists = [...places.resident.map(address), ...slices(places.feeds, feeds), ...slices(places.outputs, outputs)];
    table[0] = BigInt(address(places.state));
    table[1] = BigInt(address(places.workspace));
    table[2] = BigInt(address(places.workspace) + behind);
    table.set(lists.map(BigInt), 4);
    last = places;
    from = step;
  };
  /** Whether the loop has ended itself: the program says how many steps it took, not why they were the last. */
  const broken = (places: Places, step: number) => {
    if (watch === undefined) return false;
    const w = outputs[watch]!;
    return !Number.isFinite(new dtypes[w.dtype].array(places.outputs[watch]!.buffer, step * bytesOf(w), 1)[0]);
  };

  return {
    source: units.map((u) => u.text).join("\n"),
    compileMs: performance.now() - start,
    cached,
    bytes: behind + scratchBytes * threads,
    run(places: Places, n: number) {
      let done = 0;
      stop[0] = 0;
      /** Tell the program its next steps. Called after them, the result says whether there are more to take. */
      const begin = () => {
        const share = choice.next(n - done);
        if (share.threads > 1) table[3] ||= BigInt(team(threads).run);
        aim(places, done);
        steps[0] = share.steps;
        steps[2] = share.threads;
        const began = performance.now();
        return () => {
          const taken = steps[1]!;
          choice.took({ ...share, steps: taken }, (performance.now() - began) * 1000);
          done += taken;
          return taken === share.steps && done < n && !broken(places, done - 1);
        };
      };
      if (n === 1 || choice.expected(n) < LONG_CALL * 1000) {
        for (let more = true; more; ) {
          const end = begin();
          binding.call(...call);
          more = end();
        }
        return done;
      }
      const walk = async () => {
        for (let more = true; more; ) {
          const end = begin();
          await binding.callAsync(...call);
          more = end();
        }
        return done;
      };
      const memories = Object.values(places).flat();
      const blocks = [told, ...memories.map((m) => (m as NativeMemory).block)];
      return blocks.reduce((running, block) => block.during(running), walk());
    },
    stop: () => {
      stop[0] = 1;
    },
    ...(clocks && { spent: () => spent(object, program, most).slice(0, threads) }),
  };
}

/** The ticks that the clocks of a program have counted, in parts of the first thread's. */
function spent(object: number, program: Program, threads: number): Spent[] {
  const binding = loadBinding();
  const { waits, end, packing, count } = clockSlots(program);
  const out = new NativeBlock(8 * count * threads);
  binding.call(binding.sym(object, "dh_laps"), out.address, 0, 0);
  const ticks = [...new Float64Array(out.view())];
  out.free();
  const all = ticks.slice(0, count).reduce((a, b) => a + b, 0) || 1;
  return Array.from({ length: threads }, (_, id) => {
    const parts = ticks.slice(id * count, (id + 1) * count).map((t) => t / all);
    return { kernels: parts.slice(0, waits), waits: parts.slice(waits, end + 1), packing: parts[packing]! };
  });
}
