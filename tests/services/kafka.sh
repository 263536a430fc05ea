#!/usr/bin/env bash
# One Kafka broker (KRaft, broker and controller in one process) from Maven Central's jars, for tests.
#
#   kafka.sh start DIR    starts it with its data in DIR, waits until it is ready, prints its address
#   kafka.sh stop DIR     stops it in good order; its data stays
#   kafka.sh kill DIR     kill -9
#   kafka.sh status DIR   prints `running ADDRESS PID` or `stopped`
#   kafka.sh tool CLASS…  runs one of Kafka's own tools, such as org.apache.kafka.tools.TopicCommand
#   kafka.sh fetch        fetches the jars alone
#
# KAFKA_PORT: its port at the first start in DIR (default: a free one; later starts keep it). KAFKA_HEAP (512m).
# SERVICE_OWNER: a process; when that ends, so does the broker.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/kafka.sh
service=kafka
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

write_settings() {
  cat >"$dir/server.properties" <<E
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/topics
num.partitions=4
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=true
num.network.threads=2
num.io.threads=2
num.replica.fetchers=1
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=16777216
log.segment.bytes=268435456
E
  cat >"$dir/log4j2.properties" <<E
status=error
appender.f.type=File
appender.f.name=f
appender.f.fileName=$dir/kafka.log
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=%d{ISO8601} %p %c - %m%n
rootLogger.level=info
rootLogger.appenderRef.f.ref=f
E
}

ready() { grep -q 'Kafka Server started' "$dir/kafka.log" 2>/dev/null && port_open "$broker"; }

start() {
  mkdir -p "$dir"
  local broker controller lib options
  broker=$(port "$dir/broker.port" "${KAFKA_PORT:-}")
  controller=$(port "$dir/controller.port")
  if ! alive "$dir/kafka.pid"; then
    lib=$(jars kafka)
    write_settings
    rm -f "$dir/kafka.log" # its "started" line would be taken for ours
    options=(-XX:+UseSerialGC -Djava.awt.headless=true "-Dlog4j2.configurationFile=$dir/log4j2.properties" -cp "$lib/*")
    if [ ! -f "$dir/topics/meta.properties" ]; then
      "$java" -Xmx128m -XX:TieredStopAtLevel=1 "${options[@]}" kafka.tools.StorageTool format --ignore-formatted \
        -t MkU3OEVBNTcwNTJENDM2Qk -c "$dir/server.properties" >"$dir/format.out" 2>&1 ||
        { cat "$dir/format.out" >&2; die "its storage cannot be formatted"; }
    fi
    launch "$dir/kafka.pid" "$dir/kafka.out" \
      "$java" "-Xmx${KAFKA_HEAP:-512m}" "${options[@]}" kafka.Kafka "$dir/server.properties"
  fi
  wait_ready kafka "$dir/kafka.pid" 120 ready "$dir/kafka.out" "$dir/kafka.log"
  guard "$dir"
  echo "127.0.0.1:$broker"
}

status() {
  alive "$dir/kafka.pid" && echo "running 127.0.0.1:$(cat "$dir/broker.port") $(cat "$dir/kafka.pid")" || echo stopped
}

verb=${1:-} dir=${2:-}
case $verb in
  fetch) jars kafka ;;
  tool)
    shift
    exec "$java" -Xmx256m -XX:TieredStopAtLevel=1 -cp "$(jars kafka)/*" "$@"
    ;;
  start | stop | kill | status)
    [ -n "$dir" ] || die "say which folder: kafka.sh $verb DIR"
    case $verb in
      start) start ;;
      stop) end "$dir/kafka.pid" TERM 30 ;;
      kill) end "$dir/kafka.pid" KILL 30 ;;
      status) status ;;
    esac
    ;;
  *)
    sed -n '2,12p' "$self" >&2
    exit 2
    ;;
esac
