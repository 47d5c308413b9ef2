/**
 * A text as a learning problem: tokens to train on, and its end to measure on. Everything here is a function of the file,
 * of a few settings that run.json keeps, and of the tokenizer that the run's folder keeps.
 */
import { join } from "node:path";
import { readText } from "../data/files.ts";
import { bpe, characters, parseTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import { fail } from "../ir/fail.ts";
import { type Value, value } from "../ir/value.ts";
import { counted } from "./text.ts";

export type TextChoices = {
  /** "char", "bpe", or the path of a tokenizer.json. */
  readonly tokenizer: string;
  /** Of the tokenizer that is learnt; undefined where it is not. */
  readonly vocabulary?: number;
  /** The share of the text, at its end, that is measured on. */
  readonly testFraction: number;
  readonly seed: number;
};

/** Tokens i32[n], and how many characters (code points) they are. */
export type Passage = { readonly tokens: Value; readonly characters: number };

export type Corpus = {
  readonly source: string;
  readonly tokenizer: Tokenizer;
  readonly train: Passage;
  readonly test: Passage;
};

/** The tokenizer that a run's folder keeps. */
export const tokenizerFile = "tokenizer.json";

export const tokenizerOf = (folder: string): Tokenizer => readTokenizer(join(folder, tokenizerFile));

const readTokenizer = (path: string): Tokenizer => parseTokenizer(readText(path), path);

/**
 * A text in two parts, as tokens. Without a tokenizer one is made as the choices say: characters are those of the whole
 * text, byte pairs are learnt from the part to train on. Throws where the file is no text.
 */
export function corpusOf(path: string, choices: TextChoices, tokenizer?: Tokenizer): Corpus {
  const text = readText(path);
  const cut = between(text, Math.floor(text.length * (1 - choices.testFraction)));
  const [head, tail] = [text.slice(0, cut), text.slice(cut)];
  const known = tokenizer ?? made(text, head, choices);
  return { source: path, tokenizer: known, train: passage(known, head), test: passage(known, tail) };
}

function made(text: string, head: string, { tokenizer, vocabulary }: TextChoices): Tokenizer {
  if (tokenizer === "char") return characters(text);
  if (tokenizer === "bpe") return bpe(head || text, { vocabulary: vocabulary ?? defaultVocabulary });
  return readTokenizer(tokenizer);
}

/** Byte pairs for a text of about a megabyte. */
export const defaultVocabulary = 1000;

/** The place, or the next one, where no character is cut in two. */
function between(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit < 0xe000 ? at + 1 : at;
}

/** With `drop`, characters that the tokenizer does not know are left out. */
export function passage(tokenizer: Tokenizer, text: string, unknown: "refuse" | "drop" = "refuse"): Passage {
  const tokens = tokenizer.encode(text, { unknown });
  return { tokens: value([tokens.length], tokens, "i32"), characters: codePoints(text) };
}

function codePoints(text: string): number {
  let n = 0;
  for (const _ of text) n++;
  return n;
}

/** Throws where there is not one window in it; `what` names it. */
export function requireWindow({ tokens }: Passage, context: number, what: string): void {
  const n = tokens.data.length;
  if (n > context) return;
  fail(
    `${what} is ${n === 1 ? "1 token" : `${n} tokens`}, too few for a context of ${context}, which takes ${context + 1}`,
    "use a longer text, or a smaller --context",
  );
}

/** Throws where a batch is more windows than there are. */
export function requireWindows({ source, train }: Corpus, context: number, batch: number, accumulate = 1): void {
  const n = train.tokens.data.length - context;
  if (batch * accumulate <= n) return;
  fail(
    `--batch ${batch}${accumulate > 1 ? ` --accumulate ${accumulate}` : ""}: the part of ${source} to train on has ${counted(n, "window")} of ${context} tokens`,
    "use a smaller batch, or a longer text",
  );
}

/** Throws where the tokenizer knows one token only: what comes next is no question then. */
export function requireChoice({ source, tokenizer }: Corpus): void {
  if (tokenizer.size > 1) return;
  fail(
    `${source}: all its characters are the same one, ${JSON.stringify(tokenizer.decode([0]))}: there is nothing to predict`,
    "use a text of at least two different characters",
  );
}
