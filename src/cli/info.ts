/** `downhill info`: what this machine can do, and why something it cannot. */
import { availableParallelism, cpus } from "node:os";
import { Command } from "commander";
import type { BackendName } from "../run/backend.ts";
import { cacheReport } from "../run/native/cache.ts";
import { probeCompiler, processor } from "../run/native/compiler.ts";
import { backendNames, selectBackend } from "../run/select.ts";
import type { Terminal } from "./terminal.ts";
import { bytes } from "./text.ts";
import { version } from "./version.ts";

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
  readonly cache: { readonly folder: string; readonly objects: number; readonly bytes: number };
};

export function infoCommand({ out, colors }: Terminal): Command {
  return new Command("info")
    .helpOption("-h, --help", "explain this command")
    .description("Say what this machine can do: backends, compiler, processor, cache.")
    .option("--json", "one line of JSON")
    .addHelpText("after", "\nExamples:\n  $ downhill info\n  $ downhill info --json")
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
  const objects = cache.objects === 1 ? "1 program" : `${cache.objects} programs`;
  const rows: [string, string][] = [
    ["node", `${info.node}, ${info.platform}`],
    ["processor", `${info.cpu}, ${info.threads} of ${info.processors} logical processors`],
    ["compiler", compiler ? `${compiler.version} ${dim(`(${compiler.command}, ${info.simd})`)}` : "none"],
    ...backends.map(({ name, works, about }): [string, string] => [
      name,
      `${works ? green("works") : yellow("missing")}  ${about}${name === info.defaultBackend ? dim("  (the default)") : ""}`,
    ]),
    ["cache", `${cache.folder}, ${objects}, ${bytes(cache.bytes)}`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [bold(`downhill ${info.version}`), ...rows.map(([name, what]) => `  ${name.padEnd(width)}  ${what}`), ""].join(
    "\n",
  );
}
