/** Where a training is kept: a folder of its own, refused before any work is done, and removed where nothing came of it. */
import { existsSync, readdirSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../ir/fail.ts";

/** runs/mail-1, or the next number that is free. */
export function freeFolder(name: string): string {
  for (let n = 1; ; n++) {
    const folder = join("runs", `${name}-${n}`);
    if (!existsSync(folder)) return folder;
  }
}

/** Throws where the folder is a file, or holds a run. */
export function requireFree(folder: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) fail(`${folder}: this is a file, not a folder`, "choose another --out");
  if (existsSync(join(folder, "run.json"))) {
    fail(`${folder}: the folder already holds a run`, `go on with it: --resume ${folder}, or choose another --out`);
  }
}

/**
 * A training that could not begin, or that left the numbers, leaves nothing behind; one that failed to save what it had
 * keeps its last checkpoint. `made`: the folders that are ours.
 */
export function discard(folder: string, made: readonly string[]): void {
  for (const name of readdirSync(folder)) if (ours.test(name)) rmSync(join(folder, name));
  removeEmpty(made);
}

export function removeEmpty(made: readonly string[]): void {
  for (const path of made.toReversed()) if (readdirSync(path).length === 0) rmdirSync(path);
}

const ours = /^(?:(?:run|tokenizer)\.json|journal\.jsonl|(?:model|checkpoint)\.safetensors)$/;
