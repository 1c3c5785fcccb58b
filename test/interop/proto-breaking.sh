#!/usr/bin/env bash
# No change of the schema breaks a client: compared with the main branch, or with the commit before.
set -euo pipefail
cd "$(dirname "$0")/../.."
base=$(git rev-parse --verify -q main || git rev-parse --verify -q origin/main || git rev-parse HEAD)
if [ "$base" = "$(git rev-parse HEAD)" ]; then
  base=$(git rev-parse -q --verify HEAD~1 || echo "$base")
fi
npx buf breaking --against ".git#ref=$base"
