/**
 * One entry per primitive: arguments that it is tried on, for each dtype that it takes. A Record over the union, so a
 * new op without an entry does not compile.
 */
import type { DType } from "../../src/ir/dtype.ts";
import { iota, literal, scalar } from "../../src/ir/index.ts";
import type { Op } from "../../src/ir/ops.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { draw } from "./numbers.ts";

export type Case = {
  readonly name: string;
  readonly dtypes: readonly DType[];
  readonly args: (d: DType) => readonly Value[];
  readonly f: (...x: Tensor[]) => Tensor;
};

const floats = ["f32", "f64"] as const;
const numeric = ["f32", "f64", "i32", "u32"] as const;
const all = ["f32", "f64", "i32", "u32", "bool"] as const;

type F = Case["f"];
/** One argument of 3 × 4. Positive and away from 0 where `lo` is; integers from 1 to 99. */
const unary = (f: F, lo = -2, hi = 2, dtypes: readonly DType[] = floats): Case[] => [
  {
    name: "3 × 4",
    dtypes,
    args: (d) => [d === "f32" || d === "f64" ? draw([3, 4], d, lo, hi) : draw([3, 4], d, 1, 99)],
    f,
  },
];
/** Two arguments that broadcast against each other, no two elements alike. */
const binary = (f: F, dtypes: readonly DType[], lo = 0.4): Case[] => [
  {
    name: "3 × 1 and 4",
    dtypes,
    args: (d) => {
      const whole = d !== "f32" && d !== "f64";
      return [draw([3, 1], d, lo, whole ? 99 : 2, 5), draw([4], d, lo, whole ? 30 : 2)].map((v) =>
        d === "bool" || !whole
          ? v
          : value(
              v.shape,
              Array.from(v.data, (x) => x + 1),
              d,
            ),
      );
    },
    f,
  },
];
const moving = (...fs: [string, number[], F][]): Case[] =>
  fs.map(([name, shape, f]) => ({
    name,
    dtypes: all,
    args: (d) =>
      [draw(shape, d, d === "u32" ? 0 : -50, 50)].map((v) => (d === "f32" || d === "f64" ? draw(shape, d) : v)),
    f,
  }));
const reducing = (f: (x: Tensor, axes: number[]) => Tensor, dtypes: readonly DType[]): Case[] =>
  [[0], [1], [2], [0, 2], [0, 1, 2]].map((axes) => ({
    name: `over ${axes} of 3 × 4 × 5`,
    dtypes,
    args: (d) => [draw([3, 4, 5], d, d === "u32" ? 0 : -1, d === "f32" || d === "f64" ? 1 : 1000)],
    f: (x) => f(x!, axes),
  }));

/** Rows with repeats, and some that nobody takes. */
const rows = value([2, 3], [4, 1, 4, 0, 4, 1], "i32");

export const cases: Record<Op, readonly Case[]> = {
  input: unary((x) => x!.own(), -2, 2, all),
  literal: [
    {
      name: "3",
      dtypes: all,
      args: (d) => [draw([3], d)],
      f: (x) => x!.eq(literal(draw([3], x!.dtype, 0, 9))).where(x!, literal(draw([3], x!.dtype, 0, 9))),
    },
  ],
  const: [
    { name: "scalar", dtypes: numeric, args: (d) => [draw([3], d, 0, 9)], f: (x) => x!.add(scalar(7, x!.dtype)) },
  ],
  iota: [{ name: "5", dtypes: numeric, args: (d) => [draw([5], d, 0, 9)], f: (x) => iota(5, x!.dtype).add(x!) }],

  exp: unary((x) => x!.exp()),
  expm1: unary((x) => x!.expm1()),
  log: unary((x) => x!.log(), 0.1, 3),
  log1p: unary((x) => x!.log1p(), -0.9, 3),
  sin: unary((x) => x!.sin(), -9, 9),
  cos: unary((x) => x!.cos(), -9, 9),
  tanh: unary((x) => x!.tanh()),
  erf: unary((x) => x!.erf()),
  sqrt: unary((x) => x!.sqrt(), 0.1, 3),
  floor: unary((x) => x!.floor(), -9, 9),
  bf16: unary((x) => x!.bf16()),
  f16: unary((x) => x!.f16()),
  cast: all.flatMap((to) =>
    unary((x) => x!.cast(to), -9, 9, all).map((c) => ({ ...c, name: `to ${to}`, dtypes: all.filter((d) => d !== to) })),
  ),
  add: binary((a, b) => a!.add(b!), numeric),
  mul: binary((a, b) => a!.mul(b!), numeric),
  div: binary((a, b) => a!.div(b!), numeric),
  max: binary((a, b) => a!.max(b!), numeric),
  lt: binary((a, b) => a!.lt(b!), all),
  le: binary((a, b) => a!.le(b!), all),
  eq: binary((a, b) => a!.eq(b!), all),
  xor: binary((a, b) => a!.xor(b!), ["u32"]),
  shr: binary((a, b) => a!.mul(0x9e3779b9).shr(b!), ["u32"]),
  where: binary((a, b) => a!.lt(b!).where(a!, b!), all),

  reshape: moving(
    ["2 × 3 × 4 to 6 × 4", [2, 3, 4], (x) => x!.reshape([6, 4])],
    ["4 × 6 to 3 × 8", [4, 6], (x) => x!.reshape([3, 8])],
  ),
  permute: moving(["2 0 1", [2, 3, 4], (x) => x!.permute([2, 0, 1])], ["1 0", [5, 7], (x) => x!.permute([1, 0])]),
  expand: moving(["3 × 1 × 4", [3, 1, 4], (x) => x!.expand([3, 5, 4])], ["1 × 1", [1, 1], (x) => x!.expand([3, 2])]),
  pad: moving(
    [
      "both sides",
      [3, 4],
      (x) =>
        x!.pad([
          [1, 2],
          [0, 3],
        ]),
    ],
    ["nothing before", [5], (x) => x!.pad([[0, 2]])],
  ),
  shrink: moving(
    [
      "inside",
      [5, 6],
      (x) =>
        x!.shrink([
          [1, 4],
          [0, 5],
        ]),
    ],
    ["to one", [5], (x) => x!.shrink([[3, 4]])],
  ),
  flip: moving(["one axis", [3, 4], (x) => x!.flip(1)], ["both", [3, 4], (x) => x!.flip([0, 1])]),
  window: [
    [3, 1, 1],
    [3, 2, 1],
    [2, 3, 1],
    [3, 1, 2],
    [3, 2, 2],
    [4, 4, 1],
    [1, 2, 1],
  ].flatMap(([n, stride, dilation]) =>
    moving([
      `${n} / ${stride} / ${dilation}`,
      [2, 11, 3],
      (x) => x!.window({ axis: 1, size: n!, stride: stride!, dilation: dilation! }),
    ]),
  ),

  sum: reducing((x, axes) => x.sum(axes), numeric),
  amax: reducing((x, axes) => x.amax(axes), numeric),
  gather: [
    { name: "rows, some twice", dtypes: all, args: (d) => [draw([5, 3], d, 0, 9), rows], f: (x, at) => x!.gather(at!) },
  ],
  scatter: [
    {
      name: "rows, some twice",
      dtypes: numeric,
      args: (d) => [draw([2, 3, 4], d, 0, 9), rows],
      f: (x, at) => x!.scatter(at!, 6),
    },
  ],
  bound: [
    {
      name: "in range",
      dtypes: ["i32", "u32"],
      args: (d) => [draw([5], d, 0, 9)],
      f: (x) => x!.bound(9, "test").own(),
    },
  ],
  detach: [
    {
      name: "3 × 4",
      dtypes: all,
      args: (d) => [draw([3, 4], d, 0, 9)],
      f: (x) => (x!.isFloat ? x!.detach().mul(x!) : x!.detach().own()),
    },
  ],
};
