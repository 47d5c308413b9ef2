/** An event file of TensorBoard that grows while a run trains, for Node. */
import { hostname } from "node:os";
import { join } from "node:path";
import { fail, shown } from "../ir/fail.ts";
import { append, makeFolders } from "../train/folder.ts";
import { type Summary, startRecord, summaryRecord } from "./tensorboard.ts";

let files = 0;

/**
 * A new event file in a folder, which `tensorboard --logdir` shows as a run. A record is there whole or not at all;
 * nothing is open between two of them, so there is nothing to close.
 *
 *   const events = new EventFile("runs/a/tensorboard");
 *   await fit({ …, onEntry: (entry) => events.log(entrySummary(entry, Date.now() / 1000)) });
 *
 * Makes the folder where there is none. Throws a DownhillError where it cannot write.
 */
export class EventFile {
  readonly path: string;

  /** `wallTime`: when the run began, in seconds since 1970. */
  constructor(folder: string, wallTime = Date.now() / 1000) {
    if (typeof folder !== "string" || !Number.isFinite(wallTime)) {
      fail(
        `EventFile: expected a folder and a time, got ${shown(folder)} and ${shown(wallTime)}`,
        'new EventFile("runs/a/tensorboard")',
      );
    }
    makeFolders(folder);
    const seconds = `${Math.floor(wallTime)}`.padStart(10, "0");
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${files++}`);
    append(this.path, startRecord(wallTime));
  }

  log(summary: Summary): void {
    append(this.path, summaryRecord(summary));
  }
}
