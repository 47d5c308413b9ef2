/** Momentum against the rate: PyTorch's momenta, step by step, and the trajectories of its optimizers under them. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Tensor, value } from "../../src/ir/index.ts";
import {
  adamW,
  type MomentumCycle,
  momentum,
  oneCycle,
  oneCycleMomentum,
  optimizers,
  triangular,
  triangularMomentum,
} from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { descent, distance, feeds, flat, type Nested, type Tensors, values } from "./descent.ts";

const read = (name: string) => JSON.parse(readFileSync(new URL(`../golden/${name}.json`, import.meta.url), "utf8"));

type Scheduled = { name: string; settings: any; momenta?: number[] };
const scheduled = (read("schedules") as { cases: Scheduled[] }).cases.filter((c) => c.momenta);

/** The cycle at steps 1 … n. */
async function momenta(cycle: MomentumCycle, n: number): Promise<number[]> {
  const run = await Run.start({ none: value([], [0], "f64") }, { backend: "js" });
  const loop = run.loop((s, { step }: { step: Tensor }) => ({ state: s, output: { mu: cycle(step) } }));
  const { output } = await loop.take(n, { step: feeds(n, () => 1).step });
  return [...output.mu.data];
}

describe("momenta of torch", () => {
  test.each(scheduled.map((c) => [`${c.name} ${JSON.stringify(c.settings)}`, c] as const))("%s", async (_, c) => {
    const { steps, pctStart, up, down, mode } = c.settings;
    const many = { up, ...(down && { down }), ...(mode && { mode }) };
    const cycle = c.name === "oneCycle" ? oneCycleMomentum({ steps, pctStart }) : triangularMomentum(many);
    expect(distance(await momenta(cycle, c.momenta!.length), c.momenta!)).toBeLessThan(1e-15);
  });

  test("after the end of one cycle it stays high", async () => {
    expect((await momenta(oneCycleMomentum({ steps: 10, high: 0.9, low: 0.5 }), 14)).slice(9)).toEqual(
      Array(5).fill(0.9),
    );
  });
});

type Case = {
  optimizer: "momentum" | "nesterov" | "adam" | "adamW";
  cycle: "oneCycle" | "triangular";
  schedule: any;
  momentum: any;
  points: Record<string, Nested[]>;
};
const golden = read("momentum-cycle") as {
  problem: { X: Nested; T: Nested; start: Record<string, Nested> };
  steps: number[];
  cases: Case[];
};
const { X, T, start } = golden.problem;
const loss =
  ({ X, T }: Tensors) =>
  (p: Tensors) =>
    X!.matmul(p.A!).add(p.b!).tanh().sub(T!).square().sum();

describe("trajectories of torch", () => {
  test.each(golden.cases.map((c) => [`${c.optimizer}, ${c.cycle} ${JSON.stringify(c.momentum)}`, c] as const))(
    "%s",
    async (_, c) => {
      const one = c.cycle === "oneCycle";
      const momentumCycle = one ? oneCycleMomentum(c.momentum) : triangularMomentum(c.momentum);
      const rule = optimizers[c.optimizer].make({ momentumCycle });
      const { loop } = await descent(rule, loss, values(start, "f64"), { data: values({ X, T }, "f64") });
      const n = golden.steps.at(-1)!;
      const { output } = await loop.take(n, feeds(n, one ? oneCycle(c.schedule) : triangular(c.schedule)));
      for (const [name, at] of Object.entries(c.points)) {
        const { data } = output.w[name]!;
        const size = data.length / n;
        golden.steps.forEach((t, k) => {
          const found = data.slice((t - 1) * size, t * size);
          expect(distance(found, flat(at[k]!)), `${name}, step ${t}`).toBeLessThan(1e-10);
        });
      }
    },
  );
});

test("says what it is, and refuses what cannot be meant", () => {
  const momentumCycle = oneCycleMomentum({ steps: 100 });
  expect(adamW({ momentumCycle }).describe).toContain("momentumCycle oneCycle(0.95 to 0.85, peak at 29 of 99)");
  expect(momentum({ momentumCycle: triangularMomentum({ up: 5 }) }).describe).toContain(
    "momentumCycle triangular(0.9 to 0.8, 5 up, 5 down)",
  );
  for (const make of [oneCycleMomentum, triangularMomentum] as ((o?: any) => MomentumCycle)[]) {
    for (const given of [undefined, 3, {}, null, { up: 5, steps: 10 }]) {
      expect(() => make(given)).toThrow(new RegExp(`^${make.name}: `));
    }
  }
  expect(() => oneCycleMomentum({ steps: 2 })).toThrow(/2 steps are too few/);
  expect(() => oneCycleMomentum({ steps: 20, pctStart: 1 })).toThrow(/pctStart must lie in \(0, 1\)/);
  expect(() => oneCycleMomentum({ steps: 20, high: 1 })).toThrow(/high must be a number in \[0, 1\), got 1/);
  expect(() => triangularMomentum({ up: 4, low: 0.95 })).toThrow(/low must not lie above high, got 0.95 and 0.9/);
  expect(() => triangularMomentum({ up: 4, mode: "exp_range" })).toThrow(/gamma must be a number in \(0, 1\]/);
});
