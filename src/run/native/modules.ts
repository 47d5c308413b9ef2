/**
 * Which code is running: what this library keeps on disk holds for the modules that made it, and for no others.
 *
 * To read them all takes longer than to load a program, so a file is known by what the file system says of it: place,
 * inode, size, and the time of its last change to the microsecond, which nobody can set back. Where times are whole seconds,
 * as in images made to be reproducible, that is not enough, and contents are read.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Layers that decide what a trace is compiled to and how that is called. */
const layers = ["ir", "compile", "print", "run"];

const TICK = 20; // ms that the file system's clock may be late

/**
 * A digest that speaks for what this process has loaded: of the modules of those layers, where `here` is one of run/native.
 * Undefined in a bundle of an application, where they do not lie, and where one was touched since the process began.
 */
export function modulesOf(here: string, began = performance.timeOrigin): string | undefined {
  const kind = here.slice(here.lastIndexOf("."));
  const hash = createHash("sha256");
  let known = "";
  try {
    const root = fileURLToPath(new URL("../..", here));
    const folders = layers.map((layer) => root + layer);
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = `${folder}/${entry.name}`;
        if (entry.isDirectory()) folders.push(path);
        if (!entry.name.endsWith(kind)) continue;
        const { ino, size, ctimeMs } = statSync(path);
        const whole = ctimeMs % 1000 === 0;
        if (ctimeMs >= began - (whole ? 1000 : TICK)) return undefined;
        known += `${path} ${ino} ${size} ${ctimeMs}\n`;
        if (whole) hash.update(readFileSync(path));
      }
    }
  } catch {
    return undefined;
  }
  return hash.update(known).digest("hex");
}
