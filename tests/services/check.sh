#!/usr/bin/env bash
# Checks the service scripts: starts each server, writes and reads with an outside client, kills it by -9 and starts it
# again, reads, pauses it, which must end all answers, resumes it, reads, and stops it. Prints a line of times for each.
#
#   check.sh [NAME…]    all, one after the other, or those
#
# What is missing is installed first: tests/setup/tests.sh --with NAME. Seconds are of the wall clock; memory is what the
# processes hold after the first reading, each page counted once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/check.sh service=check
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

all=(postgres mariadb cassandra opensearch elasticsearch hdfs s3 kinesis flume registry
  kafka kafka-secured kafka-cluster hbase hbase-secured)

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

program() { echo "$here/check/check_${1//-/_}.py"; }

# timed COMMAND…: runs it; the seconds it took are in `took`, what it printed in `said`.
timed() {
  local from=$EPOCHREALTIME
  said=$("$@")
  took=$(echo "$from $EPOCHREALTIME" | awk '{ printf "%.1f", $2 - $1 }')
}

# held DIR: MB of memory that its processes hold.
held() {
  local file pid
  for file in "$1"/*.pid "$1"/[0-9]/*.pid; do
    if [ ! -f "$file" ] || [ "$(basename "$file")" = guard.pid ]; then continue; fi
    for pid in $(family "$(cat "$file")"); do
      awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup" 2>/dev/null || true
    done
  done | awk '{ sum += $1 } END { printf "%d", sum / 1024 }'
}

# check NAME DIR: all that is above; ends with the line.
check() {
  local name=$1 dir=$2 script python check address took said first again stop memory which=()
  script=$(tool "$name") python=$(python "$name") check=$(program "$name")
  [ "$name" != hbase-secured ] || which=(hbase gateway second http https front)
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
  ! "$script" status "$dir" "${which[@]}" | grep -qv stopped || die "$name runs on: $("$script" status "$dir")"
  printf '| %s | %s | %s | %s | %s |\n' "$name" "$first" "$again" "$stop" "$memory"
}

# Without `set -e` a check would not end at what fails; so each is a process of its own.
if [ "${1:-}" = --one ]; then
  check "$2" "$3"
  exit 0
fi

[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
  [ -f "$(program "$name")" ] || die "there is no check of $name; there are: ${all[*]}"
done
work=$cache/services/run-$$ # a name by which later runs see that its owner is gone
mkdir -p "$work"
export SERVICE_OWNER=$$

# drop NAME: its processes and its folder.
drop() {
  [ "$1" != flume ] || "$here/flume.sh" kill "$work/flume/receiver" || true
  "$(tool "$1")" kill "$work/$1" || true
  rm -rf "${work:?}/$1"
}
current=
trap '[ -z "$current" ] || drop "$current"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$here/../setup/tests.sh" --with "$(IFS=,; echo "$*")"
passed=0 failed=0
echo '| service | first start, s | start after kill -9, s | stop, s | memory, MB |'
echo '|---|---|---|---|---|'
for name; do
  current=$name
  if "$self" --one "$name" "$work/$name"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    say "$name failed"
  fi
  drop "$name"
  current=
done
echo "test result: $([ $failed = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed;"
[ $failed = 0 ]
