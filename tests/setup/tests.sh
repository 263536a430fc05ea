#!/usr/bin/env bash
# Installs what the tests need beside what building needs: Java and Maven (for Kafka, HBase, Elasticsearch and OpenSearch,
# whose jars are fetched here too), PostgreSQL, MariaDB, Python with kafka-python and happybase, kcat, promtool. Says what it does;
# says nothing where nothing is missing.
#
#   tests.sh                    what the contract with real servers needs
#   tests.sh --with NAME,…      that, and what those of tests/services need: the server, and its outside client. `files` is the
#                               outside clients of Parquet, JSON and Delta alone; `all` is everything.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

known=(postgres mariadb cassandra opensearch elasticsearch hdfs s3 kinesis flume registry front files
  kafka kafka-secured kafka-cluster hbase hbase-secured)
with=()
case ${1:-} in
  '') ;;
  --with)
    IFS=, read -ra with <<<"${2:?which services: tests.sh --with NAME,…}"
    [ "${with[*]}" != all ] || with=("${known[@]}")
    for name in "${with[@]}"; do
      [[ " ${known[*]} " == *" $name "* ]] || die "there is no service $name; there are: ${known[*]}"
    done
    ;;
  *) die "not understood: $*; there is: tests.sh [--with NAME,…]" ;;
esac
wanted() { [[ " ${with[*]} " == *" $1 "* ]]; }

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
command -v mariadbd >/dev/null && command -v mariadb >/dev/null || missing+=(mariadb-server-core mariadb-client-core)
! wanted kinesis || command -v npm >/dev/null || missing+=(nodejs npm)
! wanted s3 || command -v go >/dev/null || missing+=(golang-go)
command -v openssl >/dev/null || missing+=(openssl)
packages "${missing[@]}"
version=$(java_version || true)
[ "${version:-0}" -ge 17 ] || die "Java 17 or newer is needed, and ${JAVA_HOME:-the default one} is ${version:-none}:" \
  "${JAVA_HOME:+unset JAVA_HOME, or }choose another with update-alternatives --config java"

# Debian's package would begin a server of the machine's own: it is told not to, as long as nobody has told it otherwise.
install_postgres() {
  packages postgresql-common
  if [ -z "$(find /etc/postgresql -mindepth 2 -maxdepth 2 2>/dev/null)" ]; then
    say "PostgreSQL's packages make no server of their own: create_main_cluster = false in createcluster.conf"
    as_root sed -i 's/^#*create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
  fi
  packages postgresql
}
"$here/../services/postgres.sh" fetch 2>/dev/null || install_postgres

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

# promtool checks metrics and alert rules. Prometheus' package would begin a server of the machine's own: it is unpacked, and
# not installed.
if ! command -v promtool >/dev/null && [ ! -x "$cache/promtool-deb/usr/bin/promtool" ]; then
  say "unpacking promtool"
  apt_update
  rm -rf "$cache/promtool-deb"
  mkdir -p "$cache/promtool-deb"
  (cd "$cache/promtool-deb" && apt-get -q download prometheus >/dev/null 2>&1 && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb) ||
    die "apt-get could not download prometheus, whose promtool the tests need: install promtool by hand"
fi
ln -sfn "$(command -v promtool || echo "$cache/promtool-deb/usr/bin/promtool")" "$cache/promtool"

"$here/../services/kafka.sh" fetch >/dev/null
"$here/../services/hbase.sh" fetch >/dev/null
"$here/../services/elasticsearch.sh" fetch >/dev/null
"$here/../services/opensearch.sh" fetch >/dev/null
for name in "${with[@]}"; do
  case $name in
    kafka* | hbase | files) ;;
    front | hbase-secured) # its package may be older than the lists that are here
      "$here/../services/front.sh" fetch >/dev/null || { apt_update; "$here/../services/front.sh" fetch >/dev/null; }
      ;;
    *) "$here/../services/$name.sh" fetch >/dev/null ;;
  esac
  [ ! -f "$here/clients/$name.txt" ] || "$here/../services/client.sh" "$name" >/dev/null
done
