/**
 * Runs the TypeScript programs that are not part of the library, as a stranger's project would: compiled by tsc, with
 * `import … from "downhill"` resolved through this package's own exports to dist.
 *
 *   node scripts/programs.mjs example NAME [ARGUMENTS]   one of examples/*.ts
 *   node scripts/programs.mjs examples                   all of them, and the documents' ts blocks; each asserts for itself
 *   node scripts/programs.mjs bench [ARGUMENTS]          bench/main.ts
 *
 * examples/x.ts becomes dist-examples/x.js: as deep as its source, so paths relative to the file stay right. Programs
 * run in the root of the repository.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const node = (args, options) =>
  spawnSync(process.execPath, args, { stdio: ["ignore", "inherit", "inherit"], ...options });

function compile(project) {
  const { status } = node(["node_modules/tsc7/bin/tsc", "-p", project]);
  if (status !== 0) process.exit(1);
}

const run = (file, args, options) => node(["--enable-source-maps", file, ...args], options).status ?? 1;

const names = () =>
  existsSync("examples")
    ? readdirSync("examples")
        .filter((f) => f.endsWith(".ts"))
        .map((f) => basename(f, ".ts"))
        .sort()
    : [];

function example([name, ...args]) {
  if (!names().includes(name)) {
    console.error(
      `example: ${name ? `there is no examples/${name}.ts.` : "which one?"} There are: ${names().join(", ")}`,
    );
    return 2;
  }
  compile("tsconfig.examples.json");
  return run(`dist-examples/${name}.js`, args);
}

function examples() {
  rmSync("dist-examples", { recursive: true, force: true });
  if (names().length > 0) compile("tsconfig.examples.json");
  const programs = [
    ...names().map((name) => [`examples/${name}.ts`, `dist-examples/${name}.js`]),
    ...documents.flatMap(blocksOf),
  ];
  const failed = programs.filter(([title, file]) => {
    console.log(`\n── ${title}`);
    const start = performance.now();
    const status = run(file, [], { timeout: 180_000 });
    console.log(
      `── ${title}: ${status === 0 ? "done" : "FAILED"} in ${((performance.now() - start) / 1000).toFixed(1)} s`,
    );
    return status !== 0;
  });
  console.log(`\n${programs.length - failed.length} of ${programs.length} programs run`);
  return failed.length === 0 ? 0 : 1;
}

/** Whose blocks marked ```ts are programs, each of its own. */
const documents = ["README.md", "docs/training.md", "docs/optimizers.md"];

function blocksOf(document) {
  const text = existsSync(document) ? readFileSync(document, "utf8") : "";
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]);
  if (blocks.length === 0) return [];
  const folder = `dist-examples/${basename(document, ".md").toLowerCase()}`;
  mkdirSync(folder, { recursive: true });
  for (const [k, block] of blocks.entries()) writeFileSync(`${folder}/block-${k + 1}.ts`, block);
  const compilerOptions = { rootDir: ".", outDir: "." };
  const project = { extends: "../../tsconfig.examples.json", compilerOptions, include: ["*.ts"], exclude: [] };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(project));
  compile(`${folder}/tsconfig.json`);
  return blocks.map((_, k) => [`${document}, ts block ${k + 1}`, `${folder}/block-${k + 1}.js`]);
}

function bench(args) {
  compile("tsconfig.bench.json");
  return run("dist-bench/main.js", args);
}

const commands = { example, examples, bench };
const [command, ...args] = process.argv.slice(2);
process.exitCode = commands[command]?.(args) ?? 2;
