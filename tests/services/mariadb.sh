#!/usr/bin/env bash
# One MariaDB server from Debian's package, which stands for MySQL too, for tests. 10.11 on Debian 12.
#
#   mariadb.sh start DIR                 starts it with its data in DIR, waits until it answers, prints its address
#   mariadb.sh stop|kill DIR             ends it in good order, or by kill -9; its data stays
#   mariadb.sh pause|resume DIR          halts it with all connections open, lets it go on
#   mariadb.sh status DIR                prints `running ADDRESS PID`, `paused …` or `stopped`
#   mariadb.sh fetch                     says what is missing
#
# The user is root, without a password; the database is `tests`. DIR/sql.port has the port.
# Also user `app` with password `secret`, over TLS alone (its certificate is DIR/tls/ca.pem's).
# MARIADB_PORT: its port at the first start in DIR (default: a free one; later starts keep it).
# SERVICE_OWNER: a process; when that ends, so does the server.
# Memory 109 MB. The first start takes 3.2 s, one after kill -9 0.3 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/mariadb.sh service=mariadb dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

user=$(id -un) # it takes root, if it is told so
fetch() { command -v mariadbd >/dev/null || die "there is no MariaDB: tests/setup/tests.sh --with mariadb"; }
address() { echo "127.0.0.1:$(cat "$dir/sql.port")"; }
ready() { mariadb --no-defaults -h 127.0.0.1 -P "$(cat "$dir/sql.port")" -u root -e 'SELECT 1' >/dev/null 2>&1; }

make_folder() {
  mariadb-install-db --no-defaults --user="$user" --datadir="$dir/db" --auth-root-authentication-method=normal \
    --skip-test-db --skip-name-resolve >"$dir/install.log" 2>&1 ||
    { cat "$dir/install.log" >&2; die "its folder cannot be made"; }
  cat >"$dir/first.sql" <<'Q'
CREATE DATABASE IF NOT EXISTS tests;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS app@'127.0.0.1' IDENTIFIED BY 'secret' REQUIRE SSL;
GRANT ALL ON tests.* TO app@'127.0.0.1';
Q
}

begin() {
  fetch
  "$here/certificates.sh" "$dir/tls"
  mkdir -p "$dir/db"
  [ -d "$dir/db/mysql" ] || make_folder
  # Not at each commit to the disk: what a killed process wrote is in the system's cache.
  launch "$dir/mariadb.pid" "$dir/mariadb.log" mariadbd --no-defaults --user="$user" --datadir="$dir/db" \
    --port="$(port "$dir/sql.port" "${MARIADB_PORT:-}")" --bind-address=127.0.0.1 --socket="$dir/db/s.sock" \
    --pid-file="$dir/db/p.pid" --innodb-buffer-pool-size=32M --innodb-log-file-size=16M \
    --innodb-flush-log-at-trx-commit=2 --skip-name-resolve --local-infile=1 --init-file="$dir/first.sql" \
    --ssl-ca="$dir/tls/ca.pem" --ssl-cert="$dir/tls/server.pem" --ssl-key="$dir/tls/server.key"
}

verbs "$@"
