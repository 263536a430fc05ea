#!/usr/bin/env bash
# One Kafka 4.3.1 broker (KRaft, broker and controller in one process) from Maven Central's jars, for tests.
#
#   kafka.sh start DIR               starts it with its data in DIR, waits until it is ready, prints its address
#   kafka.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   kafka.sh pause|resume DIR        halts it with all connections open, lets it go on
#   kafka.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   kafka.sh tool CLASS…             runs one of Kafka's own tools, such as org.apache.kafka.tools.TopicCommand
#   kafka.sh fetch                   fetches the jars alone
#
# DIR/broker.port has the port. A second listener is for a fault proxy: the broker listens at DIR/behind.port, and tells
# clients that come there to come to DIR/proxied.port; proxy.sh listens there and forwards, once it is started.
# KAFKA_PORT: its port at the first start in DIR (default: a free one; later starts keep it). KAFKA_HEAP (512m).
# SERVICE_OWNER: a process; when that ends, so does the broker.
# Memory 209 MB. The first start takes 9.1 s, one after kill -9 14.2 s, a stop 0.7 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/kafka.sh service=kafka dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/services/kafka-lib.sh
. "$here/kafka-lib.sh"

fetch() { jars kafka; }
address() { echo "127.0.0.1:$(cat "$dir/broker.port")"; }
ready() { broker_ready "$dir" "$(cat "$dir/broker.port")"; }

begin() {
  port "$dir/broker.port" "${KAFKA_PORT:-}" >/dev/null
  {
    broker_settings "$dir" 1 "1@127.0.0.1:$(port "$dir/controller.port")" 1 1
    plain_listeners "$dir"
  } >"$dir/server.properties"
  begin_broker "$dir" "${KAFKA_HEAP:-512m}"
}

if [ "${1:-}" = tool ]; then
  shift
  kafka_tool "$@"
fi
verbs "$@"
