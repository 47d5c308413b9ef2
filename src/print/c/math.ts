/**
 * Elementary functions in C. In f32 they are branch-free plain text that -O3 turns into full-width vectors, with no libm
 * and no headers: a range reduction, a polynomial, and selects for the special inputs. In f64 they are libm's, declared by
 * hand, and found in the process.
 *
 * Two rules keep them right under `-fassociative-math`. What must not be reassociated is a fused multiply-add, `DH_EXACT`
 * where a range reduction rests on it and `DH_FMA` elsewhere; machines without the instruction take the first in f64 and the
 * second in two roundings. And a sign, an infinity or a NaN is put in by bits or by a select, never left to arithmetic.
 */

export type MathFunction = "exp" | "expm1" | "log" | "log1p" | "sin" | "cos" | "tanh" | "erf";

type Row = {
  /** Name of the C function of one float. */
  readonly f32: string;
  /** Name of the C function of one double: libm's. */
  readonly f64: string;
  /** Definition of the f32 function. */
  readonly text: string;
  /** Functions its text calls. */
  readonly needs: readonly MathFunction[];
  /**
   * Bound on the error of the f32 function in units in the last place, with and without a fused multiply-add; a test holds
   * it. For sin and cos of 2¹⁸ and more, 4e-10 comes on top; exp is 0 below 2⁻¹²⁶, and erf and expm1 of less than 1e-37
   * may be off by 2⁻¹²⁶, where a number on the way would be denormal.
   */
  readonly ulps: number;
};

/** What a file needs to call the f32 and f64 forms of `used`: each definition once, after those it rests on. */
export function mathPrelude(used: Iterable<MathFunction>): string {
  const wanted = new Set<MathFunction>();
  const want = (name: MathFunction) => {
    mathFunctions[name].needs.forEach(want);
    wanted.add(name);
  };
  for (const name of used) want(name);
  if (wanted.size === 0) return "";
  return [
    support,
    ...[...wanted].map((name) => `double ${mathFunctions[name].f64}(double);\n${mathFunctions[name].text}`),
  ].join("\n");
}

// Conversions and rounding without a call: rintf is one instruction from SSE4.1 on, and before it a conversion to int.
const support = `#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define DH_FMA __builtin_fmaf
#define DH_EXACT __builtin_fmaf
#else
#define DH_FMA(a, b, c) ((a) * (b) + (c))
#define DH_EXACT(a, b, c) ((float)((double)(a) * (b) + (c)))
#endif
#if defined(__SSE4_1__) || defined(__aarch64__)
#define DH_ROUND __builtin_rintf
#else
#define DH_ROUND(x) ((float)(int)((x) + ((x) < 0.f ? -.5f : .5f)))
#endif
#define DH_INFINITY __builtin_inff()
#define DH_NAN __builtin_nanf("")
static inline float dh_float(int bits) { union { int i; float f; } u; u.i = bits; return u.f; }
static inline int dh_bits(float x) { union { int i; float f; } u; u.f = x; return u.i; }
static inline float dh_power(int k) { return dh_float((int)((unsigned)(k + 127) << 23)); }
static inline float dh_abs(float x) { return dh_float(dh_bits(x) & 0x7fffffff); }
static inline float dh_signed(float x, float sign) {
  return dh_float((dh_bits(x) & 0x7fffffff) | (dh_bits(sign) & ~0x7fffffff));
}
`;

// e^r - 1 - r = r² P(r) on |r| <= ln 2 / 2, after x = n ln 2 + r. Cephes, expf; P in pairs, as a processor waits for each
// multiply-add that needs the one before. Adding 1.5 · 2²³ rounds to an integer, and leaves it in the lowest bits.
const reduceExp = `  float shifted = DH_FMA(x, 1.44269504f, 12582912.f), n = shifted - 12582912.f;
  float r = DH_EXACT(n, -1.42860677e-6f, DH_EXACT(n, -0.693145752f, x)), s = r * r;
  float p = DH_FMA(DH_FMA(1.98756915e-4f, r, 1.39819995e-3f), s, DH_FMA(8.33345191e-3f, r, 4.16657959e-2f));
  p = DH_FMA(DH_FMA(p, s, DH_FMA(1.66666655e-1f, r, 5.00000012e-1f)), s, r);`;

// E + 1 = (1 + v/4)⁴ of a v that is a polynomial, so that E = v + v² (3/8 + v/16 + v²/256) is right to its last digits
// where it is small, and neither a range reduction nor an exponential is needed where it is large.
const fourthPower = (v: string) => `${v} * ${v}, DH_FMA(DH_FMA(.00390625f, ${v}, .0625f), ${v}, .375f)`;

// log(1 + f) = f - f²/2 + f³ P(f) on sqrt(1/2) <= 1 + f < sqrt(2). Cephes, logf. k ln 2 is added in two parts.
const finishLog = `  float z = f * f, p = 7.0376836292e-2f;
  p = DH_FMA(p, f, -1.1514610310e-1f); p = DH_FMA(p, f, 1.1676998740e-1f); p = DH_FMA(p, f, -1.2420140846e-1f);
  p = DH_FMA(p, f, 1.4249322787e-1f); p = DH_FMA(p, f, -1.6668057665e-1f); p = DH_FMA(p, f, 2.0000714765e-1f);
  p = DH_FMA(p, f, -2.4999993993e-1f); p = DH_FMA(p, f, 3.3333331174e-1f);
  float t = DH_FMA(-.5f, z, DH_FMA((float)k, -2.12194440e-4f, p * f * z));
  float y = DH_FMA((float)k, 0.693359375f, f + t);`;

// 2/π · 2⁻⁷ as a binary fraction in words of 32 bits. The seven zeros let an f32 of 2¹⁸ or more start at bit 0.
const twoOverPi = (() => {
  const pi = 314159265358979323846264338327950288419716939937510582097494459230781640628620899n;
  const fraction = ((2n * 10n ** 80n) << 185n) / pi;
  return Array.from({ length: 6 }, (_, i) => `0x${((fraction >> BigInt(160 - 32 * i)) & 0xffffffffn).toString(16)}u`);
})();

/** Word i + `from` of it, i = 0 … 3. */
const word = (from: number) =>
  `i < 2 ? (i < 1 ? ${twoOverPi[from]} : ${twoOverPi[from + 1]}) : (i < 3 ? ${twoOverPi[from + 2]} : ${twoOverPi[from + 3]})`;

export const mathFunctions: Record<MathFunction, Row> = {
  exp: {
    f32: "dh_exp_f32",
    f64: "exp",
    needs: [],
    ulps: 1.5,
    // 2ⁿ is added to the exponent of e^r. Beyond either end of the normal floats the result is put in: below, it is 0, as
    // programs run in a mode in which nothing is denormal. x + ∞ is one, or NaN.
    text: `static inline float dh_exp_f32(float x) {
${reduceExp}
  float y = dh_float((int)((unsigned)dh_bits(1.f + p) + ((unsigned)dh_bits(shifted) << 23)));
  y = x <= 88.72283f ? y : x + DH_INFINITY;
  return x < -87.33654f ? 0.f : y;
}
`,
  },
  expm1: {
    f32: "dh_expm1_f32",
    f64: "expm1",
    needs: [],
    ulps: 2.5,
    // 2ⁿ(e^r - 1) + (2ⁿ - 1), halved so that n = 128 still has a scale. x has the sign of the result, -0 included.
    text: `static inline float dh_expm1_f32(float x) {
${reduceExp}
  float scale = dh_power(dh_bits(shifted) - 0x4b400001);
  float y = 2.f * DH_EXACT(p, scale, scale - .5f);
  y = x > 89.f ? DH_INFINITY : y;
  y = x < -30.f ? 1.f : y;
  return dh_signed(y, x);
}
`,
  },
  log: {
    f32: "dh_log_f32",
    f64: "log",
    needs: [],
    ulps: 2,
    text: `static inline float dh_log_f32(float x) {
  int tiny = x < 1.17549435e-38f;
  int bits = dh_bits(tiny ? x * 8388608.f : x) - 0x3f3504f3, k = (bits >> 23) - (tiny ? 23 : 0);
  float f = dh_float((bits & 0x007fffff) + 0x3f3504f3) - 1.f;
${finishLog}
  y = x == DH_INFINITY ? x : y;
  y = x == 0.f ? -DH_INFINITY : y;
  return x >= 0.f ? y : DH_NAN;
}
`,
  },
  log1p: {
    f32: "dh_log1p_f32",
    f64: "log1p",
    needs: [],
    ulps: 2.5,
    // 1 + x = 2ᵏ(1 + f) with f = x 2⁻ᵏ + (2⁻ᵏ - 1), which loses nothing of a small x: there k = 0 and f = x;
    // of a large one, the 1 is nothing.
    text: `static inline float dh_log1p_f32(float x) {
  int bits = dh_bits(1.f + x) - 0x3f3504f3, k = bits >> 23;
  float scale = dh_power(-k), f = DH_FMA(x, scale, scale - 1.f);
  f = k == 0 ? x : f;
  f = k > 64 ? dh_float((bits & 0x007fffff) + 0x3f3504f3) - 1.f : f;
${finishLog}
  y = x == DH_INFINITY ? x : y;
  y = x == -1.f ? -DH_INFINITY : dh_signed(y, x);
  return x >= -1.f ? y : DH_NAN;
}
`,
  },
  sin: {
    f32: "dh_sin_f32",
    f64: "sin",
    needs: [],
    ulps: 3,
    // |x| = q π/2 + r with |r| <= π/4 and a little. Below 2¹⁸ in three fused steps; above, x is an integer m of 24 bits times
    // a power of two, and m times 64 bits of 2/π from that place on is the angle in full circles, in integers modulo 2⁶⁴
    // (Payne and Hanek), right to 4e-10. `quarters` is added to q. The polynomials are Cephes' sinf and cosf.
    text: `static inline float dh_circle(float a, int quarters) {
  float q = DH_ROUND(a * 6.36619772e-1f);
  float near = DH_EXACT(q, 1.71512451e-15f, DH_EXACT(q, 4.37113883e-8f, DH_EXACT(q, -1.57079637f, a)));
  int bits = dh_bits(a), e = (bits >> 23) - 145;
  e = e < 0 ? 0 : e; e = e > 109 ? 109 : e;
  int i = e >> 5, s = e & 31;
  unsigned w0 = ${word(0)};
  unsigned w1 = ${word(1)};
  unsigned w2 = ${word(2)};
  unsigned h = w0 << s | w1 >> 1 >> (31 - s), l = w1 << s | w2 >> 1 >> (31 - s);
  unsigned m = (bits & 0x007fffff) | 0x00800000, low = m * l, high = m * h + (unsigned)((unsigned long long)m * l >> 32);
  float far = (float)(int)(high << 2 | low >> 30) * 3.657295198167899e-10f;
  int nearby = (int)q, distant = (int)((high + 0x20000000u) >> 30);
  float r = a < 262144.f ? near : far;
  quarters += a < 262144.f ? nearby : distant;
  float z = r * r;
  float sine = DH_FMA(DH_FMA(DH_FMA(-1.9515295891e-4f, z, 8.3321608736e-3f), z, -1.6666654611e-1f), z * r, r);
  float cosine = DH_FMA(DH_FMA(DH_FMA(2.4433157118e-5f, z, -1.3887316255e-3f), z, 4.1666645683e-2f), z * z, DH_FMA(-.5f, z, 1.f));
  int y = dh_bits(quarters & 1 ? cosine : sine) ^ (quarters & 2) << 30;
  return a < DH_INFINITY ? dh_float(y) : DH_NAN;
}
static inline float dh_sin_f32(float x) { return dh_float(dh_bits(dh_circle(dh_abs(x), 0)) ^ (dh_bits(x) & ~0x7fffffff)); }
`,
  },
  cos: {
    f32: "dh_cos_f32",
    f64: "cos",
    needs: ["sin"],
    ulps: 3,
    text: `static inline float dh_cos_f32(float x) { return dh_circle(dh_abs(x), 1); }
`,
  },
  tanh: {
    f32: "dh_tanh_f32",
    f64: "tanh",
    needs: [],
    ulps: 4,
    // E / (E + 2) with E = e²ˣ − 1; v is a minimax fit of 4 (e^(|2x|/4) − 1), exact up to x². From 9.01 on the quotient is 1.
    text: `static inline float dh_tanh_f32(float x) {
  float a = dh_abs(x + x), s = a * a;
  float low = DH_FMA(DH_FMA(3.22082014e-5f, a, 6.5145432e-4f), s, DH_FMA(1.04164947e-2f, a, .125f));
  float high = DH_FMA(3.46619977e-9f, s, DH_FMA(2.44905909e-8f, a, 1.48690174e-6f));
  float v = DH_FMA(DH_FMA(high, s * s, low), s, a);
  float e = DH_FMA(${fourthPower("v")}, v), y = e / (e + 2.f);
  return dh_signed(a > 18.02f ? 1.f : y, x);
}
`,
  },
  erf: {
    f32: "dh_erf_f32",
    f64: "erf",
    needs: [],
    ulps: 3.5,
    // 1 − erfc |x| = E / (E + 1) with E = 1 / erfc |x| − 1; v is a minimax fit of 4 (erfc^(-1/4) |x| − 1), which is hardly
    // more than |x|: what it is more is added at the end. From 3.92 on the quotient is 1.
    text: `static inline float dh_erf_f32(float x) {
  float a = dh_abs(x), s = a * a, w = s * s;
  float low = DH_FMA(DH_FMA(8.64805654e-2f, a, 2.97372907e-1f), s, DH_FMA(7.9577297e-1f, a, 1.28379166e-1f));
  float high = DH_FMA(DH_FMA(-4.54647467e-3f, a, 7.82244466e-3f), s, DH_FMA(4.67907358e-3f, a, 3.34110036e-2f));
  float top = DH_FMA(1.08590939e-4f, s, DH_FMA(-7.52754044e-4f, a, 2.80267303e-3f));
  float more = DH_FMA(DH_FMA(top, w, high), w, low) * a, v = a + more;
  float e = a + DH_FMA(${fourthPower("v")}, more), y = e / (e + 1.f);
  return dh_signed(a > 3.92f ? 1.f : y, x);
}
`,
  },
};
