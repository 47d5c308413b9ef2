/** What is made of measurements: the table, verdicts as asked and at the machine's limits, and what has changed. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { middle, partsOf } from "../../bench/rates.ts";
import { against, last, type Results, save } from "../../bench/results.ts";
import { head, type PeerRow, peerOf, type Row, rowOf, short, verdictLines, workLines } from "../../bench/table.ts";
import { limitOf, partsAsked, verdicts } from "../../bench/targets.ts";
import { workloads } from "../../bench/workloads.ts";

const row: Row = {
  workload: "MLP-32",
  backend: "native",
  threads: 1,
  medianUsPerStep: 301.4,
  minUsPerStep: 226,
  repetitions: 7,
  flops: 13.1e6,
  bytes: 2.54e6,
  gflops: 43.5,
  gbPerSecond: 8.43,
  limit: "flops",
  limits: { flops: 174e9, memory: 30e9 },
  parts: { flops: 25, memory: 28.1 },
  asked: { flops: 66, memory: 52.9 },
  compileColdMs: 1605,
  compileCachedMs: 44.7,
  startMs: 275.51,
  peakRssMb: 200,
  predictedMb: 140,
  usedMb: 90,
  load: 0.5,
  began: "2026-01-02T10:00:00Z",
};
const peer = (name: string, us: number, mb: number): PeerRow => ({
  peer: name,
  about: name,
  medianUsPerStep: us,
  minUsPerStep: us,
  repetitions: 5,
  ratio: us / row.medianUsPerStep,
  peakRssMb: mb,
  apart: 1e-6,
});
const named = (name: string) => workloads.find((w) => w.name === name)!;

describe("table", () => {
  test("a column keeps its place", () => {
    const [, titles] = head.split("\n") as [string, string];
    const text = rowOf(row);
    for (const [title, cell] of [
      ["threads", " 1 "],
      ["median", "301 "],
      ["rate", "43.5 GFLOP/s "],
      ["limit", "25 % "],
      ["asked", "66 % "],
      ["cached", "44.7 ms "],
    ] as const) {
      expect(text.indexOf(cell) + cell.length - 1, title).toBe(titles.indexOf(title) + title.length);
    }
    expect(text).toHaveLength(titles.length);
    expect(titles.length).toBeLessThanOrEqual(120);
    const [first, second] = [peer("jax jit", 150.7, 300), peer("torch", 500, 200)];
    expect(peerOf(first, { ...row, peers: [first, second] })).toMatch(/jax jit .*0.5 × ours .*the fastest peer$/);
    expect(peerOf(second, { ...row, peers: [first, second] })).not.toMatch(/fastest/);
  });

  test("three digits", () => {
    expect([0.026214, 1.2345, 99.95, 1605.4].map(short)).toEqual(["0.0262", "1.23", "100", "1,605"]);
  });

  test("what a step needs, and its parts of both limits beside those asked", () => {
    const { parts, asked, ...alone } = row;
    const [, first, second] = workLines([row, alone]).split("\n");
    expect(first).toMatch(/MLP-32 +1 +13.1 MFLOP +2.54 MB +25 % \(66 %\) +28 % \(53 %\) +FMA$/);
    expect(second).toMatch(/MLP-32 +1 +13.1 MFLOP +2.54 MB +$/);
  });
});

describe("rates", () => {
  test("parts of limits by hand: 248 GFLOP in 2 s of a machine that does 248 a second, and 30 GB of 60", () => {
    const parts = partsOf({ flops: 248e9, bytes: 30e9 }, 2e6, { flops: 248e9, memory: 60e9 });
    expect(parts).toEqual({ flops: 50, memory: 25 });
    expect(middle([9, 1, 5])).toBe(5);
  });

  test("what targets are of their machine's limits", () => {
    expect(partsAsked(named("MLP-32")).flops).toBeCloseTo((100 * named("MLP-32").flops) / 80e-6 / 248e9, 9);
    expect(partsAsked(named("ADAMW-25M"))).toEqual({ memory: 95 });
    expect(partsAsked(named("GPT-M"))).toEqual({ flops: 60 });
    expect(partsAsked(named("WIDE-512"))).toEqual({});
  });

  test("the limit that counts; where caches must do more than memory can, it is the clock's", () => {
    expect(limitOf(named("GPT"))).toBe("flops");
    expect(limitOf(named("ADAMW-25M"))).toBe("memory");
    expect(partsAsked(named("MLP-1")).memory).toBeGreaterThan(100);
    expect(limitOf(named("MLP-1"))).toBe("flops");
  });
});

describe("targets", () => {
  const of = (rows: Row[], what: string) => verdicts(rows).find((v) => v.what.startsWith(what));

  test("are met or missed by what was measured, as asked and at this machine's limits", () => {
    expect(of([row], "time of a step")).toMatchObject({
      asAsked: { met: false, target: "≤ 80 µs", found: "301 µs" },
      atLimits: { met: false, target: "≥ 66 %", found: "25 %" },
    });
    const slow = { ...row, parts: { flops: 70, memory: 75 } };
    expect(of([slow], "time of a step")).toMatchObject({ asAsked: { met: false }, atLimits: { met: true } });
    const { parts, limits, ...unknown } = row;
    const fast = of([{ ...unknown, medianUsPerStep: 79 }], "time of a step")!;
    expect(fast.asAsked.met).toBe(true);
    expect(fast.atLimits).toBeUndefined();
    expect(of([row], "compiled, cache empty")).toMatchObject({ asAsked: { met: false } });
    expect(of([row], "compiled, cache empty")!.atLimits).toBeUndefined();
    expect(of([row], "memory as predicted")).toMatchObject({ asAsked: { met: false, found: "-30 %" } });
    expect(of([{ ...row, workload: "MATMUL-32x128x784-TN", asked: { flops: 85 } }], "part of")).toMatchObject({
      asAsked: { met: false, target: "≥ 85 %" },
      atLimits: { met: false, target: "≥ 85 %" },
    });
  });

  test("of peers: JAX both ways, the faster PyTorch, the fastest of all for memory", () => {
    const peers = [
      peer("jax jit", 900, 300),
      peer("jax scan", 550, 310),
      peer("jax-js", 9000, 90),
      peer("torch", 500, 150),
    ];
    const rows = [{ ...row, peers }];
    expect(of(rows, "against jax jit")).toMatchObject({ asAsked: { met: true, target: "≥ 2 ×", found: "2.99 ×" } });
    expect(of(rows, "against jax scan")).toMatchObject({ asAsked: { met: false, found: "1.82 ×" } });
    expect(of(rows, "against jax-js")).toBeUndefined();
    expect(of(rows, "resident")).toMatchObject({ asAsked: { met: false, target: "≤ 150 MB" } });
    const torches = [peer("torch", 900, 300), peer("torch compiled", 500, 310)];
    const cnn = verdicts([{ ...row, workload: "CNN", peers: torches }]).filter((v) => v.what.startsWith("against"));
    expect(cnn.map((v) => v.what)).toEqual(["against torch compiled"]);
  });

  test("two threads are compared with one, where both were measured, and with what two threads' limits allow", () => {
    const pair = { ...row, threads: 2, medianUsPerStep: 310 };
    expect(of([pair], "two threads")).toBeUndefined();
    expect(of([row, pair], "two threads")).toMatchObject({
      asAsked: { met: false, target: "≥ 1 ×", found: "0.972 ×" },
    });
    const one = { ...row, workload: "GPT" };
    const two = { ...one, threads: 2, medianUsPerStep: 301.4 / 1.6, limits: { flops: 174e9 * 1.8, memory: 30e9 } };
    expect(of([one, two], "two threads")).toMatchObject({
      asAsked: { met: false, target: "≥ 1.75 ×", found: "1.6 ×" },
      atLimits: { met: true, target: "≥ 87.5 %", found: "88.9 %" },
    });
    const busy = { ...two, limits: { flops: 174e9 * 1.1, memory: 30e9 } };
    expect(of([one, busy], "two threads")!.atLimits).toBeUndefined();
  });

  test("bf16 is compared with f32 of the same run", () => {
    const narrow = (workload: string, us: number) => ({ ...row, workload: `${workload}-BF16`, medianUsPerStep: us });
    const wide = (workload: string) => ({ ...row, workload, medianUsPerStep: 1000 });
    expect(of([wide("MATMUL-1024"), narrow("MATMUL-1024", 600)], "bf16")!.asAsked).toEqual({
      met: false,
      target: "≥ 1.7 ×",
      found: "1.67 ×",
    });
    expect(of([wide("WIDE-512"), narrow("WIDE-512", 600)], "bf16")!.asAsked).toMatchObject({ met: true });
    expect(of([{ ...wide("WIDE-512"), began: "earlier" }, narrow("WIDE-512", 600)], "bf16")).toBeUndefined();
    expect(partsAsked(named("MATMUL-1024-BF16"))).toEqual({});
    expect(
      of(
        [
          { ...row, began: "earlier" },
          { ...row, threads: 2 },
        ],
        "two threads",
      ),
    ).toBeUndefined();
  });

  test("are counted both ways", () => {
    const [first, heading, ...lines] = verdictLines(verdicts([{ ...row, parts: { flops: 70, memory: 75 } }])).split(
      "\n",
    );
    expect(first).toBe("targets: 1 of 5 met as asked; of the 1 that limits decide, 1 met at this machine's");
    expect(heading).toMatch(/as asked +at this machine's limits/);
    expect(lines[0]).toMatch(/MLP-32 +1 {2}time of a step +MISSED +301 µs \(≤ 80 µs\) +met +70 % \(≥ 66 %\)$/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(120);
  });
});

test("against the last results of the same machine", () => {
  const folder = mkdtempSync(join(tmpdir(), "downhill-results-"));
  const keep = (name: string, rows: object[]) =>
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ date: name.slice(0, 10), rows }));
  try {
    const from = pathToFileURL(`${folder}/`);
    expect(against([row], last("Intel(R) Xeon(R) Processor", from))).toEqual([]);
    keep("2026-01-02-intel-xeon-processor", [{ ...row, medianUsPerStep: 602.8, parts: { flops: 12.5, memory: 14 } }]);
    keep("2026-01-01-intel-xeon-processor", [{ ...row, medianUsPerStep: 1 }]);
    keep("2026-01-03-another-processor", [{ ...row, medianUsPerStep: 1 }]);
    const lines = against(
      [row, { ...row, threads: 2 }, { ...row, backend: "js" }],
      last("Intel(R) Xeon(R) Processor", from),
    );
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain("against 2026-01-02");
    expect(lines[1]).toMatch(/MLP-32 +1 +603 → +301 +2 × as fast +12.5 % → 25 %$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is kept: of the rows of a day the latest, each with the run that it is of", () => {
  const folder = mkdtempSync(join(tmpdir(), "downhill-results-"));
  const into = pathToFileURL(`${folder}/`);
  const limits = [{ threads: 1, flops: [1e11, 2e11, 3e11], memory: [1e9, 2e9, 3e9], cache: [1e9, 2e9, 3e9] } as const];
  const keep = (hour: number, rows: Row[]) => {
    const began = `2026-01-02T${hour}:00:00Z`;
    const of = rows.map((r) => ({ ...r, began }));
    expect(save("Intel(R) Xeon(R) Processor", { began, machine: `load of ${hour}`, limits }, of, into)).toEqual(
      ["json", "md"].map((ending) => `bench/results/2026-01-02-intel-xeon-processor.${ending}`),
    );
    const [json = "", md = ""] = ["json", "md"].map((ending) =>
      readFileSync(join(folder, `2026-01-02-intel-xeon-processor.${ending}`), "utf8"),
    );
    return { json: JSON.parse(json) as Results, md };
  };
  try {
    const two = { ...row, threads: 2, medianUsPerStep: 200 };
    const first = keep(10, [row, two, { ...row, workload: "GPT" }]);
    expect(first.md).toContain("| MLP-32 | 1 | 301 |");
    expect(first.md).toContain("| MLP-32 | 2 | 200 |");
    expect(first.md).not.toContain("UTC");
    expect(first.json.verdicts.some((v) => v.what === "two threads against one")).toBe(true);

    const { json, md } = keep(14, [
      { ...two, medianUsPerStep: 150 },
      { ...row, workload: "MLP-1" },
    ]);
    expect(json.rows.map((r) => [r.workload, r.threads, r.medianUsPerStep, r.began.slice(11, 13)])).toEqual([
      ["MLP-1", 1, 301.4, "14"],
      ["MLP-32", 1, 301.4, "10"],
      ["MLP-32", 2, 150, "14"],
      ["GPT", 1, 301.4, "10"],
    ]);
    expect(json.runs.map((run) => run.machine)).toEqual(["load of 10", "load of 14"]);
    expect(json.verdicts.some((v) => v.what === "two threads against one")).toBe(false); // of two runs
    expect(md).toContain("The run of 10:00 UTC: load of 10");
    expect(md).toContain("| MLP-32 | 2 | 14:00 UTC | 150 |");

    const all = keep(15, [row, two, { ...row, workload: "GPT" }, { ...row, workload: "MLP-1" }]);
    expect(all.json.runs.map((run) => run.machine)).toEqual(["load of 15"]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
