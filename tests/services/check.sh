#!/usr/bin/env bash
# Checks the service scripts: starts each server, writes and reads with an outside client, kills it by -9 and starts it
# again, reads, pauses it, which must end all answers, resumes it, reads, and stops it. Prints a line of times for each.
#
#   check.sh [NAME…]    all, one after the other, or those
#
# What is missing is installed first: tests/setup/tests.sh --with NAME. Seconds are of the wall clock; memory is what the
# processes hold after the first reading.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
service=check
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

all=(postgres mariadb cassandra opensearch elasticsearch hdfs s3 kinesis flume registry
  kafka kafka-secured kafka-cluster hbase hbase-secured)
[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
  [ -f "$here/check/check_${name//-/_}.py" ] || die "there is no check of $name; there are: ${all[*]}"
done

# tool NAME: the script of a check; several checks may be of one.
tool() {
  case $1 in
    hbase-secured) echo "$here/hbase.sh" ;;
    *) echo "$here/$1.sh" ;;
  esac
}

# python NAME: the Python of its outside client.
python() {
  case $1 in
    kafka* | hbase* | flume) echo "$cache/python/bin/python" ;;
    *) client "$1" ;;
  esac
}

# timed COMMAND…: runs it; the seconds it took are in `took`, what it printed in `said`.
timed() {
  local from=$EPOCHREALTIME
  said=$("$@")
  took=$(seconds "$from" "$EPOCHREALTIME")
}
seconds() { echo "$1 $2" | awk '{ printf "%.1f", $2 - $1 }'; }

# held DIR: MB of memory that its processes hold, each page counted once.
held() {
  local file pid
  for file in "$1"/*.pid "$1"/[0-9]/*.pid; do
    if [ ! -f "$file" ] || [ "$(basename "$file")" = guard.pid ]; then continue; fi
    for pid in $(family "$(cat "$file")"); do
      awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true
    done
  done | awk '{ sum += $1 } END { printf "%d", sum / 1024 }'
}

# check NAME: all that is above; ends with the line.
check() {
  local name=$1 script python check took said address first again stop memory
  script=$(tool "$name")
  "$script" fetch >/dev/null
  python=$(python "$name")
  check=$here/check/check_${name//-/_}.py
  dir=$work/$name
  which=()
  [ "$name" != hbase-secured ] || which=(hbase gateway second http https front)
  say "$name"
  mkdir -p "$dir"
  FLUME_AVRO_TARGET=$(port "$dir/avro-target.port") FLUME_THRIFT_TARGET=$(port "$dir/thrift-target.port")
  export FLUME_AVRO_TARGET FLUME_THRIFT_TARGET
  timed "$script" start "$dir" "${which[@]}"
  address=$said first=$took
  "$python" "$check" write "$address" "$dir"
  "$python" "$check" read "$address" "$dir"
  memory=$(held "$dir")

  "$script" kill "$dir" "${which[@]}"
  timed "$script" start "$dir" "${which[@]}"
  again=$took
  [ "$said" = "$address" ] || die "$name came back at $said, and was at $address"
  "$python" "$check" read "$address" "$dir"

  "$script" pause "$dir" "${which[@]}"
  ! timeout 3 "$python" "$check" read "$address" "$dir" >/dev/null 2>&1 || die "$name answers while it is paused"
  "$script" resume "$dir" "${which[@]}"
  timeout 60 "$python" "$check" read "$address" "$dir"

  timed "$script" stop "$dir" "${which[@]}"
  stop=$took
  [ "$name" != flume ] || "$script" stop "$dir/receiver"
  ! "$script" status "$dir" "${which[@]}" | grep -qv stopped || die "$name runs on: $("$script" status "$dir")"
  printf '| %s | %s | %s | %s | %s |\n' "$name" "$first" "$again" "$stop" "$memory"
}

mkdir -p "$cache/services"
work=$(mktemp -d "$cache/services/check-XXXXXX")
chmod 755 "$work" # PostgreSQL's user passes through it
export SERVICE_OWNER=$$
trap 'rm -rf "$work"' EXIT
"$here/../setup/tests.sh" --with "$(IFS=,; echo "$*")"
echo '| service | first start, s | start after kill -9, s | stop, s | memory, MB |'
echo '|---|---|---|---|---|'
for name; do check "$name"; done
echo "$# passed, 0 failed"
