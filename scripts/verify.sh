#!/usr/bin/env bash
# verify.sh: makes anew what is generated, elsewhere, and compares. The work tree is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
scripts/generate.sh "$made"

# The version of protoc is written into what it makes; another one makes the same code.
old=0
for f in internal/rpc/*.pb.go internal/worker/supervisor/link/*.pb.go docs/openapi.json docs/workflow.schema.json; do
	diff -u -I '^//[[:space:]]*\(- \)\?protoc  *v' --label "$f (committed)" --label "$f (generated)" "$f" "$made/$f" || old=1
done
go test -count=1 ./internal/flow ./test/arrows || old=1
if ((old)); then
	echo "generated files are not what the code says; run: make generate" >&2
	exit 1
fi
