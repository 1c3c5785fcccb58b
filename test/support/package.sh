#!/usr/bin/env bash
# Packs the package, installs it into an empty folder, and runs what a user would run first.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$root"
tarball=$(npm pack --silent --pack-destination "$folder" | tail -n 1)
cd "$folder"
npm init -y >/dev/null
npm install --no-audit --no-fund "./$tarball" >/dev/null
npx llmservingsim help | grep -q simulate
npx llmservingsim simulate --model qwen/Qwen3-8B --hardware A100 --num-prompts 100 --request-rate 4 --json |
  node -e 'const r = JSON.parse(require("fs").readFileSync(0)); if (r.completed !== 100) process.exit(1)'
npx llmservingsim simulate --model meta-llama/Llama-3.1-8B-Instruct --hardware H100 \
  --trace node_modules/llmservingsim/examples/traces/azure-2023-conversation.csv | grep -q 'requests'
echo 'the packed package works in an empty folder'
