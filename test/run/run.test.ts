/** A Run: many steps per call, one state for all loops, and calls that end early. */
import { describe, expect, test } from "vitest";
import { input, literal, type Tensor, Value, value, valueAndGrad } from "../../src/ir/index.ts";
import { isBlank, zeros } from "../../src/ir/value.ts";
import { Run } from "../../src/run/run.ts";
import { backends, hasNative } from "../backends.ts";
import { draw } from "../ir/numbers.ts";

const bits = (v: Value) => Buffer.from(v.data.buffer, v.data.byteOffset, v.data.byteLength).toString("hex");
type Weights = { w: Tensor; b: Tensor };
const weights = () => ({ w: draw([3, 1], "f32"), b: draw([1], "f32") });
const step = (s: Weights, f: { x: Tensor; y: Tensor }) => {
  const [loss, g] = valueAndGrad((p: Weights) => f.x.matmul(p.w).add(p.b).sub(f.y).square().mean())(s);
  return { state: { w: s.w.sub(g.w.mul(0.05)), b: s.b.sub(g.b.mul(0.05)) }, output: { loss }, watch: loss };
};
const feeds = (n: number, from = 0) => ({
  x: draw([n, 8, 3], "f32", -1, 1, 24 * from),
  y: draw([n, 8, 1], "f32", -2, 1, 8 * from),
});
/** Steps [from, to) of feeds. */
const part = (f: Record<string, Value>, from: number, to: number) =>
  Object.fromEntries(
    Object.entries(f).map(([k, v]) => {
      const one = v.data.length / v.shape[0]!;
      return [k, new Value(v.dtype, [to - from, ...v.shape.slice(1)], v.data.slice(from * one, to * one))];
    }),
  ) as { x: Value; y: Value };

test("what a call gives is added up as it is, whatever its dtype", async () => {
  const run = await Run.start(weights(), { backend: "js" });
  const { loss } = (await run.loop(step).take(3, feeds(3))).output; // a Value of any dtype
  const [a, b, c] = [...loss.data] as [number, number, number];
  expect(loss.data.reduce((sum, x) => sum + x, 0)).toBe(a + b + c);
  expect(loss.data.reduce((sum, x) => sum + x)).toBe(a + b + c);
  expect(loss.data.reduce<string>((all, x) => `${all} ${x}`, "")).toBe(` ${a} ${b} ${c}`);
  expect([...loss.data.map((x) => Math.sign(x))]).toEqual([1, 1, 1]);
});

describe.each(backends)("%s", (backend) => {
  test("ten steps in one call are ten calls of one step, bit for bit", async () => {
    const f = feeds(10);
    const [one, many] = [await Run.start(weights(), { backend }), await Run.start(weights(), { backend })];
    const all = await many.loop(step).take(10, f);
    const loop = one.loop(step);
    const losses: number[] = [];
    for (let k = 0; k < 10; k++) losses.push((await loop.take(1, part(f, k, k + 1))).output.loss.data[0]!);
    expect(all.output.loss.shape).toEqual([10]);
    expect([...all.output.loss.data]).toEqual(losses);
    expect(bits(one.state().w)).toBe(bits(many.state().w));
    expect(losses[9]!).toBeLessThan(losses[0]!);
  });

  test("a step is gradient descent: against the formula in loops", async () => {
    const run = await Run.start(weights(), { backend });
    const f = feeds(1);
    const { output } = await run.loop(step).take(1, f);
    const { w, b } = weights();
    const residual = Array.from({ length: 8 }, (_, i) => {
      let sum = b.data[0]! - f.y.data[i]!;
      for (let j = 0; j < 3; j++) sum += f.x.data[3 * i + j]! * w.data[j]!;
      return sum;
    });
    expect(output.loss.data[0]).toBeCloseTo(residual.reduce((s, r) => s + r * r, 0) / 8, 6);
    const next = run.state();
    for (let j = 0; j < 3; j++) {
      const slope = residual.reduce((s, r, i) => s + (2 / 8) * r * f.x.data[3 * i + j]!, 0);
      expect(next.w.data[j]).toBeCloseTo(w.data[j]! - 0.05 * slope, 6);
    }
  });

  test("a watched loss that is not finite ends the call in its step", async () => {
    const run = await Run.start({ n: value([], [0]) }, { backend });
    const loop = run.loop((s: { n: Tensor }, f: { x: Tensor }) => {
      const loss = f.x.log();
      return { state: { n: s.n.add(1) }, output: { loss }, watch: loss };
    });
    const { steps, output } = await loop.take(5, { x: value([5], [1, 2, -1, 3, 4]) });
    expect(steps).toBe(3);
    expect(output.loss.shape).toEqual([3]);
    expect(output.loss.data[2]).toBeNaN();
    expect(run.state().n.data[0]).toBe(3);
    expect((await loop.take(2, { x: value([2], [1, 2]) })).steps).toBe(2);
  });

  test("two loops share the state; feeds of another shape compile again on it", async () => {
    const run = await Run.start({ n: value([], [0]) }, { backend });
    const add = run.loop((s: { n: Tensor }, f: { x: Tensor }) => ({ state: { n: s.n.add(f.x.sum()) }, output: {} }));
    const read = run.loop((s: { n: Tensor }) => ({ output: s.n.mul(2) }));
    await add.take(2, { x: value([2, 3], [1, 1, 1, 2, 2, 2]) });
    await add.take(1, { x: value([1, 2], [5, 5]) });
    expect([...(await read.take(2, {})).output.data]).toEqual([38, 38]);
    expect(run.state().n.data[0]).toBe(19);
  });

  test("calls that are made at once happen one after the other", async () => {
    const run = await Run.start({ n: value([], [0]) }, { backend });
    const loop = run.loop((s: { n: Tensor }, f: { x: Tensor }) => {
      const n = s.n.mul(2).add(f.x);
      return { state: { n }, output: { n } };
    });
    const all = await Promise.all([1, 2, 3].map((x) => loop.take(1, { x: value([1], [x]) })));
    expect(all.map((t) => t.output.n.data[0])).toEqual([1, 4, 11]);
  });

  test("resident data stays; outputs are copies that later calls leave alone", async () => {
    const data = { x: value([4, 2], [1, 2, 3, 4, 5, 6, 7, 8]) };
    const run = await Run.start({}, { backend });
    const loop = run.loop(
      (_: object, f: { at: Tensor }, d: { x: Tensor }) => ({ output: { rows: d.x.gather(f.at) } }),
      { data },
    );
    const first = await loop.take(2, { at: value([2, 1], [3, 0], "i32") });
    data.x.data.fill(0);
    const second = await loop.take(1, { at: value([1, 1], [2], "i32") });
    expect([...first.output.rows.data]).toEqual([7, 8, 1, 2]);
    expect([...second.output.rows.data]).toEqual([5, 6]);
  });

  test("results that nobody reads any more are written again, where they are as long", async () => {
    const run = await Run.start({}, { backend });
    const loop = run.loop((_: object, f: { x: Tensor }) => ({ output: { y: f.x.mul(2), z: [f.x.add(1)] as const } }));
    const of = (...x: number[]) => loop.take(x.length, { x: value([x.length], x) });
    const first = await of(1, 2);
    const { y, z } = first.output;
    const second = await loop.take(2, { x: value([2], [3, 4]) }, first);
    expect(second.output).toEqual((await of(3, 4)).output);
    expect(second.output.y.data).toBe(y.data);
    expect(second.output.z[0].data).toBe(z[0].data);
    const third = await loop.take(3, { x: value([3], [5, 6, 7]) }, second);
    expect(third.output).toEqual((await of(5, 6, 7)).output);
    expect([...y.data]).toEqual([6, 8]);
  });

  test("state, load, snapshot and restore", async () => {
    const run = await Run.start(weights(), { backend });
    const loop = run.loop(step);
    const before = run.state();
    const snapshot = run.snapshot();
    await loop.take(3, feeds(3));
    expect(bits(run.state().w)).not.toBe(bits(before.w));
    expect(() => run.restore(new ArrayBuffer(1))).toThrow("the snapshot is of another run");
    run.restore(snapshot);
    expect(bits(run.state().w)).toBe(bits(before.w));
    run.load({ w: value([3, 1], [1, 2, 3]), b: value([1], [4]) });
    expect([...run.state().w.data, ...run.state().b.data]).toEqual([1, 2, 3, 4]);
    expect([...run.part("b").data]).toEqual([4]);
    expect(() => run.part("c" as "b")).toThrow("run: the state has no part c");
    expect(() => run.load({ w: value([3, 1], [7, 7, 7]), b: value([2], [4, 4]) })).toThrow(
      "run: b is f32[1], the new state has f32[2]",
    );
    expect(() => run.load({ w: value([3, 1], [7, 7, 7]) } as never)).toThrow("run: the new state has nothing at b");
    expect([...run.state().w.data]).toEqual([1, 2, 3]);
  });

  test("zeros that nobody has looked at are zeros: as state, in place of a state, as data and as feeds", async () => {
    const blank = { w: zeros("f32", [3]), n: zeros("i32", [2]) };
    const data = { d: zeros("f32", [3]) };
    const run = await Run.start(blank, { backend });
    const loop = run.loop(
      (s, { x }: { x: Tensor }, { d }) => ({ state: { w: s.w.add(1), n: s.n.add(2) }, output: { sum: d.add(x) } }),
      { data },
    );
    for (let k = 0; k < 2; k++) {
      await loop.take(3, { x: value([3], [1, 2, 3]) });
      expect([...run.state().w.data, ...run.state().n.data]).toEqual([3, 3, 3, 6, 6]);
      const { output } = await loop.take(2, { x: zeros("f32", [2]) });
      expect([...output.sum.data]).toEqual([0, 0, 0, 0, 0, 0]);
      run.load(blank);
      expect([...run.state().w.data, ...run.state().n.data]).toEqual([0, 0, 0, 0, 0]);
    }
    expect([blank.w, blank.n, data.d].map(isBlank)).toEqual([true, true, true]);
    blank.w.data[1] = 5;
    run.load(blank);
    expect([...run.state().w.data]).toEqual([0, 5, 0]);
  });

  test("no steps at all", async () => {
    const run = await Run.start(weights(), { backend });
    const { steps, output } = await run.loop(step).take(0, feeds(0));
    expect([steps, output.loss.shape]).toEqual([0, [0]]);
  });

  test("memory stays flat over 100 000 steps in 1 000 calls", async () => {
    const run = await Run.start(weights(), { backend });
    const loop = run.loop(step);
    const f = feeds(100);
    const take = async (calls: number) => {
      for (let k = 0; k < calls; k++) await loop.take(100, f);
      return process.memoryUsage().rss;
    };
    const before = await take(300);
    expect((await take(700)) - before).toBeLessThan(40 * 2 ** 20);
  });
});

test.runIf(hasNative)("stop ends a long call of the native backend; what it did is told and kept", async () => {
  const run = await Run.start({ n: value([], [0], "f64") }, { backend: "native" });
  const asked = 1_000_000_000; // many seconds
  const loop = run.loop((s: { n: Tensor }) => ({ state: { n: s.n.mul(0.999999).add(s.n.sin()).add(1) }, output: {} }));
  let steps = 0;
  for (let wait = 30; steps === 0; wait *= 2) {
    const long = loop.take(asked, {});
    await new Promise((resolve) => setTimeout(resolve, wait)); // a busy machine begins late
    // In the middle of a step the state belongs to no step.
    expect(() => run.state()).toThrow("run: a call is under way\n  hint: await it first");
    expect(() => run.snapshot()).toThrow("under way");
    expect(() => run.load({ n: value([], [1], "f64") })).toThrow("under way");
    expect(() => run.restore(new ArrayBuffer(64))).toThrow("under way");
    run.stop();
    ({ steps } = await long);
  }
  expect(run.state().n.data[0]).toBeGreaterThan(0);
  expect(steps).toBeLessThan(asked);
  expect((await loop.take(3, {})).steps).toBe(3);
});

describe("refusals", () => {
  const start = () => Run.start(weights(), { backend: "js" });
  const taking = async (steps: number, f: unknown) =>
    (await start()).loop(step).take(steps, f as ReturnType<typeof feeds>);

  test("feeds that do not fit the number of steps", async () => {
    await expect(taking(4, feeds(3))).rejects.toThrow("run: feed x is f32[3,8,3]; its first axis must be the 4 steps");
    await expect(taking(Number.NaN, feeds(3))).rejects.toThrow("run: cannot take NaN steps");
    await expect(taking(-1, feeds(3))).rejects.toThrow("run: cannot take -1 steps");
    await expect(taking(3, { ...feeds(3), x: 5 })).rejects.toThrow(
      /feed x must be a Value.*\n.*value\(shape, numbers\)/,
    );
    await expect(taking(3, undefined)).rejects.toThrow("run: what a loop is fed must be a Value, got undefined");
  });

  test("a feed that the step reads and the call has not, with its shape where that is known", async () => {
    const { x, y } = feeds(3);
    await expect(taking(3, { x })).rejects.toThrow(
      /^run: the step reads feed y, which this call has not: .*undefined.*\n.*y: value\(\[3, …\], numbers\).*\n {2}at test\/run\/run\.test\.ts:\d+$/,
    );
    await expect(taking(3, {})).rejects.toThrow("run: the step reads feed x, which");
    await expect(taking(3, {})).rejects.toThrow("x: value([steps, …], numbers)");

    const loop = (await start()).loop((s: Weights, f: { x: Tensor; batch: { at: Tensor; y: Tensor } }) => {
      const { at, y } = f.batch;
      return { output: f.x.matmul(s.w).gather(at).sub(y) };
    });
    const at = value(
      [3, 8],
      [...Array(24).keys()].map((k) => k % 8),
      "i32",
    );
    const { steps } = await loop.take(3, { x, batch: { at, y } });
    expect(steps).toBe(3);
    const lacking = (part: object) => loop.take(3, part as { x: Value; batch: { at: Value; y: Value } });
    await expect(lacking({ x, batch: { y } })).rejects.toThrow(
      /the step reads feed batch\.at, .*\n {2}hint: calls before had batch\.at: value\(\[3, 8\], numbers, "i32"\)\n/,
    );
    await expect(lacking({ x, batch: { at } })).rejects.toThrow(
      "calls before had batch.y: value([3, 8, 1], numbers)\n",
    );
    await expect(lacking({ x, batch: {} })).rejects.toThrow("the step reads feeds batch.at, batch.y, which");
    await expect(lacking({ x })).rejects.toThrow("calls before had batch.at: value([3, 8]");
  });

  test("a feed that a step can do without is none that is missing, and other errors stay as they are", async () => {
    const run = await start();
    type Fed = { x: Tensor; mask?: Tensor; list: Tensor[] };
    const loop = run.loop((s: Weights, { x, mask = x.le(0).cast("f32"), list }: Fed) => {
      if (list[1]) throw new TypeError("no list is as long");
      return { output: x.mul(mask).matmul(list.length ? s.w.mul(list[0]!) : s.w) };
    });
    const { x } = feeds(3);
    const fed = (list: Value[]) => loop.take(3, { x, list } as unknown as Parameters<typeof loop.take>[1]);
    expect((await fed([])).output.shape).toEqual([3, 8, 1]);
    const one = value([3], [1, 2, 3]);
    expect((await fed([one])).output.shape).toEqual([3, 8, 1]);
    await expect(fed([one, one])).rejects.toThrow(/^no list is as long$/);
  });

  test.each([0, -2, 1.5, Number.NaN, 257, "two"])("%s threads", async (threads) => {
    await expect(Run.start(weights(), { backend: "js", threads: threads as number })).rejects.toThrow(
      /^threads: expected a whole number from 1 to 256, got .*\n.*1 computes on one thread/,
    );
  });

  test("a next state of another shape, dtype or with a part missing", async () => {
    const run = await start();
    const giving = (next: (s: Weights) => unknown) =>
      run.loop((s: Weights) => ({ state: next(s) as Weights, output: {} })).take(1, {});
    await expect(giving((s) => ({ ...s, w: s.w.sum(1) }))).rejects.toThrow(
      "run: the state w is f32[3,1], the step returned f32[3] for it",
    );
    await expect(giving((s) => ({ ...s, b: s.b.cast("f64") }))).rejects.toThrow(
      "run: the state b is f32[1], the step returned f64[1] for it",
    );
    await expect(giving((s) => ({ w: s.w }))).rejects.toThrow("run: the step returned no state for b");
    await expect(giving((s) => ({ ...s, c: s.b }))).rejects.toThrow(/returned a state with 3 tensors, it has 2/);
  });

  test("outputs that are no tensors, and a watch that is no float among them", async () => {
    const run = await start();
    await expect(run.loop(() => ({ output: { n: 3 as never } })).take(1, {})).rejects.toThrow(
      "run: the output n must be a tensor, got 3",
    );
    const watching = (watch: (s: Weights) => Tensor) =>
      run.loop((s: Weights) => ({ output: { w: s.w }, watch: watch(s) })).take(1, {});
    await expect(watching((s) => s.w)).rejects.toThrow(
      "what is watched must be one float among the outputs, got f32[3,1]",
    );
    await expect(watching((s) => s.w.sum())).rejects.toThrow(
      "what is watched must be one float among the outputs, got f32[]",
    );
  });

  test("a step that returns something else", async () => {
    const run = await start();
    const giving = (result: unknown) => run.loop(() => result as { output: object }).take(1, {});
    await expect(giving(undefined)).rejects.toThrow(
      "run: the step returned undefined\n  hint: return { state, output }: what the state becomes, and what to report, such as {}",
    );
    await expect(giving(Promise.resolve({ output: {} }))).rejects.toThrow("the step returned a Promise");
    await expect(giving(input([1], "f32", "x"))).rejects.toThrow("the step returned a Tensor f32[1]");
    await expect(giving({ state: {} })).rejects.toThrow(
      "run: the step returned an object with state\n  hint: return {",
    );
    await expect(giving({ params: {}, output: {} })).rejects.toThrow(
      'run: the step returned "params"; what it returns are state, output and watch',
    );
    await expect(giving({ output: {} })).resolves.toEqual({ steps: 1, output: {} });
  });

  test("an input of another trace", async () => {
    const run = await start();
    const stray = input([3, 1], "f32", "stray");
    await expect(run.loop((s: Weights) => ({ output: s.w.add(stray) })).take(1, {})).rejects.toThrow(
      /depends on an input f32\[3,1\]/,
    );
  });

  test.each(backends)("indices out of range, by name, wherever they come in (%s)", async (backend) => {
    const run = await Run.start({ table: draw([5, 2], "f32") }, { backend });
    const rows = async (f: (s: { table: Tensor }, at: Tensor) => Tensor, at: number[]) =>
      await run
        .loop((s: { table: Tensor }, feed: { at: Tensor }) => ({ output: f(s, feed.at) }))
        .take(1, { at: value([1, at.length], at, "i32") });
    await expect(rows((s, at) => s.table.gather(at), [0, 5])).rejects.toThrow(
      /^gather from f32\[5,2\]: at holds 5 at position 1; it must lie in 0 … 4\n {2}at .*run\.test\.ts:\d+$/,
    );
    await expect(rows((s, at) => s.table.gather(at), [-1])).rejects.toThrow("at holds -1 at position 0");
    await expect(rows((s, at) => s.table.gather(at.flip(0).cast("u32")), [2, 7])).rejects.toThrow("at holds 7");
    await expect(
      rows((s, at) => s.table.gather(at.shrink([[0, 2]])).scatter(at.shrink([[0, 2]]), 3), [2, 4, 1]),
    ).rejects.toThrow("scatter into 3 rows: at holds 4");
    const data = { at: value([2], [1, 9], "i32") };
    await expect(
      run
        .loop((s: { table: Tensor }, _: object, d: { at: Tensor }) => ({ output: s.table.gather(d.at) }), { data })
        .take(1, {}),
    ).rejects.toThrow("at holds 9");
    const fixed = literal(value([2], [1, -2], "i32"));
    await expect(run.loop((s: { table: Tensor }) => ({ output: s.table.gather(fixed) })).take(1, {})).rejects.toThrow(
      "gather from f32[5,2]: i32[2] holds -2 at position 1",
    );
    // Computed ones cannot be checked where data comes in: they are clamped, and never read what is not theirs.
    const { output } = await rows((s, at) => s.table.gather(at.mul(1000)), [-3, 0, 3]);
    const t = [...run.state().table.data];
    expect([...output.data]).toEqual([t[0], t[1], t[0], t[1], t[8], t[9]]);
  });

  test.each(backends)("each column of a table of indices is held to a bound of its own (%s)", async (backend) => {
    // Columns 0, 1 and 2 look into tables of 2, 5 and 3 rows.
    const [a, b, c] = [2, 5, 3].map((n) =>
      value(
        [n],
        [...Array(n).keys()].map((k) => 10 * n + k),
      ),
    );
    const run = await Run.start({ a: a!, b: b!, c: c! }, { backend });
    const column = (t: Tensor, k: number) => t.slice(1, k, k + 1).squeeze(1);
    type Tables = { a: Tensor; b: Tensor; c: Tensor };
    const sum = ({ a, b, c }: Tables, codes: Tensor) =>
      a
        .gather(column(codes, 0))
        .add(b.gather(column(codes, 1)))
        .add(c.gather(codes.slice(1, 1).slice(1, -1).squeeze(1)));

    const resident = (codes: number[], rows: number[]) =>
      run
        .loop(
          (s: Tables, feed: { rows: Tensor }, d: { codes: Tensor }) => ({ output: sum(s, d.codes.gather(feed.rows)) }),
          {
            data: { codes: value([codes.length / 3, 3], codes, "i32") },
          },
        )
        .take(1, { rows: value([1, rows.length], rows, "i32") });
    const table = [1, 4, 2, 0, 3, 0, 1, 0, 1];
    expect([...(await resident(table, [2, 0])).output.data]).toEqual([21 + 50 + 31, 21 + 54 + 32]);
    // A row that no batch has chosen yet is checked too: any may be.
    await expect(resident(table.with(3, 2), [0])).rejects.toThrow("codes holds 2 at [1, 0]; it must lie in 0 … 1");
    await expect(resident(table.with(5, 3), [0])).rejects.toThrow("codes holds 3 at [1, 2]; it must lie in 0 … 2");

    const fed = (codes: number[]) =>
      run
        .loop((s: Tables, feed: { codes: Tensor }) => ({ output: sum(s, feed.codes) }))
        .take(codes.length / 6, { codes: value([codes.length / 6, 2, 3], codes, "i32") });
    const two = [1, 4, 2, 0, 3, 0, 1, 0, 1, 0, 4, 2];
    expect([...(await fed(two)).output.data]).toEqual([21 + 54 + 32, 20 + 53 + 30, 21 + 50 + 31, 20 + 54 + 32]);
    await expect(fed(two.with(10, 5))).rejects.toThrow("codes holds 5 at [1, 1] of step 1; it must lie in 0 … 4");
    await expect(fed(two.with(9, -1))).rejects.toThrow("codes holds -1 at [1, 0] of step 1; it must lie in 0 … 1");

    // Rows left out are not looked at, so they may hold anything; a slice of chosen rows may hold any row.
    const first = run.loop((s: Tables, feed: { at: Tensor }) => ({ output: s.a.gather(feed.at.slice(0, 0, 2)) }));
    expect((await first.take(1, { at: value([1, 3], [1, 0, 9], "i32") })).steps).toBe(1);
    const chosen = run.loop(
      (s: Tables, feed: { rows: Tensor }, d: { at: Tensor }) => ({
        output: s.a.gather(d.at.gather(feed.rows).slice(0, 0, 1)),
      }),
      { data: { at: value([3], [1, 0, 9], "i32") } },
    );
    await expect(chosen.take(1, { rows: value([1, 2], [2, 0], "i32") })).rejects.toThrow("at holds 9 at position 2");
  });
});
