/**
 * The text of docs/optimizers.md: a template, and the tables of src/optim and src/minimize. What is written there about a
 * rule stands in its row; what it costs is counted.
 */
import { readFileSync } from "node:fs";
import { type MethodRow, methods } from "../../src/minimize/index.ts";
import { domainOf, type Hyper } from "../../src/optim/hyper.ts";
import {
  type Common,
  type Dialect,
  optimizers,
  type Row,
  type ScheduleRow,
  schedules,
  type WrapperRow,
  wrappers,
} from "../../src/optim/index.ts";
import { costOfStep, type StepCost, stateOf } from "./cost.ts";
import { charted, fenced, multiple, short, table, unit } from "./markdown.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");

const rules: Readonly<Record<string, Row<Common>>> = optimizers;
const around: Readonly<Record<string, WrapperRow>> = wrappers;
const rates: Readonly<Record<string, ScheduleRow>> = schedules;
const wholes: Readonly<Record<string, MethodRow>> = methods;

const link = (name: string) => `[${name}](#${name.toLowerCase()})`;
const sgd = costOfStep(optimizers.sgd.make());

/** Of the first dialect. */
const costs = new Map<Row<Common>, StepCost>();
function costOf(row: Row<Common>): StepCost {
  const cost = costs.get(row) ?? costOfStep(row.make());
  costs.set(row, cost);
  return cost;
}

// ---- optimizers

/** The state of a matrix, and of a vector where that differs. */
function floats({ make }: Row<Common>, dialect?: Dialect): string {
  const { ofMatrix, ofVector } = stateOf(make({ ...(dialect && { dialect }) }));
  const [matrix, vector] = [short(ofMatrix), short(ofVector)];
  return matrix === vector ? matrix : `${matrix}, vectors ${vector}`;
}

const contentsOfRules = () =>
  table(
    ["", "state", "memory", "arithmetic", "when"],
    Object.entries(rules).map(([name, row]) => {
      const { moved, operations } = costOf(row);
      const { ofMatrix } = stateOf(row.make());
      return [
        link(name),
        short(ofMatrix),
        multiple(moved / sgd.moved),
        multiple(operations / sgd.operations),
        row.when.split(/(?<=\.) /)[0]!,
      ];
    }),
  );

function rule([name, row]: [string, Row<Common>]): string {
  const dialects = Object.keys(row.dialects) as Dialect[];
  const defaults = (key: keyof Hyper | "lr") => dialects.map((dialect) => shown(row.dialects[dialect]?.[key]));
  const optional = row.options.filter((key) => !(key in row.defaults));
  const { moved, operations } = costOf(row);
  const lines = [
    ...(dialects.some((dialect) => row.dialects[dialect]?.lr) ? [["the library's lr", ...defaults("lr")]] : []),
    ...row.options.filter((key) => key in row.defaults).map((key) => [`\`${key}\`${lettered(key)}`, ...defaults(key)]),
    ["state, floats per parameter", ...dialects.map((dialect) => floats(row, dialect))],
    ["state of 1 M parameters", ...dialects.map((dialect) => unit(stateOf(row.make({ dialect })).ofMillion))],
  ];
  const more = optional.length ? ` Without a default: ${optional.map((key) => `\`${key}\``).join(", ")}.` : "";
  return [
    `### ${name}`,
    `${row.summary}.`,
    fenced(row.formula),
    `**When.** ${row.when}`,
    `**Source.** ${row.source}.`,
    table(["", ...dialects], lines),
    `To start from: lr ${shown(row.defaults.lr)}.${more} A step moves ${short(moved)} bytes and takes ${short(operations)} ` +
      "operations per parameter.",
  ].join("\n\n");
}

function shown(x: unknown): string {
  if (x === undefined) return "–";
  if (typeof x !== "number" || x === 0) return String(x);
  return x === Number.POSITIVE_INFINITY ? "∞" : x < 1e-3 ? x.toExponential() : String(x);
}

// ---- what goes around one

const stepped = ({ make }: WrapperRow) => {
  const rule = make(optimizers.sgd.make());
  return { ...costOfStep(rule), ...stateOf(rule), climbs: rule.climb !== undefined };
};

const contentsOfWrappers = () =>
  table(
    ["", "state", "memory", "arithmetic", "when"],
    Object.entries(around).map(([name, row]) => {
      const { ofMatrix, moved, operations, climbs } = stepped(row);
      const more = [moved / sgd.moved, operations / sgd.operations].map((x) => `+ ${multiple(x - 1)}`);
      const cost = climbs ? ["a second gradient", "a second gradient"] : more;
      return [link(name), `+ ${short(ofMatrix)}`, ...cost, row.when.split(/(?<=[.;]) /)[0]!.replace(/;$/, ".")];
    }),
  );

const wrapper = ([name, row]: [string, WrapperRow]): string =>
  [
    `### ${name}`,
    `${row.summary}.`,
    fenced(row.formula),
    `**When.** ${row.when}`,
    `**Source.** ${row.source}.`,
    `Unless said otherwise: \`${row.make(optimizers.sgd.make()).describe}\`.`,
  ].join("\n\n");

// ---- schedules

/** Of a run whose loss is measured every 50 of 1000 steps, and gets no better from 300 on. */
const stalled = Array.from({ length: 20 }, (_, k) => ({ step: 50 * (k + 1), trainLoss: 1 / (1 + Math.min(k, 5)) }));

function schedule([name, row]: [string, ScheduleRow]): string {
  const steps = 1000;
  const made = row.make({ lr: 1, steps });
  const rate = made.following?.(stalled) ?? made;
  const chart = charted(Array.from({ length: 60 }, (_, k) => rate(Math.floor((k / 59) * (steps - 1)))));
  const formula = fenced(`${chart}\n\n${row.formula}`);
  return [`### ${name}`, `${sentence(row.summary)}.`, formula, `**When.** ${row.when} **Source.** ${row.source}.`].join(
    "\n\n",
  );
}

const sentence = (text: string) => text.replace(/^(?!lr)./, (first) => first.toUpperCase());

// ---- full-batch methods

/** A name that an optimizer has too is a heading twice: GitHub counts them. */
const contentsOfMethods = () =>
  table(
    ["", "memory", "an iteration", "when"],
    Object.entries(wholes).map(([name, row]) => [
      name in rules ? `[${name}](#${name.toLowerCase()}-1)` : link(name),
      row.memory,
      row.cost,
      row.when,
    ]),
  );

const method = ([name, row]: [string, MethodRow]): string =>
  [
    `### ${name}`,
    `${row.summary}.`,
    fenced(row.formula),
    `**Source.** ${row.source}.`,
    `Unless said otherwise: \`${row.make().describe}\`.`,
  ].join("\n\n");

// ---- letters

const letters: { readonly [H in keyof Hyper]?: string } = {
  b1: "β₁",
  b2: "β₂",
  b3: "β₃",
  alpha: "α",
  warmup: "T",
  rho: "ρ",
  eps: "ε",
  epsRoot: "ε′",
  momentum: "μ",
  momentumCycle: "μₜ or β₁",
  dampening: "τ",
  momentumDecay: "ψ",
  etaMinus: "η⁻",
  etaPlus: "η⁺",
  weightDecay: "λ",
  phi: "φ",
  trustCoefficient: "κ",
  decayPower: "γ",
  clipThreshold: "d",
  minScale: "ε₂",
  ridge: "r",
  d0: "d₀",
};
const lettered = (key: keyof Hyper) => (letters[key] ? ` ${letters[key]}` : "");

/** What a hyper-parameter is says its docstring; names below one another share one. */
function hypers(): string {
  const [, body] = read("../../src/optim/hyper.ts").match(/export type Hyper = \{\n(.*?)\n\};/s)!;
  const groups: { readonly about: string; readonly names: (keyof Hyper)[] }[] = [];
  for (const [, docstring, name] of body!.matchAll(/\/\*\*(.*?)\*\/|^ {2}(\w+):/gms)) {
    if (docstring !== undefined) groups.push({ about: docstring.replace(/\n *\* ?/g, " ").trim(), names: [] });
    else groups.at(-1)!.names.push(name as keyof Hyper);
  }
  const rows = groups.map(({ about, names }) => {
    const domains = names.map(domainOf);
    const one = new Set(domains).size === 1;
    return [
      names.map((name) => `\`${name}\``).join(", "),
      names.flatMap((name) => letters[name] ?? []).join(", "),
      about,
      one ? domains[0]! : domains.join("; "),
    ];
  });
  return table(["option", "letter", "what it is", "domain"], rows);
}

// ---- the page

/** What stands between two lines `// ---- title` of a program. */
function part(text: string, title: string): string {
  const [, rest] = text.split(`// ---- ${title}\n`);
  const lines = rest!.split(/\n *\/\/ ----/)[0]!.split("\n");
  const margin = Math.min(...lines.filter(Boolean).map((line) => line.search(/\S/)));
  return lines
    .map((line) => line.slice(margin))
    .join("\n")
    .replace(/\n+export const rows = \{$/, "")
    .trimEnd();
}

/** Deterministic: the same tables and the same compiler give the same bytes. */
export function optimizersPage(): string {
  const signum = read("signum.ts");
  const all = <T>(rows: Readonly<Record<string, T>>, one: (row: [string, T]) => string) =>
    Object.entries(rows).map(one).join("\n\n");
  const holes: Readonly<Record<string, () => string>> = {
    "optimizers.contents": contentsOfRules,
    "wrappers.contents": contentsOfWrappers,
    ownRule: () => read("own-rule.ts").trimEnd(),
    "signum.rule": () => part(signum, "src/optim/rules/sign.ts"),
    "signum.row": () => part(signum, "src/optim/optimizers.ts"),
    sgd: () => `${short(sgd.moved)} bytes and ${short(sgd.operations)} operations`,
    letters: hypers,
    optimizers: () => all(rules, rule),
    wrappers: () => all(around, wrapper),
    schedules: () => all(rates, schedule),
    methods: () => `${contentsOfMethods()}\n\n${all(wholes, method)}`,
  };
  return read("optimizers.md").replace(/\{\{([\w.]+)\}\}/g, (_, name: string) => holes[name]!());
}
