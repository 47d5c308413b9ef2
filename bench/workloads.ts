/**
 * The workloads: training steps as a user writes them, from the public API, with their data resident. What is measured
 * are shapes and update rules, so the data are noise.
 */
import {
  type BackendName,
  type Loop,
  type Result,
  Run,
  scalar,
  type Tensor,
  type Traced,
  type Value,
  value,
  valueAndGrad,
} from "downhill";
import { apply, binaryCrossEntropy, crossEntropy, init, linear, type Params, relu, sequential } from "downhill/nn";
import { adam, adamW, type State, sgd, update } from "downhill/optim";
import { cnn, gpt } from "./networks.ts";
import { counting, integers, noise } from "./noise.ts";

/** A run that is ready to take steps. */
export type Ready = {
  // any: each workload has a state, feeds and data of its own
  readonly run: Run<any>;
  readonly loop: Loop<any, any, any, any>;
};

export type Workload = {
  readonly name: string;
  readonly about: string;
  /** Steps per call: the length of the loop that runs without leaving the program. */
  readonly steps: number;
  /** µs per step that one thread of the machine in README.md should stay below. */
  readonly target?: number;
  /** Bytes that a step has to read and write at least, where memory is what limits it. */
  readonly bytes?: number;
  /** Take every call from the first state. Not where that would be a copy of hundreds of megabytes. */
  readonly restart?: boolean;
  /** Makes the numbers, which is not timed. */
  readonly prepare: () => {
    /** What so many steps are fed. */
    readonly feeds: (steps: number) => Readonly<Record<string, Value>>;
    readonly start: (backend: BackendName | "auto") => Promise<Ready>;
  };
};

/** What a step changes: parameters, and what their optimizer remembers. */
type Trained<P> = { readonly params: P; readonly opt: State };
type StepOf<P> = (s: Traced<Trained<P>>, x: Tensor, y: Tensor, step: Tensor) => Result<Trained<P>, { loss: Tensor }>;

// ---- logistic regression -----------------------------------------------------------------------------------------------

export const logistic = linear(100, 1);
export const descent = sgd();

/** Plain SGD.  x: f32[n, 100], y: f32[n, 1] */
export const logisticStep: StepOf<Params<typeof logistic>> = (s, x, y, step) => {
  const lossOf = valueAndGrad((params: typeof s.params) => binaryCrossEntropy(apply(logistic, { params }, x)[0], y));
  const [loss, gradients] = lossOf(s.params);
  const at = { params: s.params, step, lr: scalar(0.01) };
  const [params, opt] = update(descent, gradients, s.opt, at);
  return { state: { params, opt }, output: { loss }, watch: loss };
};

const sgd1: Workload = {
  name: "SGD-1",
  about: "logistic regression, 100 features, plain SGD, one example per step",
  steps: 10_000,
  target: 0.3,
  restart: true,
  prepare() {
    const rows = 10_000;
    const data = { x: noise(1, [rows, 100]), y: value([rows, 1], integers(2, [rows], 2).data) };
    const { params } = init(logistic, 1);
    return {
      feeds: (n) => ({ row: integers(3, [n, 1], rows), step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ params, opt: descent.init(params) }, { backend });
        const loop = run.loop(
          (s, f: { row: Tensor; step: Tensor }, { x, y }) => logisticStep(s, x.gather(f.row), y.gather(f.row), f.step),
          { data },
        );
        return { run, loop };
      },
    };
  },
};

// ---- a network of one hidden layer ---------------------------------------------------------------------------------------

export const mlp = sequential(linear(784, 128), relu, linear(128, 10));
export const mlpRule = adam();

/** Adam on the mean cross-entropy.  x: f32[n, 784], labels: i32[n], step: f32[] */
export const mlpStep: StepOf<Params<typeof mlp>> = (s, x, labels, step) => {
  const lossOf = valueAndGrad((params: typeof s.params) => crossEntropy(apply(mlp, { params }, x)[0], labels));
  const [loss, gradients] = lossOf(s.params);
  const [params, opt] = update(mlpRule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
  return { state: { params, opt }, output: { loss }, watch: loss };
};

const mlpOf = (batch: number, steps: number, target?: number): Workload => ({
  name: `MLP-${batch}`,
  about: `784-128-10, ReLU, softmax cross-entropy, Adam, batches of ${batch}`,
  steps,
  ...(target && { target }),
  restart: true,
  prepare() {
    const rows = 8192;
    const data = { x: noise(1, [rows, 784]), labels: integers(2, [rows], 10) };
    const { params } = init(mlp, 1);
    return {
      feeds: (n) => ({ rows: integers(3, [n, batch], rows), step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ params, opt: mlpRule.init(params) }, { backend });
        const loop = run.loop(
          (s, f: { rows: Tensor; step: Tensor }, { x, labels }) =>
            mlpStep(s, x.gather(f.rows), labels.gather(f.rows), f.step),
          { data },
        );
        return { run, loop };
      },
    };
  },
});

// ---- the update alone ----------------------------------------------------------------------------------------------------

const adamw25m: Workload = {
  name: "ADAMW-25M",
  about: "AdamW's update alone, 5 tensors of 5,000,000",
  steps: 1,
  bytes: 7 * 4 * 25e6, // reads p, g, m and v, writes p, m and v
  prepare() {
    const tensors = (seed: number) => [0, 1, 2, 3, 4].map((k) => noise(seed + k, [5_000_000]));
    const params = tensors(1);
    const data = tensors(11);
    const rule = adamW();
    return {
      feeds: (n) => ({ step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ params, opt: rule.init(params) }, { backend });
        const loop = run.loop(
          (s, { step }: { step: Tensor }, gradients) => {
            const [next, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
            return { state: { params: next, opt }, output: {} };
          },
          { data },
        );
        return { run, loop };
      },
    };
  },
};

// ---- a function of two numbers ---------------------------------------------------------------------------------------------

/** (1 − x)² + 100 (y − x²)². Rosenbrock 1960. */
export const rosenbrock = ({ x, y }: { readonly x: Tensor; readonly y: Tensor }): Tensor =>
  x.sub(1).square().add(y.sub(x.square()).square().mul(100));

const valley: Workload = {
  name: "ROSENBROCK",
  about: "Adam on Rosenbrock's function of two numbers",
  steps: 10_000,
  target: 0.3,
  restart: true,
  prepare() {
    const params = { x: value([], [-1.2]), y: value([], [1]) };
    const rule = adam();
    return {
      feeds: (n) => ({ step: counting(n) }),
      async start(backend) {
        const run = await Run.start({ params, opt: rule.init(params) }, { backend });
        const loop = run.loop((s, { step }: { step: Tensor }) => {
          const [loss, gradients] = valueAndGrad(rosenbrock)(s.params);
          const [next, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
          return { state: { params: next, opt }, output: { loss }, watch: loss };
        });
        return { run, loop };
      },
    };
  },
};

export const workloads: readonly Workload[] = [
  sgd1,
  mlpOf(1, 2000, 50),
  mlpOf(32, 500, 150),
  mlpOf(512, 50),
  mlpOf(4096, 8),
  cnn,
  gpt,
  adamw25m,
  valley,
];
