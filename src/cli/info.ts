/** `downhill info`: what this machine can do, and why something it cannot. */
import { availableParallelism, cpus } from "node:os";
import { Command } from "commander";
import type { BackendName } from "../run/backend.ts";
import { type CacheReport, cacheReport } from "../run/native/cache.ts";
import { probeCompiler, processor } from "../run/native/compiler.ts";
import { backendNames, selectBackend } from "../run/select.ts";
import type { Terminal } from "./terminal.ts";
import { bytes, counted } from "./text.ts";
import { version } from "./version.ts";

const help = `
The cache lets the next process start without compiling. What was not used for
60 days is removed; all of it may be deleted at any time. DOWNHILL_CACHE names
another folder.

Examples:
  $ downhill info
  $ downhill info --json`;

type BackendReport = { readonly name: BackendName; readonly works: boolean; readonly about: string };

export type Info = {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  /** Logical processors, and how many of them this process may use. */
  readonly processors: number;
  readonly threads: number;
  readonly simd: string | null;
  readonly compiler: { readonly command: string; readonly version: string } | null;
  readonly backends: readonly BackendReport[];
  readonly defaultBackend: BackendName;
  readonly cache: CacheReport;
};

export function infoCommand({ out, colors }: Terminal): Command {
  return new Command("info")
    .helpOption("-h, --help", "explain this command")
    .description("Say what this machine can do: backends, compiler, processor, cache.")
    .option("--json", "one line of JSON")
    .addHelpText("after", help)
    .action(async ({ json }: { json?: true }) => {
      const info = await collect();
      out.write(json ? `${JSON.stringify(info)}\n` : shown(info, colors.out));
    });
}

async function collect(): Promise<Info> {
  const compiler = probeCompiler();
  const automatic = await selectBackend();
  return {
    version,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cpu: processor().model || "unknown",
    processors: cpus().length,
    threads: availableParallelism(),
    simd: compiler.found ? compiler.simd : null,
    compiler: compiler.found ? { command: compiler.command, version: compiler.version } : null,
    backends: await Promise.all(backendNames.map(report)),
    defaultBackend: automatic.backend.name,
    cache: cacheReport(),
  };
}

async function report(name: BackendName): Promise<BackendReport> {
  const compiler = probeCompiler();
  if (name === "native" && !compiler.found) {
    return { name, works: false, about: `${compiler.reason}; ${compiler.remedy}` };
  }
  return { name, works: true, about: (await selectBackend(name)).backend.about };
}

function shown(info: Info, { bold, dim, green, yellow }: Terminal["colors"]["out"]): string {
  const { cache, compiler, backends } = info;
  const held = `${counted(cache.programs, "program")}, ${counted(cache.objects, "compiled object")}, ${bytes(cache.bytes)}`;
  const rows: [string, string][] = [
    ["node", `${info.node}, ${info.platform}`],
    ["processor", `${info.cpu}, ${info.threads} of ${info.processors} logical processors`],
    ["compiler", compiler ? `${compiler.version} ${dim(`(${compiler.command}, ${info.simd})`)}` : "none"],
    ...backends.map(({ name, works, about }): [string, string] => [
      name,
      `${works ? green("works") : yellow("missing")}  ${about}${name === info.defaultBackend ? dim("  (the default)") : ""}`,
    ]),
    ["cache", `${cache.folder}, ${held}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [bold(`downhill ${info.version}`), ...rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`), ""].join(
    "\n",
  );
}
