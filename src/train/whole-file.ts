/** Files of which, whatever happens, the old one or the new one is there, whole; and errors of the disk in words. */
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../ir/fail.ts";

/** The whole new file or, if anything goes wrong, the old one. */
export function replace(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  attempt(path, () => {
    try {
      const file = openSync(temporary, "w");
      try {
        writeFileSync(file, content);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    syncFolder(join(path, ".."));
  });
}

/** The new name, too, must be on the disk. Windows has no such call, and needs none. */
function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** `body`, with errors of the file system put into words. */
export function attempt<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    switch (codeOf(error)) {
      case undefined:
        throw error;
      case "ENOSPC":
      case "EDQUOT":
        return fail(
          `${path}: the disk is full`,
          "make room; what was saved before is whole, and the run can be resumed",
        );
      case "EFBIG":
        return fail(
          `${path}: the file would be larger than this process may write (ulimit -f)`,
          "raise the limit and resume",
        );
      case "EACCES":
      case "EPERM":
      case "EROFS":
        return fail(`${path}: no permission to write or read here`, "choose another folder, or change its permissions");
      case "ENOTDIR":
      case "EEXIST":
        return fail(`${path}: a part of this path is a file, not a folder`, "choose another folder");
      case "ENOENT":
        return fail(`${path}: it is not there any more`);
      default:
        return fail(`${path}: ${error instanceof Error ? error.message : error}`);
    }
  }
}

export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
