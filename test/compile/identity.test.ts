/** What tells programs apart: all that decides what is compiled, and nothing else. */
import { expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { identityOf, outlineOf } from "../../src/compile/identity.ts";
import { grad, input, literal, type Tensor, value } from "../../src/ir/index.ts";
import { asGradientOf, recompute } from "../../src/ir/tensor.ts";

type Change = {
  readonly dtype?: "f32" | "f64";
  readonly rows?: number;
  readonly name?: string;
  readonly factor?: number;
  readonly numbers?: readonly number[];
  readonly part?: boolean;
  readonly slope?: boolean;
  readonly watch?: boolean;
  readonly swapped?: boolean;
  readonly resident?: boolean;
  readonly turned?: boolean;
};

/** A step with an input of each role, a constant, a literal, movement and a bound. */
function traceOf(change: Change = {}): Trace {
  const { dtype = "f32", rows = 4, name = "w", factor = 2, numbers = [1, 2], part = false, slope = false } = change;
  const w = input([rows, 2], dtype, name);
  const x = input([rows, 2], dtype, "x");
  const at = input([3], "i32", "at");
  const scale = literal(value([2], numbers, dtype));
  const layer = (t: Tensor) => (change.turned ? t.flip(0) : t).mul(x).mul(scale).mul(factor).tanh();
  const y = part ? recompute(() => layer(w)) : layer(w);
  const outputs = [y.gather(at).sum(), y.amax()];
  const next = slope ? grad((t: Tensor) => layer(t).sum())(w) : y;
  return {
    state: [{ now: w, next }],
    resident: change.resident ? [x] : [],
    feeds: change.resident ? [at] : [x, at],
    outputs: change.swapped ? outputs.reverse() : outputs,
    ...(change.watch && { watch: outputs[0]! }),
  };
}

const textOf = (change?: Change) => identityOf(traceOf(change))!.text;

test("one program has one text, whatever its inputs are called and its literals hold, and wherever it was written", () => {
  const elsewhere = () => traceOf();
  expect(identityOf(elsewhere())!.text).toBe(textOf());
  expect(textOf({ name: "weight" })).toBe(textOf());
  expect(textOf({ numbers: [3, 4] })).toBe(textOf());
});

test.each<Change>([
  { dtype: "f64" },
  { rows: 5 },
  { factor: 2.5 },
  { factor: 0 },
  { factor: -0 },
  { part: true },
  { slope: true },
  { watch: true },
  { swapped: true },
  { resident: true },
  { turned: true },
])("another program has another text: %o", (change) => {
  expect(textOf(change)).not.toBe(textOf());
});

test("a constant of 0 and one of −0 are two", () => expect(textOf({ factor: 0 })).not.toBe(textOf({ factor: -0 })));

test("what belongs to one part and what to two is told apart, and not what the parts are", () => {
  const textOfParts = (both: (body: (x: Tensor) => Tensor, next: (x: Tensor) => Tensor, x: Tensor) => Tensor) => {
    const x = input([4]);
    const y = both(
      (t) => t.exp(),
      (t) => t.sin(),
      x,
    );
    return identityOf({ state: [], resident: [], feeds: [x], outputs: [y] })!.text;
  };
  const one = () => textOfParts((f, g, x) => recompute(() => g(f(x))));
  const two = () =>
    textOfParts((f, g, x) => {
      const y = recompute(() => f(x));
      return recompute(() => g(y));
    });
  expect(one()).toBe(one());
  expect(two()).toBe(two());
  expect(one()).not.toBe(two());
});

test("what belongs to a gradient is told from the same written by hand", () => {
  const textOfSlope = (written: (t: Tensor, body: () => Tensor) => Tensor) => {
    const x = input([4]);
    const y = x.exp();
    return identityOf({ state: [], resident: [], feeds: [x], outputs: [written(y, () => y.mul(2))] })!.text;
  };
  expect(textOfSlope(asGradientOf)).not.toBe(textOfSlope((_, body) => body()));
});

test("a trace of a foreign input has none", () => {
  const [x, foreign] = [input([2]), input([2])];
  expect(identityOf({ state: [], resident: [], feeds: [x], outputs: [x.add(foreign)] })).toBeUndefined();
});

test("an outline survives JSON, and names literals and checks by the leaves", () => {
  const trace = traceOf();
  const { leaves } = identityOf(trace)!;
  const program = compile(trace);
  const outline = outlineOf(program, leaves);
  expect(JSON.parse(JSON.stringify(outline))).toEqual(outline);
  expect(outline.literals.map((k) => leaves[k])).toEqual(program.resident.map((b) => b.tensor));
  expect(outline.checks.map((c) => leaves[c.input])).toEqual(program.checks.map((c) => c.input));
  expect(outline.checks).toHaveLength(1);
});
