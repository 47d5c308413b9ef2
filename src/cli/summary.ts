/** What a person reads before and after training: the data, the model, what to beware of, how good it is. */
import type { Target } from "../data/target.ts";
import type { Warning } from "../data/warning.ts";
import type { TableConfiguration } from "./configuration.ts";
import { parameters } from "./network.ts";
import type { Problem } from "./problem.ts";
import { stepsPerEpoch, type TrainingRecipe } from "./recipe.ts";
import { type ClassScore, interval, type Score } from "./score.ts";
import type { Colors } from "./terminal.ts";
import { brief, columns, counted, grouped, shortened, significant, wrapped } from "./text.ts";

/** The most classes of which a confusion matrix is shown whole. */
const mostShown = 12;

/** "data", "target", … and what there is to say about each, in lines of at most `width` characters. */
export function facts(rows: readonly (readonly [string, string])[], { dim }: Colors, width: number): string {
  const filled = (what: string) => wrapped(what, width - 14, " ".repeat(12));
  return rows.map(([name, what]) => `  ${dim(name.padEnd(9))} ${filled(what)}\n`).join("");
}

/** Before training: the data, what was done to the columns, the network and how it will be trained. */
export function beforehand(
  problem: Problem,
  configuration: TableConfiguration,
  backend: string,
  colors: Colors,
  width: number,
): string {
  const { table, split, target, reason } = problem;
  const { recipe, architecture, choices } = configuration;
  const { train, validation, test } = split;
  const perEpoch = stepsPerEpoch(train.length, recipe);
  const parts = [
    `${grouped(train.length)} to train on`,
    ...(validation.length > 0 ? [`${grouped(validation.length)} to watch it`] : []),
    `${grouped(test.length)} held out`,
  ];
  const tasks = {
    binary: "two classes",
    multiclass: `${target.task === "regression" ? 0 : target.labels.length} classes`,
    regression: "a quantity",
  };
  const hidden = architecture.hidden.length > 0 ? `${architecture.hidden.join(" → ")} → ` : "";
  const dropout = architecture.dropout > 0 ? `, dropout ${architecture.dropout}` : "";
  return facts(
    [
      [
        "data",
        `${table.source}: ${counted(table.rows, "row")}, ${counted(table.columns.length, "column")}; ${parts.join(", ")}`,
      ],
      ["target", `${target.name}: ${tasks[target.task]} (${reason})`],
      ["columns", encoding(problem)],
      [
        "model",
        `${recipe.model === "mlp" ? "MLP" : "linear"} ${architecture.inputs} → ${hidden}${architecture.outputs}, ` +
          `${counted(parameters(architecture), "parameter")}${dropout}`,
      ],
      [
        "training",
        trainingText(recipe, `${counted(recipe.epochs, "epoch")} of ${counted(perEpoch, "step")}`, choices.seed),
      ],
      ["backend", backend],
    ],
    colors,
    width,
  );
}

/** "adamW, lr 0.003 (warmupCosine), weight decay 0.1, batch 32, 20 epochs of 10 steps, seed 1" */
export function trainingText(recipe: TrainingRecipe, length: string, seed: number): string {
  const { optimizer, lr, schedule, weightDecay, batch, accumulate, precision, average } = recipe;
  const batches = accumulate
    ? `${grouped(accumulate)} batches of ${grouped(batch)} per step`
    : `batch ${grouped(batch)}`;
  return [
    optimizer,
    `lr ${brief(lr)} (${schedule})`,
    `weight decay ${brief(weightDecay)}`,
    batches,
    length,
    `seed ${seed}`,
    ...(precision ? [precision] : []),
    ...(average ? [`average ${average}`] : []),
  ].join(", ");
}

/** "54 numbers (3 on a logarithmic scale, 2 with missing cells filled in), 3 categories as 17 columns of 0 and 1" */
function encoding({ encoder, target }: Problem): string {
  const { columns: codes, ignored } = encoder.toJSON();
  const numbers = codes.filter((code) => code.kind === "numeric");
  const categories = codes.filter((code) => code.kind === "categorical");
  const folded = numbers.filter((code) => code.fold !== null).length;
  const flagged = numbers.filter((code) => code.flag).length;
  const notes = [
    ...(folded > 0 ? [`${folded} on a logarithmic scale`] : []),
    ...(flagged > 0 ? [`${flagged} with missing cells, filled with the median and marked`] : []),
  ];
  const wide = categories.reduce((sum, code) => sum + code.categories.length + (code.other ? 1 : 0), 0);
  const left = ignored.filter((name) => name !== target.name);
  return [
    ...(numbers.length > 0
      ? [`${counted(numbers.length, "number")}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`]
      : []),
    ...(categories.length > 0
      ? [`${counted(categories.length, "category", "categories")} as ${counted(wide, "column")} of 0 and 1`]
      : []),
    ...(left.length > 0
      ? [`left out: ${left.slice(0, 6).join(", ")}${left.length > 6 ? ` and ${left.length - 6} more` : ""}`]
      : []),
  ].join("; ");
}

/** Kinds that several columns may have: one line for all of them. */
const summed: Partial<Record<Warning["kind"], (n: number, names: string) => string>> = {
  "heavy-tail": (n, names) => `${n} columns have heavy tails and are put on a logarithmic scale: ${names}.`,
  "constant-column": (n, names) => `${n} columns never change and are left out: ${names}.`,
  "dropped-column": (n, names) => `${n} columns identify the rows and are left out: ${names}.`,
};

/** Warnings, several of one kind as one. */
export function warningText(warnings: readonly Warning[], { yellow }: Colors, width = 80): string {
  const lines: string[] = [];
  const told = new Set<Warning["kind"]>();
  for (const { kind, message, column } of warnings) {
    const alike = warnings.filter((other) => other.kind === kind && other.column !== undefined);
    const sum = column !== undefined && alike.length > 2 ? summed[kind] : undefined;
    if (sum && told.has(kind)) continue;
    if (sum) told.add(kind);
    const names = alike.map(({ column }) => column!);
    const some = names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");
    lines.push(sum ? sum(alike.length, some) : message);
  }
  return lines.map((line) => `  ${yellow("!")} ${wrapped(line, width - 6, "    ")}\n`).join("");
}

/** A score in full: for classes a confusion matrix and precision, recall, F1 of each. */
export function scoreText(target: Target, score: Score, colors: Colors): string {
  if (score.kind === "number") {
    const rows = [
      ["RMSE", significant(score.rmse)],
      ["mean absolute error", significant(score.mae)],
      ["R²", score.r2.toFixed(4)],
    ];
    return `${columns(rows)
      .map((line) => `  ${line}\n`)
      .join("")}`;
  }
  const labels = target.task === "regression" ? [] : target.labels.map((label) => shortened(String(label), 16));
  const table = labels.length <= mostShown ? matrix(labels, score, colors) : worst(labels, score);
  const most = sizes(score).indexOf(Math.max(...sizes(score)));
  const alone = `  Always answering "${labels[most]}" would get ${score.majority.toFixed(3)} right.\n`;
  return `${table}\n${each(labels, score)}${colors.dim(alone)}`;
}

/** Rows of each class. */
const sizes = ({ confusion }: ClassScore): number[] => confusion.map((row) => row.reduce((a, b) => a + b, 0));

/** Rows: what it is; columns: what the model says. */
function matrix(labels: readonly string[], { confusion }: ClassScore, { bold, dim }: Colors): string {
  const short = labels.map((label) => shortened(label, labels.length > 6 ? 6 : 12));
  const lines = columns([["is \\ said", ...short], ...confusion.map((row, k) => [short[k]!, ...row.map(grouped)])]);
  return lines
    .map((line, k) => (k === 0 ? `  ${dim(line)}\n` : `  ${emphasised(line, confusion[k - 1]!, k - 1, bold)}\n`))
    .join("");
}

/** The k-th number of a line in bold: those that are right. */
function emphasised(line: string, row: readonly number[], k: number, bold: Colors["bold"]): string {
  let end = line.length;
  for (let c = row.length - 1; c > k; c--) end = line.slice(0, end).search(/\S+\s*$/);
  const head = line.slice(0, end).trimEnd();
  const start = head.search(/\S+$/);
  return `${head.slice(0, start)}${bold(head.slice(start))}${line.slice(head.length)}`;
}

/** The pairs that are taken for each other most often. */
function worst(labels: readonly string[], { confusion }: ClassScore): string {
  const pairs = confusion
    .flatMap((row, a) => row.map((n, b) => ({ a, b, n })))
    .filter(({ a, b, n }) => a !== b && n > 0);
  if (pairs.length === 0) return "  No class is taken for another.\n";
  const top = pairs.sort((p, q) => q.n - p.n).slice(0, 8);
  const rows = top.map(({ a, b, n }) => [`${labels[a]} taken for ${labels[b]}`, counted(n, "time")]);
  return `  Most frequent mistakes\n${columns(rows)
    .map((line) => `    ${line}\n`)
    .join("")}`;
}

/** Precision, recall and F1; of many classes only those that are recognised worst. */
function each(labels: readonly string[], score: ClassScore): string {
  const rowsOf = sizes(score);
  const all = score.perClass.map((scores, k) => ({ k, ...scores, rows: rowsOf[k]! }));
  const many = labels.length > mostShown;
  const shown = many ? [...all].sort((a, b) => a.f1 - b.f1).slice(0, 5) : all;
  const rows = shown.map(({ k, precision, recall, f1, rows }) => [
    labels[k]!,
    precision.toFixed(3),
    recall.toFixed(3),
    f1.toFixed(3),
    grouped(rows),
  ]);
  const lines = columns([[many ? "worst" : "class", "precision", "recall", "F1", "rows"], ...rows]);
  return lines.map((line) => `  ${line}\n`).join("");
}

/** The last line: the one number that everybody looks for. */
export function headline(score: Score, where: string): string {
  if (score.kind === "number") {
    return `${where} RMSE ${significant(score.rmse)}, R² ${score.r2.toFixed(4)} on ${counted(score.rows, "row")}`.trim();
  }
  const [low, high] = interval(score.right, score.rows);
  const auc = score.auc === undefined ? "" : `, AUC ${score.auc.toFixed(4)}`;
  const right = `${grouped(score.right)} of ${grouped(score.rows)} right`;
  return `${where} accuracy ${score.accuracy.toFixed(4)}: ${right} (95 %: ${low.toFixed(3)} to ${high.toFixed(3)})${auc}`.trim();
}
