/** Packing at the beginning of a step is of what is there then: a weight that the step replaces is not yet. */
import { expect, test } from "vitest";
import { valueAndGrad } from "../../../src/ir/grad.ts";
import { type Tensor, value } from "../../../src/ir/index.ts";
import { Run } from "../../../src/run/run.ts";
import { backends } from "../../backends.ts";

test.each(backends)("a product with the new weight, on %s", async (backend) => {
  const [rows, inner, columns] = [512, 128, 128];
  const wave = (n: number, by: number) => Float32Array.from({ length: n }, (_, k) => Math.sin(k * by));
  const w = value([columns, inner], wave(columns * inner, 0.7));
  const x = value([rows, inner], wave(rows * inner, 0.3));
  const run = await Run.start({ w }, { backend });
  const loop = run.loop(
    (s: { w: Tensor }, _: object, data: { x: Tensor }) => {
      const [, slope] = valueAndGrad((p: Tensor) =>
        data.x
          .matmul(p.permute([1, 0]))
          .square()
          .mean(),
      )(s.w);
      const next = s.w.sub(slope.mul(2));
      return { state: { w: next }, output: { y: data.x.matmul(next.permute([1, 0])) } };
    },
    { data: { x } },
  );
  const { output } = await loop.take(1, {});
  const after = run.state().w.data;
  expect(Math.max(...after.map((v, k) => Math.abs(v - w.data[k]!)))).toBeGreaterThan(0.01);
  for (const [i, j] of [
    [0, 0],
    [7, 100],
    [300, 1],
    [511, 127],
  ] as const) {
    let want = 0;
    for (let l = 0; l < inner; l++) want += x.data[i * inner + l]! * after[j * inner + l]!;
    expect(Math.abs(output.y.data[i * columns + j]! - want)).toBeLessThan(1e-3);
  }
});
