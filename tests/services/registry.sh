#!/usr/bin/env bash
# One schema registry with Confluent's HTTP interface (Apicurio Registry 2.6.13, Apache-2.0, from Maven Central), for tests.
#
#   registry.sh start DIR          starts it with its data in DIR, waits until it answers, prints the interface's URL
#   registry.sh stop|kill DIR      ends it in good order, or by kill -9; its data stays
#   registry.sh pause|resume DIR   halts it with all connections open, lets it go on
#   registry.sh status DIR         prints `running ADDRESS PID`, `paused …` or `stopped`
#   registry.sh fetch              fetches it alone
#
# What Confluent's clients take as its URL ends in /apis/ccompat/v7. Schemas and their ids are kept on disk. Compatibility is
# BACKWARD, as Confluent's. DIR/http.port has the port. Users: front.sh with FRONT_HTTP=$(cat DIR/http.port) asks for one.
# REGISTRY_PORT: its port at the first start in DIR (default: a free one; later starts keep it). REGISTRY_HEAP (160m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 170 MB. The first start takes 4.0 s, one after kill -9 4.5 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/registry.sh service=registry dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

version=2.6.13.Final # the last line that runs on Java 17; 3.3 wants 21
folder=$cache/apicurio-$version

take() {
  say "fetching Apicurio Registry into $folder (142 MB)"
  thrice mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy -DoutputDirectory="$folder" \
    -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" 9>&- &&
    tar -xzf "$folder"/*.tar.gz -C "$folder" && rm "$folder"/*.tar.gz
}

fetch() {
  once apicurio "$folder" take || die "Apicurio Registry cannot be fetched: is Maven Central reachable?"
  echo "$folder"
}
address() { echo "http://127.0.0.1:$(cat "$dir/http.port")/apis/ccompat/v7"; }

# tell METHOD PATH [BODY]: one request to it; the answer's first line.
tell() {
  local port
  port=$(cat "$dir/http.port")
  exec 4<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf '%s /apis/ccompat/v7/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n' \
    "$1" "$2" >&4
  printf 'Content-Length: %d\r\n\r\n%s' "${#3}" "$3" >&4
  head -n 1 <&4
  exec 4>&-
}

ready() {
  { tell GET subjects '' | grep -q ' 200 '; } 2>/dev/null || return 1
  [ ! -f "$dir/.level" ] || return 0
  tell PUT config '{"compatibility":"BACKWARD"}' | grep -q ' 200 ' || die "its compatibility cannot be set"
  touch "$dir/.level"
}

begin() {
  fetch >/dev/null
  # WRITE_DELAY: what it has answered survives kill -9.
  REGISTRY_DATASOURCE_URL="jdbc:h2:file:$dir/schemas;WRITE_DELAY=0" LOG_LEVEL=WARN \
    launch "$dir/registry.pid" "$dir/registry.log" "$java" "-Xmx${REGISTRY_HEAP:-160m}" "${quick[@]}" \
    -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$(port "$dir/http.port" "${REGISTRY_PORT:-}")" \
    -Dquarkus.datasource.jdbc.min-size=1 -Dquarkus.datasource.jdbc.initial-size=1 \
    -jar "$folder/apicurio-registry-app-$version-runner.jar"
}

verbs "$@"
