#!/usr/bin/env bash
# One PostgreSQL server from Debian's package, for tests. 15 on Debian 12, 17 on Debian 13; whichever is newest here.
#
#   postgres.sh start DIR                 starts it with its data in DIR, waits until it answers, prints its address
#   postgres.sh stop|kill DIR             ends it in good order, or by kill -9; its data stays
#   postgres.sh pause|resume DIR          halts it with all connections open, lets it go on
#   postgres.sh status DIR                prints `running ADDRESS PID`, `paused …` or `stopped`
#   postgres.sh fetch                     says what is missing
#
# The user is postgres, the database too, and there is no password. DIR/sql.port has the port.
# Also user `app` with password `secret`, by SCRAM-SHA-256 and over TLS alone (its certificate is DIR/tls/ca.pem's).
# POSTGRES_PORT: its port at the first start in DIR (default: a free one; later starts keep it).
# SERVICE_OWNER: a process; when that ends, so does the server.
# Memory 19 MB. The first start takes 2.0 s, one after kill -9 0.3 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/postgres.sh service=postgres dir=${2:-}
stop_signal=INT # quick and in good order; TERM waits for clients
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

user=postgres # the server refuses root; Debian's package makes this user
programs() { find /usr/lib/postgresql -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -n 1; }
fetch() { [ -n "$(programs)" ] || die "there is no PostgreSQL: tests/setup/tests.sh --with postgres"; }
address() { echo "127.0.0.1:$(cat "$dir/sql.port")"; }
ready() { "$(programs)/pg_isready" -q -U postgres -h 127.0.0.1 -p "$(cat "$dir/sql.port")"; }

# The roles are made in single-user mode, as there is no server yet.
make_folder() {
  local made=$dir/pg
  (as $user "$(programs)/initdb" -D "$made" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N) >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; die "its folder cannot be made"; }
  (as $user "$(programs)/postgres" --single -D "$made" postgres) >>"$dir/initdb.log" 2>&1 <<'Q' ||
CREATE ROLE app LOGIN PASSWORD 'secret'
GRANT ALL ON DATABASE postgres TO app
GRANT ALL ON SCHEMA public TO app
Q
    { cat "$dir/initdb.log" >&2; die "its roles cannot be made"; }
  printf '%s\n' 'hostssl all app 127.0.0.1/32 scram-sha-256' 'host all app all reject' \
    'host all all 127.0.0.1/32 trust' >"$made/pg_hba.conf"
}

begin() {
  fetch
  "$here/certificates.sh" "$dir/tls"
  mkdir -p "$dir/pg"
  [ "$(id -u)" != 0 ] || chown "$user" "$dir/pg"
  chmod 700 "$dir/pg"
  cd "$dir/pg" # its user may not enter the folder that this began in
  [ -f "$dir/pg/PG_VERSION" ] || make_folder
  rm -f "$dir/pg/postmaster.pid" # a killed server's; its process may be a zombie yet, which the new one would respect
  install -m 600 -o "$(stat -c %u "$dir/pg")" "$dir/tls/server.key" "$dir/pg/server.key"
  # Without fsync: what a killed process wrote is in the system's cache, and only a machine's crash would lose it.
  export -f as
  launch "$dir/postgres.pid" "$dir/postgres.log" bash -c 'as "$@"' as $user "$(programs)/postgres" -D "$dir/pg" \
    -p "$(port "$dir/sql.port" "${POSTGRES_PORT:-}")" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c shared_buffers=32MB -c fsync=off -c max_prepared_transactions=16 -c ssl=on \
    -c ssl_cert_file="$dir/tls/server.pem" -c ssl_key_file="$dir/pg/server.key"
}

verbs "$@"
