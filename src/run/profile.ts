/**
 * Where a step's time goes, kernel by kernel. A `Profiler` is a backend around another one: whatever is run on it, a
 * training or a program of somebody's own, runs with a clock beside each kernel, and can be asked about afterwards.
 */
import { peakBytes } from "../compile/compile.ts";
import { costOf } from "../compile/cost.ts";
import { buffersOf, type Kernel, type Program } from "../compile/program.ts";
import { fail } from "../ir/fail.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bytesOf } from "../ir/value.ts";
import type { Backend, Executable, Places } from "./backend.ts";

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
  /** In a step. */
  readonly us: number;
  readonly flops: number;
  readonly bytes: number;
  /** Whether it is a product of factors in bf16, which some CPUs multiply faster than f32. */
  readonly bf16: boolean;
};

export type ProgramTime = {
  /** Whether it changes the state, as training does and validation does not. */
  readonly updates: boolean;
  readonly steps: number;
  /** Of a step, calls from the host included. */
  readonly usPerStep: number;
  /** In the order in which they run. */
  readonly kernels: readonly KernelTime[];
  /** µs of a step that no kernel had: waiting for the host, copying, looking at the loss. */
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

  /** Throws where `base` has no clock. */
  constructor(base: Backend) {
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
        const watched: Watched = { program, executable: clocked(program), steps: 0, us: 0, longest: 0 };
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
  const parts = executable.spent!();
  const blocks = new Map(program.bands.flatMap((band) => band.members.map((m) => [m.kernel, band.blocks] as const)));
  const perStep = [...program.feeds, ...program.outputs].reduce((sum, b) => sum + bytesOf(b), 0);
  return {
    updates: program.kernels.some((k) => buffersOf(k, program.named).writes.some((b) => b.role === "state")),
    steps,
    usPerStep,
    kernels: program.kernels.map((kernel, k) => ({
      ...described(kernel),
      kind: kernel.kind,
      calls: blocks.get(kernel) ?? 1,
      us: parts[k]! * usPerStep,
      ...costOf(kernel, program.named),
      bf16: kernel.kind === "contraction" && kernel.a.buffer.storage === "bf16" && kernel.b.buffer.storage === "bf16",
    })),
    restUs: (parts[program.kernels.length] ?? 0) * usPerStep,
    predictedBytes: peakBytes(program, executable.bytes) + longest * perStep,
  };
}

/** By what it writes: of several results of one pass the largest, the first of equal ones. */
function described(kernel: Kernel): Pick<KernelTime, "what" | "writes" | "module" | "gradient" | "origin"> {
  const buffers = (
    kernel.kind === "nest" ? kernel.stores : [kernel.kind === "contraction" ? kernel.c : kernel.store]
  ).map((s) => s.buffer);
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
