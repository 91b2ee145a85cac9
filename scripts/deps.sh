#!/usr/bin/env bash
# deps.sh test|generate|demo: installs what this machine lacks, by apt-get, as root or with sudo.
# It looks for programs, not packages: what is there by any other way is good enough.
set -euo pipefail

packages=()
need() { # need PACKAGE PROGRAM…: the package, unless one of the programs is there
	local package=$1 program
	shift
	for program in "$@"; do
		if command -v "$program" >/dev/null || compgen -G "$program" >/dev/null; then
			return
		fi
	done
	packages+=("$package")
}

export PATH=$PATH:/usr/sbin:/usr/local/sbin
case ${1:-test} in
test)
	need postgresql '/usr/lib/postgresql/*/bin/postgres' postgres
	need mariadb-server mariadbd
	need pgbouncer pgbouncer
	need etcd-server etcd
	need zookeeper /usr/share/java/zookeeper.jar # with Java
	need iproute2 ip # network namespaces of test/chaos
	need sqlite3 sqlite3
	need python3 python3
	need bash bash
	need gcc cc gcc # the race detector is linked by it
	need libc6-dev /usr/include/stdlib.h
	need procps pgrep
	need curl curl
	need systemd systemd-analyze # which verifies units; nothing of it is started
	;;
generate)
	need protobuf-compiler protoc
	;;
demo)
	need python3 python3
	need curl curl
	;;
*)
	echo "deps.sh: test, generate or demo, not $1" >&2
	exit 2
	;;
esac

if ! command -v go >/dev/null; then
	echo "Go is not installed. Take the version that go.mod names from https://go.dev/dl/" >&2
	exit 1
fi
if ((${#packages[@]} == 0)); then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "please install what is missing here: ${packages[*]} (names of Debian's packages)" >&2
	exit 1
fi

as_root=()
if ((EUID != 0)); then
	if ! command -v sudo >/dev/null; then
		echo "please run as root: apt-get install -y ${packages[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

# Debian starts what it installs, on ports that may be somebody's. The tests start their own.
if [[ ! -e /usr/sbin/policy-rc.d ]]; then
	printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
	"${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
	trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
fi

echo "installing ${packages[*]}"
if ! apt install -y --no-install-recommends "${packages[@]}" >/dev/null 2>&1; then
	apt update
	apt install -y --no-install-recommends "${packages[@]}" >/dev/null
fi
