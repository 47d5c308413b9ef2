/** Networks as they are trained: a small CNN on images of 28 × 28, and GPTs of two sizes by nanoGPT's recipe. */
import { iota, Run, scalar, type Tensor, type Value, valueAndGrad } from "downhill";
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
  type Params,
  relu,
  type State,
  sequential,
} from "downhill/nn";
import { adamW, chain, clipGlobalNorm, matrices, momentum, update } from "downhill/optim";
import { counting, integers, noise } from "./noise.ts";
import { adamBytes, type Numbers, type Workload } from "./workload.ts";

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

const rows = 1024;
/** One multiply-add per tap, channel and place of the output; the first layer has no gradient of its inputs. */
const cnnFlops = 64 * (4 * 28 * 28 * 16 * 9 + 6 * 14 * 14 * 32 * 16 * 9 + 6 * 32 * 7 * 7 * 10);
/** Images; parameters and momentum, read and written: of two convolutions, two batch norms and the last layer. */
const cnnBytes = 4 * (64 * 28 * 28 + 4 * (16 * 9 + 16 + 32 * 16 * 9 + 32 + 2 * 16 + 2 * 32 + 32 * 7 * 7 * 10 + 10));

type Images = Numbers<Params<typeof images>, { readonly x: Value<"f32">; readonly labels: Value<"i32"> }> & {
  readonly state: State<typeof images>;
};

/** x: f32[64, 1, 28, 28], labels: i32[64] */
export const cnn: Workload<Images> = {
  name: "CNN",
  about: "2 × (3×3 convolution, batch norm, ReLU, pool) on 28×28, SGD with momentum, batches of 64",
  steps: 10,
  flops: cnnFlops,
  bytes: cnnBytes,
  restart: true,
  checked: { steps: 8, within: 1e-3 },
  numbers: () => ({ ...init(images, 1), data: { x: noise(1, [rows, 1, 28, 28]), labels: integers(2, [rows], 10) } }),
  feeds: (n) => ({ rows: integers(3, [n, 64], rows), step: counting(n) }),
  async start({ params, state, data }, backend) {
    const rule = momentum();
    const run = await Run.start({ params, state, opt: rule.init(params) }, { backend });
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

const vocabulary = 65;
const length = 100_000;
type Recipe = Record<"layers" | "heads" | "width" | "context" | "batch", number>;

/** A GPT without biases, with tied embeddings, AdamW with decay on matrices, clipped.  x, next: i32[batch, context] */
function language(name: string, { batch, ...sizes }: Recipe, steps: number, restart: boolean): Workload {
  const { layers, heads, width, context } = sizes;
  const net = gptOf({ vocabulary, ...sizes, bias: false, activation: "gelu" });
  // 6 N per token, N the weights of the matrices, and 12 layers · width · context for attention. Chowdhery et al. 2022.
  const weights = 12 * layers * width * width + vocabulary * width;
  const workload: Workload<Numbers<Params<typeof net>, { readonly tokens: Value<"i32"> }>> = {
    name,
    about: `${layers} layers, ${heads} heads, width ${width}, context ${context}, AdamW, clipped, batches of ${batch}`,
    steps,
    flops: batch * context * (6 * weights + 12 * layers * width * context),
    bytes: 4 * batch * (context + 1) + adamBytes(weights + (context + 2 * layers + 1) * width), // places, and norms
    restart,
    checked: { steps: Math.min(8, steps), within: 1e-4 },
    numbers: () => ({ params: init(net, 1).params, data: { tokens: integers(1, [length], vocabulary) } }),
    feeds: (n) => ({ starts: integers(2, [n, batch, 1], length - context), step: counting(n) }),
    async start({ params, data }, backend) {
      const rule = chain(clipGlobalNorm(1), adamW({ b2: 0.99, weightDecay: 0.1, decayOnly: matrices }));
      const run = await Run.start({ params, opt: rule.init(params) }, { backend });
      const loop = run.loop(
        (s, { starts, step }: { starts: Tensor; step: Tensor }, { tokens }) => {
          const x = tokens.gather(starts.add(iota(context)));
          const next = tokens.gather(starts.add(iota(context)).add(1));
          const lossOf = (params: typeof s.params) => crossEntropy(apply(net, { params }, x)[0], next);
          const [loss, gradients] = valueAndGrad(lossOf)(s.params);
          const [params, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
          return { state: { params, opt }, output: { loss }, watch: loss };
        },
        { data },
      );
      return { run, loop };
    },
  };
  return workload;
}

export const gpt = language("GPT", { layers: 4, heads: 4, width: 128, context: 64, batch: 12 }, 4, true);
export const gptM = language("GPT-M", { layers: 6, heads: 6, width: 384, context: 256, batch: 8 }, 1, false);
