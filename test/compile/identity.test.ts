/** What tells programs apart: all that decides what is compiled, and nothing else. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compile, type Trace } from "../../src/compile/compile.ts";
import { identityOf, outlineOf } from "../../src/compile/identity.ts";
import { inPrecision, type Precision } from "../../src/compile/precision.ts";
import type { DType } from "../../src/ir/dtype.ts";
import { concat, grad, gradients, input, literal, Tensor, value } from "../../src/ir/index.ts";
import { isMovement, isReduce, movement, type Op } from "../../src/ir/ops.ts";
import { type Shape, size } from "../../src/ir/shape.ts";
import { asGradientOf, Origin, recompute } from "../../src/ir/tensor.ts";
import { printC } from "../../src/print/c.ts";
import { choices, combine } from "./graphs.ts";

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

/** The trace that a text is of, made of the text alone; the numbers of literals are 0. */
function rebuilt(text: string): Trace {
  const lines = text.split("\n");
  const [states, resident, feeds, outputs] = numbersIn(lines[0]!, " ") as [number, number, number, number];
  const given = states + resident + feeds;
  const known = lines.slice(1, 1 + given).map((line) => {
    const [dtype, shape] = line.split(" ") as [DType, string];
    return input(numbersIn(shape), dtype);
  });
  const plain = new Origin();
  const origins = new Map([
    ["", plain],
    [" '", new Origin(plain)],
  ]);
  for (const line of lines.slice(1 + given, -1)) {
    const { head, arg, mark = "" } = /^(?<head>.*?)(?: = (?<arg>.*?))?(?<mark> '| part \d+)?$/.exec(line)!.groups!;
    const [op, dtype, ...rest] = head!.split(" ") as [Op, DType, ...string[]];
    const src = op === "literal" ? [] : rest.map((k) => known[Number(k)]!);
    const of = op === "literal" ? zeros(numbersIn(rest[0]!), dtype) : argOf(op, arg);
    if (!origins.has(mark))
      origins.set(
        mark,
        recompute(() => new Origin()),
      );
    known.push(new Tensor(op, src, of, shapeOf(op, of, src), dtype, origins.get(mark)!));
  }
  const [ends, watch] = lines.at(-1)!.split(" ") as [string, string];
  const roots = numbersIn(ends).map((k) => known[k]!);
  return {
    state: known.slice(0, states).map((now, k) => ({ now, next: roots[outputs + k]! })),
    resident: known.slice(states, states + resident),
    feeds: known.slice(states + resident, given),
    outputs: roots.slice(0, outputs),
    ...(watch !== "undefined" && { watch: roots[Number(watch)]! }),
  };
}

const zeros = (shape: Shape, dtype: DType) => value(shape, new Array<number>(size(shape)).fill(0), dtype);

const numbersIn = (text: string, by = ","): number[] => (text === "" ? [] : text.split(by).map(Number));

function argOf(op: Op, text: string | undefined): unknown {
  if (text === undefined) return null;
  if (op === "cast") return text;
  if (op === "bound" || op === "window") return JSON.parse(text);
  const list = numbersIn(text);
  if (op === "const" || op === "iota" || op === "scatter") return list[0];
  return op === "pad" || op === "shrink" ? list.flatMap((n, k) => (k % 2 ? [] : [[n, list[k + 1]!]])) : list;
}

function shapeOf(op: Op, arg: unknown, [x, at]: readonly Tensor[]): Shape {
  if (op === "literal") return (arg as { shape: Shape }).shape;
  if (!x) return op === "iota" ? [arg as number] : [];
  if (op === "gather") return [...at!.shape, ...x.shape.slice(1)];
  if (op === "scatter") return [arg as number, ...x.shape.slice(at!.rank)];
  if (isReduce(op)) return x.shape.map((n, k) => ((arg as readonly number[]).includes(k) ? 1 : n));
  return isMovement(op) ? movement[op].shape(x.shape, arg as never) : x.shape; // as never: of that op, as argOf made it
}

const shapes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });

test("a text has all that a program is made of: whoever has nothing else prints the same one", () => {
  const printed = (trace: Trace, precision: Precision) =>
    printC(compile(inPrecision(trace, precision), { banded: true }), 16).units.map((u) => u.text);
  const precisions = fc.constantFrom<Precision>("f32", "bf16", "f64");
  fc.assert(
    fc.property(
      fc.array(shapes, { minLength: 1, maxLength: 3 }),
      choices(12),
      precisions,
      (shapes, plan, precision) => {
        const xs = shapes.map((s) => input(s));
        const known: Tensor[] = [...xs];
        const grow = (some: typeof plan) => some.forEach((choice) => known.push(combine(known, choice)));
        grow(plan.slice(0, 3));
        known.push(known.at(-1)!.mul(literal(value([], [2]))));
        recompute(() => grow(plan.slice(3, 6)));
        recompute(() => grow(plan.slice(6, 9)));
        known.push(concat([known.at(-1)!.unsqueeze(0), known.at(-1)!.tanh().unsqueeze(0)]));
        grow(plan.slice(9));
        const loss = known.slice(-3).reduce((sum, y) => sum.add(y.square().sum()), xs[0]!.sum());
        const slopes = gradients(loss, xs);
        const trace: Trace = {
          state: xs.slice(1).map((now, k) => ({ now, next: now.sub(slopes[k + 1]!) })),
          resident: [],
          feeds: xs.slice(0, 1),
          outputs: [loss, slopes[0]!],
          ...(plan.length % 2 && { watch: loss }),
        };
        const { text } = identityOf(trace)!;
        const again = rebuilt(text);
        expect(identityOf(again)!.text).toBe(text);
        expect(printed(again, precision)).toEqual(printed(trace, precision));
      },
    ),
    { numRuns: 25, seed: 3 },
  );
});
