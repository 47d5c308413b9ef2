/**
 * Nonlinear conjugate gradients: d ← −g + β d. On a quadratic with exact steps every form of β is the same, and n steps
 * end at the minimum. Nocedal & Wright 2006, section 5.2; Hager & Zhang, "A survey of nonlinear conjugate gradient
 * methods", 2006.
 */
import { checkOptions } from "../ir/options.ts";
import type { Value } from "../ir/value.ts";
import { requireChoice, requireWhole, requireWolfe } from "./domain.ts";
import { exact } from "./exact.ts";
import { Line } from "./line.ts";
import { strongWolfe } from "./line-search.ts";
import { type Method, type Point, type Scalar, scalarOf, vectorOf, zerosOf } from "./method.ts";
import { dot, minus, norm1, plus, times, type Vector } from "./vector.ts";

/** From g, the gradient before, their difference y, and the direction before. */
type Beta = (g: Vector, before: Vector, y: Vector, d: Vector) => number;

const betas = {
  /** Fletcher & Reeves 1964 */
  fletcherReeves: (g, before) => dot(g, g) / dot(before, before),
  /** Polak & Ribière 1969, with max(0, ·): Powell 1984, Gilbert & Nocedal 1992 */
  polakRibiere: (g, before, y) => Math.max(0, dot(g, y) / dot(before, before)),
  /** Hestenes & Stiefel 1952, with max(0, ·) as well */
  hestenesStiefel: (g, _, y, d) => Math.max(0, dot(g, y) / dot(d, y)),
  /** Dai & Yuan 1999 */
  daiYuan: (g, _, y, d) => dot(g, g) / dot(d, y),
} as const satisfies Record<string, Beta>;

export type ConjugateGradientOptions = {
  /** "polakRibiere" unless given. */
  readonly beta?: keyof typeof betas;
  /** "wolfe", strong conditions, unless given; "exact" as in `gradientDescent`. */
  readonly lineSearch?: "wolfe" | "exact";
  /** Iterations from one step along −g to the next; unless given, as many as f has numbers. */
  readonly restart?: number;
  /** 1e-4 and 0.1 unless given. */
  readonly c1?: number;
  readonly c2?: number;
};

type Remembered = {
  readonly gradient: Value<"f64">;
  readonly direction: Value<"f64">;
  readonly length: Scalar;
  /** Iterations since the last restart; 0 before the first. */
  readonly since: Scalar;
};

/**
 * Nonlinear conjugate gradients. It starts again along −g after `restart` iterations, where d is no direction of descent,
 * and where two gradients one after the other are far from orthogonal: |g·g₋| ≥ ½ g·g, after Powell 1977.
 * Throws where an option is out of its domain.
 */
export function conjugateGradient(options: ConjugateGradientOptions = {}): Method<Remembered> {
  checkOptions("conjugateGradient", options, ["beta", "lineSearch", "restart", "c1", "c2"]);
  const { beta = "polakRibiere", lineSearch = "wolfe", restart, c1 = 1e-4, c2 = 0.1 } = options;
  requireChoice("conjugateGradient", "beta", beta, Object.keys(betas));
  requireChoice("conjugateGradient", "lineSearch", lineSearch, ["wolfe", "exact"]);
  if (restart !== undefined) requireWhole("conjugateGradient", "restart", restart);
  requireWolfe("conjugateGradient", { c1, c2 });
  const init = (n: number): Remembered => ({
    gradient: zerosOf(n),
    direction: zerosOf(n),
    length: scalarOf(0),
    since: scalarOf(0),
  });
  const numbers = `${lineSearch === "exact" ? "lineSearch exact" : `c1 ${c1}, c2 ${c2}`}${restart ? `, restart ${restart}` : ""}`;

  const iterate: Method<Remembered>["iterate"] = async (f, from, memory) => {
    const n = from.x.length;
    const since = memory.since.data[0]!;
    const last = memory.length.data[0]!;
    const old = since > 0 && since < (restart ?? n) ? conjugate(betas[beta], from, memory) : undefined;
    const direction = old ?? times(from.gradient, -1);
    const line = new Line(f, from, direction);
    // As far as the last step, were f to change as much in first order: Nocedal & Wright, page 59.
    const slopeBefore = dot(memory.gradient.data, memory.direction.data);
    const first = (last * slopeBefore) / line.start.slope || Math.min(1, 1 / norm1(from.gradient));
    const found = await (lineSearch === "exact" ? exact(line, first) : strongWolfe(line, first, { c1, c2 }));
    if ("stuck" in found) return old ? iterate(f, from, init(n)) : found;
    const { point, length } = found.trial;
    const next = { gradient: vectorOf(from.gradient), direction: vectorOf(direction), length: scalarOf(length) };
    return { point, length, memory: { ...next, since: scalarOf(old ? since + 1 : 1) } };
  };
  return {
    kind: "method",
    describe: `conjugateGradient(beta ${beta}, ${numbers})`,
    init,
    iterate,
  };
}

/** −g + β d, where that descends and the gradients are conjugate enough. */
function conjugate(beta: Beta, { gradient: g }: Point, memory: Remembered): Vector | undefined {
  const before = memory.gradient.data;
  const d = memory.direction.data;
  if (Math.abs(dot(g, before)) >= 0.5 * dot(g, g)) return undefined;
  const next = plus(times(g, -1), d, beta(g, before, minus(g, before), d));
  return dot(g, next) < 0 ? next : undefined;
}
