/**
 * The direction of imports, as docs/architecture.md draws it. One row per layer of src: what it may import besides
 * itself. `types` may be imported with `import type` alone; `builtins` and `packages` are the files that may touch Node
 * and npm, because everything else must also run in a browser.
 */
const all = { builtins: ".*", packages: ".*" };
const host = { builtins: ".*", packages: "(?!)" };

/** @type {Record<string, { may: string[], types?: string[], builtins?: string, packages?: string }>} */
const layers = {
  // A gradient by a tree of parameters is a tree: that, and nothing else, is what ir needs of the outside.
  ir: { may: ["tree"] },
  tree: { may: [] },
  random: { may: ["ir"] },
  compile: { may: ["ir"] },
  print: { may: ["ir"], types: ["compile"] },
  run: { may: ["print", "compile", "ir", "tree"], ...host },
  nn: { may: ["ir", "tree", "random"] },
  optim: { may: ["ir", "tree", "random"] },
  problems: { may: ["ir"] },
  minimize: { may: ["optim", "run", "ir", "tree", "random"], ...host },
  data: {
    may: ["ir/dtype", "ir/value", "ir/shape", "ir/fail", "tree", "random"],
    builtins: "^src/data/(files|csv|image-folder)[.]ts$",
    packages: "^src/data/(csv|tokenizer|png|jpeg)[.]ts$",
  },
  train: { may: ["minimize", "nn", "optim", "data", "run", "tree", "random", "ir"], ...host },
  interop: {
    may: ["data/near", "train", "nn", "tree", "ir"],
    builtins: "^src/interop/event-file[.]ts$",
    packages: "^src/interop/(zip|tensorboard|onnx/proto)[.]ts$",
  },
  diagnose: { may: ["train", "run", "ir", "tree"], ...host },
  mpi: { may: ["run", "ir", "tree"], ...host },
  // What a user imports as `downhill`: it collects the library, and nothing inside the library may import it back.
  index: { may: ["ir", "tree", "random", "compile", "print", "run", "nn", "optim", "data", "train"] },
  cli: {
    may: [
      "ir",
      "tree",
      "random",
      "compile",
      "print",
      "run",
      "nn",
      "optim",
      "minimize",
      "data",
      "train",
      "interop",
      "diagnose",
      "mpi",
      "index",
    ],
    ...all,
  },
};

/** `nn` is the folder src/nn or the file src/nn.ts. */
const within = (name) => `^src/${name}(/|[.]ts$)`;

const arrows = Object.entries(layers).flatMap(([name, { may, types = [], builtins = "(?!)", packages = "(?!)" }]) => {
  const open = [name, ...may].map(within);
  const rule = (kind, comment, from, to) => ({ name: `${name}-${kind}`, comment, severity: "error", from, to });
  return [
    rule(
      "arrows",
      `src/${name} may import ${[...may, ...types.map((t) => `types of ${t}`)].join(", ") || "nothing outside itself"}`,
      { path: within(name) },
      { path: "^src/", pathNot: [...open, ...types.map(within)] },
    ),
    ...types.map((type) =>
      rule(
        `types-of-${type}`,
        `src/${name} may take types from src/${type} (import type), and nothing that runs`,
        { path: within(name) },
        { path: within(type), dependencyTypesNot: ["type-only"] },
      ),
    ),
    rule(
      "builtins",
      "this file also runs in a browser: no node: module here",
      { path: within(name), pathNot: builtins },
      { dependencyTypes: ["core"] },
    ),
    rule(
      "packages",
      "the library has no run-time dependency: npm packages belong to cli and to the files named above",
      { path: within(name), pathNot: packages },
      { path: "node_modules", dependencyTypesNot: ["core"] },
    ),
  ];
});

module.exports = {
  forbidden: [
    ...arrows,
    {
      name: "no-circles",
      comment: "files that need each other to load; types alone may refer to each other, as an op's row does to Tensor",
      severity: "error",
      from: { path: "^src/" },
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "known-layers",
      comment: "a new folder of src gets its row in .dependency-cruiser.cjs and its line in docs/architecture.md",
      severity: "error",
      from: { path: "^src/", pathNot: Object.keys(layers).map(within) },
      to: {},
    },
    {
      name: "declared",
      comment: "an import that package.json does not list, or that does not resolve",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown", "unknown", "undetermined"] },
    },
    { name: "resolvable", severity: "error", from: { path: "^src/" }, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true, // type imports count too
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
