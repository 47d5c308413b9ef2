/** The matrix: every primitive × (value, gradient, second gradient) × backend × dtype, walked from the registry. */
import { describe, expect, test } from "vitest";
import { halves } from "../../src/ir/half.ts";
import { gradients, hvp, input, literal, type Tensor, type Value, value } from "../../src/ir/index.ts";
import { elementwise, movement, reduce } from "../../src/ir/ops.ts";
import { size } from "../../src/ir/shape.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { type Case, cases } from "./cases.ts";
import { naive } from "./naive.ts";
import { distance, dot, some } from "./numbers.ts";

type Entry = {
  readonly key: string;
  readonly f: Case["f"];
  readonly args: readonly Value[];
  readonly inputs: readonly Tensor[];
};

const entries: readonly Entry[] = Object.entries(cases).flatMap(([op, list]) =>
  list.flatMap(({ name, dtypes, args, f }) =>
    dtypes.map((d) => {
      const given = args(d);
      return { key: `${op} ${name} ${d}`, f, args: given, inputs: given.map((v) => input(v.shape, v.dtype)) };
    }),
  ),
);
const doubles = entries.filter(({ args, f, inputs }) => args[0]!.dtype === "f64" && f(...inputs).isFloat);

const given = (e: Entry, moved?: (x: number[], k: number) => number[]) =>
  new Map(
    e.inputs.map((t, k) => [
      t,
      moved && t.isFloat ? moved(Array.from(e.args[k]!.data), k) : Array.from(e.args[k]!.data),
    ]),
  );

/** A scalar in which every element has a weight of its own, so that a permuted gradient cannot pass. */
const weigh = (y: Tensor): Tensor =>
  y.mul(literal(value(y.shape, some(size(y.shape), 0.3, 1.7, 3), y.dtype as "f64"))).sum();
const floatsOf = (ts: readonly Tensor[]) => ts.filter((t) => t.isFloat);
const directions = (e: Entry, from: number) => floatsOf(e.inputs).map((t) => some(size(t.shape), -1, 1, from));

const slopes = (e: Entry, xs: readonly Tensor[]) => gradients(weigh(e.f(...xs)), floatsOf(xs));
const curvature = (e: Entry, xs: readonly Tensor[]) => {
  const v = directions(e, 11).map((d, k) => literal(value(floatsOf(xs)[k]!.shape, d, "f64")));
  const f = (own: readonly Tensor[]) => {
    let k = 0;
    return weigh(e.f(...xs.map((x) => (x.isFloat ? own[k++]! : x))));
  };
  return hvp(f, floatsOf(xs), v);
};

/** One program for all entries: what each gives, by its key. */
function program(
  list: readonly Entry[],
  what: (e: Entry, xs: readonly Tensor[]) => readonly Tensor[],
  backend: BackendName,
) {
  const f = (args: Record<string, readonly Tensor[]>) =>
    Object.fromEntries(list.map((e) => [e.key, what(e, args[e.key]!)]));
  const args = Object.fromEntries(list.map((e) => [e.key, e.args]));
  return jit(f, { backend })(args) as Promise<Record<string, Value[]>>;
}

/** What a difference of values cannot see: the gradient of these is a convention, tested by itself. */
const byConvention = ({ key }: Entry) => /^(detach|bf16|f16)/.test(key);

test("the table of cases has every op of the registries", () => {
  const ops = [...Object.keys(elementwise), ...Object.keys(movement), ...Object.keys(reduce)];
  for (const op of ops) expect(cases[op as keyof typeof cases].length, op).toBeGreaterThan(0);
});

describe.each(backends)("%s", (backend) => {
  test("values", async () => {
    const got = await program(entries, (e, xs) => [e.f(...xs)], backend);
    for (const e of entries) {
      const y = e.f(...e.inputs);
      const [want] = naive([y], given(e));
      const [v] = got[e.key]!;
      expect([v!.dtype, v!.shape], e.key).toEqual([y.dtype, y.shape]);
      expect(distance(v!.data, want!), e.key).toBeLessThanOrEqual(e.key.includes("f32") ? 1e-6 : y.isFloat ? 1e-14 : 0);
    }
  });

  test("gradients against central differences along one direction", async () => {
    const got = await program(doubles, slopes, backend);
    const h = 1e-5;
    for (const e of doubles) {
      const d = directions(e, 7);
      const loss = weigh(e.f(...e.inputs));
      const along = (s: number) => {
        let k = 0;
        const at = given(e, (x) => {
          const way = d[k++]!;
          return x.map((v, j) => v + s * way[j]!);
        });
        return naive([loss], at)[0]![0]!;
      };
      const numeric = byConvention(e) ? undefined : (along(h) - along(-h)) / (2 * h);
      const ours = got[e.key]!.reduce((sum, g, k) => sum + dot(g.data, d[k]!), 0);
      if (numeric !== undefined) expect(distance([ours], [numeric]), e.key).toBeLessThanOrEqual(1e-7);
      expect(
        distance(
          got[e.key]!.flatMap((g) => [...g.data]),
          naive(slopes(e, e.inputs), given(e)).flat(),
        ),
        e.key,
      ).toBeLessThanOrEqual(1e-13);
    }
  });

  test("Hessian-vector products against differences of the gradient", async () => {
    const got = await program(doubles, curvature, backend);
    const h = 1e-5;
    for (const e of doubles) {
      if (byConvention(e)) continue;
      const [v, u] = [directions(e, 11), directions(e, 23)];
      const gs = slopes(e, e.inputs);
      const along = (s: number) => {
        let k = 0;
        const at = given(e, (x) => {
          const way = v[k++]!;
          return x.map((n, j) => n + s * way[j]!);
        });
        return naive(gs, at).reduce((sum, g, j) => sum + dot(g, u[j]!), 0);
      };
      const numeric = (along(h) - along(-h)) / (2 * h);
      const ours = got[e.key]!.reduce((sum, g, k) => sum + dot(g.data, u[k]!), 0);
      expect(distance([ours], [numeric]), e.key).toBeLessThanOrEqual(1e-7);
    }
  });
});

test("the gradient does not see through detach: x · detach(x) has slope x", async () => {
  const e = doubles.find(({ key }) => key.startsWith("detach"))!;
  const [g] = await jit((x: Tensor) => gradients(x.detach().mul(x).sum(), [x]), { backend: "js" })(e.args[0]!);
  expect([...g!.data]).toEqual([...e.args[0]!.data]);
});

test.each(["bf16", "f16"] as const)("the gradient passes through %s as if nothing had been rounded", async (half) => {
  const e = doubles.find(({ key }) => key.startsWith(half))!;
  const [g] = await jit((x: Tensor) => gradients(x[half]().mul(x.mul(2)).sum(), [x]), { backend: "js" })(e.args[0]!);
  const want = Array.from(e.args[0]!.data, (x) => 2 * x + 2 * halves[half].nearest(x));
  expect(distance(g!.data, want)).toBeLessThanOrEqual(1e-14);
});
