/** Errors teach: what, with which shapes, where, and what to do about it. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { userFrame } from "../../src/ir/fail.ts";
import { topo } from "../../src/ir/graph.ts";
import {
  concat,
  DownhillError,
  full,
  grad,
  input,
  iota,
  oneHot,
  pick,
  split,
  type Tensor,
  type Value,
  value,
  variance,
  within,
} from "../../src/ir/index.ts";
import { apply, init, linear, type Module, sequential } from "../../src/nn/index.ts";
import * as tree from "../../src/tree.ts";

const x = input([2, 3]);
const y = input([4, 5]);
const i = input([2], "i32");
const condition = x.lt(0);

const refused: Record<string, [() => unknown, string]> = {
  "broadcasting names both shapes and the axis": [
    () => x.add(y),
    "add: f32[2,3] and f32[4,5] do not broadcast on axis -2 (2 against 4)",
  ],
  "broadcasting with fewer axes": [
    () => x.mul(input([2])),
    "mul: f32[2,3] and f32[2] do not broadcast on axis -1 (3 against 2)",
  ],
  "matmul with other inner sizes": [
    () => x.matmul(y),
    "matmul: f32[2,3] · f32[4,5]: the inner sizes 3 (last axis) and 4 (axis −2) differ",
  ],
  "matmul with the second transposed": [
    () => x.matmul(input([7, 3])),
    "hint: the second is transposed: use matmul(b.transpose())",
  ],
  "matmul with a vector": [() => x.matmul(input([3])), "both need at least two axes\n  hint: unsqueeze a vector"],
  "matmul of two dtypes": [
    () => x.matmul(input([3, 2], "f64")),
    "matmul: f32[2,3] · f64[3,2]: the dtypes differ\n  hint: cast one of them",
  ],
  "two dtypes": [
    () => x.add(input([2, 3], "f64")),
    "add: dtypes differ in f32[2,3] and f64[2,3]\n  hint: cast one of them",
  ],
  "an integer where a float is needed": [
    () => i.exp(),
    'exp: i32[2] is not a float\n  hint: cast it first: x.cast("f32")',
  ],
  "a mean of integers": [() => i.mean(), 'mean: i32[2] is not a float\n  hint: cast it first: x.cast("f32")'],
  "a variance of integers": [() => variance(i), "variance: i32[2] is not a float"],
  "a fraction beside integers": [
    () => i.mul(0.5),
    '0.5 is not of dtype i32, which the other operand has\n  hint: cast that first: x.cast("f32")',
  ],
  "nothing as an operand": [() => x.add(undefined as never), "expected a tensor or a number, got undefined"],
  "nothing to subtract": [() => x.sub(undefined as never), "expected a tensor or a number, got undefined"],
  "numbers of the host as an operand": [
    () => x.mul(value([2], [1, 2]) as never),
    "expected a tensor or a number, got a Value f32[2]",
  ],
  "arithmetic with a bool": [() => condition.add(condition), "add: bool[2,3] is bool"],
  "a sum of bools": [() => condition.sum(), 'sum: bool[2,3] is bool\n  hint: cast it first: x.cast("f32")'],
  "bits of floats": [() => x.xor(x), "xor: f32[2,3] is not u32"],
  "where without a bool": [() => x.where(x, x), "where: the condition f32[2,3] must be bool\n  hint: compare it first"],
  "where of two dtypes": [() => condition.where(x, x.cast("f64")), "where: dtypes differ in f32[2,3] and f64[2,3]"],
  "a reshape of another size": [() => x.reshape([4]), "reshape: f32[2,3] has 6 elements, [4] does not"],
  "a reshape that cannot be worked out": [() => x.reshape([4, -1]), "reshape: f32[2,3] has 6 elements"],
  "a reshape with negative sizes": [() => x.reshape([-2, -3]), "reshape: f32[2,3] has 6 elements"],
  "a permutation that is none": [() => x.permute([0, 0]), "permute: [0,0] is not an order of the 2 axes of f32[2,3]"],
  "an expand of a long axis": [
    () => x.expand([4, 3]),
    "expand: f32[2,3] cannot become [4,3]; only axes of length 1 grow",
  ],
  "an expand to less than nothing": [() => input([1]).expand([-1]), "expand: f32[1] cannot become [-1]"],
  "a part that is not there": [
    () =>
      x.shrink([
        [0, 3],
        [0, 3],
      ]),
    "shrink: [0,3; 0,3] does not lie within f32[2,3]",
  ],
  "a window that is too long": [
    () => x.window({ axis: 1, size: 4, stride: 1, dilation: 1 }),
    "window: f32[2,3] is too short on axis 1 for a window of 4",
  ],
  "a window that never moves": [
    () => x.window({ axis: 1, size: 2, stride: 0, dilation: 1 }),
    "window: size 2, stride 0 and dilation 1 must be whole and at least 1",
  ],
  "an axis that is not there": [() => x.sum(2), "sum: f32[2,3] has no axis 2"],
  "an axis twice": [() => x.sum([1, -1]), "sum: axes [1,-1] of f32[2,3] name one axis twice"],
  "the largest of nothing": [() => input([0, 3]).amax(0), "amax: f32[0,3] has no elements on axes [0]"],
  "rows of nothing": [() => input([0, 3]).gather(i), "gather: f32[0,3] has no rows to take"],
  "rows by floats": [() => x.gather(x), "indices must be integers, got f32[2,3]\n  hint: cast them to i32"],
  "scattered rows that do not match": [
    () => x.scatter(iota(3), 5),
    "scatter: indices i32[3] must have the first axes of f32[2,3]",
  ],
  "scattered into nothing": [() => x.scatter(i, 0), "scatter: f32[2,3] has no rows to go to"],
  "one hot by floats": [() => oneHot(x, 3), "oneHot of 3 classes: indices must be integers, got f32[2,3]"],
  "picking with other rows": [
    () => pick(x, iota(3)),
    "pick: indices i32[3] must have the shape of f32[2,3] without its last axis",
  ],
  "joining what does not fit": [() => concat([x, y]), "concat: f32[4,5] does not fit f32[2,3] on an axis other than 0"],
  "joining nothing": [() => concat([]), "concat: there is nothing to join"],
  "cutting into more than there is": [
    () => split(x, [1, 2]),
    "split: lengths [1,2] add up to 3, axis 0 of f32[2,3] has 2",
  ],
  "a variance of one value": [
    () => variance(input([1]), 0, { correction: 1 }),
    "variance: 1 values with correction 1 in f32[1]: there is nothing to divide by",
  ],
  "squeezing a long axis": [() => x.squeeze(0), "squeeze: axes [0] of f32[2,3] are not all of length 1"],
  "numbers that do not fill a shape": [() => value([2, 2], [1, 2, 3]), "value: f32[2,2] has 4 elements, got 3 numbers"],
};

test.each(Object.entries(refused))("%s", (_, [f, message]) => {
  expect(f).toThrow(DownhillError);
  expect(f).toThrow(message);
  expect(f).toThrow(/\n {2}at test\/ir\/errors[.]test[.]ts:\d+$/);
});

describe("where", () => {
  test("the module path and the user's line", () => {
    const layer = (t: Tensor) => within("net", () => within("layers.0", () => t.matmul(y)));
    expect(() => layer(x)).toThrow(/\n {2}at net[.]layers[.]0 \(test\/ir\/errors[.]test[.]ts:\d+\)$/);
    expect(() => x.matmul(y)).toThrow(/\n {2}at test/); // the path ends with the module
  });

  test("the path is left when a module throws", () => {
    expect(() => within("net", () => x.add(y))).toThrow("at net (");
    expect(() => x.add(y)).not.toThrow("at net (");
  });

  test("within a gradient, the line of the loss", () => {
    expect(() => grad((p: Tensor) => p.add(y).sum())(x)).toThrow(/at test\/ir\/errors[.]test[.]ts:\d+$/);
  });

  test("every node knows its own", () => {
    const t = within("head", () => full(1, [2]).add(1));
    expect(`${t.origin}`).toMatch(/^head \(test\/ir\/errors[.]test[.]ts:\d+\)$/);
  });

  test("however deep the modules lie between it and the user's line", () => {
    let net: Module = sequential(linear(2, 2));
    for (let depth = 0; depth < 40; depth++) net = sequential(net);
    const params = tree.map((v: Value) => input(v.shape), init(net, 1).params);
    const [t] = apply(net, { params }, x.transpose());
    expect(`${t.origin}`).toMatch(/^net(?:[.]layers[.]0){41} \(test\/ir\/errors[.]test[.]ts:\d+\)$/);
  });

  test("what one call is made of shares its place: a stack is looked at once", () => {
    const sum = x.add(1);
    const nodes = topo([sum]).filter((t) => t !== x);
    expect(nodes.length).toBeGreaterThan(2);
    expect(new Set(nodes.map((t) => t.origin)).size).toBe(1);
  });

  const here = fileURLToPath(new URL("../../src/ir/fail.ts", import.meta.url));
  test("frames of the library, of Node and of packages are no user's", () => {
    const frames = [
      "Error",
      `    at fail (${here}:36:9)`,
      "    at node:internal/process/task_queues:95:5",
      "    at run (/app/node_modules/vitest/dist/index.js:1:1)",
      "    at train (/app/digits.ts:4:7)",
    ];
    expect(userFrame(frames.join("\n"))).toBe("/app/digits.ts:4");
    expect(userFrame(frames.slice(0, 4).join("\n"))).toBeUndefined();
    expect(userFrame(undefined)).toBeUndefined();
    expect(userFrame("Error\n    at file:///app/my%20net.ts:12:3")).toBe("/app/my net.ts:12");
    const mapped = [
      "Error",
      "    at fail (/lib/src/ir/fail.ts:36:9)",
      "    at add (file:///lib/dist/ir/tensor.js:9:5)",
      frames[4],
    ];
    expect(userFrame(mapped.join("\n"), "file:///lib/dist/")).toBe("/app/digits.ts:4"); // as under --enable-source-maps
    expect(userFrame("Error\n    at C:\\app\\net.ts:12:3")).toBe("C:\\app\\net.ts:12");
  });

  test("folders may have blanks and brackets, and signs that in a URL stand for others", () => {
    const frames = [
      "Error",
      "    at fail (/my lib (1)/src/ir/fail.ts:36:9)",
      "    at fail (file:///my%20lib%20(1)/dist/ir/fail.js:36:9)",
      "    at file:///my%20lib%20(1)/dist/ir/layer.js:9:5",
      "    at eval (eval at made (/my app/made.js:1:2), <anonymous>:1:1)",
      "    at Object.step [as f] (/my app (2)/100%/digits.js:4:7)",
    ];
    const line = "/my app (2)/100%/digits.js:4";
    expect(userFrame(frames.join("\n"), "file:///my%20lib%20(1)/dist/")).toBe(line);
    expect(userFrame(`Error\n    at async ${line}:7`)).toBe(line);
  });
});
