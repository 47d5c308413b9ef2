/** One writer at a time: a file in a folder that says which process writes there. */
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { fail } from "../ir/fail.ts";
import { attempt, codeOf } from "./whole-file.ts";

export const lockFile = "lock";

/** Folders that this process holds. */
const held = new Set<string>();

type Holder = { readonly pid: number; readonly host: string };

/** Takes the lock of a folder. Throws where another process has it; one that is gone is followed. */
export function hold(path: string): void {
  const lock = join(path, lockFile);
  for (let attempts = 0; attempts < 3; attempts++) {
    if (created(lock, JSON.stringify({ pid: process.pid, host: hostname() } satisfies Holder))) {
      held.add(resolve(path));
      return;
    }
    if (!abandoned(lock, path)) break;
    // Moved away before it is removed: of two processes that find it, one does.
    const aside = `${lock}.${process.pid}.tmp`;
    try {
      renameSync(lock, aside);
      rmSync(aside);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
  const holder = holderOf(lock);
  const who = holder ? ` (process ${holder.pid} on ${holder.host})` : "";
  fail(`${path}: another process writes here${who}`, `wait for it; if there is none, delete ${lock}`);
}

/** Whether this call made the file; false where it is there already. */
function created(path: string, content: string): boolean {
  return attempt(path, () => {
    let file: number;
    try {
      file = openSync(path, "wx");
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    }
    try {
      writeFileSync(file, content);
      return true;
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(file);
    }
  });
}

export function release(path: string): void {
  if (held.delete(resolve(path))) rmSync(join(path, lockFile), { force: true });
}

function holderOf(lock: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(lock, "utf8")) as Holder;
  } catch {
    return undefined; // released this moment, or not yet written
  }
}

/** Whether the lock's process is gone: killed, or of a life of this machine before. */
function abandoned(lock: string, path: string): boolean {
  const holder = holderOf(lock);
  if (!holder) return !existsSync(lock) || Date.now() - statSync(lock).mtimeMs > 10_000;
  if (holder.host !== hostname()) return false;
  if (holder.pid === process.pid) return !held.has(resolve(path));
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}
