/**
 * Floats of 16 bits in C (ir/half.ts has their meaning), without branches, so that -O3 makes vectors of it:
 *   dh_bf16(x), dh_f16(x)             the nearest one, as a float
 *   dh_bf16_bits(x), dh_f16_bits(x)   two bytes of what has been rounded
 *   dh_from_bf16(b), dh_from_f16(b)   and the float that they hold
 *
 * By integers, with the halves below 2⁻¹⁴ as multiples of 2⁻²⁴, and not by `_Float16`: gcc 12 has the instructions of F16C
 * and AVX512-FP16 for one number at a time only, which is ten times slower. No denormal float is met on the way, so that
 * it does not matter how the thread treats them.
 */
export const halves = `typedef union { float f; unsigned i; } dh_word;
static inline float dh_bf16(float x) {
  dh_word u; u.f = x;
  u.i = x != x ? 0x7fc00000u : (u.i + 0x7fffu + (u.i >> 16 & 1u)) & 0xffff0000u;
  return u.f;
}
static inline unsigned short dh_bf16_bits(float x) { dh_word u; u.f = x; return u.i >> 16; }
static inline float dh_from_bf16(unsigned short b) { dh_word u; u.i = (unsigned)b << 16; return u.f; }
static inline float dh_f16(float x) {
  dh_word u, large; u.f = x;
  const unsigned sign = u.i & 0x80000000u, e = u.i & 0x7f800000u;
  u.i ^= sign;
  large.i = (e < 0x38800000u ? 0x38800000u : e > 0x47800000u ? 0x47800000u : e) + 0x06800000u; // floats beside it: halves beside x
  u.f = u.f + large.f - large.f;
  u.i = (u.f > 65504.0f ? 0x7f800000u : u.i) | sign;
  return u.f;
}
static inline unsigned short dh_f16_bits(float x) {
  dh_word u; u.f = x;
  const unsigned sign = u.i >> 16 & 0x8000u;
  u.i &= 0x7fffffffu;
  const unsigned small = (unsigned)(int)((u.i < 0x38800000u ? u.f : 0.0f) * 16777216.0f);
  const unsigned normal = u.i > 0x7f800000u ? 0x7e00u : u.i == 0x7f800000u ? 0x7c00u : (u.i - 0x38000000u) >> 13;
  return sign | (u.i < 0x38800000u ? small : normal);
}
static inline float dh_from_f16(unsigned short b) {
  dh_word u, small;
  const unsigned e = b & 0x7c00u;
  small.f = (float)(b & 0x3ff) * 5.9604644775390625e-8f;
  u.i = ((b & 0x7fffu) << 13) + (e == 0x7c00u ? 0x70000000u : 0x38000000u);
  u.i = (e == 0 ? small.i : u.i) | (b & 0x8000u) << 16;
  return u.f;
}
`;
