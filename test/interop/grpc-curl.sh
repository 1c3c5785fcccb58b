#!/usr/bin/env bash
# Calls from a shell, through every door, with nothing known but the address: the server tells its schema.
source "$(dirname "$0")/lib/server.sh"
service=llmservingsim.v1
expect() { # pattern, command...
  local pattern=$1
  shift
  local answer
  answer=$("$@" 2>&1) || true
  if ! grep -q "$pattern" <<<"$answer"; then
    printf 'expected %s from: %s\ngot: %s\n' "$pattern" "$*" "$answer" >&2
    exit 1
  fi
  printf 'ok  %s\n' "$pattern"
}
grpc() { npx buf curl --http2-prior-knowledge --protocol grpc "$@"; }
post() { curl -s -H 'content-type: application/json' -d "$1" "$HTTP/$2"; }

expect SimulateService grpc --list-services "http://$GRPC"
expect grpc.health.v1.Health grpc --list-services "$HTTP"
expect '"total"' grpc "http://$GRPC/$service.StatusService/GetStatus"
expect '"total"' grpc "$HTTP/$service.StatusService/GetStatus"
expect SERVING grpc "http://$GRPC/grpc.health.v1.Health/Check"
expect '"finishReason": "length"' grpc -d '{"text": "hi", "maxTokens": 3, "ignoreEos": true}' \
  "http://$GRPC/$service.SimulateService/Generate"
expect '"completed": 1' grpc -d '
  {"configure": {"scenario": {"pools": [{"model": "qwen/Qwen3-8B", "hardware": "H100"}]}}}
  {"submit": {"request": {"promptTokens": 100, "outputTokens": 5}}}
  {"advance": {"untilMs": 30}}' "http://$GRPC/$service.SimulateService/SimulateStream"
for protocol in connect grpcweb; do
  expect '"finishReason": "length"' npx buf curl --protocol $protocol --schema proto \
    -d '{"promptTokens": 9, "maxTokens": 3, "ignoreEos": true}' \
    "$HTTP/$service.SimulateService/Generate"
done
expect '"hardware"' post '{}' $service.StatusService/ListHardware
expect '"durationMs"' post \
  '{"pool": {"model": "qwen/Qwen3-8B", "hardware": "H100"}, "numDecodes": 8, "decodeContext": 500}' \
  $service.SimulateService/EstimateStep
expect '"not_found"' post '{"pool": {"model": "qwen/Qwen9", "hardware": "H100"}}' \
  $service.SimulateService/EstimateStep
# Calls without side effects are plain GETs, for caches and browsers.
expect '"memoryUsage"' curl -s \
  "$HTTP/$service.StatusService/GetStatus?connect=v1&encoding=json&message=%7B%7D"
