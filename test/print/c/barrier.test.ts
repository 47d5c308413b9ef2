import { describe, expect, test } from "vitest";
import { barrier } from "../../../src/print/c/barrier.ts";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { team } from "../../../src/run/native/team.ts";
import { compiler } from "../../run/native/child.ts";

// Every round each member writes its number of the round, and after a wait finds that of all the others: plain memory,
// so that only the barrier orders it.
const TEXT = `${barrier}
  typedef void (*dh_team)(void (*)(void *, int, int), void *, int);
  struct job { struct dh_barrier barrier; long rounds, wrong, members, last[64][16]; };
  static void dh_rounds(void *arg, int id, int members) {
    struct job *job = arg;
    if (id == 0) job->members = members;
    for (long r = 1; r <= job->rounds; r++) {
      job->last[id][0] = r;
      dh_wait(&job->barrier, members);
      for (int k = 0; k < members; k++) if (job->last[k][0] != r) __atomic_fetch_add(&job->wrong, 1, __ATOMIC_RELAXED);
      dh_wait(&job->barrier, members);
    }
  }
  void dh_stress(void *memory, long *told, dh_team run) {
    struct job *job = memory;
    job->rounds = told[1];
    run(dh_rounds, job, told[0]);
    told[0] = job->members;
    told[1] = job->wrong;
  }`;

describe.skipIf(!compiler.found)("the barrier", () => {
  test.each([
    [1, 200_000],
    [2, 40_000],
    [4, 10_000],
  ])("%s members see each other's writes, round after round", (members, rounds) => {
    const binding = loadBinding();
    const stress = binding.sym(binding.open(compileToObject(TEXT).path), "dh_stress");
    const job = new NativeBlock(64 * 1024);
    const told = new NativeBlock(16);
    // In parts, and on a machine with less than a core for each member no more of them than a few seconds have room for:
    // there each round waits for the system to switch.
    const end = performance.now() + 3000;
    for (let part = 0; part < 20 && (part < 2 || performance.now() < end); part++) {
      new BigInt64Array(told.view()).set([BigInt(members), BigInt(rounds / 20)]);
      binding.call(stress, job.address, told.address, team(members).run);
      expect([...new BigInt64Array(told.view())]).toEqual([BigInt(members), 0n]);
    }
  });
});
