/** `downhill eval`: how good a trained model is on a table that holds the answers, on labelled images, or on a text. */
import { Command } from "commander";
import { readText } from "../data/files.ts";
import type { Target } from "../data/target.ts";
import { fail } from "../ir/fail.ts";
import { predict } from "../train/index.ts";
import { describedRun, named, trainedImages, trainedText } from "./configuration.ts";
import { passage, requireWindow } from "./corpus.ts";
import { languageScore } from "./language.ts";
import { labelledAt } from "./pictures.ts";
import { load, requireNone, type UseOptions, usingOptions, where } from "./predict.ts";
import { shaped } from "./problem.ts";
import { type Score, score } from "./score.ts";
import { headline, scoreText } from "./summary.ts";
import type { Terminal } from "./terminal.ts";
import { flag } from "./train/job.ts";
import { scoreLine } from "./train/text.ts";
import { evaluationBatch } from "./vision.ts";

type Options = UseOptions & { readonly json?: true; readonly labels?: string };

export function evalCommand(terminal: Terminal): Command {
  return usingOptions(new Command("eval").helpOption("-h, --help", "explain this command"))
    .description("Measure a trained model on a table that has the target column, on labelled images, or on a text.")
    .option("--labels <file>", "of images in IDX: their classes, in IDX too")
    .option("--json", "one line of JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  $ downhill eval runs/mail-1 other-mail.csv\n  $ downhill eval runs/novel-1 other-novel.txt --json",
    )
    .action((run: string, data: string, options: Options) => {
      const { kind } = describedRun(run).configuration;
      if (options.labels !== undefined && kind !== "images") {
        fail(`--labels is an option of images, and ${run} was trained on ${named[kind][0]}`);
      }
      if (kind === "images") return evalImages(run, data, options, terminal);
      return kind === "text" ? evalText(run, data, options, terminal) : evalTable(run, data, options, terminal);
    });
}

async function evalTable(run: string, data: string, options: Options, terminal: Terminal): Promise<void> {
  const { trained, table, x } = load(run, data, options, terminal, true);
  const { target, net, model } = trained;
  const truth = shaped(target, target.encode(table));
  const outputs = await predict(net, model, x, where(options));
  say(target, score(target, outputs, truth), run, options, terminal);
}

async function evalImages(run: string, data: string, options: Options, terminal: Terminal): Promise<void> {
  requireNone(options, run);
  const { net, model, target, configuration } = trainedImages(run);
  const labels = target.task === "regression" ? [] : target.labels.map(String);
  const { x, y } = labelledAt(data, options.labels, configuration.architecture, labels);
  const batch = evaluationBatch(configuration.architecture);
  const outputs = await predict(net, model, x, { ...where(options), batch });
  say(target, score(target, outputs, shaped(target, y)), run, options, terminal);
}

function say(target: Target, found: Score, run: string, options: Options, terminal: Terminal): void {
  if (options.json) terminal.out.write(`${JSON.stringify({ task: target.task, ...plain(found), run })}\n`);
  else {
    const colors = terminal.colors.out;
    terminal.out.write(`${scoreText(target, found, colors)}\n${colors.green(headline(found, ""))}\n`);
  }
}

async function evalText(run: string, data: string, options: Options, { out, colors }: Terminal): Promise<void> {
  const foreign = (["header", "delimiter"] as const).find((name) => options[name] !== undefined);
  if (foreign !== undefined) fail(`${flag(foreign)} is an option of tables, and ${run} was trained on a text`);
  const { configuration, model, tokenizer } = trainedText(run);
  const { architecture } = configuration;
  const text = passage(tokenizer, readText(data), options.unseen === "other" ? "drop" : "refuse");
  requireWindow(text, architecture.context, data);
  const found = await languageScore(architecture, model, text, where(options));
  if (options.json) out.write(`${JSON.stringify({ task: "text", ...found, run })}\n`);
  else out.write(`${colors.out.green(scoreLine(found, tokenizer.kind))}\n`);
}

/** A score without what says how it is to be read. */
const plain = ({ kind: _, ...numbers }: Score) => numbers;
