/**
 * npm run bench: how fast training steps are on this machine, as a table or, with --json, as one line per workload and
 * number of threads. Each workload runs in processes of its own, so that memory and first steps are those of a fresh
 * start, on a cache folder of its own, so that the first compilation is one. With --peers other libraries do the same
 * work from the same numbers. They, ours, and what samples the machine's limits take turns.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { cold, given, limits, warm } from "./measure.ts";
import { type Options, optionsOf, Usage, usage } from "./options.ts";
import { installed } from "./peers.ts";
import { Ceilings, firstCompiled, numbersFor } from "./processes.ts";
import { Interrupted } from "./protocol.ts";
import { against, last, save } from "./results.ts";
import { head, legend, peerOf, type Row, rowOf, verdictLines, workLines } from "./table.ts";
import { verdicts } from "./targets.ts";
import { rounds, rowFrom } from "./turns.ts";
import { workloads } from "./workloads.ts";

const [first, ...rest] = process.argv.slice(2);
process.exitCode = first === "measure" ? await measure(rest) : await bench(process.argv.slice(2));

async function bench(words: readonly string[]): Promise<number> {
  let folder: string | undefined;
  const ceilings: Ceilings[] = [];
  process.once("SIGINT", () => {}); // the children get it too and end; this process cleans up first
  try {
    const options = optionsOf(words);
    if (options.help) {
      console.log(usage);
      return 0;
    }
    folder = mkdtempSync(join(tmpdir(), "downhill-bench-"));
    for (const threads of options.threads) {
      const found = await Ceilings.start(threads, options, folder);
      if (found) ceilings.push(found);
    }
    await all(options, folder, ceilings);
    return 0;
  } catch (error) {
    if (error instanceof Interrupted) return 130;
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return error instanceof Usage ? 2 : 1;
  } finally {
    for (const ceiling of ceilings) ceiling.end();
    if (folder) rmSync(folder, { recursive: true, force: true });
  }
}

async function all(options: Options, folder: string, ceilings: readonly Ceilings[]): Promise<void> {
  const say = options.json ? () => {} : (line: string) => console.log(line);
  const { peers, missing } = options.peers ? installed() : { peers: [], missing: [] };
  for (const line of missing) say(`not compared: ${line}`);
  say(head);
  const began = `${new Date().toISOString().slice(0, 19)}Z`;
  const rows: Row[] = [];
  let about = "";
  for (const workload of options.chosen) {
    const numbers = join(folder, workload.name);
    const compared = peers.filter((peer) => peer.takes(workload.name));
    const check = compared.length > 0 ? await numbersFor(workload, numbers, options, folder) : [];
    // The program is the same for any number of threads.
    const before = await firstCompiled(workload, options.threads[0]!, options, folder);
    for (const threads of options.threads) {
      const load = loadavg()[0]!;
      const beside = { ceilings: ceilings.find((c) => c.threads === threads), compared, numbers, check, say };
      const found = await rounds(workload, threads, options, folder, beside);
      if (found.ours.backend === "native" && (before.cached || !found.ours.cached)) {
        throw new Error(`${workload.name}: the cache was not as expected`);
      }
      about = found.ours.about;
      const row = rowFrom(workload, threads, { load, began }, before, found);
      rows.push(row);
      const judged = verdicts(rows).filter((v) => v.workload === workload.name && v.threads === threads);
      if (options.json) console.log(JSON.stringify({ ...row, verdicts: judged }));
      else for (const line of [rowOf(row), ...(row.peers ?? []).map((peer) => peerOf(peer, row))]) say(line);
    }
    rmSync(numbers, { recursive: true, force: true });
  }
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const machine = `${model}, ${availableParallelism()} CPUs, ${process.platform} ${release()}, Node ${process.versions.node}, ${about}`;
  const judged = verdicts(rows);
  const seen = ceilings.map((c) => c.seen());
  say([legend(machine, loadavg()[0]!, seen), "", workLines(rows), "", verdictLines(judged)].join("\n"));
  const changed = against(rows, last(model));
  if (changed.length > 0) say(["", ...changed].join("\n"));
  if (options.save) say(`\nkept: ${save(model, { began, machine, limits: seen }, rows).join(", ")}`);
}

/** The other side of `start` in processes.ts. */
async function measure([name, of, backend, threads, more, spawned]: string[]): Promise<number> {
  const on = backend as Options["backend"];
  const workload = workloads.find((w) => w.name === of)!;
  if (name === "warm") await warm(workload, on, Number(spawned));
  else if (name === "limits") await limits(on, Number(threads));
  else {
    const answer = await (name === "cold" ? cold(workload, on) : given(workload, on, more!));
    console.log(JSON.stringify({ bench: "answer", answer }));
  }
  return 0;
}
