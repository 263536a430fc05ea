#!/usr/bin/env bash
# One OpenSearch 2.19.1 node with HTTP from Maven Central's jars, for tests.
#
#   opensearch.sh start DIR               starts it with its data in DIR, waits until it answers, prints its address
#   opensearch.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   opensearch.sh pause|resume DIR        halts it with all connections open, lets it go on
#   opensearch.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   opensearch.sh fetch                   fetches its jars alone
#
# No users, no TLS; indices are made by the first write, as by default. DIR/http.port has the port.
# OPENSEARCH_PORT: its HTTP port at the first start in DIR (default: a free one; later starts keep it). OPENSEARCH_HEAP (384m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 299 MB. The first start takes 11.9 s, one after kill -9 11.4 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/opensearch.sh service=opensearch dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars opensearch; }
address() { echo "127.0.0.1:$(cat "$dir/http.port")"; }
ready() { grep -q 'READY$' "$dir/opensearch.log" 2>/dev/null; }

begin() {
  local lib program heap=${OPENSEARCH_HEAP:-384m}
  lib=$(jars opensearch)
  program=$(classes "$lib" OpenSearch)
  launch "$dir/opensearch.pid" "$dir/opensearch.log" "$java" "-Xms$heap" "-Xmx$heap" "${quick[@]}" \
    -XX:MaxDirectMemorySize=192m -Dlog4j2.disable.jmx=true -cp "$program:$lib/*" OpenSearch "$dir" \
    "$(port "$dir/http.port" "${OPENSEARCH_PORT:-}")" "$(port "$dir/transport.port")"
}

verbs "$@"
