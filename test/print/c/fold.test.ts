/** Convolutions of many channels: one call of a product for all rows of an image, and the numbers are those of plain loops. */
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../../src/compile/compile.ts";
import { gradients, input, literal, value } from "../../../src/ir/index.ts";
import { apply, conv2d } from "../../../src/nn/index.ts";
import { printC } from "../../../src/print/c.ts";
import { evaluate } from "../../../src/run/jit.ts";
import { backends } from "../../backends.ts";

/** y = x ∗ W, f32[2, outs, size, size] read element by element. */
const convolution = (ins: number, outs: number) => conv2d(ins, outs, 3, { padding: 1, bias: false });

/** The loops around the calls of products in the printed program. */
function loops(ins: number, outs: number, size: number): number {
  const [x, w] = [input([2, ins, size, size]), input([outs, ins, 3, 3])];
  const y = apply(convolution(ins, outs), { params: { weight: w } }, x)[0].exp();
  return loopsOf({ state: [], resident: [w], feeds: [x], outputs: [y] });
}

function loopsOf(trace: Trace): number {
  const program = compile(trace, { banded: true });
  const lines = printC(program, 16).units.flatMap((u) => u.text.split("\n"));
  return lines.find((line) => line.includes("dh_product0((float *)"))!.split("for (").length - 1;
}

test("images of which B stays close have a call for each row, others one for all", () => {
  expect(loops(16, 16, 7)).toBe(2);
  expect(loops(64, 128, 7)).toBe(1);
  expect(loops(64, 128, 14)).toBe(1);
});

test("so have those whose rows no tile divides", () => expect(loops(64, 128, 23)).toBe(2));

test("the gradient of a weight takes the rows of its taps together, where one row's sums would wait for themselves", () => {
  const rows = (ins: number, outs: number) => {
    const [x, w, dy] = [input([16, ins, 28, 28]), input([outs, ins, 3, 3]), input([16, outs, 28, 28])];
    const y = apply(convolution(ins, outs), { params: { weight: w } }, x)[0];
    return loopsOf({ state: [], resident: [w], feeds: [x, dy], outputs: gradients(y.mul(dy).sum(), [w]) });
  };
  expect(rows(1, 16)).toBe(1);
  expect(rows(16, 16)).toBe(2);
});

describe.each(backends)("on %s", (backend) => {
  test.each([7, 14])("a convolution of images of %s places a row", async (size) => {
    const [ins, outs] = [64, 128];
    const x = Float32Array.from({ length: ins * size * size }, (_, k) => Math.sin(k * 0.37));
    const w = Float32Array.from({ length: outs * ins * 9 }, (_, k) => Math.cos(k * 0.73));
    const params = { weight: literal(value([outs, ins, 3, 3], w)) };
    const y = apply(convolution(ins, outs), { params }, literal(value([1, ins, size, size], x)))[0].mul(2);
    const got = await evaluate(y, { backend });
    let worst = 0;
    for (let at = 0; at < outs * size * size; at++) {
      const [o, i, j] = [Math.floor(at / size / size), Math.floor(at / size) % size, at % size];
      let sum = 0;
      for (let tap = 0; tap < 9; tap++) {
        const [row, column] = [i + Math.floor(tap / 3) - 1, j + (tap % 3) - 1];
        if (row < 0 || row >= size || column < 0 || column >= size) continue;
        for (let c = 0; c < ins; c++) sum += x[(c * size + row) * size + column]! * w[(o * ins + c) * 9 + tap]!;
      }
      worst = Math.max(worst, Math.abs(got.data[at]! - 2 * sum));
    }
    expect(worst).toBeLessThan(1e-3);
  });
});
