import { describe, expect, test } from "vitest";
import { loadBinding } from "../../../src/run/native/binding.ts";
import { compileToObject } from "../../../src/run/native/cache.ts";
import { NativeBlock } from "../../../src/run/native/memory.ts";
import { team } from "../../../src/run/native/team.ts";
import { child, compiler } from "./child.ts";

const TEXT = `
  #include <sched.h>
  #include <sys/wait.h>
  #include <unistd.h>
  typedef void (*dh_team)(void (*)(void *, int, int), void *, int);
  // counts[id]: how often it was called; counts[8]: members; counts[9]: how many of them are in the task now.
  static void dh_count(void *arg, int id, int members) { ((int *)arg)[id]++; ((int *)arg)[8] = members; }
  // Each member waits for all others: only threads that run at the same time can end this. One alone is not counted, as it
  // would leave no multiple of the members to the next run.
  static void dh_meet(void *arg, int id, int members) {
    int *here = (int *)arg + 9;
    dh_count(arg, id, members);
    if (members == 1) return;
    __atomic_fetch_add(here, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(here, __ATOMIC_SEQ_CST) % members) sched_yield();
  }
  // told: how many are wanted, how many runs.
  void dh_runs(int *counts, const long *told, dh_team run) {
    for (long i = 0; i < told[1]; i++) run(dh_meet, counts, told[0]);
  }
  // Every member asks for the team itself.
  static dh_team dh_inner;
  static void dh_ask(void *arg, int id, int members) { (void)members; dh_inner(dh_meet, (int *)arg + 10 * id, 4); }
  void dh_nested(int *counts, const long *told, dh_team run) { dh_inner = run; run(dh_ask, counts, told[0]); }
  // A fork of this process runs a task, and says what it counted by its exit code.
  void dh_fork(int *counts, const long *told, dh_team run) {
    const int pid = fork();
    if (pid == 0) {
      alarm(20);
      dh_runs(counts, told, run);
      _exit(10 * counts[8] + counts[0]);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    counts[0] = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }`;

function fixture() {
  const binding = loadBinding();
  const library = binding.open(compileToObject(TEXT).path);
  /** What \`name\` counted, in pieces of ten. */
  const call = (name: string, threads: number, wanted: number, runs = 1) => {
    const counts = new NativeBlock(4 * 10 * 8);
    const told = new NativeBlock(16);
    new BigInt64Array(told.view()).set([BigInt(wanted), BigInt(runs)]);
    binding.call(binding.sym(library, name), counts.address, told.address, team(threads).run);
    const flat = [...new Int32Array(counts.view())];
    return Array.from({ length: 8 }, (_, k) => flat.slice(10 * k, 10 * k + 9));
  };
  return { call };
}

/** What one run leaves: one call of each member, and their number. */
const once = (members: number, times = 1) => [
  ...Array.from({ length: 8 }, (_, k) => (k < members ? times : 0)),
  members,
];

describe.skipIf(!compiler.found)("the team", () => {
  test.each([
    [1, 1],
    [2, 1],
    [2, 2],
    [3, 2],
    [4, 4],
    [4, 2],
  ])("%s threads, %s wanted: that many run the task, once each, at the same time", (threads, wanted) => {
    expect(fixture().call("dh_runs", threads, wanted)[0]).toEqual(once(wanted));
    expect(team(1).threads).toBeGreaterThanOrEqual(threads); // it grows, and never shrinks
  });

  test("there are never more members than threads", () => {
    const { threads } = team(4);
    const [counts] = fixture().call("dh_runs", 4, 200);
    expect(counts).toEqual(once(threads));
  });

  test("run after run, with sleep between some of them", async () => {
    const { call } = fixture();
    for (let i = 0; i < 5; i++) {
      expect(call("dh_runs", 4, 2 + (i % 3), 300)[0]).toEqual(once(2 + (i % 3), 300));
      await new Promise((resolve) => setTimeout(resolve, 10)); // long enough for them to fall asleep
    }
  });

  test("a task that asks for the team gets itself", () => {
    expect(fixture().call("dh_nested", 3, 3)).toEqual([once(1), once(1), once(1), ...Array(5).fill(Array(9).fill(0))]);
  });

  test("a forked process has one member, the one that forked", () => {
    expect(fixture().call("dh_fork", 3, 3, 7)[0]?.[0]).toBe(17);
    expect(fixture().call("dh_runs", 3, 3)[0]).toEqual(once(3)); // and the process that forked has all of its own
  });

  test.each([0, -1, 1.5, Number.NaN, 257])("%s is not a number of threads", (threads) => {
    expect(() => team(threads)).toThrow(`native: expected a whole number from 1 to 256, got ${threads}`);
  });

  test("several threads of Node may ask at once, and the process ends well with the team alive", async () => {
    const program = `
      import { Worker, isMainThread } from "node:worker_threads";
      import { loadBinding } from "./binding.js";
      import { compileToObject } from "./cache.js";
      import { NativeBlock } from "./memory.js";
      import { team } from "./team.js";
      const binding = loadBinding();
      const f = binding.sym(binding.open(compileToObject(${JSON.stringify(TEXT)}).path), "dh_runs");
      const told = new NativeBlock(16), counts = new NativeBlock(4 * 10);
      const { run } = team(isMainThread ? 3 : 4);
      new BigInt64Array(told.view()).set([3n, 500n]);
      const ended = isMainThread
        ? [1, 2].map(() => new Promise((resolve) => new Worker(new URL(import.meta.url)).on("exit", resolve))) : [];
      binding.call(f, counts.address, told.address, run);
      await binding.callAsync(f, counts.address, told.address, run);
      if (new Int32Array(counts.view())[0] !== 1000) console.log("wrong");
      if (isMainThread) console.log((await Promise.all(ended)).join());
      if (process.env.DH_EXIT && isMainThread) {
        const interrupted = process.env.DH_EXIT === "SIGINT"; // in the middle of a run that has no end of its own
        new BigInt64Array(told.view()).set([3n, interrupted ? 1n << 40n : 1000n]);
        binding.callAsync(f, counts.address, told.address, run);
        setTimeout(() => (interrupted ? process.kill(process.pid, "SIGINT") : process.exit(5)), 20);
      }`;
    const endings = await Promise.all([undefined, "5", "SIGINT"].map((code) => child(program, { DH_EXIT: code })));
    expect(endings.map(({ status, signal, out, err }) => [status, signal, out, err])).toEqual([
      [0, null, "0,0\n", ""],
      [5, null, "0,0\n", ""],
      [null, "SIGINT", "0,0\n", ""],
    ]);
  });
});
