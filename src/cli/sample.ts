/** `downhill sample`: what a trained language model writes, token by token. */
import { Command } from "commander";
import { TextStream, type Tokenizer } from "../data/tokenizer.ts";
import { DownhillError, fail } from "../ir/fail.ts";
import type { BackendName } from "../run/backend.ts";
import { backendNames } from "../run/select.ts";
import { generate, type Sampling } from "../train/index.ts";
import { trainedText } from "./configuration.ts";
import * as parse from "./options.ts";
import { abandoned, interruptedCode, type Terminal } from "./terminal.ts";

type Options = Sampling & {
  readonly prompt?: string;
  readonly tokens?: number;
  readonly seed?: number;
  readonly backend?: BackendName | "auto";
  readonly threads?: number;
  readonly json?: true;
};

export function sampleCommand(terminal: Terminal, done: (code: number) => void): Command {
  return new Command("sample")
    .helpOption("-h, --help", "explain this command")
    .description("Write text with a trained language model.")
    .argument("<run>", "the folder of a run that was trained on a text")
    .option("--prompt <text>", "what the text begins with; a new line unless given")
    .option("--tokens <n>", "how many tokens to write; 200 unless given", parse.count)
    .option(
      "--temperature <t>",
      "0 always takes the likeliest token, 1 what the model says; 0.8 unless given",
      parse.notNegative,
    )
    .option("--top-k <k>", "choose among the k likeliest tokens only", parse.count)
    .option("--top-p <p>", "choose among the fewest that have this probability together", parse.probability)
    .option("--seed <n>", "the same seed writes the same text; 1 unless given", parse.seed)
    .option("--backend <name>", `auto, ${backendNames.join(", ")}`, parse.oneOf(["auto", ...backendNames]))
    .option("--threads <n>", parse.threadsAre, parse.threads)
    .option("--json", "one line of JSON, at the end")
    .addHelpText(
      "after",
      `
Examples:
  $ downhill sample runs/novel-1
  $ downhill sample runs/novel-1 --prompt "It is a truth" --tokens 500 --top-k 40
  $ downhill sample runs/novel-1 --temperature 0 --json`,
    )
    .action(async (run: string, options: Options) => {
      done(await terminal.interruptible((signal) => sample(run, options, terminal, signal)));
    });
}

async function sample(run: string, options: Options, { out }: Terminal, signal: AbortSignal): Promise<number> {
  const { configuration, net, model, tokenizer } = trainedText(run);
  const { prompt = "", tokens = 200, temperature = 0.8, topK, topP, seed = 1, backend, threads, json } = options;
  const begin = beginning(prompt, tokenizer, configuration.opening);
  const text = new TextStream(tokenizer, begin);
  const said = { text: "", tokens: 0 };
  const say = (part: string) => {
    said.text += part;
    if (!json) out.write(part);
  };
  if (!json) out.write(prompt);
  const { context } = configuration.architecture;
  const narrowed = { ...(topK !== undefined && { topK }), ...(topP !== undefined && { topP }) };
  const all = { prompt: begin, tokens, context, temperature, ...narrowed, seed, backend, threads };
  for await (const token of generate(net, model, all)) {
    said.tokens++;
    say(text.push(token));
    if (signal.aborted || abandoned(out)) break;
  }
  say(text.end());
  out.write(json ? `${JSON.stringify({ run, prompt, ...said, seed, temperature, ...narrowed })}\n` : "\n");
  return signal.aborted ? interruptedCode : 0;
}

/** Throws where the prompt holds what the tokenizer does not know. */
function beginning(prompt: string, tokenizer: Tokenizer, opening: readonly number[]): ArrayLike<number> {
  const tokens = encoded(prompt, tokenizer);
  return tokens.length > 0 ? tokens : opening;
}

function encoded(prompt: string, tokenizer: Tokenizer): ArrayLike<number> {
  try {
    return tokenizer.encode(prompt);
  } catch (error) {
    if (!(error instanceof DownhillError)) throw error;
    const [what] = error.message.split("\n");
    return fail(`--prompt: ${what}`, "use characters that are in the text of training");
  }
}
