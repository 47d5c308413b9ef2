/** The table: one row per workload and number of threads, the peers' below it, as wide as a terminal. */
import type { Ceiling, Range } from "./processes.ts";
import type { Limit, Parts } from "./rates.ts";
import { fastest, type Judged, limitNames, type Verdict } from "./targets.ts";

/** What --json prints, in this order, followed by its verdicts. Times are in µs per step and ms, memory in millions of bytes. */
export type Row = {
  readonly workload: string;
  readonly backend: string;
  readonly threads: number;
  readonly medianUsPerStep: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  /** What a step needs, and what it comes to at the median. */
  readonly flops: number;
  readonly bytes: number;
  readonly gflops: number;
  readonly gbPerSecond: number;
  /** The limit that counts: the one that comes first on the machine that the targets are of. */
  readonly limit: Limit;
  /** This machine's, per second: medians of what was measured in turns with the workload. */
  readonly limits?: Parts;
  /** Parts of them in percent, medians of the turns' own; and those that the target is of its machine's limits. */
  readonly parts?: Parts;
  readonly asked?: Partial<Parts>;
  readonly compileColdMs: number;
  readonly compileCachedMs: number;
  readonly startMs: number;
  readonly peakRssMb: number;
  readonly predictedMb: number;
  readonly usedMb: number;
  /** Processes that wanted to run during the last minute, before this row. */
  readonly load: number;
  /** When the run of the bench began that measured it, in UTC to the second. */
  readonly began: string;
  readonly peers?: readonly PeerRow[];
};

export type PeerRow = {
  readonly peer: string;
  readonly about: string;
  readonly medianUsPerStep: number;
  readonly minUsPerStep: number;
  readonly repetitions: number;
  /** Its time by ours, the median of the turns. */
  readonly ratio: number;
  readonly peakRssMb: number;
  /** The largest relative difference between its results and ours after the first steps. */
  readonly apart: number;
};

const widths = [-22, 7, 9, 9, 12, 6, 6, 7, 7, 7, 7, 9] as const;

const line = (cells: readonly string[]): string =>
  cells
    .map((text, k) => (widths[k]! < 0 ? text.padEnd(-widths[k]!) : text.padStart(widths[k]!)))
    .join(" ")
    .trimEnd();

const titles = [
  ["", "", "µs/step", "", "", "of the", "", "first", "compiled", "", "MB", ""],
  ["workload", "threads", "median", "fastest", "rate", "limit", "asked", "step", "cold", "cached", "peak", "predicted"],
];

export const head = titles.map(line).join("\n");

/** Three digits are as many as repeat. */
export const short = (x: number): string => (x >= 100 ? Math.round(x).toLocaleString("en-US") : `${+x.toPrecision(3)}`);

/** Below a second in ms. */
const duration = (ms: number): string => (ms < 1000 ? `${short(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);

const percent = (x: number | undefined): string => (x === undefined ? "" : `${x < 1 ? x.toFixed(1) : Math.round(x)} %`);

/** Of what the workload's limit is a limit of. */
export const rate = ({ limit, gflops, gbPerSecond }: Row): string =>
  limit === "flops" ? `${short(gflops)} GFLOP/s` : `${short(gbPerSecond)} GB/s`;

export function rowOf(row: Row): string {
  return line([
    row.workload,
    `${row.threads}`,
    short(row.medianUsPerStep),
    short(row.minUsPerStep),
    rate(row),
    percent(row.parts?.[row.limit]),
    percent(row.asked?.[row.limit]),
    ...[row.startMs, row.compileColdMs, row.compileCachedMs].map(duration),
    ...[row.peakRssMb, row.predictedMb].map(short),
  ]);
}

export function peerOf(peer: PeerRow, { peers = [] }: Row): string {
  const times = [peer.medianUsPerStep, peer.minUsPerStep].map(short);
  const first = peer === fastest(peers) ? "  the fastest peer" : "";
  return (
    line([`  ${peer.peer}`, "", ...times, `${short(peer.ratio)} × ours`, ...Array(5).fill(""), short(peer.peakRssMb)]) +
    first
  );
}

/** What a step needs, and its parts of this machine's limits; in brackets those that its target is of its machine's. */
export function workLines(rows: readonly Row[]): string {
  const part = (row: Row, limit: Limit) => {
    const asked = row.asked?.[limit];
    return row.parts ? `${percent(row.parts[limit])}${asked === undefined ? "" : ` (${percent(asked)})`}` : "";
  };
  const cells = rows.map((row) => [
    row.workload,
    `${row.threads}`,
    scaled(row.flops, "FLOP"),
    scaled(row.bytes, "B"),
    part(row, "flops"),
    part(row, "memory"),
    row.parts ? limitNames[row.limit] : "",
  ]);
  const titles = [
    "workload",
    "threads",
    "needs",
    "",
    `of ${limitNames.flops}`,
    `of ${limitNames.memory}`,
    "what counts",
  ];
  return [titles, ...cells]
    .map((row) => `  ${row.map((cell, k) => (k === 0 ? cell.padEnd(22) : cell.padStart(k === 1 ? 7 : 13))).join(" ")}`)
    .join("\n");
}

/** 13_100_000, "FLOP" → "13.1 MFLOP" */
function scaled(x: number, unit: string): string {
  const power = Math.min(3, Math.max(0, Math.floor(Math.log10(x) / 3)));
  return `${short(x / 1000 ** power)} ${["", "k", "M", "G"][power]}${unit}`;
}

/** Met and missed targets, a line each: as asked, and at this machine's limits where those decide. */
export function verdictLines(found: readonly Verdict[]): string {
  const cells = (judged: Judged | undefined) =>
    judged ? `${judged.met ? "met   " : "MISSED"} ${judged.found.padStart(8)} (${judged.target})` : "";
  const lines = found.map(({ workload, threads, what, asAsked, atLimits }) =>
    `  ${workload.padEnd(22)} ${`${threads}`.padStart(2)}  ${what.padEnd(30)}  ${cells(asAsked).padEnd(30)}  ${cells(atLimits)}`.trimEnd(),
  );
  const heading = `  ${"workload, threads, what".padEnd(57)}  ${"as asked".padEnd(30)}  at this machine's limits`;
  return [summary(found), heading, ...lines].join("\n");
}

export function summary(found: readonly Verdict[]): string {
  const limited = found.flatMap(({ atLimits }) => atLimits ?? []);
  const met = (judged: readonly Judged[]) => judged.filter((j) => j.met).length;
  const asked = met(found.map((v) => v.asAsked));
  const beside =
    limited.length > 0 ? `; of the ${limited.length} that limits decide, ${met(limited)} met at this machine's` : "";
  return `targets: ${asked} of ${found.length} met as asked${beside}`;
}

export const legend = (machine: string, load: number, ceilings: readonly Ceiling[]): string => `
${machine}
${ceilings.map((c) => `${ceilingLine(c)}\n`).join("")}load ${load.toFixed(2)} at the end

µs/step    many steps per call on resident data, feeds and losses copied in and out; median and fastest call
of the limit, asked   the rate at the median, of the limit measured in turns with it: of multiply-adds of f32 in
           registers, or of Adam's memory pattern without its arithmetic; and what the target is of its machine's limit
first step from before the process starts to the end of its first step, program in the cache; without making the data
compiled   from a function to a loaded program: trace, gradient, plan, C text, C compiler; cache empty, and filled; as
           the first step the middle one of three, of one with --quick
MB         resident set: at most, and as predicted before the first step`;

/** Medians, and between what they were. */
export function ceilingLine({ threads, flops, memory, cache }: Ceiling): string {
  const g = (x: number) => short(x / 1e9);
  const of = ([least, middle, most]: Range, unit: string) => `${g(middle)} (${g(least)} to ${g(most)}) ${unit}`;
  const team = `limits of ${threads} thread${threads > 1 ? "s" : ""}`;
  return `${team}: ${of(flops, "GFLOP/s of f32")}, ${of(memory, "GB/s from memory")}, ${of(cache, "from cache")}`;
}
