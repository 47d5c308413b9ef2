/** The table: one row per workload and number of threads, the peers' below it, as wide as a terminal. */
import type { Limits } from "downhill";
import { fastest, type Verdict } from "./targets.ts";

/** What --json prints, in this order. Times are in µs per step and ms, memory in millions of bytes. */
export type Row = {
  readonly workload: string;
  readonly backend: string;
  readonly threads: number;
  readonly medianUsPerStep: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  readonly gflops?: number;
  readonly gbPerSecond?: number;
  /** Of what the machine can do at most, by the fastest call. */
  readonly percentOfLimit?: number;
  readonly compileColdMs: number;
  readonly compileCachedMs: number;
  readonly startMs: number;
  readonly peakRssMb: number;
  readonly predictedMb: number;
  readonly usedMb: number;
  /** Processes that wanted to run during the last minute, before this row. */
  readonly load: number;
  readonly peers?: readonly PeerRow[];
};

export type PeerRow = {
  readonly peer: string;
  readonly about: string;
  readonly medianUsPerStep: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  readonly peakRssMb: number;
  /** The largest relative difference between its results and ours after the first steps. */
  readonly apart: number;
};

const widths = [-22, 7, 9, 9, 12, 5, 7, 7, 7, 7, 9, 7] as const;

const line = (cells: readonly string[]): string =>
  cells
    .map((text, k) => (widths[k]! < 0 ? text.padEnd(-widths[k]!) : text.padStart(widths[k]!)))
    .join(" ")
    .trimEnd();

const titles = [
  ["", "", "µs/step", "", "", "of", "first", "compiled", "", "memory", "MB", ""],
  ["workload", "threads", "median", "fastest", "rate", "limit", "step", "cold", "cached", "peak", "predicted", "used"],
];

export const head = titles.map(line).join("\n");

/** Three digits are as many as repeat. */
export const short = (x: number): string => (x >= 100 ? Math.round(x).toLocaleString("en-US") : `${+x.toPrecision(3)}`);

/** Below a second in ms. */
const duration = (ms: number): string => (ms < 1000 ? `${short(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);

export function rowOf(row: Row): string {
  const { gflops, gbPerSecond, percentOfLimit } = row;
  const rate = gflops ? `${short(gflops)} GFLOP/s` : gbPerSecond ? `${short(gbPerSecond)} GB/s` : "";
  return line([
    row.workload,
    `${row.threads}`,
    short(row.medianUsPerStep),
    short(row.minUsPerStep),
    rate,
    percentOfLimit === undefined ? "" : `${Math.round(percentOfLimit)} %`,
    ...[row.startMs, row.compileColdMs, row.compileCachedMs].map(duration),
    ...[row.peakRssMb, row.predictedMb, row.usedMb].map(short),
  ]);
}

export function peerOf(peer: PeerRow, { medianUsPerStep: ours, peers = [] }: Row): string {
  const times = [peer.medianUsPerStep, peer.minUsPerStep].map(short);
  const ratio = `${short(peer.medianUsPerStep / ours)} × ours`;
  const first = peer === fastest(peers) ? "  the fastest peer" : "";
  return line([`  ${peer.peer}`, "", ...times, ratio, "", "", "", "", short(peer.peakRssMb)]) + first;
}

/** Met and missed targets, a line each. */
export function verdictLines(found: readonly Verdict[]): string {
  const shown = found.map(
    ({ workload, threads, what, met, target, found }) =>
      `  ${met ? "met   " : "MISSED"}  ${workload.padEnd(22)} ${`${threads}`.padStart(3)}  ${what.padEnd(38)} ${target.padStart(12)}  ${found}`,
  );
  const met = found.filter((v) => v.met).length;
  return [`targets: ${met} of ${found.length} met`, ...shown].join("\n");
}

export const legend = (machine: string, load: number, limits: readonly Limits[]): string => `
${machine}
${limits.map(limitsOf).join("\n")}load ${load.toFixed(2)} at the end

µs/step    many steps per call on resident data, feeds and losses copied in and out; median and fastest call
of limit   of the fastest call: multiply-adds in registers, or Adam's memory pattern without its arithmetic
first step from before the process starts to the end of its first step, program in the cache; without making the data
compiled   from a function to a loaded program: trace, gradient, plan, C text, C compiler; cache empty, and filled
memory     resident set: at most, as predicted before the first step (Node, the numbers on the host, the program), and
           used: what is there after the last step beyond Node and the library`;

const limitsOf = ({ threads, flops, memory, cache }: Limits): string => {
  const g = (x: number) => short(x / 1e9);
  return `limits of ${threads} thread${threads > 1 ? "s" : ""}: ${g(flops)} GFLOP/s (f32), ${g(memory)} GB/s from memory, ${g(cache)} GB/s from cache\n`;
};
