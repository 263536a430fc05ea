#!/usr/bin/env bash
# From a fresh clone to rows in a table, and a better version of the job swapped in while records flow.
#
#   examples/demo.sh [--keep] [--data DIR]
#
# --keep leaves everything running and says what to try next. --data DIR keeps the data there (default: a temporary folder).
# Needs no Kafka and no HBase: `streamhost dev` has both in one process. Installs what is missing to build (tests/setup).
set -euo pipefail
from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PATH="$HOME/.cargo/bin:$PATH"

keep=no data='' temporary=''
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=yes ;;
    --data)
      data=${2:?--data wants a folder}
      case $data in /*) ;; *) data=$from/$data ;; esac
      shift
      ;;
    *) sed -n '2,7p' examples/demo.sh >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$data" ]; then
  data=$(mktemp -d)
  temporary=$data
fi
mkdir -p "$data"
: >"$data/dev.out" # of an earlier run with this folder: it is read before the new one writes

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
# shown COMMAND…: prints it as a user would type it, and runs it.
shown() { echo "  \$ streamhost $*" && "$bin/streamhost" "$@" | sed 's/^/    /'; }

dev='' feed=''
clean_up() {
  local code=$?
  [ -z "$feed" ] || kill "$feed" 2>/dev/null || true
  [ -z "$dev" ] || { kill "$dev" 2>/dev/null && wait "$dev" || true; }
  if [ $code -ne 0 ] && [ -f "$data/dev.log" ]; then
    echo "the demo failed; the end of $data/dev.log:" >&2
    tail -n 30 "$data/dev.log" >&2
    temporary=''
  fi
  [ -z "$temporary" ] || rm -rf "$temporary"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# until_true SECONDS WHAT COMMAND…
until_true() {
  local limit=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $limit ] || { echo "waited in vain until $what" >&2; exit 1; }
    sleep 0.2
  done
}

# usual PORT: that one, or 0 (any free one) where it is taken.
usual() { if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then echo 0; else echo "$1"; fi; }
address() { sed -n "s/^$1 *//p" "$data/dev.out"; }

if [ -n "${STREAMHOST_BINARIES:-}" ]; then
  bin=$STREAMHOST_BINARIES # built already, by the tests
else
  heading "1. Building (some minutes the first time)"
  tests/setup/build.sh
  cargo build --workspace --bins
  bin=${CARGO_TARGET_DIR:-target}/debug
fi

heading "2. Building the job examples/clicks into a WebAssembly component, and its next version"
clicks=$("$bin/streamhost" build examples/clicks | tail -n 1)
second=$("$bin/streamhost" build examples/clicks-v2 | tail -n 1)
echo "  $clicks"
echo "  $second"

heading "3. Starting streamhost with a Kafka broker and an HBase table store inside"
"$bin/streamhost" dev --data "$data/dev" --kafka-port "$(usual 9092)" --hbase-port "$(usual 9090)" \
  --control-port "$(usual 7070)" >"$data/dev.out" 2>"$data/dev.log" &
dev=$!
until_true 30 "streamhost is ready" grep -q '^ready' "$data/dev.out"
kafka=$(address kafka) hbase=$(address hbase)
STREAMHOST_URL=$(address control)
export STREAMHOST_URL
echo "  Kafka $kafka   HBase Thrift $hbase   dashboard $STREAMHOST_URL/"

heading "4. A hundred clicks a second into topic clicks (one in a hundred is broken on purpose)"
"$bin/clicks-feed" "$kafka" clicks 100 >"$data/feed.log" 2>&1 &
feed=$!

rows() { "$bin/table-rows" "$hbase" clicks "${1:-3}" 2>/dev/null; }
count() { rows 0 | sed -n 's/^ *\([0-9]*\) rows in .*/\1/p'; }
more_rows() { [ "$(count)" -gt "$1" ]; }
with_new_column() { rows 1000000 | grep clickinfo:domain= | sed -n 1,3p; }
new_column() { [ -n "$(with_new_column)" ]; }

heading "5. Deploying the job: a batch every second"
until_true 30 "topic clicks is there" grep -q clicks "$data/feed.log"
shown deploy "$clicks" --create-tables --set every=1s

heading "6. The table fills"
seen=0
for _ in 1 2 3; do
  until_true 30 "there are more rows than $seen" more_rows "$seen"
  seen=$(count)
  rows 0
done
echo "  and begins so:"
rows 3
shown status clicks

heading "7. A better version takes over between two batches: it adds the column clickinfo:domain"
shown deploy "$second" --set every=1s
until_true 30 "a row has the new column" new_column
with_new_column
shown history clicks

if [ "$keep" = yes ]; then
  heading "It goes on. Try:"
  cat <<E
  export STREAMHOST_URL=$STREAMHOST_URL PATH="$(cd "$bin" && pwd):\$PATH"
  streamhost status clicks              what it does
  streamhost rollback clicks            the first version again
  streamhost logs clicks -f             what it says
  table-rows $hbase clicks 10    the table; happybase and kcat work as well
  $STREAMHOST_URL/                the dashboard, for a browser
  kill $dev $feed                     the end of it; its data stays in $data
E
  dev='' feed='' temporary=''
else
  heading "Done. With --keep it goes on running; README.md says how to write a job of your own."
fi
