#!/usr/bin/env bash
# The promise of the README, kept on a machine that has nothing: the last commit is cloned into an empty folder, and
# `npm start` and `npm test` must each work there as the first command typed. The whole suite has its own stage in
# .ci/run, so here `npm test` is given one folder of it: what is checked is that it sets itself up.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fresh() {
  cd "$folder"
  rm -rf "$folder/clone"
  git clone --quiet "$source" "$folder/clone"
  cd "$folder/clone"
}

fresh
echo "\$ npm start"
timeout 300 npm start 2>&1 </dev/null | tee "$folder/start.log"

# The last accuracy printed is the one on held-out e-mails, as 0.94 or as 94 %.
accuracy=$(grep -iE 'accuracy' "$folder/start.log" | grep -oE '[0-9]+[.][0-9]+ ?%?' | tail -n 1 || true)
if [ -z "$accuracy" ]; then
  echo "npm start printed no accuracy"
  exit 1
fi
echo "npm start printed an accuracy: $accuracy"

fresh
echo "\$ npm test -- test/house/setup.test.ts"
timeout 300 npm test -- test/house/setup.test.ts </dev/null

if [ -n "$(git status --porcelain)" ]; then
  echo "the commands leave files that git does not ignore:"
  git status --short
  exit 1
fi
