import { describe, expect, test } from "vitest";
import { value } from "../../../src/ir/index.ts";
import { probeCompiler } from "../../../src/run/native/compiler.ts";
import { Run, type Step } from "../../../src/run/run.ts";

const tiny = () => [1e-310].map((x) => x * 0.5)[0]; // not a constant that the host could fold

describe.skipIf(!probeCompiler().found)("native programs", () => {
  // any: feeds are Values outside and Tensors inside
  const halve: Step<{ x: any }, any, any, any> = (s, f) => ({ state: { x: s.x.mul(f.by) }, output: { x: s.x } });

  test("flush denormal results, and the host's own arithmetic stays as it was", async () => {
    const run = await Run.start({ x: value([2], [1e-37, 1]) }, { backend: "native" });
    const loop = run.loop(halve);
    const by = (n: number) => ({ by: value([n], Array(n).fill(0.5)) });
    await loop.take(1, by(1));
    expect(tiny()).toBe(5e-311);
    await loop.take(9, by(9));
    expect([...run.state().x.data]).toEqual([0, 2 ** -10]);
    for (const steps of [200_000, 200_000]) await loop.take(steps, by(steps)); // the second call leaves this thread
    expect(tiny()).toBe(5e-311);
  });
});
