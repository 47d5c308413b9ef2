/**
 * Who takes which blocks of a band. Each member of a team has a run of them, the same in every step, so that its core's
 * cache holds them still; it takes them first to last. One that is done takes those of others, last to first: it ends with
 * them however unlike the cores are, or what else they have to do. Which member took a block is no part of the result.
 *
 *   long dh_next(shares, band, blocks, id, members, step)    a block that nobody else gets, −1 when all are taken
 *
 * What is left of a run is one word: its step's sign, then where it begins and ends. Whoever comes first in a step finds
 * the sign of another one, and the run is whole again: nobody has to reset it and nobody to wait for that. Steps end with a
 * barrier, so that two signs are enough, and none is the sign of zeroed memory.
 */
export const shares = (bands: number) => `enum { DH_BANDS = ${bands} };
struct dh_shares { __attribute__((aligned(128))) unsigned long long left[DH_BANDS]; };
static void dh_prepare(struct dh_shares *shares, int members) {
  for (int id = 0; id < members; id++) for (int band = 0; band < DH_BANDS; band++) shares[id].left[band] = 0;
}
static long dh_take(unsigned long long *left, unsigned long long whole, int own) {
  const unsigned long long mask = 0x7fffffff;
  unsigned long long now = __atomic_load_n(left, __ATOMIC_RELAXED);
  for (;;) {
    const unsigned long long run = now >> 62 == whole >> 62 ? now : whole, from = run >> 31 & mask, to = run & mask;
    if (from == to) return -1;
    if (__atomic_compare_exchange_n(left, &now, own ? run + mask + 1 : run - 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return (long)(own ? from : to - 1);
  }
}
static long dh_next(struct dh_shares *shares, int band, long blocks, int id, int members, long step) {
  for (int n = 0; n < members; n++) {
    const unsigned long long of = (id + n) % members, from = blocks * of / members, to = blocks * (of + 1) / members;
    const long block = dh_take(&shares[of].left[band], (1ull + (step & 1)) << 62 | from << 31 | to, n == 0);
    if (block >= 0) return block;
  }
  return -1;
}
`;
