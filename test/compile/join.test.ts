/** Joined tensors: which parts are written in their place, and that the numbers are those of plain loops over the graph. */
import { describe, expect, test } from "vitest";
import { compile } from "../../src/compile/compile.ts";
import { concat, gradients, input, split, stack, type Tensor } from "../../src/ir/index.ts";
import type { Shape } from "../../src/ir/shape.ts";
import { recompute } from "../../src/ir/tensor.ts";
import { apply, conv2d } from "../../src/nn/index.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";
import { naive } from "../ir/naive.ts";
import { distance, draw } from "../ir/numbers.ts";

type Case = {
  readonly shapes: readonly Shape[];
  readonly of: (...xs: Tensor[]) => Tensor[];
  /** Parts that are written beside another one, in memory that the whole has. */
  readonly beside: number;
};

const [x, w, v] = [
  [4, 6, 8],
  [8, 12],
  [8, 10],
];
/** Attention without its softmax: the gradient of what was split into heads' queries, keys and values. */
const attend = (x: Tensor, w: Tensor) => {
  const heads = split(x.matmul(w), [4, 4, 4], -1).map((t) => t.reshape([4, 6, 2, 2]).permute([0, 2, 1, 3]));
  const [q, k, values] = heads as [Tensor, Tensor, Tensor];
  return q.matmul(k.transpose()).exp().matmul(values);
};

const cases: Record<string, Case> = {
  "products along the last axis": {
    shapes: [x!, w!, v!, [22, 5]],
    of: (x, w, v, u) => [concat([x.matmul(w), x.matmul(v)], -1).matmul(u)],
    beside: 1,
  },
  "products along the first axis, one of them read elsewhere too": {
    shapes: [x!, w!],
    of: (x, w) => {
      const y = x.matmul(w);
      const both = concat([y, x.square().matmul(w)]);
      return [both.matmul(w.transpose()), y.square().sum([0])];
    },
    beside: 1,
  },
  "the gradients of what was split": {
    shapes: [x!, w!, [4, 2, 6, 2]],
    of: (x, w, c) => gradients(attend(x, w).mul(c).sum(), [x, w]),
    beside: 2,
  },
  "along an axis in the middle, where the rows of a product would no longer lie as one": {
    shapes: [x!, w!, v!],
    of: (x, w, v) => {
      const [y, z] = [x.matmul(w), x.square().matmul(w)];
      return [
        concat([y, z], 1).matmul(
          v
            .slice(1, 0, 1)
            .matmul(w.slice(0, 0, 1))
            .transpose(),
        ),
      ];
    },
    beside: 0,
  },
  "rows of one product that lie apart in the whole": {
    shapes: [[24, 8], w!],
    of: (x, w) => {
      const [y, z] = [x, x.square()].map((t) => t.matmul(w).reshape([4, 6, 12])) as [Tensor, Tensor];
      return [concat([y, z], 1).matmul(w.transpose())];
    },
    beside: 0,
  },
  "one that is joined twice": {
    shapes: [x!, w!],
    of: (x, w) => {
      const y = x.matmul(w);
      return [concat([y, y], 1).matmul(w.transpose())];
    },
    beside: 0,
  },
  "one that is joined twice, along an axis where it could be written": {
    shapes: [x!, w!],
    of: (x, w) => {
      const y = x.matmul(w);
      return [concat([y, y]).matmul(w.transpose())];
    },
    beside: 0,
  },
  "two joins, each of which has a part that is made of one in the other": {
    shapes: [
      [6, 8],
      [8, 8],
      [8, 8],
    ],
    of: (x, w, v) => {
      const [a, d] = [x.matmul(w), x.matmul(v)];
      const [b, c] = [d.matmul(w), a.matmul(v)];
      return [concat([a, b]).matmul(w), concat([c, d]).matmul(v)];
    },
    beside: 1,
  },
  "parts that leave a rest of zeros": {
    shapes: [x!, w!],
    of: (x, w) => {
      const [y, z] = [x.matmul(w), x.square().matmul(w)];
      const within = (t: Tensor, before: number, after: number) =>
        t.pad([
          [before, after],
          [0, 0],
          [0, 0],
        ]);
      return [
        within(y, 0, 5)
          .add(within(z, 4, 1))
          .matmul(w.transpose()),
      ];
    },
    beside: 0,
  },
  "an output": {
    shapes: [x!, w!, v!, [22, 5]],
    of: (x, w, v, u) => {
      const y = x.matmul(w).exp();
      return [concat([y, x.matmul(v)], -1).matmul(u), y];
    },
    beside: 0,
  },
  "joined ones": {
    shapes: [x!, w!, v!, [22, 5], [34, 5]],
    of: (x, w, v, u, all) => {
      const inner = concat([x.matmul(w), x.matmul(v)], -1);
      return [inner.matmul(u), concat([inner, x.matmul(w.mul(2))], -1).matmul(all)];
    },
    beside: 1,
  },
  "steps along time, each made of the one before": {
    shapes: [
      [5, 8],
      [8, 8],
      [5, 3, 8],
    ],
    of: (h, w, c) => {
      const steps: Tensor[] = [];
      for (let t = 0; t < 3; t++) {
        const inflow = c.slice(1, t, t + 1).squeeze(1);
        steps.push((steps.at(-1) ?? h).matmul(w).add(inflow).tanh());
      }
      const y = stack(steps, 1).matmul(w);
      return [y, ...gradients(y.square().sum(), [h, w])];
    },
    beside: 0,
  },
  "two directions in time, joined at every step": {
    shapes: [
      [5, 8],
      [8, 8],
      [8, 8],
      [16, 4],
    ],
    of: (h, w, u, v) => {
      const walk = (by: Tensor) => {
        const out = [h.matmul(by).tanh()];
        for (let t = 0; t < 2; t++) out.push(out.at(-1)!.matmul(by).tanh());
        return out;
      };
      const [forth, back] = [walk(w), walk(u).reverse()];
      return forth.map((f, t) => concat([f, back[t]!], 1).matmul(v));
    },
    beside: 1,
  },
  "a reader of one part, beside what the other part is made of": {
    shapes: [
      [24, 8],
      [8, 12],
      [8, 12],
      [12, 5],
    ],
    of: (x, w, v, u) => {
      const [y, e] = [x.matmul(w), x.matmul(v).exp()];
      return [y.mul(e), concat([y, e.matmul(v.transpose().matmul(v))]).matmul(u)];
    },
    beside: 1,
  },
  "what is computed again": {
    shapes: [x!, w!, v!, [22, 8]],
    of: (x, w, v, u) => {
      const part = recompute(() =>
        concat([x.matmul(w), x.matmul(v)], -1)
          .matmul(u)
          .tanh(),
      );
      return gradients(part.matmul(w).square().sum(), [w, v, u]);
    },
    beside: 2,
  },
};

describe.each(Object.entries(cases))("%s", (_, { shapes, of, beside }) => {
  const args = shapes.map((s, k) => draw(s, "f64", -1, 1, 7 * k + 1));
  const inputs = args.map((a) => input(a.shape, "f64"));
  const want = naive(of(...inputs), new Map(inputs.map((t, k) => [t, [...args[k]!.data]])));

  test.each(backends)("on %s is what plain loops give", async (backend) => {
    const got = await jit((...xs: Tensor[]) => of(...xs), { backend })(...args);
    got.forEach((y, k) => expect(distance(y.data, want[k]!), `output ${k}`).toBeLessThan(1e-12));
  });
  test("its parts are written into the whole where that is possible", () => {
    const { kernels } = compile({ state: [], resident: inputs, feeds: [], outputs: of(...inputs) }, { banded: true });
    const writes = kernels.flatMap((k) => (k.kind === "contraction" ? [k.c.buffer] : k.stores.map((s) => s.buffer)));
    expect(writes.length - new Set(writes).size).toBe(beside);
  });
});

describe("a result that is a product in another shape", () => {
  const [x, w, h] = [input([6, 8]), input([8, 8]), input([6, 8])];
  const kinds = (next: Tensor, outputs: readonly Tensor[] = []) =>
    compile({ state: [{ now: h, next }], resident: [x, w], feeds: [], outputs }, { banded: true }).kernels.map(
      ({ kind }) => kind,
    );

  test("has no kernel of its own", () => {
    expect(kinds(x.matmul(w))).toEqual(["contraction"]);
    expect(kinds(h, [x.matmul(w).reshape([2, 3, 8])])).toEqual(["contraction"]);
  });
  test("is copied where the product reads the state that it becomes, and where it is two results", () => {
    expect(kinds(h.matmul(w))).toEqual(["contraction", "nest"]);
    expect(kinds(x.matmul(w), [x.matmul(w)])).toEqual(["contraction", "nest"]);
  });
  test("is copied where the product lies in an order of its own, channels side by side", () => {
    const [images, weight] = [input([2, 3, 6, 6]), input([8, 3, 3, 3])];
    const y = apply(conv2d(3, 8, 3, { bias: false }), { params: { weight } }, images)[0];
    const { kernels } = compile(
      { state: [], resident: [images, weight], feeds: [], outputs: [y.reshape([2, 128])] },
      { banded: true },
    );
    const [product, last] = kernels.slice(-2);
    expect(product).toMatchObject({ kind: "contraction", m: 4, n: 8, c: { strides: { row: 8, col: 1 } } });
    expect(last!.kind).toBe("nest");
  });
  test.each(backends)("on %s lies in the order of its shape, whoever else reads the product", async (backend) => {
    const of = (x: Tensor, w: Tensor) => {
      const y = x.matmul(w);
      return [y.reshape([3, 2, 8]), y.transpose(), concat([y, y.square()]).matmul(w)];
    };
    const args = [draw([6, 8], "f64", -1, 1, 1), draw([8, 8], "f64", -1, 1, 2)] as const;
    const inputs = args.map((a) => input(a.shape, "f64"));
    const want = naive(of(inputs[0]!, inputs[1]!), new Map(inputs.map((t, k) => [t, [...args[k]!.data]])));
    const got = await jit(of, { backend })(...args);
    got.forEach((y, k) => expect(distance(y.data, want[k]!), `output ${k}`).toBeLessThan(1e-12));
  });
});
