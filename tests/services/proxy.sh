#!/usr/bin/env bash
# The fault proxy before a server: forwards TCP, and delays, drops, cuts, holds back or refuses as it is told, for tests.
#
#   proxy.sh start DIR            starts it, waits until it listens, prints its address
#   proxy.sh tell DIR COMMAND…    gives it a command, such as `drop-answer min=500`, and prints the answer
#   proxy.sh stop|kill DIR        ends it and the connections through it
#   proxy.sh pause|resume DIR     halts it with all connections open, lets it go on
#   proxy.sh status DIR           prints `running ADDRESS PID`, `paused …` or `stopped`
#   proxy.sh fetch                builds it
#
# PROXY_TARGET: the server's HOST:PORT; needed at the first start in DIR. PROXY_PORT: its own port at the first start in DIR
# (default: a free one; later starts keep it). DIR/proxy.port has the port, DIR/control.port that for commands, which
# tests/src/fault_proxy lists. Before kafka.sh's second listener: PROXY_PORT=$(cat KAFKA/proxied.port)
# PROXY_TARGET=127.0.0.1:$(cat KAFKA/behind.port) proxy.sh start DIR
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 3 MB. It starts within 0.1 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/proxy.sh service=proxy dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

program=${CARGO_TARGET_DIR:-$here/../../target}/debug/fault-proxy
fetch() {
  [ -x "$program" ] || (cd "$here/../.." && cargo build -q -p streamhost-tests --bin fault-proxy >&2) ||
    die "the proxy cannot be built"
  echo "$program"
}
address() { echo "127.0.0.1:$(cat "$dir/proxy.port")"; }
ready() { grep -q '^listening ' "$dir/proxy.log" 2>/dev/null; }

begin() {
  fetch >/dev/null
  [ -f "$dir/target" ] || echo "${PROXY_TARGET:?the HOST:PORT that it stands before}" >"$dir/target"
  launch "$dir/proxy.pid" "$dir/proxy.log" "$program" "127.0.0.1:$(port "$dir/proxy.port" "${PROXY_PORT:-}")" \
    "$(cat "$dir/target")" "127.0.0.1:$(port "$dir/control.port")"
}

tell() {
  local answer
  exec 4<>"/dev/tcp/127.0.0.1/$(cat "$dir/control.port")" || die "it does not run"
  printf '%s\n' "$*" >&4
  read -r answer <&4 || die "it does not answer"
  case $answer in
    ok*) echo "${answer#ok}" | sed 's/^ //; /^$/d' ;;
    *) die "${answer#error }" ;;
  esac
}

if [ "${1:-}" = tell ]; then
  shift 2
  tell "$@"
  exit 0
fi
verbs "$@"
