/** The lift, chains, only(), update, and clipping against PyTorch, Optax and Keras. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { input, scalar, type Tensor, type Value, value } from "../../src/ir/index.ts";
import {
  adam,
  chain,
  clipGlobalNorm,
  clipTensorNorm,
  clipValue,
  type Dialect,
  decay,
  globalNorm,
  matrices,
  momentum,
  named,
  only,
  type Transform,
  update,
} from "../../src/optim/index.ts";
import { Run } from "../../src/run/run.ts";
import { leaves, paths } from "../../src/tree.ts";
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
