/** What a time comes to: operations and bytes per second, and their parts of a machine's limits. */
import type { Limits } from "downhill";

/** The machine that the targets' times are asked of: Zen 5, one thread. Operations on f32, and bytes of Adam's pattern. */
export const askedOf = { flops: 248e9, memory: 60e9 } as const;

export type Work = { readonly flops: number; readonly bytes: number };
export type Limit = "flops" | "memory";
export type Parts = Readonly<Record<Limit, number>>;

/** What so much work in so many µs is of the limits, in percent: above 100 where caches or bf16 do better than those. */
export const partsOf = ({ flops, bytes }: Work, us: number, limits: Pick<Limits, Limit>): Parts => ({
  flops: (100 * flops) / (us * 1e-6) / limits.flops,
  memory: (100 * bytes) / (us * 1e-6) / limits.memory,
});

/** The median; of an even number the upper one of the two in the middle. */
export const middle = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
