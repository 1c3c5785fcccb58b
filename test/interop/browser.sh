#!/usr/bin/env bash
# A web page in Chromium calls the server through Connect and gRPC-Web, from another origin; a server whose
# --allowed-origins leaves it out keeps it out. Debian's chromium, installed when it is not there.
source "$(dirname "$0")/lib/server.sh"
if ! command -v "${CHROMIUM:-chromium}" >/dev/null; then
  apt-get update -q && apt-get install -qy --no-install-recommends chromium
fi
closed_log=$(mktemp)
node src/cli/bin.js server --port 0 --grpc-port 0 --allowed-origins '["https://elsewhere.example"]' \
  >"$closed_log" 2>&1 &
closed=$!
trap 'kill $server $closed 2>/dev/null || true; wait $server $closed 2>/dev/null || true; rm -f "$log" "$closed_log"' EXIT
for _ in $(seq 1 200); do
  CLOSED=$(sed -n 's|^ *OpenAI *\(http://.*\)/v1$|\1|p' "$closed_log")
  [ -n "$CLOSED" ] && break
  sleep 0.1
done
npx tsx test/interop/browser/run.ts "$HTTP" "$CLOSED"
