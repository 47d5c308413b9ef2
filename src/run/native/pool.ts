/**
 * The threads that programs share: one pool per process, handed to a program as the third argument of its entry point.
 *
 *   typedef void (*dh_pool)(void (*task)(void *arg, long part), void *arg, long parts);
 *
 * `run(task, arg, parts)` calls task(arg, 0) … task(arg, parts - 1) and returns when all are done. The program chooses
 * the parts, so its results do not depend on how many threads there are; thread t always gets the same share of them, so
 * what a part left in a core's cache is there in the next step. After a region the workers spin for some microseconds,
 * so that the next one costs a fraction of one, and then sleep. A pool that is busy, or asked from inside a task, lets
 * the caller do all the parts alone: always right, and the reason why no call can wait for itself.
 */
import { availableParallelism } from "node:os";
import { fail } from "../../ir/fail.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import { NativeBlock } from "./memory.ts";

const POOL = `
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif
#define LINE __attribute__((aligned(64)))
enum { DH_MOST = 256, DH_SPINS = 2000, DH_PATIENCE = 2000 };

// What a worker reads in each region lies in one cache line. It is written only between regions; epoch publishes it.
static LINE struct { unsigned epoch; int threads; void (*task)(void *, long); void *arg; long parts; } dh_region
  = { .threads = 1 };
static LINE unsigned dh_finished;
static LINE unsigned dh_sleepers;
static pthread_mutex_t dh_bed = PTHREAD_MUTEX_INITIALIZER, dh_busy = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t dh_alarm = PTHREAD_COND_INITIALIZER;
static unsigned dh_born[DH_MOST];   // the epoch at which a worker was made: the next one is its first

static unsigned dh_epoch(void) { return __atomic_load_n(&dh_region.epoch, __ATOMIC_SEQ_CST); }

// The share of one thread: a contiguous run of parts.
static void dh_share(long id) {
  const long n = dh_region.parts, threads = dh_region.threads, end = n * (id + 1) / threads;
  for (long part = n * id / threads; part < end; part++) dh_region.task(dh_region.arg, part);
}

static void *dh_worker(void *v) {
  const long id = (long)v;
  for (unsigned seen = dh_born[id];; seen++) {
    for (long spins = 0; dh_epoch() == seen;) {
      if (++spins < DH_SPINS) { PAUSE(); continue; }
      // Announce, then look again: the runner raises epoch, then looks for sleepers. One of the two sees the other.
      pthread_mutex_lock(&dh_bed);
      __atomic_fetch_add(&dh_sleepers, 1, __ATOMIC_SEQ_CST);
      while (dh_epoch() == seen) pthread_cond_wait(&dh_alarm, &dh_bed);
      __atomic_fetch_sub(&dh_sleepers, 1, __ATOMIC_SEQ_CST);
      pthread_mutex_unlock(&dh_bed);
    }
    dh_share(id);
    __atomic_fetch_add(&dh_finished, 1, __ATOMIC_RELEASE);
  }
  return 0;
}

// Grow to n threads, the caller of dh_pool_run being one of them; the number there are now goes to *made.
void dh_pool_start(unsigned long n, long *made, void *unused) {
  (void)unused;
  pthread_mutex_lock(&dh_busy);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 1 << 20);   // musl would give 128 KiB
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);   // signals are for the threads of Node
  while (dh_region.threads < (long)n && dh_region.threads < DH_MOST) {
    pthread_t thread;
    dh_born[dh_region.threads] = dh_region.epoch;
    if (pthread_create(&thread, &attributes, dh_worker, (void *)(long)dh_region.threads)) break;
    dh_region.threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, 0);
  pthread_attr_destroy(&attributes);
  *made = dh_region.threads;
  pthread_mutex_unlock(&dh_busy);
}

void dh_pool_run(void (*task)(void *, long), void *arg, long parts) {
  if (parts < 2 || pthread_mutex_trylock(&dh_busy)) {
    for (long part = 0; part < parts; part++) task(arg, part);
    return;
  }
  dh_region.task = task;
  dh_region.arg = arg;
  dh_region.parts = parts;
  const unsigned others = dh_region.threads - 1;
  __atomic_store_n(&dh_finished, 0, __ATOMIC_RELAXED);
  __atomic_fetch_add(&dh_region.epoch, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n(&dh_sleepers, __ATOMIC_SEQ_CST)) {
    pthread_mutex_lock(&dh_bed);
    pthread_cond_broadcast(&dh_alarm);
    pthread_mutex_unlock(&dh_bed);
  }
  dh_share(0);
  for (long spins = 0; __atomic_load_n(&dh_finished, __ATOMIC_ACQUIRE) != others;) {
    if (++spins < DH_PATIENCE) PAUSE(); else sched_yield();   // a worker may have lost its core
  }
  pthread_mutex_unlock(&dh_busy);
}
`;

export interface Pool {
  /** Address of dh_pool_run: the third argument of an entry point that wants threads. */
  readonly run: number;
  /** Threads there are, the calling one included. */
  readonly threads: number;
}

/** The process's pool, grown to `threads` where it has fewer. The system may grant fewer than asked, at most 256. */
export function startPool(threads: number = availableParallelism()): Pool {
  if (!(Number.isInteger(threads) && threads >= 1)) fail(`native: ${threads} is not a number of threads`);
  const binding = loadBinding();
  const library = binding.open(compileToObject(POOL, { optimize: "-O2" }).path);
  const made = new NativeBlock(8);
  binding.call(binding.sym(library, "dh_pool_start"), threads, made.address, 0);
  const count = Number(new BigInt64Array(made.view())[0]);
  made.free();
  return { run: binding.sym(library, "dh_pool_run"), threads: count };
}
