/** A function along a line, φ(a) = f(x + a d), and what line searches agree on: trials, rounding, and how they end. */
import { MethodError, type Objective, type Point } from "./method.ts";
import { dot, normMax, plus, type Vector } from "./vector.ts";

/** One step length, and what is there. */
export type Trial = {
  readonly length: number;
  readonly point: Point;
  readonly value: number;
  /** φ′ */
  readonly slope: number;
};

/** Where a line search ended: `wolfe` says whether all it looked for holds there, or only a lower value. */
export type Found = { readonly trial: Trial; readonly wolfe: boolean } | { readonly stuck: string };

/** As many step lengths as a search tries before it takes the best of them. */
export const mostTrials = 50;

export class Line {
  readonly start: Trial;
  readonly direction: Vector;
  /** Values that differ by less may be equal but for rounding: a sum of many terms is less exact than one operation. */
  readonly noise: number;
  readonly tried: { readonly length: number; readonly value: number }[] = [];
  private readonly f: Objective;

  /** Throws where f does not fall along the direction. */
  constructor(f: Objective, from: Point, direction: Vector) {
    const slope = dot(from.gradient, direction);
    if (!(slope < 0)) {
      throw new MethodError(
        `line search: the slope along the direction is ${slope}, and must be below 0: no descent direction\n` +
          "  hint: the negative gradient is one, and so is −B g for any positive definite B",
      );
    }
    this.f = f;
    this.direction = direction;
    this.start = { length: 0, point: from, value: from.value, slope };
    this.noise = f.roundoff ** 0.75 * Math.abs(from.value);
  }

  async at(length: number): Promise<Trial> {
    const point = await this.f.at(this.point(length));
    this.tried.push({ length, value: point.value });
    return { length, point, value: point.value, slope: dot(point.gradient, this.direction) };
  }

  /** φ alone; +∞ where it is no number, so that it compares as worse than any. −∞ stays, as lower than any. */
  async value(length: number): Promise<number> {
    const value = await this.f.value(this.point(length));
    this.tried.push({ length, value });
    return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
  }

  /** φ″(0) */
  async curvature(): Promise<number> {
    const { x } = this.start.point;
    return dot(await this.f.hessianTimes(x, this.direction), this.direction);
  }

  private point(length: number): Vector {
    return plus(this.start.point.x, this.direction, length);
  }

  get roundoff(): number {
    return this.f.roundoff;
  }

  /** Whether steps that differ by so much lead to the same numbers. */
  vanishes(length: number): boolean {
    return Math.abs(length) * normMax(this.direction) <= this.f.roundoff * normMax(this.start.point.x);
  }

  /**
   * Armijo's condition against `reference`, the value at the start. Where values differ by their rounding alone it is
   * read off the slopes, which for a parabola is the same: Hager & Zhang 2005, "approximate Wolfe conditions". The slope
   * must have changed, so that no f creeps upwards whose gradient is wrong.
   */
  falls({ length, value, slope }: Trial, c1: number, reference = this.start.value): boolean {
    if (value - reference <= c1 * length * this.start.slope) return true;
    return Math.abs(value - this.start.value) <= this.noise && Math.abs(slope) <= (2 * c1 - 1) * this.start.slope;
  }

  /** How a search ends that found nothing lower. Throws where it found no number at all. */
  ended(): { readonly stuck: string } {
    const start = `from ${brief(this.start.value, 10)} with slope ${brief(this.start.slope)}`;
    const shown = [...new Set([...this.tried.slice(0, 2), ...this.tried.slice(-2)])];
    const some = shown.map(({ length, value }) => `${brief(length)} → ${brief(value, 10)}`).join(", ");
    if (!this.tried.some(({ value }) => Number.isFinite(value))) {
      throw new MethodError(
        `line search: f is not finite at any step length tried, ${start} (${some})\n` +
          "  hint: this may be the edge of where f is defined; begin further inside",
      );
    }
    return {
      stuck:
        `no step lowers f, ${start} (step → f: ${some}): either this is as low as rounding lets it be seen, ` +
        "or the gradient is not that of f, as with stopGradient",
    };
  }

  /** How a search ends that found no end of falling. */
  unbounded({ length, value }: Pick<Trial, "length" | "value">): { readonly stuck: string } {
    return {
      stuck: `f falls without end along a line: to ${value} at a step of ${brief(length)}; it has no minimum there`,
    };
  }
}

export const isSound = (t: Trial): boolean => Number.isFinite(t.value) && Number.isFinite(t.slope);

export const brief = (x: number, digits = 4): string => `${+x.toPrecision(digits)}`;
