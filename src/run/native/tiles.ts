/**
 * The leave to compute on tiles (AMX). Linux gives their 8 KB of registers only to a process that has asked, because its
 * threads' states grow by them. To ask is a system call, which an older kernel or a sandbox refuses and which never crashes;
 * it holds for this process and the threads that it has and will have.
 */
import type { Bf16 } from "../../print/c/bf16.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import type { Compiler } from "./compiler.ts";
import { NativeBlock } from "./memory.ts";

// arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), without headers: they may be older than the kernel.
const text = `void dh_ask(long *answer, void *none, void *nothing) {
  long result = 158;
  __asm__ volatile("syscall" : "+a"(result) : "D"(0x1023L), "S"(18L) : "rcx", "r11", "memory");
  *answer = result;
}
`;

let granted: boolean | undefined;

/** What this process may multiply bfloat16 with: what the compiler and the CPU have, tiles only where the system gives them. */
export function unitFor({ bf16 }: Compiler): Bf16 {
  if (bf16 !== "amx") return bf16;
  granted ??= ask();
  return granted ? "amx" : "avx512";
}

function ask(): boolean {
  const binding = loadBinding();
  const { path } = compileToObject([{ text, optimize: "-O2" }]);
  const answer = new NativeBlock(8);
  binding.call(binding.sym(binding.open(path), "dh_ask"), answer.address, 0, 0);
  return new BigInt64Array(answer.view(0, 8))[0] === 0n;
}
