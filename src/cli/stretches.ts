/**
 * Threads in a profile: a step falls into stretches, from one meeting of all threads to the next. Who has less to do in one
 * waits at its end, so a line for each stretch shows where the work is not cut well.
 */
import { type KernelTime, type ProgramTime, total } from "../run/profile.ts";
import { columns, counted, significant } from "./text.ts";

/** What threads do from one meeting to the next: µs that each computes, and µs that it then waits for the others. */
export type Stretch = {
  readonly computes: readonly number[];
  readonly waits: readonly number[];
  /** The blocks of its bands that are shared; the others are the first thread's. */
  readonly blocks: number;
  /** Places of its kernels; none where matrices are packed. */
  readonly kernels: readonly number[];
};

/** A step as its stretches, in their order; those in which nothing happens are left out. */
export function stretchesOf({ bands, packOn, endOn }: ProgramTime): Stretch[] {
  const nobody = packOn.map(() => 0);
  let now: { -readonly [K in keyof Stretch]: Stretch[K] } = { computes: packOn, waits: nobody, blocks: 0, kernels: [] };
  const all = [now];
  for (const { kernels, blocks, usOn, waits, waitOn } of bands) {
    if (waits) {
      now.waits = waitOn;
      now = { computes: nobody, waits: nobody, blocks: 0, kernels: [] };
      all.push(now);
    }
    now.computes = now.computes.map((us, id) => us + usOn[id]!);
    if (blocks > 1) now.blocks += blocks;
    now.kernels = [...now.kernels, ...kernels];
  }
  now.waits = endOn;
  return all.filter((s) => s.kernels.length > 0 || s.computes.some((us) => us > 0));
}

/** A line for each of the longest stretches, in their order: how full the time of each thread is. */
export function stretchesText(
  found: ProgramTime,
  top: number,
  width: number,
  dim: (text: string) => string,
  nameOf: (kernel: KernelTime, width: number) => string,
): string[] {
  const { threads, usPerStep, kernels } = found;
  const took = ({ computes, waits }: Stretch) => total([...computes, ...waits]) / threads;
  const all = stretchesOf(found);
  const longest = new Set([...all].sort((a, b) => took(b) - took(a)).slice(0, top));
  const shown = all.filter((s) => longest.has(s));
  const rows = columns([
    ["", "µs", "waiting", "blocks"],
    ...shown.map((s) => [
      `${((100 * took(s)) / usPerStep).toFixed(1)} %`,
      significant(took(s), 3),
      `${Math.round((100 * total(s.waits)) / threads / (took(s) || 1))} %`,
      s.blocks ? String(s.blocks) : s.kernels.length ? "one" : "",
    ]),
  ]);
  // Of many threads each has one column.
  const room = Math.max(1, Math.min(10, Math.floor(24 / threads) - 1));
  const bars = [
    "each thread",
    ...shown.map((s) => s.computes.map((us) => bar(us / (took(s) || 1), room)).join(room > 1 ? " " : "")),
  ];
  const wide = Math.max(...bars.map((b) => b.length));
  const left = Math.max(...rows.map((r) => r.length));
  const edge = left + wide + 4;
  const what = (s: Stretch) => {
    const [first, ...more] = s.kernels.map((k) => kernels[k]!).sort((a, b) => b.us - a.us);
    if (!first) return "packing";
    const others = more.length ? ` + ${more.length}` : "";
    return `${nameOf(first, Math.max(20, width - edge - others.length))}${others}`;
  };
  const [head = "", ...lines] = rows.map((row, k) => `${row.padEnd(left)}  ${bars[k]!.padEnd(wide)}  `);
  const rest = all.length - shown.length;
  return [
    dim(`${head}longest kernel`),
    ...lines.map((line, k) => `${line}${what(shown[k]!)}`),
    ...(rest > 0 ? [dim(`and ${counted(rest, "shorter stretch", "shorter stretches")}`)] : []),
  ];
}

/** `part` of so many columns, filled to an eighth of one; of a single column its height. */
function bar(part: number, room: number): string {
  const eighths = Math.round(8 * room * Math.min(1, part));
  if (room === 1) return "·▁▂▃▄▅▆▇█"[eighths]!;
  const whole = "█".repeat(Math.floor(eighths / 8));
  return `${whole}${["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]}`.padEnd(room, "·");
}
