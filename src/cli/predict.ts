/** `downhill predict`: what a trained model says about the rows of a file or about images, as CSV. */
import { Command } from "commander";
import { readCsv } from "../data/files.ts";
import type { Kind } from "../data/table.ts";
import type { Target } from "../data/target.ts";
import type { Warning } from "../data/warning.ts";
import { fail } from "../ir/fail.ts";
import type { Value } from "../ir/value.ts";
import type { BackendName } from "../run/backend.ts";
import type { RunOptions } from "../run/run.ts";
import { backendNames } from "../run/select.ts";
import { classesOf, predict, probabilities } from "../train/index.ts";
import { describedRun, type TrainedTable, trainedImages, trainedTable } from "./configuration.ts";
import * as parse from "./options.ts";
import { picturesAt } from "./pictures.ts";
import { csvOptions } from "./problem.ts";
import { warningText } from "./summary.ts";
import { type Terminal, widthOf } from "./terminal.ts";
import { flag } from "./train/job.ts";
import { evaluationBatch } from "./vision.ts";
import { writeWhole } from "./write.ts";

export type UseOptions = {
  readonly header?: boolean;
  readonly delimiter?: string;
  readonly unseen?: "error" | "other";
  readonly backend?: BackendName | "auto";
  readonly threads?: number;
};

/** On what the model computes. */
export const where = ({ backend, threads }: UseOptions): RunOptions => ({ backend, threads });

/** What predict and eval have in common: a run, a file, and how that file differs from the one of training. */
export function usingOptions(make: Command): Command {
  return make
    .argument("<run>", "the folder of a run, such as runs/mail-1")
    .argument("<data>", "a CSV file with the columns of training, in any order, images, or for eval a text")
    .option(
      "--unseen <what>",
      "a category, or of a text a character, that training never saw: error, or other (counts as none)",
      parse.oneOf(["error", "other"]),
    )
    .option("--header", "the first line holds the names of the columns")
    .option("--no-header", "it does not: columns are column1, column2, …")
    .option("--delimiter <character>", "between cells; as in training unless given", parse.character)
    .option("--backend <name>", `auto, ${backendNames.join(", ")}`, parse.oneOf(["auto", ...backendNames]))
    .option("--threads <n>", parse.threadsAre, parse.threads);
}

export function predictCommand(terminal: Terminal): Command {
  return usingOptions(new Command("predict").helpOption("-h, --help", "explain this command"))
    .description("Write what a trained model predicts for each row of a file, or each image, as CSV.")
    .option("-o, --out <file>", "where to write; stdout unless given")
    .addHelpText(
      "after",
      `
Examples:
  $ downhill predict runs/mail-1 new-mail.csv
  $ downhill predict runs/mail-1 new-mail.csv --out answers.csv
  $ downhill predict runs/photos-1 holiday.jpg`,
    )
    .action(async (run: string, data: string, options: UseOptions & { out?: string }) => {
      const images = describedRun(run).configuration.kind === "images";
      const text = images ? await aboutImages(run, data, options) : await aboutRows(run, data, options, terminal);
      if (options.out === undefined) terminal.out.write(text);
      else writeWhole(options.out, text);
    });
}

async function aboutRows(run: string, data: string, options: UseOptions, terminal: Terminal): Promise<string> {
  const { trained, x } = load(run, data, options, terminal);
  const outputs = await predict(trained.net, trained.model, x, where(options));
  return answers(trained.target, outputs);
}

async function aboutImages(run: string, data: string, options: UseOptions): Promise<string> {
  requireNone(options, run);
  const { net, model, target, configuration } = trainedImages(run);
  const { x, files } = picturesAt(data, configuration.architecture);
  const batch = evaluationBatch(configuration.architecture);
  return answers(target, await predict(net, model, x, { ...where(options), batch }), files);
}

/** Throws where an option of tables is given for a run that was trained on images. */
export function requireNone(options: UseOptions, run: string): void {
  const foreign = (["header", "delimiter", "unseen"] as const).find((name) => options[name] !== undefined);
  if (foreign !== undefined) fail(`${flag(foreign)} is an option of tables, and ${run} was trained on images`);
}

/** A run, and a file as its network sees it. Warnings go to stderr. */
export function load(run: string, data: string, options: UseOptions, { err, colors }: Terminal, withTarget = false) {
  const trained = trainedTable(run);
  const { configuration, encoder, target } = trained;
  const {
    header = configuration.choices.header,
    delimiter = configuration.choices.delimiter,
    unseen = "error",
  } = options;
  const reading = {
    ...configuration.choices,
    ...(header !== undefined && { header }),
    ...(delimiter !== undefined && { delimiter }),
  };
  const table = readCsv(data, csvOptions(reading, kindsOf(trained, withTarget)));
  const { x, warnings } = encoder.transform(table, { unseen });
  const worth = warnings.filter(({ kind }) => kind !== ("extra-columns" satisfies Warning["kind"]) || !withTarget);
  if (worth.length > 0) err.write(warningText(worth, colors.err, widthOf(err)));
  return { trained, target, table, x };
}

/** Columns as training read them; those it did not use may hold anything. */
function kindsOf({ encoder, target }: TrainedTable, withTarget: boolean): Record<string, Kind> {
  const kinds: Record<string, Kind> = { ...encoder.kinds };
  for (const name of encoder.toJSON().ignored) kinds[name] = "categorical";
  const texts = target.task !== "regression" && target.labels.some((label) => typeof label === "string");
  kinds[target.name] = withTarget && !texts ? "numeric" : "categorical";
  return kinds;
}

/** One line per row, after its file where it has one: the prediction and, of classes, the probability of each. */
function answers(target: Target, outputs: Value, files?: readonly string[]): string {
  const lines: string[] = [];
  if (target.task === "regression") {
    lines.push("prediction");
    for (const z of outputs.data) lines.push(number(target.decode(z), 7));
  } else {
    const k = target.labels.length;
    const p = probabilities(outputs);
    const of = (row: number, c: number) => (k > 2 ? p[row * k + c]! : c === 1 ? p[row]! : 1 - p[row]!);
    lines.push(
      [...(files ? ["file"] : []), "prediction", ...target.labels.map((label) => cell(`p(${label})`))].join(","),
    );
    classesOf(outputs).forEach((c, row) => {
      const shares = target.labels.map((_, at) => number(of(row, at), 6));
      const from = files ? [cell(files[row]!)] : [];
      lines.push([...from, cell(String(target.decode(c))), ...shares].join(","));
    });
  }
  return `${lines.join("\n")}\n`;
}

function number(x: number, digits: number): string {
  if (!Number.isFinite(x))
    fail(
      `the model predicts ${x}`,
      "a cell of this row is far outside of what training saw, or the model is not usable",
    );
  return String(Number(x.toPrecision(digits)));
}

/** RFC 4180: quotes around a cell that holds a comma, a quote or an end of line. */
const cell = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
