#!/usr/bin/env bash
# The clients in Python and Go: generated, built and run against a live server.
source "$(dirname "$0")/lib/server.sh"
python_tools
go_tools
npx buf generate --template buf.gen.clients.yaml
python examples/clients/python/client.py "$GRPC"
cd examples/clients/go
test -z "$(gofmt -l main.go)"
go vet .
go run . "$GRPC"
