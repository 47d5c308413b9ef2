/**
 * The barrier of a program that runs on a team: `dh_wait(barrier, members)` returns when each of the members has called
 * it, and what any of them wrote before is seen by all of them after. Zeroed memory is a barrier ready for use; it is
 * used again and again without being set up anew.
 *
 * Central, with an epoch (Mellor-Crummey & Scott 1991, "sense-reversing", the sense being a count): the last to arrive
 * clears the count of arrivals and raises the epoch that the others watch. The two have cache lines of their own, so
 * that arrivals do not disturb those who watch. Who waits long gives the core away, for the one that is missing may
 * need it.
 */
export const barrier = `#if defined(__x86_64__)
#define DH_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define DH_PAUSE() __asm__ volatile("yield")
#else
#define DH_PAUSE() ((void)0)
#endif
extern int sched_yield(void);
struct dh_barrier { __attribute__((aligned(128))) int arrived; __attribute__((aligned(128))) unsigned epoch; };
static void dh_wait(struct dh_barrier *b, int members) {
  if (members == 1) return;
  const unsigned epoch = __atomic_load_n(&b->epoch, __ATOMIC_RELAXED);
  if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == members) {
    __atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&b->epoch, epoch + 1, __ATOMIC_RELEASE);
    return;
  }
  for (int spins = 0; __atomic_load_n(&b->epoch, __ATOMIC_ACQUIRE) == epoch;) {
    if (++spins < 100) DH_PAUSE(); else sched_yield();
  }
}
`;
