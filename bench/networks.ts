/** Networks as they are trained: a small CNN on images of 28 × 28, and nanoGPT's recipe for a processor. */
import { iota, Run, scalar, type Tensor, valueAndGrad } from "downhill";
import {
  apply,
  batchNorm2d,
  conv2d,
  crossEntropy,
  flatten,
  gpt as gptOf,
  init,
  linear,
  maxPool2d,
  relu,
  sequential,
} from "downhill/nn";
import { adamW, chain, clipGlobalNorm, matrices, momentum, update } from "downhill/optim";
import { counting, integers, noise } from "./noise.ts";
import type { Workload } from "./workloads.ts";

const images = sequential(
  conv2d(1, 16, 3, { padding: 1 }),
  batchNorm2d(16),
  relu,
  maxPool2d(2),
  conv2d(16, 32, 3, { padding: 1 }),
  batchNorm2d(32),
  relu,
  maxPool2d(2),
  flatten,
  linear(32 * 7 * 7, 10),
);

/** x: f32[64, 1, 28, 28], labels: i32[64] */
export const cnn: Workload = {
  name: "CNN",
  about: "2 × (3×3 convolution, batch norm, ReLU, pool) on 28×28, SGD with momentum, batches of 64",
  steps: 10,
  restart: true,
  prepare() {
    const rows = 1024;
    const data = { x: noise(1, [rows, 1, 28, 28]), labels: integers(2, [rows], 10) };
    const first = init(images, 1);
    const rule = momentum();
    return {
      feeds: (n) => ({ rows: integers(3, [n, 64], rows), step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ ...first, opt: rule.init(first.params) }, { backend });
        const loop = run.loop(
          (s, { rows, step }: { rows: Tensor; step: Tensor }, { x, labels }) => {
            const [[loss, state], gradients] = valueAndGrad((params: typeof s.params) => {
              const [y, next] = apply(images, { params, state: s.state }, x.gather(rows), { training: true });
              return [crossEntropy(y, labels.gather(rows)), next] as const;
            })(s.params);
            const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(0.01) });
            return { state: { params, state, opt }, output: { loss }, watch: loss };
          },
          { data },
        );
        return { run, loop };
      },
    };
  },
};

const [context, vocabulary] = [64, 65];
const language = gptOf({ vocabulary, context, layers: 4, heads: 4, width: 128, bias: false, activation: "gelu" });

/** x, next: i32[12, 64] */
export const gpt: Workload = {
  name: "GPT",
  about: "4 layers, 4 heads, width 128, context 64, vocabulary 65, AdamW, clipped, batches of 12",
  steps: 4,
  restart: true,
  prepare() {
    const tokens = integers(1, [100_000], vocabulary);
    const { params } = init(language, 1);
    const rule = chain(clipGlobalNorm(1), adamW({ b2: 0.99, weightDecay: 0.1, decayOnly: matrices }));
    return {
      feeds: (n) => ({ starts: integers(2, [n, 12, 1], 100_000 - context), step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ params, opt: rule.init(params) }, { backend });
        const loop = run.loop(
          (s, { starts, step }: { starts: Tensor; step: Tensor }, { tokens }) => {
            const x = tokens.gather(starts.add(iota(context)));
            const next = tokens.gather(starts.add(iota(context)).add(1));
            const lossOf = valueAndGrad((params: typeof s.params) =>
              crossEntropy(apply(language, { params }, x)[0], next),
            );
            const [loss, gradients] = lossOf(s.params);
            const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
            return { state: { params, opt }, output: { loss }, watch: loss };
          },
          { data: { tokens } },
        );
        return { run, loop };
      },
    };
  },
};
