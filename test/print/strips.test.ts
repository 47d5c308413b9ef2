/** Roots beside divisions, over lengths that are whole strips and that are not, against plain arithmetic. */
import { expect, test } from "vitest";
import type { Tensor } from "../../src/ir/tensor.ts";
import { value } from "../../src/ir/value.ts";
import { jit } from "../../src/run/jit.ts";
import { backends } from "../backends.ts";

const special = [0, Infinity, Number.NaN, -1, 2 ** -126, 2 ** 100, 3.4e38];
const under = (k: number) => (k % 5 === 0 ? special[(k / 5) % special.length]! : 1 + ((k * 37) % 101) / 7);

test.each(backends.flatMap((b) => [31, 32, 100, 1024].map((n) => [b, n] as const)))(
  "%s, %i elements",
  async (backend, n) => {
    const of = jit((a: Tensor, v: Tensor) => ({ y: a.div(v.sqrt().add(1e-8)), twice: v.sqrt().add(1).sqrt().mul(a) }), {
      backend,
    });
    const [a, v] = [
      Float32Array.from({ length: n }, (_, k) => (k % 9) - 4),
      Float32Array.from({ length: n }, (_, k) => under(k)),
    ];
    const { y, twice } = await of(value([n], a), value([n], v));
    for (let k = 0; k < n; k++) {
      near(y.data[k]!, a[k]! / (Math.sqrt(v[k]!) + 1e-8));
      near(twice.data[k]!, Math.sqrt(Math.sqrt(v[k]!) + 1) * a[k]!);
    }
  },
);

function near(got: number, expected: number): void {
  if (Number.isFinite(expected)) expect(Math.abs(got - expected)).toBeLessThanOrEqual(3e-7 * Math.abs(expected));
  else expect(got).toBe(expected);
}
