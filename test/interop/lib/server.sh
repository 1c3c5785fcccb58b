# Sourced by the interop scripts: a live server on free ports, gone when the script ends.
# Sets HTTP (URL) and GRPC (host:port).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
log=$(mktemp)
node src/cli/bin.js server --port 0 --grpc-port "${GRPC_PORT:-50951}" >"$log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server 2>/dev/null || true; rm -f "$log"' EXIT
for _ in $(seq 1 200); do
  HTTP=$(sed -n 's|^ *OpenAI *\(http://.*\)/v1$|\1|p' "$log")
  GRPC=$(sed -n 's|^ *gRPC *\(.*\)$|\1|p' "$log")
  [ -n "$HTTP" ] && [ -n "$GRPC" ] && break
  kill -0 $server 2>/dev/null || break
  sleep 0.1
done
if [ -z "$HTTP" ] || [ -z "$GRPC" ]; then
  cat "$log"
  echo 'the server did not start' >&2
  exit 1
fi
export HTTP GRPC

# Plugins that write the clients, at fixed versions, in a folder of their own.
tools=$PWD/node_modules/.cache/interop
mkdir -p "$tools"
python_tools() {
  [ -x "$tools/venv/bin/python" ] || python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install -q -r examples/clients/python/requirements.txt
  export PATH=$tools/venv/bin:$PATH
}
go_tools() {
  export GOBIN=$tools/go PATH=$tools/go:$PATH
  [ -x "$GOBIN/protoc-gen-go" ] || go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
  [ -x "$GOBIN/protoc-gen-go-grpc" ] ||
    go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
}
