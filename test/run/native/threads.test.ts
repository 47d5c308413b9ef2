import { describe, expect, test } from "vitest";
import { uniforms } from "../../../bench/noise.ts";
import { alwaysThreads, MeasuredThreads, type Threads } from "../../../src/run/native/threads.ts";

/** A machine with invented times: µs per step on one thread and on all, as they are after so many µs. */
type Machine = (us: number) => { alone: number; together: number };

const constant =
  (alone: number, together: number): Machine =>
  () => ({ alone, together });

/** A machine that takes f times as long after f(us) µs, on one thread as on all. */
const slowed =
  (alone: number, together: number, f: (us: number) => number): Machine =>
  (us) => ({ alone: alone * f(us), together: together * f(us) });

type Setting = {
  threads?: number;
  perCall?: number;
  /** µs that the first step takes beside its own. */
  first?: number;
  /** µs that a share on all takes beside its own after one on one thread. */
  wake?: number;
  choice?: Threads;
};

/** Take steps for so many µs, `perCall` at a time; → µs passed in each mode, what was computed last, and the overhead. */
function simulate(machine: Machine, duration: number, { threads = 2, perCall = 1000, ...setting }: Setting = {}) {
  const { first = 0, wake = 0, choice = new MeasuredThreads(threads) } = setting;
  const spent = { alone: 0, together: 0 };
  const shares: { threads: number; steps: number; at: number }[] = [];
  let now = 0;
  let steps = 0;
  while (now < duration) {
    for (let left = perCall; left > 0 && now < duration; ) {
      const share = choice.next(left);
      const mode = share.threads === 1 ? "alone" : "together";
      const at = now;
      if (shares.length === 0) now += first;
      else if (mode === "together" && shares.at(-1)!.threads === 1) now += wake;
      for (let k = 0; k < share.steps; k++) now += machine(now)[mode];
      shares.push({ ...share, at });
      choice.took(share, now - at);
      spent[mode] += now - at;
      left -= share.steps;
      steps += share.steps;
    }
  }
  return { spent, shares, last: shares.at(-1)!, usPerStep: now / steps };
}

const second = 1_000_000;

describe("how many threads", () => {
  test("all where that is faster, at a cost of 2 %", () => {
    const { usPerStep, last, shares } = simulate(constant(1000, 550), 5 * second);
    expect(last.threads).toBe(2);
    expect(usPerStep).toBeLessThan(1.02 * 550);
    expect(new Set(shares.map((s) => s.threads))).toEqual(new Set([1, 2]));
  });

  test("one where all are no faster, at a cost of 2 %", () => {
    for (const together of [950, 1000, 3000]) {
      const { usPerStep, spent } = simulate(constant(1000, together), 10 * second);
      expect(spent.together).toBeLessThan(0.02 * spent.alone);
      expect(usPerStep).toBeLessThan(1.02 * 1000);
    }
  });

  test.each([1, 7, 10_000])("the same with %s steps per call", (perCall) => {
    expect(simulate(constant(300, 160), second, { perCall }).last.threads).toBe(2);
    expect(simulate(constant(300, 400), second, { perCall }).last.threads).toBe(1);
  });

  test("small steps are never shared, even if their first one was slow", () => {
    const { spent } = simulate(constant(12, 5), second, { first: 5000 });
    expect(spent.together).toBe(0);
    for (let at = 100_000; at < 107_000; at += 100) {
      const { last } = simulate(
        slowed(20.5, 10, (us) => (us < at ? 1 : 0.95)),
        150_000,
        { perCall: 500 },
      );
      expect([at, last.threads]).toEqual([at, 1]);
    }
  });

  test("500 short steps are as fast as on one thread, whatever all would take", () => {
    for (const alone of [25, 100, 200]) {
      const { usPerStep } = simulate(constant(alone, 100 * alone), 500 * alone, { perCall: 500 });
      expect(usPerStep).toBeLessThan(1.01 * alone);
    }
    expect(simulate(constant(450, 900), 500 * 450).usPerStep).toBeLessThan(1.02 * 450);
  });

  test("short steps that all take faster are shared after a tenth of a second", () => {
    const { shares } = simulate(constant(100, 60), second);
    expect(shares.find((s) => s.threads === 2)!.at).toBeGreaterThan(100_000);
    const later = shares.filter((s) => s.at > 150_000);
    const steps = (list: typeof later) => list.reduce((sum, s) => sum + s.steps, 0);
    expect(steps(later.filter((s) => s.threads === 2))).toBeGreaterThan(0.95 * steps(later));
  });

  test("a trial that is lost is over soon, and comes rarely", () => {
    const { spent, shares } = simulate(constant(300, 3000), 10 * second);
    expect(spent.together).toBeLessThan(0.01 * spent.alone);
    const tries = shares.filter((s, k) => s.threads === 2 && shares[k - 1]!.threads === 1).map((s) => s.at);
    const gaps = tries
      .slice(1)
      .map((at, k) => at - tries[k]!)
      .filter((us) => us > 100_000);
    expect(gaps.at(-1)).toBeGreaterThan(2 * gaps[0]!);
  });

  test("threads that are slow to wake, or lose a moment to somebody else, are not given up", () => {
    const choice = new MeasuredThreads(2);
    let shared = 0;
    for (let now = 0; now < second; ) {
      const share = choice.next(1000);
      if (share.threads === 2) shared++;
      // The first share on all takes five times as long, and so does the third.
      const us = share.steps * (share.threads === 1 ? 1000 : shared === 1 || shared === 3 ? 5000 : 600);
      choice.took(share, us);
      now += us;
    }
    expect(choice.next(1).threads).toBe(2);
  });

  test("a choice that turns out wrong stands some milliseconds", () => {
    const { shares } = simulate((us) => ({ alone: 100, together: us < 120_000 ? 50 : 300 }), 250_000);
    const last = shares.findLast((s) => s.threads === 2 && s.at < 200_000)!;
    expect(last.at).toBeLessThan(160_000);
  });

  test("a slow first step decides nothing", () => {
    expect(simulate(constant(1000, 1100), second, { first: 100_000 }).last.threads).toBe(1);
    expect(simulate(constant(1000, 600), second, { first: 100_000 }).last.threads).toBe(2);
  });

  test.each([30_000, 200])(
    "a core that somebody takes is noticed, and that it is free again: steps of %s µs",
    (alone) => {
      const [from, to] = [5 * second, 30 * second];
      const taken: Machine = (us) => ({ alone, together: us > from && us < to ? 2 * alone : 0.55 * alone });
      const { shares } = simulate(taken, 70 * second);
      const inside = shares.filter((s) => s.at > from && s.at < to);
      expect(shares.findLast((s) => s.at < from)!.threads).toBe(2);
      expect([1, 2]).toContain(inside.findIndex((s) => s.threads === 1));
      expect(inside.reduce((sum, s) => sum + (s.threads === 2 ? s.steps : 0), 0)).toBeLessThan(0.05 * (25e6 / alone));
      expect(shares.at(-1)!.threads).toBe(2);
    },
  );

  test("shares are short enough to notice anything, and as long as what they are part of", () => {
    const { shares } = simulate(constant(1000, 550), 5 * second, { perCall: 1_000_000 });
    for (const s of shares) expect(s.steps * (s.threads === 1 ? 1000 : 550)).toBeLessThanOrEqual(50_000);
    expect(simulate(constant(1000, 550), second, { perCall: 3 }).shares.every((s) => s.steps <= 3)).toBe(true);
  });

  test("a trial of long steps is one step of each", () => {
    const { shares } = simulate(constant(3 * second, second), 60 * second, { threads: 4 });
    expect(shares.slice(0, 8).map((s) => [s.threads, s.steps])).toEqual([[1, 1], [1, 1], ...Array(6).fill([4, 1])]);
  });

  test("steps of some milliseconds are shared within 60 ms where that pays", () => {
    const modes = (alone: number, together: number) => {
      const { shares } = simulate(constant(alone, together), 60_000);
      return shares.map((s) => s.threads).join("");
    };
    expect(modes(1000, 650)).toMatch(/^11(21){3}2+$/); // three turns ahead
    expect(modes(5000, 3000)).toMatch(/^11(21){2}2+$/); // two, for 20 ms have passed
    expect(modes(12_000, 8200)).toMatch(/^11(21){1}2+$/);
    expect(modes(7000, 3200)).toMatch(/^11(21){1}2+$/); // one, and half a turn
    expect(modes(13_000, 7200)).toMatch(/^112+$/);
  });

  test("all are dropped after two turns, or one that takes them half as long again", () => {
    const modes = (together: number) => {
      const { shares } = simulate(constant(600, together), 100_000);
      return shares.map((s) => s.threads).join("");
    };
    for (const together of [570, 850]) expect(modes(together)).toMatch(/^11(221){2}1+$/);
    for (const together of [950, 3000]) expect(modes(together)).toMatch(/^11(221){1}1+$/);
  });

  test("one thread is never anything else; steps that were not taken are not counted", () => {
    expect(simulate(constant(1000, 1), second, { threads: 1 }).spent.together).toBe(0);
    const choice = new MeasuredThreads(2);
    choice.took({ steps: 0, threads: 1 }, 10);
    expect(choice.expected(1)).toBe(Infinity);
  });
});

describe("a machine whose speed changes", () => {
  /** On how many threads the choice is after 150 ms where two make 1 ms `gain` times as fast. */
  const choice = (gain: number, slowness: (us: number) => number) =>
    simulate(slowed(1000, 1000 / gain, slowness), 150_000).last.threads;
  const moments = Array.from({ length: 80 }, (_, k) => 250 * k); // all through a trial, and before and after it

  test("for good: a trial in which that happens decides as any other", () => {
    for (const f of [1.4, 1 / 1.4]) {
      for (const at of moments) {
        const slowness = (us: number) => (us < at ? 1 : f);
        expect([at, ...[1.3, 0.95].map((gain) => choice(gain, slowness))]).toEqual([at, 2, 1]);
      }
    }
  });

  test("steadily: neighbours on both sides are what counts", () => {
    const [end, rise] = [16_000, 0.13 / 1000]; // by 13 % from one share to the next
    for (const from of [0, end]) {
      const slowness = (us: number) => 1 + rise * Math.abs(from - Math.min(us, end));
      expect([from, ...[1.2, 1].map((gain) => choice(gain, slowness))]).toEqual([from, 2, 1]);
    }
  });

  test("for a millisecond: a share that is slow by chance decides nothing", () => {
    for (const at of moments) {
      const slowness = (us: number) => (us > at && us < at + 1000 ? 3 : 1);
      expect([at, ...[1.3, 1].map((gain) => choice(gain, slowness))]).toEqual([at, 2, 1]);
    }
  });

  test("for a millisecond, again and again: what is slower than a neighbour has won nothing", () => {
    for (const at of moments) {
      const slowness = (us: number) => ((us + at) % 6100 < 1000 ? 3 : 1); // every other share on one thread, or on all
      expect([at, choice(0.95, slowness)]).toEqual([at, 1]);
    }
  });
});

/** Some kinds of trouble, as times as long as in the best of moments; those by chance have a seed. */
const troubles: Record<string, (seed: number) => (us: number) => number> = {
  // Every millisecond is another, by up to 40 %.
  jitter: (seed) => {
    const u = uniforms(seed, 4096);
    return (us) => 1 + 0.4 * u[Math.floor(us / 1000) % u.length]!;
  },
  // Every twentieth millisecond is taken by somebody else to two thirds.
  interrupts: (seed) => {
    const u = uniforms(seed, 4096);
    return (us) => (u[Math.floor(us / 1000) % u.length]! < 0.05 ? 3 : 1);
  },
  // Half of the time all takes 1.4 times as long, for some milliseconds each time.
  phases: (seed) => phases(seed, 2000, 10_000),
  // … and from a millisecond to half a second, as seen on a virtual machine whose cores have other guests.
  guests: (seed) => phases(seed, 1000, 500_000),
  // A hundred times a second, by a fifth up and down.
  swings: (seed) => (us) => 1.2 + 0.2 * Math.sin(2 * Math.PI * (us / 10_000 + seed / 7)),
};

/** 1 and 1.4 in turns, each for µs between `from` and `to` whose logarithms are uniform. Asked for in the order of time. */
function phases(seed: number, from: number, to: number): (us: number) => number {
  const u = uniforms(seed, 8192);
  let k = 0;
  let until = 0;
  return (us) => {
    while (us >= until) until += from * (to / from) ** u[k++ % u.length]!;
    return k % 2 === 0 ? 1.4 : 1;
  };
}

describe("the time lost to the better of one thread and two", () => {
  /** … on the same machine, where two make steps `gain` times as fast: its share, on average over seeds. */
  function lost(alone: number, gain: number, trouble: string): number {
    const seeds = [1, 2, 3, 4, 5, 6];
    const shares = seeds.map((seed) => {
      const take = (choice: Threads) => {
        const machine = slowed(alone, alone / gain, troubles[trouble]!(seed));
        return simulate(machine, second, { perCall: 50, wake: 60, choice }).usPerStep;
      };
      return take(new MeasuredThreads(2)) / take(alwaysThreads(gain > 1 ? 2 : 1)) - 1;
    });
    return shares.reduce((a, b) => a + b) / seeds.length;
  }

  test.each(Object.keys(troubles))("%s", (trouble) => {
    // Short steps lose 2.3 % by their first tenth of a second on one thread.
    expect(lost(150, 1.3, trouble)).toBeLessThan(0.032);
    expect(lost(700, 1.3, trouble)).toBeLessThan(0.01);
    expect(lost(12_000, 1.3, trouble)).toBeLessThan(0.065);
    for (const alone of [150, 700, 12_000]) expect(lost(alone, 1.1, trouble)).toBeLessThan(0.11); // all of it
    for (const gain of [1, 0.95, 0.85]) {
      expect(lost(150, gain, trouble)).toBeLessThan(0.003);
      expect(lost(700, gain, trouble)).toBeLessThan(0.004);
      expect(lost(12_000, gain, trouble)).toBeLessThan(0.035);
    }
  });
});
