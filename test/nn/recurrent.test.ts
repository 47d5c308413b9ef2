/** Recurrent networks against loops written from the papers, in plain numbers; lengths, dropout, messages; residual. */
import { describe, expect, test } from "vitest";
import { valueAndGrad } from "../../src/ir/grad.ts";
import { input, type Tensor } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import {
  apply,
  gru,
  gruCell,
  init,
  linear,
  lstm,
  lstmCell,
  type Module,
  module,
  residual,
  rnn,
  rnnCell,
  sequential,
  tanh,
} from "../../src/nn/index.ts";
import * as random from "../../src/random.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";
import { distance, evaluate, numbers, slopes, some } from "./evaluate.ts";

type Row = readonly number[];
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** W x + b, row by row. */
const dense = (w: Row, b: Row, x: Row): number[] =>
  Array.from({ length: b.length }, (_, r) => x.reduce((sum, v, k) => sum + w[r * x.length + k]! * v, b[r]!));

/** One step from [h] or [h, c]: the papers' formulas. a = W x + b and u = U h + d, gates one after the other. */
const steps = {
  rnn: (a: Row, u: Row) => [a.map((v, j) => Math.tanh(v + u[j]!))],
  lstm: (a: Row, u: Row, [h, c]: readonly Row[]) => {
    const n = h!.length;
    const gate = (k: number, j: number) => a[k * n + j]! + u[k * n + j]!;
    const next = c!.map((v, j) => sigmoid(gate(1, j)) * v + sigmoid(gate(0, j)) * Math.tanh(gate(2, j)));
    return [next.map((v, j) => sigmoid(gate(3, j)) * Math.tanh(v)), next];
  },
  gru: (a: Row, u: Row, [h]: readonly Row[]) => {
    const n = h!.length;
    const reset = h!.map((_, j) => sigmoid(a[j]! + u[j]!));
    const update = h!.map((_, j) => sigmoid(a[n + j]! + u[n + j]!));
    const fresh = h!.map((_, j) => Math.tanh(a[2 * n + j]! + reset[j]! * u[2 * n + j]!));
    return [h!.map((v, j) => (1 - update[j]!) * fresh[j]! + update[j]! * v)];
  },
};
type Kind = keyof typeof steps;
const makers = { rnn, lstm, gru };
const cells: Record<Kind, Module> = { rnn: rnnCell(2, 2), lstm: lstmCell(2, 2), gru: gruCell(2, 2) };
const gates = { rnn: 1, lstm: 4, gru: 3 };

const [n, t, inputs, hidden] = [2, 3, 2, 2];

/** A network of two layers in both directions, one sequence and one number at a time. → y, h (and c), flat */
function loops(kind: Kind, parameters: Row, xs: Row, lengths: Row): number[] {
  let from = 0;
  const next = (count: number) => {
    from += count;
    return parameters.slice(from - count, from);
  };
  const rows = gates[kind] * hidden;
  const states = kind === "lstm" ? 2 : 1;
  let sequences = Array.from({ length: n }, (_, i) =>
    Array.from({ length: t }, (_, s) => xs.slice((i * t + s) * inputs, (i * t + s + 1) * inputs) as Row),
  );
  const last: Row[][] = Array.from({ length: states }, () => []);
  for (const width of [inputs, 2 * hidden]) {
    const out = sequences.map((rows) => rows.map((): number[] => []));
    for (const back of [false, true]) {
      const [w, u, b, d] = [next(rows * width), next(rows * hidden), next(rows), next(rows)];
      for (const [i, sequence] of sequences.entries()) {
        let now: readonly Row[] = Array.from({ length: states }, () => Array<number>(hidden).fill(0));
        const places = sequence.map((_, s) => s).filter((s) => s < lengths[i]!);
        for (const s of back ? places.reverse() : places) {
          now = steps[kind](dense(w, b, sequence[s]!), dense(u, d, now[0]!), now);
          out[i]![s]!.push(...now[0]!);
        }
        for (let s = lengths[i]!; s < t; s++) out[i]![s]!.push(...Array<number>(hidden).fill(0));
        now.forEach((v, k) => last[k]!.push(v));
      }
    }
    sequences = out;
  }
  return [...sequences.flat(2), ...last.flat(2)];
}

const f64 = (...shape: number[]) =>
  value(
    shape,
    some(
      shape.reduce((a, b) => a * b, 1),
      40,
    ),
    "f64",
  );

describe.each(["rnn", "lstm", "gru"] as const)("%s", (kind) => {
  const net: Module = makers[kind](inputs, hidden, { layers: 2, bidirectional: true });
  const { params } = init(net, 5, { dtype: "f64" });
  const x = f64(n, t, inputs);
  const flat = [...numbers(params), ...x.data];
  const cut = flat.length - x.data.length;

  test.each([
    { what: "whole sequences", lengths: [3, 3] },
    { what: "one padded, one empty", lengths: [2, 0] },
  ])("value and every slope: $what", async ({ lengths }) => {
    const expected = loops(kind, flat.slice(0, cut), flat.slice(cut), lengths);
    const weights = some(expected.length);
    const f = (all: { params: any; x: Tensor; lengths: Tensor; c: Tensor }) =>
      valueAndGrad(({ params, x }: { params: any; x: Tensor }) => {
        const given = lengths.every((l) => l === t) ? [x] : [x, all.lengths];
        const outputs: Tensor[] = apply(net, { params }, given)[0];
        let from = 0;
        const terms = outputs.map((y) => {
          const m = y.shape.reduce((a, b) => a * b, 1);
          from += m;
          return y
            .square()
            .add(y)
            .reshape([m])
            .mul(all.c.slice(0, from - m, from))
            .sum();
        });
        return [terms.reduce((a, b) => a.add(b)), outputs] as const;
      })({ params: all.params, x: all.x });
    const c = value([expected.length], weights, "f64");
    const [[, outputs], slope] = await evaluate(f, { params, x, lengths: value([n], lengths, "i32"), c });
    expect(distance(numbers(outputs), expected)).toBeLessThan(1e-14);
    const score = (at: number[]) =>
      loops(kind, at.slice(0, cut), at.slice(cut), lengths).reduce((sum, v, k) => sum + (v * v + v) * weights[k]!, 0);
    expect(distance(numbers(slope), slopes(score, flat))).toBeLessThan(1e-8);
  });

  test("a sequence cut in two, the states handed on, is the whole one; so are its cells", async () => {
    const one: Module = makers[kind](inputs, hidden);
    const cell = cells[kind];
    const { params } = init(one, 2, { dtype: "f64" });
    const f = (all: { params: any; x: Tensor }) => {
      const run = (...inputs: Tensor[]): Tensor[] => apply(one, { params: all.params }, inputs)[0];
      const whole = run(all.x);
      const [first, ...states] = run(all.x.slice(1, 0, 1));
      const [second, ...end] = run(all.x.slice(1, 1), ...states);
      const own = Object.fromEntries(Object.entries(all.params).map(([name, p]) => [name.replace("_l0", ""), p]));
      let now: Tensor[] = [];
      for (let s = 0; s < t; s++) {
        const [y] = apply(cell, { params: own as any }, [all.x.slice(1, s, s + 1).squeeze(1), ...now]);
        now = Array.isArray(y) ? y : [y];
      }
      return { whole, parts: [first!, second!, ...end], now };
    };
    const { whole, parts, now } = await evaluate(f, { params, x });
    const [y, ...end] = whole.map((v) => [...v.data]);
    const [a, b, ...rest] = parts.map((v) => [...v.data]);
    const joined = [0, 1].flatMap((i) => [...a!.slice(i * hidden, (i + 1) * hidden), ...b!.slice(i * 4, (i + 1) * 4)]);
    expect(distance(joined, y!)).toBeLessThan(1e-15);
    expect(distance(rest.flat(), end.flat())).toBeLessThan(1e-15);
    expect(distance(numbers(now), end.flat())).toBeLessThan(1e-15);
  });
});

test("first numbers are uniform within ±1/√hidden, under PyTorch's names", () => {
  const { params } = init(lstm(5, 16, { layers: 2, bidirectional: true }), 1);
  const sides = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"];
  const kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];
  expect(Object.keys(params)).toEqual(sides.flatMap((side) => kinds.map((of) => of + side)));
  expect(params.weight_ih_l1!.shape).toEqual([64, 32]);
  const all = numbers(params);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  expect(low).toBeGreaterThanOrEqual(-0.25);
  expect(high).toBeLessThanOrEqual(0.25);
  expect(high - low).toBeGreaterThan(0.49);
});

describe.each(backends)("on %s", (backend) => {
  test("dropout stands between layers, in training only", async () => {
    const net = rnn(2, 64, { layers: 2, dropout: 0.5 });
    const plain = rnn(2, 64, { layers: 2 });
    const { params } = init(net, 1);
    const f = (all: { params: any; x: Tensor; key: Tensor }) => ({
      trained: apply(net, { params: all.params }, all.x, { training: true, key: all.key })[0],
      used: apply(net, { params: all.params }, all.x)[0],
      plain: apply(plain, { params: all.params }, all.x, { training: true })[0],
    });
    const x = value([2, 2, 2], some(8));
    const {
      trained,
      used,
      plain: same,
    } = await evaluate(f, { params, x, key: value([2], random.key(3), "u32") }, backend);
    expect(numbers(used)).toEqual(numbers(same));
    // the first layer's states come before what is dropped, the second's after
    const half = 2 * 64;
    expect(numbers(trained[1]).slice(0, half)).toEqual(numbers(same[1]).slice(0, half));
    expect(distance(numbers(trained[1]).slice(half), numbers(same[1]).slice(half))).toBeGreaterThan(0.01);
  });

  test("a network of several outputs inside a module", async () => {
    const net = module({ lstm: lstm(2, 3), head: linear(3, 1) }, (m, x) => {
      const [y, h] = m.lstm(x);
      return m.head(y.slice(1, -1).squeeze(1)).add(m.head(h.squeeze(0)));
    });
    const { params } = init(net, 1, { dtype: "f64" });
    const f = (all: { params: any; x: Tensor }) => {
      const [y] = apply(lstm(2, 3), { params: all.params.lstm }, all.x)[0];
      return [apply(net, { params: all.params }, all.x)[0], apply(linear(3, 1), { params: all.params.head }, y)[0]];
    };
    const [score, all] = (await evaluate(f, { params, x: f64(2, 4, 2) }, backend)) as [Value, Value];
    expect(score.data[0]).toBeCloseTo(2 * all.data[3]!, 12);
    expect(score.data[1]).toBeCloseTo(2 * all.data[7]!, 12);
  });
});

describe("messages", () => {
  const call =
    (net: Module, ...xs: Tensor[]) =>
    () =>
      apply(net, { params: tree.map((v: Value) => input(v.shape, v.dtype), init(net, 1).params) }, xs);

  test("inputs", () => {
    expect(call(lstm(3, 4), input([2, 5, 4]))).toThrow(
      /^lstm: input f32\[2,5,4\], this layer expects \[n, t, 3\] with at least one step\n {2}at net \(test/,
    );
    expect(call(gru(3, 4), input([5, 3]))).toThrow("hint: one sequence is a batch too: x.unsqueeze(0)");
    expect(call(rnn(3, 4), input([2, 3, 5]))).toThrow("hint: time comes before the features: x.permute([0, 2, 1])");
    expect(call(rnn(3, 4), input([2, 0, 3]))).toThrow("with at least one step");
    expect(call(gru(3, 4), input([2, 5, 3], "f64"))).toThrow('hint: cast it first: x.cast("f32")');
    expect(call(lstmCell(3, 4), input([2, 5, 3]))).toThrow("lstmCell: input f32[2,5,3], this layer expects [n, 3]");
  });

  test("states and lengths", async () => {
    const x = input([2, 5, 3]);
    const h = input([1, 2, 4]);
    expect(call(lstm(3, 4), x, h)).toThrow("lstm: got 1 states, it has 2: h, c\n  hint: give all or none");
    expect(call(lstm(3, 4), x, h, input([2, 4]))).toThrow(
      "lstm: the state c is f32[2,4], for the input f32[2,5,3] it must be f32[1,2,4]",
    );
    expect(call(gru(3, 4), x, input([2], "f64"))).toThrow("gru: the state h is f64[2]");
    expect(call(gru(3, 4), x, input([3], "i32"))).toThrow("gru: lengths i32[3] must have the shape [2]");
    const { params } = init(gru(3, 4), 1);
    const f = (all: { params: any; x: Tensor; lengths: Tensor }) => apply(gru(3, 4), all, [all.x, all.lengths])[0];
    const given = { params, x: value([2, 5, 3], some(30)), lengths: value([2], [6, 1], "i32") };
    await expect(evaluate(f, given)).rejects.toThrow(
      "gru: lengths: lengths holds 6 at position 0; it must lie in 0 … 5",
    );
  });

  test("options", () => {
    expect(() => lstm(3, 0)).toThrow("lstm(3, 0, { layers: 1 }): sizes must be whole numbers from 1 on");
    expect(() => rnn(3, 4, { nonlinearity: "sigmoid" as "tanh" })).toThrow('rnn: unknown nonlinearity "sigmoid"');
    expect(() => gru(3, 4, { dropout: 0.1 })).toThrow("gru: dropout 0.1 stands between layers, and there is one layer");
    expect(() => gru(3, 4, { layers: 2, dropout: 1 })).toThrow("the rate must lie in 0 ≤ rate < 1");
  });
});

describe("residual", () => {
  test("adds its input, or a projection of it", async () => {
    const net = residual(sequential(linear(3, 2), tanh), { shortcut: linear(3, 2, { bias: false }) });
    const { params } = init(net, 1, { dtype: "f64" });
    const x = f64(4, 3);
    const y = await evaluate((all: { params: any; x: Tensor }) => apply(net, all, all.x)[0], { params, x });
    const [w, b] = tree.leaves<Value>(params.body).map((v) => [...v.data]);
    const shortcut = [...params.shortcut.weight.data];
    const expected = [0, 1, 2, 3].flatMap((i) => {
      const row = [...x.data].slice(3 * i, 3 * i + 3);
      return dense(w!, b!, row).map((v, j) => Math.tanh(v) + dense(shortcut, [0, 0], row)[j]!);
    });
    expect(distance([...y.data], expected)).toBeLessThan(1e-15);
    const plain = await evaluate(({ x }: { x: Tensor }) => apply(residual(tanh), { params: {} as any }, x)[0], { x });
    expect(
      distance(
        [...plain.data],
        [...x.data].map((v) => v + Math.tanh(v)),
      ),
    ).toBeLessThan(1e-15);
  });

  test("shapes that differ are named", () => {
    const net = residual(linear(3, 1));
    const params = tree.map((v: Value) => input(v.shape, v.dtype), init(net, 1).params);
    expect(() => apply(net, { params }, input([5, 3]))).toThrow(
      "residual: the body gives f32[5,1], and its input is f32[5,3]: they do not add\n  hint: project the input",
    );
    const two = residual(linear(3, 2), { shortcut: linear(3, 1) });
    const own = tree.map((v: Value) => input(v.shape, v.dtype), init(two, 1).params);
    expect(() => apply(two, { params: own }, input([5, 3]))).toThrow("the shortcut f32[5,1]: they do not add");
  });
});
