/** Sizes of the axes, outermost first; row-major. [] is a scalar. */
export type Shape = readonly number[];

/** Number of elements. */
export const size = (s: Shape): number => s.reduce((a, b) => a * b, 1);

/** 0, 1, … rank − 1. */
export const axes = (s: Shape): number[] => s.map((_, k) => k);

export function sameShape(a: Shape, b: Shape): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return false;
  return true;
}

/** The axis counted from the front; −1 is the last. Undefined when there is no such axis. */
export function axisOf(s: Shape, axis: number): number | undefined {
  const k = axis < 0 ? axis + s.length : axis;
  return Number.isInteger(k) && k >= 0 && k < s.length ? k : undefined;
}

/** Elements between neighbours along each axis of a row-major tensor. */
export function strides(s: Shape): number[] {
  const out: number[] = [];
  let step = 1;
  for (let k = s.length - 1; k >= 0; k--) {
    out.unshift(step);
    step *= s[k]!;
  }
  return out;
}
