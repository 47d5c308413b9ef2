/** Text from bytes, with errors that say what is wrong with it. */
import { fail, requireBytes } from "../ir/fail.ts";

/**
 * UTF-8 as text, without a byte order mark at its beginning. Ends of lines stay as they are. Throws where there is
 * nothing, at a NUL, which text does not have and binary files do, and at bytes that are no UTF-8.
 */
export function parseText(bytes: Uint8Array, source = "text"): string {
  requireBytes("parseText", bytes);
  const nul = bytes.indexOf(0);
  if (nul >= 0) fail(`${source}: byte ${nul} is 0: this is a binary file, not a text`, "save it as UTF-8 text");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const at = firstInvalid(bytes);
    const hex = bytes[at]!.toString(16).toUpperCase().padStart(2, "0");
    fail(`${source}: byte ${at} (0x${hex}) is not UTF-8`, `convert it: iconv -f LATIN1 -t UTF-8 ${source}`);
  }
  if (text === "") fail(`${source}: the file is empty`);
  return text;
}

/** Where the first character begins that is none: found by halves, since a text is UTF-8 up to some byte and not beyond. */
function firstInvalid(bytes: Uint8Array): number {
  // As a stream, a character that is cut off is not yet an error.
  const valid = (to: number, stream: boolean): boolean => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, to), { stream });
      return true;
    } catch {
      return false;
    }
  };
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (valid(middle, true)) low = middle;
    else high = middle - 1;
  }
  while (!valid(low, false)) low--; // back to where a character begins that does not end
  return low;
}

/** Half of a surrogate pair is no character: UTF-8 has U+FFFD in its place, and so has what is made of the text here. */
export const wellFormed = (text: string): string => text.replace(/\p{Surrogate}/gu, "\uFFFD");

/** "line 3, column 7": where unit k of a text is. Both count from 1, columns in characters. */
export function at(text: string, k: number): string {
  const before = text.slice(0, k).split("\n");
  return `line ${before.length}, column ${[...before.at(-1)!].length + 1}`;
}
