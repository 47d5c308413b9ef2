/** The machine's ceilings: no timing is judged, only that what was measured is a rate and that the team's size is kept. */
import { expect, test } from "vitest";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { measureLimits, NativeLimiter } from "../../../src/run/native/limits.ts";

const compiler = probeCompiler();

test.skipIf(!compiler.found).each([1, 2])("the limits of %i threads", (threads) => {
  if (!compiler.found) return;
  const limiter = new NativeLimiter(compiler, threads);
  const arrays = new Float32Array(limiter.arrays.view());
  for (let k = 0; k < arrays.length; k += 1024) if (arrays[k] === 0) throw new Error(`${k} was never written`);
  for (const limits of [measureLimits(compiler, threads), limiter.sample()]) {
    expect(limits.threads).toBe(threads);
    // Below what any machine with a C compiler does, above what any can: a formula that is off by a thousand is outside.
    for (const [rate, least, most] of [
      [limits.flops, 1e8, 1e14],
      [limits.memory, 1e8, 1e13],
      [limits.cache, 1e8, 1e14],
    ] as const) {
      expect(rate).toBeGreaterThan(least);
      expect(rate).toBeLessThan(most);
    }
  }
  limiter.free();
  expect(() => limiter.sample()).toThrow("freed");
});
