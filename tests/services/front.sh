#!/usr/bin/env bash
# TLS and passwords in front of a server that has none: nginx, from Debian's package, which is not installed, for tests.
#
#   front.sh start DIR          starts it with its data in DIR, waits until it answers, prints its first address
#   front.sh stop|kill DIR      ends it in good order, or by kill -9; its data stays
#   front.sh pause|resume DIR   halts it with all connections open, lets it go on
#   front.sh status DIR         prints `running ADDRESS PID`, `paused …` or `stopped`
#   front.sh fetch              unpacks it into the cache alone
#
# FRONT_HTTP: the port on 127.0.0.1 of a server that speaks HTTP; FRONT_TCP: of one that speaks anything. At the first start
# in DIR one of them is needed; later starts keep them. What it listens to is in
#   DIR/front.port       HTTP with basic authentication (user `app`, password `secret`)
#   DIR/front-tls.port   the same over TLS
#   DIR/tls.port         TLS, before FRONT_TCP       DIR/mutual.port   the same with client certificates required
# The certificates are in DIR/tls (certificates.sh says which).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 5 MB. It starts within 0.1 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/front.sh service=front dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/services/front-lib.sh
. "$here/front-lib.sh"

fetch() { unpacked nginx nginx libnginx-mod-stream; }
first() { cat "$dir/front.port" 2>/dev/null || cat "$dir/tls.port"; }
address() { echo "127.0.0.1:$(first)"; }
ready() { port_open "$(first)"; }

begin() {
  [ -f "$dir/targets" ] || echo "${FRONT_HTTP:-},${FRONT_TCP:-}" >"$dir/targets"
  IFS=, read -r http tcp <"$dir/targets"
  [ -n "$http$tcp" ] || die "say what it stands in front of: FRONT_HTTP or FRONT_TCP"
  begin_front "$http" "$tcp"
}

verbs "$@"
