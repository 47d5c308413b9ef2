/**
 * A spam filter, trained by three rules: SGD, RMSProp and Adam. Each gets the learning rate that is best for it on
 * validation mail, from a coarse grid; then all are judged with that rate, over five seeds, on mail that was held out.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { value } from "downhill";
import { fitEncoder, fitTarget, inspect, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";
import { binaryCrossEntropy, dropout, linear, relu, sequential } from "downhill/nn";
import { adam, type Optimizer, rmsprop, sgd } from "downhill/optim";
import { evaluate, fit, metricsOf } from "downhill/train";

const path = "examples/data/spambase.csv";
const table = parseCsv(readFileSync(path), { source: path });
const target = fitTarget(table, "spam");
const rows = split(table.rows, { seed: 1, test: 0.2, validation: 0.1, classes: target.encode(table).data });
const { encoder } = fitEncoder(table, { rows: rows.train, exclude: ["spam"] });
for (const { message } of inspect(table, { target: "spam", task: "binary", split: rows }))
  console.log(`note: ${message}`);

/** One logit per mail is compared with one 0 or 1: [n, 1] both. */
const part = (at: Int32Array) => ({
  x: encoder.transform(table, { rows: at }).x,
  y: value([at.length, 1], target.encode(table, at).data),
});
const [train, validation, test] = [part(rows.train), part(rows.validation), part(rows.test)];
console.log(
  `${rows.train.length} mails to learn from, ${rows.validation.length} to choose by, ${rows.test.length} held out`,
);

const net = sequential(linear(encoder.featureNames.length, 64), relu, dropout(0.2), linear(64, 1));
const judged = { loss: binaryCrossEntropy, metrics: metricsOf("binary", ["accuracy"]) };
const trained = (optimizer: Optimizer, lr: number, seed: number) =>
  fit({ net, loss: binaryCrossEntropy, optimizer, lr, data: { train }, batch: 64, epochs: 20, seed });

const contest = [
  { name: "SGD", rule: sgd(), rates: [0.03, 0.1, 0.3, 1] },
  { name: "RMSProp", rule: rmsprop(), rates: [3e-4, 1e-3, 3e-3, 1e-2] },
  { name: "Adam", rule: adam(), rates: [3e-4, 1e-3, 3e-3, 1e-2] },
];
const seeds = [1, 2, 3, 4, 5];
console.log("\n           lr      loss              accuracy, mean ± sd of five seeds");
for (const { name, rule, rates } of contest) {
  const tried = [];
  for (const lr of rates)
    tried.push({ lr, loss: (await evaluate(net, await trained(rule, lr, 0), validation, judged)).loss });
  const { lr } = tried.reduce((a, b) => (b.loss < a.loss ? b : a));
  const scores = [];
  for (const seed of seeds) scores.push(await evaluate(net, await trained(rule, lr, seed), test, judged));
  const loss = spread(scores.map((s) => s.loss));
  const accuracy = spread(scores.map((s) => s.metrics.accuracy!));
  console.log(`${name.padEnd(8)} ${String(lr).padStart(6)}   ${loss.text}   ${accuracy.text}`);
  assert.ok(accuracy.mean > 0.92);
}

function spread(xs: number[]) {
  const mean = xs.reduce((a, b) => a + b) / xs.length;
  const sd = Math.sqrt(xs.reduce((a, x) => a + (x - mean) ** 2, 0) / (xs.length - 1));
  return { mean, text: `${mean.toFixed(4)} ± ${sd.toFixed(4)}` };
}
