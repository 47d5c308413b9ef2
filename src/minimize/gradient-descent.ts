/** Steepest descent on the whole of f: along −g, the step by one of five rules. Cauchy 1847; Barzilai & Borwein 1988. */
import { fail, shown } from "../ir/fail.ts";
import { checkOptions } from "../ir/options.ts";
import type { Value } from "../ir/value.ts";
import { requireChoice, requirePositive, requireWhole, requireWolfe } from "./domain.ts";
import { exact } from "./exact.ts";
import { brief, type Found, Line } from "./line.ts";
import { armijo, strongWolfe, type Wolfe } from "./line-search.ts";
import { type Method, MethodError, type Objective, type Point, type Scalar, scalarOf, vectorOf } from "./method.ts";
import { dot, minus, norm1, plus, times } from "./vector.ts";

export type GradientDescentOptions = {
  /**
   * How the step length is found; "armijo" unless given.
   * - a number: always this one
   * - "exact": the lowest point of the line, g·g / g·Hg where f is a parabola along it, else by Brent's method
   * - "armijo": backwards from twice the last one until f falls enough
   * - "wolfe": strong Wolfe conditions, Nocedal & Wright's algorithms 3.5 and 3.6
   * - "barzilaiBorwein": from the last step s and change of gradient y, where f need not fall each time: it must fall
   *   below the largest of the last `history` values (Grippo, Lampariello & Lucidi 1986; Raydan 1997)
   */
  readonly lineSearch?: "exact" | "armijo" | "wolfe" | "barzilaiBorwein" | number;
  /** Of Barzilai and Borwein's two lengths: "long" is s·s / s·y, "short" s·y / y·y. "long" unless given. */
  readonly length?: "long" | "short";
  /** Values that a step is compared with, for "barzilaiBorwein"; 10 unless given. */
  readonly history?: number;
  /** Part of the slope that f must fall by; 1e-4 unless given. */
  readonly c1?: number;
  /** Part of the slope that may be left, for "wolfe"; 0.9 unless given. */
  readonly c2?: number;
};

type Remembered = {
  /** Of the last step, or for Barzilai and Borwein of the next; 0 before the first. */
  readonly length: Scalar;
  readonly slope: Scalar;
  /** The last values, the newest in front; NaN where there were none. */
  readonly values: Value<"f64">;
};

type Chosen = Wolfe & Required<Pick<GradientDescentOptions, "length">>;
type Search = {
  readonly shows: readonly (keyof GradientDescentOptions)[];
  readonly find: (line: Line, m: { last: number; slope: number; highest: number }, o: Chosen) => Promise<Found>;
};

/** To begin with, and after restarts: x moves by at most 1. */
const cautious = (line: Line): number => Math.min(1, 1 / norm1(line.direction));

const searches: Readonly<Record<string, Search>> = {
  exact: { shows: [], find: (line, { last }) => exact(line, last || cautious(line)) },
  armijo: { shows: ["c1"], find: (line, { last }, { c1 }) => armijo(line, 2 * last || cautious(line), c1) },
  wolfe: {
    shows: ["c1", "c2"],
    // As far as the last step, were f to change as much in first order: Nocedal & Wright, page 59.
    find: (line, { last, slope }, o) => strongWolfe(line, (last * slope) / line.start.slope || cautious(line), o),
  },
  barzilaiBorwein: {
    shows: ["length", "history", "c1"],
    find: (line, { last, highest }, { c1 }) => armijo(line, last || cautious(line), c1, highest),
  },
};

/**
 * Steepest descent over all of f.
 * Throws where an option is out of its domain.
 */
export function gradientDescent(options: GradientDescentOptions = {}): Method<Remembered> {
  checkOptions("gradientDescent", options, ["lineSearch", "length", "history", "c1", "c2"]);
  const { lineSearch = "armijo", length = "long", history = 10, c1 = 1e-4, c2 = 0.9 } = options;
  requireChoice("gradientDescent", "length", length, ["long", "short"]);
  requireWhole("gradientDescent", "history", history);
  requireWolfe("gradientDescent", { c1, c2 });
  const init = () => ({
    length: scalarOf(0),
    slope: scalarOf(0),
    values: vectorOf(new Float64Array(history).fill(NaN)),
  });
  if (typeof lineSearch === "number") {
    requirePositive("gradientDescent", "lineSearch", lineSearch);
    return {
      kind: "method",
      describe: `gradientDescent(lineSearch ${lineSearch})`,
      init,
      iterate: async (f, from, memory) => ({ point: await fixed(f, from, lineSearch), length: lineSearch, memory }),
    };
  }
  const search = searches[lineSearch];
  if (!search) {
    fail(
      `gradientDescent: lineSearch must be a step length or one of ${Object.keys(searches).join(", ")}, got ${shown(lineSearch)}`,
    );
  }
  const chosen = { length, history, c1, c2 };
  const numbers = search.shows.map((name) => `, ${name} ${chosen[name as keyof typeof chosen]}`).join("");
  return {
    kind: "method",
    describe: `gradientDescent(lineSearch ${lineSearch}${numbers})`,
    init,
    async iterate(f, from, memory) {
      const line = new Line(f, from, times(from.gradient, -1));
      const values = Float64Array.of(from.value, ...memory.values.data.subarray(0, history - 1));
      const highest = Math.max(...values.filter((v) => !Number.isNaN(v)));
      const remembered = { last: memory.length.data[0]!, slope: memory.slope.data[0]!, highest };
      const found = await search.find(line, remembered, chosen);
      if ("stuck" in found) return found;
      const { trial } = found;
      const next = lineSearch === "barzilaiBorwein" ? spectral(from, trial.point, length) : trial.length;
      return {
        point: trial.point,
        length: trial.length,
        memory: { length: scalarOf(next), slope: scalarOf(line.start.slope), values: vectorOf(values) },
      };
    },
  };
}

async function fixed(f: Objective, from: Point, length: number): Promise<Point> {
  const point = await f.at(plus(from.x, from.gradient, -length));
  if (Number.isFinite(point.value) && Number.isFinite(norm1(point.gradient))) return point;
  throw new MethodError(
    `gradientDescent: f is ${point.value} after a step of ${length} from ${brief(from.value, 10)}\n` +
      '  hint: a fixed step does not shrink: take a shorter one, or lineSearch: "armijo"',
  );
}

/** Raydan 1997: lengths outside of [1e-10, 1e10], or of a negative curvature, give way to one that moves x by about 1. */
function spectral(from: Point, to: Point, which: "long" | "short"): number {
  const s = minus(to.x, from.x);
  const y = minus(to.gradient, from.gradient);
  const sy = dot(s, y);
  const length = which === "long" ? dot(s, s) / sy : sy / dot(y, y);
  if (length >= 1e-10 && length <= 1e10) return length;
  return Math.min(1e5, Math.max(1, 1 / Math.sqrt(dot(to.gradient, to.gradient))));
}
