/** Channels side by side: which tensors lie so, and that the numbers are those of plain loops over the graph. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { gradients, input, type Tensor, type Value } from "../../src/ir/index.ts";
import type { Shape } from "../../src/ir/shape.ts";
import * as nn from "../../src/nn/index.ts";
import { jit } from "../../src/run/jit.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw } from "../ir/numbers.ts";

const { conv1d, conv2d, conv3d, convTranspose2d, relu, maxPool2d, avgPool2d, flatten, linear, sequential } = nn;

const norm = nn.batchNorm2d(8, { trackRunningStats: false });

const nets: Record<string, { readonly net: nn.Module; readonly shape: Shape }> = {
  "two layers, pooled": {
    net: sequential(conv2d(1, 8, 3, { padding: 1 }), relu, maxPool2d(2), conv2d(8, 9, 3, { padding: 1 })),
    shape: [2, 1, 4, 6],
  },
  "batch norm and a dense layer": {
    net: sequential(conv2d(3, 8, 2), norm, relu, maxPool2d(2), flatten, linear(16, 3)),
    shape: [3, 3, 5, 3],
  },
  "with strides": { net: conv2d(2, 8, 3, { stride: 2, padding: 1 }), shape: [1, 2, 5, 4] },
  "with strides that taps do not fill": { net: conv2d(2, 9, [3, 5], { stride: [2, 3] }), shape: [1, 2, 4, 8] },
  dilated: { net: conv2d(1, 8, 3, { dilation: 2, padding: 2 }), shape: [1, 1, 3, 4] },
  "in groups": { net: conv2d(4, 8, 3, { groups: 2, padding: 1 }), shape: [2, 4, 3, 4] },
  depthwise: { net: sequential(conv2d(8, 8, 3, { groups: 8, padding: 1 }), conv2d(8, 9, 1)), shape: [2, 8, 3, 2] },
  transposed: { net: convTranspose2d(8, 8, 4, { stride: 2, padding: 1 }), shape: [1, 8, 2, 3] },
  "overlapping pools": {
    net: sequential(conv2d(2, 8, 1), maxPool2d(3, { stride: 2, padding: 1 }), avgPool2d(2, { stride: 1 })),
    shape: [1, 2, 5, 6],
  },
  "one axis": { net: sequential(conv1d(2, 8, 3, { stride: 2 }), relu, conv1d(8, 8, 2), flatten), shape: [2, 2, 9] },
  "three axes": { net: conv3d(1, 8, 2, { padding: 1 }), shape: [1, 1, 2, 1, 3] },
};
type Net = (typeof nets)[string];

/** Inputs of the graph: the image, a cotangent of the output, and the parameters. */
function given({ net, shape }: Net) {
  const params = nn.init(net, 1).params;
  const widths = tree.leaves<Value>(params).map((v) => v.shape);
  const x = input([...shape]);
  const [y] = nn.apply(net, { params: tree.map((v: Value) => input(v.shape), params) }, x, { training: true });
  return [shape, y.shape, ...widths].map((s, k) => draw(s, "f64", -1, 1, 31 * k));
}

/** The output, and its gradients by the image and each parameter, of Σ y · c. */
function graph({ net }: Net, [x, c, ...weights]: readonly Tensor[]): Tensor[] {
  const rest = [...weights];
  const params = tree.map(() => rest.shift()!, nn.init(net, 1).params);
  const [y] = nn.apply(net, { params }, x!, { training: true });
  return [y, ...gradients(y.mul(c!).sum(), [x!, ...weights])];
}

describe.each(Object.entries(nets))("a convolution: %s", (_, net) => {
  const args = given(net);
  const inputs = args.map((v) => input(v.shape, "f64"));
  const want = naive(graph(net, inputs), new Map(inputs.map((t, k) => [t, [...args[k]!.data]])));

  test.each(backends)("output and gradients on %s are those of plain loops", async (backend) => {
    const got = await jit((...xs: Tensor[]) => graph(net, xs), { backend })(...args);
    got.forEach((y, k) => expect(distance(y.data, want[k]!), `output ${k}`).toBeLessThan(1e-12));
  });
});

describe("a convolution whose result is read element by element", () => {
  const product = (channels: number) => {
    const [x, w] = [input([2, 4, 7, 9]), input([channels, 4, 3, 3])];
    const y = nn.apply(conv2d(4, channels, 3, { bias: false }), { params: { weight: w } }, x)[0].exp();
    const { kernels } = compile({ state: [], resident: [x, w], feeds: [], outputs: [y.sum()] });
    return kernels.find((k) => k.kind === "contraction")!;
  };
  test("has its channels side by side", () =>
    expect(product(16)).toMatchObject({ m: 7, n: 16, c: { strides: { row: 16, col: 1 } } }));
  test("but for few of them, whose rows are as good", () =>
    expect(product(6)).toMatchObject({ m: 7, n: 6, c: { strides: { row: 1, col: 35 } } }));
});

test("a matrix product stays row-major", () => {
  const [x, w] = [input([20, 30]), input([30, 40])];
  const { kernels } = compile({ state: [], resident: [x, w], feeds: [], outputs: [x.matmul(w).exp()] });
  expect(kernels[0]).toMatchObject({ m: 20, n: 40, c: { strides: { row: 40, col: 1 } } });
});

test("sums of a transposed gradient's squares are no convolution: nothing is copied", () => {
  const [x, w, c] = [input([4, 20, 30]), input([40, 30]), input([4, 20, 40])];
  const [slope] = gradients(x.matmul(w.transpose()).mul(c).sum(), [w]) as [Tensor];
  const lengths = slope.square().sum(1, { keep: true });
  const outputs = [slope.div(lengths.sqrt().expand([40, 30]))];
  const { kernels } = compile({ state: [], resident: [x, w, c], feeds: [], outputs });
  expect(kernels).toHaveLength(3); // the product, the lengths, the quotients
  expect(kernels[0]).toMatchObject({ kind: "contraction", m: 40, n: 30, c: { strides: { row: 30, col: 1 } } });
});
