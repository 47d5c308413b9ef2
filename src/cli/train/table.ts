/** Training on a table: one column is predicted from the others. */
import { join, resolve } from "node:path";
import type { Task } from "../../data/target.ts";
import { fail } from "../../ir/fail.ts";
import type { BackendName } from "../../run/backend.ts";
import type { RunOptions } from "../../run/run.ts";
import { selectBackend } from "../../run/select.ts";
import { RunFolder } from "../../train/folder.ts";
import { type Entry, type FitResult, fit, metricsOf, predict } from "../../train/index.ts";
import { command, describedTable, type TableConfiguration } from "../configuration.ts";
import { lossFor, network, outputsFor } from "../network.ts";
import * as parse from "../options.ts";
import { fingerprint, type Part, type Problem, partOf, problemOf, type Reading, readTable } from "../problem.ts";
import type { Headline } from "../progress.ts";
import {
  architecture,
  patience,
  recipe,
  ruleOf,
  type Shape,
  scheduleOf,
  stepsPerEpoch,
  unasked,
  validationShare,
  type Wishes,
} from "../recipe.ts";
import { type Score, score } from "../score.ts";
import { beforehand, headline, scoreText, warningText } from "../summary.ts";
import type { Colors } from "../terminal.ts";
import { counted, grouped, shellWord, stem } from "../text.ts";
import { freeFolder, requireFree } from "./folder.ts";
import { type Job, type Outcome, requireSettled, sameData, trainedLine, type Watched } from "./job.ts";

export type TableOptions = {
  readonly target?: string;
  readonly task?: Task;
  readonly drop?: readonly string[];
  readonly keep?: readonly string[];
  readonly seed?: number;
  readonly testFraction?: number;
  readonly backend?: BackendName | "auto";
  readonly out?: string;
} & Wishes &
  Reading;

/** A new training. Throws where the table poses no problem, or wishes contradict it. */
export async function freshTable(data: string, options: TableOptions): Promise<Job> {
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
  const configuration: TableConfiguration = {
    command,
    kind: "table",
    task: shape.task,
    choices,
    validation,
    recipe: chosen,
    architecture: net,
    backend: backend.name,
    target: problem.target.toJSON(),
    encoder: problem.encoder.toJSON(),
  };
  const description = {
    file: resolve(data),
    fingerprint: fingerprint(data),
    rows: table.rows,
    columns: table.columns.length,
  };
  const open = () => RunFolder.create(folder, { seed, configuration, data: description });
  return jobOf(problem, configuration, { folder, note, open, resumed: false });
}

/** A training that goes on. Throws where the data or the options are not those it began with. */
export async function resumedTable(data: string | undefined, folder: string, options: TableOptions): Promise<Job> {
  const { configuration, data: description } = describedTable(folder);
  const { recipe, choices, backend, task } = configuration;
  requireSettled(options, { ...unasked, ...choices, ...recipe, backend, task, out: folder });
  const file = sameData(data, folder, description);
  const problem = problemOf(readTable(file, choices), choices, configuration.validation);
  return jobOf(problem, configuration, {
    folder,
    note: undefined,
    open: () => RunFolder.open(folder),
    resumed: true,
  });
}

/** Which of the options say how a file is read. */
function readingOf({ header, delimiter, decimal, missing, categorical, numeric }: Reading): Reading {
  return {
    ...(header !== undefined && { header }),
    ...(delimiter !== undefined && { delimiter }),
    ...(decimal !== undefined && { decimal }),
    ...(missing !== undefined && { missing }),
    ...(categorical !== undefined && { categorical }),
    ...(numeric !== undefined && { numeric }),
  };
}

type Parts = { readonly train: Part; readonly validation: Part | undefined; readonly test: Part };

function jobOf(
  problem: Problem,
  configuration: TableConfiguration,
  kept: Pick<Job, "folder" | "note" | "open" | "resumed">,
): Job {
  const { split, warnings } = problem;
  const parts: Parts = {
    train: partOf(problem, split.train),
    validation: split.validation.length > 0 ? partOf(problem, split.validation) : undefined,
    test: partOf(problem, split.test),
  };
  return {
    ...kept,
    backend: configuration.backend,
    beforehand: (backend, colors, width) =>
      `${beforehand(problem, configuration, backend, colors, width)}\n` +
      (warnings.length > 0 ? `${warningText(warnings, colors, width)}\n` : ""),
    headline: headlineOf(problem, parts.validation),
    fit: (watched) => fitting(problem, configuration, parts, watched),
    done: ({ epochs, steps }) => `${counted(epochs, "epoch")} (step ${grouped(steps)})`,
    async measure(result, where) {
      const found = await scores(problem, configuration, result, parts, where);
      return {
        report: report(configuration, kept.folder, result, found),
        text: (colors, width) => afterwards(problem, kept.folder, result, found, colors, width),
      } satisfies Outcome;
    },
  };
}

type Fitted = FitResult<ReturnType<typeof network>>;

function fitting(
  { split, target }: Problem,
  { recipe, architecture, choices, backend }: TableConfiguration,
  { train, validation }: Parts,
  watched: Watched,
): Promise<Fitted> {
  const steps = recipe.epochs * stepsPerEpoch(split.train.length, recipe);
  const metric = metricsOf(target.task)[0]!;
  return fit({
    net: network(architecture),
    loss: lossFor(target.task),
    optimizer: ruleOf(recipe, steps),
    lr: scheduleOf(recipe, steps),
    data: { train, ...(validation && { validation }) },
    ...(validation && { metrics: [metric], earlyStopping: { patience: patience(recipe) } }),
    validationBatch: Math.min(validation?.y.shape[0] ?? 1, 4096),
    batch: recipe.batch,
    accumulate: recipe.accumulate ?? 1,
    precision: recipe.precision,
    epochs: recipe.epochs,
    seed: choices.seed,
    backend,
    ...watched,
  });
}

/** What is shown of each entry: accuracy, or RMSE in the target's own unit. */
function headlineOf({ target }: Problem, validation: Part | undefined): Headline {
  const { name } = metricsOf(target.task)[0]!;
  const scale = target.task === "regression" ? target.sd : 1;
  return {
    name: target.task === "regression" ? "RMSE" : name,
    of: ({ metrics }: Entry) => (validation && metrics ? metrics[name]! * scale : undefined),
  };
}

type Found = { readonly train: Score; readonly test: Score };

async function scores(
  { target }: Problem,
  { architecture }: TableConfiguration,
  { params, state }: Fitted,
  parts: Parts,
  where: RunOptions,
): Promise<Found> {
  const net = network(architecture);
  const of = async ({ x, y }: Part) => score(target, await predict(net, { params, state }, x, where), y);
  return { train: await of(parts.train), test: await of(parts.test) };
}

/** The line of --json. */
function report({ task, choices }: TableConfiguration, folder: string, result: Fitted, { train, test }: Found) {
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

function afterwards(
  { table, target }: Problem,
  folder: string,
  result: Fitted,
  { train, test }: Found,
  colors: Colors,
  width: number,
): string {
  const { bold, dim, green } = colors;
  const { stopReason, best, epochs } = result;
  const early =
    best === undefined || best.epoch === epochs
      ? ""
      : `, ${stopReason === "early stopping" ? "stopped early, " : ""}kept the model of epoch ${best.epoch}`;
  const file = shellWord(table.source);
  return [
    trainedLine(`${epochs} epochs`, result, width, early),
    "",
    bold("Held-out test rows"),
    scoreText(target, test, colors),
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
