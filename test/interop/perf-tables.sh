#!/usr/bin/env bash
# Tables that real profilers wrote become tables that simulate uses. Their absence is a failure.
set -euo pipefail
cd "$(dirname "$0")/../.."
kernel=${LLMSERVINGSIM_SHARED:-../shared}/data/kernel
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() { node src/cli/bin.js "$@"; }

bundle=$kernel/llmservingsim/RTX4090/meta-llama/Llama-3.1-8B/bf16
profile=$kernel/vidur/compute/a100/meta-llama/Meta-Llama-3-8B
for folder in "$bundle" "$profile" "$kernel/vidur/network/a100_dgx"; do
  [ -d "$folder" ] || { echo "missing: $folder"; exit 1; }
done

llama=meta-llama/Llama-3.1-8B-Instruct
run setup-perf --import "$bundle" --model "$llama" --out "$out"
run setup-perf --check "$out/Llama-3.1-8B-Instruct_RTX4090_tp1.csv"
run simulate --model "$llama" --hardware RTX4090 --max-model-len 8192 --num-prompts 200 --request-rate 2 \
  --perf-table "$out/Llama-3.1-8B-Instruct_RTX4090_tp1.csv" | tee "$out/report.txt"
grep -q 'table model' "$out/report.txt"

llama=meta-llama/Meta-Llama-3-8B-Instruct
run setup-perf --import "$profile,$kernel/vidur/network/a100_dgx" --model "$llama" --out "$out"
run explain --model "$llama" --hardware A100 -tp 2 --perf-table "$out/Meta-Llama-3-8B-Instruct_A100_tp2.csv" \
  --batch 'prefill=512 decode=32@1024' | tee "$out/step.txt"
grep -Eq '^ +all-reduce .* measured$' "$out/step.txt"
