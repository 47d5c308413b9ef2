/** `downhill eval`: how good a trained model is on the rows of a file that holds the answers. */
import { Command } from "commander";
import { predict } from "../train/index.ts";
import { load, type UseOptions, usingOptions } from "./predict.ts";
import { shaped } from "./problem.ts";
import { type Score, score } from "./score.ts";
import { headline, scoreText } from "./summary.ts";
import type { Terminal } from "./terminal.ts";

export function evalCommand(terminal: Terminal): Command {
  return usingOptions(new Command("eval").helpOption("-h, --help", "explain this command"))
    .description("Measure a trained model on a file that has the target column.")
    .option("--json", "one line of JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  $ downhill eval runs/mail-1 other-mail.csv\n  $ downhill eval runs/mail-1 other-mail.csv --json",
    )
    .action(async (run: string, data: string, options: UseOptions & { json?: true }) => {
      const { trained, table, x } = load(run, data, options, terminal, true);
      const { target, net, model } = trained;
      const truth = shaped(target, target.encode(table));
      const outputs = await predict(net, model, x, { backend: options.backend ?? "auto" });
      const found = score(target, outputs, truth);
      if (options.json) terminal.out.write(`${JSON.stringify({ task: target.task, ...plain(found), run })}\n`);
      else {
        const colors = terminal.colors.out;
        terminal.out.write(`${scoreText(target, found, colors)}\n${colors.green(headline(found, ""))}\n`);
      }
    });
}

/** A score without what says how it is to be read. */
const plain = ({ kind: _, ...numbers }: Score) => numbers;
