/** Results in files: the whole file, or none of it. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fail } from "../ir/fail.ts";

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
    fail(`${path}: cannot be written (${error instanceof Error ? error.message : error})`, "choose another --out");
  }
}
