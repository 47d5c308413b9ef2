/**
 * Training as it goes: one line that moves where there is a terminal, else about ten lines that stay. Both are told
 * the same; neither slows training down.
 */
import cliProgress from "cli-progress";
import type { Entry, Progress } from "../train/index.ts";
import { type Colors, type Stream, widthOf } from "./terminal.ts";
import { brief, duration, shortened, significant } from "./text.ts";

export type Watch = {
  readonly onProgress: (progress: Progress) => void;
  readonly onEntry: (entry: Entry) => void;
  /** Clears the moving line. */
  readonly end: () => void;
};

/** What of an entry is shown besides the loss: a name and how to read it. */
export type Headline = {
  readonly name: string;
  readonly of: (entry: Entry) => number | undefined;
  /** What a step takes in, such as 768 tokens: how many of them a second is shown. */
  readonly perStep?: { readonly n: number; readonly unit: string };
};

export const silent: Watch = { onProgress: () => {}, onEntry: () => {}, end: () => {} };

export function watching(stream: Stream, colors: Colors, headline: Headline): Watch {
  return stream.isTTY ? moving(stream, colors, headline) : staying(stream, headline);
}

const outOf = (what: string, done: number, all: number): string =>
  `${what} ${String(done).padStart(String(all).length)}/${all}`;

const pace = ({ perStep }: Headline, stepsPerSecond: number): string[] =>
  perStep && stepsPerSecond > 0 ? [`${significant(perStep.n * stepsPerSecond)} ${perStep.unit}/s`] : [];

/** Lines kept of a training that is not watched on a terminal. */
const lines = 10;

function staying(stream: Stream, headline: Headline): Watch {
  let latest: Progress | undefined;
  let tenths = 0;
  return {
    onProgress: (progress) => {
      latest = progress;
    },
    onEntry: (entry) => {
      const { epochs, steps, seconds, stepsPerSecond } = latest ?? { steps: entry.step, seconds: 0, stepsPerSecond: 0 };
      const now = Math.floor((lines * entry.step) / steps);
      if (now <= tenths) return;
      tenths = now;
      const measured = headline.of(entry);
      const parts = [
        epochs === undefined ? outOf("step", entry.step, steps) : outOf("epoch", entry.epoch, epochs),
        `loss ${significant(entry.trainLoss)}`,
        ...(measured === undefined ? [] : [`${headline.name} ${significant(measured)}`]),
        ...(headline.perStep ? pace(headline, stepsPerSecond) : [`lr ${brief(entry.lr)}`]), // both are more than 80 columns
        duration(seconds),
      ];
      stream.write(`  ${parts.join("  ")}\n`);
    },
    end: () => {},
  };
}

function moving(stream: Stream, { cyan, dim }: Colors, headline: Headline): Watch {
  let latest: Progress | undefined;
  let loss: number | undefined;
  let measured: number | undefined;
  const width = () => widthOf(stream) - 1;

  const line = (): string => {
    if (!latest) return "  compiling …";
    const { step, steps, epoch, epochs, lr, stepsPerSecond } = latest;
    const done = Math.min(1, step / steps);
    const left = stepsPerSecond > 0 ? duration((steps - step) / stepsPerSecond) : "?";
    // The most telling first: what does not fit is left out from the end.
    const wanted = [
      `${String(Math.floor(100 * done)).padStart(3)} %`,
      epochs === undefined ? `step ${step}/${steps}` : `epoch ${Math.min(epoch + 1, epochs)}/${epochs}`,
      ...(loss === undefined ? [] : [`loss ${significant(loss)}`]),
      ...(measured === undefined ? [] : [`${headline.name} ${significant(measured)}`]),
      `${left} left`,
      ...pace(headline, stepsPerSecond),
      `lr ${brief(lr)}`,
    ];
    let text = wanted.join("  ");
    while (text.length > width() - 14 && wanted.length > 1) {
      wanted.pop();
      text = wanted.join("  ");
    }
    const bar = Math.max(8, Math.min(24, width() - 4 - text.length));
    const full = Math.round(bar * done);
    return `  ${cyan("━".repeat(full))}${dim("─".repeat(bar - full))}  ${shortened(text, width() - 12)}`;
  };

  // any: the library wants Node's whole stream type, and uses what `Stream` has of it
  const bar = new cliProgress.SingleBar({
    format: line,
    stream: stream as any,
    hideCursor: true,
    clearOnComplete: true,
    fps: 10,
    gracefulExit: false,
  });
  bar.start(1, 0);
  return {
    onProgress: (progress) => {
      latest = progress;
      // A smooth number: the mean of the last call's updates.
      const { losses } = progress;
      let sum = 0;
      for (let k = 0; k < losses.length; k++) sum += losses[k]!;
      if (losses.length > 0) loss = sum / losses.length;
      bar.update(progress.step / progress.steps);
    },
    onEntry: (entry) => {
      measured = headline.of(entry);
    },
    end: () => bar.stop(),
  };
}
