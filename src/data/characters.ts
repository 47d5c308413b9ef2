/**
 * Characters as tokens: the distinct code points of a text, sorted, as nanoGPT's character models have them. As a
 * `tokenizer.json` that is byte-pair encoding with no pair to join, so that other programs read it as well.
 */
import { fail } from "../ir/fail.ts";
import { bpeJson } from "./bpe.ts";
import { requireText, requireTokens } from "./given.ts";
import { at, wellFormed } from "./text.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * The tokenizer of a text's characters. It refuses to encode a character that the text does not have; half of a
 * surrogate pair is U+FFFD, as where text is written as UTF-8. Throws where the text is empty.
 */
export function characters(text: string): Tokenizer {
  requireText("characters", text, 'characters(readFileSync(path, "utf8"))');
  if (text === "") fail("characters: the text is empty, so there are no characters");
  const found = new Set(wellFormed(text));
  return charactersOf([...found].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!));
}

/** The tokenizer in which token k is character k. */
export function charactersOf(known: readonly string[]): Tokenizer {
  const ids = new Map(known.map((character, id) => [character, id]));
  return {
    kind: "characters",
    size: known.length,
    encode(text, { unknown = "refuse" } = {}) {
      requireText("encode", text);
      const tokens = new Int32Array(text.length);
      let n = 0;
      let k = 0;
      for (const character of wellFormed(text)) {
        const id = ids.get(character);
        if (id !== undefined) tokens[n++] = id;
        else if (unknown === "refuse") refuse(character, at(text, k));
        k += character.length;
      }
      return tokens.slice(0, n);
    },
    decode(tokens) {
      requireTokens(tokens);
      const refused = (id: number, k: number) =>
        fail(`decode: token ${id} at position ${k}; this tokenizer has 0 … ${known.length - 1}`);
      return Array.from(tokens, (id, k) => known[id] ?? refused(id, k)).join("");
    },
    toJSON: () =>
      bpeJson({ vocab: Object.fromEntries(ids), merges: [], pre_tokenizer: null, decoder: { type: "Fuse" } }),
  };
}

function refuse(character: string, place: string): never {
  const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
  fail(
    `encode: ${JSON.stringify(character)} (U+${code}) in ${place} is not among the characters that the tokenizer knows`,
    'leave out what is unknown (unknown: "drop"), or use byte-level BPE, which knows every text',
  );
}
