/** A rectifier's mask: not kept, and right where x is 0, negative 0, infinite or not a number. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { gradients, input, relu, type Tensor, value } from "../../src/ir/index.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";

const net = (x: Tensor, w: Tensor) => {
  const y = relu(x.mul(w));
  return [y, gradients(y.mul(w).sum(), [x])[0]!];
};

describe.each(backends)("on %s", (backend) => {
  test("slope 1 above 0, 0 below and at it, and a NaN stays one", async () => {
    const xs = [1, -1, 0, -0, Infinity, -Infinity, NaN, 1e-3];
    const w = xs.map(() => 2);
    const [y, slope] = await jit(net, { backend })(value([8], xs), value([8], w));
    expect([...y!.data].map((v) => v > 0)).toEqual([true, false, false, false, true, false, false, true]);
    expect(y!.data[6]).toBeNaN();
    expect([...slope!.data]).toEqual([4, 0, 0, 0, 4, 0, 4, 4]);
  });
});

test("no mask lies in memory", () => {
  const [x, w] = [input([64, 32]), input([32, 48])];
  const y = relu(x.matmul(w));
  const { named } = compile({ state: [], resident: [x, w], feeds: [], outputs: gradients(y.square().sum(), [x, w]) });
  expect([...named.values()].filter((b) => b.dtype === "bool")).toEqual([]);
});
