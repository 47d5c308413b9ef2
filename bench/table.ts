/** The table: one row per workload, as wide as a terminal. */
import type { Workload } from "./workloads.ts";

/** What --json prints, in this order. */
export type Row = {
  readonly workload: string;
  readonly backend: string;
  readonly threads: number;
  readonly medianUsPerStep: number;
  readonly firstStepMs: number;
  readonly compileColdMs: number;
  readonly compileCachedMs: number;
  readonly peakRssMb: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  readonly load: number;
  readonly gbPerSecond?: number;
};

const widths = [-11, -8, 7, 11, 11, 11, 9, 9, 9] as const;

const line = (cells: readonly string[], rest: string): string =>
  `${cells.map((text, k) => (widths[k]! < 0 ? text.padEnd(-widths[k]!) : text.padStart(widths[k]!))).join(" ")}  ${rest}`.trimEnd();

const titles = [
  ["", "", "", "median", "fastest", "first step", "cold", "cached", "peak"],
  ["workload", "backend", "threads", "µs / step", "µs / step", "ms", "ms", "ms", "MB"],
];

export const head = titles.map((cells) => line(cells, "")).join("\n");

/** Three digits are as many as repeat. */
export const short = (x: number): string => (x >= 100 ? Math.round(x).toLocaleString("en-US") : `${+x.toPrecision(3)}`);

export function rowOf(row: Row, { target }: Pick<Workload, "target">): string {
  const { workload, backend, threads, medianUsPerStep: us, minUsPerStep, firstStepMs } = row;
  const times = [us, minUsPerStep, firstStepMs, row.compileColdMs, row.compileCachedMs, row.peakRssMb].map(short);
  const goal =
    target === undefined ? "" : `target ${target}: ${us <= target ? "met" : `missed, ${(us / target).toFixed(2)} ×`}`;
  return line([workload, backend, `${threads}`, ...times], row.gbPerSecond ? `${row.gbPerSecond} GB/s` : goal);
}

export const legend = (machine: string, load: number): string => `
${machine}; load ${load.toFixed(2)} at the end
µs / step   many steps per call on resident data, feeds and losses copied in and out; median and fastest call
first step  a fresh process with a filled cache, from starting the run to the first loss; without Node's own start
cold        from a function to a loaded program, cache empty: trace, gradient, plan, C text, C compiler; data copied in
cached      the same with the program in the cache
peak        resident set of the process, its data and Node included`;
