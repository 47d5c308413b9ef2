/** Tests run on the sources: a public import such as `downhill/nn` is led to src through package.json's own exports. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

type Exports = Record<string, string | { default: string }>;
const { exports } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { exports: Exports };

const alias = Object.entries(exports).flatMap(([name, target]) => {
  if (typeof target === "string") return [];
  const source = target.default.replace("./dist/", "./src/").replace(/[.]js$/, ".ts");
  return [
    { find: new RegExp(`^downhill${name.slice(1)}$`), replacement: fileURLToPath(new URL(source, import.meta.url)) },
  ];
});

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/house/folder.ts",
    pool: "forks", // a native program runs in the test's process: a crash takes one file with it, not the run
    // Against what hangs. A test that compiles C takes seconds by itself, and many times that on a machine with other work.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // A machine that stands still for a moment must not hold up a change: there a test has a second go, which is told.
    retry: process.env.CI ? 1 : 0,
    reporters: ["default", "./test/house/second-go.ts"],
  },
});
