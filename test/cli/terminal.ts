/** The command line inside the test's process: what it wrote, and its exit code. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "fast-png";
import { createColors } from "picocolors";
import { afterAll } from "vitest";
import { main } from "../../src/cli/main.ts";

export type Said = { readonly code: number; readonly out: string; readonly err: string };

/** `columns`: as on a terminal of that width; `signal`: as if it were interrupted. */
export async function downhill(
  argv: readonly string[],
  {
    columns,
    color = false,
    signal = new AbortController().signal,
  }: { columns?: number; color?: boolean; signal?: AbortSignal } = {},
): Promise<Said> {
  const said = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({
    write: (text: string) => {
      said[name] += text;
      return true;
    },
    ...(columns !== undefined && { isTTY: true, columns }),
  });
  const code = await main([...argv], {
    out: stream("out"),
    err: stream("err"),
    colors: { out: createColors(color), err: createColors(color) },
    interruptible: (body) => body(signal),
  });
  return { code, ...said };
}

/** A folder of this test file's own, removed at the end; the process works in it. */
export function workplace(): {
  readonly path: string;
  readonly file: (name: string, text: string | Uint8Array) => string;
} {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "downhill-cli-")));
  const before = process.cwd();
  process.chdir(path);
  afterAll(() => {
    process.chdir(before);
    rmSync(path, { recursive: true, force: true });
  });
  return {
    path,
    file: (name, text) => {
      writeFileSync(join(path, name), text);
      return name;
    },
  };
}

/** A table of two classes that a line tells apart, with a category and a missing cell. */
export function flowers(rows: number): string {
  const lines = ["height,width,place,kind"];
  for (let i = 0; i < rows; i++) {
    const rose = i % 2 === 0;
    const height = (rose ? 10 : 20) + ((i * 7) % 5);
    const width = i % 20 === 3 ? "" : 3 + ((i * 11) % 7);
    lines.push([height, width, i % 3 === 0 ? "sun" : "shade", rose ? "rose" : "tulip"].join(","));
  }
  return `${lines.join("\n")}\n`;
}

export const data = (name: string): string => join(import.meta.dirname, "../../examples/data", name);

/** A folder of two classes with so many images each, 8 × 8: bright above, and bright below. */
export function skies(folder: string, each = 20): void {
  for (const kind of ["dawn", "dusk"]) {
    mkdirSync(join(folder, kind), { recursive: true });
    for (let k = 0; k < each; k++) {
      const bright = (i: number) => (i < 32 === (kind === "dawn") ? 200 : 30) + ((k * 7 + i * 13) % 25);
      const data = Uint8Array.from({ length: 64 }, (_, i) => bright(i));
      writeFileSync(join(folder, kind, `${k}.png`), encode({ width: 8, height: 8, channels: 1, data }));
    }
  }
}
