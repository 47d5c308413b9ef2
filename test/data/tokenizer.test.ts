/** Tokenizers: Hugging Face's own numbers, round trips over any text, and files that are none. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bpe, characters, parseTokenizer, TextStream, tokenizerFromJson, trainBpe } from "../../src/data/tokenizer.ts";
import golden from "../golden/bpe.json" with { type: "json" };

const novel = readFileSync(join(import.meta.dirname, "../../examples/data/pride_and_prejudice.txt"), "utf8");
const texts: Record<string, string> = { novel, repeats: golden.repeats };
/** Through text, as from a file. */
const reread = (t: { toJSON(): unknown }) => parseTokenizer(JSON.stringify(t));

describe("byte-level BPE", () => {
  test.each(golden.cases.map((c) => [`${c.text}, minFrequency ${c.minFrequency}`, c] as const))(
    "learnt from %s: pairs and tokens are those of Hugging Face",
    (_, { text, vocabulary, minFrequency, size, merges, ids, tokens }) => {
      const t = bpe(texts[text]!, { vocabulary, minFrequency });
      expect(t.toJSON().model.merges).toEqual(merges);
      expect(t.size).toBe(size);
      expect(golden.texts.map((s) => [...t.encode(s)])).toEqual(ids);
      expect(t.encode(texts[text]!)).toHaveLength(tokens);
      for (const s of golden.texts) expect(t.decode(t.encode(s))).toBe(s);
    },
  );

  test("a large vocabulary", () => {
    const { vocabulary, sha256 } = golden.large;
    const { merges } = trainBpe(novel, { vocabulary }).model;
    const lines = (merges as string[][]).map((pair) => pair.join(" ")).join("\n");
    expect(createHash("sha256").update(lines).digest("hex")).toBe(sha256);
  });

  test("any text comes back; half a surrogate pair is U+FFFD", () => {
    const t = bpe(golden.texts.join("\n"), { vocabulary: 400 });
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (s) => t.decode(t.encode(s)) === s),
      { numRuns: 300, seed: 1 },
    );
    expect(t.decode(t.encode("a\ud83db\udc4d"))).toBe("a\ufffdb\ufffd");
    expect([...t.encode("")]).toEqual([]);
    expect(t.decode([])).toBe("");
  });

  test("what is saved and read again is the same", () => {
    const t = bpe(golden.repeats, { vocabulary: 280 });
    const again = reread(t);
    expect(again.kind).toBe("byte-level BPE");
    expect(again.toJSON()).toEqual(JSON.parse(JSON.stringify(t)));
    for (const s of golden.texts) expect(again.encode(s)).toEqual(t.encode(s));
  });

  test("no room beside the bytes, an empty text, tokens that are not there", () => {
    expect(() => bpe("text", { vocabulary: 256 })).toThrow(/vocabulary of 256 is too small: the 256 bytes/);
    expect(() => bpe("text", { vocabulary: 300.5 })).toThrow(/vocabulary/);
    expect(() => bpe("text", { vocabulary: 300, minFrequency: 0 })).toThrow(/minFrequency/);
    expect(() => bpe("", { vocabulary: 300 })).toThrow(/text is empty/);
    const t = bpe("text", { vocabulary: 300 });
    expect(t.size).toBe(256); // no pair occurs twice
    expect(() => t.decode([3, 256])).toThrow(/no token 256 \(at position 1\)/);
  });
});

describe("characters", () => {
  test("are sorted by code point, and come back", () => {
    const t = characters("b\na 👍 a\r\n");
    expect(t.size).toBe(6);
    expect([...t.encode("\n\r ab👍")]).toEqual([0, 1, 2, 3, 4, 5]);
    expect(t.decode(t.encode("a👍\r\nb"))).toBe("a👍\r\nb");
  });

  test("an unknown one is refused with its place, or left out", () => {
    const t = characters("abc\n👍");
    expect(() => t.encode("abc\n👍aé")).toThrow(/"é" \(U\+00E9\) in line 2, column 3 /);
    expect([...t.encode("aéb", { unknown: "drop" })]).toEqual([...t.encode("ab")]);
    expect(() => t.decode([0, 5])).toThrow(/token 5 at position 1; this tokenizer has 0 … 4/);
    expect(() => characters("")).toThrow(/text is empty/);
  });

  test("half a surrogate pair is U+FFFD", () => {
    const t = characters("a\ud83d");
    expect(t.decode(t.encode("\udc4da"))).toBe("\ufffda");
  });

  test("their tokenizer.json gives Hugging Face the same tokens, and is read as characters again", () => {
    const { json, text, ids } = golden.char;
    const t = tokenizerFromJson(json);
    expect(t.kind).toBe("characters");
    expect([...t.encode(text)]).toEqual(ids);
    expect(t.decode(ids)).toBe(text);
    expect(characters("hello, wörld\n👍").toJSON()).toEqual(json);
    expect(reread(t).kind).toBe("characters");
  });
});

describe("tokenizer.json of others", () => {
  const wordPiece = {
    version: "1.0",
    added_tokens: [{ id: 0, content: "[UNK]", special: true }],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: { type: "WordPiece", prefix: "##", cleanup: false },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: { "[UNK]": 0, hill: 1, "##s": 2, down: 3, "##hill": 4 },
    },
  };

  test("another model, with a token for what is unknown", () => {
    const t = tokenizerFromJson(wordPiece);
    expect(t.kind).toBe("WordPiece");
    expect(t.size).toBe(5);
    expect([...t.encode("Downhill hills xyz")]).toEqual([3, 4, 1, 2, 0]);
    expect(t.decode([3, 4, 1, 2])).toBe("downhill hills");
  });

  test("without one, what is unknown is refused, or left out", () => {
    const model = { ...wordPiece.model, vocab: { hill: 0, down: 1 }, unk_token: undefined };
    const t = tokenizerFromJson({ ...wordPiece, added_tokens: [], model }, "theirs.json");
    expect(() => t.encode("down up hill")).toThrow(/theirs\.json has no token for a part of the text/);
    expect([...t.encode("down up hill", { unknown: "drop" })]).toEqual([1, 0]);
  });

  test.each([
    ["no JSON", "not { json", /x\.json: this is not JSON/],
    ["a number", "3", /x\.json: this is no tokenizer\.json/],
    ["null", "null", /no tokenizer\.json/],
    ["a list", "[]", /no tokenizer\.json/],
    ["other JSON", '{"model": "gpt"}', /no model with a vocab/],
    ["no tokens", '{"model": {"type": "BPE", "vocab": {}, "merges": []}}', /its vocabulary is empty/],
    ["an unknown model", '{"model": {"type": "Magic", "vocab": {"a": 0}}}', /x\.json: this tokenizer cannot be used/],
    [
      "an unknown part",
      JSON.stringify({ ...wordPiece, pre_tokenizer: { type: "Magic" } }),
      /x\.json: this tokenizer cannot be used/,
    ],
  ])("%s", (_, text, message) => expect(() => parseTokenizer(text, "x.json")).toThrow(message));

  test("any JSON is a tokenizer or one clear error", () => {
    const model = fc.record(
      { type: fc.constantFrom("BPE", "WordPiece", "Unigram", 3, null), vocab: fc.jsonValue(), merges: fc.jsonValue() },
      { requiredKeys: [] },
    );
    const json = fc.record(
      {
        model,
        normalizer: fc.jsonValue(),
        pre_tokenizer: fc.jsonValue(),
        decoder: fc.jsonValue(),
        added_tokens: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(json, (any) => {
        try {
          tokenizerFromJson(any).encode("ab c");
        } catch (error) {
          expect(error).toMatchObject({ name: "DownhillError" });
        }
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe("TextStream", () => {
  test("gives whole characters, and in all the text", () => {
    const t = bpe("aa bb", { vocabulary: 257 });
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (s) => {
        const stream = new TextStream(t);
        const parts = Array.from(t.encode(s), (token) => stream.push(token));
        if (!s.includes("\ufffd")) expect(parts.join("")).not.toContain("\ufffd");
        expect(parts.join("") + stream.end()).toBe(s);
      }),
      { numRuns: 100, seed: 2 },
    );
  });

  test("goes on behind a prompt, and ends with bytes that became nothing", () => {
    const t = bpe("aa bb", { vocabulary: 257 });
    const [a, ...thumb] = t.encode("a👍");
    const stream = new TextStream(t, [a!]);
    expect([...thumb, thumb[0]!].map((token) => stream.push(token))).toEqual(["", "", "", "👍", ""]);
    expect(stream.end()).toBe("\ufffd");
  });

  test("a decoder that treats the first token otherwise", () => {
    const json = {
      version: "1.0",
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      post_processor: null,
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      model: { type: "BPE", unk_token: null, vocab: { "▁": 0, a: 1, b: 2, "▁a": 3 }, merges: ["▁ a"] },
    };
    const t = tokenizerFromJson(json);
    const tokens = [...t.encode("a ab b a a b b a ab ab a b a b b a")];
    const stream = new TextStream(t, tokens.slice(0, 1));
    const rest = tokens.slice(1).map((token) => stream.push(token));
    expect(`a${rest.join("")}${stream.end()}`).toBe(t.decode(tokens));
  });
});
