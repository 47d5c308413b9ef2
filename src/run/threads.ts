/** How many threads a program may use, as somebody asked for them. */
import { fail, shown } from "../ir/fail.ts";

/** A team has no more. */
export const mostThreads = 256;

/** `threads` again; throws where it is no number of threads. `what` says whose it is, `given` how it was written. */
export function checkThreads(what: string, threads: number, given: unknown = threads): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= mostThreads) return threads;
  fail(
    `${what}: expected a whole number from 1 to ${mostThreads}, got ${shown(given)}`,
    "1 computes on one thread; left out, programs use all processors where that is faster",
  );
}
