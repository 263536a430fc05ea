# shellcheck shell=bash disable=SC2154
# What the scripts share that start Kafka brokers. To be sourced after lib.sh.

# A broker's folder has: kafka.pid, kafka.log, broker.port, controller.port, behind.port and proxied.port.

# broker_settings FOLDER ID VOTERS REPLICAS IN_SYNC: those of every broker. The listeners are the caller's.
broker_settings() {
  cat <<E
process.roles=broker,controller
node.id=$2
controller.quorum.voters=$3
controller.listener.names=CONTROLLER
log.dirs=$1/topics
num.partitions=4
default.replication.factor=$4
min.insync.replicas=$5
offsets.topic.replication.factor=$4
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$4
transaction.state.log.min.isr=$5
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=$4
share.coordinator.state.topic.min.isr=$5
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
}

# plain_listeners FOLDER: one for clients, one that tells them to come through a fault proxy, one for the controller.
plain_listeners() {
  local broker behind controller
  broker=127.0.0.1:$(cat "$1/broker.port")
  behind=127.0.0.1:$(port "$1/behind.port")
  controller=127.0.0.1:$(port "$1/controller.port")
  cat <<E
listeners=PLAINTEXT://$broker,PROXIED://$behind,CONTROLLER://$controller
advertised.listeners=PLAINTEXT://$broker,PROXIED://127.0.0.1:$(port "$1/proxied.port")
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
E
}

java_options=() # of the broker alone

# begin_broker FOLDER HEAP [OPTION…]: launches the broker of FOLDER/server.properties. OPTIONs are those of the formatting.
begin_broker() {
  local folder=$1 heap=$2 lib options
  shift 2
  cat >"$folder/log4j2.properties" <<E
status=error
appender.f.type=File
appender.f.name=f
appender.f.fileName=$folder/kafka.log
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=%d{ISO8601} %p %c - %m%n
rootLogger.level=info
rootLogger.appenderRef.f.ref=f
E
  lib=$(jars kafka)
  rm -f "$folder/kafka.log" # its "started" line would be taken for ours
  options=(-XX:+UseSerialGC -Djava.awt.headless=true "-Dlog4j2.configurationFile=$folder/log4j2.properties" -cp "$lib/*")
  if [ ! -f "$folder/topics/meta.properties" ]; then
    "$java" -Xmx128m -XX:TieredStopAtLevel=1 "${options[@]}" kafka.tools.StorageTool format --ignore-formatted \
      -t MkU3OEVBNTcwNTJENDM2Qk -c "$folder/server.properties" "$@" >"$folder/format.out" 2>&1 ||
      { cat "$folder/format.out" >&2; die "its storage cannot be formatted"; }
  fi
  launch "$folder/kafka.pid" "$folder/kafka.out" \
    "$java" "-Xmx$heap" "${java_options[@]}" "${options[@]}" kafka.Kafka "$folder/server.properties"
}

# broker_ready FOLDER PORT: it has started, and listens there.
broker_ready() { grep -q 'Kafka Server started' "$1/kafka.log" 2>/dev/null && port_open "$2"; }

# kafka_tool CLASS ARGUMENT…: one of Kafka's own tools.
kafka_tool() { exec "$java" -Xmx256m -XX:TieredStopAtLevel=1 -cp "$(jars kafka)/*" "$@"; }
