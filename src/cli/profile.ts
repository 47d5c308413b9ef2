/** `downhill profile`: where the time of a training step goes, kernel by kernel, against what the machine can do. */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { Command } from "commander";
import { fail } from "../ir/fail.ts";
import type { Backend, Limits } from "../run/backend.ts";
import { type KernelTime, Profiler, type ProgramTime, total } from "../run/profile.ts";
import { automatically, selectBackend } from "../run/select.ts";
import { describedRun } from "./configuration.ts";
import * as parse from "./options.ts";
import { stretchesText } from "./stretches.ts";
import type { Terminal } from "./terminal.ts";
import { widthOf } from "./terminal.ts";
import { bytes, columns, counted, shortened, significant } from "./text.ts";
import { resumedImages } from "./train/images.ts";
import type { Job } from "./train/job.ts";
import { resumedTable } from "./train/table.ts";
import { resumedText } from "./train/text.ts";

type Options = { readonly steps?: number; readonly top: number; readonly threads: number; readonly json?: true };

/** Seconds of training that are watched unless steps are asked for. */
const WATCHED = 2;

export function profileCommand(terminal: Terminal): Command {
  return new Command("profile")
    .helpOption("-h, --help", "explain this command")
    .description("Show where the time of a training step goes: kernel by kernel, against what this machine can do.")
    .argument("<run>", "the folder of a training, whose data must still be there; or a program (.js, .mjs)")
    .option("--steps <n>", `of a training: how many to watch; unless given, ${WATCHED} seconds of them`, parse.count)
    .option("--threads <n>", "to run on, and to tell apart: who computes, who waits", parse.threads, 1)
    .option("--top <n>", "how many kernels to show", parse.count, 20)
    .option("--json", "one line of JSON, with all kernels")
    .addHelpText("after", help)
    .action((what: string, options: Options) => profile(what, options, terminal));
}

const help = `
A training is begun anew, beside its folder, in which nothing changes. A program
runs as always, with a clock in every step that it takes on the default backend;
its output comes first. Each kernel is timed by a clock that takes some 10 ns a
call: steps of less than a few µs are slower with it.

Threads share the blocks of a band, kernels that are walked together, and meet
where a band needs all of what came before. With --threads a line for each
stretch between two such meetings shows which of them had less to do.

Examples:
  $ downhill profile runs/mail-1
  $ downhill profile runs/novel-1 --top 40 --steps 100
  $ downhill profile runs/novel-1 --threads 4
  $ npm run example xor && downhill profile dist-examples/xor.js
  $ downhill profile runs/mail-1 --json > profile.json`;

/** What --json prints. */
export type Profile = ProgramTime & {
  readonly of: string;
  /** Else it is a program. */
  readonly training: boolean;
  readonly backend: string;
  readonly limits: Limits;
  /** The process at its largest: data, compiler and Node included. */
  readonly residentBytes: number;
  /** Other programs that took steps, such as validation: µs in all. */
  readonly others: readonly number[];
};

async function profile(what: string, options: Options, terminal: Terminal): Promise<void> {
  if (!existsSync(what)) {
    fail(`${what}: there is no such run, nor a program`, "downhill profile runs/NAME, the folder of a training");
  }
  const { backend: base } = await selectBackend();
  const profiler = new Profiler(base, options.threads);
  const isTraining = statSync(what).isDirectory();
  if (options.steps !== undefined && !isTraining) {
    fail(`--steps is an option of trainings, and ${what} is a program`, "it takes the steps that it takes");
  }
  await (isTraining ? training(what, options, profiler, terminal) : program(what, profiler, terminal));
  const residentBytes = process.resourceUsage().maxRSS * 1024; // told in KiB; measuring limits will take more
  const [found, ...others] = profiler.times();
  if (!found) {
    fail(
      `${what}: no step was taken that could be watched`,
      "a program must import this copy of downhill and take a few steps on the default backend",
    );
  }
  const result: Profile = {
    of: what,
    training: isTraining,
    backend: base.about,
    limits: limitsOf(base, found.threads),
    ...found,
    residentBytes,
    others: others.map(({ steps, usPerStep }) => steps * usPerStep),
  };
  terminal.out.write(options.json ? `${JSON.stringify(result)}\n` : profileText(result, options, terminal));
}

function limitsOf(backend: Backend, threads: number): Limits {
  return backend.limits?.(threads) ?? fail(`profile: the ${backend.name} backend knows no limits of this machine`);
}

/** The run's training from its beginning, until enough steps were seen. Nothing of it is kept. */
async function training(folder: string, { steps }: Options, profiler: Profiler, terminal: Terminal): Promise<void> {
  const job = await jobOf(folder);
  await terminal.interruptible(async (interrupted) => {
    const enough = new AbortController();
    let end: number | undefined; // counted from the first progress on, when all is compiled
    await job.fit({
      backend: profiler.backend,
      signal: AbortSignal.any([interrupted, enough.signal]),
      onProgress: ({ step }) => {
        // The first call is not counted, so one step is not enough.
        end ??= performance.now() + 1000 * WATCHED;
        if (step > 1 && (steps === undefined ? performance.now() > end : step > steps)) enough.abort();
      },
    });
  });
}

function jobOf(folder: string): Promise<Job> {
  const { kind } = describedRun(folder).configuration;
  if (kind === "images") return resumedImages(undefined, folder, {});
  return kind === "text" ? resumedText(undefined, folder, {}) : resumedTable(undefined, folder, {});
}

async function program(file: string, profiler: Profiler, { err }: Terminal): Promise<void> {
  if (!/\.m?js$/.test(file)) {
    fail(
      `${file}: neither the folder of a training nor a program in JavaScript`,
      file.endsWith(".ts")
        ? "compile it first, and name what comes out: npm run example xor makes dist-examples/xor.js"
        : "downhill profile runs/NAME",
    );
  }
  automatically(profiler.backend);
  process.argv = [process.argv[0]!, resolve(file)];
  try {
    await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    err.write(`${inspect(error)}\n`); // with its own stack: the mistake is in the program
    fail(`${file}: the program ended with this error`, `node ${file} shows it without a profile`);
  }
}

// ---- the text ----------------------------------------------------------------------------------------------------------

/**
 * A kernel's rates in operations and bytes per second of one thread, and what part of which of its limits the nearer one
 * is. Products in bf16 are held against the limit of f32, which they may exceed.
 */
export function boundOf(
  { usOn, flops, bytes, bf16 }: Pick<KernelTime, "usOn" | "flops" | "bytes" | "bf16">,
  limits: Limits,
) {
  const seconds = total(usOn) * 1e-6;
  const rates = { flops: flops / seconds, bytes: bytes / seconds };
  const limit = each(limits);
  // What is faster than memory came from a cache.
  const near = rates.bytes > limit.memory || bytes < 1e6;
  const memory = rates.bytes / (near ? limit.cache : limit.memory);
  const compute = rates.flops / limit.flops;
  const by = compute >= memory ? (bf16 ? "f32" : "compute") : near ? "cache" : "memory";
  return { rates, part: Math.max(compute, memory), by } as const;
}

/** What one of the threads can do while the others do the same. */
const each = ({ threads, flops, memory, cache }: Limits) => ({
  flops: flops / threads,
  memory: memory / threads,
  cache: cache / threads,
});

/**
 * Where it comes from, then what it is; of a long path the end. The lines of code of a training by the command line are
 * ours: only its modules are told.
 */
function nameOf({ what, writes, module, gradient, origin }: KernelTime, training: boolean, width: number): string {
  const is = `${what} ${writes.replace(/^f32/, "")}`;
  const line = training ? undefined : /[^/\\\s(]+:\d+(?=\)?$)/.exec(origin)?.[0];
  const path = [module.replace(/^net\./, ""), line].filter(Boolean).join(" ");
  if (path === "") return shortened(is, width);
  const room = Math.max(20, width - is.length - 2 - Number(gradient));
  const from = path.length <= room ? path : `…${path.slice(1 - room)}`;
  return shortened(`${gradient ? "∂" : ""}${from}: ${is}`, width);
}

function profileText(found: Profile, { top, threads: asked }: Options, { out, colors }: Terminal): string {
  const { bold, dim } = colors.out;
  const width = widthOf(out);
  const { kernels, usPerStep, steps, restUs, threads } = found;
  const limits = each(found.limits);
  const several = threads > 1;
  const g = (x: number) => significant(x / 1e9, 3);
  const sorted = [...kernels].sort((a, b) => b.us - a.us);
  const shown = sorted.slice(0, top);
  const percent = (us: number) => `${((100 * us) / usPerStep).toFixed(1)} %`;
  const cells = [
    ["", "µs", "GFLOP/s", "GB/s", "of limit"],
    ...shown.map((kernel) => {
      const { rates, part, by } = boundOf(kernel, found.limits);
      const nothing = kernel.us === 0;
      return [
        percent(kernel.us),
        significant(kernel.us, 3),
        nothing ? "" : g(rates.flops),
        nothing ? "" : g(rates.bytes),
        nothing ? "" : `${Math.round(100 * part)} % ${by}`,
      ];
    }),
  ];
  const [head = "", ...lines] = columns(cells);
  const edge = Math.max(...[head, ...lines].map((line) => line.length)) + 2;
  const named = (kernel: KernelTime) => nameOf(kernel, found.training, Math.max(20, width - edge));
  const restOf = total(sorted.slice(top).map((k) => k.us));
  const busy = total(kernels.map((k) => k.us)) + found.packUs;
  const perUs = (of: (k: KernelTime) => number) => total(kernels.map(of)) / usPerStep / 1e3 / threads;
  return [
    bold(found.of),
    `  ${significant(usPerStep)} µs a step on ${several ? `${threads} threads` : "one thread"}, over ${counted(steps, "step")}; ${counted(kernels.length, "kernel")}`,
    `  ${significant(
      perUs((k) => k.flops),
      3,
    )} GFLOP/s of ${g(limits.flops)} in f32; memory moves ${g(limits.memory)} GB/s, cache ${g(limits.cache)}${several ? ": each" : ""}`,
    `  memory: ${bytes(found.predictedBytes)} predicted; the whole process, at most: ${bytes(found.residentBytes)}`,
    dim(`  ${shortened(found.backend, width - 2)}`),
    ...(asked > threads ? [`  One of the ${asked} threads does it all: the step is too small to be shared.`] : []),
    ...(several
      ? [
          "",
          `  A thread computes for ${percent(busy)} of a step and waits for others for ${percent(found.waitUs)}:`,
          "",
          ...stretchesText(found, top, width, dim, (kernel, room) => nameOf(kernel, found.training, room)),
        ]
      : []),
    "",
    dim(`${head.padEnd(edge)}kernel${several ? "; µs and rates are of one thread" : ""}`),
    ...lines.map((line, k) => `${line.padEnd(edge)}${named(shown[k]!)}`),
    ...(sorted.length > top
      ? [dim(`${percent(restOf)} in ${counted(sorted.length - top, "more kernel")}: --top ${kernels.length}`)]
      : []),
    ...(found.packUs > 0 ? [dim(`${percent(found.packUs)} packing matrices that many calls read`)] : []),
    ...(several ? [dim(`${percent(found.waitUs)} waiting for other threads`)] : []),
    ...(restUs > 0 ? [dim(`${percent(restUs)} in none: the loop of steps, and clocks`)] : []),
    ...(found.others.length > 0
      ? [dim(`beside it ${counted(found.others.length, "other program")}, such as validation or sampling`)]
      : []),
    "",
  ].join("\n");
}
