#!/usr/bin/env bash
# run.sh: asks Quartz 2.3.2 anew and writes golden.txt. It needs a JDK and Debian's libquartz2-java.
set -euo pipefail
cd "$(dirname "$0")"
jar=${QUARTZ_JAR:-/usr/share/java/quartz2.jar}
classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
javac -nowarn -cp "$jar" -d "$classes" Fires.java
java -cp "$jar:$classes" Fires cases.txt >"$classes/golden.txt"
cat "$classes/golden.txt" >golden.txt
