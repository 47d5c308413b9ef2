/** Every primitive through onnxruntime: the arguments of the op matrix, against plain loops. */
import { expect, test } from "vitest";
import { toOnnx } from "../../../src/interop/onnx/onnx.ts";
import type { Op } from "../../../src/ir/ops.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { type Value, value } from "../../../src/ir/value.ts";
import { module } from "../../../src/nn/index.ts";
import { cases } from "../../ir/cases.ts";
import { naive } from "../../ir/naive.ts";
import { distance } from "../../ir/numbers.ts";
import { infer } from "./session.ts";

/** What onnxruntime has no kernel for; the file is right all the same. */
const missing = new Set(["erf 3 × 4 f64"]);

const positive = (v: Value) => value(v.shape, Array.from(v.data, Math.abs), v.dtype);
const inputsOf = (args: readonly Value[]) => Object.fromEntries(args.map((v, k) => [`x${k}`, v]));

test.each(Object.entries(cases) as [Op, (typeof cases)[Op]][])("%s", async (op, list) => {
  for (const { name, dtypes, args, f } of list) {
    for (const d of dtypes) {
      const key = `${op} ${name} ${d}`;
      if (missing.has(key)) continue;
      // A negative float has no meaning as u32, neither here nor in ONNX.
      const given = args(d).map((v) => (name === "to u32" && v.dtype !== "bool" ? positive(v) : v));
      const xs: Tensor[] = [];
      const net = module({}, (_, x: Tensor, __, ...more: Tensor[]) => {
        xs.splice(0, xs.length, x, ...more);
        return f(x, ...more);
      });
      const file = toOnnx(net, { params: {} }, inputsOf(given));
      const { output } = await infer(file, inputsOf(given)).catch((error) => {
        throw new Error(`${key}: ${error}`);
      });
      const y = f(...xs);
      const [want] = naive([y], new Map(xs.map((x, k) => [x, Array.from(given[k]!.data)])));
      expect([output!.dtype, output!.shape], key).toEqual([y.dtype, y.shape]);
      const tolerance = d === "f32" || y.dtype === "f32" ? 1e-6 : y.isFloat ? 1e-14 : 0;
      expect(distance(output!.data, want!), key).toBeLessThanOrEqual(tolerance);
    }
  }
});
