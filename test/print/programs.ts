/** A dozen small programs as users write them, for the golden texts. */
import type { Trace } from "../../src/compile/compile.ts";
import type { DType } from "../../src/ir/dtype.ts";
import {
  input,
  logSoftmax,
  pick,
  relu,
  sigmoid,
  softmax,
  softplus,
  type Tensor,
  valueAndGrad,
  variance,
} from "../../src/ir/index.ts";
import type { Shape } from "../../src/ir/shape.ts";

type Tensors = Record<string, Tensor>;
type Shapes = Record<string, Shape>;
type Parts = {
  readonly state?: Shapes;
  readonly data?: Record<string, readonly [Shape, DType]>;
  readonly feed?: Record<string, readonly [Shape, DType]>;
};

/** A trace as Run makes it. */
function step(parts: Parts, f: (s: Tensors, feed: Tensors, data: Tensors) => { next?: Tensors; out: Tensor[] }): Trace {
  const named = (x: Record<string, readonly [Shape, DType]> = {}) =>
    Object.fromEntries(Object.entries(x).map(([k, [shape, d]]) => [k, input(shape, d, k)]));
  const state = Object.fromEntries(Object.entries(parts.state ?? {}).map(([k, shape]) => [k, input(shape, "f32", k)]));
  const [feed, data] = [named(parts.feed), named(parts.data)];
  const { next = {}, out } = f(state, feed, data);
  return {
    state: Object.entries(state).map(([k, now]) => ({ now, next: next[k] ?? now })),
    feeds: Object.values(feed),
    resident: Object.values(data),
    outputs: out,
  };
}

const descend = (s: Tensors, g: Tensors, rate = 0.1): Tensors =>
  Object.fromEntries(Object.entries(g).map(([k, d]) => [k, s[k]!.sub(d.mul(rate))]));
const slopes = (f: (p: Tensors) => Tensor) => (p: Tensors) => valueAndGrad(f)(p);
const hidden = { w: [16, 32], b: [32] };

/** 3 × 3 taps on [n, c, h, w], with zeros around. */
function convolve(x: Tensor, w: Tensor): Tensor {
  const tap = { size: 3, stride: 1, dilation: 1 };
  const around = [1, 1] as const;
  const windows = x
    .pad([[0, 0], [0, 0], around, around])
    .window({ axis: 2, ...tap })
    .window({ axis: 3, ...tap })
    .permute([0, 1, 4, 5, 2, 3]);
  return windows.unsqueeze(1).mul(w.unsqueeze(-1).unsqueeze(-1)).sum([2, 3, 4]);
}

export const programs: Record<string, Trace> = {
  convolution: step(
    { state: { w: [8, 3, 3, 3] }, feed: { x: [[2, 3, 6, 7], "f32"], y: [[2, 8, 6, 7], "f32"] } },
    (s, { x, y }) => {
      const loss = (p: Tensors) => convolve(p.x!, p.w!).sub(y!).square().mean();
      const [out, g] = slopes(loss)({ w: s.w!, x: x! });
      return { next: descend(s, { w: g.w! }), out: [out, g.x!] };
    },
  ),
  elementwise: step({ feed: { x: [[4, 8], "f32"], y: [[8], "f32"] } }, (_, { x, y }) => ({
    out: [x!.mul(y!).add(1).tanh().max(0.5)],
  })),
  movement: step({ feed: { x: [[6, 10], "f32"] } }, (_, { x }) => ({
    out: [
      x!
        .pad([
          [1, 1],
          [0, 2],
        ])
        .window({ axis: 0, size: 3, stride: 2, dilation: 1 })
        .flip(1)
        .permute([2, 0, 1]),
    ],
  })),
  "sum-rows": step({ feed: { x: [[64, 100], "f32"] } }, (_, { x }) => ({ out: [x!.square().sum(1), x!.sum(0)] })),
  softmax: step({ feed: { x: [[8, 10], "f32"] } }, (_, { x }) => ({ out: [softmax(x!)] })),
  "layer-norm": step({ state: { g: [32], b: [32] }, feed: { x: [[8, 32], "f32"] } }, ({ g, b }, { x }) => {
    const centred = x!.sub(x!.mean(-1, { keep: true }));
    return {
      out: [
        centred
          .div(variance(x!, -1, { keep: true }).add(1e-5).sqrt())
          .mul(g!)
          .add(b!),
      ],
    };
  }),
  "dense-forward": step({ state: hidden, feed: { x: [[8, 16], "f32"] } }, ({ w, b }, { x }) => ({
    out: [relu(x!.matmul(w!).add(b!))],
  })),
  "dense-step": step({ state: hidden, feed: { x: [[8, 16], "f32"], y: [[8, 32], "f32"] } }, (s, { x, y }) => {
    const [loss, g] = slopes(({ w, b }) => relu(x!.matmul(w!).add(b!)).sub(y!).square().mean())(s);
    return { next: descend(s, g), out: [loss] };
  }),
  "cross-entropy": step(
    { state: { w: [16, 10], b: [10] }, feed: { x: [[8, 16], "f32"], y: [[8], "i32"] } },
    (s, { x, y }) => {
      const [loss, g] = slopes(({ w, b }) =>
        pick(logSoftmax(x!.matmul(w!).add(b!)), y!)
          .mean()
          .neg(),
      )(s);
      return { next: descend(s, g), out: [loss] };
    },
  ),
  adam: step(
    { state: { p: [1000], m: [1000], v: [1000] }, feed: { g: [[1000], "f32"], t: [[], "f32"] } },
    ({ p, m, v }, { g, t }) => {
      const m1 = m!.mul(0.9).add(g!.mul(0.1));
      const v1 = v!.mul(0.999).add(g!.square().mul(0.001));
      const unbiased = (x: Tensor, decay: number) => x.div(t!.mul(Math.log(decay)).expm1().neg());
      return {
        next: { p: p!.sub(unbiased(m1, 0.9).div(unbiased(v1, 0.999).sqrt().add(1e-8)).mul(0.001)), m: m1, v: v1 },
        out: [],
      };
    },
  ),
  "logistic-sgd": step(
    { state: { w: [100], b: [] }, data: { x: [[10000, 100], "f32"], y: [[10000], "f32"] }, feed: { at: [[1], "i32"] } },
    (s, { at }, { x, y }) => {
      const [row, label] = [x!.gather(at!), y!.gather(at!)];
      const [loss, g] = slopes(({ w, b }) => {
        const z = row.mul(w!).sum(1).add(b!);
        return softplus(z).sub(z.mul(label)).mean();
      })(s);
      return { next: descend(s, g), out: [loss] };
    },
  ),
  embedding: step({ state: { table: [50, 8], w: [8, 3] }, feed: { at: [[6], "i32"] } }, (s, { at }) => {
    const [loss, g] = slopes(({ table, w }) => sigmoid(table!.gather(at!).matmul(w!)).square().mean())(s);
    return { next: descend(s, g), out: [loss] };
  }),
  "change-places": step({ state: { a: [4, 4], b: [4, 4] } }, ({ a, b }) => ({
    next: { a: b!.transpose(), b: a!.add(b!) },
    out: [],
  })),
};
