/** Readers take bytes: the name of a file in their place is told, and nothing is read from its letters. */
import { expect, test } from "vitest";
import { decodeImage } from "../../src/data/images.ts";
import { parseIdx } from "../../src/data/index.ts";
import { parseText } from "../../src/data/text.ts";
import { readNpy, readNpz } from "../../src/interop/index.ts";
import { readSafetensors } from "../../src/train/index.ts";

test.each(Object.entries({ decodeImage, parseIdx, parseText, readNpy, readNpz, readSafetensors }))(
  "%s",
  (name, read) => {
    // any: a mistake of type, made on purpose
    const loose = read as any;
    expect(() => loose("a file")).toThrow(
      `${name}: expected the bytes of a file, a Uint8Array, got "a file"\n  hint: ${name}(readFileSync("a file"))`,
    );
    expect(() => loose()).toThrow("a Uint8Array, got undefined\n  hint: such as readFileSync gives");
    expect(() => loose(new ArrayBuffer(8))).toThrow("got a");
  },
);
