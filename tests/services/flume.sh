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
# FLUME_NETCAT_PORT, FLUME_THRIFT_PORT: the sources' ports (default: free ones). FLUME_BATCH (500). FLUME_HEAP (160m).
# SERVICE_OWNER: a process; when that ends, so does this.
# MEMORY flume
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/flume.sh service=flume dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars flume; }
address() { echo "127.0.0.1:$(cat "$dir/netcat.port")"; }
ready() { port_open "$(cat "$dir/thrift.port")" && port_open "$(cat "$dir/netcat.port")"; }

write_settings() {
  cat >"$dir/flume.conf" <<C
a.sources = thrift lines
a.channels = c1 c2
a.sinks = thrift avro
a.sources.thrift.type = thrift
a.sources.thrift.bind = 127.0.0.1
a.sources.thrift.port = $(port "$dir/thrift.port" "${FLUME_THRIFT_PORT:-}")
a.sources.thrift.channels = c1
a.sources.lines.type = netcat
a.sources.lines.bind = 127.0.0.1
a.sources.lines.port = $(port "$dir/netcat.port" "${FLUME_NETCAT_PORT:-}")
a.sources.lines.channels = c2
a.sinks.thrift.type = thrift
a.sinks.thrift.hostname = 127.0.0.1
a.sinks.thrift.port = ${FLUME_THRIFT_TARGET:?where the Thrift sink sends}
a.sinks.thrift.batch-size = ${FLUME_BATCH:-500}
a.sinks.thrift.channel = c1
a.sinks.avro.type = avro
a.sinks.avro.hostname = 127.0.0.1
a.sinks.avro.port = ${FLUME_AVRO_TARGET:?where the Avro sink sends}
a.sinks.avro.batch-size = ${FLUME_BATCH:-500}
a.sinks.avro.channel = c2
C
  local channel
  for channel in c1 c2; do
    cat >>"$dir/flume.conf" <<C
a.channels.$channel.type = file
a.channels.$channel.checkpointDir = $dir/$channel/checkpoint
a.channels.$channel.dataDirs = $dir/$channel/data
a.channels.$channel.capacity = 1000000
a.channels.$channel.transactionCapacity = 10000
C
  done
}

begin() {
  local lib
  lib=$(jars flume)
  [ -f "$dir/flume.conf" ] || write_settings # later starts keep the targets
  launch "$dir/flume.pid" "$dir/flume.log" "$java" "-Xmx${FLUME_HEAP:-160m}" "${quick[@]}" \
    -XX:MaxDirectMemorySize=64m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$lib/*" org.apache.flume.node.Application -n a -f "$dir/flume.conf" --no-reload-conf
}

verbs "$@"
