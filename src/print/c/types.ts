/** The types of C that hold the dtypes, floats of 16 bits in memory, and multiply-adds that round alike everywhere. */
import type { Storage } from "../../ir/dtype.ts";

export const types: Record<Storage, string> = {
  f32: "float",
  f64: "double",
  i32: "int",
  u32: "unsigned",
  bool: "unsigned char",
  bf16: "unsigned short",
  f16: "unsigned short",
};

/**
 * `dh_fma_f32`, `dh_fma_f64`: one rounding where the machine has that. Of `a * b + c` a compiler makes one rounding in a
 * loop's rest and two in its body, or the other way round.
 */
export const multiplyAdds = `#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define dh_fma_f32(a, b, c) __builtin_fmaf(a, b, c)
#define dh_fma_f64(a, b, c) __builtin_fma(a, b, c)
#else
#define dh_fma_f32(a, b, c) ((a) * (b) + (c))
#define dh_fma_f64(a, b, c) ((a) * (b) + (c))
#endif
`;
