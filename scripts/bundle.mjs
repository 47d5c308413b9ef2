/**
 * The JavaScript of dist: a file for each layer of src in place of its modules, and one for each entry of the package.
 * Node takes half a millisecond for a module, whatever is in it, and to start a training step would load 150 of them.
 *
 *   node scripts/bundle.mjs FOLDER
 *
 * Layers keep their folders: the library tells its own lines from the user's by them (ir/fail.ts), and which code is
 * running (run/native/modules.ts). Modules that need Node or a package are apart, so that nobody loads them by the way.
 */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is imported from outside: by users, and by bin/downhill.js. */
const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const entries = [
  ...Object.values(exports).flatMap((entry) => entry.default?.match(/^\.\/dist\/(.+)\.js$/)?.[1] ?? []),
  "cli/main",
  "run/native/folder",
];

const whole = (layer) => [`${layer}/layer`, new RegExp(`^${layer}/`)];
/** The file of dist that a module of src is put in: the first that fits. Others have one by who needs them. */
const files = [
  ["ir/fail", /^ir\/fail$/], // all of ir that folder.ts needs
  ["ir/layer", /^(ir\/|tree$|random$)/],
  ["print/c/gemm/library", /^print\/c\/gemm\/(library|kernels|tile-kernels|vector)$/],
  ["run/native/layer", /^run\/native\//],
  ["data/files", /^data\/files$/],
  ...["compile", "print", "run", "nn", "optim", "minimize", "problems"].map(whole),
];

const nameOf = (id) => relative(join(root, "src"), id).replaceAll("\\", "/").replace(/\.ts$/, "");
const fileOf = (name) => (entries.includes(name) ? undefined : files.find(([, fits]) => fits.test(name))?.[0]);

const bundle = await rolldown({
  cwd: root,
  input: Object.fromEntries(entries.map((name) => [name, `src/${name}.ts`])),
  external: /^[^./]/,
  platform: "neutral",
  preserveEntrySignatures: "allow-extension", // asked for by includeDependenciesRecursively
});
const { output } = await bundle.write({
  dir: process.argv[2],
  entryFileNames: "[name].js",
  chunkFileNames: ({ name }) => (name.includes("/") ? `${name}.js` : `shared/${name}.js`),
  sourcemap: true,
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [{ debugName: "layers", name: (id) => fileOf(nameOf(id)) ?? null }],
  },
});
await bundle.close();

// The library of kernels is known by the content of the file that prints it (run/native/library.ts).
const { imports } = output.find(({ fileName }) => fileName === "print/c/gemm/library.js");
if (imports.length > 0)
  throw new Error(`what prints the library of kernels has to be one file, and imports ${imports}`);
