/**
 * The lowest point along a line. Where f is a parabola along it, which one trial shows, the length is −φ′(0) / φ″(0) by a
 * Hessian-vector product; elsewhere it is found by Brent's method, to the root of the rounding error.
 */
import { type Found, type Line, mostTrials } from "./line.ts";

/** Throws where f is not finite at any length tried. */
export async function exact(line: Line, first: number): Promise<Found> {
  const curvature = await line.curvature();
  const newton = -line.start.slope / curvature;
  if (!(curvature > 0) || line.vanishes(newton)) return brent(line, first);
  const t = await line.at(newton);
  const level = Math.abs(t.slope) <= Math.sqrt(line.roundoff) * -line.start.slope;
  return level && line.falls(t, 0) ? { trial: t, wolfe: true } : brent(line, newton);
}

const golden = (3 - Math.sqrt(5)) / 2;
type Seen = { readonly length: number; readonly value: number };

/** R. P. Brent, "Algorithms for Minimization without Derivatives", 1973, chapter 5: golden sections and parabolas. */
async function brent(line: Line, first: number): Promise<Found> {
  const bracket = await bracketed(line, first);
  if ("stuck" in bracket) return bracket;
  let [low, best, high] = bracket;
  let [second, third] = low.value < high.value ? [low, high] : [high, low];
  const relative = Math.sqrt(line.roundoff);
  let before = high.length - low.length;
  let step = before;
  for (let k = 0; k < 2 * mostTrials; k++) {
    const middle = (low.length + high.length) / 2;
    const near = relative * best.length;
    if (Math.abs(best.length - middle) + (high.length - low.length) / 2 <= 2 * near) break;
    const towards = best.length < middle ? high.length - best.length : low.length - best.length;
    let next = parabola(best, second, third);
    const halved = Math.abs(next) < 0.5 * Math.abs(before);
    before = step;
    if (!halved || best.length + next <= low.length || best.length + next >= high.length) {
      before = towards;
      next = golden * towards;
    }
    const edge = Math.min(best.length + next - low.length, high.length - best.length - next);
    if (edge < 2 * near) next = near * Math.sign(middle - best.length);
    step = Math.abs(next) >= near ? next : near * Math.sign(next);
    const length = best.length + step;
    const t = { length, value: await line.value(length) };
    if (t.value === Number.NEGATIVE_INFINITY) return line.unbounded(t);
    const [side, other] = t.value <= best.value ? [best, t] : [t, best];
    if (side.length < other.length) low = side;
    else high = side;
    if (t.value <= best.value) [best, second, third] = [t, best, second];
    else if (t.value <= second.value || second === best) [second, third] = [t, second];
    else if (t.value <= third.value || third === best || third === second) third = t;
  }
  return { trial: await line.at(best.length), wolfe: true };
}

/** From the lowest of three to where the parabola through them is lowest; NaN where there is none. */
function parabola(x: Seen, w: Seen, v: Seen): number {
  const r = (x.length - w.length) * (x.value - v.value);
  const q = (x.length - v.length) * (x.value - w.value);
  return (-0.5 * ((x.length - v.length) * q - (x.length - w.length) * r)) / (q - r);
}

/**
 * Three lengths, the middle one the lowest: back by tenths while f does not fall, on by the golden ratio while it does; or
 * why there are none.
 */
async function bracketed(line: Line, first: number): Promise<[Seen, Seen, Seen] | { readonly stuck: string }> {
  const start = { length: 0, value: line.start.value };
  let high: Seen = { length: first, value: await line.value(first) };
  if (high.value >= start.value) {
    for (let length = first / 10; line.tried.length < mostTrials && !line.vanishes(length); length /= 10) {
      const t = { length, value: await line.value(length) };
      if (t.value === Number.NEGATIVE_INFINITY) return line.unbounded(t);
      if (t.value < start.value) return [start, t, high];
      high = t;
    }
    return line.ended();
  }
  let low: Seen = start;
  let middle = high;
  for (let k = 0; k < 2 * mostTrials; k++) {
    if (middle.value === Number.NEGATIVE_INFINITY) break;
    const length = middle.length + (middle.length - low.length) / golden;
    high = { length, value: await line.value(length) };
    if (high.value >= middle.value) return [low, middle, high];
    [low, middle] = [middle, high];
  }
  return line.unbounded(middle);
}
