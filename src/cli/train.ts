/** `downhill train`: from data to a trained model in a folder. What is trained depends on the kind of data. */
import { Command, Option } from "commander";
import { precisions } from "../compile/precision.ts";
import type { Task } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import { optimizers, schedules } from "../optim/index.ts";
import { backendNames } from "../run/select.ts";
import { describedRun, type Kind, named } from "./configuration.ts";
import * as parse from "./options.ts";
import { isFolder, isIdx } from "./pictures.ts";
import { models } from "./recipe.ts";
import type { Terminal } from "./terminal.ts";
import { freshImages, type ImagesOptions, resumedImages } from "./train/images.ts";
import { execute, flag, type Job, type Telling } from "./train/job.ts";
import { freshTable, resumedTable, type TableOptions } from "./train/table.ts";
import { freshText, resumedText, type TextOptions } from "./train/text.ts";
import { augmentations, visionModels } from "./vision.ts";

type Options = Omit<TableOptions, "model"> &
  TextOptions &
  Omit<ImagesOptions, "model"> &
  Telling & { readonly model?: (typeof modelNames)[number]; readonly resume?: string };

const words = <K extends string>(table: Readonly<Record<K, unknown>>) => Object.keys(table) as K[];
const tasks: readonly Task[] = ["binary", "multiclass", "regression"];
const modelNames = [...models, "cnn", "gpt"] as const;

export function trainCommand(terminal: Terminal, done: (code: number) => void): Command {
  const make = new Command("train")
    .helpOption("-h, --help", "explain this command")
    .description("Train a model on a table, a text or images, and say how good it is.")
    .argument("[data]", "a table (.csv), a text (.txt), a folder of class folders of images, or images in IDX; .gz too")
    .optionsGroup("Model:")
    .option(
      "--model <name>",
      `${models.join(" or ")} of a table, gpt of a text, cnn, mlp or linear of images`,
      parse.oneOf(modelNames),
    )
    .option("--dropout <rate>", "part of each hidden layer that is left out in training", parse.rate)
    .optionsGroup("Training:")
    .option("--optimizer <name>", words(optimizers).join(", "), parse.optimizer)
    .option("--lr <rate>", "the learning rate, at its highest", parse.positive)
    .option("--schedule <name>", words(schedules).join(", "), parse.oneOf(words(schedules)))
    .option("--weight-decay <rate>", "how strongly weights are drawn to 0", parse.notNegative)
    .option("--batch <rows>", 'rows, or windows of a text, per step; or "full"', parse.batch)
    .option("--accumulate <n>", "batches per step, as one large batch; 1 unless given", parse.count)
    .option(
      "--average <kind>",
      "keep an average of the weights: ema, ema:<decay> or swa; none unless given",
      parse.average,
    )
    .option(
      "--precision <name>",
      "f32; bf16 for faster products of large matrices; f16, with a scaled loss; f64",
      parse.oneOf(precisions),
    )
    .option("--seed <n>", "of the split, the first weights and the order; 1 unless given", parse.seed)
    .option("--test-fraction <share>", "held out for the test; 0.2 of rows, 0.1 of a text unless given", parse.share)
    .option("--backend <name>", `auto, ${backendNames.join(", ")}`, parse.oneOf(["auto", ...backendNames]))
    .option("--threads <n>", parse.threadsAre, parse.threads)
    .optionsGroup("Tables and images:")
    .option("--hidden <widths>", "of the hidden layers, such as 128,64; channels of a cnn, such as 16,32", parse.widths)
    .option("--epochs <n>", "passes over the training data", parse.count)
    .optionsGroup("Tables:")
    .option("-t, --target <column>", "the column to predict")
    .option("--task <task>", `${tasks.join(", ")}; seen from the target unless given`, parse.oneOf(tasks));
  return readingOptions(make)
    .option("--drop <columns>", "columns not to use (again for more, or commas)", parse.collected)
    .option("--keep <columns>", "columns to use although they look like identifiers", parse.collected)
    .optionsGroup("Texts:")
    .option("--context <tokens>", "how much of the text the model sees at once; 64 unless given", parse.count)
    .option("--layers <n>", "blocks of attention; 4 unless given", parse.count)
    .option("--heads <n>", "of each attention; 4 unless given", parse.count)
    .option("--width <n>", "of the vectors between the layers; 128 unless given", parse.count)
    .option("--steps <n>", "updates in all; 2000 unless given", parse.count)
    .option("--checkpoint", "compute blocks again for the gradient: less memory, more time, the same bits")
    .option("--tokenizer <kind>", "char, bpe, or the path of a tokenizer.json; char unless given")
    .option("--vocabulary <n>", "tokens of bpe; 1000 unless given", parse.count)
    .optionsGroup("Images:")
    .option("--size <pixels>", "height and width that all images get; theirs, at most 64, unless given", parse.count)
    .option("--augment <changes>", "at random in training: flip (left to right), crop, or flip,crop", augmentsOf)
    .option("--labels <file>", "of images in IDX: their classes, in IDX too")
    .option("--test-images <file>", "images to be judged on, instead of a part held out")
    .option("--test-labels <file>", "their classes")
    .optionsGroup("Output:")
    .option("-o, --out <folder>", "where the run is kept; runs/<data>-<number> unless given")
    .option("--resume <run>", "go on with a run that was interrupted, with its own settings")
    .option("--tensorboard <folder>", "charts of the training, for tensorboard --logdir <folder>")
    .option("--json", "end with one line of JSON, and nothing else on stdout")
    .option("-q, --quiet", "no progress")
    .addHelpText(
      "after",
      `
Examples:
  $ downhill train mail.csv --target spam
  $ downhill train mail.csv --target spam --model linear --out runs/linear
  $ downhill train houses.csv --target price --hidden 256,128 --lr 0.001
  $ downhill train novel.txt
  $ downhill train novel.txt --tokenizer bpe --context 128 --steps 5000
  $ downhill train photos/ --size 64 --augment flip,crop
  $ downhill train train-images-idx3-ubyte --labels train-labels-idx1-ubyte
  $ downhill train --resume runs/mail-1

What optimizers and schedules do, and when to take each: docs/optimizers.md`,
    )
    .action(async (data: string | undefined, options: Options) => {
      done(await train(data, options, terminal));
    });
}

/** Each once, however often it is named. */
const augmentsOf = (text: string) => [
  ...new Set(text.split(",").map((word) => parse.oneOf(augmentations)(word.trim()))),
];

/** How a table is read. */
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
  if (data === undefined) {
    fail("train: name a data file", "downhill train data.csv --target column, or downhill train novel.txt");
  }
  const kind = kindOf(data, options);
  requireModelOf(kind, options.model, data);
  requireOwn(kind, options, data);
  if (kind === "images") return freshImages(data, options as ImagesOptions);
  return kind === "text" ? freshText(data, options) : freshTable(data, options as TableOptions);
}

function resumed(data: string | undefined, folder: string, options: Options): Promise<Job> {
  const { kind } = describedRun(folder).configuration;
  requireOwn(kind, options, folder);
  if (kind === "images") return resumedImages(data, folder, options as ImagesOptions);
  return kind === "text" ? resumedText(data, folder, options) : resumedTable(data, folder, options as TableOptions);
}

/**
 * Labels are those of images, and so are a folder and IDX, which its first bytes tell. Else by what is asked for: a column
 * to predict is one of a table, tokens are those of a text. Else by the name of the file, and gpt takes any other name.
 */
function kindOf(data: string, { model, target, tokenizer, labels }: Options): Kind {
  if (labels !== undefined || isIdx(data) || (isFolder(data) && target === undefined)) return "images";
  if (tokenizer !== undefined) return "text";
  if (target !== undefined || /\.[ct]sv(\.gz)?$/i.test(data)) return "table";
  return /\.txt(\.gz)?$/i.test(data) || model === "gpt" ? "text" : "table";
}

/** Models that each kind of data has. */
const modelsOf: Record<Kind, readonly string[]> = { table: models, text: ["gpt"], images: visionModels };

/** Throws where this kind of data has no such model. */
function requireModelOf(kind: Kind, model: string | undefined, name: string): void {
  const known = modelsOf[kind];
  if (model === undefined || known.includes(model)) return;
  const [one, all] = named[kind];
  const hints: Record<Kind, string> = {
    table: model === "gpt" ? "to train on it as a text, say --tokenizer char" : "choose one of these",
    text: model === "cnn" ? "leave --model out" : "if it is a table, say which column to predict with --target",
    images: "choose one of these",
  };
  fail(
    `--model ${model} is no model of ${all} (${known.length > 1 ? "they are" : "it is"} ${known.join(", ")}), ` +
      `and ${name} is trained as ${one}`,
    hints[kind],
  );
}

/** Options that not every kind of data has. */
const own: Record<Kind, readonly (keyof Options)[]> = {
  table: [
    ...(["target", "task", "hidden", "epochs", "drop", "keep"] as const),
    ...(["header", "delimiter", "decimal", "missing", "categorical", "numeric"] as const),
  ],
  text: ["context", "layers", "heads", "width", "steps", "checkpoint", "tokenizer", "vocabulary"],
  images: ["hidden", "epochs", "size", "augment", "labels", "testImages", "testLabels"],
};

/** Throws where an option is given that this kind of data does not have. */
function requireOwn(kind: Kind, options: Options, name: string): void {
  for (const other of words(own)) {
    const foreign = own[other].find((option) => options[option] !== undefined && !own[kind].includes(option));
    if (foreign === undefined) continue;
    const [one] = named[kind];
    const [, all] = named[other];
    fail(
      `${flag(foreign)} is an option of ${all}, and ${name} is trained as ${one}`,
      foreign === "epochs"
        ? "say how long with --steps"
        : `see ${all[0]!.toUpperCase()}${all.slice(1)} in downhill train --help`,
    );
  }
}
