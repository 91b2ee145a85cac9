#!/usr/bin/env bash
# generate.sh [DIR]: writes what a program makes from the code into DIR, by default into this
# repository: the Go files of wire and link, docs/openapi.json, docs/workflow.schema.json. What tests make
# (docs/states.md, docs/reasons.md, the arrows in .golangci.yaml) is written by `make generate`, too.
set -euo pipefail
out=$(realpath "${1:-$(dirname "$0")/..}")
cd "$(dirname "$0")/.."
mkdir -p "$out/docs"

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

PATH=$bin:$PATH protoc --go_out="$out" --go_opt=paths=source_relative \
	--go-grpc_out="$out" --go-grpc_opt=paths=source_relative internal/rpc/wire.proto internal/rpc/peers.proto
PATH=$bin:$PATH protoc --go_out="$out" --go_opt=paths=source_relative internal/worker/supervisor/link/link.proto

# Built with what was just made.
go build -o "$bin/" ./cmd/baton
# Through a file: a program that fails must not leave an empty document.
"$bin/baton" openapi >"$bin/openapi.json" && cat "$bin/openapi.json" >"$out/docs/openapi.json"
"$bin/baton" schema >"$bin/schema.json" && cat "$bin/schema.json" >"$out/docs/workflow.schema.json"
