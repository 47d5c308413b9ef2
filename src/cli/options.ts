/** Values of options: parsed and checked at the edge, so that everything behind them is typed and in its domain. */
import { InvalidArgumentError } from "commander";
import { listed, nearest } from "../data/near.ts";
import { methods } from "../minimize/index.ts";
import { type OptimizerName, optimizers } from "../optim/index.ts";
import { mostThreads } from "../run/threads.ts";
import type { Average } from "./recipe.ts";

type Parser<T> = (text: string) => T;

/** One of several words; an unknown one gets the nearest as a suggestion. */
export const oneOf =
  <const W extends string>(words: readonly W[]): Parser<W> =>
  (text) => {
    const found = words.find((word) => word === text);
    if (found !== undefined) return found;
    const near = nearest(text, words);
    throw new InvalidArgumentError(
      near === undefined ? `It is one of ${words.join(", ")}.` : `Did you mean ${near}? (one of ${words.join(", ")})`,
    );
  };

/** An optimizer. Methods of `downhill/minimize` are none, and whoever knows their names should learn where they are. */
export const optimizer: Parser<OptimizerName> = (text) => {
  if (Object.hasOwn(methods, text) && !Object.hasOwn(optimizers, text)) {
    throw new InvalidArgumentError(
      `It sees all rows at once and finds its own step lengths; in a program, fit({ optimizer: ${text}(), batch: "full", … }) ` +
        "trains by it (docs/optimizers.md). Here --batch full gives all rows to any of the optimizers.",
    );
  }
  return oneOf(Object.keys(optimizers) as OptimizerName[])(text);
};

/** Number() takes "" and " 3 " and "0x10", which nobody means. */
const spelledNumber = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

const number =
  (what: string, holds: (x: number) => boolean): Parser<number> =>
  (text) => {
    const x = spelledNumber.test(text) ? Number(text) : NaN;
    if (!Number.isFinite(x) || !holds(x)) throw new InvalidArgumentError(`It must be ${what}.`);
    return x;
  };

export const positive = number("a number above 0, such as 0.003", (x) => x > 0);
export const notNegative = number("a number from 0 on", (x) => x >= 0);
export const share = number("a number between 0 and 1, such as 0.2", (x) => x > 0 && x < 1);
export const probability = number("a number above 0 and up to 1, such as 0.9", (x) => x > 0 && x <= 1);
export const rate = number("a number from 0 to below 1, such as 0.1", (x) => x >= 0 && x < 1);
export const count = number("a whole number from 1 on", (x) => Number.isSafeInteger(x) && x >= 1);
/** What --threads means, for the help of each command that has it. */
export const threadsAre = "the most to compute on, where that is faster; one for each processor unless given";
export const threads = number(
  `a whole number from 1 to ${mostThreads}`,
  (x) => Number.isSafeInteger(x) && x >= 1 && x <= mostThreads,
);
export const seed = number("a whole number from 0 to 2⁵³ − 1", (x) => Number.isSafeInteger(x) && x >= 0);

/** "64" or "full". */
export const batch = (text: string): number | "full" => {
  if (text === "full") return "full";
  return number('a whole number from 1 on, or "full"', (x) => Number.isSafeInteger(x) && x >= 1)(text);
};

/** "ema", "swa", "none", or "ema:0.99" with a decay. */
export const average = (text: string): Average | "none" => {
  const [, decay] = /^ema:(.*)$/s.exec(text) ?? [];
  return decay === undefined ? oneOf(["ema", "swa", "none"])(text) : `ema:${rate(decay)}`;
};

/** "128,64": the width of each hidden layer. */
export const widths = (text: string): readonly number[] => {
  const parse = number("widths of layers between commas, such as 128,64", (x) => Number.isSafeInteger(x) && x >= 1);
  return text.split(",").map((part) => parse(part.trim()));
};

/** An option that may be given again: its values in order. */
export const collected = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
];

/** One character, or the word "tab". */
export const character = (text: string): string => {
  if (text === "tab" || text === "\\t") return "\t";
  if (text.length !== 1) throw new InvalidArgumentError('It must be one character, or "tab".');
  return text;
};

/**
 * Columns named on the command line: each text is a name, or names between commas where there is no such column.
 * `known` in the order of the file.
 */
export function columnsNamed(texts: readonly string[] | undefined, known: readonly string[]): string[] {
  return (texts ?? []).flatMap((text) => (known.includes(text) ? [text] : text.split(",").map((name) => name.trim())));
}

export const quoted = (names: readonly string[]): string => listed(names);
