#!/usr/bin/env bash
# demo.sh: a server in ./baton-data with all examples, and one of them run to its end.
#
# On a terminal the server stays until Ctrl-C. Elsewhere it stays too, in the background, and the
# last line says how to end it. A server that already runs on ./baton-data is used and left alone.
# DEMO_DATA names another folder.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh demo
baton=$PWD/bin/baton
data=${DEMO_DATA:-./baton-data}
export BATON_DATA=$data
unset BATON_SERVER BATON_TOKEN BATON_PROJECT BATON_OUTPUT

pid=
stop() { # ends the server that this script started, nothing else
	trap - EXIT
	trap '' INT TERM HUP PIPE # once is enough, and nobody may be reading any more
	if [[ -n $pid ]] && kill -TERM "$pid" 2>/dev/null; then
		printf '\nstopping the server (process %s)\n' "$pid" || true
		wait "$pid" || true
	fi
}
trap 'stop; exit 1' EXIT
trap 'stop; exit 130' INT TERM HUP

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 ]] || say() { printf '\n%s\n' "$*"; }
run() {
	printf '$ baton %s\n' "$*"
	"$baton" "$@"
}
answers() { [[ -s $data/server ]] && curl -fsS --max-time 2 -o /dev/null "$(<"$data/server")/readyz" 2>/dev/null; }

if answers; then
	say "A server already runs on $data; using it"
else
	say "Starting a server on $data"
	rm -f "$data/server"
	mkdir -p -m 700 "$data"
	listen=127.0.0.1:7077
	if (exec 3<>/dev/tcp/127.0.0.1/7077) 2>/dev/null; then
		listen=127.0.0.1:0 # somebody else has the usual port
	fi
	log=$data/server.log
	# A session of its own: Ctrl-C reaches this script, which then ends the server in order.
	setsid "$baton" standalone --listen "$listen" --drain-timeout 0 >>"$log" 2>&1 </dev/null &
	pid=$!
	for ((i = 0; i < 300; i++)); do
		answers && break
		if ! kill -0 "$pid" 2>/dev/null; then
			tail -n 5 "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
	answers || { echo "the server is not ready after 30 s; see $log" >&2 && exit 1; }
fi
url=$(<"$data/server")
echo "$url, data and log in $data"

say "Applying the examples"
files=()
for f in examples/*/workflow.yaml; do files+=(-f "$f"); done
printf '$ baton apply -f %s -f …\n' "${files[1]}"
"$baton" apply "${files[@]}"

say "Running one: orders of 2026-03-01 from a CSV into SQLite, checked, reported"
run run examples/daily-etl --data-time 2026-03-02 --wait
id=$("$baton" get instances --workflow examples/daily-etl --limit 1 -o name)

say "Its states"
run get instance "$id"

say "A task's log, and what the run made"
run logs "$id" extract
echo '$ cat /tmp/baton-examples/daily-etl/report-2026-03-01.csv'
cat /tmp/baton-examples/daily-etl/report-2026-03-01.csv

say "Open $url in a browser: the HTTP interface and its documentation"
echo "Go on: export BATON_DATA=$data PATH=\$PATH:$PWD/bin"
echo "       baton get workflows; baton run examples/booking --wait; baton --help"
if [[ -z $pid ]]; then
	echo "The server was there before and stays."
elif [[ -t 0 && -t 1 ]]; then
	echo "Ctrl-C stops the server; what it holds is still there when it starts again."
	wait "$pid"
else
	echo "The server goes on in the background; stop it with: kill $pid"
	pid=
fi
trap - EXIT
