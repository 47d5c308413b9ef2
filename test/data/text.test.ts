/** Bytes that are text, and bytes that are none. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { at, parseText, wellFormed } from "../../src/data/text.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

describe("parseText", () => {
  test("keeps line ends, drops a byte order mark", () => {
    expect(parseText(utf8("\ufeffa\r\n\tb\n"))).toBe("a\r\n\tb\n");
  });

  test.each([
    ["nothing", [], /x\.txt: the file is empty/],
    ["a mark alone", [0xef, 0xbb, 0xbf], /x\.txt: the file is empty/],
    ["a NUL", [0x61, 0x62, 0], /x\.txt: byte 2 is 0: this is a binary file/],
    ["Latin-1", [0x61, 0xe9, 0x62], /x\.txt: byte 1 \(0xE9\) is not UTF-8[\s\S]*iconv/],
    ["a lone continuation", [0x61, 0x62, 0x80], /byte 2 \(0x80\)/],
    ["a character that is cut off", [0x61, 0xf0, 0x9f, 0x91], /byte 1 \(0xF0\)/],
    ["one that is cut off in the middle", [0xe2, 0x82, 0x61], /byte 0 \(0xE2\)/],
    ["UTF-16", [0xff, 0xfe, 0x61, 0x00], /byte 3 is 0/],
  ])("%s", (_, bytes, message) => expect(() => parseText(Uint8Array.from(bytes), "x.txt")).toThrow(message));

  test("names the byte that is wrong, wherever it is", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "é", "€", "👍"), maxLength: 30 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const bytes = Uint8Array.from([...utf8(before), 0xff, ...utf8(after)]);
        expect(() => parseText(bytes)).toThrow(`byte ${utf8(before).length} (0xFF)`);
      }),
      { seed: 1 },
    );
  });
});

test("wellFormed keeps what is well formed", () => {
  expect(wellFormed("a👍\ud83db\udc4d\ud83d\udc4d")).toBe("a👍\ufffdb\ufffd👍");
});

test("at counts lines and characters from 1", () => {
  expect(at("ab\n👍c", 0)).toBe("line 1, column 1");
  expect(at("ab\n👍c", 5)).toBe("line 2, column 2");
});
