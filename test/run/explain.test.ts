import { expect, test } from "vitest";
import { within } from "../../src/ir/fail.ts";
import { relu, softmax, type Tensor, type Value, value, valueAndGrad } from "../../src/ir/index.ts";
import { Run } from "../../src/run/run.ts";

/** Two layers, squared error, plain descent; with lr as a feed, so that a test can make it absurd. */
async function descent(body: (p: { a: Tensor; b: Tensor }, x: Tensor) => Tensor) {
  const run = await Run.start(
    { a: value([3, 4], Array(12).fill(0.1)), b: value([4, 1], Array(4).fill(0.1)) },
    { backend: "js" },
  );
  const loop = run.loop((s, f: { x: Tensor; y: Tensor; lr: Tensor }) => {
    const lossOf = (p: typeof s) => body(p, f.x).sub(f.y).square().mean();
    const [loss, g] = valueAndGrad(lossOf)(s);
    return { state: { a: s.a.sub(g.a.mul(f.lr)), b: s.b.sub(g.b.mul(f.lr)) }, output: { loss }, watch: loss };
  });
  // any: feeds are Values where the step sees Tensors
  const feeds = (steps: number, lr: number): any => ({
    x: value([steps, 2, 3], Array(6 * steps).fill(0.5)),
    y: value([steps, 2, 1], Array(2 * steps).fill(1)),
    lr: value([steps], Array(steps).fill(lr)),
  });
  return { run, loop, feeds };
}

const two = (p: { a: Tensor; b: Tensor }, x: Tensor) =>
  within("net", () => within("first", () => relu(x.matmul(p.a))).matmul(p.b));

test("names the first op that leaves the finite numbers, its module, its line and its operands", async () => {
  const { run, loop, feeds } = await descent(two);
  const before = run.snapshot();
  const { steps } = await loop.take(10, feeds(10, 1e30));
  expect(steps).toBe(2); // the first step's loss is fine; its update is what breaks the second
  run.restore(before);
  await loop.take(1, feeds(1, 1e30));
  const found = loop.explain(run.snapshot(), feeds(1, 1e30));
  expect(found).toMatchObject({ op: "sum of products", inGradient: false, module: "net" });
  expect(found!.origin).toMatch(/^net \(test\/run\/explain\.test\.ts:\d+\)$/);
  expect(Math.max(...found!.operands.map((o) => o.max))).toBeGreaterThan(1e28);
  expect(found!.message).toContain("not finite");
});

test("nothing to say about a step that stays finite, and the run is left as it was", async () => {
  const { run, loop, feeds } = await descent(two);
  const before = new Uint8Array(run.snapshot());
  expect(loop.explain(run.snapshot(), feeds(1, 0.1))).toBeUndefined();
  expect(new Uint8Array(run.snapshot())).toEqual(before);
});

test("a mask of −∞ is no finding; the 0 / 0 that comes of masking everything is", async () => {
  const masked = (open: number) => (p: { a: Tensor; b: Tensor }, x: Tensor) => {
    const scores = x.matmul(p.a);
    return softmax(scores.lt(open).where(scores, Number.NEGATIVE_INFINITY)).matmul(p.b);
  };
  const fine = await descent(masked(10));
  expect(fine.loop.explain(fine.run.snapshot(), fine.feeds(1, 0.1))).toBeUndefined();
  const { run, loop, feeds } = await descent(masked(-10));
  expect(loop.explain(run.snapshot(), feeds(1, 0.1))).toMatchObject({ op: "div" });
});

test("a feed that is not finite is named as what it is", async () => {
  const { run, loop, feeds } = await descent(two);
  const bad = feeds(1, 0.1);
  (bad.x as Value).data[4] = Number.NaN;
  expect(loop.explain(run.snapshot(), bad)!.message).toMatch(/^x f32\[2,3\] came in with 1 number/);
});

test("an infinite slope is found in the gradient", async () => {
  const { run, loop, feeds } = await descent((p, x) => within("root", () => x.matmul(p.a.mul(0)).sqrt()).matmul(p.b));
  const found = loop.explain(run.snapshot(), feeds(1, 0.1));
  expect(found).toMatchObject({ inGradient: true, module: "root" });
});
