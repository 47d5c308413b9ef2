/**
 * How many threads the next steps run on: one, or all there are. The results are the same bits, so only time decides,
 * and time is measured, because nobody can know beforehand who else wants the cores: two threads of a program that share
 * one are slower than one thread, by far where steps are short.
 *
 * The rule. All begins on one thread. A trial takes some steps on one and some on all, a millisecond of each, in turns, and
 * compares the best µs per step of both. All threads are taken where they save a tenth; the trial ends early where they
 * lose twice, or after 20 ms. The choice stands for 50 times as long as the trial took, so that trials cost 2 % at most, and
 * no less than 20 ms; after trials that all threads have lost one after the other for up to four times as long. Then it is
 * made again, for a core may have become free. It falls where two shares in a row on all threads were slower than one
 * thread had been; shares are short at first, so that this is soon, and grow while all is well.
 *
 * Small steps have little to gain, and lose much while somebody else has a core that a barrier waits for: those of less than
 * half a millisecond are first tried after 100 ms, and those of less than 20 µs, a thread that must be woken taking 30 to 100,
 * never.
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

const trialUs = 1000; // that one share of a trial should take
const shareUs = 50_000; // that any share should take: what is slow is noticed after this
const standsFor = 50; // times a trial's duration
const enoughUs = 20_000; // of trial, and that a choice stands at least
const gain = 0.9; // of the time on one thread
const losses = 2; // that end a trial, or a choice
const patience = 4; // times as long stands, at most, what was chosen again and again
const shortUs = 500; // per step: nothing is tried before
const laterUs = 100_000;
const smallUs = 20; // per step: nothing is tried ever

type Mode = "alone" | "together";

/** By measuring. */
export class MeasuredThreads implements Threads {
  private readonly threads: number;
  /** µs per step: at the last share, and the best of the trial. */
  private readonly last: Record<Mode, number> = { alone: Infinity, together: Infinity };
  private best: Record<Mode, number> = { alone: Infinity, together: Infinity };
  private chosen: Mode = "alone";
  /** What the trial under way has yet to take, the next first; none outside of trials. */
  private trial: Mode[];
  private tookUs = 0; // all of the trial
  /** Until the next trial, in µs of computation. */
  private stands = 0;
  private longer = 1; // times
  /** Shares on all threads that were slower than one thread: of the trial, or in a row. */
  private lost = 0;
  private upTo = trialUs; // µs of the next share on all threads outside of trials
  private touched = false; // whether memory was used before
  private postponed = false;

  constructor(threads: number) {
    this.threads = threads;
    this.trial = threads > 1 ? turns() : [];
  }

  private get mode(): Mode {
    return this.trial[0] ?? this.chosen;
  }

  expected(steps: number): number {
    return steps * this.last[this.mode];
  }

  next(steps: number): Share {
    const { mode } = this;
    const us = this.trial.length > 0 ? trialUs : mode === "together" ? this.upTo : shareUs;
    const fitting = Math.max(1, Math.floor(us / this.last[mode]));
    return { steps: Math.min(steps, fitting), threads: mode === "alone" ? 1 : this.threads };
  }

  took({ steps }: Share, us: number): void {
    if (steps === 0) return;
    const { mode } = this;
    this.last[mode] = us / steps;
    if (this.trial.length > 0) this.tried(mode, us);
    else if (this.threads > 1) this.stood(mode, us);
  }

  /** A share of the trial is over. */
  private tried(mode: Mode, us: number): void {
    if (!this.touched) {
      this.touched = true; // the first share says nothing
      return;
    }
    const woke = mode === "together" && this.best.together === Infinity; // threads may have slept
    this.trial.shift();
    this.tookUs += us;
    this.best[mode] = Math.min(this.best[mode], this.last[mode]);
    const { alone, together } = this.best;
    if (alone < shortUs && !this.postponed) {
      this.postponed = true;
      this.choose("alone", laterUs);
      return;
    }
    const won = together < gain * alone;
    if (mode === "together" && !woke && this.last.together > alone) this.lost++;
    const enough = mode === "together" && this.tookUs >= enoughUs && (won || !woke);
    if (this.trial.length > 0 && alone >= smallUs && this.lost < losses && !enough) return;
    if (won) this.longer = 1;
    this.choose(
      won && alone >= smallUs ? "together" : "alone",
      this.longer * Math.max(enoughUs, standsFor * this.tookUs),
    );
    if (!won) this.longer = Math.min(patience, 2 * this.longer);
  }

  private choose(mode: Mode, stands: number): void {
    this.chosen = mode;
    this.stands = stands;
    this.trial = [];
    this.lost = 0;
    this.upTo = 4 * trialUs;
  }

  /** A share outside of trials is over. */
  private stood(mode: Mode, us: number): void {
    const slow = mode === "together" && this.last.together > this.best.alone;
    this.lost = slow ? this.lost + 1 : 0;
    this.upTo = slow ? 4 * trialUs : Math.min(shareUs, 2 * this.upTo);
    this.stands -= us;
    if (this.stands > 0 && this.lost < losses) return;
    this.trial = turns();
    this.lost = 0;
    this.tookUs = 0;
    this.best = { alone: Infinity, together: Infinity };
  }
}

/** The shares of a trial: the first on all threads wakes them, and says nothing unless it is faster all the same. */
const turns = (): Mode[] => ["alone", "together", "together", "alone", "together", "alone", "together"];

/** Always so many, for tests and measurements. */
export const alwaysThreads = (threads: number): Threads => ({
  expected: () => Infinity,
  next: (steps) => ({ steps, threads }),
  took: () => {},
});
