/** Results that stay: bench/results/<date>-<machine>.json, and the same as a short table in Markdown. */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Limits } from "downhill";
import { type Row, short } from "./table.ts";
import { fastest, type Verdict } from "./targets.ts";

export type Results = {
  readonly model: string;
  readonly machine: string;
  readonly limits: readonly Limits[];
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
};

const folder = new URL("../bench/results/", import.meta.url);

/** Writes both files; a second run on the same day takes the first one's place. → their paths in the repository */
export function save({ model, ...results }: Results): string[] {
  mkdirSync(folder, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const name = `${date}-${slug(model)}`;
  const files = {
    [`${name}.json`]: `${JSON.stringify({ date, ...results }, undefined, 1)}\n`,
    [`${name}.md`]: markdown(date, results),
  };
  for (const [file, text] of Object.entries(files)) writeFileSync(fileURLToPath(new URL(file, folder)), text);
  return Object.keys(files).map((file) => `bench/results/${file}`);
}

/** "Intel(R) Xeon(R) Processor" → intel-xeon-processor */
const slug = (model: string): string =>
  model
    .replace(/\((R|TM)\)/gi, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");

function markdown(date: string, { machine, limits, rows, verdicts }: Omit<Results, "model">): string {
  const cells = (row: Row): string[] => {
    const peer = fastest(row.peers ?? []);
    const rate = row.gflops ? `${short(row.gflops)} GFLOP/s` : row.gbPerSecond ? `${short(row.gbPerSecond)} GB/s` : "";
    return [
      row.workload,
      `${row.threads}`,
      short(row.medianUsPerStep),
      short(row.minUsPerStep),
      rate,
      row.percentOfLimit === undefined ? "" : `${Math.round(row.percentOfLimit)} %`,
      short(row.startMs),
      short(row.compileColdMs),
      short(row.peakRssMb),
      peer ? `${peer.peer}: ${short(peer.medianUsPerStep)}` : "",
      peer ? `${short(peer.medianUsPerStep / row.medianUsPerStep)} ×` : "",
    ];
  };
  const table = [
    [
      "workload",
      "threads",
      "median µs",
      "fastest µs",
      "rate",
      "of limit",
      "first step ms",
      "cold ms",
      "peak MB",
      "fastest peer µs",
      "ratio",
    ],
    ["---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "---", "--:"],
    ...rows.map(cells),
  ];
  const g = (x: number) => short(x / 1e9);
  return [
    `# ${date}`,
    "",
    machine,
    "",
    ...limits.map(
      (l) =>
        `- limits of ${l.threads}: ${g(l.flops)} GFLOP/s, ${g(l.memory)} GB/s from memory, ${g(l.cache)} GB/s from cache`,
    ),
    "",
    ...table.map((row) => `| ${row.join(" | ")} |`),
    "",
    `${verdicts.filter((v) => v.met).length} of ${verdicts.length} targets met; missed:`,
    "",
    ...verdicts
      .filter((v) => !v.met)
      .map((v) => `- ${v.workload}, ${v.threads} threads, ${v.what}: ${v.found} (${v.target})`),
    "",
  ].join("\n");
}
