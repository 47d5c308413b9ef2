/** This package's version. */
import { readFileSync } from "node:fs";

// src/cli and dist/cli lie equally deep in the package.
const description = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

export const { version } = description;
