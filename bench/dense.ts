/** Dense networks: logistic regression, and one or two hidden layers on batches of any size. */
import { type Result, Run, scalar, type Tensor, type Traced, type Value, value, valueAndGrad } from "downhill";
import { apply, binaryCrossEntropy, crossEntropy, init, linear, type Params, relu, sequential } from "downhill/nn";
import { adam, type State, sgd, update } from "downhill/optim";
import { counting, integers, noise } from "./noise.ts";
import { denseBytes, denseFlops, type Numbers, type Workload } from "./workload.ts";

/** What a step changes: parameters, and what their optimizer remembers. */
type Trained<P> = { readonly params: P; readonly opt: State };
type StepOf<P> = (s: Traced<Trained<P>>, x: Tensor, y: Tensor, step: Tensor) => Result<Trained<P>, { loss: Tensor }>;
type Rows = { readonly rows: Tensor; readonly step: Tensor };

// ---- logistic regression -----------------------------------------------------------------------------------------------

const logistic = linear(100, 1);
export const descent = sgd();

/** Plain SGD.  x: f32[n, 100], y: f32[n, 1] */
export const logisticStep: StepOf<Params<typeof logistic>> = (s, x, y, step) => {
  const lossOf = valueAndGrad((params: typeof s.params) => binaryCrossEntropy(apply(logistic, { params }, x)[0], y));
  const [loss, gradients] = lossOf(s.params);
  const at = { params: s.params, step, lr: scalar(0.01) };
  const [params, opt] = update(descent, gradients, s.opt, at);
  return { state: { params, opt }, output: { loss }, watch: loss };
};

type Labelled = { readonly x: Value<"f32">; readonly y: Value<"f32"> };

export const sgd1: Workload<Numbers<Params<typeof logistic>, Labelled>> = {
  name: "SGD-1",
  about: "logistic regression, 100 features, plain SGD, one example per step",
  steps: 50_000,
  flops: 4 * 100, // the score, and the weights' step
  bytes: 4 * 101, // a row and its answer; the weights stay in the nearest cache
  restart: true,
  checked: { steps: 50, within: 1e-4 },
  numbers: () => ({
    params: init(logistic, 1).params,
    data: { x: noise(1, [10_000, 100]), y: value([10_000, 1], integers(2, [10_000], 2).data) },
  }),
  feeds: (n) => ({ rows: integers(3, [n, 1], 10_000), step: counting(n) }),
  async start({ params, data }, backend) {
    const run = await Run.start({ params, opt: descent.init(params) }, { backend });
    const loop = run.loop((s, f: Rows, { x, y }) => logisticStep(s, x.gather(f.rows), y.gather(f.rows), f.step), {
      data,
    });
    return { run, loop };
  },
};

// ---- networks with hidden layers ---------------------------------------------------------------------------------------

export const mlp = sequential(linear(784, 128), relu, linear(128, 10));
export const mlpRule = adam();

/** Adam on the mean cross-entropy.  x: f32[n, 784], labels: i32[n], step: f32[] */
export const mlpStep: StepOf<Params<typeof mlp>> = (s, x, labels, step) => {
  const lossOf = valueAndGrad((params: typeof s.params) => crossEntropy(apply(mlp, { params }, x)[0], labels));
  const [loss, gradients] = lossOf(s.params);
  const [params, opt] = update(mlpRule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
  return { state: { params, opt }, output: { loss }, watch: loss };
};

const rows = 8192;
type Classed = { readonly x: Value<"f32">; readonly labels: Value<"i32"> };

export const mlpOf = (batch: number, steps: number): Workload<Numbers<Params<typeof mlp>, Classed>> => ({
  name: `MLP-${batch}`,
  about: `784-128-10, ReLU, softmax cross-entropy, Adam, batches of ${batch}`,
  steps,
  flops: denseFlops(batch, [784, 128, 10]),
  bytes: denseBytes(batch, [784, 128, 10]),
  restart: true,
  checked: { steps: 8, within: 1e-4 },
  numbers: () => ({
    params: init(mlp, 1).params,
    data: { x: noise(1, [rows, 784]), labels: integers(2, [rows], 10) },
  }),
  feeds: (n) => ({ rows: integers(3, [n, batch], rows), step: counting(n) }),
  async start({ params, data }, backend) {
    const run = await Run.start({ params, opt: mlpRule.init(params) }, { backend });
    const loop = run.loop((s, f: Rows, { x, labels }) => mlpStep(s, x.gather(f.rows), labels.gather(f.rows), f.step), {
      data,
    });
    return { run, loop };
  },
});

const wide = sequential(linear(1024, 1024), relu, linear(1024, 1024), relu, linear(1024, 10));

/** With "bf16" the factors of its matrix products are rounded, and everything else is f32. */
export const wideOf = (precision: "f32" | "bf16"): Workload<Numbers<Params<typeof wide>, Classed>> => ({
  name: precision === "f32" ? "WIDE-512" : "WIDE-512-BF16",
  about: `1024-1024-1024-10, ReLU, softmax cross-entropy, Adam, batches of 512, products in ${precision}`,
  steps: 4,
  flops: denseFlops(512, [1024, 1024, 1024, 10]),
  bytes: denseBytes(512, [1024, 1024, 1024, 10]),
  restart: true,
  checked: { steps: 4, within: 1e-4 },
  numbers: () => ({
    params: init(wide, 1).params,
    data: { x: noise(1, [rows, 1024]), labels: integers(2, [rows], 10) },
  }),
  feeds: (n) => ({ rows: integers(3, [n, 512], rows), step: counting(n) }),
  async start({ params, data }, backend) {
    const run = await Run.start({ params, opt: mlpRule.init(params) }, { backend });
    const loop = run.loop(
      (s, { rows, step }: Rows, { x, labels }) => {
        const lossOf = (params: typeof s.params) =>
          crossEntropy(apply(wide, { params }, x.gather(rows))[0], labels.gather(rows));
        const [loss, gradients] = valueAndGrad(lossOf)(s.params);
        const [next, opt] = update(mlpRule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
        return { state: { params: next, opt }, output: { loss }, watch: loss };
      },
      { data, precision },
    );
    return { run, loop };
  },
});
