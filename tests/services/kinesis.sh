#!/usr/bin/env bash
# One Kinesis endpoint (kinesalite 3.3.3 from npm, which keeps its streams on disk), for tests.
#
#   kinesis.sh start DIR               starts it with its data in DIR, waits until it answers, prints its URL
#   kinesis.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   kinesis.sh pause|resume DIR        halts it with all connections open, lets it go on
#   kinesis.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   kinesis.sh fetch                   installs it into the cache alone
#
# Plain HTTP. Any access key and secret will do. DIR/http.port has the port. Resharding takes 50 ms.
# KINESIS_PORT: its port at the first start in DIR (default: a free one; later starts keep it).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 29 MB. The first start takes 0.4 s, one after kill -9 0.3 s, a stop 0.0 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/kinesis.sh service=kinesis dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

version=3.3.3
folder=$cache/kinesalite-$version

npm_install() {
  say "installing kinesalite into $folder"
  thrice npm install --prefix "$folder" --no-audit --no-fund --silent "kinesalite@$version" 9>&-
}

fetch() {
  once kinesalite "$folder" npm_install || die "kinesalite cannot be fetched: is npm's registry reachable?"
  echo "$folder"
}
address() { echo "http://127.0.0.1:$(cat "$dir/http.port")"; }
ready() { port_open "$(cat "$dir/http.port")"; }

begin() {
  fetch >/dev/null
  # Its own command line listens at all addresses.
  NODE_PATH=$folder/node_modules launch "$dir/kinesis.pid" "$dir/kinesis.log" node -e '
    const [path, port] = process.argv.slice(1);
    const times = { createStreamMs: 50, deleteStreamMs: 50, updateStreamMs: 50 };
    require("kinesalite")({ path, ...times }).listen(Number(port), "127.0.0.1");' \
    "$dir/streams" "$(port "$dir/http.port" "${KINESIS_PORT:-}")"
}

verbs "$@"
