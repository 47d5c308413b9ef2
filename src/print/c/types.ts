/** The types of C that hold the dtypes, and floats of 16 bits in memory. */
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
