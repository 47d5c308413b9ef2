/** --tensorboard: the numbers of a training as charts that can be looked at while it goes on, beside the run itself. */
import { rmSync } from "node:fs";
import { EventFile } from "../../interop/event-file.ts";
import { entrySummary, progressSummary, type Summary } from "../../interop/tensorboard.ts";
import { makeFolders } from "../../train/folder.ts";
import type { Watch } from "../progress.ts";
import { removeEmpty } from "./folder.ts";

export type Board = Pick<Watch, "onProgress" | "onEntry"> & {
  /** Leaves nothing behind where there is nothing to see. → why the charts end early, where they do */
  readonly end: () => string | undefined;
};

export const noBoard: Board = { onProgress: () => {}, onEntry: () => {}, end: () => undefined };

/**
 * An event file more in this folder, so that a resumed run goes on in the same charts. Throws where none can be written;
 * where that fails later, as on a full disk, the training goes on without charts.
 */
export function boardIn(folder: string): Board {
  const made = makeFolders(folder);
  let failure: string | undefined;
  let drawn = false;
  const events = fileIn(folder, made);
  const log = (summary: Summary) => {
    if (failure !== undefined) return;
    try {
      events.log(summary);
      drawn = true;
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
  };
  const now = () => Date.now() / 1000;
  return {
    onProgress: (progress) => log(progressSummary(progress, now())),
    onEntry: (entry) => log(entrySummary(entry, now())),
    end() {
      if (!drawn) {
        rmSync(events.path, { force: true });
        removeEmpty(made);
      }
      return failure;
    },
  };
}

function fileIn(folder: string, made: readonly string[]): EventFile {
  try {
    return new EventFile(folder);
  } catch (error) {
    removeEmpty(made);
    throw error;
  }
}
