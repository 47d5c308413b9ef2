/**
 * A published benchmark, run again: DeepOBS' quadratic_deep, 100 dimensions with the eigenvalues of a deep network, ten
 * batch orders. Published are SGD, momentum and Adam; the others have the best rate of the same grid, 10^(k/5), by one seed.
 */
import assert from "node:assert/strict";
import { grad, Run, type Tensor, type Value, value } from "downhill";
import * as optim from "downhill/optim";
import { quadraticDeep } from "downhill/problems";

const problem = quadraticDeep();
const { hessian, train, test, start, epochs, batches, batchSize, published, seeds } = problem;
const steps = epochs * batches;

type Data = { q: Value; train: Value; test: Value };
type Traced = { q: Tensor; train: Tensor; test: Tensor };
const data: Data = { q: hessian, train, test };

/** Final test losses, one of each seed. What is evaluated is what the rule says: itself, or an average. */
async function finals(rule: optim.Optimizer, rate: number): Promise<number[]> {
  const begin = { theta: start, opt: rule.init(start), step: value([], [1]), lr: value([], [rate]) };
  const run = await Run.start(begin);
  const training = run.loop(
    ({ theta, opt, step, lr }, { rows }: { rows: Tensor }, { q, train }: Traced) => {
      const g = grad((at: Tensor) => problem.loss(q, at, train.gather(rows)))(theta);
      const [next, memory] = optim.update(rule, g, opt, { params: theta, step, lr });
      return { state: { theta: next, opt: memory, step: step.add(1), lr }, output: {} };
    },
    { data },
  );
  const testing = run.loop(
    ({ theta, opt }, _: object, { q, test }: Traced) => ({
      output: { loss: problem.loss(q, rule.evaluated?.(theta, opt) ?? theta, test) },
    }),
    { data },
  );
  const losses: number[] = [];
  for (const seed of seeds) {
    run.load(begin);
    const epoch = problem.order(seed).data;
    const rows = Int32Array.from({ length: steps * batchSize }, (_, k) => epoch[k % epoch.length]!);
    await training.take(steps, { rows: value([steps, batchSize], rows, "i32") });
    losses.push((await testing.take(1, {})).output.loss.data[0]!);
  }
  return losses;
}

const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
const sd = (xs: number[]) => Math.sqrt(xs.reduce((a, x) => a + (x - mean(xs)) ** 2, 0) / (xs.length - 1));
const shown = (m: number, s: number) => `${m.toFixed(3)} ± ${s.toFixed(3)}`;

const rules: Record<string, [rule: optim.Optimizer, lr: number]> = {
  sgd: [optim.sgd(), published.sgd.lr],
  momentum: [optim.momentum({ momentum: 0.99 }), published.momentum.lr],
  adam: [optim.adam(), published.adam.lr],
  nadam: [optim.nadam(), 10 ** -1.4],
  lion: [optim.lion(), 10 ** -2.2],
  adabelief: [optim.adabelief(), 10 ** -1.4],
  scheduleFreeSgd: [optim.scheduleFreeSgd(), 10 ** -0.6],
  scheduleFreeAdamW: [optim.scheduleFreeAdamW(), 10 ** 0.4],
  prodigy: [optim.prodigy(), 10 ** -0.8],
};

console.log(
  "test loss after 100 epochs; no θ has less than 86.874\n\nrule              rate     published         here",
);
for (const [name, [rule, lr]] of Object.entries(rules)) {
  const losses = await finals(rule, lr);
  const known = published[name as keyof typeof published];
  const there = known ? shown(known.mean, known.sd) : "";
  const here = shown(mean(losses), sd(losses));
  console.log(`${name.padEnd(18)}${lr.toPrecision(3).padEnd(9)}${there.padEnd(18)}${here}`);
  assert.ok(mean(losses) > 86.8735 && mean(losses) < 88);
  if (!known) continue;
  const error = Math.hypot(known.sd, sd(losses)) / Math.sqrt(seeds.length);
  assert.ok(Math.abs(mean(losses) - known.mean) < 3 * error, `${name}: not within three standard errors`);
}
