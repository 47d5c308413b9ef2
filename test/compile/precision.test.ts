/**
 * Mixed precision against what it is defined as: every factor rounded, as PyTorch rounds, and then products in plain loops
 * in f64. What is no product of two matrices must not change in a bit.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { inPrecision, type Precision } from "../../src/compile/precision.ts";
import type { Half } from "../../src/ir/dtype.ts";
import { halves } from "../../src/ir/half.ts";
import { grad, input, iota, softmax, type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import {
  apply,
  batchNorm2d,
  conv2d,
  crossEntropy,
  flatten,
  gpt,
  init,
  linear,
  type Module,
  maxPool2d,
  relu,
  sequential,
} from "../../src/nn/index.ts";
import { adam } from "../../src/optim/index.ts";
import { printC } from "../../src/print/c.ts";
import { jit } from "../../src/run/jit.ts";
import { Run } from "../../src/run/run.ts";
import { fit } from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { draw } from "../ir/numbers.ts";

const golden = JSON.parse(readFileSync(new URL("../golden/halves.json", import.meta.url), "utf8")) as Readonly<
  Record<Half, readonly (readonly [number, number])[]>
>;
const each = ["bf16", "f16"] as const;
const bf16 = halves.bf16.nearest;

/** C[i, j] = Σ_l a(i, l) · b(l, j), and Σ |a·b|. */
function product(m: number, n: number, k: number, a: (i: number, l: number) => number, b: typeof a) {
  const sums = new Float64Array(m * n);
  const sizes = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      for (let l = 0; l < k; l++) {
        const ab = a(i, l) * b(l, j);
        sums[i * n + j]! += ab;
        sizes[i * n + j]! += Math.abs(ab);
      }
    }
  }
  return { sums, sizes };
}

/** The largest |ours − sums| / sizes. */
const error = (ours: Value, { sums, sizes }: ReturnType<typeof product>): number =>
  sums.reduce((worst, s, k) => Math.max(worst, Math.abs(ours.data[k]! - s) / (sizes[k]! || 1)), 0);

describe.each(backends)("%s", (backend) => {
  test.each(each)("rounding to %s has PyTorch's bits, in a register and in two bytes of memory", async (half) => {
    const x = new Float32Array(Uint32Array.from(golden[half], ([f32]) => f32).buffer);
    // Too long to be done twice for two readers: so it is stored in between.
    const long = (x: Tensor) => [1, 2, 3, 4, 5].reduce((y, c) => y.lt(c).where(y, y), x)[half]();
    const f = (x: Tensor) => ({ as: x[half](), turned: long(x).flip(0), sum: long(x).sum() });
    const { as, turned } = await jit(f, { backend })(value([x.length], x));
    const bits = (v: Value) => Array.from(v.data, halves[half].bits);
    const want = golden[half].map(([, rounded]) => rounded);
    expect(bits(as)).toEqual(want);
    expect(bits(turned)).toEqual(want.toReversed());
  });

  const [m, n, k] = [37, 29, 70];
  const [A, B, G] = [draw([m, k], "f32"), draw([k, n], "f32", -1, 1, 5), draw([m, n], "f32", -1, 1, 9)];

  test.each(each)("%s: a matrix product, whichever way its factors lie, and its gradients", async (half) => {
    const { nearest } = halves[half];
    const a = (i: number, l: number) => nearest(A.data[i * k + l]!);
    const b = (l: number, j: number) => nearest(B.data[l * n + j]!);
    const g = (i: number, j: number) => nearest(G.data[i * n + j]!);
    const f = (a: Tensor, b: Tensor, g: Tensor) => {
      const loss = (p: readonly [Tensor, Tensor]) => p[0].matmul(p[1]).mul(g).sum();
      const turned = a.transpose().own().transpose();
      return { ab: a.matmul(b), turned: b.transpose().matmul(turned.transpose()), slopes: grad(loss)([a, b]) };
    };
    const { ab, turned, slopes } = await jit(f, { backend, precision: half })(A, B, G);
    expect(error(ab, product(m, n, k, a, b))).toBeLessThan(1e-5);
    expect(
      error(
        turned,
        product(
          n,
          m,
          k,
          (j, l) => b(l, j),
          (l, i) => a(i, l),
        ),
      ),
    ).toBeLessThan(1e-5);
    const [da, db] = slopes;
    expect(
      error(
        da,
        product(m, k, n, g, (j, l) => b(l, j)),
      ),
    ).toBeLessThan(1e-5);
    expect(
      error(
        db,
        product(k, n, m, (l, i) => a(i, l), g),
      ),
    ).toBeLessThan(1e-5);
  });

  test.each(each)("%s: in batches", async (half) => {
    const { nearest } = halves[half];
    const [x, w] = [draw([3, 20, 24], "f32"), draw([3, 24, 18], "f32", -1, 1, 3)];
    const y = await jit((x: Tensor, w: Tensor) => x.matmul(w), { backend, precision: half })(x, w);
    for (const h of [0, 1, 2]) {
      const part = value([20, 18], y.data.slice(h * 360, h * 360 + 360));
      const rows = (i: number, l: number) => nearest(x.data[(h * 20 + i) * 24 + l]!);
      const columns = (l: number, j: number) => nearest(w.data[(h * 24 + l) * 18 + j]!);
      expect(error(part, product(20, 18, 24, rows, columns))).toBeLessThan(1e-5);
    }
  });

  test("one factor that the user has rounded, and the other not", async () => {
    const ab = await jit((a: Tensor, b: Tensor) => a.bf16().matmul(b), { backend })(A, B);
    expect(
      error(
        ab,
        product(
          m,
          n,
          k,
          (i, l) => bf16(A.data[i * k + l]!),
          (l, j) => B.data[l * n + j]!,
        ),
      ),
    ).toBeLessThan(1e-5);
  });

  test("sums, softmax, convolutions, products with a vector and f64 have the bits that they have without", async () => {
    const [v, wide] = [draw([k, 1], "f32"), draw([m, k], "f64")];
    // 20 channels of 30 to 8 channels, 3 taps.
    const columns = iota(600, "f32").sin().reshape([20, 30]).window({ axis: 1, size: 3, stride: 1, dilation: 1 });
    const taps = iota(480, "f32").cos().reshape([8, 20, 3, 1]);
    const f = (a: Tensor, v: Tensor, wide: Tensor) => [
      softmax(a),
      a.square().mean(0),
      a.matmul(v),
      wide.matmul(wide.transpose()),
      columns.permute([0, 2, 1]).own().mul(taps).sum([1, 2]),
    ];
    const [plain, mixed] = await Promise.all(
      (["f32", "bf16"] as const).map((precision) => jit(f, { backend, precision })(A, v, wide)),
    );
    expect(mixed!.map((v) => [...v.data])).toEqual(plain!.map((v) => [...v.data]));
  });

  test("a network learns as it does in f32; its parameters stay f32", async () => {
    const rows = 192;
    const x = draw([rows, 40], "f32");
    const classes = Int32Array.from({ length: rows }, (_, i) => +(x.data[i * 40]! + x.data[i * 40 + 7]! > 0));
    const net = sequential(linear(40, 48), (x: Tensor) => x.tanh(), linear(48, 2));
    const train = async (precision: Precision, accumulate = 1) => {
      const { params, history } = await fit({
        net,
        loss: crossEntropy,
        optimizer: adam(),
        lr: 0.01,
        data: { train: { x, y: value([rows], classes, "i32") } },
        batch: 64,
        accumulate,
        epochs: 20,
        backend,
        precision,
      });
      return { weight: params.layers[0].weight, loss: history.at(-1)!.trainLoss };
    };
    const [f32, mixed, added] = await Promise.all([train("f32"), train("bf16"), train("bf16", 3)]);
    expect(mixed.loss).toBeLessThan(0.3);
    expect(Math.abs(mixed.loss - f32.loss)).toBeLessThan(0.02);
    expect(mixed.loss).not.toBe(f32.loss);
    expect(added.loss).toBeLessThan(0.6);
    expect(mixed.weight.data.some((w) => w !== bf16(w))).toBe(true);
  });
});

test("rounded factors take two bytes in memory, forward and backward", () => {
  const [w, x] = [input([64, 64], "f32", "w"), input([32, 64], "f32", "x")];
  const [loss, slope] = valueAndGrad((w: Tensor) => x.matmul(w).square().sum())(w);
  const trace = { state: [{ now: w, next: w.sub(slope) }], resident: [], feeds: [x], outputs: [loss] };
  const rounded = compile(inPrecision(trace, "bf16")).kernels.flatMap((k) =>
    k.kind === "contraction" ? [k.a, k.b] : [],
  );
  expect(rounded.map(({ buffer }) => buffer.storage)).toEqual(["bf16", "bf16", "bf16", "bf16"]);
  const plain = compile(trace).kernels.flatMap((k) => (k.kind === "contraction" ? [k.a, k.b] : []));
  expect(plain.map(({ buffer }) => buffer.storage)).toEqual([undefined, undefined, undefined, undefined]);
});

/** A step of gradient descent on `batch` rows of data, as `fit` would take it. */
function descent(net: Module, batch: number, data: Tensor, y: Tensor): Trace {
  const rows = input([batch], "i32", "rows");
  const x = data.gather(rows);
  const start = init(net, 1);
  const traced = (values: unknown) => tree.mapWithPath((path, v: Value) => input(v.shape, v.dtype, path), values);
  const [params, state] = [traced(start.params), traced(start.state)];
  const [[loss, next], slopes] = valueAndGrad((p: typeof params) => {
    const [prediction, after] = apply(net, { params: p, state }, x, { training: true });
    return [crossEntropy(prediction, y), after] as const;
  })(params);
  const pairs = (now: unknown, then: unknown) =>
    tree.leaves<Tensor>(now).map((t, k) => ({ now: t, next: tree.leaves<Tensor>(then)[k]! }));
  const moved = tree.map((p: Tensor, g: Tensor) => p.sub(g.mul(0.01)), params, slopes);
  return {
    state: [...pairs(params, moved), ...pairs(state, next)],
    resident: [data],
    feeds: [rows, y],
    outputs: [loss],
  };
}

const cnn = sequential(
  conv2d(1, 16, 3, { padding: 1 }),
  batchNorm2d(16),
  relu,
  maxPool2d(2),
  conv2d(16, 32, 3, { padding: 1 }),
  batchNorm2d(32),
  relu,
  maxPool2d(2),
  flatten,
  linear(32 * 49, 10),
);
const steps: Readonly<Record<string, () => Trace>> = {
  MLP() {
    const net = sequential(linear(784, 128), relu, linear(128, 10));
    return descent(net, 512, input([2048, 784], "f32", "x"), input([512], "i32", "y"));
  },
  CNN: () => descent(cnn, 64, input([256, 1, 28, 28], "f32", "x"), input([64], "i32", "y")),
  GPT() {
    const net = gpt({ vocabulary: 65, context: 64, layers: 2, heads: 4, width: 128, bias: false, activation: "gelu" });
    return descent(net, 12, input([48, 64], "i32", "x"), input([12, 64], "i32", "y"));
  },
};

test.each(Object.keys(steps))("%s: a step keeps less in memory, with what its products take", (name) => {
  const trace = steps[name]!();
  const bytes = (precision: Precision, banded: boolean) => {
    const { temporaryBytes, scratchBytes } = printC(compile(inPrecision(trace, precision), { banded }), 8);
    return temporaryBytes + scratchBytes;
  };
  for (const banded of [true, false]) {
    const f32 = bytes("f32", banded);
    for (const half of each) expect(bytes(half, banded) / f32, half).toBeLessThan(0.85);
  }
});

test("in f64 every f32 number is one; inputs, outputs and state keep their dtypes", async () => {
  const [A, x] = [draw([24, 20], "f32"), draw([20, 3], "f32", -1, 1, 4)];
  const f = (a: Tensor, x: Tensor) => ({
    y: a.matmul(x).exp().sum(0),
    tenth: x.mul(0.1),
    seven: x.gt(0).cast("f32").mul(7),
  });
  const single = await jit(f, { backend: "js", precision: "f64" })(A, x);
  const doubles = [A, x].map((v) => value(v.shape, Float64Array.from(v.data), "f64")) as [Value, Value];
  const g = (a: Tensor, x: Tensor) => ({ ...f(a, x), seven: x.gt(0).cast("f64").mul(7) });
  const double = await jit(g, { backend: "js" })(...doubles);
  for (const key of ["y", "tenth", "seven"] as const) {
    expect(single[key].dtype).toBe("f32");
    expect([...single[key].data]).toEqual([...Float32Array.from(double[key].data)]);
  }
  // In f32 each of these sums would be 2²⁴ again.
  const run = await Run.start({ s: value([], [2 ** 24]) }, { backend: "js" });
  const loop = run.loop((s) => ({ state: { s: s.s.add(1).add(1).add(1).add(1) }, output: {} }), { precision: "f64" });
  await loop.take(1, {});
  expect(run.state().s.data[0]).toBe(2 ** 24 + 4);
});

test("another name is told with those that there are", async () => {
  const run = await Run.start({}, { backend: "js" });
  const fp8 = { precision: "fp8" as Precision };
  expect(() => run.loop(() => ({ output: {} }), fp8)).toThrow(/expected "f32", "bf16", "f16", "f64", got .*fp8/);
});

test("a replay finds the product that overflowed", async () => {
  const run = await Run.start({ w: value([16, 16], new Float32Array(256).fill(3e38)) }, { backend: "js" });
  const step = (s: { w: Tensor }) => {
    const loss = s.w.matmul(s.w).sum();
    return { output: { loss }, watch: loss };
  };
  const loop = run.loop(step, { precision: "bf16" });
  const before = run.snapshot();
  await loop.take(1, {});
  expect(loop.explain(before, {})).toMatchObject({ op: "sum of products", operands: [{ max: bf16(3e38) }] });
});
