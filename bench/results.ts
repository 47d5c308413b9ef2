/** Results that stay: bench/results/<date>-<machine>.json, the same as a short table in Markdown, and what has changed. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ceiling } from "./processes.ts";
import { ceilingLine, type Row, rate, short, summary } from "./table.ts";
import { fastest, type Verdict } from "./targets.ts";

export type Results = {
  readonly model: string;
  readonly machine: string;
  readonly limits: readonly Ceiling[];
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
  const part = (x: number | undefined) => (x === undefined ? "" : `${short(x)} %`);
  const cells = (row: Row): string[] => {
    const peer = fastest(row.peers ?? []);
    return [
      row.workload,
      `${row.threads}`,
      short(row.medianUsPerStep),
      short(row.minUsPerStep),
      rate(row),
      part(row.parts?.[row.limit]),
      part(row.asked?.[row.limit]),
      short(row.startMs),
      short(row.compileColdMs),
      short(row.peakRssMb),
      peer ? `${peer.peer}: ${short(peer.medianUsPerStep)}` : "",
      peer ? `${short(peer.ratio)} ×` : "",
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
      "asked",
      "first step ms",
      "cold ms",
      "peak MB",
      "fastest peer µs",
      "ratio",
    ],
    ["---", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "---", "--:"],
    ...rows.map(cells),
  ];
  const missed = verdicts.filter(({ asAsked, atLimits }) => !(asAsked.met && atLimits?.met !== false));
  return [
    `# ${date}`,
    "",
    machine,
    "",
    ...limits.map((limit) => `- ${ceilingLine(limit)}`),
    "",
    ...table.map((row) => `| ${row.join(" | ")} |`),
    "",
    `${summary(verdicts)}. Missed, one way or both:`,
    "",
    ...missed.map(({ workload, threads, what, asAsked, atLimits }) => {
      const limits = atLimits
        ? `; at limits ${atLimits.met ? "met" : "missed"}: ${atLimits.found} (${atLimits.target})`
        : "";
      const asked = `as asked ${asAsked.met ? "met" : "missed"}: ${asAsked.found} (${asAsked.target})`;
      return `- ${workload}, ${threads} thread${threads > 1 ? "s" : ""}, ${what}: ${asked}${limits}`;
    }),
    "",
  ].join("\n");
}

// ---- against the last ones ---------------------------------------------------------------------------------------------

/** What is read of results that may be of an earlier form. */
type Earlier = {
  readonly date: string;
  readonly rows: readonly Pick<Row, "workload" | "backend" | "threads" | "medianUsPerStep" | "limit" | "parts">[];
};

/** The last results kept of a machine, if there are any. */
export function last(model: string, from: URL = folder): Earlier | undefined {
  const names = readdirSync(from).filter(
    (name) => /^\d{4}-\d\d-\d\d-/.test(name) && name.slice(11) === `${slug(model)}.json`,
  );
  const name = names.sort().at(-1);
  return name === undefined ? undefined : JSON.parse(readFileSync(new URL(name, from), "utf8"));
}

const kindOf = ({ backend, threads }: Pick<Row, "backend" | "threads">) => `${backend} ${threads}`;

/** Times then and now, and parts of the limit where both were measured in turns with it; nothing where nothing is there. */
export function against(rows: readonly Row[], earlier: Earlier | undefined): string[] {
  const lines = rows.flatMap((row) => {
    const then = earlier?.rows.find((r) => r.workload === row.workload && kindOf(r) === kindOf(row));
    if (!then) return [];
    const [was, is] = [then.medianUsPerStep, row.medianUsPerStep];
    const parts = then.parts && row.parts && [then, row].map((r) => `${short(r.parts![r.limit])} %`).join(" → ");
    const times = `${short(was).padStart(9)} → ${short(is).padStart(9)}`;
    const gain = `${short(was / is).padStart(6)} × as fast`;
    return [
      `  ${row.workload.padEnd(22)} ${`${row.threads}`.padStart(2)}  ${times}  ${gain}  ${parts ?? ""}`.trimEnd(),
    ];
  });
  return lines.length === 0 ? [] : [`against ${earlier!.date} on this machine: µs/step, and of the limit`, ...lines];
}
