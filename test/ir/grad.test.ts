/** Gradients of trees and of gradients: what reverse mode has to get right beyond each op's own rule. */
import { describe, expect, test } from "vitest";
import {
  full,
  grad,
  gradients,
  hvp,
  input,
  iota,
  softmax,
  stopGradient,
  type Tensor,
  type Value,
  value,
  valueAndGrad,
  vjp,
} from "../../src/ir/index.ts";
import { evaluate, jit } from "../../src/run/jit.ts";
import { draw } from "./numbers.ts";

const js = { backend: "js" } as const;
const list = (v: Value) => [...v.data];
const v64 = (...data: number[]) => value([data.length], data, "f64");

describe("trees", () => {
  type P = { a: Tensor; layers: { w: Tensor }[]; unused: Tensor };
  const tree = { a: v64(1, 2), layers: [{ w: v64(3, 4) }, { w: v64(5, 6) }], unused: v64(7, 8, 9) };

  test("the gradient has the shape of the tree; zeros where the loss does not depend on a leaf", async () => {
    const f = (p: P) => p.a.mul(p.layers[0]!.w).add(p.layers[1]!.w.square()).sum();
    const [y, g] = await jit((p: P) => valueAndGrad(f)(p), js)(tree);
    expect(list(y)).toEqual([1 * 3 + 25 + 2 * 4 + 36]);
    expect([list(g.a), list(g.layers[0]!.w), list(g.layers[1]!.w), list(g.unused)]).toEqual([
      [3, 4],
      [1, 2],
      [10, 12],
      [0, 0, 0],
    ]);
  });

  test("a pair [loss, anything] passes its second part through", async () => {
    const f = (p: { a: Tensor }, x: Tensor) => [p.a.mul(x).sum(), { half: p.a.mul(0.5), x }] as const;
    const [[y, aux], g] = await jit((p: { a: Tensor }, x: Tensor) => valueAndGrad(f)(p, x), js)(
      { a: v64(2, 4) },
      v64(10, 1),
    );
    expect([list(y), list(aux.half), list(aux.x), list(g.a)]).toEqual([[24], [1, 2], [10, 1], [10, 1]]);
  });

  test("two leaves that are one tensor get a gradient each", async () => {
    const f = (p: { a: Tensor; b: Tensor }) => p.a.mul(3).add(p.b.square()).sum();
    const g = await jit((x: Tensor) => grad(f)({ a: x, b: x }), js)(v64(5));
    expect([list(g.a), list(g.b)]).toEqual([[3], [10]]);
  });

  test("a tensor that is used many times adds up", async () => {
    const g = await jit(
      grad((x: Tensor) => x.mul(x).mul(x).add(x.mul(2)).add(x.sum()).sum()),
      js,
    )(v64(2, -3));
    expect(list(g)).toEqual([3 * 4 + 2 + 2, 3 * 9 + 2 + 2]);
  });

  test("what is no tensor stays as it is", async () => {
    const g = await jit(
      (x: Tensor) => ({ g: grad((p: { x: Tensor; name: string | null }) => p.x.square().sum())({ x, name: null }).x }),
      js,
    )(v64(4));
    expect(list(g.g)).toEqual([8]);
  });
});

describe("higher orders", () => {
  test("sin four times over", async () => {
    let f = (x: Tensor): Tensor => x.sin();
    for (let order = 1; order <= 4; order++) {
      const g = f;
      f = (x) => grad((y: Tensor) => g(y).sum())(x);
    }
    const y = await jit(f, js)(v64(0.3, 1.2));
    expect(y.data[0]).toBeCloseTo(Math.sin(0.3), 14);
    expect(y.data[1]).toBeCloseTo(Math.sin(1.2), 14);
  });

  test("Rosenbrock's Hessian by columns, in closed form", async () => {
    const f = (p: Tensor) => {
      const [x, y] = [p.slice(0, 0, 1), p.slice(0, 1, 2)];
      return x.neg().add(1).square().add(y.sub(x.square()).square().mul(100)).sum();
    };
    const columns = await jit((p: Tensor) => [0, 1].map((k) => hvp(f, p, iota(2).eq(k).cast("f64"))), js)(v64(-1.2, 1));
    expect(columns[0]!.data[0]).toBeCloseTo(2 + 1200 * 1.44 - 400, 10);
    expect(columns[0]!.data[1]).toBeCloseTo(480, 10);
    expect(list(columns[1]!)).toEqual([columns[0]!.data[1]!, 200]);
  });

  test("hvp on a tree against differences of the gradient", async () => {
    type P = { w: Tensor; b: Tensor };
    const x = draw([6, 3], "f64", -1, 1, 50);
    const f = (p: P, x: Tensor) => softmax(x.matmul(p.w).add(p.b)).square().mul(2).sum();
    const at = { w: draw([3, 4], "f64"), b: draw([4], "f64", -1, 1, 12) };
    const way = { w: draw([3, 4], "f64", -1, 1, 30), b: draw([4], "f64", -1, 1, 44) };
    const ours = await jit((p: P, v: P, x: Tensor) => hvp(f, p, v, x), js)(at, way, x);
    const slope = jit((p: P, x: Tensor) => grad(f)(p, x), js);
    const h = 1e-5;
    const moved = (s: number) => ({
      w: value(
        [3, 4],
        Array.from(at.w.data, (n, k) => n + s * way.w.data[k]!),
        "f64",
      ),
      b: value(
        [4],
        Array.from(at.b.data, (n, k) => n + s * way.b.data[k]!),
        "f64",
      ),
    });
    const [up, down] = [await slope(moved(h), x), await slope(moved(-h), x)];
    for (const k of ["w", "b"] as const) {
      ours[k].data.forEach((n, j) => {
        expect(Math.abs(n - (up[k].data[j]! - down[k].data[j]!) / (2 * h))).toBeLessThan(1e-9);
      });
    }
  });
});

test("stopGradient is the value and no slope", async () => {
  const f = (x: Tensor) => x.mul(stopGradient(x.square())).sum();
  const [y, g] = await jit((x: Tensor) => valueAndGrad(f)(x), js)(v64(3));
  expect([list(y), list(g)]).toEqual([[27], [9]]);
  expect(
    list(
      await jit(
        grad((x: Tensor) => stopGradient(x).sum()),
        js,
      )(v64(3, 4)),
    ),
  ).toEqual([0, 0]);
});

test("vjp takes a cotangent for every element", async () => {
  const g = await jit((x: Tensor, c: Tensor) => vjp(x.square(), [x], c)[0]!, js)(v64(1, 2, 3), v64(1, 0, -1));
  expect(list(g)).toEqual([2, 0, -6]);
});

test("a gradient through 20 000 nodes", async () => {
  const chain = (x: Tensor) => {
    let y = x.sum();
    for (let n = 0; n < 20_000; n++) y = y.mul(1.0001);
    return y;
  };
  const g = await jit((x: Tensor) => gradients(chain(x), [x])[0]!, js)(v64(1, 2));
  expect(Math.abs(g.data[0]! / 1.0001 ** 20_000 - 1)).toBeLessThan(1e-9);
});

describe("refusals", () => {
  const x = input([3], "f64", "x");
  test.each([
    [
      "a loss of several elements",
      () => grad((p: Tensor) => p.square())(x),
      "grad: the output must be one float, got f64[3]\n  hint: sum or mean it",
    ],
    [
      "a loss of integers",
      () => grad((p: Tensor) => p.cast("i32").sum())(x),
      "grad: the output must be one float, got i32[]",
    ],
    [
      "a parameter of integers",
      () => grad((p: { net: { n: Tensor } }) => p.net.n.cast("f32").sum())({ net: { n: input([2], "i32") } }),
      "grad: net.n is i32[2], not a float",
    ],
    ["gradients by integers", () => gradients(x.sum(), [iota(3)]), "grad: i32[3] is not a float"],
    [
      "a cotangent of another shape",
      () => vjp(x, [x], full(1, [2], "f64")),
      "vjp: the cotangent f64[2] must have the shape of f64[3]",
    ],
  ])("%s", (_, f, message) => {
    expect(f).toThrow(message);
    expect(f).toThrow(/at test\/ir\/grad[.]test[.]ts:\d+/);
  });
});

test("a gradient by nothing that matters is zeros of the right dtype", async () => {
  const g = await evaluate(gradients(full(1, [], "f64"), [full(2, [2, 2], "f64")])[0]!, js);
  expect([g.dtype, g.shape, list(g)]).toEqual(["f64", [2, 2], [0, 0, 0, 0]]);
});
