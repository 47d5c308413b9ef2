/**
 * One temporary folder for the whole test run, removed at its end with whatever tests, and processes that they have killed,
 * leave there: where all tests of a file are skipped nobody tidies up after it. In it a fresh compile cache, so that tests
 * share what is compiled and never touch the user's.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function folder(): () => void {
  const all = mkdtempSync(join(tmpdir(), "downhill-test-"));
  const cache = join(all, "cache");
  mkdirSync(cache, { mode: 0o700 });
  // Inherited by the workers, which are forked after this.
  process.env.TMPDIR = all;
  process.env.DOWNHILL_CACHE = cache;
  return () => rmSync(all, { recursive: true, force: true });
}
