/** Results in files: the whole file, or none of it. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../ir/fail.ts";
import { shellWord } from "./text.ts";

/** Through a draft beside it, so that nobody ever reads a half. Throws where it cannot be written. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const draft = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(draft, "w");
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    const folder = dirname(path);
    if (!existsSync(folder))
      fail(`${path}: there is no folder ${folder}`, `make it first: mkdir -p ${shellWord(folder)}`);
    fail(`${path}: cannot be written (${reason(error, draft, path)})`, "choose another --out");
  }
}

/** What the system says, of the file that was asked for. */
const reason = (error: unknown, draft: string, path: string): string =>
  (error instanceof Error ? error.message : String(error)).replaceAll(draft, path);
