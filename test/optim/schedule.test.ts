/** Schedules against the rates of PyTorch, Optax and transformers at steps 0 to 25, and what they refuse. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  constant,
  cosine,
  exponential,
  inverseSquareRoot,
  join,
  linear,
  type Measured,
  multiStep,
  oneCycle,
  plateau,
  polynomial,
  type Schedule,
  schedules,
  step,
  triangular,
  warmRestarts,
  warmupCosine,
  wsd,
} from "../../src/optim/index.ts";
import * as exported from "../../src/optim/schedule/index.ts";

type Settings = Record<string, any>; // as the JSON has them: each case its own
type Case = {
  name: string;
  dialect: "torch" | "optax" | "transformers" | "paper";
  settings: Settings;
  rates: number[];
  /** After each step; NaN is text. */
  measured?: (number | "NaN")[];
};
const golden = JSON.parse(readFileSync(new URL("../golden/schedules.json", import.meta.url), "utf8")) as {
  cases: Case[];
};

/** Ours for a case of the file, from its settings in that library's terms. */
const build: Record<string, (s: any, dialect: Case["dialect"]) => Schedule> = {
  constant: ({ lr }) => constant({ lr }),
  step: ({ lr, every, gamma }) => step({ lr, every, gamma }),
  multiStep: ({ lr, milestones, gamma }) => multiStep({ lr, milestones, gamma }),
  exponential: (s) => exponential(s),
  polynomial: (s) => polynomial(s),
  linear: ({ lr, startFactor, from, to, steps }) =>
    linear(startFactor ? { lr, from: lr * startFactor, steps } : { lr: to, from, steps }),
  cosine: ({ lr, steps, floor }, dialect) =>
    cosine({ lr, steps, floor, after: dialect === "torch" ? "climb" : "hold" }),
  warmupCosine: ({ lr, peak, startFactor, from, warmup, steps, floor }, dialect) =>
    warmupCosine(
      dialect === "torch"
        ? { lr, from: lr * startFactor, warmup, steps, floor, after: "climb" }
        : { lr: peak, from, warmup, steps, floor },
    ),
  oneCycle: ({ max, steps, pctStart, div, finalDiv }, dialect) =>
    oneCycle({ lr: max, steps, pctStart, div, finalDiv, dialect: dialect as "torch" | "optax" }),
  warmRestarts: (s) => warmRestarts(s),
  triangular: ({ max, ...s }) => triangular({ lr: max, ...s }),
  wsd: (s) => wsd(s),
  inverseSquareRoot: (s) => inverseSquareRoot(s),
  plateau: ({ note: _, patience, ...s }, dialect) =>
    plateau({ ...s, patience: dialect === "optax" ? patience - 1 : patience }),
  join: ({ parts, boundaries }) =>
    join(
      parts.map(({ schedule, ...s }: Settings, k: number) => {
        const part = { schedule: build[schedule]!(s, "optax") };
        return k < boundaries.length ? { ...part, steps: boundaries[k] - (boundaries[k - 1] ?? 0) } : part;
      }),
    ),
};

/** The same as one entry after each step, in whatever the schedule looks at. */
const historyOf = ({ measured = [], settings: { metric } }: Case): Measured[] =>
  measured.map((given, k) => {
    const x = Number(given);
    return { step: k + 1, ...(metric ? { trainLoss: 0, metrics: { [metric]: x } } : { trainLoss: x }) };
  });

describe("golden rates", () => {
  test.each(golden.cases.map((c) => [`${c.dialect}/${c.name} ${JSON.stringify(c.settings)}`, c] as const))(
    "%s",
    (_, c) => {
      const schedule = build[c.name]!(c.settings, c.dialect);
      const followed = schedule.following?.(historyOf(c)) ?? schedule;
      c.rates.forEach((rate, t) => expect(Math.abs(followed(t) - rate), `step ${t}`).toBeLessThan(1e-15));
    },
  );

  test("reach every schedule that has a name", () => {
    const covered = new Set(golden.cases.map((c) => c.name));
    for (const name of Object.keys(schedules)) expect(covered).toContain(name);
  });
});

describe.each(Object.entries(schedules))("%s by name", (_, { make }) => {
  test.each([1, 2, 3, 5, 10, 1000])("is a usable rate in each of %i steps, never above lr", (steps) => {
    const schedule = make({ lr: 0.1, steps });
    for (let t = 0; t <= steps; t++) {
      expect(schedule(t)).toBeLessThanOrEqual(0.1 + 1e-15);
      if (t < steps) expect(schedule(t)).toBeGreaterThan(0);
    }
    expect(Number.isFinite(schedule(steps * 10))).toBe(true);
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("refuses lr %d", (lr) => {
    expect(() => make({ lr, steps: 100 })).toThrow(/lr must be a finite number > 0, got/);
  });
});

test("arguments out of their domain are refused by name, with the domain", () => {
  const lr = 0.1;
  const wrong: [() => Schedule, RegExp][] = [
    [() => step({ lr, every: 0 }), /step: every must be a whole number ≥ 1, got 0/],
    [() => step({ lr, every: 2.5 }), /every must be a whole number/],
    [() => step({ lr, every: 2, gamma: 0 }), /gamma must be a number in \(0, 1\], got 0/],
    [() => exponential({ lr, gamma: Number.NaN }), /exponential: gamma/],
    [() => multiStep({ lr, milestones: [5, 2] }), /milestones must rise, got \[5,2\]/],
    [() => polynomial({ lr, steps: 10, power: 0 }), /power/],
    [() => polynomial({ lr, steps: 10, to: -1 }), /to must be a finite number ≥ 0/],
    [() => linear({ lr, steps: 0 }), /linear: steps/],
    [() => linear({ lr, steps: 5, from: -0.1 }), /from/],
    [() => cosine({ lr, steps: Number.NaN }), /cosine: steps/],
    [() => cosine({ lr, steps: 10, floor: Number.NaN }), /floor/],
    [() => cosine({ lr, steps: 10, after: "restart" as "hold" }), /after must be "hold" or "climb"/],
    [() => warmupCosine({ lr, warmup: 10, steps: 10 }), /leaves nothing of 10/],
    [() => warmupCosine({ lr, warmup: -1, steps: 10 }), /warmup/],
    [() => oneCycle({ lr, steps: 2 }), /2 steps are too few/],
    [() => oneCycle({ lr, steps: 20, pctStart: 1 }), /pctStart must lie in \(0, 1\)/],
    [() => oneCycle({ lr, steps: 20, div: 0.5 }), /div/],
    [() => oneCycle({ lr, steps: 20, dialect: "keras" as "torch" }), /dialect must be "torch" or "optax", got "keras"/],
    [() => warmRestarts({ lr, first: 4, multiply: 1.5 }), /multiply must be a whole number ≥ 1, got 1.5/],
    [() => warmRestarts({ lr, first: 4, decay: 2 }), /decay must be a number in \(0, 1\], got 2/],
    [() => warmRestarts({ lr, first: 4, floor: 0.2 }), /floor must not lie above lr, got 0.2 and 0.1/],
    [() => triangular({ lr, up: 0 }), /triangular: up must be a whole number ≥ 1/],
    [() => triangular({ lr, up: 4, floor: 0.2 }), /floor must not lie above lr/],
    [
      () => triangular({ lr, up: 4, mode: "sawtooth" as "triangular" }),
      /mode must be "triangular" or "triangular2" or/,
    ],
    [() => triangular({ lr, up: 4, mode: "exp_range" }), /gamma must be a number in \(0, 1\], got undefined/],
    [() => triangular({ lr, up: 4, gamma: 0.9 }), /gamma 0.9 is for mode "exp_range"/],
    [
      () => wsd({ lr, steps: 10, warmup: 6, cooldown: 5 }),
      /a warm-up of 6 steps and a cool-down of 5 do not fit into 10/,
    ],
    [() => wsd({ lr, steps: 10, warmup: 1, cooldown: 0 }), /cooldown must be a whole number ≥ 1/],
    [
      () => wsd({ lr, steps: 10, warmup: 1, cooldown: 2, shape: "root" as "sqrt" }),
      /shape must be "linear" or "sqrt" or/,
    ],
    [() => wsd({ lr, steps: 10, warmup: 0, cooldown: 2, from: -1 }), /from must be a finite number ≥ 0, got -1/],
    [() => inverseSquareRoot({ lr, warmup: 0 }), /warmup must be a whole number ≥ 1, got 0/],
    [() => plateau({ lr, factor: 0 }), /factor must be a number in \(0, 1\], got 0/],
    [() => plateau({ lr, patience: -1 }), /patience must be a whole number ≥ 0, got -1/],
    [() => plateau({ lr, cooldown: 0.5 }), /cooldown must be a whole number ≥ 0, got 0.5/],
    [() => plateau({ lr, floor: 1 }), /floor must not lie above lr/],
    [
      () => plateau({ lr, metric: "accuracy" }),
      /plateau of accuracy: better must be "lower" or "higher", got undefined/,
    ],
    [() => plateau({ lr, metric: 3 as never }), /metric must be the name of one, got 3/],
    [() => join([]), /nothing to join/],
    [() => join([{ schedule: constant({ lr }) }, { schedule: constant({ lr }) }]), /steps of part 0/],
  ];
  for (const [make, message] of wrong) expect(make).toThrow(message);
});

test("a warm-up of no steps is the cosine alone", () => {
  const [a, b] = [warmupCosine({ lr: 1, warmup: 0, steps: 8 }), cosine({ lr: 1, steps: 8 })];
  for (let t = 0; t < 12; t++) expect(a(t)).toBe(b(t));
});

/** Everything that makes a schedule from options. */
const { schedules: _, ...functions } = exported;
const makers = Object.entries({
  ...functions,
  ...Object.fromEntries(Object.entries(schedules).map(([name, { make }]) => [`${name} by name`, make])),
}) as unknown as [string, (options?: unknown) => Schedule][]; // their options differ, and none of them is given

describe.each(makers)("%s tells what it takes", (name, make) => {
  test.each([[[]], [[undefined]], [[0.1]], [["cosine"]], [[null]], [[{}]], [[{ rate: 0.1 }]], [[() => 0.1]]])(
    "given %j",
    (given: unknown[]) => {
      expect(() => make(...given)).toThrow(expect.objectContaining({ name: "DownhillError" }));
      expect(() => make(...given)).toThrow(new RegExp(`^${name.replace(" by name", "")}: `));
    },
  );
});

test("numbers and flags of the wrong kind are refused by name", () => {
  const lr = 0.1;
  expect(() => cosine({ lr: "0.1" as never, steps: 10 })).toThrow(/cosine: lr must be a finite number > 0, got "0.1"/);
  expect(() => cosine({ lr, step: 10 } as never)).toThrow(
    /cosine: there is no option step.*it takes lr, steps, floor/s,
  );
  expect(() => multiStep({ lr } as never)).toThrow(/milestones must be a list of steps, got undefined/);
  expect(() => exponential({ lr, gamma: 0.9, staircase: 1 as never })).toThrow(
    /staircase must be true or false, got 1/,
  );
  expect(() => join([linear({ lr, steps: 5 })] as never)).toThrow(
    /join: part 0: options are an object, got a function/,
  );
  expect(() => join([{ schedule: lr as never }])).toThrow(
    /schedule of part 0: expected a function of the step, got 0.1/,
  );
});

describe("what was measured", () => {
  const lr = 0.1;
  const bad = (steps: readonly number[]): Measured[] => steps.map((step) => ({ step, trainLoss: 1 }));

  test("after a step changes no rate of that step", () => {
    const all = bad([10, 20, 30, 40, 50]);
    const rule = plateau({ lr, factor: 0.5, patience: 0 });
    const whole = rule.following!(all);
    for (let n = 0; n <= all.length; n++) {
      const known = rule.following!(all.slice(0, n));
      for (let t = 0; t < (all[n]?.step ?? 60); t++) expect(known(t)).toBe(whole(t));
    }
    expect([0, 19, 20, 29, 30, 50].map(whole)).toEqual([0.1, 0.1, 0.05, 0.05, 0.025, 0.00625]);
    expect([0, 1000].map((t) => rule(t))).toEqual([0.1, 0.1]);
  });

  test("is the validation loss before the training loss", () => {
    const history = [1, 2, 3].map((step) => ({ step, trainLoss: -step, validationLoss: step }));
    expect(plateau({ lr, factor: 0.5, patience: 0 }).following!(history)(3)).toBe(0.025);
    expect(plateau({ lr, factor: 0.5, patience: 0 }).following!(bad([1, 2, 3]))(3)).toBe(0.025);
  });

  test("by a name that is not there is told", () => {
    const rule = plateau({ lr, metric: "recall", better: "higher" });
    const entry = { step: 1, trainLoss: 1, metrics: { accuracy: 0.5 } };
    expect(() => rule.following!([entry])(1)).toThrow(/plateau: "recall" is not measured.*measured: loss, accuracy/s);
  });

  test("counts from the beginning of its part of a join", () => {
    const parts = [
      { schedule: linear({ lr, steps: 10 }), steps: 10 },
      { schedule: plateau({ lr, factor: 0.5, patience: 0 }) },
    ];
    const rates = join(parts).following!(bad([5, 10, 15, 20, 25]));
    expect([5, 10, 15, 19, 20, 24, 25].map((t) => rates(t))).toEqual([0.05, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025]);
    expect(join(parts.slice(0, 1)).following).toBeUndefined();
  });
});
