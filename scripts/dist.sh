#!/usr/bin/env bash
# dist.sh: release archives for $PLATFORMS and their checksums, in dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo dev)}
rm -rf dist
mkdir -p dist
for platform in ${PLATFORMS:-linux/amd64}; do
	os=${platform%/*} arch=${platform#*/}
	name=baton-$version-$os-$arch
	echo "$name"
	mkdir "dist/$name"
	CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath -ldflags "-s -w -X baton/internal/cli.version=$version" -o "dist/$name/baton" ./cmd/baton
	cp LICENSE README.md README.zh-CN.md CHANGELOG.md "dist/$name/"
	tar -C dist --sort=name --owner=0 --group=0 --numeric-owner -czf "dist/$name.tar.gz" "$name"
	rm -r "dist/$name"
done
cd dist && sha256sum ./*.tar.gz >SHA256SUMS && cat SHA256SUMS
