#!/usr/bin/env bash
# Kafka → MariaDB, rows and CPU seconds, against real servers: examples/clicks-mysql beside the same rows sent by Python with
# pymysql, as statements of 1,000 rows each, 10,000 in a transaction.
#
#   tests/race/mysql.sh [RECORDS [ROUNDS]]    (default 200000 and 3)
#
# Both take turns, each time into a new table that is made alike. Of streamhost the whole process is timed, from Kafka; of Python
# what comes after its start, and its lines are in memory by then. The first round warms MariaDB up.
# STREAMHOST_PROFILE (release): the profile of the host's build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
records=${1:-200000} rounds=${2:-3} profile=${STREAMHOST_PROFILE:-release}

folder=$(mktemp -d)
export SERVICE_OWNER=$$
end() {
  tests/services/mariadb.sh stop "$folder/mariadb" || true
  tests/services/kafka.sh stop "$folder/kafka" || true
  rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

cargo build -q --profile "$profile" --workspace --bins
built=target/${profile/#dev/debug}
clicks=$("$built/streamhost" build examples/clicks-mysql | tail -1)
python=$(tests/services/client.sh mariadb)
kafka=$(tests/services/kafka.sh start "$folder/kafka")
server=$(tests/services/mariadb.sh start "$folder/mariadb")
cat >"$folder/streamhost.toml" <<T
data-dir = "$folder/data"
[kafka]
brokers = "$kafka"
[mysql]
url = "mysql://root@$server/tests"
T
"$built/clicks-feed" "$kafka" clicks 1000000 "$records"
"$built/streamhost" consume clicks --config "$folder/streamhost.toml" --from-beginning >"$folder/lines"

TIMEFORMAT='%R %U %S'
run() {
  "$built/streamhost" run "$clicks" --config "$folder/streamhost.toml" --name "${1//_/-}" --set until=end --set every=0 \
    --set "sink.clicks=$1" --create-tables >"$folder/run.log" 2>&1 || { tail -20 "$folder/run.log" >&2; exit 1; }
}

printf '%5s %18s %14s %16s %14s\n' round 'streamhost rows/s' 'CPU s/million' 'Python rows/s' 'CPU s/million'
for round in $(seq "$rounds"); do
  read -r rows seconds cpu < <("$python" tests/race/statements.py "$server" "hand_$round" "$folder/lines")
  timed=$({ time run "host_$round"; } 2>&1)
  read -r real user system <<<"$timed"
  awk -v r="$round" -v n="$rows" -v s="$real" -v c="$user" -v d="$system" -v p="$seconds" -v q="$cpu" 'BEGIN {
    printf "%5d %18.0f %14.1f %16.0f %14.1f\n", r, n / s, (c + d) * 1e6 / n, n / p, q * 1e6 / n }'
done
