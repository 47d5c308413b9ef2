/** The traced draws are the host's. */
import { describe, expect, test } from "vitest";
import * as traced from "../../src/ir/random.ts";
import { input } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import * as host from "../../src/random.ts";
import { backends } from "../backends.ts";
import { evaluate } from "../nn/evaluate.ts";

const key = host.foldIn(host.key(7), 3);
const args = { key: value([2], key, "u32"), step: value([], [5], "u32") };
const stream = 0x7eadbeef;
const count = (n: number) => Array.from({ length: n }, (_, i) => i);

describe.each(backends)("on %s", (backend) => {
  test("bits", async () => {
    const y = await evaluate(({ key }) => traced.bits(key, [7, 11], stream), args, backend);
    expect(y.shape).toEqual([7, 11]);
    expect([...y.data]).toEqual(count(77).map((i) => host.bits(key, i, stream)));
  });

  test("uniform, in both floats", async () => {
    const draw = host.uniform;
    for (const dtype of ["f32", "f64"] as const) {
      const y = await evaluate(({ key }) => traced.uniform(key, [100], stream, dtype), args, backend);
      expect([...y.data]).toEqual(count(100).map((i) => draw(key, i, stream)));
    }
  });

  test("normal, up to rounding", async () => {
    const wide = await evaluate(({ key }) => traced.normal(key, [1000], 1, "f64"), args, backend);
    const narrow = await evaluate(({ key }) => traced.normal(key, [1000], 1), args, backend);
    for (const i of count(1000)) {
      expect(Math.abs(wide.data[i]! - host.normal(key, i, 1))).toBeLessThan(1e-14);
      expect(Math.abs(narrow.data[i]! - host.normal(key, i, 1))).toBeLessThan(2e-6);
    }
  });

  test("chance is uniform below the rate, also for rates between two multiples of 2⁻²⁴", async () => {
    const above = host.uniform(key, 7) + 2 ** -26; // element 7 lies just below it
    for (const rate of [0, 2 ** -24, above, 0.3, 0.5, 1 - 2 ** -25, 1]) {
      const y = await evaluate(({ key }) => traced.chance(rate, key, [300]), args, backend);
      expect([...y.data]).toEqual(count(300).map((i) => +(host.uniform(key, i) < rate)));
    }
  });

  test("foldIn of a number and of a counter", async () => {
    const y = await evaluate(
      ({ key, step }) => [traced.foldIn(key, 0xfffffffe), traced.foldIn(key, step)],
      args,
      backend,
    );
    expect(y.map((v) => [...v.data])).toEqual([host.foldIn(key, 0xfffffffe), host.foldIn(key, 5)]);
  });
});

test("what is not a key is refused", () => {
  expect(() => traced.bits(input([2], "f32"), [3])).toThrow("a key is u32[2], got f32[2]");
  expect(() => traced.bits(input([3], "u32"), [3])).toThrow("a key is u32[2], got u32[3]");
  expect(() => traced.foldIn(input([2], "u32"), -1)).toThrow("foldIn: expected a u32 scalar");
  expect(() => traced.foldIn(input([2], "u32"), input([], "i32"))).toThrow("got i32[]");
});
