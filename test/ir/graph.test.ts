/** The two walks over the graph, against a recursive one and against the definition of equal nodes. */
import { expect, test } from "vitest";
import { topo, unify } from "../../src/ir/graph.ts";
import { input, scalar, Tensor } from "../../src/ir/tensor.ts";

/** Sums and products of two earlier nodes each, most of them of late ones, and some that are made once more. */
function random(n: number, seed: number): Tensor[] {
  const nodes: Tensor[] = [input([4], "f32", "a"), input([4], "f32", "b")];
  let state = seed;
  const draw = (below: number) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  for (let k = 0; k < n; k++) {
    const src = [draw(2), 0].map((far) => nodes[far ? draw(nodes.length) : nodes.length - 1 - draw(2)]!);
    const one = new Tensor(draw(2) ? "add" : "mul", src, null, [4], "f32");
    nodes.push(one);
    if (draw(3) === 0) nodes.push(new Tensor(one.op, src, null, [4], "f32"));
  }
  return nodes;
}

function recursive(roots: readonly Tensor[]): Tensor[] {
  const done = new Set<Tensor>();
  const visit = (t: Tensor) => {
    if (done.has(t)) return;
    t.src.forEach(visit);
    done.add(t);
  };
  roots.forEach(visit);
  return [...done];
}

test("the order is that of a recursive walk", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const nodes = random(60, seed);
    const roots = [nodes[40]!, nodes.at(-1)!, nodes[7]!, nodes.at(-1)!];
    expect(topo(roots)).toEqual(recursive(roots));
  }
});

test("a chain may be as long as memory allows", () => {
  let t: Tensor = input([1], "f32", "x");
  for (let k = 0; k < 20_000; k++) t = new Tensor("sqrt", [t], null, [1], "f32");
  expect(topo([t])).toHaveLength(20_001);
});

test("two nodes are one exactly where their expressions are spelled the same", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const roots = random(60, seed);
    const spelled = new Map<Tensor, string>();
    const ids = new Map<string, number>();
    for (const t of recursive(roots)) {
      const text = t.op === "input" ? `${t.arg}` : `${t.op} ${t.src.map((s) => ids.get(spelled.get(s)!))}`;
      spelled.set(t, text);
      if (!ids.has(text)) ids.set(text, ids.size);
    }
    expect(topo(unify(roots))).toHaveLength(ids.size);
    expect(ids.size).toBeLessThan(roots.length);
  }
});

test("constants are one where their bits, types and shapes are", () => {
  const x = input([2], "f32", "x");
  const of = (v: number, dtype: "f32" | "i32" = "f32") => new Tensor("const", [], v, [], dtype);
  const [zero, again, minus, whole, nan, nans] = unify([of(0), of(0), of(-0), of(0, "i32"), of(NaN), of(NaN)]);
  expect(again).toBe(zero);
  expect(nans).toBe(nan);
  expect(new Set([zero, minus, whole, nan]).size).toBe(4);
  const [p, q, r] = unify([x.mul(scalar(2)), x.mul(scalar(2)), x.mul(scalar(3))]);
  expect(q).toBe(p);
  expect(r).not.toBe(p);
});

test("inputs stay apart, and so do views with other arguments", () => {
  const [a, b] = [input([2, 3], "f32", "x"), input([2, 3], "f32", "x")];
  expect(new Set(unify([a, b])).size).toBe(2);
  const views = unify([a.permute([1, 0]), a.permute([1, 0]), a.permute([0, 1]), a.reshape([3, 2]), a.reshape([6])]);
  expect(new Set(views).size).toBe(4);
});
