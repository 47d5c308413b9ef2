/**
 * How many threads the next steps run on: one, or all there are. The results are the same bits, so only time decides,
 * and time is measured, because nobody can know beforehand who else wants the cores: two threads of a program that share
 * one are slower than one thread, by far where steps are short.
 *
 * The rule. A trial takes some steps on one thread and some on all, a millisecond of each, in three rounds, or one where
 * that takes 20 ms, and compares the best µs per step of both. All threads are taken where they save a tenth. The choice
 * stands for 50 times as long as the trial took, so that trials cost 2 % at most, and no less than 20 ms; then it is made
 * again, for a core may have become free. It falls at once where two shares in a row on all threads were slower than one
 * thread had been. Steps of less than 20 µs are never shared: a thread that must be woken takes 30 to 100 µs.
 */

/** The next steps of a call: how many, and on how many threads. */
export type Share = { readonly steps: number; readonly threads: number };

/** What decides about the shares of a program's calls; told afterwards how many of the steps were taken, in how many µs. */
export interface Threads {
  /** µs that so many steps will take, as far as is known; infinite before the first. */
  expected(steps: number): number;
  next(steps: number): Share;
  took(share: Share, us: number): void;
}

const rounds = 3; // of a trial
const trialUs = 1000; // that one share of a trial should take
const shareUs = 50_000; // that any share should take: what is slow is noticed after this
const standsFor = 50; // times a trial's duration
const enoughUs = 20_000; // of trial, and that a choice stands at least
const gain = 0.9; // of the time on one thread
const smallUs = 20; // per step

type Mode = "alone" | "together";

/** By measuring. */
export class MeasuredThreads implements Threads {
  private readonly threads: number;
  /** µs per step: at the last share, and the best of the trial. */
  private readonly last: Record<Mode, number> = { alone: Infinity, together: Infinity };
  private best: Record<Mode, number> = { alone: Infinity, together: Infinity };
  private chosen: Mode = "alone";
  /** Shares left of the trial under way: even numbers are on one thread, and so is one before the first, to warm up. */
  private left: number;
  private trialTook = 0;
  /** Until the next trial, in µs of computation. */
  private stands = 0;
  private slow = 0;

  constructor(threads: number) {
    this.threads = threads;
    this.left = threads > 1 ? 2 * rounds + 1 : 0;
  }

  private get mode(): Mode {
    if (this.left === 0) return this.chosen;
    return this.left > 2 * rounds || this.left % 2 === 0 ? "alone" : "together";
  }

  expected(steps: number): number {
    return steps * this.last[this.mode];
  }

  next(steps: number): Share {
    const { mode } = this;
    const us = this.left > 0 ? trialUs : shareUs;
    const fitting = Math.max(1, Math.floor(us / this.last[mode]));
    return { steps: Math.min(steps, fitting), threads: mode === "alone" ? 1 : this.threads };
  }

  took({ steps }: Share, us: number): void {
    if (steps === 0) return;
    const { mode } = this;
    this.last[mode] = us / steps;
    if (this.left > 0) this.tried(mode, us);
    else if (this.threads > 1) this.stood(mode, us);
  }

  /** A share of the trial is over. */
  private tried(mode: Mode, us: number): void {
    this.left--;
    if (this.left === 2 * rounds) return; // it touched its memory for the first time
    this.trialTook += us;
    this.best[mode] = Math.min(this.best[mode], this.last[mode]);
    const small = this.best.alone < smallUs;
    const enough = this.left % 2 === 0 && this.trialTook >= enoughUs;
    if (this.left > 0 && !small && !enough) return;
    this.left = 0;
    this.chosen = !small && this.best.together < gain * this.best.alone ? "together" : "alone";
    this.stands = Math.max(enoughUs, standsFor * this.trialTook);
    this.slow = 0;
  }

  /** A share outside of trials is over. */
  private stood(mode: Mode, us: number): void {
    this.slow = mode === "together" && this.last.together > this.best.alone ? this.slow + 1 : 0;
    this.stands -= us;
    if (this.stands > 0 && this.slow < 2) return;
    this.left = 2 * rounds;
    this.trialTook = 0;
    this.best = { alone: Infinity, together: Infinity };
  }
}

/** Always so many, for tests and measurements. */
export const alwaysThreads = (threads: number): Threads => ({
  expected: () => Infinity,
  next: (steps) => ({ steps, threads }),
  took: () => {},
});
