import { describe, expect, test } from "vitest";
import { MeasuredThreads } from "../../../src/run/native/threads.ts";

/** A machine with invented times: µs per step on one thread and on all, as they are after so many µs. */
type Machine = (us: number) => { alone: number; together: number };

const constant =
  (alone: number, together: number): Machine =>
  () => ({ alone, together });

/** Take steps for so many µs, `perCall` at a time; → µs passed in each mode, what was computed last, and the overhead. */
function simulate(machine: Machine, duration: number, { threads = 2, perCall = 1000, first = 0 } = {}) {
  const choice = new MeasuredThreads(threads);
  const spent = { alone: 0, together: 0 };
  const shares: { threads: number; steps: number; at: number }[] = [];
  let now = 0;
  let steps = 0;
  while (now < duration) {
    for (let left = perCall; left > 0 && now < duration; ) {
      const share = choice.next(left);
      const mode = share.threads === 1 ? "alone" : "together";
      const us = machine(now)[mode] * share.steps + (shares.length === 0 ? first : 0);
      shares.push({ ...share, at: now });
      choice.took(share, us);
      spent[mode] += us;
      now += us;
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

  test("a core that is taken by somebody else is noticed within two shares, and one that is free again later", () => {
    const [from, to] = [5 * second, 30 * second];
    const taken: Machine = (us) => ({ alone: 30_000, together: us > from && us < to ? 60_000 : 16_000 });
    const { shares } = simulate(taken, 60 * second);
    const inside = shares.filter((s) => s.at > from && s.at < to);
    expect(shares.findLast((s) => s.at < from)!.threads).toBe(2);
    expect(inside.slice(0, 3).map((s) => s.threads)).toEqual([2, 2, 1]);
    expect(inside.reduce((sum, s) => sum + (s.threads === 2 ? s.steps : 0), 0)).toBeLessThan(0.05 * (25_000 / 30));
    expect(shares.at(-1)!.threads).toBe(2);
  });

  test("shares are short enough to notice anything, and as long as what they are part of", () => {
    const { shares } = simulate(constant(1000, 550), 5 * second, { perCall: 1_000_000 });
    for (const s of shares) expect(s.steps * (s.threads === 1 ? 1000 : 550)).toBeLessThanOrEqual(50_000);
    expect(simulate(constant(1000, 550), second, { perCall: 3 }).shares.every((s) => s.steps <= 3)).toBe(true);
  });

  test("a trial of long steps is one step of each", () => {
    const { shares } = simulate(constant(3 * second, second), 60 * second, { threads: 4 });
    expect(shares.slice(0, 8).map((s) => [s.threads, s.steps])).toEqual([[1, 1], [1, 1], ...Array(6).fill([4, 1])]);
  });

  test("one thread is never anything else; steps that were not taken are not counted", () => {
    expect(simulate(constant(1000, 1), second, { threads: 1 }).spent.together).toBe(0);
    const choice = new MeasuredThreads(2);
    choice.took({ steps: 0, threads: 1 }, 10);
    expect(choice.expected(1)).toBe(Infinity);
  });
});
