#!/usr/bin/env bash
# Makes tests/upgrade/before.tar.xz: the data folder of `streamhost dev` as the release before left it at a kill -9, with
# each kind of record in it. Run it with that release's binary when a release is made; the test in
# tests/contract/upgrade.rs opens it with today's.
#
#   tests/upgrade/make.sh STREAMHOST
#
# | job      | what the kill leaves                                                            |
# |----------|---------------------------------------------------------------------------------|
# | plain    | 3 rows, 2 dead letters of which one is dropped, 2 versions; a batch of 2 planned |
# | windows  | 3 events of `a` and 1 of `b` in a window that is open                             |
# | sessions | 2 events of `a` in a session that is open                                         |
# | running  | `a` 2 times, `b` once; a batch of `a` planned, with its records                  |
# | gone     | it was undeployed behind its first row                                           |
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
old=$(realpath "${1:?the binary of the release before}")
python=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}/python/bin/python
folder=$(mktemp -d)
host='' lines=''
trap '[ -z "$host" ] || kill -9 "$host"; [ -z "$lines" ] || kill "$lines"; rm -rf "$folder"' EXIT

guest=$("$old" build tests/guests/upgrade | tail -1)
component() {
  LC_ALL=C sed "s/variant=plain                   /$(printf 'variant=%-24s' "$1")/" "$guest" > "$folder/$1.wasm"
}
free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
kafka=127.0.0.1:$(free_port) hbase=127.0.0.1:$(free_port) control=$(free_port)
export STREAMHOST_URL=http://127.0.0.1:$control

until_true() { # WHAT COMMAND…: waits until the command succeeds
  local what=$1
  shift
  for _ in $(seq 300); do
    if "$@"; then return; fi
    sleep 0.1
  done
  echo "in vain: $what" >&2
  "$old" status >&2
  exit 1
}
answers() { "$old" status > /dev/null 2>&1; }
field() { "$old" status "$1" --output json | "$python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }
is() { [ "$(field "$1" "$2")" = "$3" ]; }
produce() { printf '%s\n' "${@:2}" | "$old" produce "$1" --create --kafka "$kafka" > /dev/null; }
deploy() { # NAME VARIANT SETTINGS…
  component "$2"
  "$old" deploy "$folder/$2.wasm" --name "$1" --create-tables --set every=0 "${@:3}" > /dev/null
}

"$old" dev --data "$folder/data" --kafka-port "${kafka#*:}" --hbase-port "${hbase#*:}" --control-port "$control" \
  > /dev/null 2> "$folder/log" &
host=$!
until_true "the host is there" answers

produce plain one two bad-one bad-two three
deploy plain plain
until_true "all of plain" is plain records_in 5
"$old" deploy "$folder/plain.wasm" --name plain --set limits.time=3s > /dev/null
"$old" dead-letters plain drop --all --reason bad-one > /dev/null

# The windows are of the first minute of 2023.
produce windows "a 1672531200000" "a 1672531201000" "b 1672531202000" "a 1672531203000"
deploy windows windows
produce sessions "a 1672531200000" "a 1672531230000"
deploy sessions sessions
until_true "all of windows" is windows records_in 4
until_true "all of sessions" is sessions records_in 2

# A server that gives each of its lines when it is asked, and keeps the connection open.
socket=$(free_port)
mkfifo "$folder/lines"
"$python" -c '
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
client, _ = server.accept()
for line in open(sys.argv[2]):
    client.sendall(line.encode())
' "$socket" "$folder/lines" &
lines=$!
exec 9<> "$folder/lines" # opened for both, it waits for no reader
deploy running running --set "source.localhost:9999=127.0.0.1:$socket"
printf 'a\nb\na\n' >&9
until_true "all of running" is running records_in 3

produce gone one
deploy gone plain --set source.plain=gone --set sink.plain=gone
until_true "all of gone" is gone records_in 1
"$old" undeploy gone > /dev/null

# Without their tables batches are planned and go no further.
"$python" -B tests/oracle/outside.py table-drop "$hbase" plain
"$python" -B tests/oracle/outside.py table-drop "$hbase" running
produce plain four five
printf 'a\n' >&9
until_true "plain stops" is plain state stopped
until_true "running stops" is running state stopped

kill -9 "$host"
wait "$host" 2> /dev/null || true
host=''
# What is compiled anew anyway.
rm -rf "$folder"/data/cache "$folder"/data/cache.key "$folder"/data/*.lock
ls -la "$folder/data"
tar -C "$folder" -c data --owner=0 --group=0 --sort=name | xz -9 > tests/upgrade/before.tar.xz
ls -la tests/upgrade/before.tar.xz
