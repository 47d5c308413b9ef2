/**
 * Where a step's time goes, kernel by kernel. A `Profiler` is a backend around another one: whatever is run on it, a
 * training or a program of somebody's own, runs with a clock beside each kernel, on one thread or on several, and can be
 * asked about afterwards.
 */
import { peakBytes } from "../compile/compile.ts";
import { costOf } from "../compile/cost.ts";
import { buffersOf, type Kernel, type Program } from "../compile/program.ts";
import { fail } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bytesOf } from "../ir/value.ts";
import type { Backend, Executable, Places, Spent } from "./backend.ts";

/** What one kernel does in a step, and what that takes. */
export type KernelTime = {
  /** `product`, or the last operation of what was fused, such as `sum`. */
  readonly what: string;
  readonly kind: Kernel["kind"];
  /** What it writes: dtype and shape, and how many more. */
  readonly writes: string;
  /** The module it belongs to, where there is one, and whether it is part of a gradient. */
  readonly module: string;
  readonly gradient: boolean;
  /** Module and line of the user's code. */
  readonly origin: string;
  /** How often it is called in a step: once for each block of its band. */
  readonly calls: number;
  /** In a step: of all threads together divided by their number, so that all kernels, waits and the rest are the step. */
  readonly us: number;
  /** In a step, on each thread. */
  readonly usOn: readonly number[];
  readonly flops: number;
  readonly bytes: number;
  /** Whether it is a product of factors in bf16, which some CPUs multiply faster than f32. */
  readonly bf16: boolean;
};

/** Kernels that are walked together in blocks, which the threads share. */
export type BandTime = {
  /** Their places in `kernels`. */
  readonly kernels: readonly number[];
  /** 1 where it cannot be shared: the first thread does all of it. */
  readonly blocks: number;
  /** µs of a step on each thread. */
  readonly usOn: readonly number[];
  /** Whether all threads meet before it: only then has `waitOn` anything. */
  readonly waits: boolean;
  /** µs of a step that each thread waited there for the others. */
  readonly waitOn: readonly number[];
};

export type ProgramTime = {
  /** Whether it changes the state, as training does and validation does not. */
  readonly updates: boolean;
  /** On how many it ran; 1 where it has nothing to share. */
  readonly threads: number;
  readonly steps: number;
  /** Of a step, calls from the host included. */
  readonly usPerStep: number;
  /** In the order in which they run. */
  readonly kernels: readonly KernelTime[];
  readonly bands: readonly BandTime[];
  /** µs of a step on each thread: packing matrices that many calls read, before all bands. */
  readonly packOn: readonly number[];
  /** µs of a step that each thread waited for the others at its end. */
  readonly endOn: readonly number[];
  /** µs of a step that threads waited for one another, and packed: as those of kernels, divided by their number. */
  readonly waitUs: number;
  readonly packUs: number;
  /** µs of a step that nothing of this had: waiting for the host, copying, looking at the loss. */
  readonly restUs: number;
  /** What the program holds: predicted before its first step, feeds and outputs of its longest call included. */
  readonly predictedBytes: number;
};

type Watched = {
  readonly program: Program;
  readonly executable: Executable;
  steps: number;
  us: number;
  longest: number;
};

export class Profiler {
  readonly backend: Backend;
  private readonly watched: Watched[] = [];

  /** On so many threads. Throws where `base` has no clock. */
  constructor(base: Backend, threads = 1) {
    const { clocked } = base;
    if (!clocked) {
      fail(
        `profile: the ${base.name} backend has no clock for kernels`,
        "profile on the native backend: downhill info says what it needs",
      );
    }
    this.backend = {
      ...base,
      load: (program) => {
        const watched: Watched = { program, executable: clocked(program, threads), steps: 0, us: 0, longest: 0 };
        this.watched.push(watched);
        return { ...watched.executable, run: (places, steps) => this.run(watched, places, steps) };
      },
    };
  }

  /** Each program that has taken a step: those that train first, and of them the one that took longest. */
  times(): ProgramTime[] {
    return this.watched
      .filter((w) => w.steps > 0)
      .sort((a, b) => b.us - a.us)
      .map(timesOf)
      .sort((a, b) => Number(b.updates) - Number(a.updates));
  }

  private async run(watched: Watched, places: Places, steps: number): Promise<number> {
    const first = watched.steps === 0 && watched.longest === 0;
    const begin = performance.now();
    const taken = await watched.executable.run(places, steps);
    const us = (performance.now() - begin) * 1000;
    watched.longest = Math.max(watched.longest, steps);
    // The first call meets cold caches and memory that the system has yet to give.
    if (first) watched.executable.spent?.();
    else {
      watched.steps += taken;
      watched.us += us;
    }
    return taken;
  }
}

function timesOf({ program, executable, steps, us, longest }: Watched): ProgramTime {
  const usPerStep = us / steps;
  const threads = executable.spent!();
  const on = (part: (of: Spent) => number) => threads.map((t) => part(t) * usPerStep);
  const mean = (list: readonly number[]) => total(list) / threads.length;
  const packs = threads.some((t) => t.packing > 0);
  const at = new Map(program.kernels.map((kernel, k) => [kernel, k]));
  const bands = program.bands.map(({ members, blocks, waits }, b): BandTime => {
    const kernels = members.map((m) => at.get(m.kernel)!);
    const usOn = on((t) => total(kernels.map((k) => t.kernels[k]!)));
    // Before the first band all wait for what was packed.
    return { kernels, blocks, usOn, waits: waits || (b === 0 && packs), waitOn: on((t) => t.waits[b]!) };
  });
  const blocks = new Map(bands.flatMap((band) => band.kernels.map((k) => [k, band.blocks] as const)));
  const kernels = program.kernels.map((kernel, k): KernelTime => {
    const usOn = on((t) => t.kernels[k]!);
    return {
      ...described(kernel),
      kind: kernel.kind,
      calls: blocks.get(k)!,
      us: mean(usOn),
      usOn,
      ...costOf(kernel, program.named),
      bf16: kernel.kind === "contraction" && kernel.a.buffer.storage === "bf16" && kernel.b.buffer.storage === "bf16",
    };
  });
  const waitUs = mean(on((t) => total(t.waits)));
  const packOn = on((t) => t.packing);
  const perStep = total([...program.feeds, ...program.outputs].map(bytesOf));
  return {
    updates: program.kernels.some((k) => buffersOf(k, program.named).writes.some((b) => b.role === "state")),
    threads: threads.length,
    steps,
    usPerStep,
    kernels,
    bands,
    packOn,
    endOn: on((t) => t.waits.at(-1)!),
    waitUs,
    packUs: mean(packOn),
    restUs: Math.max(0, usPerStep - total(kernels.map((k) => k.us)) - waitUs - mean(packOn)),
    predictedBytes: peakBytes(program, executable.bytes) + longest * perStep,
  };
}

export const total = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0);

/** By what it writes: of several results of one pass the largest, the first of equal ones. */
function described(kernel: Kernel): Pick<KernelTime, "what" | "writes" | "module" | "gradient" | "origin"> {
  const buffers = (kernel.kind === "contraction" ? [kernel.c] : kernel.stores).map((s) => s.buffer);
  const main = buffers.reduce((a, b) => (bytesOf(b) > bytesOf(a) ? b : a));
  const more = buffers.length > 1 ? ` + ${buffers.length - 1}` : "";
  const { origin } = main.tensor;
  return {
    what: kernel.kind === "contraction" ? "product" : opOf(main.tensor),
    writes: `${main.dtype}[${main.shape}]${more}`,
    module: origin.module,
    gradient: origin.of !== undefined,
    origin: String(origin),
  };
}

/** The operation behind movements: what was computed, not how it lies. */
function opOf(t: Tensor): string {
  let at = t;
  while (passing.has(at.op) && at.src[0]) at = at.src[0];
  return at.op;
}
const passing: ReadonlySet<string> = new Set(["reshape", "permute", "expand", "detach", "bound", "own"]);
