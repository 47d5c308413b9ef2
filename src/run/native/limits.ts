/**
 * What this machine can do at most, measured: the two ceilings of a roofline (Williams, Waterman, Patterson 2009).
 *
 *   compute   multiply-adds of f32 in registers alone: nothing is loaded, nothing waits
 *   move      the memory pattern of Adam without its arithmetic: four arrays are read and three of them written
 *
 * In C, by the compiler and with the flags that programs get, so that the ceiling is the one that a program is under.
 */
import type { Limiter, Limits } from "../backend.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import type { Compiler } from "./compiler.ts";
import { NativeBlock } from "./memory.ts";

/** Floats of one of the four arrays: as many as no cache holds, and as few as the second-level cache of most does. */
const MEMORY = 25_000_000;
const CACHE = 32_768;
/** Arrays that begin at the same place of a page hinder each other: each is moved on by so many floats. */
const STAGGER = 1040;

/** The best of what a short while gives: about 0.5 s and, while it lasts, 400 MB. Throws where the compiler fails. */
export function measureLimits(compiler: Compiler, threads = 1): Limits {
  const limiter = new NativeLimiter(compiler, threads);
  try {
    const samples = Array.from({ length: 9 }, () => limiter.sample());
    const most = (of: (sample: Limits) => number) => Math.max(...samples.map(of));
    return { threads, flops: most((s) => s.flops), memory: most((s) => s.memory), cache: most((s) => s.cache) };
  } finally {
    limiter.free();
  }
}

export class NativeLimiter implements Limiter {
  private readonly lanes: number;
  private readonly threads: number;
  private readonly run: number;
  private readonly told = new NativeBlock(4 * 8);
  /** All of it written: what never was is one page of zeros to the system, and it would come from the cache. */
  readonly arrays = new NativeBlock(4 * 4 * (MEMORY + STAGGER));

  constructor({ lanes }: Compiler, threads = 1) {
    const { path } = compileToObject(text(lanes), { optimize: "-O3" });
    const binding = loadBinding();
    this.lanes = lanes;
    this.threads = threads;
    this.run = binding.sym(binding.open(path), "dh_limits");
    new Float32Array(this.arrays.view()).fill(1);
  }

  sample(): Limits {
    const { threads, lanes } = this;
    const rounds = 200_000;
    return {
      threads,
      flops: (threads * rounds * CHAINS * lanes * 2) / this.median(0, rounds),
      memory: (7 * 4 * MEMORY) / this.seconds(MEMORY, 1),
      cache: (7 * 4 * CACHE * threads * 200) / this.median(CACHE * threads, 200),
    };
  }

  free(): void {
    this.told.free();
    this.arrays.free();
  }

  private median(floats: number, passes: number): number {
    return Array.from({ length: 5 }, () => this.seconds(floats, passes)).sort((a, b) => a - b)[2]!;
  }

  /** Of so many passes over the arrays; without floats, of so many rounds of multiply-adds. */
  private seconds(floats: number, passes: number): number {
    const told = new Float64Array(this.told.view());
    told.set([floats, passes, this.threads]);
    loadBinding().call(this.run, this.told.address, this.arrays.address, 0);
    return told[3]!;
  }
}

/** Independent sums of multiply-adds: more than latency times units of any CPU so far, and few enough for 16 registers. */
const CHAINS = 12;

const chains = (f: (k: number) => string, separator = " "): string =>
  Array.from({ length: CHAINS }, (_, k) => f(k)).join(separator);

const text = (lanes: number): string => `
#include <pthread.h>
#include <time.h>

typedef float dh_vector __attribute__((vector_size(${4 * lanes})));

/* So many rounds of ${CHAINS} independent multiply-adds. */
static __attribute__((noinline)) float dh_multiply_add(long rounds, float x, float y) {
  const dh_vector a = (dh_vector){} + x, b = (dh_vector){} + y;
  dh_vector ${chains((k) => `c${k} = a + ${k}.0f`, ", ")};
  for (long r = 0; r < rounds; r++) { ${chains((k) => `c${k} = c${k} * a + b;`)} }
  const dh_vector c = ${chains((k) => `c${k}`, " + ")};
  return c[0];
}

#define DH_AHEAD(p) __builtin_prefetch((const void *)((__UINTPTR_TYPE__)(p) + 1024))

/* Of whole cache lines, each asked for early, as programs do: 3 to 5 % faster than without. */
static __attribute__((noinline)) void dh_move(float *restrict p, const float *restrict g, float *restrict m,
                                              float *restrict v, long n) {
  for (long i = 0; i < n; i += 16) {
    DH_AHEAD(p + i); DH_AHEAD(g + i); DH_AHEAD(m + i); DH_AHEAD(v + i);
    #pragma omp simd
    for (long k = i; k < i + 16; k++) { p[k] += g[k]; m[k] += g[k]; v[k] += g[k]; }
  }
}

typedef struct { float *arrays; long floats, passes, part, parts; volatile int *ready, *go; volatile float sum; } dh_work;

static void dh_do(dh_work *w) {
  if (w->floats == 0) {
    w->sum = dh_multiply_add(w->passes, 0.999f, w->sum + 0.001f);
    return;
  }
  /* Parts begin on whole cache lines. */
  const long from = w->floats * w->part / w->parts & ~15L, to = w->part + 1 == w->parts ? w->floats
    : w->floats * (w->part + 1) / w->parts & ~15L;
  float *a = w->arrays + from;
  const long apart = w->floats + ${STAGGER};
  for (long k = 0; k < w->passes; k++) dh_move(a, a + apart, a + 2 * apart, a + 3 * apart, to - from);
}

static void *dh_other(void *given) {
  dh_work *w = given;
  __atomic_add_fetch(w->ready, 1, __ATOMIC_SEQ_CST);
  while (!__atomic_load_n(w->go, __ATOMIC_SEQ_CST)) {}
  dh_do(w);
  return 0;
}

static double dh_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* told: [floats of an array, passes, threads] -> [.., .., .., seconds]; without floats: multiply-adds, passes rounds. */
void dh_limits(double *told, float *arrays) {
  enum { MOST = 256 };
  const int threads = told[2] < 1 ? 1 : told[2] > MOST ? MOST : (int)told[2];
  volatile int ready = 0, go = 0;
  pthread_t team[MOST];
  dh_work works[MOST];
  int started = 0;
  for (int k = 0; k < threads; k++) {
    works[k] = (dh_work){ arrays, (long)told[0], (long)told[1], k, threads, &ready, &go, 0 };
    if (k > 0 && pthread_create(&team[k], 0, dh_other, &works[k]) == 0) started++;
  }
  while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < started) {}
  const double begin = dh_now();
  __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
  dh_do(&works[0]);
  for (int k = 1; k <= started; k++) pthread_join(team[k], 0);
  told[3] = started + 1 == threads ? dh_now() - begin : __builtin_inf();
}
`;
