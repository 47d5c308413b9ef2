/** `minimize` from outside: forms of x0, what it reports, when it ends, and what it refuses. */
import { describe, expect, expectTypeOf, test } from "vitest";
import { draws, type Tensor, type Value, value } from "../../src/index.ts";
import {
  conjugateGradient,
  gradientDescent,
  type Iterate,
  lbfgs,
  type Method,
  MinimizeError,
  minimize,
  newtonCG,
} from "../../src/minimize/index.ts";
import { adam, amsgrad, chain, freeze, join, named, optimizers, plateau, sgd } from "../../src/optim/index.ts";
import { problems } from "../../src/problems/index.ts";
import * as random from "../../src/random.ts";
import { backends } from "../backends.ts";

const js = { backend: "js" } as const;
const { f: valley, start } = problems.rosenbrock;
const bowl = (x: Tensor) => x.sub(3).square().sum();

describe.each(backends)("on %s", (backend) => {
  test.each([lbfgs(), conjugateGradient(), newtonCG(), gradientDescent({ lineSearch: "barzilaiBorwein" })] as Method[])(
    "$describe finds (1, 1) in Rosenbrock's valley",
    async (method) => {
      const found = await minimize(valley, start, method, { backend });
      expect(found).toMatchObject({ converged: true, method: method.describe, backend });
      expect(found.x[0]).toBeCloseTo(1, 5);
      expect(found.x[1]).toBeCloseTo(1, 5);
      expect(found.gradientNorm).toBeLessThanOrEqual(1e-6);
    },
  );

  test("an optimizer takes its steps inside the program, to the numbers of PyTorch", async () => {
    // scripts/golden/optimizers.py's Rosenbrock, PyTorch 2.13: f after 1000 steps of Adam at 0.01 is 1.25497
    const found = await minimize(valley, start, adam(), { lr: 0.01, steps: 1000, backend });
    expect(found.value).toBeCloseTo(1.25497, 4);
    expect(found).toMatchObject({ converged: false, iterations: 1000, reason: "1000 steps taken" });
    expect(found.history).toHaveLength(1001);
    expect(found.history[0]).toMatchObject({ iteration: 0, length: 0 });
    expect(found.history[0]!.value).toBeCloseTo(24.2, 12);
    expect(found.history.at(-1)).toMatchObject({ iteration: 1000, value: found.value, length: 0.01 });
  });
});

describe("x comes back as x0 was given", () => {
  test("a number", async () => {
    const { x } = await minimize((x) => x.sub(3).square(), 1, lbfgs(), js);
    expectTypeOf(x).toEqualTypeOf<number>();
    expect(x).toBeCloseTo(3, 6);
  });

  test("a row of numbers, in f64", async () => {
    const f = (x: Tensor) => {
      expect(`${x}`).toContain("f64[2]");
      return bowl(x);
    };
    const { x } = await minimize(f, [0, 1], lbfgs(), js);
    expectTypeOf(x).toEqualTypeOf<number[]>();
    expect(x).toEqual([3, 3]);
  });

  test("a Value, in its dtype", async () => {
    const { x, converged } = await minimize(bowl, value([2, 1], [0, 1]), lbfgs(), js);
    expectTypeOf(x).toEqualTypeOf<Value>();
    expect(`${x}`).toBe("f32[2,1]");
    for (const number of x.data) expect(number).toBeCloseTo(3, 4);
    expect(converged).toBe(true);
  });

  test("a tree of all of them", async () => {
    const f = (p: { a: Tensor; b: { c: Tensor; d: Tensor } }) =>
      p.a
        .sub(1)
        .square()
        .add(bowl(p.b.c))
        .add(bowl(p.b.d.cast("f64")));
    const { x } = await minimize(f, { a: 0, b: { c: [1, 2], d: value([], [7]) } }, newtonCG(), js);
    expectTypeOf(x).toEqualTypeOf<{ a: number; b: { c: number[]; d: Value } }>();
    expect(x.a).toBeCloseTo(1, 5);
    expect(x.b.c[1]).toBeCloseTo(3, 5);
    expect(x.b.d.data[0]).toBeCloseTo(3, 3);
  });

  test("with data that only f sees: a least-squares line", async () => {
    const data = { t: value([4], [0, 1, 2, 3], "f64"), y: value([4], [1, 3, 5, 7], "f64") };
    const line = (p: { a: Tensor; b: Tensor }, { t, y }: { t: Tensor; y: Tensor }) =>
      t.mul(p.a).add(p.b).sub(y).square().sum();
    const found = await minimize(line, { a: 0, b: 0 }, lbfgs(), { ...js, data });
    expect(found.x.a).toBeCloseTo(2, 6);
    expect(found.x.b).toBeCloseTo(1, 6);
  });
});

describe("when it ends", () => {
  test("valueTolerance", async () => {
    const found = await minimize(valley, start, gradientDescent(), { ...js, valueTolerance: 1e-4 });
    expect(found).toMatchObject({
      converged: true,
      reason: expect.stringMatching(/^f changed by .* tolerance 0.0001$/),
    });
  });

  test("maxIterations and maxEvaluations, which never cut a result short of what was reached", async () => {
    const five = await minimize(valley, start, lbfgs(), { ...js, maxIterations: 5 });
    expect(five).toMatchObject({ iterations: 5, converged: false, reason: "maxIterations reached, 5" });
    const few = await minimize(valley, start, lbfgs(), { ...js, maxEvaluations: five.evaluations.value });
    expect(few).toMatchObject({
      iterations: 5,
      value: five.value,
      x: five.x,
      reason: expect.stringContaining("maxEval"),
    });
  });

  test("at once, where x0 is a minimum", async () => {
    expect(await minimize(bowl, [3, 3], lbfgs(), js)).toMatchObject({ iterations: 0, converged: true, value: 0 });
    const adams = await minimize(bowl, [3, 3], adam(), { ...js, lr: 0.1, steps: 5 });
    expect(adams).toMatchObject({ iterations: 0, converged: true, x: [3, 3] });
  });

  test("an optimizer at the first point within the tolerance", async () => {
    const options = { ...js, lr: 0.25, steps: 1000, gradientTolerance: 1e-3 };
    const found = await minimize(bowl, [0, 0], sgd(), options); // the gradient halves with every step
    expect(found.converged).toBe(true);
    expect(found.gradientNorm).toBeLessThanOrEqual(1e-3);
    expect(found.history.at(-2)!.gradientNorm).toBeGreaterThan(1e-3);
    expect(found.iterations).toBe(Math.ceil(Math.log2((6 * Math.SQRT2) / 1e-3)));
  });

  test.each<[string, () => Method | undefined]>([
    ["a method", () => gradientDescent()],
    ["an optimizer", () => undefined],
  ])("%s at a signal, with what it has", async (_, make) => {
    const controller = new AbortController();
    const seen: Iterate[] = [];
    const onIteration = (now: Iterate, x: () => number[]) => {
      seen.push(now);
      expect(x()).toHaveLength(2);
      if (now.iteration === 7) controller.abort();
    };
    const common = { ...js, onIteration, signal: controller.signal };
    const method = make();
    const found = method
      ? await minimize(valley, start, method, common)
      : await minimize(valley, start, adam(), { ...common, lr: 0.01, steps: 100 });
    expect(found).toMatchObject({ reason: "aborted", converged: false });
    expect(found.iterations).toBeGreaterThanOrEqual(7);
    expect(found.iterations).toBeLessThanOrEqual(8);
    expect(seen).toEqual(found.history.slice(0, seen.length));
    expect(found.value).toBeLessThan(24);
  });

  test("a callback sees what is returned, and is waited for", async () => {
    const values: number[] = [];
    const onIteration = async ({ value }: Iterate) => {
      await Promise.resolve();
      values.push(value);
    };
    const { history } = await minimize(valley, start, lbfgs(), { ...js, onIteration });
    expect(values).toEqual(history.map((h) => h.value));
  });

  test("the host gets its turn: a timer's signal is heard", async () => {
    const never = { ...js, maxIterations: 1e9, gradientTolerance: 0, signal: AbortSignal.timeout(100) };
    const slow = gradientDescent({ lineSearch: 1e-12 });
    expect((await minimize(valley, start, slow, never)).reason).toBe("aborted");
    const endless = { ...js, lr: 1e-12, steps: 1e9, signal: AbortSignal.timeout(100) };
    expect((await minimize(valley, start, sgd(), endless)).reason).toBe("aborted");
  });
});

describe("every optimizer", () => {
  test.each(Object.entries(optimizers))("%s makes f smaller", async (_, { make, defaults }) => {
    const options = { ...js, lr: defaults.lr, steps: 200 };
    // A matrix, for the rules that want one; f32, as they are used.
    const f = (p: { w: Tensor; b: Tensor }) => p.w.sub(0.5).square().sum().add(p.b.square().sum());
    const x0 = { w: value([2, 2], [2, -1, 3, 0]), b: value([2], [1, -1]) };
    const found = await minimize(f, x0, make(), options);
    expect(found.value).toBeLessThan(found.history[0]!.value);
  });

  test("frozen parameters stay, and count for no norm", async () => {
    const f = (p: { w: Tensor; b: Tensor }) => p.w.sub(1).square().add(p.b.sub(1).square());
    const rule = freeze(named(/b/), chain(adam()));
    const found = await minimize(f, { w: 0, b: 5 }, rule, { ...js, lr: 0.1, steps: 500 });
    expect(found.x.b).toBe(5);
    expect(found.x.w).toBeCloseTo(1, 5);
  });
});

describe("noise", () => {
  const noisy = (x: Tensor, _: unknown, key: Tensor) => bowl(x.add(draws.normal(key, [2], 0, "f64").mul(0.1)));

  test("a method refuses it, with two values of one point", async () => {
    await expect(minimize(noisy, [0, 1], lbfgs(), js)).rejects.toThrow(
      /f is noisy: at x0 it gives [\d.]+ and then [\d.]+; lbfgs\(.*\) needs one value per point\n {2}hint: .*sgd\(\) or adam\(\).*key/,
    );
    const hidden = (x: Tensor, _: unknown, key: Tensor) => bowl(x.mul(draws.normal(key, [2], 0, "f64")));
    await expect(minimize(hidden, [0, 0], newtonCG(), js)).rejects.toThrow("draws from its key");
  });

  test("an optimizer takes it, another draw each time, the same for the same seed", async () => {
    const run = (seed: number) => minimize(noisy, [0, 1], sgd(), { ...js, lr: 0.05, steps: 300, seed });
    const [a, b, c] = [await run(1), await run(1), await run(2)];
    expect(a.x).toEqual(b.x);
    expect(a.x).not.toEqual(c.x);
    expect(a.value).toBeLessThan(0.2);
    expect(new Set(a.history.slice(-50).map((h) => h.value)).size).toBe(50);
  });

  test("a fixed key makes a function of it", async () => {
    const fixed = (x: Tensor, { key }: { key: Tensor }) => noisy(x, undefined, key);
    const data = { key: value([2], random.key(1), "u32") };
    expect((await minimize(fixed, [0, 1], lbfgs(), { ...js, data })).value).toBeLessThan(1e-12);
  });
});

describe("what is refused", () => {
  const refused: Record<string, [() => Promise<unknown>, RegExp]> = {
    "no function": [() => minimize(3 as never, [1], lbfgs()), /expected a function of Tensors, got 3/],
    "several numbers": [
      () => minimize((x) => x.square(), [1, 2], lbfgs(), js),
      /f must give one float, got f64\[2\].*\n.*\.sum\(\)/,
    ],
    "no tensor": [() => minimize((() => 3) as never, [1, 2], lbfgs(), js), /f must give a Tensor, got 3/],
    integers: [() => minimize(bowl, value([1], [1], "i32"), lbfgs(), js), /x0 is i32\[1\]; only floats/],
    nothing: [() => minimize(bowl, [], lbfgs(), js), /holds no numbers/],
    text: [() => minimize(bowl as never, { a: ["b"] } as never, lbfgs(), js), /x0\.a\.0 must be a number.*"b"/],
    "NaN in x0": [() => minimize(bowl, [1, NaN], lbfgs(), js), /x0 holds NaN at position 1/],
    "f is no number at x0": [() => minimize((x) => x.log().sum(), [0, 1], lbfgs(), js), /f is -Infinity at x0/],
    "of an optimizer too": [
      () => minimize((x) => x.log().sum(), [0, 1], sgd(), { ...js, lr: 1, steps: 1 }),
      /f is -Infinity at x0/,
    ],
    "nor smooth": [
      () => minimize((x) => x.sqrt().sum(), [1, 0], lbfgs(), js),
      /derivative by number 1 of x is Infinity/,
    ],
    "data of numbers": [
      () => minimize(bowl, [1], lbfgs(), { ...js, data: { a: 3 } as never }),
      /data\.a must be a Value/,
    ],
    "a method not made": [() => minimize(bowl, [1], lbfgs as never), /call it: lbfgs\(\)/],
    "an optimizer without steps": [
      () => minimize(bowl, [1], adam(), { lr: 1 } as never),
      /steps must be a whole number/,
    ],
    "and without lr": [() => minimize(bowl, [1], adam(), { steps: 3 } as never), /lr must be a finite number > 0/],
    "a rate that follows a history": [
      () => minimize(bowl, [1], sgd(), { ...js, lr: join([{ schedule: plateau({ lr: 0.1 }) }]), steps: 3 }),
      /lr is a schedule that follows a history of losses, such as plateau, and only fit keeps one/,
    ],
    "lr of a method": [() => minimize(bowl, [1], lbfgs(), { lr: 1 } as never), /there is no option lr/],
    "a tolerance below 0": [
      () => minimize(bowl, [1], lbfgs(), { gradientTolerance: -1 }),
      /gradientTolerance must be .* ≥ 0, got -1/,
    ],
    "a listener that is none": [
      () => minimize(bowl, [1], lbfgs(), { onIteration: "log" as never }),
      /onIteration: expected a function, got "log"/,
    ],
    "no iterations": [
      () => minimize(bowl, [1], lbfgs(), { ...js, maxIterations: 0 }),
      /maxIterations must be a whole number from 1/,
    ],
    "c1 ≥ c2": [async () => lbfgs({ c1: 0.4, c2: 0.3 }), /0 < c1 < ½ and c1 < c2 < 1, got c1 0\.4 and c2 0\.3/],
    "c2 of 1": [async () => conjugateGradient({ c2: 1 }), /c2 1$/m],
    "no history": [async () => lbfgs({ history: 0 }), /history must be a whole number from 1, got 0/],
    "an unknown β": [
      async () => conjugateGradient({ beta: "adam" as never }),
      /"fletcherReeves" or "polakRibiere".*got "adam"/,
    ],
    "an unknown search": [
      async () => gradientDescent({ lineSearch: "best" as never }),
      /one of exact, armijo, wolfe, barzilaiBorwein, got "best"/,
    ],
    "a step backwards": [
      async () => gradientDescent({ lineSearch: -1 }),
      /lineSearch must be a finite number > 0, got -1/,
    ],
    "an unknown option": [async () => newtonCG({ histroy: 3 } as never), /there is no option histroy/],
    "forcing beyond 1": [async () => newtonCG({ forcing: 1 }), /forcing must be a number in \(0, 1\), got 1/],
  };
  test.each(Object.entries(refused))("%s", async (_, [attempt, message]) => {
    await expect(attempt).rejects.toThrow(message);
  });
});

describe("where f is no number on the way", () => {
  test("the error has what was found until then", async () => {
    const fixed = minimize(valley, start, gradientDescent({ lineSearch: 0.1 }), js);
    await expect(fixed).rejects.toThrow(/after \d+ iterations.* f is (Infinity|NaN) after a step of 0\.1 from/);
    const error: unknown = await fixed.catch((e) => e);
    const { result } = error as MinimizeError;
    expect(error).toBeInstanceOf(MinimizeError);
    expect(result.history.at(-1)!.value).toBe(result.value);
    expect(result.value).toBeLessThan(Infinity);
  });

  test("an optimizer goes back to the last point with numbers", async () => {
    const error: unknown = await minimize(valley, start, sgd(), { ...js, lr: 0.01, steps: 100 }).catch((e) => e);
    expect(error).toBeInstanceOf(MinimizeError);
    const { message, result } = error as MinimizeError;
    expect(message).toMatch(/after step \d+ of sgd.* with lr 0\.01\n.*too large/);
    expect(Number.isFinite(result.value)).toBe(true);
    expect(result.history).toHaveLength(result.iterations + 1);
    const before = await minimize(valley, start, sgd(), { ...js, lr: 0.01, steps: result.iterations });
    expect(result.x).toEqual(before.x);
  });

  test("a line search shrinks back, and goes on", async () => {
    const barrier = (x: Tensor) => x.sub(x.log().mul(0.01)).sum(); // no number from 0 down; lowest at 0.01
    for (const method of [lbfgs(), gradientDescent(), newtonCG(), conjugateGradient()] as Method[]) {
      const { x } = await minimize(barrier, [1, 2], method, js);
      expect(x[0], method.describe).toBeCloseTo(0.01, 6);
    }
  });

  test("what a rule says is to be evaluated takes the place of its parameters", async () => {
    const rule = { ...amsgrad(), evaluated: <P>(params: P): P => (params as Tensor).mul(0).add(42) as P };
    const found = await minimize(bowl, [0, 0], rule, { ...js, lr: 0.1, steps: 10 });
    expect(found).toMatchObject({ x: [42, 42], value: 2 * 39 ** 2 });
  });
});
