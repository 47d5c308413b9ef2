/** Square roots of vectors against the square root instruction, bit for bit. */
import { describe, expect, test } from "vitest";
import { roots } from "../../../src/print/c/roots.ts";
import { runProgram, targets } from "./program.ts";

// All mantissas of an even and an odd power of two, every 4099th float, and what is special: 0, ∞, NaN, −1, denormals.
const source = `${roots}
#include <stdio.h>
#include <string.h>
static unsigned wrong;
static void check(const unsigned *bits) {
  float x[16], y[16];
  memcpy(x, bits, 64);
  memcpy(y, bits, 64);
  dh_roots(y);
  for (int k = 0; k < 16; k++) {
    const float r = __builtin_sqrtf(x[k]);
    wrong += r == r ? memcmp(&r, &y[k], 4) != 0 : y[k] == y[k];
  }
}
static void range(unsigned from, unsigned to, unsigned step) {
  unsigned bits[16];
  for (unsigned at = from; at < to; at += 16 * step) {
    for (unsigned k = 0; k < 16; k++) bits[k] = at + k * step;
    check(bits);
  }
}
int main(void) {
  static const unsigned special[] = {0, 0x80000000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xbf800000u, 1, 0x007fffffu,
    0x00800000u, 0x7f7fffffu, 0x517fffffu, 0x51800000u, 0x1f7fffffu, 0x3f800000u};
  range(0x3f800000u, 0x40800000u, 1);
  range(0, 0x7f800000u, 4099);
  for (unsigned s = 0; s < sizeof special / 4; s++) {
    for (unsigned k = 0; k < 16; k++) {
      unsigned bits[16];
      for (unsigned j = 0; j < 16; j++) bits[j] = 0x3f800000u + j;
      bits[k] = special[s];
      check(bits);
    }
  }
  fwrite(&wrong, 4, 1, stdout);
}
`;

describe.skipIf(targets.length === 0)("roots of vectors (needs a C compiler)", () => {
  test.each(targets)("$name", async (target) => {
    const wrong = await runProgram(target, source, new Uint8Array(), "-O3");
    expect(wrong.readUInt32LE(0)).toBe(0);
  });
});
