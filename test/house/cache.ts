/** One fresh compile cache for the whole test run, so that tests share what is compiled and never touch the user's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function cache(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "downhill-test-"));
  process.env.DOWNHILL_CACHE = folder; // inherited by the workers, which are forked after this
  return () => rmSync(folder, { recursive: true, force: true });
}
