#!/usr/bin/env bash
# One Elasticsearch 7.17.28 node with HTTP from Maven Central's jars, for tests.
#
#   elasticsearch.sh start DIR               starts it with its data in DIR, waits until it answers, prints its address
#   elasticsearch.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   elasticsearch.sh pause|resume DIR        halts it with all connections open, lets it go on
#   elasticsearch.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   elasticsearch.sh fetch                   fetches its jars alone
#
# No users, no TLS; indices are made by the first write, as by default. DIR/http.port has the port.
# ELASTICSEARCH_PORT: its HTTP port at the first start in DIR (default: a free one; later starts keep it).
# ELASTICSEARCH_HEAP (384m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 225 MB. The first start takes 5.6 s, one after kill -9 4.6 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/elasticsearch.sh service=elasticsearch dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars elasticsearch; }
address() { echo "127.0.0.1:$(cat "$dir/http.port")"; }
ready() { grep -q 'READY$' "$dir/elasticsearch.log" 2>/dev/null; }

begin() {
  local lib program heap=${ELASTICSEARCH_HEAP:-384m}
  lib=$(jars elasticsearch)
  program=$(classes "$lib" Elasticsearch)
  launch "$dir/elasticsearch.pid" "$dir/elasticsearch.log" "$java" "-Xms$heap" "-Xmx$heap" "${quick[@]}" \
    -XX:MaxDirectMemorySize=192m -Dlog4j2.disable.jmx=true -cp "$program:$lib/*" Elasticsearch "$dir" \
    "$(port "$dir/http.port" "${ELASTICSEARCH_PORT:-}")" "$(port "$dir/transport.port")"
}

verbs "$@"
