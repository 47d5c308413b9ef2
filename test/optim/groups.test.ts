/** Rules, rates and decays of their own for parts of a net: what PyTorch's parameter groups do. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { value } from "../../src/ir/index.ts";
import { init, linear, module, mse } from "../../src/nn/index.ts";
import {
  adamW,
  type Common,
  freeze,
  groups,
  matrices,
  momentum,
  type OptimizerName,
  only,
  optimizers,
  type Row,
  scaleLr,
  sgd,
  type Transform,
  under,
} from "../../src/optim/index.ts";
import { fit } from "../../src/train/index.ts";
import { descent, distance, feeds, flat, type Nested, type Tensors, values } from "./descent.ts";

type Part = "trunk" | "head";
type Case = { readonly name: string; readonly lr: Record<Part, number>; readonly points: Record<string, Nested[]> } & {
  readonly [P in Part]: { readonly optimizer: OptimizerName; readonly settings: Record<string, number> };
};
const golden = JSON.parse(readFileSync(new URL("../golden/groups.json", import.meta.url), "utf8")) as {
  problem: { X: Nested; T: Nested; start: Record<string, Nested> };
  steps: number[];
  cases: Case[];
};
const { X, T, start } = golden.problem;
const rows = optimizers as unknown as { readonly [N in OptimizerName]: Row<Common> };

const loss =
  ({ X, T }: Tensors) =>
  (p: Tensors) => {
    const hidden = X!.matmul(p["trunk.weight"]!.transpose()).add(p["trunk.bias"]!).tanh();
    return hidden.matmul(p["head.weight"]!.transpose()).add(p["head.bias"]!).sub(T!).square().sum();
  };

async function expectGolden(rule: Transform, { points }: Case, lr: number) {
  const { loop } = await descent(rule, loss, values(start, "f64"), { data: values({ X, T }, "f64") });
  const n = golden.steps.at(-1)!;
  const { output } = await loop.take(
    n,
    feeds(n, () => lr),
  );
  for (const [name, at] of Object.entries(points)) {
    const { data } = output.w[name]!;
    const size = data.length / n;
    golden.steps.forEach((t, k) => {
      const found = data.slice((t - 1) * size, t * size);
      expect(distance(found, flat(at[k]!)), `${name}, step ${t}`).toBeLessThan(1e-10);
    });
  }
}

describe.each(golden.cases.map((c) => [c.name, c] as const))("torch: %s", (_, c) => {
  const make = (part: Part) => rows[c[part].optimizer].make({ ...c[part].settings, dialect: "torch" });
  const share = c.lr.trunk / c.lr.head;

  test("each group by its rule, the whole of it at a part of the rate in one of them", async () => {
    await expectGolden(
      scaleLr(under("trunk"), share, groups([under("trunk"), make("trunk")], make("head"))),
      c,
      c.lr.head,
    );
  });

  test("the same with the rate inside of the group, and with the groups the other way round", async () => {
    const trunk = scaleLr(under("trunk"), share, make("trunk"));
    await expectGolden(groups([under("trunk"), trunk], make("head")), c, c.lr.head);
    await expectGolden(groups([under("head"), make("head")], trunk), c, c.lr.head);
  });
});

describe("in fit", () => {
  const net = module({ trunk: linear(3, 2), head: linear(2, 1) }, (m, x) => m.head(m.trunk(x).tanh()));
  const [n] = [4];
  const data = { train: { x: value([n, 3], flat(X), "f64"), y: value([n, 1], flat(T), "f64") } };
  const from = init(net, 1, { dtype: "f64" });
  const trained = (optimizer: Transform) =>
    fit({ net, loss: mse, optimizer, lr: 0.1, data, batch: "full", steps: 8, start: from, backend: "js" });

  test("a part that is frozen, one at a tenth of the rate, one with a rule of its own", async () => {
    const mixed = await trained(
      freeze(under("trunk.bias"), scaleLr(under("trunk"), 0.1, groups([under("head"), adamW()], momentum()))),
    );
    expect([...mixed.params.trunk.bias.data]).toEqual([...from.params.trunk.bias.data]);
    const all = await trained(freeze(under("trunk.bias"), scaleLr(under("trunk"), 0.1, momentum())));
    expect([...mixed.params.head.weight.data]).not.toEqual([...all.params.head.weight.data]);
    expect(mixed.history.at(-1)!.trainLoss).toBeLessThan(mixed.history[0]!.trainLoss);
  });

  test("two groups of one rule are the rule", async () => {
    const rule = adamW({ weightDecay: 0.1, decayOnly: matrices });
    const whole = await trained(rule);
    const parts = await trained(groups([under("head"), rule], rule));
    for (const part of ["trunk", "head"] as const) {
      expect([...parts.params[part].weight.data]).toEqual([...whole.params[part].weight.data]);
    }
    const chosen = await trained(adamW({ weightDecay: 0.1, decayOnly: under("head") }));
    const grouped = await trained(groups([under("head"), adamW({ weightDecay: 0.1 })], adamW({ weightDecay: 0 })));
    expect([...chosen.params.head.weight.data]).toEqual([...grouped.params.head.weight.data]);
    expect(() => groups([under("head"), only(matrices, sgd())], sgd())).not.toThrow();
  });
});
