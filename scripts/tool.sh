#!/usr/bin/env bash
# tool.sh FILE MODULE@VERSION: builds a pinned Go program once, into FILE.
set -euo pipefail
file=$1 module=$2
[[ -x $file ]] && exit 0
echo "building $module (once)"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
GOBIN=$dir GOFLAGS='' go install "$module"
mkdir -p "$(dirname "$file")"
mv "$dir"/* "$file"
