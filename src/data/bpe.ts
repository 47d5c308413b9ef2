/**
 * Byte-pair encoding: a vocabulary of byte sequences, grown from the 256 bytes by joining the most frequent pair again
 * and again (Gage 1994; Sennrich, Haddow & Birch 2016; on bytes Radford et al. 2019, GPT-2). Pairs never reach across
 * the words of GPT-2's pattern, so the text is a list of distinct words with counts, and a join touches only the words
 * that have the pair: their neighbours' counts go up and down, nothing is counted twice.
 *
 * Made as by Hugging Face's BpeTrainer, whose order decides ties: the higher count first, then the lower first token,
 * then the lower second one. The result is its `tokenizer.json`; reading and using one is tokenizer.ts.
 */
import { fail } from "../ir/fail.ts";
import { requireOptions, requireText } from "./given.ts";
import { wellFormed } from "./text.ts";
import type { TokenizerJson } from "./tokenizer.ts";

export type BpeOptions = {
  /** Tokens in all, 257 at least. There are fewer where no pair is frequent enough any more. */
  readonly vocabulary: number;
  /** How often a pair must occur to be joined; 2 unless given. */
  readonly minFrequency?: number;
};

/**
 * GPT-2's pattern: contractions, words and numbers with the space before them, punctuation, white space. White space is
 * JavaScript's `\s`, here as when a text is encoded: it has U+FEFF and lacks U+0085, Python's is the other way round.
 */
const words = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/**
 * Learn byte-level BPE from a text: the content of a `tokenizer.json`. Throws where the text is empty or the vocabulary
 * has no room beside the 256 bytes.
 */
export function trainBpe(text: string, options: BpeOptions): TokenizerJson {
  const call = "bpe(text, { vocabulary: 1000 })";
  requireText("bpe", text, call);
  requireOptions("bpe", options, call);
  const { vocabulary, minFrequency = 2 } = options;
  if (!Number.isInteger(vocabulary) || vocabulary < 257) {
    fail(
      `bpe: a vocabulary of ${vocabulary} is too small: the 256 bytes are tokens, and at least one more must fit`,
      "a thousand or more is usual",
    );
  }
  if (!Number.isInteger(minFrequency) || minFrequency < 1) {
    fail(`bpe: minFrequency must be a whole number from 1, got ${minFrequency}`);
  }
  if (text === "") fail("bpe: the text is empty, so there is nothing to learn from");
  const { tokens, merges } = joined(counted(text), vocabulary, minFrequency);
  return bpeJson({
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  });
}

type BpeParts = {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
  readonly pre_tokenizer: unknown;
  readonly decoder: unknown;
};

/** The `tokenizer.json` of byte-pair encoding without anything that Hugging Face's library leaves out by default. */
export const bpeJson = ({ vocab, merges, pre_tokenizer, decoder }: BpeParts): TokenizerJson => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer,
  post_processor: null,
  decoder,
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab,
    merges,
  },
});

/** A word as tokens, and how often it occurs. The first `length` tokens count. */
type Word = { readonly tokens: Int32Array; length: number; readonly count: number };

function counted(text: string): Word[] {
  const counts = new Map<string, number>();
  for (const [word] of wellFormed(text).matchAll(words)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const bytes = new TextEncoder();
  return Array.from(counts, ([word, count]) => {
    const tokens = Int32Array.from(bytes.encode(word), (byte) => tokenOf[byte]!);
    return { tokens, length: tokens.length, count };
  });
}

/** A pair that may be joined, as one number, how often it occurred when it was put here, and words that may have it. */
type Candidate = { readonly pair: number; count: number; readonly at: readonly number[] };

/** Tokens are below 2²⁶, so a pair fits, and pairs compare as their tokens do. */
const radix = 2 ** 26;

function joined(words: readonly Word[], vocabulary: number, minFrequency: number) {
  const tokens = [...alphabet];
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const counts = new Map<number, number>();
  let found = new Map<number, number[]>();
  /** `by` more of a pair in word w. */
  const change = (a: number, b: number, w: number, by: number) => {
    const pair = a * radix + b;
    counts.set(pair, (counts.get(pair) ?? 0) + by * words[w]!.count);
    if (by < 0) return;
    const at = found.get(pair);
    if (!at) found.set(pair, [w]);
    else if (at.at(-1) !== w) at.push(w);
  };
  const queue = new Heap(first);
  const enqueue = () => {
    for (const [pair, at] of found) {
      const count = counts.get(pair)!;
      if (count > 0) queue.push({ pair, count, at });
    }
    found = new Map();
  };

  words.forEach(({ tokens, length }, w) => {
    for (let k = 1; k < length; k++) change(tokens[k - 1]!, tokens[k]!, w, 1);
  });
  enqueue();

  const merges = new Map<number, [string, string]>();
  for (let top = queue.pop(); top && tokens.length < vocabulary; top = queue.pop()) {
    const { pair, at } = top;
    const now = counts.get(pair)!;
    if (now !== top.count) {
      queue.push({ pair, count: now, at }); // other joins have changed it since
      continue;
    }
    if (now < minFrequency) break;
    const [a, b] = [Math.floor(pair / radix), pair % radix];
    const token = tokens[a]! + tokens[b]!;
    const id = ids.get(token) ?? tokens.length; // "abc" may be a·bc and ab·c
    if (id === tokens.length) {
      ids.set(token, id);
      tokens.push(token);
    }
    merges.delete(pair);
    merges.set(pair, [tokens[a]!, tokens[b]!]);
    for (const w of at) join(words[w]!, a, b, id, (x, y, by) => change(x, y, w, by));
    enqueue();
  }
  return { tokens, merges: [...merges.values()] };
}

/** Joins a·b wherever a word has it, from the left, and tells which pairs went and came beside it. */
function join(word: Word, a: number, b: number, id: number, changed: (x: number, y: number, by: number) => void): void {
  const { tokens, length } = word;
  let to = 0;
  for (let from = 0; from < length; from++) {
    if (tokens[from] !== a || from + 1 >= length || tokens[from + 1] !== b) {
      tokens[to++] = tokens[from]!;
      continue;
    }
    if (to > 0) {
      changed(tokens[to - 1]!, a, -1);
      changed(tokens[to - 1]!, id, 1);
    }
    if (from + 2 < length) {
      changed(b, tokens[from + 2]!, -1);
      changed(id, tokens[from + 2]!, 1);
    }
    tokens[to++] = id;
    from++;
  }
  word.length = to;
}

const first = (x: Candidate, y: Candidate): boolean => x.count > y.count || (x.count === y.count && x.pair < y.pair);

/** What comes first by `before` is on top: a binary heap. */
class Heap<T> {
  private readonly items: T[] = [];
  private readonly before: (x: T, y: T) => boolean;

  constructor(before: (x: T, y: T) => boolean) {
    this.before = before;
  }

  push(item: T): void {
    const { items, before } = this;
    let k = items.length;
    items.push(item);
    while (k > 0) {
      const up = (k - 1) >> 1;
      if (!before(item, items[up]!)) break;
      items[k] = items[up]!;
      k = up;
    }
    items[k] = item;
  }

  pop(): T | undefined {
    const { items, before } = this;
    const top = items[0];
    const item = items.pop();
    if (item === undefined || items.length === 0) return top;
    let k = 0;
    for (let down = 1; down < items.length; down = 2 * k + 1) {
      if (down + 1 < items.length && before(items[down + 1]!, items[down]!)) down++;
      if (!before(items[down]!, item)) break;
      items[k] = items[down]!;
      k = down;
    }
    items[k] = item;
    return top;
  }
}

// ---- bytes as characters that can be seen ------------------------------------------------------------------------------

/** GPT-2's: a printable byte of Latin-1 is itself, the others follow from U+0100 on. */
const characterOf: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const seen = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(seen ? byte : next++);
  });
})();

/** The 256 first tokens, in the order of their characters. */
const alphabet: readonly string[] = [...characterOf].sort();
const tokenOf: readonly number[] = characterOf.map((character) => alphabet.indexOf(character));
