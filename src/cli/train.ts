/** `downhill train`: from data to a trained model in a folder. What is trained depends on the kind of data. */
import { Command, Option } from "commander";
import type { Task } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import { optimizers, schedules } from "../optim/index.ts";
import { backendNames } from "../run/select.ts";
import * as parse from "./options.ts";
import { models } from "./recipe.ts";
import type { Terminal } from "./terminal.ts";
import { execute, type Job, type Telling } from "./train/job.ts";
import { freshTable, resumedTable, type TableOptions } from "./train/table.ts";

type Options = TableOptions & Telling & { readonly resume?: string };

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
function readingOptions(make: Command): Command {
  return make
    .addOption(new Option("--header", "the first line holds the names of the columns"))
    .addOption(new Option("--no-header", "it does not: columns are column1, column2, …"))
    .option("--delimiter <character>", "between cells; guessed among , ; and tab unless given", parse.character)
    .option("--decimal <mark>", 'of numbers: "." unless "," is given', parse.oneOf([".", ","]))
    .option("--missing <word>", "a cell that means missing, besides empty, NA, ? …", parse.collected)
    .option("--categorical <columns>", "columns that hold categories, although they look like numbers", parse.collected)
    .option("--numeric <columns>", "columns that hold numbers", parse.collected);
}

async function train(data: string | undefined, options: Options, terminal: Terminal): Promise<number> {
  const job = options.resume === undefined ? await fresh(data, options) : await resumed(data, options.resume, options);
  return terminal.interruptible((signal) => execute(job, options, terminal, signal));
}

function fresh(data: string | undefined, options: Options): Promise<Job> {
  if (data === undefined) fail("train: name a data file", "downhill train data.csv --target column");
  return freshTable(data, options);
}

const resumed = (data: string | undefined, folder: string, options: Options): Promise<Job> =>
  resumedTable(data, folder, options);
