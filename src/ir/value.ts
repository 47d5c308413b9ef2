/** A tensor with its numbers, on the host: what goes into a program and what comes out. */
import { type Arrays, type DType, dtypes } from "./dtype.ts";
import { fail } from "./fail.ts";
import { type Shape, size } from "./shape.ts";

export type Value<D extends DType = DType> = {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: Arrays[D];
};

/**
 * Numbers with a shape: `value([2, 3], [1, 2, 3, 4, 5, 6])`, f32 unless `dtype` says otherwise. A typed array of the
 * right kind is kept, not copied. Throws when the count differs from the shape's.
 */
export function value<D extends DType = "f32">(
  shape: Shape,
  data: ArrayLike<number>,
  dtype: D = "f32" as D,
): Value<D> {
  const n = size(shape);
  if (data.length !== n) fail(`value: ${dtype}[${shape}] has ${n} elements, got ${data.length} numbers`);
  const kind = dtypes[dtype].array;
  if (data instanceof kind) return { dtype, shape, data: data as Arrays[D] };
  const copy = new kind(n);
  for (let k = 0; k < n; k++) copy[k] = data[k]!;
  return { dtype, shape, data: copy as Arrays[D] };
}

export const isValue = (x: unknown): x is Value =>
  typeof x === "object" && x !== null && "dtype" in x && "shape" in x && "data" in x && ArrayBuffer.isView(x.data);
