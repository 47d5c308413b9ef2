/**
 * How this process and those that measure talk: a line of JSON each way, over stdin and stdout. Ours and the peers'
 * speak the same, so that they take turns and what disturbs the machine disturbs all of them.
 *
 *   → {"bench": "ready", …}          ready to take steps
 *   ← {"ms": 400, "least": 3}        take calls for so long, and so many at least
 *   → {"bench": "times", "us": […]}  µs per step, of each call
 *   ← {"end": true}
 *   → {"bench": "end", "peakRssMb": …}
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

export type Ask = { readonly ms: number; readonly least: number } | { readonly end: true };

export class Interrupted extends Error {}

/** A process that measures one workload, and its answers. `about` names it in messages. */
export class Worker {
  private readonly about: string;
  private readonly child: ChildProcess;
  private readonly answers: unknown[] = [];
  private waiting: { resolve: (answer: unknown) => void; reject: (problem: Error) => void } | undefined;
  private ended: Error | undefined;
  private words = "";

  constructor(about: string, [command, ...args]: readonly [string, ...string[]], env: NodeJS.ProcessEnv) {
    this.about = about;
    this.child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdin!.on("error", () => {}); // it has ended: told below
    this.child.stderr!.on("data", (chunk) => {
      this.words = `${this.words}${chunk}`.slice(-4000);
    });
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.hear(line));
    this.child.on("error", (problem) => this.stopped(problem));
    this.child.on("close", (status, signal) => {
      const why = this.words.trim().split("\n").slice(-12).join("\n");
      const how = signal ?? `exit code ${status}`;
      this.stopped(signal === "SIGINT" ? new Interrupted() : new Error(`${this.about} failed (${how})\n${why}`.trim()));
    });
  }

  /** Its next answer. Throws when it has ended without one. */
  answer<T>(): Promise<T> {
    if (this.answers.length > 0) return Promise.resolve(this.answers.shift() as T);
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve: (answer) => resolve(answer as T), reject };
    });
  }

  ask<T>(question: Ask): Promise<T> {
    this.child.stdin!.write(`${JSON.stringify(question)}\n`);
    return this.answer();
  }

  kill(): void {
    this.child.kill();
  }

  /** Libraries print too: an answer is a line that says so. */
  private hear(line: string): void {
    if (!line.startsWith('{"bench"')) return;
    const answer: unknown = JSON.parse(line);
    if (!this.waiting) this.answers.push(answer);
    else {
      this.waiting.resolve(answer);
      this.waiting = undefined;
    }
  }

  private stopped(problem: Error): void {
    this.ended ??= problem;
    this.waiting?.reject(this.ended);
    this.waiting = undefined;
  }
}

/** The other side: answers each question from stdin, until there is none. */
export async function serve(ready: object, answer: (ask: Ask) => Promise<object>): Promise<void> {
  const say = (what: object) => process.stdout.write(`${JSON.stringify(what)}\n`);
  say({ bench: "ready", ...ready });
  for await (const line of createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line) as Ask;
    say({ bench: "end" in ask ? "end" : "times", ...(await answer(ask)) });
    if ("end" in ask) break;
  }
  process.stdin.destroy();
}
