/**
 * The command line: which commands there are, and what becomes of an error.
 *
 *   0    done
 *   1    a fault of ours
 *   2    a mistake in what was given: the message says what and where, without a stack trace
 *   130  interrupted
 */
import { Command, CommanderError } from "commander";
import { DownhillError } from "../ir/fail.ts";
import { evalCommand } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { infoCommand } from "./info.ts";
import { predictCommand } from "./predict.ts";
import { profileCommand } from "./profile.ts";
import { sampleCommand } from "./sample.ts";
import { processTerminal, type Terminal, widthOf } from "./terminal.ts";
import { trainCommand } from "./train.ts";
import { version } from "./version.ts";

/** Runs one command line, without the program's own name. → the exit code */
export async function main(argv: string[], terminal: Terminal = processTerminal(argv)): Promise<number> {
  let code = 0;
  const done = (result: number) => {
    code = result;
  };
  try {
    // No command at all is a question, not a mistake.
    const asked = argv.some((word) => word !== "--no-color") ? argv : ["--help"];
    await program(terminal, done).parseAsync(asked, { from: "user" });
    return code;
  } catch (error) {
    return explain(error, terminal);
  }
}

function program(terminal: Terminal, done: (code: number) => void): Command {
  const top = new Command("downhill")
    .description("Gradient descent as a compiler: from a table or a text to a trained model, with one command.")
    .version(version, "-V, --version", "print the version")
    .option("--no-color", "plain text (as NO_COLOR in the environment)")
    .helpCommand("help [command]", "explain a command")
    .helpOption("-h, --help", "explain what can be done")
    .addHelpText("after", examples);
  const commands = [
    trainCommand,
    predictCommand,
    sampleCommand,
    evalCommand,
    exportCommand,
    profileCommand,
    infoCommand,
  ].map((make) => make(terminal, done));
  for (const command of commands) top.addCommand(command);
  for (const command of [top, ...commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.out.write(text),
      writeErr: (text) => terminal.err.write(text),
      getOutHelpWidth: () => widthOf(terminal.out),
      getErrHelpWidth: () => widthOf(terminal.err),
      getOutHasColors: () => terminal.colors.out.isColorSupported,
      getErrHasColors: () => terminal.colors.err.isColorSupported,
      outputError: (text, write) => write(terminal.colors.err.red(text)),
    });
    command.configureHelp({ styleTitle: (text) => terminal.colors.out.bold(text) });
  }
  return top;
}

const examples = `
Examples:
  $ downhill train mail.csv --target spam
  $ downhill predict runs/mail-1 new-mail.csv > answers.csv
  $ downhill train novel.txt
  $ downhill sample runs/novel-1 --prompt "It is a truth"
  $ downhill info`;

/** Says what went wrong. → the exit code */
function explain(error: unknown, { err, colors }: Terminal): number {
  const { red, dim } = colors.err;
  if (error instanceof CommanderError) return error.exitCode === 0 || isHelp(error) ? 0 : 2; // it has spoken already
  if (error instanceof DownhillError) {
    const [first = "", ...rest] = inOptions(withoutFrame(error.message)).split("\n");
    err.write(
      `${red("error:")} ${first}\n${rest.map((line) => `${line.startsWith("  hint:") ? line : dim(line)}\n`).join("")}`,
    );
    return 2;
  }
  const message = error instanceof Error ? error.message : String(error);
  err.write(`${red("internal error:")} ${message}\n`);
  if (process.env.DOWNHILL_DEBUG) err.write(`${error instanceof Error ? error.stack : ""}\n`);
  else err.write("  This is a fault of Downhill, not yours. DOWNHILL_DEBUG=1 shows where it happened.\n");
  return 1;
}

/** Help that was asked for: commander calls a command line without any command an error. */
const isHelp = ({ code }: CommanderError): boolean =>
  code === "commander.helpDisplayed" || code === "commander.version";

/** The library's remedies as options of the command line. */
const remedies: readonly (readonly [RegExp, string])[] = [
  [/let unseen categories count as none \(unseen: "other"\)/, "let unseen categories count as none: --unseen other"],
  [/leave out what is unknown \(unknown: "drop"\)/, "leave it out of what is measured with eval --unseen other"],
  [/name ("[^"]*") as a marker of missing cells/, "name $1 as a marker of missing cells with --missing"],
  [/declare the column categorical/, "declare the column categorical with --categorical"],
  [/read the file with the decimal mark ","/, "read the file with --decimal ,"],
  [/say that there is no header/, "say --no-header"],
  [/if this line is the header, say so/, "if this line is the header, say --header"],
  [/make it smaller first, or raise maxPixels/, "make it smaller first: magick large.png -resize 1024x1024 small.png"],
  [/give a smaller size, one channel, or fewer images/, "use fewer images, or in training a smaller --size"],
  [/train a regression on it/, "train a regression on it: --task regression"],
  [
    /the learning rate may be too large: try .*/,
    "the learning rate may be too large: leave out --lr, or try a far smaller one",
  ],
];

const inOptions = (message: string): string =>
  remedies.reduce((text, [phrase, option]) => text.replace(phrase, option), message);

/** The line of code a message points to is ours here, never the user's; the module's path is worth keeping. */
const withoutFrame = (message: string): string =>
  message
    .split("\n")
    .flatMap((line) => {
      if (!line.startsWith("  at ")) return [line];
      const module = /^ {2}at (\S+) \(.*:\d+\)$/.exec(line)?.[1];
      return module ? [`  at ${module}`] : /:\d+$/.test(line) ? [] : [line];
    })
    .join("\n");
