#!/usr/bin/env bash
# One Flume 1.11 agent from Maven Central's jars, for tests: lines over TCP -> file channel -> Avro sink, and
# Thrift source -> file channel -> Thrift sink. What listens where the sinks send is what is tested.
#
#   flume.sh start DIR               starts it with its data in DIR, waits until it answers, prints where it takes lines
#   flume.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   flume.sh pause|resume DIR        halts it with all connections open, lets it go on
#   flume.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   flume.sh fetch                   fetches its jars alone
#
# DIR/netcat.port has the port that takes lines (each is answered OK), DIR/thrift.port the Thrift source's.
# FLUME_AVRO_TARGET, FLUME_THRIFT_TARGET: ports on 127.0.0.1 that the sinks send to; needed at the first start in DIR.
# FLUME_ROLE=receiver: the other side instead, which writes what it gets to files in DIR/received: an Avro source at port
# DIR/netcat.port and a Thrift source at DIR/thrift.port.
# FLUME_NETCAT_PORT, FLUME_THRIFT_PORT: the sources' ports (default: free ones). FLUME_BATCH (500). FLUME_HEAP (160m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 82 MB. The first start takes 0.9 s, one after kill -9 0.8 s, a stop 0.2 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/flume.sh service=flume dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars flume; }
address() { echo "127.0.0.1:$(cat "$dir/netcat.port")"; }
ready() { port_open "$(cat "$dir/thrift.port")" && port_open "$(cat "$dir/netcat.port")"; }

# put NAME VALUE…: settings of the agent.
put() {
  while [ $# -gt 0 ]; do
    echo "a.$1 = $2"
    shift 2
  done
}

# channel NAME: a file channel.
channel() {
  put "channels.$1.type" file "channels.$1.checkpointDir" "$dir/$1/checkpoint" "channels.$1.dataDirs" "$dir/$1/data" \
    "channels.$1.capacity" 1000000 "channels.$1.transactionCapacity" 10000
}

# source_of NAME TYPE CHANNEL PORT
source_of() {
  put "sources.$1.type" "$2" "sources.$1.bind" 127.0.0.1 "sources.$1.port" "$4" "sources.$1.channels" "$3"
}

# sink_of TYPE CHANNEL PORT
sink_of() {
  put "sinks.$1.type" "$1" "sinks.$1.hostname" 127.0.0.1 "sinks.$1.port" "$3" "sinks.$1.channel" "$2" \
    "sinks.$1.batch-size" "${FLUME_BATCH:-500}" "sinks.$1.reset-connection-interval" 0
}

agent_settings() {
  put sources 'lines thrift' channels 'c1 c2' sinks 'avro thrift'
  source_of lines netcat c1 "$(port "$dir/netcat.port" "${FLUME_NETCAT_PORT:-}")"
  source_of thrift thrift c2 "$(port "$dir/thrift.port" "${FLUME_THRIFT_PORT:-}")"
  sink_of avro c1 "${FLUME_AVRO_TARGET:?where the Avro sink sends}"
  sink_of thrift c2 "${FLUME_THRIFT_TARGET:?where the Thrift sink sends}"
  channel c1
  channel c2
}

receiver_settings() {
  mkdir -p "$dir/received"
  put sources 'avro thrift' channels c1 sinks files
  source_of avro avro c1 "$(port "$dir/netcat.port" "${FLUME_NETCAT_PORT:-}")"
  source_of thrift thrift c1 "$(port "$dir/thrift.port" "${FLUME_THRIFT_PORT:-}")"
  put sinks.files.type file_roll sinks.files.channel c1 sinks.files.sink.directory "$dir/received" \
    sinks.files.sink.rollInterval 0 sinks.files.batchSize 1
  channel c1
}

begin() {
  local lib
  lib=$(jars flume)
  [ -f "$dir/flume.conf" ] || "${FLUME_ROLE:-agent}_settings" >"$dir/flume.conf" # later starts keep the targets
  launch "$dir/flume.pid" "$dir/flume.log" "$java" "-Xmx${FLUME_HEAP:-160m}" "${quick[@]}" \
    -XX:MaxDirectMemorySize=64m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$lib/*" org.apache.flume.node.Application -n a -f "$dir/flume.conf" --no-reload-conf
}

verbs "$@"
