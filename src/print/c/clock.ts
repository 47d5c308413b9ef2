/**
 * A clock beside each kernel, for a program that is profiled: what has passed since a thread last looked at its clock is added
 * to what has just ended, a kernel or the wait at a barrier, so that nothing of a step is lost between two. A look takes
 * some 10 ns.
 *
 *   void dh_laps(double *out)    the ticks of each thread since it was asked last, in the order of `ClockSlots`
 */
import type { Band } from "../../compile/band.ts";
import type { Kernel, Program } from "../../compile/program.ts";

/** What a thread's ticks are told apart by: kernels, the waits before bands and at a step's end, packing, and the rest. */
export const clockSlots = ({ kernels, bands }: Program) => {
  const waits = kernels.length;
  const end = waits + bands.length;
  return { waits, end, packing: end + 1, rest: end + 2, count: end + 3 };
};

export class Clock {
  private readonly program: Program;
  private readonly threads: number;

  constructor(program: Program, threads: number) {
    this.program = program;
    this.threads = threads;
  }

  /** The statement at the beginning of a call of member `id`: what the host did since the last one is nobody's. */
  begin(id: string): string {
    return `struct dh_clock *const clock = &dh_clocks[${id}]; clock->last = 0;`;
  }

  /** The statement after a kernel. */
  lap(kernel: Kernel): string {
    return lap(this.program.kernels.indexOf(kernel));
  }

  /** After the barrier that stands before a band; without one, after that at the end of a step. */
  waited(band?: Band): string {
    const { waits, end } = clockSlots(this.program);
    return lap(band ? waits + this.program.bands.indexOf(band) : end);
  }

  /** After packing. */
  get packed(): string {
    return lap(clockSlots(this.program).packing);
  }

  /** At the beginning of a step. */
  get between(): string {
    return lap(clockSlots(this.program).rest);
  }

  get text(): string {
    const n = clockSlots(this.program).count;
    return `#if defined(__x86_64__)
static inline unsigned long long dh_ticks(void) { return __builtin_ia32_rdtsc(); }
#elif defined(__aarch64__)
static inline unsigned long long dh_ticks(void) { unsigned long long t; __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t)); return t; }
#else
extern long clock(void);
static inline unsigned long long dh_ticks(void) { return clock(); }
#endif
static struct dh_clock { __attribute__((aligned(128))) unsigned long long last; double spent[${n}]; } dh_clocks[${this.threads}];
static inline void dh_lap(struct dh_clock *c, int k) {
  __asm__ volatile("" ::: "memory"); /* no kernel's loads and stores move over it */
  const unsigned long long now = dh_ticks();
  if (c->last) c->spent[k] += (double)(now - c->last);
  c->last = now;
  __asm__ volatile("" ::: "memory");
}
void dh_laps(double *out) {
  for (int id = 0; id < ${this.threads}; id++) for (int k = 0; k < ${n}; k++) {
    *out++ = dh_clocks[id].spent[k];
    dh_clocks[id].spent[k] = 0;
  }
}
`;
  }
}

const lap = (slot: number) => `dh_lap(clock, ${slot});`;
