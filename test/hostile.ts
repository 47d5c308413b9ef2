/** Readers and bytes that nobody meant well with: whatever they are, they are read, or refused with a DownhillError. */
import fc from "fast-check";
import { expect } from "vitest";
import { DownhillError } from "../src/ir/fail.ts";

/**
 * What `read` makes of the bytes, undefined where it refuses them. Fails at any other error, and where more is allocated
 * for numbers than 16 times the bytes there are and `slack`: memory that was collected meanwhile is not seen, so a failure is none of
 * chance, and a claim of gigabytes shows.
 */
export function orRefused<T>(read: (bytes: Uint8Array) => T, bytes: Uint8Array, slack = 2 ** 18): T | undefined {
  const before = process.memoryUsage().arrayBuffers;
  let out: T | undefined;
  try {
    out = read(bytes);
  } catch (error) {
    if (!(error instanceof DownhillError)) throw error;
    expect(error.message.length).toBeLessThan(4000);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * bytes.length + slack);
  return out;
}

/** Every beginning of a file but the whole: the reader must refuse each. */
export function expectRefusedWhenCut(read: (bytes: Uint8Array) => unknown, file: Uint8Array): void {
  for (let n = 0; n < file.length; n++) {
    if (orRefused(read, file.subarray(0, n)) !== undefined)
      expect.fail(`the first ${n} of ${file.length} bytes were read`);
  }
}

/** A good file with bytes changed, cut off or added. */
export function damaged(file: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.nat(file.length - 1);
  const changes = fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 });
  return fc.tuple(changes, fc.option(place), fc.uint8Array({ maxLength: 4 })).map(([list, cut, tail]) => {
    const bytes = Uint8Array.from([...file.subarray(0, cut ?? undefined), ...tail]);
    for (const [at, to] of list) if (at < bytes.length) bytes[at] = to;
    return bytes;
  });
}
