/**
 * The adding problem of Hochreiter & Schmidhuber (1997): along 30 steps come random numbers, two of them marked, and in
 * the end their sum is wanted. So a number has to be kept over many steps that say nothing. A plain recurrent network
 * gets hardly further than the best constant, 1; an LSTM learns to keep what is marked. `npm run example lstm 2`: seed 2.
 */
import assert from "node:assert/strict";
import { random, type Tensor, value } from "downhill";
import { linear, lstm, type Module, module, mse, rnn } from "downhill/nn";
import { adam, chain, clipGlobalNorm } from "downhill/optim";
import { evaluate, fit } from "downhill/train";

const seed = Number(process.argv[2] ?? 1);
const length = 30;

/** x: f32[n, 30, 2], a number in [0, 1) and whether it is marked: one in each half; y: f32[n, 1], the sum of those two. */
function sums(n: number, seed: number) {
  const key = random.key(seed);
  const [x, y] = [new Float32Array(n * length * 2), new Float32Array(n)];
  for (let i = 0; i < n; i++) {
    const number = (t: number) => (i * length + t) * 2;
    for (let t = 0; t < length; t++) x[number(t)] = random.uniform(key, i * length + t);
    for (const half of [0, 1]) {
      const t = half * (length / 2) + random.integer(key, length / 2, 2 * i + half, 1);
      x[number(t) + 1] = 1;
      y[i]! += x[number(t)]!;
    }
  }
  return { x: value([n, length, 2], x), y: value([n, 1], y) };
}
const [train, test] = [sums(10_000, seed), sums(1000, seed + 1000)];

/** What a network has in mind after the last step, as one number. */
const adder = (memory: Module<any, readonly [], readonly Tensor[]>, hidden: number) =>
  module({ memory, head: linear(hidden, 1) }, (m, x) => {
    const [y] = m.memory(x); // f32[n, 30, hidden]
    return m.head(y!.slice(1, -1).squeeze(1));
  });

const hidden = 24;
const guess = test.y.data.reduce((a, y) => a + (y - 1) ** 2, 0) / test.y.data.length;
console.log(`always 1   mean squared error ${guess.toFixed(5)}`);
const off: Record<string, number> = {};
for (const [name, memory] of Object.entries({ rnn: rnn(2, hidden), lstm: lstm(2, hidden) })) {
  const net = adder(memory, hidden);
  const optimizer = chain(clipGlobalNorm(1), adam());
  const model = await fit({ net, loss: mse, optimizer, lr: 0.01, data: { train }, batch: 50, epochs: 5, seed });
  off[name] = (await evaluate(net, model, test, { loss: mse })).loss;
  const epochs = model.history.map((h) => h.trainLoss.toFixed(4)).join(" ");
  console.log(`${name.padEnd(10)} mean squared error ${off[name].toFixed(5)}; while it learnt: ${epochs}`);
}
assert.ok(off.lstm! < 0.1 * guess);
