/** Zeros are made when they are asked for, and are then a Value like any other. */
import { expect, test } from "vitest";
import { value } from "../../src/ir/index.ts";
import { isBlank, zeros } from "../../src/ir/value.ts";

test("zeros: one array, made by the first look at it", () => {
  const v = zeros("f64", [2, 3]);
  expect([`${v}`, isBlank(v)]).toEqual(["f64[2,3]", true]);
  const { data } = v;
  expect(data).toEqual(new Float64Array(6));
  expect(isBlank(v)).toBe(false);
  data[4] = 7;
  expect(v.data).toBe(data);
  expect(Object.freeze(zeros("f32", [2])).data).toEqual(new Float32Array(2));
  expect(zeros("f32", [2])).toEqual(value([2], [0, 0]));
  expect(structuredClone(zeros("i32", []))).toEqual({ dtype: "i32", shape: [], data: new Int32Array(1) });
  expect(isBlank(value([2], [0, 0]))).toBe(false);
});
