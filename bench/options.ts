/** The bench's command line, from words to options. */
import { parseArgs } from "node:util";
import { type BackendName, backendNames } from "downhill";
import { closest } from "fastest-levenshtein";
import { type Workload, workloads } from "./workloads.ts";

export type Options = {
  readonly json: boolean;
  readonly quick: boolean;
  readonly backend: BackendName | "auto";
  readonly chosen: readonly Workload[];
};

/** What is wrong with the words given: the message is all there is to show. */
export class Usage extends Error {}

export const usage = `npm run bench -- [--only NAME] [--quick] [--backend native|js] [--json]
  workloads: ${workloads.map((w) => w.name).join(", ")}`;

/** Throws Usage, with the nearest name where one is unknown. */
export function optionsOf(words: readonly string[]): Options {
  const { only, backend = "auto", json = false, quick = false } = parsed(words);
  const all = workloads.map((w) => w.name);
  return {
    json,
    quick,
    backend: one("--backend", backend, ["auto", ...backendNames]),
    chosen: only === undefined ? workloads : workloads.filter((w) => w.name === one("--only", only.toUpperCase(), all)),
  };
}

function parsed(words: readonly string[]) {
  try {
    const options = {
      json: { type: "boolean" },
      quick: { type: "boolean" },
      only: { type: "string" },
      backend: { type: "string" },
    } as const;
    return parseArgs({ args: [...words], options }).values;
  } catch (error) {
    throw new Usage(`${error instanceof Error ? error.message : error}\n  usage: ${usage}`);
  }
}

/** One of the names. */
function one<N extends string>(option: string, given: string, names: readonly N[]): N {
  const found = names.find((name) => name === given);
  if (found !== undefined) return found;
  throw new Usage(
    `${option}: there is no "${given}"; did you mean ${closest(given, [...names])}?\n  there are: ${names.join(", ")}`,
  );
}
