/**
 * Matrix products alone: large square ones, and the shapes of a training step in all four forms. The product becomes
 * the state, so that each step computes it and none is copied out.
 */
import { type LoopOptions, Run, type Tensor, type Value, value } from "downhill";
import { counting, noise } from "./noise.ts";
import type { Numbers, Workload } from "./workload.ts";

type Form = "NN" | "NT" | "TN" | "TT";
type Factors = { readonly a: Value<"f32">; readonly b: Value<"f32"> };

/** C[m, n] = A B, where A lies as [m, k] or, transposed, as [k, m], and B as [k, n] or [n, k]. */
const matmulOf = (
  name: string,
  [m, n, k]: readonly [number, number, number],
  form: Form,
  precision: NonNullable<LoopOptions["precision"]> = "f32",
): Workload => {
  const flops = 2 * m * n * k;
  const workload: Workload<Numbers<{ readonly c: Value<"f32"> }, Factors>> = {
    name,
    about: `a matrix product [${m}, ${k}] · [${k}, ${n}], ${forms[form]}, in ${precision}`,
    steps: Math.max(1, Math.round(1e9 / flops)),
    flops,
    bytes: 4 * (m * k + k * n + m * n),
    checked: { steps: 1, within: 1e-4 },
    numbers: () => ({
      params: { c: value([m, n], new Float32Array(m * n)) },
      data: { a: noise(1, form[0] === "N" ? [m, k] : [k, m]), b: noise(2, form[1] === "N" ? [k, n] : [n, k]) },
    }),
    feeds: (steps) => ({ step: counting(steps) }),
    async start({ params, data }, backend) {
      const run = await Run.start({ params }, { backend });
      const loop = run.loop(
        (_, __: { step: Tensor }, { a, b }) => ({
          state: { params: { c: (form[0] === "N" ? a : a.transpose()).matmul(form[1] === "N" ? b : b.transpose()) } },
          output: {},
        }),
        { data, precision },
      );
      return { run, loop };
    },
  };
  return workload;
};

const forms: Record<Form, string> = {
  NN: "both as they lie",
  NT: "the second transposed, as in x · wᵀ",
  TN: "the first transposed, as in dyᵀ · x",
  TT: "both transposed",
};

const square = (n: number) => matmulOf(`MATMUL-${n}`, [n, n, n], "NN");
/** What is rounded is the f32 factors, in every step. */
const inBf16 = matmulOf("MATMUL-1024-BF16", [1024, 1024, 1024], "NN", "bf16");

/** m, n, k of layers at work: 784-128 with batches of 32 and 512, and a GPT's 128-384 for 768 tokens. */
const shapes = [
  [32, 128, 784],
  [512, 128, 784],
  [768, 384, 128],
] as const;

export const matmuls: readonly Workload[] = [
  ...[512, 1024].map(square),
  inBf16,
  square(2048),
  ...shapes.flatMap((shape) =>
    (Object.keys(forms) as Form[]).map((form) => matmulOf(`MATMUL-${shape.join("x")}-${form}`, shape, form)),
  ),
];
