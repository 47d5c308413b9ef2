/**
 * Where a command speaks. Results and the human text go to stdout, complaints to stderr; a command never touches
 * `process` itself, so that tests run it in their own process and read what it said.
 */
import { createColors } from "picocolors";

/** The part of a writable stream that is used. */
export type Stream = {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
};

/** Columns that a line may fill: those of a terminal, up to 100 where lines become hard to read, and 80 elsewhere. */
export const widthOf = ({ columns }: Stream): number => Math.max(40, Math.min(columns ?? 80, 100));

export type Colors = ReturnType<typeof createColors>;

export type Terminal = {
  readonly out: Stream;
  readonly err: Stream;
  /** Colours for each; they do nothing where the user or the stream wants none. */
  readonly colors: { readonly out: Colors; readonly err: Colors };
  /**
   * Calls `body` with a signal that Ctrl-C (or a polite kill) raises. A second Ctrl-C ends the process at once.
   */
  interruptible<T>(body: (interrupted: AbortSignal) => Promise<T>): Promise<T>;
};

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a stream gets colour: --no-color and NO_COLOR (https://no-color.org) first, then FORCE_COLOR, then a terminal. */
export function colored(stream: Stream, argv: readonly string[], env: Environment): boolean {
  if (argv.includes("--no-color") || env.NO_COLOR) return false;
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return stream.isTTY === true && env.TERM !== "dumb";
}

/** The terminal of this process. */
export function processTerminal(argv: readonly string[]): Terminal {
  const { stdout, stderr, env } = process;
  for (const stream of [stdout, stderr]) survive(stream);
  return {
    out: stdout,
    err: stderr,
    colors: {
      out: createColors(colored(stdout, argv, env)),
      err: createColors(colored(stderr, argv, env)),
    },
    interruptible,
  };
}

const survived = new WeakSet<NodeJS.WritableStream>();
const left = new WeakSet<Stream>();

/** Whether the reader of a stream has gone away: what writes without end may stop. */
export const abandoned = (stream: Stream): boolean => left.has(stream);

/** A reader that went away (`| head`) is no error: what it no longer reads is not written. */
function survive(stream: NodeJS.WriteStream): void {
  if (survived.has(stream)) return;
  survived.add(stream);
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    left.add(stream);
  });
}

async function interruptible<T>(body: (interrupted: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const stop = () => {
    if (controller.signal.aborted) process.exit(interruptedCode);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, stop);
  try {
    return await body(controller.signal);
  } finally {
    for (const signal of signals) process.off(signal, stop);
  }
}

/** 128 + SIGINT, as shells say it. */
export const interruptedCode = 130;
