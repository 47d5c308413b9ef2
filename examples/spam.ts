/**
 * The spam filter of `npm start`, through the library: read a table, hold rows out, encode by what the training rows
 * say, train, and judge on mail that was never looked at.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { value } from "downhill";
import { fitEncoder, fitTarget, inspect, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";
import { binaryCrossEntropy, dropout, linear, relu, sequential } from "downhill/nn";
import { adamW, warmupCosine } from "downhill/optim";
import { evaluate, fit, metricsOf } from "downhill/train";

const seed = Number(process.argv[2] ?? 1);
const path = "examples/data/spambase.csv";
const table = parseCsv(readFileSync(path), { source: path });
const target = fitTarget(table, "spam");
const rows = split(table.rows, { seed, test: 0.2, validation: 0.1, classes: target.encode(table).data });
const { encoder } = fitEncoder(table, { rows: rows.train, exclude: ["spam"] });
console.log(`${table.rows} e-mails, ${encoder.featureNames.length} features`);
for (const { message } of inspect(table, { target: "spam", task: "binary", split: rows }))
  console.log(`note: ${message}`);

/** One logit per mail is compared with one 0 or 1: [n, 1] both. */
const part = (at: Int32Array) => ({
  x: encoder.transform(table, { rows: at }).x,
  y: value([at.length, 1], target.encode(table, at).data),
});
const test = part(rows.test);

const net = sequential(linear(encoder.featureNames.length, 64), relu, dropout(0.2), linear(64, 1));
const epochs = 30;
const batch = 64;
const model = await fit({
  net,
  loss: binaryCrossEntropy,
  optimizer: adamW(),
  lr: warmupCosine({ lr: 3e-3, warmup: 100, steps: epochs * Math.ceil(rows.train.length / batch) }),
  data: { train: part(rows.train), validation: part(rows.validation) },
  metrics: metricsOf("binary", ["accuracy"]),
  earlyStopping: { metric: "accuracy", patience: 10 },
  batch,
  epochs,
  seed,
});
console.log(
  `trained in ${model.secondsTraining.toFixed(1)} s on ${model.backend}, best after epoch ${model.best?.epoch}`,
);

const { metrics } = await evaluate(net, model, test, {
  loss: binaryCrossEntropy,
  metrics: metricsOf("binary", ["accuracy", "precision", "recall", "auc"]),
});
for (const [name, x] of Object.entries(metrics)) console.log(`${name.padEnd(9)} ${x.toFixed(4)}`);
assert.ok(metrics.accuracy! > 0.92);
