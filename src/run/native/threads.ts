/**
 * How many threads the next steps run on: one, or all there are. The results are the same bits, so only time decides,
 * and time is measured, because nobody can know beforehand who else wants the cores: two threads of a program that share
 * one are slower than one thread, by far where steps are short.
 *
 * The rule. All begins on one thread. A trial takes some steps on one and some on all, a millisecond of each, in turns. A
 * processor's speed may change by half from one millisecond to the next, so a share on all threads is compared with its
 * neighbours, the shares on one thread just before and after it: it wins its turn if it is faster than both and saves a
 * tenth of their mean. Threads may have slept: a share of theirs that does not save a tenth is followed by another, and the
 * better counts. All threads are taken when they are three turns ahead, and dropped when they are two behind, where a turn
 * that takes them half as long again counts for two. After 20 ms they need be only one ahead, or save a third in the first
 * half of a turn. The choice stands for 50 times as long as the trial took, so that trials cost 2 % at most, and no less than
 * 20 ms; after trials that all threads have lost one after the other for up to four times as long. Then it is made again, for
 * a core may have become free. It falls where two shares in a row on all threads were slower than one thread had been; shares
 * are short at first, so that this is soon, and grow while all is well.
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
const clear = 1.5; // times as fast, or as slow: more than the processor's speed explains
const ahead = 3; // turns won more than lost that end a trial
const behind = 2; // turns lost more than won that end it
const losses = 2; // in a row that end a choice
const patience = 4; // times as long stands, at most, what was chosen again and again
const shortUs = 500; // per step: nothing is tried before
const laterUs = 100_000;
const smallUs = 20; // per step: nothing is tried ever

type Mode = "alone" | "together";

/** A trial under way. */
type Trial = {
  /** Of the next share. */
  mode: Mode;
  /** µs per step of the turn: on one thread before it, and the best on all, infinite before they had a share. */
  before: number;
  together: number;
  /** Turns that all threads have won more than lost. */
  score: number;
  /** The best µs per step on one thread. */
  alone: number;
  /** What all shares took, in µs. */
  us: number;
};

/** By measuring. */
export class MeasuredThreads implements Threads {
  private readonly threads: number;
  /** µs per step at the last share. */
  private readonly last: Record<Mode, number> = { alone: Infinity, together: Infinity };
  private chosen: Mode = "alone";
  private trial: Trial | undefined;
  /** µs per step on one thread, the best of the last trial. */
  private alone = Infinity;
  /** Until the next trial, in µs of computation. */
  private stands = 0;
  private longer = 1; // times
  /** Shares in a row on all threads that were slower than one thread. */
  private lost = 0;
  private upTo = trialUs; // µs of the next share on all threads outside of trials
  private touched = false; // whether memory was used before
  private postponed = false;

  constructor(threads: number) {
    this.threads = threads;
    if (threads > 1) this.trial = begun();
  }

  private get mode(): Mode {
    return this.trial?.mode ?? this.chosen;
  }

  expected(steps: number): number {
    return steps * this.last[this.mode];
  }

  next(steps: number): Share {
    const { mode } = this;
    const us = this.trial ? trialUs : mode === "together" ? this.upTo : shareUs;
    const fitting = Math.max(1, Math.floor(us / this.last[mode]));
    return { steps: Math.min(steps, fitting), threads: mode === "alone" ? 1 : this.threads };
  }

  took({ steps }: Share, us: number): void {
    if (steps === 0) return;
    const { mode } = this;
    this.last[mode] = us / steps;
    if (this.trial) this.tried(this.trial, us);
    else if (this.threads > 1) this.stood(mode, us);
  }

  /** A share of the trial is over. */
  private tried(trial: Trial, us: number): void {
    if (!this.touched) {
      this.touched = true; // the first share says nothing
      return;
    }
    const { alone, together } = this.last;
    trial.us += us;
    if (trial.mode === "together") {
      const slept = trial.together === Infinity && together >= gain * trial.before;
      trial.together = Math.min(trial.together, together);
      if (trial.us >= enoughUs && clear * together < trial.before) this.decide(true, trial);
      else if (!slept) trial.mode = "alone";
      return;
    }
    trial.alone = Math.min(trial.alone, alone);
    if (trial.alone < shortUs && !this.postponed) {
      this.postponed = true;
      this.choose("alone", trial, laterUs);
      return;
    }
    if (trial.together < Infinity) trial.score += counted(trial.together, trial.before, alone);
    const small = trial.alone < smallUs;
    const won = !small && trial.score >= (trial.us < enoughUs ? ahead : 1);
    if (won || small || trial.score <= -behind) this.decide(won, trial);
    else Object.assign(trial, { mode: "together", before: alone, together: Infinity });
  }

  private decide(won: boolean, trial: Trial): void {
    if (won) this.longer = 1;
    this.choose(won ? "together" : "alone", trial, this.longer * Math.max(enoughUs, standsFor * trial.us));
    if (!won) this.longer = Math.min(patience, 2 * this.longer);
  }

  private choose(mode: Mode, trial: Trial, stands: number): void {
    this.chosen = mode;
    this.alone = trial.alone;
    this.stands = stands;
    this.trial = undefined;
    this.lost = 0;
    this.upTo = 4 * trialUs;
  }

  /** A share outside of trials is over. */
  private stood(mode: Mode, us: number): void {
    const slow = mode === "together" && this.last.together > this.alone;
    this.lost = slow ? this.lost + 1 : 0;
    this.upTo = slow ? 4 * trialUs : Math.min(shareUs, 2 * this.upTo);
    this.stands -= us;
    if (this.stands <= 0 || this.lost >= losses) this.trial = begun();
  }
}

const begun = (): Trial => ({ mode: "alone", before: 0, together: Infinity, score: 0, alone: Infinity, us: 0 });

/** What a turn counts for all threads: µs per step on them, and before and after it on one thread. */
function counted(together: number, before: number, after: number): number {
  const mean = (before + after) / 2;
  if (together < Math.min(before, after) && together < gain * mean) return 1;
  return together < clear * mean ? -1 : -2;
}

/** Always so many, for tests and measurements. */
export const alwaysThreads = (threads: number): Threads => ({
  expected: () => Infinity,
  next: (steps) => ({ steps, threads }),
  took: () => {},
});
