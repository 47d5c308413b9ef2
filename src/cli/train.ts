/** `downhill train`: from a table to a trained model in a folder. */
import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import type { Task } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import { optimizers, schedules } from "../optim/index.ts";
import type { BackendName } from "../run/backend.ts";
import { backendNames, selectBackend } from "../run/select.ts";
import { makeFolders, RunFolder } from "../train/folder.ts";
import { type Entry, type FitResult, fit, type Metric, metricsOf, NonFiniteError, predict } from "../train/index.ts";
import { type Configuration, command, type DataDescription, describedRun } from "./configuration.ts";
import { lossFor, network, outputsFor } from "./network.ts";
import * as parse from "./options.ts";
import { fingerprint, type Part, type Problem, partOf, problemOf, type Reading, readTable } from "./problem.ts";
import { type Headline, silent, watching } from "./progress.ts";
import {
  architecture,
  models,
  patience,
  recipe,
  ruleOf,
  type Shape,
  scheduleOf,
  validationShare,
  type Wishes,
} from "./recipe.ts";
import { type Score, score } from "./score.ts";
import { beforehand, headline, scoreText, warningText } from "./summary.ts";
import { interruptedCode, type Terminal } from "./terminal.ts";
import { duration, shellWord, stem, wrapped } from "./text.ts";

type Options = {
  readonly target?: string;
  readonly task?: Task;
  readonly seed?: number;
  readonly testFraction?: number;
  readonly backend?: BackendName | "auto";
  readonly drop?: readonly string[];
  readonly keep?: readonly string[];
  readonly out?: string;
  readonly resume?: string;
  readonly json?: true;
  readonly quiet?: true;
} & Wishes &
  Reading;

const words = <K extends string>(table: Readonly<Record<K, unknown>>) => Object.keys(table) as K[];
const tasks: readonly Task[] = ["binary", "multiclass", "regression"];

export function trainCommand(terminal: Terminal, done: (code: number) => void): Command {
  const make = new Command("train")
    .helpOption("-h, --help", "explain this command")
    .description("Train a model that predicts one column of a table from the others, and say how good it is.")
    .argument("[data]", "a CSV file, plain or gzipped (.csv, .csv.gz)")
    .option("-t, --target <column>", "the column to predict")
    .optionsGroup("Model:")
    .option("--model <name>", `${models.join(" or ")}; mlp unless given`, parse.oneOf(models))
    .option("--hidden <widths>", "widths of the hidden layers, such as 128,64", parse.widths)
    .option("--dropout <rate>", "part of each hidden layer that is left out in training", parse.rate)
    .option("--task <task>", `${tasks.join(", ")}; seen from the target unless given`, parse.oneOf(tasks))
    .optionsGroup("Training:")
    .option("--optimizer <name>", words(optimizers).join(", "), parse.oneOf(words(optimizers)))
    .option("--lr <rate>", "the learning rate, at its highest", parse.positive)
    .option("--schedule <name>", words(schedules).join(", "), parse.oneOf(words(schedules)))
    .option("--weight-decay <rate>", "how strongly weights are drawn to 0", parse.notNegative)
    .option("--batch <rows>", 'rows per step, or "full"', parse.batch)
    .option("--epochs <n>", "passes over the training rows", parse.count)
    .option("--seed <n>", "of the split, the first weights and the order; 1 unless given", parse.seed)
    .option("--test-fraction <share>", "of the rows, held out for the test; 0.2 unless given", parse.share)
    .option("--backend <name>", `auto, ${backendNames.join(", ")}`, parse.oneOf(["auto", ...backendNames]))
    .optionsGroup("Data:");
  return readingOptions(make)
    .option("--drop <columns>", "columns not to use (again for more, or commas)", parse.collected)
    .option("--keep <columns>", "columns to use although they look like identifiers", parse.collected)
    .optionsGroup("Output:")
    .option("-o, --out <folder>", "where the run is kept; runs/<data>-<number> unless given")
    .option("--resume <run>", "go on with a run that was interrupted, with its own settings")
    .option("--json", "end with one line of JSON, and nothing else on stdout")
    .option("-q, --quiet", "no progress")
    .addHelpText(
      "after",
      `
Examples:
  $ downhill train mail.csv --target spam
  $ downhill train mail.csv --target spam --model linear --out runs/linear
  $ downhill train houses.csv --target price --hidden 256,128 --lr 0.001
  $ downhill train --resume runs/mail-1`,
    )
    .action(async (data: string | undefined, options: Options) => {
      done(await train(data, options, terminal));
    });
}

/** How a file is read: the same for every command that reads one. */
export function readingOptions(make: Command): Command {
  return make
    .addOption(new Option("--header", "the first line holds the names of the columns"))
    .addOption(new Option("--no-header", "it does not: columns are column1, column2, …"))
    .option("--delimiter <character>", "between cells; guessed among , ; and tab unless given", parse.character)
    .option("--decimal <mark>", 'of numbers: "." unless "," is given', parse.oneOf([".", ","]))
    .option("--missing <word>", "a cell that means missing, besides empty, NA, ? …", parse.collected)
    .option("--categorical <columns>", "columns that hold categories, although they look like numbers", parse.collected)
    .option("--numeric <columns>", "columns that hold numbers", parse.collected);
}

/** Which of the options say how a file is read. */
export function readingOf({ header, delimiter, decimal, missing, categorical, numeric }: Reading): Reading {
  return {
    ...(header !== undefined && { header }),
    ...(delimiter !== undefined && { delimiter }),
    ...(decimal !== undefined && { decimal }),
    ...(missing !== undefined && { missing }),
    ...(categorical !== undefined && { categorical }),
    ...(numeric !== undefined && { numeric }),
  };
}

/** A training that is ready to begin, or to go on. */
type Job = {
  readonly problem: Problem;
  readonly configuration: Configuration;
  readonly folder: string;
  readonly note: string | undefined;
  readonly open: () => RunFolder;
  readonly resumed: boolean;
};

async function train(data: string | undefined, options: Options, terminal: Terminal): Promise<number> {
  const job = options.resume === undefined ? await fresh(data, options) : await again(data, options.resume, options);
  return terminal.interruptible((signal) => execute(job, options, terminal, signal));
}

async function fresh(data: string | undefined, options: Options): Promise<Job> {
  if (data === undefined) fail("train: name a data file", "downhill train data.csv --target column");
  const { target, task, drop, keep, seed = 1, testFraction = 0.2 } = options;
  const reading = readingOf(options);
  const folder = options.out ?? freeFolder(stem(data));
  requireFree(folder);
  const table = readTable(data, reading);
  if (target === undefined) {
    const names = table.columns.map(({ name }) => name);
    fail("train: say which column to predict with --target", `the columns are ${parse.quoted(names)}`);
  }
  const choices = {
    ...reading,
    target,
    testFraction,
    seed,
    ...(task && { task }),
    ...(drop && { drop }),
    ...(keep && { keep }),
  };
  const validation = validationShare(table.rows, testFraction, options.batch);
  const problem = problemOf(table, choices, validation);
  const classes = problem.target.task === "regression" ? 1 : problem.target.labels.length;
  const features = problem.encoder.featureNames.length;
  const shape: Shape = {
    task: problem.target.task,
    rows: problem.split.train.length,
    features,
    classes,
    watched: validation > 0,
  };
  const chosen = recipe(shape, options);
  const net = architecture(chosen, features, outputsFor(shape.task, classes));
  const { backend, note } = await selectBackend(options.backend ?? "auto");
  const configuration: Configuration = {
    command,
    task: shape.task,
    choices,
    validation,
    recipe: chosen,
    architecture: net,
    backend: backend.name,
    target: problem.target.toJSON(),
    encoder: problem.encoder.toJSON(),
  };
  const description: DataDescription = {
    file: resolve(data),
    fingerprint: fingerprint(data),
    rows: table.rows,
    columns: table.columns.length,
  };
  const open = () => RunFolder.create(folder, { seed, configuration, data: description });
  return { problem, configuration, folder, note, open, resumed: false };
}

/** What may be given together with --resume: where the data are now, and how to tell about it. */
const besides = ["resume", "json", "quiet", "color"];

async function again(data: string | undefined, folder: string, options: Options): Promise<Job> {
  const { configuration, data: description } = describedRun(folder);
  const { recipe, choices, backend } = configuration;
  const settled: Readonly<Record<string, unknown>> = {
    ...choices,
    ...recipe,
    backend,
    task: configuration.task,
    out: folder,
  };
  for (const [name, asked] of Object.entries(options)) {
    if (besides.includes(name) || asked === undefined) continue;
    if (JSON.stringify(settled[name]) === JSON.stringify(asked)) continue;
    const option = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    fail(
      `${option} ${String(asked)}: a resumed run goes on with its own settings, here ${settled[name] ?? "none"}`,
      "leave the option out, or train anew into another folder",
    );
  }
  const file = data ?? description.file;
  if (fingerprint(file) !== description.fingerprint) {
    fail(`${file}: this is not the data that ${folder} was trained on`, "resume with the same file, or train anew");
  }
  const problem = problemOf(readTable(file, choices), choices, configuration.validation);
  return { problem, configuration, folder, note: undefined, open: () => RunFolder.open(folder), resumed: true };
}

async function execute(job: Job, { json, quiet }: Options, terminal: Terminal, signal: AbortSignal): Promise<number> {
  const { problem, configuration, folder } = job;
  const { target, split, warnings } = problem;
  const [stream, colors] = json ? [terminal.err, terminal.colors.err] : [terminal.out, terminal.colors.out];
  const say = (text: string) => stream.write(text);
  const { backend } = await selectBackend(configuration.backend);
  if (job.note) say(`${colors.yellow("!")} ${job.note}\n`);
  say(`\n${beforehand(problem, configuration, `${backend.name}: ${backend.about}`, colors)}\n`);
  if (warnings.length > 0) say(`${warningText(warnings, colors)}\n`);

  const made = job.resumed ? [] : makeFolders(folder);
  const store = opened(job, made);
  const parts = { train: partOf(problem, split.train), test: partOf(problem, split.test) };
  const validation = split.validation.length > 0 ? partOf(problem, split.validation) : undefined;
  const metric = metricsOf(target.task)[0]!;
  const watch = quiet ? silent : watching(stream, colors, headlineOf(problem, validation, metric));
  try {
    const result = await fitting(job, store, parts.train, validation, metric, watch, signal);
    watch.end();
    if (result.stopReason === "aborted") return interrupted(folder, result, terminal);
    const found = await scores(job, result, parts);
    if (json) terminal.out.write(`${JSON.stringify(report(job, result, found))}\n`);
    say(afterwards(job, result, found, colors));
    return 0;
  } catch (error) {
    watch.end();
    store.close();
    if (!job.resumed && (error instanceof NonFiniteError || !existsSync(store.name))) discard(folder, made);
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

type Fitted = FitResult<ReturnType<typeof network>>;
type Parts = { readonly train: Part; readonly test: Part };

function fitting(
  { problem, configuration, resumed }: Job,
  store: RunFolder,
  train: Part,
  validation: Part | undefined,
  metric: Metric,
  watch: ReturnType<typeof watching>,
  signal: AbortSignal,
): Promise<Fitted> {
  const { recipe, architecture, choices, backend } = configuration;
  const steps = recipe.epochs * Math.ceil(problem.split.train.length / recipe.batch);
  return fit({
    net: network(architecture),
    loss: lossFor(problem.target.task),
    optimizer: ruleOf(recipe),
    lr: scheduleOf(recipe, steps),
    data: { train, ...(validation && { validation }) },
    ...(validation && { metrics: [metric], earlyStopping: { patience: patience(recipe) } }),
    validationBatch: Math.min(validation?.y.shape[0] ?? 1, 4096),
    batch: recipe.batch,
    epochs: recipe.epochs,
    seed: choices.seed,
    backend,
    store,
    resume: resumed,
    signal,
    onProgress: watch.onProgress,
    onEntry: watch.onEntry,
  });
}

/** What is shown of each entry: accuracy, or RMSE in the target's own unit. */
function headlineOf({ target }: Problem, validation: Part | undefined, { name }: Metric): Headline {
  const scale = target.task === "regression" ? target.sd : 1;
  return {
    name: target.task === "regression" ? "RMSE" : name,
    of: ({ metrics }: Entry) => (validation && metrics ? metrics[name]! * scale : undefined),
  };
}

type Found = { readonly train: Score; readonly test: Score };

async function scores({ problem, configuration }: Job, { params, state }: Fitted, parts: Parts): Promise<Found> {
  const net = network(configuration.architecture);
  const of = async ({ x, y }: Part) =>
    score(problem.target, await predict(net, { params, state }, x, { backend: configuration.backend }), y);
  return { train: await of(parts.train), test: await of(parts.test) };
}

function interrupted(folder: string, { epochs, steps }: Fitted, { err, colors }: Terminal): number {
  err.write(
    `\n${colors.err.yellow("Interrupted")} after ${epochs} epochs (step ${steps}); the run is saved in ${folder}.\n` +
      `  go on with: downhill train --resume ${shellWord(folder)}\n`,
  );
  return interruptedCode;
}

/** The line of --json. */
function report({ configuration, folder }: Job, result: Fitted, { train, test }: Found) {
  const { task, choices } = configuration;
  return {
    task,
    backend: result.backend,
    seed: choices.seed,
    epochs: result.epochs,
    steps: result.steps,
    trainLoss: train.loss,
    testLoss: test.loss,
    ...(test.kind === "classes"
      ? { testAccuracy: test.accuracy, ...(test.auc !== undefined && { testAuc: test.auc }) }
      : { testRmse: test.rmse, testMae: test.mae, testR2: test.r2 }),
    testRows: test.rows,
    secondsTraining: result.secondsTraining,
    secondsCompiling: result.secondsCompiling,
    run: folder,
  };
}

function afterwards({ problem, folder }: Job, result: Fitted, { train, test }: Found, colors: Colors): string {
  const { bold, dim, green } = colors;
  const { stopReason, best, epochs } = result;
  const early =
    best === undefined || best.epoch === epochs
      ? ""
      : `, ${stopReason === "early stopping" ? "stopped early, " : ""}kept the model of epoch ${best.epoch}`;
  const compiling = result.secondsCompiling >= 0.1 ? ` (and ${duration(result.secondsCompiling)} to compile)` : "";
  const file = shellWord(problem.table.source);
  return [
    wrapped(`Trained ${epochs} epochs in ${duration(result.secondsTraining)}${compiling}${early}.`, 80, ""),
    "",
    bold("Held-out test rows"),
    scoreText(problem.target, test, colors),
    `  ${dim(headline(train, "training"))}`,
    "",
    `The model is in ${bold(join(folder, "model.safetensors"))}; to use it:`,
    `  downhill predict ${shellWord(folder)} ${file}`,
    `  downhill eval ${shellWord(folder)} ${file}`,
    "",
    green(headline(test, "held-out")),
    "",
  ].join("\n");
}

type Colors = Terminal["colors"]["out"];

// ---- the folder --------------------------------------------------------------------------------------------------------

/** runs/mail-1, or the next number that is free. */
function freeFolder(name: string): string {
  for (let n = 1; ; n++) {
    const folder = join("runs", `${name}-${n}`);
    if (!existsSync(folder)) return folder;
  }
}

/** Refused before any work is done, and not after it. */
function requireFree(folder: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) fail(`${folder}: this is a file, not a folder`, "choose another --out");
  if (existsSync(join(folder, "run.json"))) {
    fail(`${folder}: the folder already holds a run`, `go on with it: --resume ${folder}, or choose another --out`);
  }
}

/**
 * A training that could not begin, or that left the numbers, leaves nothing behind; one that failed to save what it had
 * keeps its last checkpoint. `made`: the folders that are ours.
 */
function discard(folder: string, made: readonly string[]): void {
  for (const name of readdirSync(folder)) if (ours.test(name)) rmSync(join(folder, name));
  removeEmpty(made);
}

function removeEmpty(made: readonly string[]): void {
  for (const path of made.toReversed()) if (readdirSync(path).length === 0) rmdirSync(path);
}

const ours = /^(?:run\.json|journal\.jsonl|(?:model|checkpoint)\.safetensors)$/;
