#!/usr/bin/env bash
# Kafka → HBase, rows a second, against real servers: examples/clicks beside the same work by hand in Java, with a
# BufferedMutator. Needs a JDK.
#
#   tests/race/hbase.sh [RECORDS [ROUNDS]]    (default 400000 and 3)
#
# Both take turns on the same topic, each time into a new table. Of streamhost the whole process is timed, of Java what comes
# after its start. The first round warms HBase up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
records=${1:-400000} rounds=${2:-3}

folder=$(mktemp -d)
export SERVICE_OWNER=$$
end() {
  tests/services/hbase.sh stop "$folder/hbase" || true
  tests/services/kafka.sh stop "$folder/kafka" || true
  rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT TERM

cargo build -q --release -p streamhost-host
cargo build -q --release -p streamhost-tests --bin clicks-feed
streamhost=target/release/streamhost
clicks=$($streamhost build examples/clicks | tail -1)
kafka=$(tests/services/kafka.sh start "$folder/kafka")
gateway=$(HBASE_HEAP=2g tests/services/hbase.sh start "$folder/hbase")
cat >"$folder/streamhost.toml" <<T
data-dir = "$folder/data"
[kafka]
brokers = "$kafka"
[hbase]
thrift = "$gateway"
T
target/release/clicks-feed "$kafka" clicks 1000000 "$records"

classes="$(tests/services/hbase.sh fetch)/*:$(echo "$(tests/services/kafka.sh fetch)"/kafka-clients-*.jar)"
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
opened=(--add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/sun.nio.ch=ALL-UNNAMED)

by_hand() {
  "$java" -Xmx1g "${opened[@]}" -Djava.net.preferIPv4Stack=true -cp "$classes" tests/race/Mutator.java \
    "$kafka" clicks "$(cat "$folder/hbase/zookeeper.port")" "$1" 2>"$folder/java.log" ||
    { tail -20 "$folder/java.log" >&2; exit 1; }
}

run() {
  "$streamhost" run "$clicks" --config "$folder/streamhost.toml" --name "$1" --set until=end --set every=0 \
    --set "sink.clicks=$1" --create-tables >"$folder/run.log" 2>&1 || { tail -20 "$folder/run.log" >&2; exit 1; }
}

printf '%6s %16s %16s %6s\n' round "streamhost row/s" "Java row/s" ratio
for round in $(seq "$rounds"); do
  read -r rows seconds < <(by_hand "hand-$round")
  began=$(date +%s%N)
  run "host-$round"
  ended=$(date +%s%N)
  awk -v r="$round" -v n="$rows" -v j="$seconds" -v s="$(((ended - began) / 1000000))" \
    'BEGIN { printf "%6d %16.0f %16.0f %6.2f\n", r, n * 1000 / s, n / j, j * 1000 / s }'
done
