#!/usr/bin/env bash
# Three Kafka 4.3.1 brokers (each a controller too) from Maven Central's jars, for tests of what a cluster does.
#
#   kafka-cluster.sh start DIR [N]         starts them, or broker N (1, 2, 3); prints the three addresses, with commas
#   kafka-cluster.sh stop|kill DIR [N]     ends them in good order, or by kill -9; their data stays
#   kafka-cluster.sh pause|resume DIR [N]  halts them with all connections open, lets them go on
#   kafka-cluster.sh status DIR [N]        prints `running ADDRESS PID`, `paused …` or `stopped` for each
#   kafka-cluster.sh tool CLASS…           runs one of Kafka's own tools
#   kafka-cluster.sh fetch                 fetches the jars alone (kafka.sh's)
#
# Three replicas, min.insync.replicas=2; a broker that is not heard of for 3 s is out. DIR/N is what kafka.sh's DIR is, with
# a second listener for a fault proxy likewise. KAFKA_HEAP (256m).
# SERVICE_OWNER: a process; when that ends, so do the brokers.
# Memory 678 MB. The first start takes 13.7 s, one after kill -9 14.2 s, a stop 6.3 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/kafka-cluster.sh service=kafka-cluster dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/services/kafka-lib.sh
. "$here/kafka-lib.sh"

brokers=(1 2 3)

begin() {
  local folder=$dir/$1 voters=() number
  alive "$folder/kafka.pid" && return 0
  for number in "${brokers[@]}"; do
    mkdir -p "$dir/$number"
    port "$dir/$number/broker.port" >/dev/null
    voters+=("$number@127.0.0.1:$(port "$dir/$number/controller.port")")
  done
  {
    broker_settings "$folder" "$1" "$(IFS=,; echo "${voters[*]}")" 3 2
    plain_listeners "$folder"
    # What a cluster does without a broker is to be seen within seconds.
    echo broker.session.timeout.ms=3000
    echo broker.heartbeat.interval.ms=500
    echo replica.lag.time.max.ms=5000
    echo controlled.shutdown.enable=true
  } >"$folder/server.properties"
  begin_broker "$folder" "${KAFKA_HEAP:-256m}"
}

one_ready() { broker_ready "$folder" "$(cat "$folder/broker.port")"; }

start() {
  local number folder addresses=()
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  for number in "${which[@]}"; do begin "$number"; done
  for number in "${which[@]}"; do
    folder=$dir/$number
    wait_ready "broker $number" "$folder/kafka.pid" "${READY_SECONDS:-180}" one_ready "$folder"/kafka.{out,log}
  done
  guard "$dir"
  for number in "${brokers[@]}"; do addresses+=("127.0.0.1:$(cat "$dir/$number/broker.port")"); done
  (IFS=,; echo "${addresses[*]}")
}

# each COMMAND ARGUMENT…: for all at once, as a broker that stops alone waits for what the others have.
each() {
  local number children=() child
  for number in "${which[@]}"; do
    "$1" "$dir/$number/kafka.pid" "${@:2}" &
    children+=($!)
  done
  for child in "${children[@]}"; do wait "$child"; done
}

verb=${1:-} which=("${brokers[@]}")
[ -z "${3:-}" ] || which=("$3")
case $verb in
  fetch) jars kafka ;;
  tool)
    shift
    kafka_tool "$@"
    ;;
  start | stop | kill | pause | resume | status)
    [ -n "$dir" ] || die "say which folder: kafka-cluster.sh $verb DIR"
    [[ ${which[0]} == [123] ]] || die "there are brokers 1, 2 and 3, no ${which[0]}"
    case $verb in
      start) start ;;
      stop) each end TERM 40 ;;
      kill) each end KILL 30 ;;
      pause | resume) each "$verb" ;;
      status)
        for number in "${which[@]}"; do
          shown "$dir/$number/kafka.pid" "127.0.0.1:$(cat "$dir/$number/broker.port" 2>/dev/null)"
        done
        ;;
    esac
    ;;
  *) usage ;;
esac
