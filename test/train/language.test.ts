/** Learning what comes next: windows of a text in fit, and sampling from what was learnt. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { iota, literal } from "../../src/ir/tensor.ts";
import { type Value, value } from "../../src/ir/value.ts";
import { crossEntropy, embedding, gpt, init, module } from "../../src/nn/index.ts";
import { adam } from "../../src/optim/index.ts";
import { foldIn, integer, key } from "../../src/random.ts";
import { evaluate as numbers } from "../../src/run/jit.ts";
import {
  distribution,
  draw,
  evaluate,
  type FitOptions,
  fit,
  generate,
  type Packed,
  predict,
  type Sampling,
  type Store,
  windows,
} from "../../src/train/index.ts";
import * as tree from "../../src/tree.ts";
import { backends } from "../backends.ts";

const tokensOf = (xs: ArrayLike<number>) => value([xs.length], Int32Array.from(xs), "i32");

describe("windows", () => {
  test.each([
    { n: 11, context: 4, stride: 1 },
    { n: 11, context: 4, stride: 4 },
    { n: 13, context: 3, stride: 2 },
    { n: 5, context: 4, stride: 1 },
    { n: 30, context: 2, stride: 7 },
  ])("of %o are those that a loop cuts out", async ({ n, context, stride }) => {
    const text = Array.from({ length: n }, (_, k) => 100 + k);
    const x: number[][] = [];
    const y: number[][] = [];
    for (let at = 0; at + context + 1 <= n; at += stride) {
      x.push(text.slice(at, at + context));
      y.push(text.slice(at + 1, at + context + 1));
    }
    const all = windows(tokensOf(text), { context, stride });
    expect(all.rows).toBe(x.length);
    const tokens = literal(tokensOf(text));
    const whole = await numbers(all.batch({ tokens }), { backend: "js" });
    expect([...whole.x.data]).toEqual(x.flat());
    expect([...whole.y.data]).toEqual(y.flat());
    expect(all.answers()).toEqual(value([x.length, context], Int32Array.from(y.flat()), "i32"));
    const backwards = iota(x.length)
      .mul(-1)
      .add(x.length - 1);
    const some = await numbers(all.batch({ tokens }, backwards), { backend: "js" });
    expect([...some.x.data]).toEqual(x.toReversed().flat());
  });

  test("a text that is too short, and what is no text", () => {
    expect(() => windows(tokensOf([1, 2, 3]), { context: 3 })).toThrow(/3 tokens are too few for a context of 3/);
    expect(() => windows(tokensOf([]), { context: 1 })).toThrow(/0 tokens/);
    expect(() => windows(value([3], [1, 2, 3]), { context: 1 })).toThrow(/f32\[3\].*integers in a row/);
    expect(() => windows(tokensOf([1, 2, 3]), { context: 0 })).toThrow(/context must be a whole number from 1/);
    expect(() => windows(tokensOf([1, 2, 3]), { context: 1, stride: 0.5 })).toThrow(/stride must be/);
  });
});

/** What comes next depends on one token alone: a table of logits.   int[n, t] → f32[n, t, v] */
const bigram = (v: number) => module({ table: embedding(v, v) }, ({ table }, x) => table(x));
/** Ascending by 1, 2, 1, 2 … modulo v: after an even token comes the next, after an odd one the next but one. */
const staircase = (v: number, n: number) => {
  const text = [0];
  while (text.length < n) text.push((text.at(-1)! + 1 + (text.at(-1)! % 2)) % v);
  return tokensOf(text);
};

const learn = (more: Partial<FitOptions<ReturnType<typeof bigram>>> = {}) => {
  const text = staircase(6, 200);
  return fit({
    net: bigram(6),
    loss: crossEntropy,
    optimizer: adam(),
    lr: 0.1,
    data: { train: windows(text, { context: 8 }), validation: windows(text, { context: 8, stride: 8 }) },
    batch: 4,
    steps: 60,
    seed: 3,
    backend: "js",
    ...more,
  });
};

class Shelf implements Store {
  readonly name = "shelf";
  kept: Packed | undefined;
  save(packed: Packed) {
    this.kept = packed;
  }
  load() {
    return this.kept;
  }
  saveModel() {}
  log() {}
}

describe("fit on windows", () => {
  test.each(backends)("learns what comes next (%s)", async (backend) => {
    const { history, params, state } = await learn({ backend, validateEvery: { steps: 20 } });
    expect(history.map(({ step, epoch }) => [step, epoch])).toEqual([
      [20, 0],
      [40, 0],
      [60, 1],
    ]);
    expect(history.at(-1)!.validationLoss).toBeLessThan(0.2);
    const net = bigram(6);
    const rest = { context: 5, backend, tokens: 6, temperature: 0 };
    const said: number[] = [];
    for await (const token of generate(net, { params, state }, { prompt: [0], ...rest })) said.push(token);
    expect(said).toEqual([1, 3, 5, 1, 3, 5]);
  });

  test("stopped and resumed it gives the same bits, entries by steps included", async () => {
    const whole = await learn({ validateEvery: { steps: 7 } });
    const store = new Shelf();
    const first = await learn({ validateEvery: { steps: 7 }, steps: 25, store });
    const second = await learn({ validateEvery: { steps: 7 }, store, resume: true });
    expect(second.params).toEqual(whole.params);
    expect(second.history.filter(({ step }) => step !== 25 || step % 7 === 0).map(({ step }) => step)).toEqual(
      whole.history.map(({ step }) => step),
    );
    expect(first.steps).toBe(25);
    const other = windows(staircase(6, 200), { context: 8, stride: 2 });
    await expect(learn({ data: { train: other }, store, resume: true })).rejects.toThrow(
      /training data tokens i32\[200\] #[0-9a-f]+, windows of 8, stride 1, now it is .*stride 2/,
    );
  });

  test("accumulated batches are the big batch", async () => {
    const one = await learn({ batch: 8, steps: 5 });
    const two = await learn({ batch: 4, accumulate: 2, steps: 5 });
    const [a, b] = [one, two].map(({ params }) => params.table.weight.data);
    for (let k = 0; k < a!.length; k++) expect(b![k]).toBeCloseTo(a![k]!, 5);
  });

  test("early stopping counts entries", async () => {
    const { stopReason, best, history } = await learn({
      validateEvery: { steps: 5 },
      earlyStopping: { patience: 2, minDelta: 10 },
    });
    expect(stopReason).toBe("early stopping");
    expect(best!.step).toBe(5);
    expect(history).toHaveLength(3);
  });

  test("a token beyond the vocabulary is refused with its place, before the first step", async () => {
    const text = staircase(6, 200);
    text.data[150] = 6;
    const data = { train: windows(text, { context: 8 }) };
    await expect(learn({ data })).rejects.toThrow(/tokens holds 6 at position 150; it must lie in 0 … 5/);
    text.data[150] = -1;
    await expect(learn({ data })).rejects.toThrow(/tokens holds -1 at position 150/);
  });

  test("validateEvery that is none", async () => {
    await expect(learn({ validateEvery: { steps: 0 } })).rejects.toThrow(
      /validateEvery: steps: expected a whole number/,
    );
  });

  test("evaluate is the mean over all windows, whatever the batch", async () => {
    const text = staircase(6, 60);
    const net = bigram(6);
    const model = init(net, 1);
    const table = Array.from(model.params.table.weight.data);
    let sum = 0;
    let n = 0;
    for (let t = 0; t < 56; t++, n++) {
      const [now, next] = [text.data[t]!, text.data[t + 1]!];
      const row = table.slice(now * 6, now * 6 + 6);
      sum += Math.log(row.reduce((a, z) => a + Math.exp(z), 0)) - row[next]!;
    }
    const data = windows(text, { context: 7, stride: 7 });
    expect(data.rows * 7).toBe(n);
    for (const batch of [1, 3, 64]) {
      const { loss } = await evaluate(net, model, data, { loss: crossEntropy, batch, backend: "js" });
      expect(loss).toBeCloseTo(sum / n, 6);
    }
    const guessed = { name: "first", better: "higher", of: (p: { shape: readonly number[] }) => p.shape[0]! } as const;
    const { metrics } = await evaluate(net, model, data, {
      loss: crossEntropy,
      metrics: [guessed],
      backend: "js",
    });
    expect(metrics).toEqual({ first: data.rows });
  });
});

// ---- sampling ----------------------------------------------------------------------------------------------------------

/** By the definitions: a softmax at the temperature, the k likeliest, the smallest set from the top that reaches p. */
function naive(logits: readonly number[], { temperature = 1, topK = Infinity, topP = 1 }: Sampling): number[] {
  let all = logits.map((z, id) => ({ id, p: Math.exp(z / temperature) }));
  all.sort((a, b) => b.p - a.p || a.id - b.id);
  all = all.slice(0, topK);
  const total = all.reduce((sum, { p }) => sum + p, 0);
  const kept: typeof all = [];
  let mass = 0;
  for (const one of all) {
    if (topP < 1 && mass >= topP) break;
    kept.push(one);
    mass += one.p / total;
  }
  const sum = kept.reduce((s, { p }) => s + p, 0);
  const out = logits.map(() => 0);
  for (const { id, p } of kept) out[id] = p / sum;
  return out;
}

describe("distribution", () => {
  test("is that of the definitions", () => {
    const logit = fc.integer({ min: -40, max: 40 }).map((x) => x / 8); // ties are frequent
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0.3, max: 3, noNaN: true }),
        fc.option(fc.integer({ min: 1, max: 25 }), { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 99 }), { nil: undefined }),
        (logits, temperature, topK, percent) => {
          const sampling = {
            temperature,
            ...(topK !== undefined && { topK }),
            ...(percent !== undefined && { topP: percent / 100 + 1e-5 }),
          };
          const p = distribution(logits, sampling);
          naive(logits, sampling).forEach((q, k) => expect(p[k]).toBeCloseTo(q, 10));
        },
      ),
      { numRuns: 500, seed: 4 },
    );
  });

  test("the token that crosses p is included, and one more is not", () => {
    const logits = [0.5, 0.25, 0.125, 0.125].map(Math.log);
    const kept = (topP: number) => [...distribution(logits, { topP })].filter((p) => p > 0).length;
    expect([0.01, 0.5, 0.51, 0.75, 0.76, 0.875, 0.88, 1].map(kept)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect([...distribution(logits, { topK: 2, topP: 0.66 })]).toEqual([1, 0, 0, 0]);
    expect(distribution(logits, { topK: 2 })[1]).toBeCloseTo(1 / 3, 12);
  });

  test("temperature 0 is the likeliest, the first of equals; a small one does not overflow", () => {
    expect([...distribution([1, 3, 3], { temperature: 0 })]).toEqual([0, 1, 0]);
    expect([...distribution([1000, -1000, 999], { temperature: 1e-300 })]).toEqual([1, 0, 0]);
    expect([...distribution([0, -Infinity], {})]).toEqual([1, 0]);
  });

  test.each([
    [{ temperature: -1 }, /temperature: expected a number from 0, got -1/],
    [{ temperature: NaN }, /temperature.*NaN/],
    [{ temperature: Infinity }, /temperature.*Infinity/],
    [{ topK: 0 }, /topK: expected a whole number from 1/],
    [{ topK: 1.5 }, /topK/],
    [{ topK: NaN }, /topK/],
    [{ topP: 0 }, /topP: expected a probability above 0/],
    [{ topP: 1.1 }, /topP/],
    [{ topP: NaN }, /topP/],
  ])("%o is refused", (sampling, message) => expect(() => distribution([0, 1], sampling)).toThrow(message));

  test("logits that are no numbers", () => {
    expect(() => distribution([0, NaN])).toThrow(/logit for token 1 is NaN/);
    expect(() => distribution([0, Infinity])).toThrow(/logit for token 1 is Infinity/);
    expect(() => distribution([-Infinity])).toThrow(/no token at all/);
  });
});

describe("draw", () => {
  test("takes the place where the sum goes above u", () => {
    const p = [0, 0.25, 0, 0.5, 0.25, 0];
    expect([0, 0.249, 0.25, 0.749, 0.75, 0.999999, 1].map((u) => draw(p, u))).toEqual([1, 1, 3, 3, 4, 4, 4]);
  });

  // χ² with 4 degrees of freedom is above 18.5 once in a thousand times.
  test("in the long run as often as they are likely", () => {
    const p = distribution([0, 1, 2, -1, 0.5], { temperature: 0.9 });
    const counts = p.map(() => 0);
    const n = 20_000;
    for (let k = 0; k < n; k++) counts[draw(p, integer(key(7), 2 ** 53, k) * 2 ** -53)]!++;
    const chi = counts.reduce((sum, c, k) => sum + (c - n * p[k]!) ** 2 / (n * p[k]!), 0);
    expect(chi).toBeLessThan(18.5);
  });
});

describe("generate", () => {
  const net = bigram(5);
  const model = init(net, 2);
  const said = async (options: Partial<Parameters<typeof generate>[2]> = {}) => {
    const tokens: number[] = [];
    const all = { prompt: [0], tokens: 12, context: 4, seed: 1, backend: "js" as const, ...options };
    for await (const token of generate(net, model, all)) tokens.push(token);
    return tokens;
  };

  test("draws from what the model says about the last token", async () => {
    const table = model.params.table.weight.data;
    let last = 0;
    const random = foldIn(key(1), "sample");
    const expected = Array.from({ length: 12 }, (_, n) => {
      const p = distribution(table.slice(last * 5, last * 5 + 5), { topK: 3 });
      last = draw(p, integer(random, 2 ** 53, n) * 2 ** -53);
      return last;
    });
    expect(await said({ topK: 3 })).toEqual(expected);
  });

  test("what fills the window up is not seen: the same tokens as by programs of just the length", async () => {
    const small = gpt({ vocabulary: 7, context: 5, layers: 2, heads: 2, width: 8 });
    const { params, state } = init(small, 4);
    const large = tree.map(
      (v: Value) =>
        value(
          v.shape,
          v.data.map((x) => 20 * x),
        ),
      params,
    ); // decided, not undecided
    const sequence = [3, 1];
    const expected: number[] = [];
    for (let n = 0; n < 8; n++) {
      const seen = sequence.slice(-5);
      const x = value([1, seen.length], seen, "i32");
      const logits = (await predict(small, { params: large, state }, x, { backend: "js" })).data.slice(-7);
      expected.push(logits.indexOf(Math.max(...logits)));
      sequence.push(expected.at(-1)!);
    }
    const tokens: number[] = [];
    const options = { prompt: [3, 1], tokens: 8, context: 5, temperature: 0, backend: "js" as const };
    for await (const token of generate(small, { params: large, state }, options)) tokens.push(token);
    expect(tokens).toEqual(expected);
    expect(new Set(expected).size).toBeGreaterThan(1);
  });

  test("the seed decides; the first tokens do not depend on how many are asked for", async () => {
    const once = await said();
    expect(await said()).toEqual(once);
    expect(await said({ tokens: 5 })).toEqual(once.slice(0, 5));
    expect(await said({ seed: 2 })).not.toEqual(once);
  });

  test("a prompt longer than the context: its end counts", async () => {
    expect(await said({ prompt: [1, 2, 3, 4, 0, 1, 2, 3] })).toEqual(await said({ prompt: [0, 1, 2, 3] }));
  });

  test.each([
    [{ prompt: [] }, /prompt is empty/],
    [{ prompt: [5] }, /holds 5 at position 0; it must lie in 0 … 4/],
    [{ tokens: 0 }, /tokens must be a whole number from 1/],
    [{ context: 2.5 }, /context must be/],
    [{ topP: 2 }, /topP/],
    [{ seed: -1 }, /seed/],
  ])("%o is refused", (options, message) => expect(said(options)).rejects.toThrow(message));

  test("a net that is no language model", async () => {
    const flat = module({ table: embedding(5, 5) }, ({ table }, x) => table(x).sum(1));
    const text = generate(flat, init(flat, 1), { prompt: [0], tokens: 1, context: 4, backend: "js" });
    await expect(text.next()).rejects.toThrow(/gives f32\[1,5\] for tokens i32\[1,4\]/);
  });
});
