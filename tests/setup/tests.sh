#!/usr/bin/env bash
# Installs what the tests need beside what building needs: Java and Maven (for Kafka and HBase, whose jars are fetched here
# too), Python with kafka-python and happybase, kcat. Says what it does; says nothing where nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

"$here/build.sh"

java_version() { "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1; }
version=$(java_version || true)
missing=()
if [ "${version:-0}" -lt 17 ]; then
  apt_update
  for jdk in 17 21 25; do # Debian 12 and Ubuntu have 17, Debian 13 has 21
    if [ -n "$(candidate "openjdk-$jdk-jre-headless")" ]; then
      missing+=("openjdk-$jdk-jre-headless")
      break
    fi
  done
  [ ${#missing[@]} -gt 0 ] || die "Java 17 or newer is needed, and apt has none: install one and set JAVA_HOME"
fi
command -v mvn >/dev/null || missing+=(maven)
command -v kcat >/dev/null || missing+=(kcat)
command -v flock >/dev/null || missing+=(util-linux)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
packages "${missing[@]}"
version=$(java_version || true)
[ "${version:-0}" -ge 17 ] || die "Java 17 or newer is needed, and ${JAVA_HOME:-the default one} is ${version:-none}:" \
  "${JAVA_HOME:+unset JAVA_HOME, or }choose another with update-alternatives --config java"

# The outside clients that the tests read topics and tables with.
requirements=$here/requirements.txt
venv=$cache/python-$(sha256sum "$requirements" | cut -c1-12)
if [ ! -f "$venv/.complete" ]; then
  say "making a Python environment in $venv"
  rm -rf "$venv"
  python3 -m venv "$venv"
  clients() { "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements" >&2; }
  # Where there is no binary of one of them for this Python, it is compiled.
  clients || { packages python3-dev && clients; } || die "pip could not install kafka-python and happybase"
  touch "$venv/.complete"
fi
ln -sfn "$venv" "$cache/python"

"$here/../services/kafka.sh" fetch >/dev/null
"$here/../services/hbase.sh" fetch >/dev/null
