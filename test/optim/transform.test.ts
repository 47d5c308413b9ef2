/** The lift, chains, only(), freeze(), scaleLr(), update, and clipping against PyTorch, Optax and Keras. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { topo } from "../../src/ir/graph.ts";
import { input, scalar, type Tensor, type Value, value } from "../../src/ir/index.ts";
import {
  adam,
  adamW,
  type Common,
  chain,
  clipGlobalNorm,
  clipTensorNorm,
  clipValue,
  type Dialect,
  decay,
  freeze,
  globalNorm,
  groups,
  l2,
  leafwise,
  matrices,
  momentum,
  named,
  only,
  optimizers,
  type Row,
  rmsprop,
  scaleLr,
  sgd,
  type Transform,
  trainable,
  under,
  update,
  valueAndGradFor,
} from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { leaves, map, paths } from "../../src/tree.ts";
import { descent, distance, feeds, flat, type Nested, type Tensors, values } from "./descent.ts";

type Case = {
  name: string;
  dialect: Dialect;
  kind: "globalNorm" | "tensorNorm" | "value";
  gradients: Nested[];
  limit: number;
  norm?: number;
  clipped: Nested[];
  dtype: "f32" | "f64";
};
const golden = JSON.parse(readFileSync(new URL("../golden/clipping.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

test("what depends on the step alone is made once for all tensors", () => {
  const params = Object.fromEntries(["a", "b", "c"].map((name) => [name, input([2])]));
  const state = Object.fromEntries(["a", "b", "c"].map((name) => [name, { m: input([2]), v: input([2]) }]));
  const at = { params, step: input([]), lr: scalar(0.1) };
  const [next] = update(adam(), params, state, at);
  expect(topo(Object.values(next)).filter((t) => t.op === "expm1")).toHaveLength(2);
});

describe("clipping", () => {
  const kinds = {
    globalNorm: (limit: number, dialect: Dialect) => clipGlobalNorm(limit, { dialect }),
    tensorNorm: (limit: number, dialect: Dialect) => clipTensorNorm(limit, { dialect }),
    value: (limit: number) => clipValue(limit),
  };
  test.each(golden.cases.map((c) => [`${c.dialect} ${c.kind} ${c.name} ${c.dtype}`, c] as const))(
    "%s",
    async (_, c) => {
      const g = values(Object.fromEntries(c.gradients.entries()), c.dtype);
      const run = await Run.start({}, { backend: "js" });
      const transform = kinds[c.kind](c.limit, c.dialect);
      const loop = run.loop<object, { clipped: Tensors; norm: Tensor }, typeof g>(
        (_, __, g) => {
          const context = { params: g, step: scalar(1, c.dtype), lr: scalar(1, c.dtype) };
          const [clipped] = transform.update(g, {}, context);
          return { output: { clipped, norm: globalNorm(g) } };
        },
        { data: g },
      );
      const { output } = await loop.take(1, {});
      const tolerance = c.dtype === "f64" ? 1e-15 : 1e-7;
      c.clipped.forEach((wanted, k) => expect(distance(output.clipped[k]!.data, flat(wanted))).toBeLessThan(tolerance));
      if (c.norm !== undefined) expect(distance(output.norm.data, [c.norm])).toBeLessThan(tolerance);
    },
  );

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses the limit %d", (limit) => {
    for (const make of [clipValue, clipTensorNorm, clipGlobalNorm]) {
      expect(() => make(limit)).toThrow(/the limit must be a finite number > 0, got/);
    }
  });
});

describe("only", () => {
  const params = values(
    {
      weight: [
        [1, 2],
        [3, 4],
      ],
      bias: [1, 1],
      scale: 2,
    },
    "f64",
  );

  test("left-out parameters have no state, so they take no memory", () => {
    expect(paths(only(matrices, adam()).init(params)).map(([path]) => path)).toEqual(["weight.m", "weight.v"]);
    expect(paths(only(named(/bias|scale/), adam()).init(params)).map(([path]) => path)).toEqual([
      "bias.m",
      "bias.v",
      "scale.m",
      "scale.v",
    ]);
  });

  test("their directions pass unchanged, and a global norm is that of the chosen ones", async () => {
    const rule = only(matrices, clipGlobalNorm(1, { dialect: "optax" }));
    const half = (p: Tensors) =>
      leaves<Tensor>(p)
        .map((t) => t.square().sum().mul(0.5))
        .reduce((a, b) => a.add(b));
    const { run, loop } = await descent(rule, () => half, params);
    await loop.take(
      1,
      feeds(1, () => 1),
    );
    const { weight, bias, scale } = run.state().w;
    expect([...bias!.data, ...scale!.data]).toEqual([0, 0, 0]);
    const length = Math.sqrt(30);
    expect(
      distance(
        weight!.data,
        [1, 2, 3, 4].map((x) => x - x / length),
      ),
    ).toBeLessThan(1e-15);
  });
});

describe("update", () => {
  const p = { w: input([2, 3], "f32") };
  const rule = momentum();
  const at = { params: p, step: scalar(1), lr: scalar(0.1) };

  test("names the parameter whose gradient does not fit", () => {
    const state = { w: { b: input([2, 3], "f32") } };
    expect(() => update(rule, { w: input([3, 2], "f32") }, state, at)).toThrow(
      /parameter at w is f32\[2,3\], its gradient f32\[3,2\]/,
    );
    expect(() => update(rule, {} as typeof p, state, at)).toThrow(/no gradient for the parameter at w, f32\[2,3\]/);
    expect(() => update(rule, p, state, { ...at, lr: input([1], "f32") })).toThrow(
      /lr must be a scalar float, got f32\[1\]/,
    );
    expect(() => update(rule, p, state, { ...at, step: scalar(1, "i32") })).toThrow(
      /step must be a scalar float, got i32\[\]/,
    );
  });

  test("refuses parameters that are not floats", () => {
    expect(() => rule.init({ layers: [{ table: value([2], [1, 2], "i32") }] })).toThrow(/layers\.0\.table is i32\[2\]/);
  });

  test("takes trees of any form: nested, a list, a single tensor; state keeps the dtype", () => {
    const nested = { a: [value([2], [1, 2]), { b: value([], [3], "f64") }] };
    const kinds = (t: unknown) => paths<Value>(t).map(([path, v]) => `${path}: ${v}`);
    expect(kinds(rule.init(nested))).toEqual(["a.0.b: f32[2]", "a.1.b.b: f64[]"]);
    expect(kinds(adam().init(value([3], [1, 2, 3])))).toEqual(["m: f32[3]", "v: f32[3]"]);
  });
});

describe("chain", () => {
  test("describes its links in order", () => {
    expect(chain(clipGlobalNorm(1), adam(), decay(0.1)).describe).toBe(
      "clipGlobalNorm(1; torch) → adam(b1 0.9, b2 0.999, eps 1e-8; torch) → decay(0.1)",
    );
  });

  test("what has lr inside comes last", () => {
    const inside: Transform = momentum({ dialect: "keras" });
    expect(inside.gives).toBe("step");
    expect(chain(clipValue(1), inside).gives).toBe("step");
    expect(() => chain(inside, decay(0.1))).toThrow(
      /momentum\(.*keras\) has the learning rate in it, so it must come last/,
    );
    expect(() => only(matrices, inside)).toThrow(/learning rate in it/);
  });
});

describe("parts of a network", () => {
  const net = () =>
    values(
      {
        "trunk.weight": [
          [1, -2],
          [3, 4],
        ],
        "trunk.bias": [1, 2],
        "trunk2.weight": [5, 6],
        head: [3, 4],
      },
      "f64",
    );
  /** ½ Σ p² + Σ p_trunk · Σ p_head: every parameter has a slope, and it changes. */
  const bowl = () => (p: Tensors) => {
    const all = leaves<Tensor>(p).map((t) => t.square().sum().mul(0.5));
    return all.reduce((a, b) => a.add(b)).add(p["trunk.weight"]!.sum().mul(p.head!.sum()).mul(0.1));
  };
  const after = async (rule: Transform, n = 5) => {
    const { run, loop } = await descent(rule, bowl, net());
    await loop.take(
      n,
      feeds(n, (t) => 0.1 / (t + 1)),
    );
    return { w: run.state().w, opt: run.state().opt };
  };
  const numbers = (t: object) => Object.fromEntries(paths<Value>(t).map(([path, v]) => [path, [...v.data]]));

  test("under takes a part and what is below it, by whole names", () => {
    const p = { shape: [2] };
    const inTrunk = under("trunk", "layers.0");
    for (const path of ["trunk", "trunk.weight", "trunk.layers.3.bias", "layers.0.weight"]) {
      expect(inTrunk(path, p), path).toBe(true);
    }
    for (const path of ["trunk2.weight", "net.trunk", "layers.01.weight", "layers", ""]) {
      expect(inTrunk(path, p), path).toBe(false);
    }
  });

  test.each(Object.entries(optimizers).map(([name, row]) => [name, row as Row<Common>] as const))(
    "%s: what is frozen keeps its bits and has no state; the rest moves as if it were alone",
    async (_, { make, options }) => {
      const rule = make(options.includes("weightDecay") ? ({ weightDecay: 0.1 } as Common) : {});
      const { w, opt } = await after(freeze(under("trunk"), rule));
      const start = net();
      for (const path of ["trunk.weight", "trunk.bias"]) expect([...w[path]!.data]).toEqual([...start[path]!.data]);
      expect(paths(opt).filter(([path]) => path.includes("trunk."))).toEqual([]);

      // the same descent with the trunk as constants of the loss
      const { "trunk.weight": a, "trunk.bias": b, ...rest } = start;
      const fixed = { "trunk.weight": a!, "trunk.bias": b! };
      const { run, loop } = await descent(rule, (d) => (p) => bowl()({ ...d, ...p }), rest, { data: fixed });
      await loop.take(
        5,
        feeds(5, (t) => 0.1 / (t + 1)),
      );
      const alone = run.state().w;
      for (const path of ["trunk2.weight", "head"]) {
        expect(distance(w[path]!.data, [...alone[path]!.data]), path).toBeLessThan(1e-14);
        expect([...w[path]!.data]).not.toEqual([...start[path]!.data]);
      }
    },
  );

  test("a clipped norm inside is that of what is left", async () => {
    const { w } = await after(freeze(named(/^trunk/), chain(clipGlobalNorm(1, { dialect: "optax" }), sgd())), 1);
    // the slope at the head is p + 0.1 · Σ trunk.weight = [3.6, 4.6]
    const length = Math.hypot(3.6, 4.6);
    expect(distance(w.head!.data, [3 - (0.1 * 3.6) / length, 4 - (0.1 * 4.6) / length])).toBeLessThan(1e-15);
  });

  test("nothing is computed of a frozen parameter's gradient", () => {
    const p: Tensors = { "trunk.weight": input([2, 2], "f64"), head: input([2], "f64") };
    const slope = { "trunk.weight": input([2, 2], "f64"), head: input([2], "f64") };
    const rule = freeze(under("trunk"), sgd());
    const at = { params: p, step: scalar(1, "f64"), lr: scalar(0.1, "f64") };
    const [next] = update<Tensors>(rule, slope, {}, at);
    expect(next["trunk.weight"]).toBe(p["trunk.weight"]);
    expect(topo([next.head!])).not.toContain(slope["trunk.weight"]);
    const [without] = update<Tensors>(rule, { head: slope.head }, {}, at);
    expect(topo([without.head!])).toHaveLength(topo([next.head!]).length);
    expect(paths(trainable(rule, p, slope)).map(([path]) => path)).toEqual(["head"]);
    expect(trainable(sgd(), p, slope)).toBe(slope);
  });

  test("freezes nest", async () => {
    const { w } = await after(freeze(under("trunk.weight"), freeze(under("trunk.bias"), adam())));
    const [start, now] = [numbers(net()), numbers(w)];
    const moved = Object.keys(start).filter((path) => `${start[path]}` !== `${now[path]}`);
    expect(moved).toEqual(["trunk2.weight", "head"]);
  });

  // The witness: the same rule at a tenth of the rate, on a loss in which no parameter sees another.
  const apart = () => (p: Tensors) =>
    leaves<Tensor>(p)
      .map((t) => t.square().mul(0.5).add(t.mul(0.3).sin()).sum())
      .reduce((a, b) => a.add(b));
  test.each(
    (["torch", "optax", "keras"] as const).flatMap((dialect) => [
      momentum({ dialect, weightDecay: 0.1 }),
      rmsprop({ dialect, momentum: 0.9 }),
      adamW({ dialect }),
    ]),
  )("scaleLr: a part at a tenth of the rate, with $describe", async (rule) => {
    const take = async (rule: Transform, rate: number) => {
      const { run, loop } = await descent(rule, apart, net());
      await loop.take(
        6,
        feeds(6, (t) => rate / (t + 1)),
      );
      return run.state().w;
    };
    const mixed = await take(scaleLr(under("trunk"), 0.1, rule), 0.1);
    const [fast, slow] = [await take(rule, 0.1), await take(rule, 0.01)];
    for (const path of Object.keys(mixed)) {
      const wanted = path.startsWith("trunk.") ? slow : fast;
      expect(distance(mixed[path]!.data, [...wanted[path]!.data]), path).toBeLessThan(1e-13);
    }
  });

  test("frozen and scaled together", async () => {
    const { w } = await after(scaleLr(under("trunk"), 0.5, freeze(under("trunk.bias"), sgd())), 1);
    expect([...w["trunk.bias"]!.data]).toEqual([1, 2]);
    // the slope of trunk.weight is p + 0.1 · Σ head
    expect(
      distance(
        w["trunk.weight"]!.data,
        [1, -2, 3, 4].map((p) => p - 0.05 * (p + 0.7)),
      ),
    ).toBeLessThan(1e-15);
  });

  test("says what it is, and refuses what cannot be meant", () => {
    const rule = freeze(under("trunk", "stem"), scaleLr(named(/2/), 0.1, sgd()));
    expect(rule.describe).toBe('freeze(under("trunk", "stem"), scaleLr(named(/2/), 0.1, sgd(torch)))');
    const p = net();
    expect(() => freeze(under("trnk"), sgd()).init(p)).toThrow(
      /freeze\(under\("trnk"\), sgd.*: there is no such parameter.*there are trunk\.weight, trunk\.bias, trunk2/s,
    );
    expect(() => scaleLr(under("trnk"), 0.1, sgd()).init(p)).toThrow(/there is no such parameter/);
    expect(() => freeze(named(/./), sgd()).init(p)).toThrow(/all parameters are frozen, so there is nothing to train/);
    expect(() => chain(clipGlobalNorm(1), freeze(under("trunk"), sgd()))).toThrow(/must go around the whole rule/);
    expect(() => only(matrices, freeze(under("trunk"), sgd()))).toThrow(/must go around the whole rule/);
    expect(() => freeze("trunk" as never, sgd())).toThrow(/said by a function.*got "trunk".*under\("trunk"\)/s);
    expect(() => freeze(under("trunk"), sgd as never)).toThrow(/freeze: sgd makes a transform and is none.*call it/s);
    expect(() => freeze(under("trunk"), undefined as never)).toThrow(
      /expected a transform such as adam\(\), got undefined/,
    );
    expect(() => scaleLr(0.1 as never, 0.1, sgd())).toThrow(/said by a function of path and shape, got 0\.1/);
    expect(() => chain([sgd()] as never)).toThrow(/chain: expected a transform such as adam\(\), got an array of 1/);
    expect(() => chain(sgd(), null as never)).toThrow("chain: expected a transform such as adam(), got null");
    expect(() => only(matrices, clipValue as never)).toThrow(/only: clipValue makes a transform/);
    expect(() => named("bias" as never)).toThrow(/named: expected a regular expression of paths, got "bias"/);
    expect(() => leafwise({ update: (g: Tensor) => g } as never, undefined as never)).toThrow(
      /leafwise: expected a description and a rule with an update, got an object with update/,
    );
    for (const [name, make] of Object.entries({ l2, decay })) {
      for (const x of [-0.1, Number.NaN, Number.POSITIVE_INFINITY, "0.1"]) {
        expect(() => make(x as number)).toThrow(`${name}: the decay must be a finite number ≥ 0, got `);
      }
    }
    expect(() => scaleLr(matrices, 0, sgd())).toThrow(/finite number > 0, got 0.*freeze/s);
    expect(() => scaleLr(matrices, Number.NaN, sgd())).toThrow(/finite number > 0, got NaN/);
  });

  test("a pattern with g says the same of a path each time it is asked", () => {
    const where = named(/bias$/g);
    expect([1, 2, 3].map(() => where("0.bias", { shape: [2] }))).toEqual([true, true, true]);
  });

  test("arguments in another order are told by what they are", () => {
    expect(() => freeze(sgd() as never, under("trunk") as never)).toThrow(
      'freeze: which parameters is said by a function of path and shape, got sgd(torch)\n  hint: freeze(under("trunk"), adam())',
    );
    expect(() => scaleLr(matrices, sgd() as never, 0.1 as never)).toThrow(
      'scaleLr: expected a transform such as adam(), got 0.1\n  hint: scaleLr(under("trunk"), 0.1, adam())',
    );
    const v = value([2], [1, 2]);
    expect(() => freeze(v as never, sgd())).toThrow(`path and shape, got a Value ${v}`);
    expect(() => freeze(matrices, v as never)).toThrow(`such as adam(), got a Value ${v}`);
    expect(() => freeze(null as never, null as never)).toThrow("got null");
    expect(() => freeze(matrices, null as never)).toThrow("got null");
  });
});

describe("groups", () => {
  const start = values({ A: [[1, 2]], b: [3], c: [4] }, "f64");
  const sum = () => (p: Tensors) =>
    Object.values(p)
      .map((t) => t.square().sum())
      .reduce((a, b) => a.add(b));
  const after = async (rule: Transform, lr = 0.1) => {
    const { run, loop } = await descent(rule, sum, start);
    await loop.take(
      3,
      feeds(3, () => lr),
    );
    return run.state();
  };

  test("each parameter goes by the rule of the first group that it is in", async () => {
    const both = await after(groups([matrices, momentum()], [named(/^b$/), adam()], sgd()));
    const [ball, averages, plain] = [await after(momentum()), await after(adam()), await after(sgd())];
    expect([...both.w.A!.data]).toEqual([...ball.w.A!.data]);
    expect([...both.w.b!.data]).toEqual([...averages.w.b!.data]);
    expect([...both.w.c!.data]).toEqual([...plain.w.c!.data]);
    expect(paths(both.opt).map(([path]) => path)).toEqual(["0.A.b", "1.b.m", "1.b.v"]);
  });

  test("a rule with lr inside a buffer may be in one of them", async () => {
    const inside = momentum({ dialect: "keras" });
    const both = await after(groups([matrices, inside], sgd()));
    expect(groups([matrices, inside], sgd()).gives).toBe("step");
    expect([...both.w.A!.data]).toEqual([...(await after(inside)).w.A!.data]);
    expect(both.w.b!.data[0]).toBeCloseTo((await after(sgd())).w.b!.data[0]!, 14);
  });

  test("a group without parameters is a mistake", () => {
    expect(() => groups([under("head"), adam()], sgd()).init(start)).toThrow(/under\("head"\)[\s\S]*there are A, b, c/);
    expect(() => groups([matrices, adam()], [named(/A/), adam()], sgd()).init(start)).toThrow(
      /all parameters of group 2/,
    );
    expect(() => groups(sgd())).toThrow(/there is no group/);
    expect(() => groups([adam(), matrices] as never, sgd())).toThrow(/groups: which parameters/);
  });
});

describe("what a rule adds beside its direction is passed on", () => {
  // A rule that climbs by the gradient, and evaluates twice the parameters.
  const odd: Transform = {
    ...sgd(),
    climb: (g, params) => map((p: Tensor, d: Tensor) => p.add(d), params, g),
    evaluated: (params) => map((p: Tensor) => p.mul(2), params),
  };
  const start = values({ a: [1], b: [2] }, "f64");
  const cases: [string, Transform, { a: number; b: number }, { a: number; b: number }][] = [
    // ∇ ½p⁴ = 2p³ at p + 2p³: of a 1 + 2 = 3 → 54, of b 2 + 16 = 18 → 11664; not climbed 2 and 16
    ["chain", chain(clipValue(1e9), odd), { a: 54, b: 11664 }, { a: 2, b: 4 }],
    ["only", only(named(/a/), odd), { a: 54, b: 16 }, { a: 2, b: 2 }],
    ["groups", groups([named(/b/), odd], sgd()), { a: 2, b: 11664 }, { a: 1, b: 4 }],
    ["freeze", freeze(named(/a/), odd), { a: 2, b: 11664 }, { a: 1, b: 4 }],
    ["scaleLr", scaleLr(named(/a/), 0.5, odd), { a: 54, b: 11664 }, { a: 2, b: 4 }],
  ];
  test.each(cases)("%s", async (_, rule, slopes, evaluated) => {
    const run = await Run.start({ w: start, opt: rule.init(start) }, { backend: "js" });
    const loop = run.loop((s) => {
      const loss = (p: Tensors) => p.a!.square().square().add(p.b!.square().square()).sum().mul(0.5);
      const [, g] = valueAndGradFor(rule, loss)(s.w as Tensors);
      return { output: { g, e: rule.evaluated!(s.w as Tensors, s.opt) } };
    });
    const { output } = await loop.take(1, {});
    const { g, e } = output as { g: Record<"a" | "b", Value>; e: Record<"a" | "b", Value> };
    expect({ a: g.a.data[0], b: g.b.data[0] }).toEqual(slopes);
    expect({ a: e.a.data[0], b: e.b.data[0] }).toEqual(evaluated);
  });

  test("two of a kind in one chain are refused", () => {
    expect(() => chain(only(matrices, odd), odd)).toThrow(/both say where the gradient is taken/);
  });

  test("a move is not scaled", () => {
    expect(() => scaleLr(matrices, 2, { ...sgd(), gives: "move" })).toThrow(/no multiple of the learning rate/);
  });
});
