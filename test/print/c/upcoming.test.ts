/** Which rows a product asks for while it computes: those that the next block picks, and of which bands it is done. */
import { describe, expect, test } from "vitest";
import { compile, type Trace } from "../../../src/compile/compile.ts";
import { input, type Tensor, value } from "../../../src/ir/index.ts";
import type { Places } from "../../../src/print/c/gemm.ts";
import { listed, placesOf, type Upcoming, upcoming } from "../../../src/print/c/upcoming.ts";
import { printC } from "../../../src/print/c.ts";
import { Run } from "../../../src/run/run.ts";
import { backends } from "../../backends.ts";
import { runProgram, targets } from "./program.ts";

type Sizes = { readonly examples?: number; readonly width?: number; readonly batch?: number };

/** A batch of rows of a table through a dense layer, of indices that are fed. */
function dense({ examples = 1024, width = 784, batch = 512 }: Sizes, pick = (x: Tensor, at: Tensor) => x.gather(at)) {
  const [x, w, at] = [input([examples, width]), input([width, 128]), input([batch], "i32")];
  const y = pick(x, at).matmul(w).max(0);
  const trace: Trace = { state: [], resident: [x, w], feeds: [at], outputs: [y, pick(x, at)] };
  return compile(trace, { banded: true });
}

const found = (program: ReturnType<typeof dense>) =>
  program.bands.flatMap((band) => {
    const soon = upcoming(band, program);
    return soon ? [{ rows: soon.rows, full: soon.full, bytes: soon.bytes }] : [];
  });

describe("asked for are", () => {
  const asks = (program: ReturnType<typeof dense>) =>
    printC(program, 16).units.some(({ text }) => text.includes("*(next < end"));

  test("the rows of a table that no cache holds", () => {
    expect(found(dense({}))).toEqual([{ rows: 64, full: 8, bytes: 3136 }]);
    expect(asks(dense({}))).toBe(true);
  });
  test("of whole blocks only", () => {
    const [soon] = found(dense({ batch: 509 }));
    expect(soon!.full).toBe(Math.floor(509 / soon!.rows));
  });
  test("none of a small table", () => expect(found(dense({ examples: 600 }))).toEqual([]));
  test("none whose place is computed, which may not be there yet", () => {
    expect(found(dense({}, (x, at) => x.gather(at.add(at))))).toEqual([]);
    expect(found(dense({}, (x, at) => x.gather(at.unsqueeze(1).mul(at.unsqueeze(0)).sum(1))))).toEqual([]);
  });
  test("none where there is nothing but one block", () => expect(found(dense({ batch: 64 }))).toEqual([]));
  test("none where no product has the time", () => {
    const of = (bytes: number, calls: number, most: number) =>
      placesOf({ rows: 64, bytes } as Upcoming, { calls, bytes: most });
    expect(of(3136, 0, 0)).toBeUndefined();
    expect(of(3136, 31, 4096)).toBeUndefined();
    expect(of(3136, 60, 4096)).toEqual({ count: 60, bytes: 3136 });
    expect(of(3136, 900, 4096)).toEqual({ count: 64, bytes: 3136 });
    // Of more bytes than a call asks for: in 4 parts of 13 lines, or 25 of 2.
    expect(of(3136, 900, 896)).toEqual({ count: 256, bytes: 832 });
    expect(of(3136, 9000, 128)).toEqual({ count: 1600, bytes: 128 });
  });
});

/** Offsets, in bytes, of what each block lists. */
async function offsets(soon: Upcoming, next: Places, index: readonly number[], blocks: number) {
  const text = `#include <stdio.h>
    int main(void) {
      static const int index[] = {${index.join(", ")}};
      static char data[1];
      for (long block = 0; block < ${blocks}; block++) {
        ${listed(soon, next, "float", "data", "index")}
        for (int i = 0; i < ${next.count}; i++) printf("%ld ", (long)((const char *)next[i] - data));
        printf("\\n");
      }
    }`;
  const lines = `${await runProgram(targets[0]!, text, new Uint8Array(), "-O1")}`.trim().split("\n");
  return lines.map((line) => line.trim().split(" ").map(Number));
}

test.runIf(targets.length > 0)(
  "each block lists the rows of the next, and behind the last whole one always the same",
  async () => {
    const index = Array.from({ length: 14 }, (_, k) => (k * 37) % 101); // three blocks of 4 rows, and 2 rows more
    const soon = { rows: 4, full: 3, bytes: 400 } as Upcoming;
    for (const part of [400, 192, 128]) {
      const parts = Math.ceil(400 / part);
      const got = await offsets(soon, { count: 4 * parts, bytes: part }, index, 4);
      const of = (block: number) =>
        index
          .slice(4 * block, 4 * block + 4)
          .flatMap((row) => Array.from({ length: parts }, (_, p) => row * 400 + p * part));
      expect(got.slice(0, 2)).toEqual([of(1), of(2)]);
      for (const last of got.slice(2))
        expect(new Set(last.map((at) => Math.floor(at / 400)))).toEqual(new Set([index[0]]));
    }
  },
);

test.each(backends)("a batch that no block divides, of rows of a large table, on %s", async (backend) => {
  const [examples, width, columns, batch, steps] = [8192, 80, 128, 509, 3];
  const wave = (n: number, by: number) => Float32Array.from({ length: n }, (_, k) => Math.sin(k * by));
  const x = value([examples, width], wave(examples * width, 0.3));
  const w = value([width, columns], wave(width * columns, 0.7));
  const rows = Int32Array.from({ length: steps * batch }, (_, k) => (k * 4099) % examples);
  const run = await Run.start({ w }, { backend, threads: 2 });
  const loop = run.loop(
    (s: { w: Tensor }, f: { at: Tensor }, data: { x: Tensor }) => ({
      state: s,
      output: { y: data.x.gather(f.at).matmul(s.w) },
    }),
    { data: { x } },
  );
  const { y } = (await loop.take(steps, { at: value([steps, batch], rows, "i32") })).output;
  for (const place of [0, 63, 64, 508, 509, 1000, steps * batch - 1])
    for (const j of [0, 100, 127]) {
      let want = 0;
      for (let l = 0; l < width; l++) want += x.data[rows[place]! * width + l]! * w.data[l * columns + j]!;
      expect(Math.abs(y.data[place * columns + j]! - want)).toBeLessThan(1e-4);
    }
});
