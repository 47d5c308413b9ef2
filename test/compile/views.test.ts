/** Views that would need memory: what is in memory instead, and that the numbers stay. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { gradients, input, type Tensor } from "../../src/ir/index.ts";
import { size } from "../../src/ir/shape.ts";
import { conv2d } from "../../src/nn/convolution.ts";
import { apply } from "../../src/nn/index.ts";
import { jit } from "../../src/run/jit.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw } from "../ir/numbers.ts";

const matrix = (x: Tensor) => x.matmul(x.permute([1, 0])); // [7, 5] → [7, 7]

const views: Record<string, (x: Tensor) => Tensor> = {
  "zeros around windows of another axis": (x) =>
    x.window({ axis: 1, size: 3, stride: 1, dilation: 1 }).pad([[1, 2], [0, 0], [0, 0]]), // biome-ignore format: a list
  "zeros around turned windows of both axes": (x) =>
    x
      .window({ axis: 0, size: 2, stride: 2, dilation: 1 })
      .window({ axis: 1, size: 3, stride: 1, dilation: 1 })
      .permute([2, 0, 3, 1])
      .pad([[1, 0], [0, 2], [0, 0], [0, 0]]), // biome-ignore format: a list
  "a part of a product": (x) => matrix(x).slice(0, 2, 5).slice(1, 0, 6),
  "a part of a turned and split product": (x) =>
    matrix(x).permute([1, 0]).reshape([7, 1, 7]).slice(0, 1, 3).slice(2, 4, 7),
  "a part of a product that others read whole": (x) => matrix(x).slice(0, 2, 5).mul(matrix(x).sum()),
  "a part of what is spread": (x) => x.reshape([7, 1, 5]).expand([7, 4, 5]).shrink([[1, 6], [0, 2], [2, 5]]), // biome-ignore format: a list
};

test.each(Object.entries(views))("%s: values and slopes are those of plain loops", async (_, view) => {
  const graph = (x: Tensor) => {
    const y = view(x);
    return [y, ...gradients(y.square().sum(), [x])];
  };
  const [x, v] = [input([7, 5], "f64"), draw([7, 5], "f64")];
  const want = naive(graph(x), new Map([[x, [...v.data]]]));
  const got = await jit(graph, { backend: "js" })(v);
  got.forEach((y, k) => expect(distance(y.data, want[k]!)).toBeLessThan(1e-13));
});

describe("the slope of a convolution's input", () => {
  const [x, w] = [input([2, 8, 12, 10]), input([16, 8, 3, 3])];
  const y = apply(conv2d(8, 16, 3, { padding: 1, bias: false }), { params: { weight: w } }, x)[0];
  const [dx] = gradients(y.square().sum(), [x]);
  const program = compile({ state: [], resident: [x, w], feeds: [], outputs: [dx!] });

  test("makes nothing as large as all windows: y and its slope with zeros around is the largest", () =>
    expect(Math.max(...[...program.named.values()].map((b) => size(b.shape)))).toBe(2 * 16 * 14 * 12));
  test("is made without its padding: both products have rows of 10", () =>
    expect(program.kernels.flatMap((k) => (k.kind === "contraction" ? [[k.m, k.n]] : []))).toEqual([
      [10, 16],
      [10, 8],
    ]));
});
