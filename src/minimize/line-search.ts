/**
 * Line searches by derivatives: a step is long enough and not too long. Nocedal & Wright, "Numerical Optimization", 2nd
 * edition 2006, chapter 3. Where f is not a number they shrink back.
 */
import { type Found, isSound, type Line, mostTrials, type Trial } from "./line.ts";

/** c1: how much of the slope at the start a step must realise; c2: how much of it may be left at the end. */
export type Wolfe = { readonly c1: number; readonly c2: number };

/**
 * A step with the strong Wolfe conditions φ(a) ≤ φ(0) + c1 a φ′(0) and |φ′(a)| ≤ c2 |φ′(0)|: algorithms 3.5 and 3.6, next
 * lengths from the cubic through two trials (3.59).
 */
export async function strongWolfe(line: Line, first: number, { c1, c2 }: Wolfe): Promise<Found> {
  const flat = (t: Trial) => Math.abs(t.slope) <= -c2 * line.start.slope;
  let last = line.start;
  let length = first;
  while (line.tried.length < mostTrials) {
    const t = await line.at(length);
    if (t.value === Number.NEGATIVE_INFINITY) return line.unbounded(t);
    if (!isSound(t) || !line.falls(t, c1) || (last.length > 0 && t.value >= last.value + line.noise)) {
      return zoom(line, last, t, c1, flat);
    }
    if (flat(t)) return { trial: t, wolfe: true };
    if (t.slope >= 0) return zoom(line, t, last, c1, flat);
    length = clamp(cubic(last, t), t.length + 0.01 * (t.length - last.length), 10 * t.length);
    last = t;
  }
  return line.unbounded(last);
}

/** Algorithm 3.6: `low` falls and is the lowest so far, and between it and `high` there is a step with both conditions. */
async function zoom(line: Line, low: Trial, high: Trial, c1: number, flat: (t: Trial) => boolean): Promise<Found> {
  let widths = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  while (line.tried.length < mostTrials) {
    const width = high.length - low.length;
    if (line.vanishes(width)) break;
    // A cubic may creep along one end: where two trials have not cut the bracket to two thirds, half of it is taken.
    const creeps = Math.abs(width) > 0.66 * widths[0]!;
    widths = [widths[1]!, Math.abs(width)];
    const t = await line.at(low.length + width * (isSound(high) ? inside(low, high, creeps) : 0.1));
    if (!isSound(t) || !line.falls(t, c1) || t.value >= low.value + line.noise) high = t;
    else {
      if (flat(t)) return { trial: t, wolfe: true };
      if (t.slope * (high.length - low.length) >= 0) high = low;
      low = t;
    }
  }
  return lowest(line, low);
}

const lowest = (line: Line, low: Trial): Found =>
  low.value < line.start.value ? { trial: low, wolfe: false } : line.ended();

/** Where between low and high to look next, as a part of the way. */
function inside(low: Trial, high: Trial, creeps: boolean): number {
  if (creeps) return 0.5;
  return clamp((cubic(low, high) - low.length) / (high.length - low.length), 0.01, 0.99, 0.5);
}

/** The minimum of the cubic that has values and slopes of both; NaN where it has none. */
function cubic(a: Trial, b: Trial): number {
  const d1 = a.slope + b.slope - (3 * (a.value - b.value)) / (a.length - b.length);
  const d2 = Math.sign(b.length - a.length) * Math.sqrt(d1 * d1 - a.slope * b.slope);
  return b.length - ((b.length - a.length) * (b.slope + d2 - d1)) / (b.slope - a.slope + 2 * d2);
}

const clamp = (x: number, low: number, high: number, otherwise = high): number =>
  Number.isNaN(x) ? otherwise : Math.min(high, Math.max(low, x));

/**
 * Armijo's condition φ(a) ≤ reference + c1 a φ′(0), from `first` downwards: each next length is the minimum of the parabola
 * through φ(0), φ′(0) and φ(a), between a tenth and a half of the last. A reference above φ(0) lets f rise for a while.
 */
export async function armijo(line: Line, first: number, c1: number, reference = line.start.value): Promise<Found> {
  for (let length = first; line.tried.length < mostTrials && !line.vanishes(length); ) {
    const t = await line.at(length);
    if (isSound(t) && line.falls(t, c1, reference)) return { trial: t, wolfe: true };
    const { value, slope } = line.start;
    const parabola = (-slope * length) / (2 * (t.value - value - slope * length));
    length *= isSound(t) ? clamp(parabola, 0.1, 0.5) : 0.1;
  }
  return line.ended();
}
