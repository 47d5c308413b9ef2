/**
 * The square roots of 16 floats at once with AVX-512, from the processor's estimate to 14 bits: one step of Newton's method
 * on it and its reciprocal together, and one on the remainder (Markstein 1990). The result is the nearest float, as the
 * square root instruction gives it; a test looks at all mantissas. Numbers are scaled by 2⁸⁸, so that the remainders of
 * the smallest are no denormals. To them is added what only 0 notices, whose reciprocal would be infinite; its root is taken
 * away again. For the negative, the infinite and those from 2³⁶ on there is the instruction.
 */
export const roots = `static inline __attribute__((always_inline)) void dh_roots(float *restrict a) {
#if defined(__AVX512F__)
  typedef float vf __attribute__((vector_size(64)));
  typedef int vi __attribute__((vector_size(64)));
  typedef float memory __attribute__((vector_size(64), aligned(4), may_alias));
  const vf zero = {}, large = zero + 0x1p36f;
  const vf x = *(memory *)a, z = x * 0x1p88f + 0x1p-126f;
  const unsigned short safe = __builtin_ia32_ucmpd512_mask((vi)x, (vi)large, 1, -1);
  vf y = __builtin_ia32_rsqrt14ps512_mask(z, zero, -1), g = z * y, h = y * .5f;
  const vf e = .5f - g * h;
  g = g * e + g;
  h = h * e + h;
  g = (z - g * g) * h + g;
  vf s = g * 0x1p-44f - 0x1p-107f;
  if (__builtin_expect(safe != 0xffff, 0)) __asm__("vsqrtps %1, %0" : "=v"(s) : "v"(x));
  *(memory *)a = s;
#else
  for (int k = 0; k < 16; k++) a[k] = __builtin_sqrtf(a[k]);
#endif
}
`;
