/**
 * What `fit` does, by hand: handwritten digits, a network, AdamW with clipped gradients on a schedule, a new order of
 * the rows every epoch, and a validation every ten. The whole step, optimizer included, is one compiled program, and a
 * call takes an epoch of steps. Both loops share the run's state, so the second sees what the first has learnt so far.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { argmax, Run, random, type Tensor, value, valueAndGrad } from "downhill";
import { batches, fitEncoder, fitTarget, split } from "downhill/data";
import { parseCsv } from "downhill/data/csv";
import { apply, crossEntropy, dropout, init, linear, relu, sequential } from "downhill/nn";
import { adamW, chain, clipGlobalNorm, update, warmupCosine } from "downhill/optim";

const seed = Number(process.argv[2] ?? 1);
const table = parseCsv(gunzipSync(readFileSync("examples/data/digits.csv.gz")));
const target = fitTarget(table, "digit");
const { train, test: held } = split(table.rows, { seed, classes: target.encode(table).data });
const { encoder } = fitEncoder(table, { rows: train, exclude: ["digit"] });
const part = (rows: Int32Array) => ({ x: encoder.transform(table, { rows }).x, y: target.encode(table, rows) });
const [data, test] = [part(train), part(held)];

// ---- the training ------------------------------------------------------------------------------------------------------
const [epochs, batch] = [30, 32];
const net = sequential(linear(encoder.featureNames.length, 64), relu, dropout(0.1), linear(64, 10));
const rule = chain(clipGlobalNorm(1), adamW());
const plan = batches(train.length, { batch, seed, dropLast: true });
const lr = warmupCosine({ lr: 3e-3, warmup: 50, steps: epochs * plan.steps });

const { params } = init(net, seed);
const run = await Run.start({ params, opt: rule.init(params) });
const steps = run.loop(
  (s, feed: { rows: Tensor; key: Tensor; step: Tensor; lr: Tensor }, { x, y }) => {
    const loss = (params: typeof s.params) => {
      const [logits] = apply(net, { params }, x.gather(feed.rows), { training: true, key: feed.key });
      return crossEntropy(logits, y.gather(feed.rows));
    };
    const [now, gradients] = valueAndGrad(loss)(s.params);
    const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step: feed.step, lr: feed.lr });
    return { state: { params, opt }, output: { loss: now }, watch: now };
  },
  { data },
);
const guess = run.loop((s, _, { x }) => ({ output: argmax(apply(net, { params: s.params }, x)[0]) }), { data: test });
async function accuracy() {
  const { data } = (await guess.take(1, {})).output;
  return test.y.data.filter((y, k) => y === data[k]).length / held.length;
}

for (let epoch = 0; epoch < epochs; epoch++) {
  const n = plan.steps;
  const taken = Array.from({ length: n }, (_, k) => epoch * n + k); // steps done before each of these
  const { output } = await steps.take(n, {
    rows: value([n, batch], plan.order(epoch).subarray(0, n * batch), "i32"),
    key: value(
      [n, 2],
      taken.flatMap((t) => random.foldIn(random.key(seed), t)),
      "u32",
    ),
    step: value(
      [n],
      taken.map((t) => t + 1),
    ),
    lr: value([n], taken.map(lr)),
  });
  if (epoch % 10 < 9) continue;
  const right = (100 * (await accuracy())).toFixed(1);
  console.log(`epoch ${epoch + 1}: loss ${output.loss.data[n - 1]!.toFixed(4)}, ${right} % of held-out digits right`);
}
// ------------------------------------------------------------------------------------------------------------------------
assert.ok((await accuracy()) > 0.95);
