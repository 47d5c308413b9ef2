/**
 * Tokenizers: from text to integers and back. Kept as Hugging Face's `tokenizer.json`, so that one made here works in
 * Python's `tokenizers` and `transformers`, and theirs work here. Characters (characters.ts) and training of byte-level
 * BPE (bpe.ts) are ours; files of others are encoded by @huggingface/tokenizers, which is why this is a subpath of its
 * own, `downhill/data/tokenizer`.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { DownhillError, fail, shown } from "../ir/fail.ts";
import { type BpeOptions, trainBpe } from "./bpe.ts";
import { charactersOf } from "./characters.ts";
import { isList, isNamed, requireText, requireTokens } from "./given.ts";
import { wellFormed } from "./text.ts";

export { type BpeOptions, trainBpe } from "./bpe.ts";
export { characters } from "./characters.ts";

export interface Tokenizer {
  /** What it is: "characters", "byte-level BPE", "WordPiece" … */
  readonly kind: string;
  /** Tokens are 0 … size − 1. */
  readonly size: number;
  /**
   * Without tokens that mark beginning or end. What there is no token for is refused, or left out: always by BPE of
   * others that has neither bytes nor a token for the unknown, as Hugging Face has it.
   */
  encode(text: string, options?: { readonly unknown?: "refuse" | "drop" }): Int32Array<ArrayBuffer>;
  /** Bytes that are no UTF-8 become U+FFFD. Throws where there is no such token. */
  decode(tokens: ArrayLike<number>): string;
  /** The content of its `tokenizer.json`. */
  toJSON(): TokenizerJson;
}

/** What a `tokenizer.json` holds: this much is relied on. */
export type TokenizerJson = {
  readonly version: string;
  readonly added_tokens: readonly unknown[];
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly post_processor: unknown;
  readonly decoder: unknown;
  readonly model: {
    readonly type?: string;
    readonly vocab: Readonly<Record<string, number>> | readonly (readonly [string, number])[];
    readonly merges?: readonly unknown[];
  } & Readonly<Record<string, unknown>>;
} & Readonly<Record<string, unknown>>;

/** Byte-level BPE learnt from a text: it encodes every text. Throws what `trainBpe` throws. */
export const bpe = (text: string, options: BpeOptions): Tokenizer => tokenizerFromJson(trainBpe(text, options));

/** A tokenizer from what its `tokenizer.json` holds. `source` names it in errors. Throws where it is none. */
export function tokenizerFromJson(json: unknown, source = "tokenizer.json"): Tokenizer {
  requireTokenizer(json, source);
  const known = charactersIn(json);
  return known ? charactersOf(known) : foreign(json, source);
}

/** The same from the text of the file. */
export function parseTokenizer(text: string, source = "tokenizer.json"): Tokenizer {
  requireText(
    "parseTokenizer",
    text,
    'parseTokenizer(readFileSync("tokenizer.json", "utf8")); of JSON: tokenizerFromJson',
  );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    fail(`${source}: this is not JSON (${messageOf(error)})`, notOne);
  }
  return tokenizerFromJson(json, source);
}

const notOne = 'a tokenizer is kept as Hugging Face\'s tokenizer.json, with "model", "pre_tokenizer", "decoder" …';

function requireTokenizer(json: unknown, source: string): asserts json is TokenizerJson {
  const model = isNamed(json) ? json.model : undefined;
  const vocab = isNamed(model) ? model.vocab : undefined;
  if (!isNamed(vocab) && !Array.isArray(vocab)) {
    fail(`${source}: this is no tokenizer.json: it has no model with a vocab`, notOne);
  }
  if (!(Array.isArray(vocab) ? vocab.length : Object.keys(vocab).length)) fail(`${source}: its vocabulary is empty`);
}

/** Its characters, where that is all it knows. */
function charactersIn({ model, normalizer, pre_tokenizer, added_tokens }: TokenizerJson): string[] | undefined {
  if (model.type !== "BPE" || model.merges?.length !== 0) return undefined;
  if (normalizer || pre_tokenizer || added_tokens?.length || model.unk_token) return undefined;
  const known: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) known[id] = token;
  const whole = Object.keys(known).length === known.length && known.length === Object.keys(model.vocab).length;
  return whole && known.every((token) => [...token].length === 1) ? known : undefined;
}

function foreign(json: TokenizerJson, source: string): Tokenizer {
  let library: Library;
  try {
    // The library takes these for granted. Its own cleaning up would drop spaces before punctuation.
    const complete = { ...json, added_tokens: json.added_tokens ?? [] };
    library = new Library(complete, { clean_up_tokenization_spaces: false });
  } catch (error) {
    fail(`${source}: this tokenizer cannot be used (${messageOf(error)})`, notOne);
  }
  let size = 0;
  for (const id of library.get_vocab().values()) size = Math.max(size, id + 1);
  return {
    kind: kindOf(json),
    size,
    encode(text, { unknown = "refuse" } = {}) {
      requireText("encode", text);
      const whole = wellFormed(text);
      if (whole === "") return new Int32Array();
      const { ids } = library.encode(whole, { add_special_tokens: false });
      // The library says undefined where its types say number: there is no token for what is unknown.
      const known = ids.filter((id: number | undefined) => id !== undefined);
      if (known.length < ids.length && unknown === "refuse") {
        fail(`encode: ${source} has no token for a part of the text, and none for what is unknown`);
      }
      return Int32Array.from(known);
    },
    decode(tokens) {
      requireTokens(tokens);
      const ids = Array.from(tokens);
      ids.forEach((id, k) => {
        if (library.id_to_token(id) === undefined) {
          fail(`decode: ${source} has no token ${id} (at position ${k}); its vocabulary is 0 … ${size - 1}`);
        }
      });
      return ids.length > 0 ? library.decode(ids) : "";
    },
    toJSON: () => json,
  };
}

function kindOf({ model, pre_tokenizer, decoder }: TokenizerJson): string {
  const bytes = [pre_tokenizer, decoder].some((part) => JSON.stringify(part ?? null).includes('"ByteLevel"'));
  return `${bytes ? "byte-level " : ""}${model.type ?? "BPE"}`;
}

const messageOf = (error: unknown): string =>
  error instanceof DownhillError || !(error instanceof Error) ? String(error) : error.message;

/**
 * Text of tokens that come one at a time, as they are sampled. A character may need several tokens: what is not yet
 * whole is held back.
 *
 *   const text = new TextStream(tokenizer, prompt);
 *   for await (const token of generate(net, model, options)) process.stdout.write(text.push(token));
 *   process.stdout.write(text.end());
 */
export class TextStream {
  private readonly tokenizer: Tokenizer;
  /** The tokens whose text depends on each other, and how much of their text is out. */
  private tokens: number[];
  private written: string;

  /** `before`: tokens of whole characters that are already there. Some decoders treat the first token otherwise. */
  constructor(tokenizer: Tokenizer, before: ArrayLike<number> = []) {
    if (!isNamed(tokenizer) || typeof tokenizer.decode !== "function" || !isList(before)) {
      fail(
        `TextStream: expected a tokenizer and tokens, got ${shown(tokenizer)} and ${shown(before)}`,
        "new TextStream(tokenizer, tokenizer.encode(prompt))",
      );
    }
    this.tokenizer = tokenizer;
    this.tokens = Array.from(before).slice(-context);
    this.written = this.tokenizer.decode(this.tokens);
  }

  /** One more token. → the characters that are now whole */
  push(token: number): string {
    this.tokens.push(token);
    const text = this.tokenizer.decode(this.tokens);
    // Bytes that begin a character decode to U+FFFD until its last one is there; four begin none.
    const whole = /\uFFFD{1,3}$/.exec(text)?.index ?? text.length;
    const out = whole > this.written.length ? text.slice(this.written.length, whole) : "";
    this.written += out;
    if (whole === text.length && this.tokens.length > 2 * context) {
      this.tokens = this.tokens.slice(-context);
      this.written = this.tokenizer.decode(this.tokens);
    }
    return out;
  }

  /** What was held back: it will not become a character any more. */
  end(): string {
    const text = this.tokenizer.decode(this.tokens);
    const out = text.slice(this.written.length);
    this.written = text;
    return out;
  }
}

/** Tokens that are enough to know how the next one is written. */
const context = 8;
