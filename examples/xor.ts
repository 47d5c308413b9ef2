/**
 * XOR: true where exactly one of two inputs is. No line separates its classes, so the best of all linear models says ½
 * to every question; a hidden layer of three units bends the plane, and gets all four answers right.
 */
import assert from "node:assert/strict";
import { value } from "downhill";
import { binaryCrossEntropy, linear, type Module, sequential, tanh } from "downhill/nn";
import { adam } from "downhill/optim";
import { fit, predict } from "downhill/train";

const x = value([4, 2], [0, 0, 0, 1, 1, 0, 1, 1]);
const y = value([4, 1], [0, 1, 1, 0]);

async function learn(net: Module, seed: number) {
  const options = { loss: binaryCrossEntropy, optimizer: adam(), lr: 0.05, batch: "full", steps: 2000, seed } as const;
  const model = await fit({ net, data: { train: { x, y } }, ...options });
  const logits = Array.from((await predict(net, model, x)).data);
  return { loss: model.history.at(-1)!.trainLoss, p: logits.map((z) => 1 / (1 + Math.exp(-z))) };
}

const line = await learn(linear(2, 1), 1);
const bent = await learn(sequential(linear(2, 3), tanh, linear(3, 1)), 1);

console.log("a b | a xor b   linear    2-3-1");
for (let i = 0; i < 4; i++) {
  const [a, b] = x.data.subarray(2 * i, 2 * i + 2);
  console.log(`${a} ${b} |    ${y.data[i]}     ${line.p[i]!.toFixed(4)}   ${bent.p[i]!.toFixed(4)}`);
}
console.log(`loss: linear ${line.loss.toFixed(4)}, which is ln 2; 2-3-1 ${bent.loss.toFixed(4)}`);

assert.ok(line.p.every((p) => Math.abs(p - 0.5) < 1e-3));
assert.ok(bent.p.every((p, i) => Math.abs(p - y.data[i]!) < 0.05));
