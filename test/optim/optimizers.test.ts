/** Every named optimizer against trajectories of PyTorch, Optax, Keras and the papers' pseudo-code, and what all share. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Float } from "../../src/ir/dtype.ts";
import { literal } from "../../src/ir/index.ts";
import {
  type Common,
  chain,
  clipGlobalNorm,
  clipTensorNorm,
  clipValue,
  cosine,
  type Dialect,
  decay,
  type Hyper,
  matrices,
  type Optimizer,
  type OptimizerName,
  optimizers,
  type Row,
  trustRatio,
} from "../../src/optim/index.ts";
import type { BackendName } from "../../src/run/backend.ts";
import { hasNative } from "../backends.ts";
import { descent, distance, feeds, type Tensors, values } from "./descent.ts";
import { furthest, losses, type Problems, rosenbrock, sideBySide, type Walked } from "./golden.ts";

const names = Object.keys(optimizers) as OptimizerName[];
const rows = optimizers as { readonly [N in OptimizerName]: Row<Common> };
const dialectsOf = (name: OptimizerName) => Object.keys(rows[name].dialects) as Dialect[];
/** [optimizer, dialect] for each of them. */
const each = names.flatMap((name) => dialectsOf(name).map((dialect) => [name, dialect] as const));

// ---- golden trajectories -------------------------------------------------------------------------------------------------

type Case = Walked<keyof typeof losses> & {
  readonly dialect: Dialect;
  readonly optimizer: string;
  readonly settings: Readonly<Record<string, number | boolean>>;
  /** loss[i]: after steps[i] steps. */
  readonly loss: readonly number[];
  readonly decayOnly?: "matrices";
  readonly clip?: { readonly globalNorm?: number; readonly tensorNorm?: number; readonly value?: number };
  readonly phi?: Hyper["phi"];
};

const golden = JSON.parse(readFileSync(new URL("../golden/optimizers.json", import.meta.url), "utf8")) as {
  readonly steps: readonly number[];
  readonly problems: Problems<keyof typeof losses>;
  readonly defaults: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>>;
  readonly cases: readonly Case[];
};

/** The row that a case of the file is about. */
const rowOf = (optimizer: string) => names.find((name) => name.toLowerCase() === optimizer)!;

/** Our optimizer for a case of the file. */
function build({ optimizer, dialect, settings, decayOnly, clip, phi }: Case): Optimizer {
  const { lr, amsgrad, decoupled, nesterov, weightDecay = 0, ...hyper } = settings;
  const options = {
    ...hyper,
    dialect,
    ...("weightDecay" in settings && { weightDecay }),
    ...(optimizer === "rmsprop" && nesterov && { nesterov }), // else it is in the row's name
    ...(decayOnly && { decayOnly: matrices }),
    ...(phi && { phi }),
    ...(optimizer === "adamw" && dialect === "paper" && { baseLr: lr }),
  };
  if (optimizer === "adamw" && amsgrad) {
    // A flag in PyTorch, a composition here.
    const rule = optimizers.amsgrad.make({ ...options, weightDecay: 0 });
    return chain(rule, decay(weightDecay as number));
  }
  if (optimizer === "radam" && decoupled) {
    return chain(optimizers.radam.make({ ...options, weightDecay: 0 }), decay(weightDecay as number));
  }
  const rule = rows[rowOf(optimizer)].make(options);
  if (clip?.globalNorm) return chain(clipGlobalNorm(clip.globalNorm, { dialect }), rule);
  if (clip?.tensorNorm) return chain(clipTensorNorm(clip.tensorNorm, { dialect }), rule);
  return clip?.value ? chain(clipValue(clip.value), rule) : rule;
}

/** Gradient descent is sgd on all of the data, so it has sgd's cases too. */
const cases = golden.cases.flatMap((c) => {
  const full = { ...c, name: `${c.name}, as gradientDescent`, optimizer: "gradientdescent" };
  return c.optimizer === "sgd" ? [c, full] : [c];
});

/** All cases of a row in one program. */
const walk = (list: readonly Case[], dtype: Float, backend: BackendName) =>
  sideBySide(list, list.map(build), { problems: golden.problems, losses }, dtype, backend);

const casesOf = (name: OptimizerName) => cases.filter((c) => rowOf(c.optimizer) === name);
const witnessed = names.filter((name) => casesOf(name).length > 0);

describe("golden trajectories", () => {
  test.each(witnessed)("%s, f64", async (name) => {
    const list = casesOf(name);
    const output = await walk(list, "f64", "js");
    list.forEach((c, k) => {
      expect(furthest(golden.steps, c.points, output[k]!.w), c.name).toBeLessThan(1e-9);
      const before = golden.steps.filter((s) => s < 100); // loss[k] of the run is that before step k + 1
      const loss = before.map((s) => output[k]!.loss.data[s]!);
      expect(distance(loss, c.loss.slice(0, before.length)), c.name).toBeLessThan(1e-9);
    });
  });

  // One problem for each variant: what the other problems ask of a rule is asked in f64.
  test.runIf(hasNative).each(witnessed)("%s, f32 in C", async (name) => {
    const variants = new Map(casesOf(name).map((c) => [c.name.replace(c.problem, ""), c]));
    const list = [...variants.values()];
    const output = await walk(list, "f32", "native");
    list.forEach((c, k) => expect(furthest(golden.steps, c.points, output[k]!.w), c.name).toBeLessThan(1e-4));
  });

  test("reach every row in every dialect", () => {
    // The other families' numbers are in files of their own, each with a test of its own.
    const folder = new URL("../golden/", import.meta.url);
    const files = readdirSync(folder).filter((file) => file.endsWith("-optimizers.json"));
    const others = files.flatMap((file) => {
      const { cases } = JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Pick<typeof golden, "cases">;
      return cases;
    });
    const covered = new Set([...cases, ...others].map((c) => `${c.optimizer} ${c.dialect}`.toLowerCase()));
    const missing =
      "a dialect without numbers of an independent witness; scripts/golden/README.md says how to make them";
    for (const [name, dialect] of each) expect(covered, missing).toContain(`${name} ${dialect}`.toLowerCase());
  });
});

// ---- what holds for every row --------------------------------------------------------------------------------------------

/** A scalar, a vector and a matrix, 1 away from the minimum of ½ ‖p − target‖² and from 0. */
const mixed = {
  a: 2,
  b: [1, -2, 3],
  c: [
    [1, -1],
    [2, 0.5],
    [-3, 1],
  ],
};
const bowl = () => (p: Tensors) =>
  Object.entries(mixed)
    .map(([key, at]) =>
      p[key]!.sub(literal(values({ at }, "f64").at!).add(1))
        .square()
        .sum()
        .mul(0.5),
    )
    .reduce((x, y) => x.add(y));

/** What is a flag of another optimizer in most libraries. */
const flags: { readonly [N in OptimizerName]?: string } = {
  gradientDescent: "sgd",
  momentum: "sgd",
  nesterov: "sgd",
  amsgrad: "adam",
};

/** AdaDelta's steps start at lr · √ε, LARS' are lr / 1000 of a tensor, and what is no matrix has Muon's lr · 0.015. */
const far: { readonly [N in OptimizerName]?: number } = { adadelta: 100, lars: 30, muon: 1 };

describe.each(each)("%s in the dialect of %s", (name, dialect) => {
  const { options } = rows[name];
  const make = (more: object = {}) => rows[name].make({ dialect, ...more });
  const decaying = (weightDecay: number) => (options.includes("weightDecay") ? { weightDecay } : {});

  test("comes down to the minimum of a quadratic with a scalar, a vector and a matrix", async () => {
    const { [name]: lr = 0.1 } = far;
    const { loop } = await descent(make(decaying(0)), bowl, values(mixed, "f64"));
    const { output } = await loop.take(400, feeds(400, cosine({ lr, steps: 400 })));
    expect(output.loss.data[0]).toBeCloseTo(5);
    expect(output.loss.data[399]).toBeLessThan(1e-3);
  });

  test("resumes with the same bits", async () => {
    const rule = make(name === "adamW" && dialect === "paper" ? { weightDecay: 1e-3, baseLr: 0.1 } : decaying(0.1));
    const rate = cosine({ lr: 0.1, steps: 30 });
    const first = await descent(rule, bowl, values(mixed, "f64"));
    await first.loop.take(7, feeds(7, rate));
    const second = await descent(rule, bowl, values(mixed, "f64"));
    second.run.load(first.run.state());
    await first.loop.take(13, feeds(13, rate, "f64", 8));
    await second.loop.take(13, feeds(13, rate, "f64", 8));
    expect(second.run.state()).toEqual(first.run.state());
  });

  test("stays where the gradient is 0, also at p = 0", async () => {
    const still = name === "yogi" ? { initialAccumulator: 0 } : {}; // Optax' m starts there, and not at 0
    const { run, loop } = await descent(
      make({ ...decaying(0), ...still }),
      () =>
        ({ w }) =>
          w!.square().sum(),
      values({ w: [0, 0] }, "f64"),
    );
    await loop.take(
      3,
      feeds(3, () => 0.1),
    );
    expect([...run.state().w.w!.data].map(Math.abs)).toEqual([0, 0]);
  });

  test("says what it is", () => {
    expect(make().describe).toMatch(new RegExp(`^${name}\\(.*${dialect}\\)$`));
  });

  test("has its library's defaults", () => {
    const library = golden.defaults[dialect] ?? {};
    const own = name.toLowerCase();
    const theirs = library[flags[name] ?? own] ?? {};
    if (dialect !== "paper" && witnessed.includes(name)) expect(theirs).not.toEqual({});
    for (const [key, x] of Object.entries(rows[name].dialects[dialect]!)) {
      if (!(key in theirs) || key === "momentum" || (key === "lr" && name === "gradientDescent")) continue;
      expect(x, key).toBe(theirs[key] ?? 0); // null is off
    }
  });
});

/** What lies just outside of a domain; where nothing is said, Infinity does. */
const beyond = [1, 1.5, Number.POSITIVE_INFINITY];
const edges: { readonly [H in keyof Hyper]?: readonly unknown[] } = {
  b1: beyond,
  b2: beyond,
  b3: beyond,
  rho: beyond,
  momentum: beyond,
  dampening: beyond,
  eps: [0, Number.POSITIVE_INFINITY],
  baseLr: [0, Number.POSITIVE_INFINITY],
  warmup: [0, Number.POSITIVE_INFINITY],
  momentumDecay: [-1e-9],
  threshold: [3.9, Number.POSITIVE_INFINITY],
  etaMinus: [0, 1],
  etaPlus: [1, Number.POSITIVE_INFINITY],
  maxStep: [0, Number.POSITIVE_INFINITY],
  nesterov: [0, 1],
  centered: [0, 1],
  phi: [{ low: 2, high: 1 }, { low: 0, high: 0 }, { low: -1, high: 1 }, { low: 1 }],
};

describe.each(names)("%s", (name) => {
  const { make, options, defaults, dialects } = rows[name];

  test("refuses hyper-parameters out of their domain, naming value and domain", () => {
    for (const key of options) {
      for (const x of [Number.NaN, -1, "some", null, [], ...(edges[key] ?? [Number.POSITIVE_INFINITY])]) {
        expect(() => make({ [key]: x } as Common), `${key} ${x}`).toThrow(
          new RegExp(`^${name}: ${key} must be .+, got `),
        );
      }
    }
  });

  test("refuses what it does not know", () => {
    expect(() => make({ beta1: 0.9 } as Common)).toThrow(/there is no option beta1.*it takes /s);
    expect(() => make({ lr: 0.1 } as Common)).toThrow(/lr is no option.*update/s);
    expect(() => make({ dialect: "jax" as Dialect })).toThrow(/no dialect "jax".*it has /s);
    expect(() => make(0.01 as never)).toThrow(
      new RegExp(`^${name}: options are an object, got 0.01\\n  hint: it takes`),
    );
    expect(() => make(null as never)).toThrow(/options are an object, got null/);
    expect(() => make({ decayOnly: "bias" as never })).toThrow(/decayOnly must be a function .*, got "bias"/);
  });

  test("has a learning rate to start from, and makes what its defaults say", () => {
    const { lr, ...hyper } = defaults;
    expect(lr).toBeGreaterThan(0);
    expect(make(hyper as Common).describe).toBe(make().describe);
    const first = (["torch", "paper", "optax"] as const).find((dialect) => dialect in dialects);
    expect(Object.keys(dialects)[0]).toBe(first);
  });
});

// ---- single ones ---------------------------------------------------------------------------------------------------------

test.runIf(hasNative)(
  "10,000 steps of Adam on Rosenbrock in one resident loop, in C, end where PyTorch ends",
  async () => {
    const { loop } = await descent(optimizers.adam.make(), () => rosenbrock, values({ w: [-1.2, 1] }, "f64"), {
      backend: "native",
    });
    const { steps, output } = await loop.take(
      10_000,
      feeds(10_000, () => 0.01),
    );
    expect(steps).toBe(10_000);
    expect(output.loss.data[100]).toBeCloseTo(4.17854, 5); // PyTorch 1.13 and 2.13
    expect(output.loss.data[1000]).toBeCloseTo(1.25497, 5);
    // Near the minimum Adam jumps now and then, when rounding says so: three correct loops end at 1e-14, 7e-15 and 7e-11.
    expect(output.loss.data[9999]).toBeLessThan(1e-7);
  },
);

test.runIf(hasNative)("bias correction keeps its digits in f32", async () => {
  // m̂ and v̂ are the gradient and its square at step 1, so Adam moves by lr · sign(g) whatever β₂ is.
  const rule = optimizers.adam.make({ b2: 0.999999, eps: 1e-30 });
  const { run, loop } = await descent(
    rule,
    () =>
      ({ w }) =>
        w!.mul(3).sum(),
    values({ w: [0] }, "f32"),
    {
      backend: "native", // in C f32 is f32 throughout: 1 − βᵗ would be off by 5 %
    },
  );
  await loop.take(
    1,
    feeds(1, () => 1, "f32"),
  );
  expect(run.state().w.w!.data[0]).toBeCloseTo(-1, 5);
});

test.each(["matrices", "all"])("Keras' weight decay with momentum is that of its base class, on %s", async (which) => {
  const [mu, lambda] = [0.9, 0.1];
  const rate = (taken: number) => 0.1 / (1 + taken);
  const rule = optimizers.momentum.make({
    dialect: "keras",
    momentum: mu,
    weightDecay: lambda,
    ...(which === "matrices" && { decayOnly: matrices }),
  });
  const square = ({ A, b }: Tensors) => A!.square().sum().add(b!.square().sum()).mul(0.5);
  const { loop } = await descent(rule, () => square, values({ A: [[1, -2]], b: [3] }, "f64"));
  const { output } = await loop.take(20, feeds(20, rate));
  // keras/src/optimizers/base_optimizer.py: variable -= variable · wd · lr, then sgd.py: m = mu · m − lr · g; variable += m.
  const byHand = (w: number, decays: boolean) => {
    let m = 0;
    return Array.from({ length: 20 }, (_, t) => {
      const g = w;
      if (decays) w -= w * lambda * rate(t);
      m = mu * m - rate(t) * g;
      w += m;
      return w;
    });
  };
  const [first, second, bias] = [byHand(1, true), byHand(-2, true), byHand(3, which === "all")];
  const wanted = first.flatMap((x, t) => [x, second[t]!]);
  expect(distance(output.w.A!.data, wanted)).toBeLessThan(1e-14);
  expect(distance(output.w.b!.data, bias)).toBeLessThan(1e-14);
});

test("lr inside a buffer: after lr falls to 0, Keras' momentum coasts and PyTorch's stands", async () => {
  const moved = async (dialect: Dialect) => {
    const rule = optimizers.momentum.make({ dialect });
    const { loop } = await descent(
      rule,
      () =>
        ({ w }) =>
          w!.sum(),
      values({ w: [0] }, "f64"),
    );
    const { output } = await loop.take(
      3,
      feeds(3, (taken) => (taken === 0 ? 1 : 0)),
    );
    return [...output.w.w!.data];
  };
  expect(await moved("torch")).toEqual([-1, -1, -1]);
  expect(await moved("keras")).toEqual([-1, -1.9, -2.71]);
});

test("Rprop's limits must be in order", () => {
  expect(() => optimizers.rprop.make({ minStep: 2, maxStep: 1 })).toThrow(/^rprop: minStep .* 2 and 1/);
});

test.each(["lion", "rprop", "yogi"] as const)("%s does not hide a gradient that is not a number", async (name) => {
  const rule: Optimizer = optimizers[name].make();
  const { run, loop } = await descent(
    rule,
    () =>
      ({ w }) =>
        w!.mul(Number.NaN).sum(),
    values({ w: [1] }, "f64"),
  );
  await loop.take(
    2,
    feeds(2, () => 0.1),
  );
  expect(run.state().w.w!.data[0]).toBeNaN();
});

test("AdamW's paper wants the base rate when it decays", () => {
  expect(() => optimizers.adamW.make({ dialect: "paper", weightDecay: 0.1 })).toThrow(/baseLr/);
});

test("LAMB leaves the direction alone where a norm is 0", async () => {
  const at = async (start: number, slope: number) => {
    const { run, loop } = await descent(
      trustRatio(),
      () =>
        ({ w }) =>
          w!.mul(slope).sum(),
      values({ w: [start] }, "f32"),
    );
    await loop.take(
      1,
      feeds(1, () => 1, "f32"),
    );
    return run.state().w.w!.data[0]! - Math.fround(start);
  };
  expect(await at(0, 3)).toBe(-3);
  expect(Math.abs(await at(2, 0))).toBe(0);
  expect(await at(2, 1e-3)).toBe(-2);
});
