#!/usr/bin/env bash
# The package as npm would publish it, installed by a stranger into an empty folder, without this repository in reach.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

npm pack --silent --pack-destination "$folder"
cd "$folder"
echo '{ "private": true, "type": "module" }' >package.json
npm install --silent --no-audit --no-fund --prefer-offline ./downhill-*.tgz

npx --no-install downhill --version
for file in node_modules/downhill/examples node_modules/downhill/test node_modules/downhill/scripts; do
  if [ -e "$file" ]; then
    echo "$file should not be in the package"
    exit 1
  fi
done

# Each public subpath loads, and its types hold in a strict project that checks the libraries it uses.
node --input-type=module -e '
  import { readFileSync, writeFileSync } from "node:fs";
  const { exports } = JSON.parse(readFileSync("node_modules/downhill/package.json", "utf8"));
  const names = Object.keys(exports).filter((name) => !name.endsWith(".json")).map((name) => "downhill" + name.slice(1));
  for (const name of names) await import(name);
  writeFileSync("use.ts", names.map((name, k) => `import * as m${k} from "${name}";\nexport { m${k} };\n`).join(""));
  console.log(`loads: ${names.join(", ")}`);
'
node "$source/node_modules/tsc7/bin/tsc" --noEmit --strict --skipLibCheck false --types node \
  --typeRoots "$source/node_modules/@types" --module nodenext --target es2023 use.ts
echo "types hold"
