/** Which backend runs. Without a compiler everything works on JavaScript, and a line says why and what to install. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Tensor, value, valueAndGrad } from "../../src/ir/index.ts";
import type { Backend, BackendName } from "../../src/run/backend.ts";
import { jit } from "../../src/run/jit.ts";
import { Run } from "../../src/run/run.ts";
import { hasNative } from "../backends.ts";
import { distance, draw } from "../ir/numbers.ts";

/** The module as a process sees it that starts with this CC: what it has found out before is forgotten. */
async function started(CC: string) {
  vi.stubEnv("CC", CC);
  vi.resetModules();
  return import("../../src/run/select.ts");
}
beforeEach(() => void vi.resetModules());
afterEach(() => void vi.unstubAllEnvs());

describe("a compiler that is not there", () => {
  test("auto: JavaScript, with one line that names the reason and the remedy", async () => {
    const { selectBackend } = await started("/nonexistent/cc");
    const { backend, note } = await selectBackend("auto");
    expect(backend.name).toBe("js");
    expect(note).toMatch(/^running on plain JavaScript, which is slow: .*\/nonexistent\/cc.*; .+/);
    expect(note).not.toContain("\n");
    expect((await selectBackend()).note).toBe(note);
  });

  test("native, asked for by name, is refused with the same reason", async () => {
    const { selectBackend } = await started("/nonexistent/cc");
    await expect(selectBackend("native")).rejects.toThrow(/^backend native: .*\/nonexistent\/cc/);
    expect((await selectBackend("js")).note).toBeUndefined();
  });
});

test("a backend that does not exist", async () => {
  const { selectBackend } = await import("../../src/run/select.ts");
  await expect(selectBackend("cuda" as BackendName)).rejects.toThrow(
    /there is no "cuda"\n {2}hint: choose one of: auto, native, js/,
  );
  // As a program without types may give it.
  await expect(Run.start({}, { backend: null as never })).rejects.toThrow(/expected a name or a Backend, got null\n/);
  await expect(Run.start({}, { backend: {} as Backend })).rejects.toThrow(/backend: .*an empty object\n/);
});

test.runIf(hasNative)("20 steps of a small network: what JavaScript gives, native gives in f32", async () => {
  type P = { w1: Tensor; b1: Tensor; w2: Tensor };
  const losses = async (backend: BackendName) => {
    const run = await Run.start(
      { w1: draw([6, 8], "f32"), b1: draw([8], "f32"), w2: draw([8, 2], "f32", -1, 1, 9) },
      { backend },
    );
    const loop = run.loop((s: P, f: { x: Tensor; y: Tensor }) => {
      const [loss, g] = valueAndGrad((p: P) => f.x.matmul(p.w1).add(p.b1).tanh().matmul(p.w2).sub(f.y).square().mean())(
        s,
      );
      const next = (k: keyof P) => s[k].sub(g[k].mul(0.1));
      return { state: { w1: next("w1"), b1: next("b1"), w2: next("w2") }, output: { loss } };
    });
    const { output } = await loop.take(20, {
      x: draw([20, 16, 6], "f32"),
      y: value(
        [20, 16, 2],
        draw([20, 16, 2], "f32").data.map((v) => v * v),
      ),
    });
    return [...output.loss.data, ...run.state().w1.data];
  };
  expect(distance(await losses("native"), await losses("js"))).toBeLessThan(1e-5);
});

test("options that do not exist are told by name", async () => {
  const misspelt = { thread: 2, precison: "bf16" };
  await expect(Run.start({}, misspelt as object)).rejects.toThrow(
    /Run.start: there is no option thread\n.*backend, threads/,
  );
  expect(() => jit((x: Tensor) => x, misspelt as object)).toThrow(/jit: there is no option thread/);
  const run = await Run.start({}, { backend: "js" });
  expect(() => run.loop(() => ({ output: {} }), misspelt as object)).toThrow(
    /loop: there is no option thread\n.*data, precision/,
  );
});
