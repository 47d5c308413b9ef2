/**
 * A training by the command line, whatever the data: told, watched, interrupted, resumed and measured in one way. Each
 * kind of data has a file beside this one, which makes a `Job` of a data file or of a run's folder.
 */
import { existsSync } from "node:fs";
import { fail } from "../../ir/fail.ts";
import type { BackendName } from "../../run/backend.ts";
import type { RunOptions } from "../../run/run.ts";
import { selectBackend } from "../../run/select.ts";
import { makeFolders, type RunFolder } from "../../train/folder.ts";
import { type FitOptions, type FitResult, NonFiniteError } from "../../train/index.ts";
import type { DataDescription } from "../configuration.ts";
import { fingerprint } from "../problem.ts";
import { type Headline, silent, watching } from "../progress.ts";
import { facts } from "../summary.ts";
import { type Colors, interruptedCode, type Terminal, widthOf } from "../terminal.ts";
import { bytes, duration, shellWord, wrapped } from "../text.ts";
import { type Board, boardIn, noBoard } from "./board.ts";
import { discard, removeEmpty } from "./folder.ts";

/** How a training is told, and on how many threads it runs: what may differ each time that it goes on. */
export type Telling = {
  readonly threads?: number;
  readonly json?: true;
  readonly quiet?: true;
  /** Folder of charts. */
  readonly tensorboard?: string;
};

/** What `fit` is told by whoever executes the job.  any: the net is the job's own affair */
export type Watched = Pick<
  FitOptions<any>,
  "backend" | "store" | "resume" | "signal" | "threads" | "onStart" | "onProgress" | "onEntry"
>;

/** A training that is ready to begin, or to go on. */
export type Job = {
  readonly folder: string;
  readonly resumed: boolean;
  readonly backend: BackendName;
  /** Why the backend is not the one that one would expect. */
  readonly note: string | undefined;
  /** The run's folder, made or found. */
  readonly open: () => RunFolder;
  /** What is said before training: data, model, recipe. `backend` is what that says about itself. */
  readonly beforehand: (backend: string, colors: Colors, width: number) => string;
  /** What the moving line shows of each entry. */
  readonly headline: Headline;
  readonly fit: (watched: Watched) => Promise<FitResult<any>>;
  /** How far a run came, such as "3 epochs". */
  readonly done: (result: FitResult<any>) => string;
  /** How good the trained model is. */
  readonly measure: (result: FitResult<any>, where: RunOptions) => Promise<Outcome>;
};

/** The line of --json, and what a person reads, with the number that everybody looks for in its last line. */
export type Outcome = { readonly report: object; readonly text: (colors: Colors, width: number) => string };

/** Trains, and says how it went. → the exit code */
export async function execute(job: Job, telling: Telling, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const board = telling.tensorboard === undefined ? noBoard : boardIn(telling.tensorboard);
  try {
    return await carriedOut(job, telling, board, terminal, signal);
  } finally {
    const failure = board.end();
    if (failure) terminal.err.write(`${terminal.colors.err.yellow("!")} The charts end early. ${failure}\n`);
  }
}

async function carriedOut(
  job: Job,
  { json, quiet, tensorboard, threads }: Telling,
  board: Board,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const { folder, resumed } = job;
  const [stream, colors] = json ? [terminal.err, terminal.colors.err] : [terminal.out, terminal.colors.out];
  const width = widthOf(stream);
  const say = (text: string) => stream.write(text);
  const { backend } = await selectBackend(job.backend);
  if (job.note) say(`${colors.yellow("!")} ${job.note}\n`);
  say(`\n${job.beforehand(`${backend.name}: ${backend.about}`, colors, width)}`);
  if (tensorboard !== undefined) {
    say(`${facts([["charts", `tensorboard --logdir ${shellWord(tensorboard)}`]], colors, width)}\n`);
  }

  const made = resumed ? [] : makeFolders(folder);
  const store = opened(job, made);
  const watch = quiet ? silent : watching(stream, colors, job.headline);
  try {
    const onProgress: Watched["onProgress"] = (progress) => {
      watch.onProgress(progress);
      board.onProgress(progress);
    };
    const onEntry: Watched["onEntry"] = (entry) => {
      watch.onEntry(entry);
      board.onEntry(entry);
    };
    const onStart: Watched["onStart"] = ({ predictedBytes, processBytes }) => {
      const all = processBytes === undefined ? "beside Node" : `${bytes(processBytes)} with Node and the data`;
      say(`${facts([["memory", `${bytes(predictedBytes)} for the training, ${all}`]], colors, width)}\n`);
    };
    const result = await job.fit({ store, resume: resumed, signal, threads, onStart, onProgress, onEntry });
    watch.end();
    if (result.stopReason === "aborted") return interrupted(job, result, terminal);
    const { report, text } = await job.measure(result, { backend: job.backend, threads });
    const { memory, scaling } = result;
    if (json) terminal.out.write(`${JSON.stringify({ ...report, memory, ...(scaling && { scaling }) })}\n`);
    say(text(colors, width));
    return 0;
  } catch (error) {
    watch.end();
    store.close();
    if (!resumed && (error instanceof NonFiniteError || !existsSync(store.name))) discard(folder, made);
    await pending();
    if (!signal.aborted) throw error;
    terminal.err.write(`\n${terminal.colors.err.yellow("Interrupted")} before the first step; nothing is kept.\n`);
    return interruptedCode;
  } finally {
    store.close();
  }
}

function opened({ open }: Job, made: readonly string[]): RunFolder {
  try {
    return open();
  } catch (error) {
    removeEmpty(made);
    throw error;
  }
}

/** Ctrl-C reaches a compiler at work as well: that it failed is known before the signal is. */
const pending = () => new Promise<void>((resolve) => setTimeout(resolve, 20));

function interrupted({ folder, done }: Job, result: FitResult<any>, { err, colors }: Terminal): number {
  err.write(
    `\n${colors.err.yellow("Interrupted")} after ${done(result)}; the run is saved in ${folder}.\n` +
      `  go on with: downhill train --resume ${shellWord(folder)}\n`,
  );
  return interruptedCode;
}

/** "Trained 20 epochs in 3.1 s (and 0.4 s to compile), using 1.9 MB of memory, kept the model of epoch 12." */
export function trainedLine(
  how: string,
  { secondsTraining, secondsCompiling, memory }: FitResult<any>,
  width: number,
  more = "",
): string {
  const compiling = secondsCompiling >= 0.1 ? ` (and ${duration(secondsCompiling)} to compile)` : "";
  const used = memory.usedBytes === undefined ? "" : `, using ${bytes(memory.usedBytes)} of memory`;
  return wrapped(`Trained ${how} in ${duration(secondsTraining)}${compiling}${used}${more}.`, width, "");
}

// ---- going on with a run -----------------------------------------------------------------------------------------------

/** What may be given together with --resume: where the data are now, and what changes nothing of the model. */
const besides = ["resume", "threads", "checkpoint", "json", "quiet", "tensorboard", "color"];

/** Throws where an option asks for something else than the run began with. */
export function requireSettled(options: object, settled: Readonly<Record<string, unknown>>): void {
  for (const [name, asked] of Object.entries(options)) {
    if (besides.includes(name) || asked === undefined) continue;
    if (JSON.stringify(settled[name]) === JSON.stringify(asked)) continue;
    fail(
      `${flag(name)} ${String(asked)}: a resumed run goes on with its own settings, here ${settled[name] ?? "none"}`,
      "leave the option out, or train anew into another folder",
    );
  }
}

/** testFraction → --test-fraction */
export const flag = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** Where the run's data are: the file that is given, or the one it began with. Throws where that is not what it was. */
export function sameData(
  data: string | undefined,
  folder: string,
  described: DataDescription,
  contents = fingerprint,
): string {
  const file = data ?? described.file;
  if (contents(file) !== described.fingerprint) {
    fail(`${file}: this is not the data that ${folder} was trained on`, "resume with the same file, or train anew");
  }
  return file;
}
