/** Modules: binding, the two trees, what apply refuses, and a network that learns. */
import { describe, expect, expectTypeOf, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, iota, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  type Bound,
  type Cell,
  constant,
  crossEntropy,
  init,
  linear,
  type Module,
  module,
  normal,
  ones,
  type Params,
  param,
  relu,
  sequential,
  state,
  type Traced,
  zeros,
} from "../../src/nn/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { Run } from "../../src/run/run.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers, slopes } from "./evaluate.ts";

/** A step for any module with one input, as `fit` has it. */
async function train<N extends Module<any, readonly [], Tensor>>(net: N, backend: BackendName, steps: number) {
  const run = await Run.start(init(net, 1), { backend });
  const loop = run.loop((s, f: { x: Tensor; y: Tensor }) => {
    const slope = valueAndGrad((params: typeof s.params) => {
      const [logits, next] = apply(net, { params, state: s.state }, f.x, { training: true });
      return [crossEntropy(logits, f.y), next] as const;
    });
    const [[loss, next], g] = slope(s.params);
    const params = tree.map((p: Tensor, d: Tensor) => p.sub(d.mul(0.5)), s.params, g);
    return { state: { params, state: next }, output: { loss }, watch: loss };
  });
  const x = [0, 0, 0, 1, 1, 0, 1, 1];
  const feeds = {
    x: value(
      [steps, 4, 2],
      Array.from({ length: steps * 8 }, (_, i) => x[i % 8]!),
    ),
    y: value(
      [steps, 4],
      Array.from({ length: steps * 4 }, (_, i) => [0, 1, 1, 0][i % 4]!),
      "i32",
    ),
  };
  return (await loop.take(steps, feeds)).output.loss.data;
}

test.each(backends)("a network learns exclusive or on %s", async (backend) => {
  const losses = await train(sequential(linear(2, 8), relu, linear(8, 2)), backend, 500);
  expect(losses[0]).toBeGreaterThan(0.5);
  expect(losses.at(-1)).toBeLessThan(0.02);
});

/** Params and state that a trace would give: inputs of the right shapes. */
const inputs = <T>(values: T): Traced<T> => tree.map((v: Value) => input(v.shape, v.dtype), values);

/** Counts its calls, and adds up what it sees. */
const tally = module(
  { scale: param([2], ones), sum: state([2], zeros), calls: state([], zeros) },
  (m, x, { training }) => {
    if (training) {
      m.sum.next(m.sum.now.add(x.sum(0)));
      m.calls.next(m.calls.now.add(1));
    }
    return x.mul(m.scale);
  },
);

describe("types, which the type checker holds", () => {
  const two = module({ w: param([2], ones) }, (m, x, { training }, y: Tensor) => (training ? x.mul(m.w) : y));
  const net = module({ n1: tally, two, list: [linear(2, 2), relu], rec: { q: tally, act: relu } }, (m, x) => {
    expectTypeOf(m.list[0]).toEqualTypeOf<(x: Tensor) => Tensor>();
    expectTypeOf(m.two).toEqualTypeOf<(x: Tensor, y: Tensor) => Tensor>();
    return m.list[1](m.two(m.n1(x), m.rec.q(x)));
  });
  const { params: p, state: s } = init(net, 1);

  test("parameters and state are two trees", () => {
    expectTypeOf(p).toEqualTypeOf<Params<typeof net>>();
    expectTypeOf(p.n1.scale).toEqualTypeOf<Value>();
    expectTypeOf(p.list[0].weight).toEqualTypeOf<Value>();
    expectTypeOf(s.n1.sum).toEqualTypeOf<Value>();
    // @ts-expect-error a running sum is not among the parameters
    expect(p.n1.sum).toBeUndefined();
    // @ts-expect-error nor a parameter in the state
    expect(s.n1.scale).toBeUndefined();
    // @ts-expect-error a function has no parameters
    expect(p.rec.act).toBeUndefined();
    expect(tree.paths(p).map(([path]) => path)).toEqual(["n1.scale", "two.w", "list.0.weight", "list.0.bias"]);
  });

  test("forward sees tensors, cells and functions", () => {
    expectTypeOf<Bound<(typeof tally)["children"]>>().toEqualTypeOf<{
      readonly scale: Tensor;
      readonly sum: Cell;
      readonly calls: Cell;
    }>();
    // @ts-expect-error one input
    module({ tally }, (m, x) => m.tally(x, x));
    // @ts-expect-error two inputs
    module({ two }, (m, x) => m.two(x));
  });
});

describe("init", () => {
  const layer = () => linear(3, 4);

  test("a draw depends on the seed and the path alone, not on what stands elsewhere", () => {
    const small = init(
      module({ a: layer(), b: layer() }, (m, x) => m.b(m.a(x))),
      1,
    ).params;
    const large = init(
      module({ z: linear(9, 9), b: layer(), c: layer(), a: layer() }, (m, x) => m.a(x)),
      1,
    ).params;
    expect(large.a).toEqual(small.a);
    expect(large.b).toEqual(small.b);
    expect(small.a.weight.data).not.toEqual(small.b.weight.data);
    expect(large.a.weight.data).not.toEqual(
      init(
        module({ a: layer() }, (m, x) => m.a(x)),
        2,
      ).params.a.weight.data,
    );
  });

  test("f32 is the f64 draw rounded", () => {
    const [narrow, wide] = [init(layer(), 7).params.weight, init(layer(), 7, { dtype: "f64" }).params.weight];
    expect([narrow.dtype, wide.dtype]).toEqual(["f32", "f64"]);
    expect([...narrow.data]).toEqual([...wide.data].map(Math.fround));
  });

  test("the seed and the initialiser's numbers are checked", () => {
    expect(() => init(layer(), -1)).toThrow("seed: expected an integer");
    const wrong = module({ a: module({ w: param([3], () => [1, 2]) }, (m, x) => x.mul(m.w)) }, (m, x) => m.a(x));
    expect(() => init(wrong, 1)).toThrow(/^value: f32\[3\] has 3 elements, got 2 numbers\n {2}at net\.a\.w/);
    const odd = module({ a: { b: 3 as never } }, (_, x) => x); // never: the type checker refuses a 3
    expect(() => init(odd, 1)).toThrow("module: a.b is 3\n  hint: a child is a param, a state, a module");
    expect(() =>
      init(
        module({ a: null as never }, (_, x) => x),
        1,
      ),
    ).toThrow("module: a is null");
    // @ts-expect-error not a module
    expect(() => init(relu, 1)).toThrow("expected a module, got the function relu");
  });
});

describe("state", () => {
  test("moves in training, and stays outside of it", async () => {
    const net = sequential(tally, relu, tally2());
    const { params, state } = init(net, 1);
    const x = value([2, 2], [1, 2, 3, 4]);
    const next = (training: boolean) =>
      evaluate(({ params, state, x }) => apply(net, { params, state }, x, { training })[1], { params, state, x });
    expect(numbers(await next(true))).toEqual([4, 6, 1, 1, 8, 12, 2]);
    expect(numbers(await next(false))).toEqual([0, 0, 0, 1, 0, 0, 1]);
  });

  /** As tally, with a scale of 2 and one call behind it. */
  function tally2() {
    const children = {
      scale: param([2], constant(2)),
      seen: state([], ones),
      sum: state([2], zeros),
      calls: state([], ones),
    };
    return module(children, (m, x, { training }) => {
      const y = x.mul(m.scale);
      if (!training) return y;
      m.sum.next(m.sum.now.add(y.sum(0)));
      m.calls.next(m.calls.now.add(1));
      return y;
    });
  }

  test("nothing flows back into the next state", async () => {
    const { params, state } = init(tally, 1, { dtype: "f64" });
    const [[, next], g] = await evaluate(
      ({ params, state, x }) =>
        valueAndGrad((p: typeof params) => {
          const [y, next] = apply(tally, { params: p, state }, x, { training: true });
          return [y.sum(), next] as const;
        })(params),
      { params, state, x: value([2, 2], [1, 2, 3, 4], "f64") },
    );
    expect(numbers(next)).toEqual([4, 6, 1]);
    expect([...g.scale.data]).toEqual([4, 6]);
  });

  test("written twice, written too late, of another shape", () => {
    const { params, state: now } = init(tally, 1);
    const x = input([3, 2]);
    const twice = module({ tally }, (m, x) => m.tally(m.tally(x)));
    const all = { params: { tally: inputs(params) }, state: { tally: inputs(now) } };
    expect(() => apply(twice, all, x, { training: true })).toThrow(
      /^state tally\.sum is written twice in one apply\n {2}hint: its module was called twice; .*\n {2}at net\.tally \(test/,
    );
    expect(() => apply(twice, all, x)).not.toThrow();

    let cell: Cell | undefined;
    let call: ((x: Tensor) => Tensor) | undefined;
    const leaky = module({ s: state([2], zeros), layer: linear(2, 2) }, (m, x) => {
      [cell, call] = [m.s, m.layer];
      return x;
    });
    const { params: p, state: s } = init(leaky, 1);
    apply(leaky, { params: inputs(p), state: inputs(s) }, x);
    expect(() => cell?.next(x)).toThrow("state s was written after its apply had returned");
    expect(() => call?.(x)).toThrow("a bound module was called after its apply had returned");

    const other = module({ s: state([2], zeros) }, (m, x) => {
      m.s.next(x);
      return x;
    });
    expect(() => apply(other, { params: {}, state: { s: input([2]) } }, x)).toThrow(
      "state s is f32[2], its next value is f32[3,2]",
    );
  });
});

describe("what apply refuses", () => {
  const net = sequential(linear(2, 3), relu);
  const good = () => inputs(init(net, 1).params);
  const x = input([5, 2]);
  // any: the type checker refuses most of these too
  const run = (params: any, state?: any) => () => apply(net, { params, state }, x);

  test("missing, unknown and misshapen parameters, named by their path", () => {
    const { weight, bias } = good().layers[0];
    expect(run({ layers: [{ weight }, {}] })).toThrow(
      "apply: params has nothing at layers.0.bias, the module expects [3] there\n" +
        "  hint: these are the parameters of another module: make them with init(net, seed), or load what was saved from this one",
    );
    expect(run({ layers: [{ weight: input([3, 4]), bias }, {}] })).toThrow(
      "apply: params holds f32[3,4] at layers.0.weight, the module expects [3,2] there",
    );
    expect(run({ layers: [{ weight, bias, extra: bias }, {}] })).toThrow(
      "apply: params has layers.0.extra, which the module does not know",
    );
    expect(run(undefined)).toThrow("apply: params has nothing at layers.0.weight");
    expect(() => apply(net, good() as any, input([1, 3]))).toThrow(
      // any: the point is what the types forbid
      "apply: expected { params, state } of Tensors, got an object with layers\n  hint: apply(net, { params, state }, x)",
    );
  });

  test("missing and unknown state", () => {
    const { params } = init(tally, 1);
    expect(() => apply(tally, { params: inputs(params) }, x)).toThrow(
      "apply: state has nothing at sum, the module expects [2] there\n  hint: pass the state that init",
    );
    expect(run(good(), { layers: [{ mean: x }, {}] })).toThrow(
      "apply: state has layers.0.mean, which the module does not know",
    );
  });

  test("Values, and what is no tensor", () => {
    const hint = "hint: apply works on the Tensors of a step that is being traced; outside there are only Values";
    expect(run(init(net, 1).params)).toThrow(
      `apply: params holds f32[3,2] at layers.0.weight, not a Tensor\n  ${hint}`,
    );
    // @ts-expect-error a Value
    expect(() => apply(net, { params: good() }, value([1, 2], [1, 2]))).toThrow(
      `expected a Tensor as input, got a Value f32[1,2]\n  ${hint}`,
    );
    expect(() => apply(net, { params: good() }, [])).toThrow("a module was called without an input");
  });
});

test("several inputs, and several outputs", async () => {
  const cell = module({ w: param([], constant(3)) }, (m, x, _, h: Tensor) => [x.mul(m.w).add(h), h.mul(2)] as const);
  const net = module({ cell }, (m, x, _, h: Tensor) => m.cell(...m.cell(x, h)));
  const { params } = init(net, 1);
  const args = { params, x: value([1], [5]), h: value([1], [7]) };
  const [y, h] = await evaluate(({ params, x, h }) => apply(net, { params }, [x, h])[0], args);
  expect([y.data[0], h.data[0]]).toEqual([(5 * 3 + 7) * 3 + 14, 28]);
});

describe("weight tying", () => {
  const table = param([4, 2], normal());
  const net = module(
    {
      look: module({ table }, (m, x) => m.table.gather(x)),
      score: module({ table, bias: param([4], zeros) }, (m, x) => x.matmul(m.table.transpose()).add(m.bias)),
    },
    (m, x) => m.score(m.look(x)),
  );

  test("one param in two modules is kept once, under its first path, and gets both gradients", async () => {
    const { params } = init(net, 1, { dtype: "f64" });
    expect(tree.paths(params).map(([path]) => path)).toEqual(["look.table", "score.bias"]);
    const x = value([3], [2, 0, 2], "i32");
    const w = [...params.look.table.data];
    const loops = (w: number[]) =>
      [...x.data].reduce((sum, row) => {
        for (let k = 0; k < 4; k++) sum += (k + 1) * (w[row * 2]! * w[k * 2]! + w[row * 2 + 1]! * w[k * 2 + 1]!);
        return sum;
      }, 0);
    const f = (params: Traced<Params<typeof net>>, x: Tensor) =>
      apply(net, { params }, x)[0].mul(iota(4, "f64").add(1)).sum();
    const [y, g] = await evaluate(({ params, x }) => valueAndGrad(f)(params, x), { params, x });
    expect(y.data[0]).toBeCloseTo(loops(w), 12);
    expect(distance([...g.look.table.data], slopes(loops, w))).toBeLessThan(1e-8);
  });

  test("one module in two places likewise; a list keeps its places", () => {
    const layer = linear(2, 2);
    const { params } = init(sequential(layer, relu, layer), 1);
    expect(tree.paths(params).map(([path]) => path)).toEqual(["layers.0.weight", "layers.0.bias"]);
    expect(params.layers[2]).toEqual({});
  });
});

test("a module carries its path into what it traces", () => {
  const net = sequential(
    linear(2, 3),
    module({ inner: [relu] }, (m, x) => m.inner[0](x)),
  );
  const [y] = apply(
    net,
    { params: { layers: [inputs(init(net, 1).params).layers[0], { inner: [{}] }] } },
    input([5, 2]),
  );
  expect(y.origin.module).toBe("net.layers.1.inner.0");
  expect(y.src[2]?.origin.module).toBe("net.layers.0");
});
