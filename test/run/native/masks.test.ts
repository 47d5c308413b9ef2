/**
 * Conditions on values of other widths: a byte that is read under a float's condition, a double under an integer's.
 * gcc 12 vectorises some such loads into wrong code when a kernel is inlined, without a word (see src/print/target.ts).
 */
import { describe, expect, test } from "vitest";
import { iota, relu, scalar, type Tensor, value, valueAndGrad } from "../../../src/ir/index.ts";
import { apply, crossEntropy, dropout, init, linear, sequential } from "../../../src/nn/index.ts";
import { adamW, globalNorm, update } from "../../../src/optim/index.ts";
import { jit } from "../../../src/run/jit.ts";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { Run } from "../../../src/run/run.ts";

const numbers = (n: number, seed: number) =>
  Array.from({ length: n }, (_, k) => (((k + 1) * (7919 + seed)) % 23) / 11 - 1);

describe.skipIf(!probeCompiler().found)("conditions of another width", () => {
  describe.each(["f32", "f64"] as const)("%s", (d) => {
    test.each([
      [4, 8],
      [4, 4],
      [3, 5],
      [16, 16],
      [2, 64],
      [7, 33],
      [32, 10],
    ])("[%i, %i]", async (rows, columns) => {
      const n = rows * columns;
      const x = value([rows, columns], numbers(n, 1), d);
      const g = value([rows, columns], numbers(n, 2), d);
      const b = value([columns], numbers(columns, 3), d);
      const mask = value(
        [rows, columns],
        numbers(n, 4).map((v) => +(v < -0.4)),
        "bool",
      );
      const count = value(
        [rows, columns],
        numbers(n, 5).map((v) => Math.trunc(3 * v)),
        "i32",
      );
      const f = (x: Tensor, g: Tensor, b: Tensor, mask: Tensor, count: Tensor) => {
        const shifted = [
          [1, 2],
          [0, 3],
        ] as const;
        return {
          // a dropout's gradient behind a ReLU's: the mask is only asked for where the ReLU lets through
          nested: x.add(b).le(0).where(0, mask.where(0, g).mul(1.5)),
          turned: mask.where(x.lt(0).where(g, 0), relu(x).mul(g)),
          counted: x.lt(0).where(count.eq(0).where(g, x), mask.where(x, g)),
          padded: x
            .pad(shifted)
            .lt(0)
            .where(mask.pad(shifted).where(g.pad(shifted), 0), x.pad(shifted)),
          summed: x.add(b).le(0).where(0, mask.where(0, g)).sum(1),
          both: x.lt(0).and(mask).where(g, count.cast(d)),
        };
      };
      const [native, js] = await Promise.all(
        (["native", "js"] as const).map((backend) => jit(f, { backend })(x, g, b, mask, count)),
      );
      for (const name of Object.keys(js!) as (keyof ReturnType<typeof f>)[]) {
        const want = Array.from(js![name].data);
        Array.from(native![name].data).forEach((v, k) => expect(v, `${name}[${k}]`).toBeCloseTo(want[k]!, 5));
      }
    });
  });
});

// As a max pool sees a ReLU's gradient mask: both loads have a condition of their own, and one is the other's too.
test.skipIf(!probeCompiler().found).each(["f32", "f64"] as const)(
  "a rim of −∞ around a masked image, %s",
  async (d) => {
    const [rows, columns] = [120, 5];
    const g = value([rows, columns], numbers(rows * columns, 1), d);
    const bits = numbers(rows * columns, 4).map((v) => +(v < 0));
    const f = (g: Tensor, mask: Tensor) => {
      const inner = mask.where(0, g).pad([
        [0, 0],
        [0, 1],
      ]);
      return iota(columns + 1)
        .lt(columns)
        .where(inner, Number.NEGATIVE_INFINITY);
    };
    const y = await jit(f, { backend: "native" })(g, value([rows, columns], bits, "bool"));
    const want = Array.from({ length: rows * (columns + 1) }, (_, k) => {
      const [i, j] = [Math.floor(k / (columns + 1)), k % (columns + 1)];
      const at = i * columns + j;
      return j === columns ? Number.NEGATIVE_INFINITY : bits[at] ? 0 : g.data[at]!;
    });
    expect(Array.from(y.data)).toEqual(want);
  },
);

test.skipIf(!probeCompiler().found).each([
  [4, 4, 8, 3],
  [5, 7, 16, 2],
  [16, 10, 12, 4],
  [32, 57, 64, 10],
])("a training step with dropout, batch %i, %i-%i-%i, is the reference's", async (batch, inputs, hidden, classes) => {
  const net = sequential(linear(inputs, hidden), relu, dropout(0.1), linear(hidden, classes));
  const rule = adamW();
  const { params } = init(net, 0);
  const steps = 6;
  const feeds = {
    x: value([steps, batch, inputs], numbers(steps * batch * inputs, 1)),
    y: value(
      [steps, batch],
      numbers(steps * batch, 2).map((v) => Math.floor(((v + 1.01) / 2.1) * classes)),
      "i32",
    ),
    key: value(
      [steps, 2],
      Array.from({ length: 2 * steps }, (_, k) => 77 * k),
      "u32",
    ),
    step: value([steps], [1, 2, 3, 4, 5, 6]),
  };
  const norms = async (backend: "js" | "native") => {
    const run = await Run.start({ params, opt: rule.init(params) }, { backend });
    const loop = run.loop((s, f: { x: Tensor; y: Tensor; key: Tensor; step: Tensor }) => {
      const lossOf = (p: typeof s.params) =>
        crossEntropy(apply(net, { params: p }, f.x, { training: true, key: f.key })[0], f.y);
      const [loss, g] = valueAndGrad(lossOf)(s.params);
      const [next, opt] = update(rule, g, s.opt, { params: s.params, step: f.step, lr: scalar(0.01) });
      return { state: { params: next, opt }, output: { loss, norm: globalNorm(g) }, watch: loss };
    });
    const { output } = await loop.take(steps, feeds);
    return [...output.loss.data, ...output.norm.data];
  };
  const [native, js] = [await norms("native"), await norms("js")];
  expect(native).toHaveLength(js.length);
  native.forEach((v, k) => expect(v).toBeCloseTo(js[k]!, 4));
});
