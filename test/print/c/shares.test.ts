import { describe, expect, test } from "vitest";
import { barrier } from "../../../src/print/c/barrier.ts";
import { shares } from "../../../src/print/c/shares.ts";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { team } from "../../../src/run/native/team.ts";
import { compiler } from "../../run/native/child.ts";

// In every step two bands are shared, with no wait between them, as bands that do not need each other are. Each block is
// counted; at the end of a step each must have been taken once. With `held` the first block of the last member is not done
// before all others of its band are: they have to be taken by somebody else. It gives up after half a minute.
const TEXT = `#include <time.h>
  ${barrier}
  ${shares(2)}
  typedef void (*dh_team)(void (*)(void *, int, int), void *, int);
  struct job {
    struct dh_barrier barrier;
    struct dh_shares *shares;
    long steps, held, wrong, members, blocks[2], done[2], taken[2][256];
  };
  static void dh_share(void *arg, int id, int members) {
    struct job *job = arg;
    if (id == 0) job->members = members;
    for (long s = 0; s < job->steps; s++) {
      for (int band = 0; band < 2; band++) {
        int first = id == members - 1;
        for (long block; (block = dh_next(job->shares, band, job->blocks[band], id, members, s)) >= 0; first = 0) {
          if (job->held && first && members > 1)
            for (const time_t begun = time(0); __atomic_load_n(&job->done[band], __ATOMIC_RELAXED) < job->blocks[band] - 1;) {
              if (time(0) > begun + 30) { __atomic_fetch_add(&job->wrong, 1, __ATOMIC_RELAXED); break; }
              sched_yield();
            }
          __atomic_fetch_add(&job->taken[band][block], 1, __ATOMIC_RELAXED);
          __atomic_fetch_add(&job->done[band], 1, __ATOMIC_RELAXED);
        }
      }
      dh_wait(&job->barrier, members);
      if (id == 0)
        for (int band = 0; band < 2; band++) {
          for (long b = 0; b < job->blocks[band]; b++) job->wrong += job->taken[band][b] != s + 1;
          job->wrong += job->done[band] != job->blocks[band];
          job->done[band] = 0;
        }
      dh_wait(&job->barrier, members);
    }
  }
  void dh_stress(void *memory, long *told, dh_team run) {
    struct job *job = memory;
    struct dh_shares shares[8];
    dh_prepare(shares, 8);
    *job = (struct job){ .shares = shares, .steps = told[1], .held = told[2], .blocks = { told[3], told[4] } };
    run(dh_share, job, told[0]);
    told[0] = job->members;
    told[1] = job->wrong;
  }`;

describe.skipIf(!compiler.found)("blocks that members share", () => {
  test.each([
    { members: 1, steps: 200, held: 0, blocks: [5, 64] },
    { members: 2, steps: 300, held: 0, blocks: [1, 2] },
    { members: 2, steps: 200, held: 0, blocks: [7, 256] },
    { members: 4, steps: 50, held: 0, blocks: [3, 64] },
    { members: 2, steps: 2, held: 1, blocks: [8, 5] },
    { members: 3, steps: 2, held: 1, blocks: [4, 64] },
  ])("$members members take each of $blocks once in a step, held up: $held", ({ members, steps, held, blocks }) => {
    const binding = loadBinding();
    const stress = binding.sym(binding.open(compileToObject(TEXT).path), "dh_stress");
    const job = new NativeBlock(16 * 1024);
    const told = new NativeBlock(64);
    new BigInt64Array(told.view()).set([members, steps, held, ...blocks].map(BigInt));
    binding.call(stress, job.address, told.address, team(members).run);
    expect([...new BigInt64Array(told.view())].slice(0, 2)).toEqual([BigInt(members), 0n]);
    job.free();
    told.free();
  });
});
