/** Results that stay: bench/results/<date>-<machine>.json, the same as a short table in Markdown, and what has changed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Ceiling } from "./processes.ts";
import { ceilingLine, type Row, rate, short, summary } from "./table.ts";
import { fastest, type Verdict, verdicts } from "./targets.ts";
import { workloads } from "./workloads.ts";

/** A run of the bench, and what the machine was then. */
export type Measured = { readonly began: string; readonly machine: string; readonly limits: readonly Ceiling[] };

export type Results = {
  readonly date: string;
  readonly runs: readonly Measured[];
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
};

const folder = new URL("../bench/results/", import.meta.url);

/**
 * Writes both files of the day. Of what was measured earlier on that day what was not measured again stays, and each row
 * names its run. → their paths in the repository
 */
export function save(model: string, run: Measured, rows: readonly Row[], into: URL = folder): string[] {
  mkdirSync(into, { recursive: true });
  const date = run.began.slice(0, 10);
  const name = `${date}-${slug(model)}`;
  const file = (ending: string) => fileURLToPath(new URL(`${name}.${ending}`, into));
  const earlier: Results | undefined = existsSync(file("json"))
    ? JSON.parse(readFileSync(file("json"), "utf8"))
    : undefined;
  const results = joined(earlier, run, rows);
  writeFileSync(file("json"), `${JSON.stringify({ date, ...results }, undefined, 1)}\n`);
  writeFileSync(file("md"), markdown({ date, ...results }));
  return ["json", "md"].map((ending) => `bench/results/${name}.${ending}`);
}

/** In the order of the workloads, as a run of all of them would have it. */
function joined(earlier: Results | undefined, run: Measured, measured: readonly Row[]): Omit<Results, "date"> {
  const again = new Set(measured.map(keyOf));
  const place = (row: Row) => workloads.findIndex((w) => w.name === row.workload);
  const rows = [...(earlier?.rows ?? []).filter((row) => !again.has(keyOf(row))), ...measured].sort(
    (a, b) => place(a) - place(b) || a.backend.localeCompare(b.backend) || a.threads - b.threads,
  );
  const runs = [...(earlier?.runs ?? []), run].filter(({ began }) => rows.some((row) => row.began === began));
  return { runs, rows, verdicts: verdicts(rows) };
}

const keyOf = ({ workload, backend, threads }: Pick<Row, "workload" | "backend" | "threads">): string =>
  `${workload} ${backend} ${threads}`;

/** "Intel(R) Xeon(R) Processor" → intel-xeon-processor */
const slug = (model: string): string =>
  model
    .replace(/\((R|TM)\)/gi, "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");

function markdown({ date, runs, rows, verdicts }: Results): string {
  const several = runs.length > 1;
  const timeOf = (began: string) => `${began.slice(11, 16)} UTC`;
  const part = (x: number | undefined) => (x === undefined ? "" : `${short(x)} %`);
  const cells = (row: Row): string[] => {
    const peer = fastest(row.peers ?? []);
    return [
      row.workload,
      `${row.threads}`,
      ...(several ? [timeOf(row.began)] : []),
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
      ...(several ? ["run of"] : []),
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
    ["---", "--:", ...(several ? ["---"] : []), "--:", "--:", "--:", "--:", "--:", "--:", "--:", "--:", "---", "--:"],
    ...rows.map(cells),
  ];
  const missed = verdicts.filter(({ asAsked, atLimits }) => !(asAsked.met && atLimits?.met !== false));
  return [
    `# ${date}`,
    "",
    ...runs.flatMap(({ began, machine, limits }) => [
      several ? `The run of ${timeOf(began)}: ${machine}` : machine,
      "",
      ...limits.map((limit) => `- ${ceilingLine(limit)}`),
      "",
    ]),
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

/** Times then and now, and parts of the limit where both were measured in turns with it; nothing where nothing is there. */
export function against(rows: readonly Row[], earlier: Earlier | undefined): string[] {
  const lines = rows.flatMap((row) => {
    const then = earlier?.rows.find((r) => keyOf(r) === keyOf(row));
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
