/** The bench's command line, from words to options. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { type BackendName, backendNames } from "downhill";
import { closest } from "fastest-levenshtein";
import type { Workload } from "./workload.ts";
import { workloads } from "./workloads.ts";

export type Options = {
  readonly help: boolean;
  readonly json: boolean;
  readonly quick: boolean;
  readonly peers: boolean;
  readonly save: boolean;
  readonly backend: BackendName | "auto";
  readonly threads: readonly number[];
  readonly chosen: readonly Workload[];
};

/** What is wrong with the words given: the message is all there is to show. */
export class Usage extends Error {}

export const usage = `npm run bench -- [options]      how fast training steps are on this machine

  --only NAME,…     these workloads alone; MATMUL is all whose names begin so
  --quick           less of everything: under two minutes for all workloads, instead of eight
  --threads N,…     numbers of threads, one row for each   (default: 1, and without --quick 2)
  --backend NAME    ${backendNames.join(" or ")}                          (default: the fastest that works)
  --peers           compare with PyTorch, JAX, scikit-learn, TensorFlow.js and jax-js, taking turns with them: those
                    that bench/peers/README.md has installed. DOWNHILL_PEERS_PYTHON names the Python to use.
                    Takes 35 minutes instead of eight, 10 with --quick
  --save            keep what was measured in bench/results, under today's date and this machine's name;
                    what lies there of the same workloads and threads is replaced, the rest stays
  --json            a line of JSON per row, and nothing else
  --help            this text

Examples:
  npm run bench -- --quick
  npm run bench -- --only MLP,GPT --threads 1 --peers
  npm run bench -- --only MLP-32 --json

Workloads:
${list(workloads.map((w) => w.name))}`;

function list(names: readonly string[]): string {
  const lines = [""];
  for (const name of names) {
    const line = `${lines.at(-1)}${lines.at(-1) ? ", " : "  "}${name}`;
    if (line.length > 100) lines.push(`  ${name}`);
    else lines[lines.length - 1] = line;
  }
  return lines.join(",\n");
}

/** Throws Usage, with the nearest name where one is unknown. */
export function optionsOf(words: readonly string[]): Options {
  const given = parsed(words);
  const { only, backend = "auto", help = false, json = false, quick = false, peers = false, save = false } = given;
  return {
    help,
    json,
    quick,
    peers,
    save,
    backend: one("--backend", backend, ["auto", ...backendNames]),
    threads: given.threads === undefined ? usual(quick) : given.threads.split(",").map(threadsOf),
    chosen: only === undefined ? workloads : chosenOf(only.split(",")),
  };
}

function parsed(words: readonly string[]) {
  try {
    const options = {
      help: { type: "boolean", short: "h" },
      json: { type: "boolean" },
      quick: { type: "boolean" },
      peers: { type: "boolean" },
      save: { type: "boolean" },
      only: { type: "string" },
      backend: { type: "string" },
      threads: { type: "string" },
    } as const;
    return parseArgs({ args: [...words], options }).values;
  } catch (error) {
    throw new Usage(`${error instanceof Error ? error.message : error}\n  npm run bench -- --help says what there is`);
  }
}

const usual = (quick: boolean): number[] => (quick || availableParallelism() < 2 ? [1] : [1, 2]);

function threadsOf(word: string): number {
  const n = Number(word);
  const most = availableParallelism();
  if (!/^\d+$/.test(word) || n < 1) throw new Usage(`--threads: "${word}" is not a whole number from 1 on`);
  if (n > most) throw new Usage(`--threads: this machine has ${most} processors for it, ${n} threads were asked for`);
  return n;
}

/** Workloads by name, or by how their names begin, in the order of the list. */
function chosenOf(words: readonly string[]): readonly Workload[] {
  const names = workloads.map((w) => w.name);
  const wanted = words.map((word) => word.trim());
  const upper = names.map((name) => name.toUpperCase());
  const has = (name: string, word: string) => name === word || (!upper.includes(word) && name.startsWith(`${word}-`));
  const asked = (word: string) => (name: string) => has(name.toUpperCase(), word.toUpperCase());
  for (const word of wanted) if (!names.some(asked(word))) one("--only", word, names);
  return workloads.filter(({ name }) => wanted.some((word) => asked(word)(name)));
}

/** One of the names. */
function one<N extends string>(option: string, given: string, names: readonly N[]): N {
  const found = names.find((name) => name === given);
  if (found !== undefined) return found;
  throw new Usage(
    `${option}: there is no "${given}"; did you mean ${closest(given, [...names])}?\n  there are:\n${list(names)}`,
  );
}
