import { describe, expect, test } from "vitest";
import { value } from "../../src/ir/value.ts";
import { crossEntropy, dropout, linear, mse, relu, sequential } from "../../src/nn/index.ts";
import { adam, sgd } from "../../src/optim/index.ts";
import { fit } from "../../src/train/index.ts";

const n = 103;
const xs = Float32Array.from({ length: n * 3 }, (_, k) => Math.sin(k * 1.7));
const ys = Int32Array.from({ length: n }, (_, i) => (xs[3 * i]! + xs[3 * i + 1]! > 0.2 ? 2 : xs[3 * i + 2]! > 0 ? 1 : 0));
const train = { x: value([n, 3], xs), y: value([n], ys, "i32") };

test.each(["js", "native"] as const)("thin %s", async (backend) => {
  const t0 = performance.now();
  const r = await fit({
    net: sequential(linear(3, 16), relu, linear(16, 3)), loss: crossEntropy, optimizer: adam(), lr: 0.01,
    data: { train }, batch: 10, epochs: 40, backend,
  });
  console.log(r.history.at(0), r.history.at(-1), r.steps, r.epochs, r.stopReason, r.secondsTraining, r.secondsCompiling, performance.now() - t0);
});
