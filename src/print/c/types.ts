/** The types of C that hold the dtypes, and a bfloat16 in memory. */
import type { Storage } from "../../ir/dtype.ts";

export const types: Record<Storage, string> = {
  f32: "float",
  f64: "double",
  i32: "int",
  u32: "unsigned",
  bool: "unsigned char",
  bf16: "unsigned short",
};
