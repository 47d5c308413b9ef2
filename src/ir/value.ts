/** A tensor with its numbers, on the host: what goes into a program and what comes out. */
import { type Arrays, type DType, dtypes, type Storage, storages } from "./dtype.ts";
import { fail } from "./fail.ts";
import { type Shape, size } from "./shape.ts";

export class Value<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: Shape;
  readonly data: Arrays[D];

  constructor(dtype: D, shape: Shape, data: Arrays[D]) {
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  toString(): string {
    return `${this.dtype}[${this.shape}]`;
  }
}

/**
 * Numbers with a shape: `value([2, 3], [1, 2, 3, 4, 5, 6])`, f32 unless `dtype` says otherwise. A typed array of the
 * right kind is kept, not copied. Throws when the count differs from the shape's.
 */
export function value<D extends DType = "f32">(shape: Shape, data: ArrayLike<number>, dtype: D = "f32" as D): Value<D> {
  const n = size(shape);
  if (data.length !== n) fail(`value: ${dtype}[${shape}] has ${n} elements, got ${data.length} numbers`);
  const kind = dtypes[dtype].array;
  if (data instanceof kind) return new Value(dtype, shape, data as Arrays[D]);
  const copy = new kind(n);
  for (let k = 0; k < n; k++) copy[k] = data[k]!;
  return new Value(dtype, shape, copy as Arrays[D]);
}

/** Zeros that nobody has looked at. */
const blanks = new WeakSet<Value>();

/**
 * Zeros, of which nothing is made before somebody asks for `data`: the first state of an optimizer, twice as large as the
 * network, goes into a run without having been in memory.
 */
export function zeros<D extends DType>(dtype: D, shape: Shape): Value<D> {
  const v = lazy(dtype, shape, () => {
    blanks.delete(v);
    return new dtypes[dtype].array(size(shape)) as Arrays[D];
  });
  blanks.add(v);
  return v;
}

/** A Value whose numbers are made, or looked for, when somebody asks for them. */
export function lazy<D extends DType>(dtype: D, shape: Shape, make: () => Arrays[D]): Value<D> {
  const v = new Value(dtype, shape, new dtypes[dtype].array(0) as Arrays[D]);
  let data: Arrays[D] | undefined;
  const get = () => {
    data ??= make();
    return data;
  };
  Object.defineProperty(v, "data", { get, enumerable: true });
  return v;
}

/** Whether it is known to be zeros without a look at them. */
export const isBlank = (v: Value): boolean => blanks.has(v);

/** Bytes that so many numbers take. */
export const bytesOf = ({ dtype, shape, storage = dtype }: Stored): number => storages[storage].bytes * size(shape);
type Stored = { readonly dtype: DType; readonly shape: Shape; readonly storage?: Storage };
