/** Numbers on their way between Values and the memory of programs. */
import { type DType, dtypes } from "../ir/dtype.ts";
import { bytesOf, isBlank, type Value } from "../ir/value.ts";
import type { Backend, Memory } from "./backend.ts";

/** `fresh`: the memory is as it was allocated, so that zeros are there, and stay untouched where no step writes them. */
export function copyIn(memory: Memory, v: Value, at: number, fresh = false): void {
  const kind = dtypes[v.dtype].array;
  if (isBlank(v)) {
    if (!fresh) new Uint8Array(memory.buffer, at, bytesOf(v)).fill(0);
  } else if (v.data instanceof kind) memory.write(at, v.data);
  else new kind(memory.buffer, at, v.data.length).set(v.data); // a Value that was made by hand
}

export function copyOut<D extends DType>(memory: Memory, dtype: D, n: number, at: number, into?: Value) {
  const numbers = new dtypes[dtype].array(memory.buffer, at, n);
  if (into?.dtype !== dtype || into.data.length !== n) return numbers.slice();
  into.data.set(numbers);
  return into.data;
}

/** Memory of its own for these numbers. */
export function residentOf(backend: Backend, v: Value): Memory {
  const m = backend.allocate(bytesOf(v));
  copyIn(m, v, 0, true);
  return m;
}
