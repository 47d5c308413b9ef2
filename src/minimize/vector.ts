/** Vectors on the host, where the methods think: always doubles, and never written to once they are made. */

export type Vector = Float64Array<ArrayBuffer>;

export function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

export const norm = (a: Vector): number => Math.sqrt(dot(a, a));

export function norm1(a: Vector): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += Math.abs(a[k]!);
  return sum;
}

export function normMax(a: Vector): number {
  let top = 0;
  for (let k = 0; k < a.length; k++) top = Math.max(top, Math.abs(a[k]!));
  return top;
}

/** a + c·b */
export function plus(a: Vector, b: Vector, c = 1): Vector {
  const out = new Float64Array(a.length);
  for (let k = 0; k < a.length; k++) out[k] = a[k]! + c * b[k]!;
  return out;
}

export const minus = (a: Vector, b: Vector): Vector => plus(a, b, -1);

/** c·a */
export function times(a: Vector, c: number): Vector {
  const out = new Float64Array(a.length);
  for (let k = 0; k < a.length; k++) out[k] = c * a[k]!;
  return out;
}
