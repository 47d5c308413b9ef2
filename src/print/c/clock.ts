/**
 * A clock beside each kernel, for a program that is profiled on one thread: what has passed since the last look at it is
 * added to the kernel that has just returned, so that nothing of a step is lost between two. A look takes some 10 ns.
 *
 *   void dh_laps(double *out)    ticks of each kernel, then those between steps, since it was asked last
 */
import type { Kernel, Program } from "../../compile/program.ts";

export class Clock {
  private readonly kernels: readonly Kernel[];

  constructor({ kernels }: Program) {
    this.kernels = kernels;
  }

  /** The statement at the beginning of a call: what the host did since the last one is nobody's. */
  readonly begin = "dh_last = 0;";

  /** The statement after a kernel; without one, at the beginning of a step. */
  lap(kernel?: Kernel): string {
    return `dh_lap(${kernel ? this.kernels.indexOf(kernel) : this.kernels.length});`;
  }

  get text(): string {
    const n = this.kernels.length + 1;
    return `#if defined(__x86_64__)
static inline unsigned long long dh_ticks(void) { return __builtin_ia32_rdtsc(); }
#elif defined(__aarch64__)
static inline unsigned long long dh_ticks(void) { unsigned long long t; __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t)); return t; }
#else
extern long clock(void);
static inline unsigned long long dh_ticks(void) { return clock(); }
#endif
static double dh_spent[${n}];
static unsigned long long dh_last;
static inline void dh_lap(int k) {
  __asm__ volatile("" ::: "memory"); /* no kernel's loads and stores move over it */
  const unsigned long long now = dh_ticks();
  if (dh_last) dh_spent[k] += (double)(now - dh_last);
  dh_last = now;
  __asm__ volatile("" ::: "memory");
}
void dh_laps(double *out) {
  for (int k = 0; k < ${n}; k++) { out[k] = dh_spent[k]; dh_spent[k] = 0; }
}
`;
  }
}
