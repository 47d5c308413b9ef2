/**
 * The threads that a program runs on: one team per process, handed to programs as a function pointer.
 *
 *   typedef void (*dh_team)(void (*task)(void *arg, int id, int members), void *arg, int wanted);
 *
 * `run(task, arg, wanted)` calls task(arg, id, members) once on each of `members` threads, all of them at the same time,
 * and returns when all have returned: a task may hold barriers. The caller is member 0, and any other number is always
 * the same thread, so that what a member left in its core's cache is there the next time. A program divides its work by
 * blocks of its own and not by members, so its results do not depend on how many there are.
 *
 * There are fewer members than wanted where the system grants fewer threads, and the caller is the only one where the
 * team is at work already: for another thread of Node, or for the very task that asks. No run can wait for another.
 *
 * Between runs a member spins for a while, so that the next one finds it awake, and then sleeps and costs nothing. The
 * threads block signals, which are for Node's own, are detached, and are never ended: they go with the process.
 */
import { checkThreads, mostThreads } from "../threads.ts";
import { loadBinding } from "./binding.ts";
import { compileToObject } from "./cache.ts";
import { NativeBlock } from "./memory.ts";

const TEAM = `
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
// Spins with a pause, about 2 µs, then turns at giving the core away: somebody whom it waits for may need it.
enum { DH_MOST = ${mostThreads}, DH_SPINS = 100, DH_YIELDS = 300 };
typedef void (*dh_task)(void *arg, int id, int members);

// A member has cache lines of its own (two: processors fetch lines in pairs). The caller of a run raises \`order\`, the
// member follows with \`done\`. One that is not wanted is not told, so it never looks at a run that is not its own.
static struct dh_member {
  __attribute__((aligned(128))) unsigned order;
  unsigned done;
  int asleep;
  pthread_mutex_t bed;
  pthread_cond_t alarm;
} dh_members[DH_MOST];

// Written by the caller between runs; the members' orders publish it.
static __attribute__((aligned(128))) struct { dh_task task; void *arg; int members; } dh_now;
static int dh_threads = 1;   // the caller of a run is one of them
static pthread_mutex_t dh_busy = PTHREAD_MUTEX_INITIALIZER, dh_growing = PTHREAD_MUTEX_INITIALIZER;

static void *dh_follow(void *v) {
  const int id = (int)(long)v;
  struct dh_member *me = &dh_members[id];
  for (unsigned last = 0;; last++) {
    for (int spins = 0; __atomic_load_n(&me->order, __ATOMIC_ACQUIRE) == last;) {
      if (++spins < DH_SPINS) { PAUSE(); continue; }
      if (spins < DH_SPINS + DH_YIELDS) { sched_yield(); continue; }
      // It says that it sleeps, then looks again; the caller gives the order, then looks who sleeps. One sees the other.
      pthread_mutex_lock(&me->bed);
      __atomic_store_n(&me->asleep, 1, __ATOMIC_RELAXED);
      __atomic_thread_fence(__ATOMIC_SEQ_CST);
      while (__atomic_load_n(&me->order, __ATOMIC_ACQUIRE) == last) pthread_cond_wait(&me->alarm, &me->bed);
      __atomic_store_n(&me->asleep, 0, __ATOMIC_RELAXED);
      pthread_mutex_unlock(&me->bed);
    }
    dh_now.task(dh_now.arg, id, dh_now.members);
    __atomic_store_n(&me->done, last + 1, __ATOMIC_RELEASE);
  }
  return 0;
}

void dh_team_run(dh_task task, void *arg, int wanted) {
  if (wanted < 2 || pthread_mutex_trylock(&dh_busy)) {
    task(arg, 0, 1);
    return;
  }
  const int threads = __atomic_load_n(&dh_threads, __ATOMIC_ACQUIRE), members = wanted < threads ? wanted : threads;
  dh_now.task = task;
  dh_now.arg = arg;
  dh_now.members = members;
  for (int id = 1; id < members; id++) {
    __atomic_store_n(&dh_members[id].order, dh_members[id].order + 1, __ATOMIC_RELEASE);
  }
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (int id = 1; id < members; id++) {
    struct dh_member *m = &dh_members[id];
    if (!__atomic_load_n(&m->asleep, __ATOMIC_RELAXED)) continue;
    pthread_mutex_lock(&m->bed);
    pthread_cond_signal(&m->alarm);
    pthread_mutex_unlock(&m->bed);
  }
  task(arg, 0, members);
  for (int id = 1; id < members; id++) {
    struct dh_member *m = &dh_members[id];
    for (int spins = 0; __atomic_load_n(&m->done, __ATOMIC_ACQUIRE) != m->order;) {
      if (++spins < DH_SPINS) PAUSE(); else sched_yield();
    }
  }
  pthread_mutex_unlock(&dh_busy);
}

// A process that was forked has its caller alone.
static void dh_forked(void) {
  dh_threads = 1;
  pthread_mutex_init(&dh_busy, 0);
  pthread_mutex_init(&dh_growing, 0);
}

// Grow to n threads, while runs may go on; how many there are goes to *made.
void dh_team_grow(unsigned long n, long *made, void *unused) {
  (void)unused;
  pthread_mutex_lock(&dh_growing);
  static int prepared;
  if (!prepared++) pthread_atfork(0, 0, dh_forked);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 1 << 20);   // musl would give 128 KiB
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (dh_threads < (long)n && dh_threads < DH_MOST) {
    struct dh_member *m = &dh_members[dh_threads];
    pthread_t thread;
    m->order = m->done = 0;
    m->asleep = 0;
    pthread_mutex_init(&m->bed, 0);
    pthread_cond_init(&m->alarm, 0);
    if (pthread_create(&thread, &attributes, dh_follow, (void *)(long)dh_threads)) break;
    __atomic_store_n(&dh_threads, dh_threads + 1, __ATOMIC_RELEASE);
  }
  pthread_sigmask(SIG_SETMASK, &before, 0);
  pthread_attr_destroy(&attributes);
  *made = dh_threads;
  pthread_mutex_unlock(&dh_growing);
}
`;

export interface Team {
  /** Address of dh_team_run. */
  readonly run: number;
  /** Threads there are, the calling one included. */
  readonly threads: number;
}

/** The process's team, grown to `threads` where it has fewer. The system may grant fewer than asked, at most 256. */
export function team(threads: number): Team {
  checkThreads("native", threads);
  const binding = loadBinding();
  const library = binding.open(compileToObject(TEAM, { optimize: "-O2" }).path);
  const made = new NativeBlock(8);
  binding.call(binding.sym(library, "dh_team_grow"), threads, made.address, 0);
  const count = Number(new BigInt64Array(made.view())[0]);
  made.free();
  return { run: binding.sym(library, "dh_team_run"), threads: count };
}
