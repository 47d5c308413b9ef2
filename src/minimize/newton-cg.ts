/**
 * Truncated Newton: H p = −g by conjugate gradients, which need only products H v, and end early while far from the
 * minimum or where H curves down. Dembo & Steihaug 1983; Nocedal & Wright 2006, algorithm 7.1.
 */
import { checkOptions } from "../ir/options.ts";
import { requireChoice, requireFraction, requireWhole, requireWolfe } from "./domain.ts";
import { brief, Line } from "./line.ts";
import { strongWolfe } from "./line-search.ts";
import { type Method, MethodError, type Objective, type Point } from "./method.ts";
import { dot, norm, norm1, plus, times, type Vector } from "./vector.ts";

export type NewtonCGOptions = {
  /**
   * How small the residual of H p = −g must be, as a part of ‖g‖: min(½, √‖g‖) is "superlinear", min(½, ‖g‖) is
   * "quadratic", both the order of convergence near the minimum; a number in (0, 1) is that part everywhere: in curved
   * valleys 0.1 saves most of the iterations (of wood's function 92 remain of 473). "superlinear" unless given.
   */
  readonly forcing?: "superlinear" | "quadratic" | number;
  /** The most products H v of one iteration; unless given, twice as many as f has numbers, and at least 20. */
  readonly innerIterations?: number;
  /** Strong Wolfe conditions of the step along p; 1e-4 and 0.9 unless given. */
  readonly c1?: number;
  readonly c2?: number;
};

/**
 * Newton's method for functions of many numbers; it remembers nothing between iterations.
 * Throws where an option is out of its domain, and where a product H v is not finite.
 */
export function newtonCG(options: NewtonCGOptions = {}): Method<Record<string, never>> {
  checkOptions("newtonCG", options, ["forcing", "innerIterations", "c1", "c2"]);
  const { forcing = "superlinear", innerIterations, c1 = 1e-4, c2 = 0.9 } = options;
  if (typeof forcing === "number") requireFraction("newtonCG", "forcing", forcing);
  else requireChoice("newtonCG", "forcing", forcing, ["superlinear", "quadratic"]);
  if (innerIterations !== undefined) requireWhole("newtonCG", "innerIterations", innerIterations);
  requireWolfe("newtonCG", { c1, c2 });
  const limit = innerIterations === undefined ? "" : `, innerIterations ${innerIterations}`;
  return {
    kind: "method",
    describe: `newtonCG(forcing ${forcing}${limit}, c1 ${c1}, c2 ${c2})`,
    init: () => ({}),
    async iterate(f, from) {
      const size = norm(from.gradient);
      const part =
        typeof forcing === "number" ? forcing : Math.min(0.5, forcing === "quadratic" ? size : Math.sqrt(size));
      const most = innerIterations ?? Math.max(20, 2 * from.x.length);
      const newton = await newtonStep(f, from, part * size, most);
      const line = new Line(f, from, newton ?? times(from.gradient, -1));
      const found = await strongWolfe(line, newton ? 1 : Math.min(1, 1 / norm1(from.gradient)), { c1, c2 });
      if ("stuck" in found) return found;
      return { point: found.trial.point, length: found.trial.length, memory: {} };
    },
  };
}

/** p with ‖H p + g‖ ≤ residual, or as far as H curves up; undefined where it curves down along −g already. */
async function newtonStep(f: Objective, at: Point, residual: number, most: number): Promise<Vector | undefined> {
  let p: Vector | undefined;
  let r = at.gradient;
  let d = times(r, -1);
  let rr = dot(r, r);
  for (let j = 0; j < most; j++) {
    const hd = await f.hessianTimes(at.x, d);
    const curvature = dot(d, hd);
    if (!Number.isFinite(curvature)) {
      throw new MethodError(
        `newtonCG: a direction d has d·H d = ${curvature}, where f is ${brief(at.value)}\n` +
          "  hint: f needs a second derivative there; lbfgs asks for gradients alone",
      );
    }
    if (curvature <= f.roundoff * Math.sqrt(dot(d, d) * dot(hd, hd))) break;
    const alpha = rr / curvature;
    p = p ? plus(p, d, alpha) : times(d, alpha);
    r = plus(r, hd, alpha);
    const before = rr;
    rr = dot(r, r);
    if (Math.sqrt(rr) <= residual) break;
    d = plus(times(r, -1), d, rr / before);
  }
  return p;
}
