/** Activation checkpointing changes neither the tree nor a bit of what a training computes; only what is kept. */
import { describe, expect, test } from "vitest";
import { input, type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  apply,
  batchNorm2d,
  checkpoint,
  conv2d,
  crossEntropy,
  dropout,
  flatten,
  gelu,
  gpt,
  init,
  layerNorm,
  linear,
  lstm,
  type Module,
  module,
  relu,
  sequential,
  tanh,
} from "../../src/nn/index.ts";
import { adamW, update } from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { leaves, paths } from "../../src/tree.ts";
import { hasNative } from "../backends.ts";

type Wrap = <L extends Module>(layer: L) => L;
const kept: Wrap = (layer) => layer;

const repeat = (n: number, make: () => Module) => Array.from({ length: n }, make);

/** [net, shape of x, classes, integers] */
const nets: Record<string, (wrap: Wrap) => [Module, readonly number[], number]> = {
  "dense, with dropout": (wrap) => [
    sequential(
      linear(8, 16),
      ...repeat(2, () => wrap(sequential(layerNorm(16), linear(16, 64), gelu, dropout(0.3), linear(64, 16)))),
      linear(16, 3),
    ),
    [32, 8],
    3,
  ],
  "so many rows that they are cut into blocks, but not where a part is computed again": (wrap) => [
    sequential(
      linear(13, 64),
      wrap(sequential(linear(64, 128), dropout(0.3), relu, linear(128, 64))),
      dropout(0.2),
      linear(64, 3),
    ),
    [142, 13],
    3,
  ],
  "convolutions, with running statistics": (wrap) => [
    sequential(
      conv2d(1, 4, 3, { padding: 1 }),
      ...repeat(2, () => wrap(sequential(conv2d(4, 4, 3, { padding: 1 }), batchNorm2d(4), relu))),
      flatten,
      linear(4 * 36, 3),
    ),
    [8, 1, 6, 6],
    3,
  ],
  "recurrent, in a forward of its own": (wrap) => [
    module({ rnn: wrap(lstm(3, 5)), head: linear(5, 3) }, (m, x) => m.head(m.rnn(x)[0].slice(1, 5, 6).squeeze(1))),
    [4, 6, 3],
    3,
  ],
};

async function trained(net: Module, shape: readonly number[], classes: number, backend: "js" | "native") {
  const { params, state } = init(net, 1);
  const rule = adamW();
  const run = await Run.start({ params, state, opt: rule.init(params) }, { backend, threads: 1 });
  type Feed = { x: Tensor; y: Tensor; key: Tensor; step: Tensor; lr: Tensor };
  const loop = run.loop((s, f: Feed) => {
    const [[loss, next], g] = valueAndGrad((params: typeof s.params) => {
      const [y, next] = apply(net, { params, state: s.state }, f.x, { training: true, key: f.key });
      return [crossEntropy(y, f.y), next] as const;
    })(s.params);
    const [params, opt] = update(rule, g, s.opt, { params: s.params, step: f.step, lr: f.lr });
    return { state: { params, state: next, opt }, output: { loss } };
  });
  const [n, steps] = [shape[0]!, 3];
  const count = shape.reduce((a, b) => a * b, steps);
  const numbers = (n: number, f: (k: number) => number) => Array.from({ length: n }, (_, k) => f(k));
  const feeds = {
    x: value(
      [steps, ...shape],
      numbers(count, (k) => Math.sin(k * 12.9898)),
    ),
    y: value(
      [steps, n],
      numbers(steps * n, (k) => (k * 7) % classes),
      "i32",
    ),
    key: value(
      [steps, 2],
      numbers(steps * 2, (k) => k + 1),
      "u32",
    ),
    step: value([steps], [1, 2, 3]),
    lr: value([steps], [0.01, 0.01, 0.01]),
  };
  const { program } = loop.compiled(feeds);
  await loop.take(steps, feeds);
  const bits = paths(run.state()).map(([path, v]) => `${path} ${Buffer.from(v.data.buffer).toString("hex")}`);
  return { bits, bytes: program.temporaryBytes + program.scratchBytes };
}

describe.each(Object.entries(nets))("%s", (_, make) => {
  test("the same bits and less memory: js", async () => {
    const [all, some] = [await trained(...make(kept), "js"), await trained(...make(checkpoint), "js")];
    expect(some.bits).toEqual(all.bits);
    expect(some.bytes).toBeLessThan(all.bytes);
  });

  test.runIf(hasNative)("the same bits: native", async () => {
    expect((await trained(...make(checkpoint), "native")).bits).toEqual((await trained(...make(kept), "native")).bits);
  });
});

test("a GPT's blocks", async () => {
  const of = (checkpoint: boolean) => {
    const net = gpt({ vocabulary: 7, context: 6, layers: 3, heads: 2, width: 8, checkpoint });
    const { params } = init(net, 1);
    return { params, net };
  };
  expect(paths(of(true).params).map(([path]) => path)).toEqual(paths(of(false).params).map(([path]) => path));
  const [x, y] = [value([4, 6], Array(24).fill(3), "i32"), value([24], Array(24).fill(2), "i32")];
  const run = async (again: boolean) => {
    const { net, params } = of(again);
    const run = await Run.start({ params }, { backend: "js" });
    const loop = run.loop(
      (s, _: object, data) => {
        const lossOf = (params: typeof s.params) =>
          crossEntropy(apply(net, { params }, data.x)[0].reshape([24, 7]), data.y);
        const [loss, g] = valueAndGrad(lossOf)(s.params);
        return { output: { loss, g } };
      },
      { data: { x, y } },
    );
    const { program } = loop.compiled({});
    const { output } = await loop.take(1, {});
    return { numbers: leaves(output).map((v) => [...v.data]), bytes: program.temporaryBytes };
  };
  const [all, some] = [await run(false), await run(true)];
  expect(some.numbers).toEqual(all.numbers);
  expect(some.bytes).toBeLessThan(0.7 * all.bytes);
});

test("functions of a Tensor too; all else is refused", () => {
  const x = input([3]);
  expect(checkpoint(tanh)(x).toString()).toBe("f32[3]");
  expect(checkpoint(tanh).name).toBe("tanh");
  expect(() => checkpoint(linear as never)).not.toThrow();
  expect(() => checkpoint({} as never)).toThrow(/expected a layer, got an empty object[\s\S]*checkpoint\(/);
  expect(() => checkpoint(undefined as never)).toThrow(/expected a layer/);
});
