/**
 * Minimise any function of tensors: Adam walks down Rosenbrock's valley, 10,000 steps in one call. The steps run inside
 * the compiled program; what comes back is the loss of each of them.
 */
import assert from "node:assert/strict";
import { Run, scalar, type Tensor, value, valueAndGrad } from "downhill";
import { adam, update } from "downhill/optim";

/** (1 − x)² + 100 (y − x²)², 0 at (1, 1): a curved valley with a nearly flat floor. Rosenbrock 1960. */
const valley = ({ x, y }: { x: Tensor; y: Tensor }) => x.sub(1).square().add(y.sub(x.square()).square().mul(100));

const rule = adam();
const point = { x: value([], [-1.2], "f64"), y: value([], [1], "f64") };
const run = await Run.start({ point, opt: rule.init(point), step: value([], [1], "f64") });

const loop = run.loop(({ point, opt, step }) => {
  const [height, slope] = valueAndGrad(valley)(point);
  const [next, memory] = update(rule, slope, opt, { params: point, step, lr: scalar(0.005, "f64") });
  return { state: { point: next, opt: memory, step: step.add(1) }, output: { height }, watch: height };
});

const { output } = await loop.take(10_000, {});
for (const step of [0, 10, 100, 1000, 9999])
  console.log(`step ${step + 1}: height ${output.height.data[step]?.toPrecision(4)}`);
const { x, y } = run.state().point;
console.log(`at (${x.data[0]}, ${y.data[0]}) on ${run.backend.name}`);

assert.equal(output.height.data[0]?.toFixed(1), "24.2");
assert.ok(Math.abs(x.data[0]! - 1) < 1e-6 && Math.abs(y.data[0]! - 1) < 1e-6);
