/** Training on a text: a GPT that says what comes next. */
import { join, resolve } from "node:path";
import { fail } from "../../ir/fail.ts";
import { crossEntropy } from "../../nn/index.ts";
import type { BackendName } from "../../run/backend.ts";
import type { RunOptions } from "../../run/run.ts";
import { selectBackend } from "../../run/select.ts";
import { RunFolder } from "../../train/folder.ts";
import { type Entry, type FitResult, fit, generate, windows } from "../../train/index.ts";
import { command, describedText, type TextConfiguration } from "../configuration.ts";
import {
  type Corpus,
  corpusOf,
  requireChoice,
  requireWindow,
  requireWindows,
  type TextChoices,
  tokenizerFile,
  tokenizerOf,
} from "../corpus.ts";
import {
  evaluationBatch,
  type LanguageScore,
  type LanguageWishes,
  languageArchitecture,
  languageModel,
  languageParameters,
  languageRecipe,
  languageRule,
  languageSchedule,
  languageScore,
} from "../language.ts";
import { fingerprint } from "../problem.ts";
import { unasked } from "../recipe.ts";
import { facts, trainingText } from "../summary.ts";
import type { Colors } from "../terminal.ts";
import { counted, folded, grouped, shellWord, significant, stem } from "../text.ts";
import { discard, freeFolder, requireFree } from "./folder.ts";
import { type Job, requireSettled, sameData, trainedLine, type Watched } from "./job.ts";

export type TextOptions = {
  readonly tokenizer?: string;
  readonly vocabulary?: number;
  readonly seed?: number;
  readonly testFraction?: number;
  readonly backend?: BackendName | "auto";
  readonly out?: string;
  /** Blocks are computed again for the gradient. As it changes no number, a resumed run may be told otherwise. */
  readonly checkpoint?: true;
} & LanguageWishes;

/** A new training. Throws where the file is no text, or too short, and where wishes contradict each other. */
export async function freshText(data: string, options: TextOptions): Promise<Job> {
  const { vocabulary, seed = 1, testFraction = 0.1 } = options;
  const tokenizer = options.tokenizer ?? (vocabulary === undefined ? "char" : "bpe");
  if (vocabulary !== undefined && tokenizer !== "bpe") {
    fail(
      `--vocabulary ${vocabulary}: only byte pairs are learnt to a number of tokens, not --tokenizer ${tokenizer}`,
      "leave one of them out",
    );
  }
  const folder = options.out ?? freeFolder(stem(data));
  requireFree(folder);
  const choices: TextChoices = { tokenizer, testFraction, seed, ...(vocabulary !== undefined && { vocabulary }) };
  const recipe = languageRecipe(options);
  const corpus = corpusOf(data, choices);
  const architecture = languageArchitecture(options, corpus.tokenizer.size);
  const { backend, note } = await selectBackend(options.backend ?? "auto");
  const configuration: TextConfiguration = {
    command,
    kind: "text",
    choices,
    recipe,
    architecture,
    backend: backend.name,
    opening: openingOf(corpus),
  };
  const { train, test } = corpus;
  const description = {
    file: resolve(data),
    fingerprint: fingerprint(data),
    characters: train.characters + test.characters,
    tokens: train.tokens.data.length + test.tokens.data.length,
  };
  const open = () => {
    const store = RunFolder.create(folder, { seed, configuration, data: description });
    try {
      store.keep(tokenizerFile, `${JSON.stringify(corpus.tokenizer)}\n`);
      return store;
    } catch (error) {
      store.close();
      discard(folder, []);
      throw error;
    }
  };
  return jobOf(corpus, configuration, options, { folder, note, open, resumed: false });
}

/** A training that goes on. Throws where the text or the options are not those it began with. */
export async function resumedText(data: string | undefined, folder: string, options: TextOptions): Promise<Job> {
  const { configuration, data: described } = describedText(folder);
  const { choices, recipe, architecture, backend } = configuration;
  requireSettled(options, {
    ...unasked,
    ...architecture,
    ...recipe,
    vocabulary: undefined,
    ...choices,
    backend,
    model: "gpt",
    out: folder,
  });
  const corpus = corpusOf(sameData(data, folder, described), choices, tokenizerOf(folder));
  const open = () => RunFolder.open(folder);
  return jobOf(corpus, configuration, options, { folder, note: undefined, open, resumed: true });
}

/** What a sample without a prompt begins with: a new line, where the text has such a thing, else its own first token. */
function openingOf({ tokenizer, train }: Corpus): readonly number[] {
  const [first = 0] = train.tokens.data;
  try {
    const line = [...tokenizer.encode("\n")];
    return line.length > 0 ? line : [first];
  } catch {
    return [first]; // these characters have no line end
  }
}

function jobOf(
  corpus: Corpus,
  configuration: TextConfiguration,
  { checkpoint }: TextOptions,
  kept: Pick<Job, "folder" | "note" | "open" | "resumed">,
): Job {
  const { context } = configuration.architecture;
  const share = configuration.choices.testFraction;
  requireChoice(corpus);
  requireWindow(corpus.train, context, `the part of ${corpus.source} to train on`);
  requireWindow(corpus.test, context, `the last ${percent(share)} of ${corpus.source}`);
  requireWindows(corpus, context, configuration.recipe.batch, configuration.recipe.accumulate);
  return {
    ...kept,
    backend: configuration.backend,
    beforehand: (backend, colors, columns) => `${beforehand(corpus, configuration, backend, colors, columns)}\n`,
    headline: {
      name: "held-out loss",
      of: ({ validationLoss }: Entry) => validationLoss,
      perStep: { n: tokensPerStep(configuration), unit: "tokens" },
    },
    fit: (watched) => fitting(corpus, configuration, checkpoint, watched),
    done: ({ steps }) => counted(steps, "step"),
    async measure(result, where) {
      const { architecture } = configuration;
      const { params, state } = result;
      const score = await languageScore(architecture, { params, state }, corpus.test, where);
      const sample = await sampleOf(corpus, configuration, result, where);
      return {
        report: report(corpus, configuration, kept.folder, result, score, sample),
        text: (colors, columns) => afterwards(corpus, kept.folder, result, score, sample, colors, columns),
      };
    },
  };
}

const tokensPerStep = ({ recipe: { batch, accumulate = 1 }, architecture }: TextConfiguration): number =>
  batch * accumulate * architecture.context;

/** Windows of the held-out part that are looked at on the way: all of them, unless that would take long. */
const mostWatched = 2048;

function fitting(
  { train, test }: Corpus,
  configuration: TextConfiguration,
  checkpoint: boolean | undefined,
  watched: Watched,
) {
  const { architecture, recipe, choices, backend } = configuration;
  const { context } = architecture;
  const every = Math.ceil(Math.floor((test.tokens.data.length - 1) / context) / mostWatched);
  return fit({
    net: languageModel(architecture, { checkpoint }),
    loss: crossEntropy,
    optimizer: languageRule(recipe),
    lr: languageSchedule(recipe),
    data: {
      train: windows(train.tokens, { context }),
      validation: windows(test.tokens, { context, stride: context * every }),
    },
    validationBatch: evaluationBatch(architecture),
    validateEvery: { steps: Math.max(1, Math.round(recipe.steps / 8)) },
    batch: recipe.batch,
    accumulate: recipe.accumulate ?? 1,
    precision: recipe.precision,
    steps: recipe.steps,
    seed: choices.seed,
    backend,
    ...watched,
  });
}

async function sampleOf(
  { tokenizer }: Corpus,
  configuration: TextConfiguration,
  result: FitResult<any>,
  where: RunOptions,
) {
  const { architecture, choices, opening } = configuration;
  const { context } = architecture;
  const tokens: number[] = [];
  const { params, state } = result;
  const options = { prompt: opening, tokens: 200, context, temperature: 0.8, seed: choices.seed, ...where };
  for await (const token of generate(languageModel(architecture), { params, state }, options)) tokens.push(token);
  return tokenizer.decode(tokens);
}

// ---- what is said ------------------------------------------------------------------------------------------------------

function beforehand(
  corpus: Corpus,
  configuration: TextConfiguration,
  backend: string,
  colors: Colors,
  columns: number,
): string {
  const { source, tokenizer, train, test } = corpus;
  const { architecture, recipe, choices } = configuration;
  const { layers, heads, width, context, dropout } = architecture;
  return facts(
    [
      [
        "data",
        `${source}: ${counted(train.characters + test.characters, "character")}; ` +
          `the last ${percent(choices.testFraction)} are held out`,
      ],
      [
        "tokens",
        `${tokenizer.kind}, a vocabulary of ${grouped(tokenizer.size)}: ${grouped(train.tokens.data.length)} to train on, ` +
          `${grouped(test.tokens.data.length)} held out`,
      ],
      [
        "model",
        `GPT, ${counted(layers, "layer")}, ${counted(heads, "head")}, width ${width}, context ${context}` +
          `${dropout > 0 ? `, dropout ${dropout}` : ""}: ${counted(languageParameters(architecture), "parameter")}`,
      ],
      ["training", trainingText(recipe, counted(recipe.steps, "step"), choices.seed)],
      ["backend", backend],
    ],
    colors,
    columns,
  );
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;

/** The line of --json. */
function report(
  { tokenizer, train, test }: Corpus,
  configuration: TextConfiguration,
  folder: string,
  result: FitResult<any>,
  score: LanguageScore,
  sample: string,
) {
  const { architecture, choices } = configuration;
  const { secondsTraining, secondsCompiling, steps, history } = result;
  return {
    task: "text",
    backend: result.backend,
    seed: choices.seed,
    steps,
    trainTokens: train.tokens.data.length,
    testTokens: test.tokens.data.length,
    vocabulary: tokenizer.size,
    parameters: languageParameters(architecture),
    trainLoss: history.at(-1)?.trainLoss,
    testLoss: score.loss,
    testLossPerCharacter: score.perCharacter,
    testPerplexity: score.perplexity,
    secondsTraining,
    secondsCompiling,
    tokensPerSecond: (steps * tokensPerStep(configuration)) / secondsTraining,
    sample,
    run: folder,
  };
}

function afterwards(
  { source, tokenizer }: Corpus,
  folder: string,
  result: FitResult<any>,
  score: LanguageScore,
  sample: string,
  colors: Colors,
  columns: number,
): string {
  const { bold, dim, green } = colors;
  const run = shellWord(folder);
  return [
    trainedLine(counted(result.steps, "step"), result, columns),
    "",
    bold("A sample"),
    ...sample
      .trim()
      .split(/\r?\n/)
      .flatMap((line) => folded(line, columns - 5))
      .map((line) => `  ${dim("│")} ${line}`),
    "",
    `The model is in ${bold(join(folder, "model.safetensors"))}; to use it:`,
    `  downhill sample ${run} --tokens 500`,
    `  downhill eval ${run} ${shellWord(source)}`,
    "",
    green(`held-out ${scoreLine(score, tokenizer.kind)}`),
    "",
  ].join("\n");
}

/** "loss 1.57 nats per character, perplexity 4.80 on 68,416 tokens" */
export function scoreLine({ loss, perCharacter, perplexity, tokens }: LanguageScore, kind: string): string {
  const unit = kind === "characters" ? "per character" : `per token (${significant(perCharacter)} per character)`;
  return `loss ${loss.toFixed(4)} nats ${unit}, perplexity ${significant(perplexity)} on ${counted(tokens, "token")}`;
}
