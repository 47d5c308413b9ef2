/**
 * Fine-tuning: a network that can read digits is asked a new question, "does it have a loop?", of which it sees 40
 * answers. First a new head learns on the frozen trunk; then both learn, the trunk at a tenth of the rate. Two controls
 * have the same 40 answers: everything at the full rate at once, and a network that starts from nothing.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { value } from "downhill";
import { fitEncoder, fitTarget, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";
import { binaryCrossEntropy, crossEntropy, init, linear, module, relu, sequential } from "downhill/nn";
import { adamW, cosine, freeze, scaleLr, under } from "downhill/optim";
import { evaluate, fit, metricsOf } from "downhill/train";

const table = parseCsv(gunzipSync(readFileSync("examples/data/digits.csv.gz")));
const target = fitTarget(table, "digit");
const { train, test } = split(table.rows, { seed: 1, classes: target.encode(table).data });
const [named, asked] = [train.subarray(0, 1000), train.subarray(1000)]; // no picture is used twice
const { encoder } = fitEncoder(table, { rows: named, exclude: ["digit"], foldTails: false });
const pictures = (rows: Int32Array) => encoder.transform(table, { rows }).x;
const digits = { x: pictures(named), y: target.encode(table, named) };
const loops = (rows: Int32Array) => {
  const y = Array.from(target.encode(table, rows).data, (digit) => Number([0, 6, 8, 9].includes(digit)));
  return { x: pictures(rows), y: value([rows.length, 1], y) };
};

// The same trunk in two networks: parameters are trees, so one's `trunk` can be put in the other's place.
const trunk = sequential(linear(encoder.featureNames.length, 128), relu, linear(128, 64), relu);
const reader = module({ trunk, head: linear(64, 10) }, (m, x) => m.head(m.trunk(x)));
const finder = module({ trunk, head: linear(64, 1) }, (m, x) => m.head(m.trunk(x)));

const [seeds, few, held] = [4, 40, loops(test)];
const scores = { "from nothing": 0, "all at once": 0, "head on a frozen trunk": 0, "then the trunk, slowly": 0 };
for (let seed = 1; seed <= seeds; seed++) {
  const lr = cosine({ lr: 3e-3, steps: 600 });
  const read = { net: reader, loss: crossEntropy, optimizer: adamW(), lr, batch: 50, steps: 600, seed } as const;
  const { params } = await fit({ ...read, data: { train: digits } });

  const answers = loops(asked.subarray((seed - 1) * few, seed * few));
  const find = { net: finder, loss: binaryCrossEntropy, data: { train: answers }, batch: "full", steps: 300 } as const;
  const start = init(finder, seed);
  const moved = { ...start, params: { ...start.params, trunk: params.trunk } };
  const headed = await fit({ ...find, start: moved, optimizer: freeze(under("trunk"), adamW()), lr: 1e-2 });
  const models = {
    "from nothing": await fit({ ...find, start, optimizer: adamW(), lr: 2e-3 }),
    "all at once": await fit({ ...find, start: moved, optimizer: adamW(), lr: 2e-3 }),
    "head on a frozen trunk": headed,
    "then the trunk, slowly": await fit({
      ...find,
      start: headed,
      optimizer: scaleLr(under("trunk"), 0.1, adamW()),
      lr: 2e-3,
    }),
  };
  assert.deepEqual(headed.params.trunk, params.trunk); // to the last bit

  const judged = { loss: binaryCrossEntropy, metrics: metricsOf("binary", ["accuracy"]) };
  for (const name of Object.keys(scores) as (keyof typeof scores)[])
    scores[name] += (await evaluate(finder, models[name], held, judged)).metrics.accuracy! / seeds;
}
console.log(`${test.length} held-out digits, loop or none, after ${few} answers; mean of ${seeds} seeds`);
for (const [name, x] of Object.entries(scores)) console.log(`${name.padEnd(24)} ${(100 * x).toFixed(1)} %`);
assert.ok(scores["head on a frozen trunk"] > scores["from nothing"] + 0.02);
assert.ok(scores["then the trunk, slowly"] > scores["from nothing"] + 0.02);
