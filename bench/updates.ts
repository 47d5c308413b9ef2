/** What has no network: the update alone, on many parameters, and a function of two numbers. */
import { Run, scalar, type Tensor, type Value, value, valueAndGrad } from "downhill";
import { adam, adamW, update } from "downhill/optim";
import { counting, noise } from "./noise.ts";
import type { Numbers, Workload } from "./workload.ts";

type Tensors = readonly Value<"f32">[];
const tensors = (seed: number): Tensors => [0, 1, 2, 3, 4].map((k) => noise(seed + k, [5_000_000]));

export const adamw25m: Workload<Numbers<Tensors, Tensors>> = {
  name: "ADAMW-25M",
  about: "AdamW's update alone, 5 tensors of 5,000,000",
  steps: 1,
  flops: 16 * 25e6, // the moments 4 and 4, their quotient 5, the decay 1, the step 2
  bytes: 7 * 4 * 25e6, // reads p, g, m and v, writes p, m and v
  checked: { steps: 1, within: 1e-5 },
  numbers: () => ({ params: tensors(1), data: tensors(11) }),
  feeds: (n) => ({ step: counting(n) }),
  async start({ params, data }, backend) {
    const rule = adamW();
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

/** (1 − x)² + 100 (y − x²)². Rosenbrock 1960. */
const rosenbrock = ({ x, y }: { readonly x: Tensor; readonly y: Tensor }): Tensor =>
  x.sub(1).square().add(y.sub(x.square()).square().mul(100));

export const valley: Workload<Numbers<{ readonly x: Value<"f32">; readonly y: Value<"f32"> }, Record<string, never>>> =
  {
    name: "ROSENBROCK",
    about: "Adam on Rosenbrock's function of two numbers",
    steps: 200_000,
    flops: 15 + 2 * 15, // the function and its slopes, and Adam's step of two numbers
    bytes: 4, // the number of the step; all else stays in registers
    restart: true,
    checked: { steps: 100, within: 1e-4 },
    numbers: () => ({ params: { x: value([], [-1.2]), y: value([], [1]) }, data: {} }),
    feeds: (n) => ({ step: counting(n) }),
    async start({ params }, backend) {
      const rule = adam();
      const run = await Run.start({ params, opt: rule.init(params) }, { backend });
      const loop = run.loop((s, { step }: { step: Tensor }) => {
        const [loss, gradients] = valueAndGrad(rosenbrock)(s.params);
        const [next, opt] = update(rule, gradients, s.opt, { params: s.params, step, lr: scalar(1e-3) });
        return { state: { params: next, opt }, output: { loss }, watch: loss };
      });
      return { run, loop };
    },
  };
