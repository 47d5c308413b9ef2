#!/usr/bin/env node
// The command line's entry. In a clone it first brings dist up to date; an installed package has no scripts folder.
import { existsSync } from "node:fs";
import * as module from "node:module";
import { join } from "node:path";

const main = new URL("../dist/cli/main.js", import.meta.url);
const folder = new URL("../dist/run/native/folder.js", import.meta.url);
const setup = new URL("../scripts/setup.mjs", import.meta.url);

if (existsSync(setup)) {
  try {
    await (await import(setup.href)).setup();
  } catch (error) {
    // Half-edited sources do not take the tool away: the last good build still runs, and says so.
    console.error(`setup: ${error.message}${existsSync(main) ? "; going on with the earlier build" : ""}`);
  }
}

// From 22.8 on Node keeps the code of modules it has compiled, some 30 of 220 ms of a start. It is loaded as it lies
// there, so it lies where nobody else can write.
if (module.enableCompileCache) {
  try {
    const cache = (await import(folder.href)).trustedFolder();
    if (cache) module.enableCompileCache(join(cache, "node"));
  } catch {
    // only a saving of time is lost
  }
}

if (existsSync(main)) {
  const { main: run } = await import(main.href);
  process.exitCode = await run(process.argv.slice(2));
} else {
  console.error(
    "downhill: dist/cli/main.js is missing; run `npm run build` in the clone, or install the package again",
  );
  process.exitCode = 1;
}
