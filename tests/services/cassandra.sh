#!/usr/bin/env bash
# One Cassandra 5.0.5 node (CQL) from Maven Central's jars, for tests. Java 11 or 17: not newer.
#
#   cassandra.sh start DIR               starts it with its data in DIR, waits until it answers, prints its address
#   cassandra.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   cassandra.sh pause|resume DIR        halts it with all connections open, lets it go on
#   cassandra.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   cassandra.sh fetch                   fetches its jars alone
#
# The data center is datacenter1, without users. DIR/cql.port has the port.
# CASSANDRA_PORT: its CQL port at the first start in DIR (default: a free one; later starts keep it). CASSANDRA_HEAP (512m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 767 MB. The first start takes 6.9 s, one after kill -9 7.7 s, a stop 4.8 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/cassandra.sh service=cassandra dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars cassandra; }
address() { echo "127.0.0.1:$(cat "$dir/cql.port")"; }

ready() {
  grep -q 'Starting listening for CQL clients' "$dir/cassandra.log" 2>/dev/null &&
    port_open "$(cat "$dir/cql.port")"
}

write_settings() {
  cat >"$dir/cassandra.yaml" <<Y
cluster_name: tests
num_tokens: 1
initial_token: "0"
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: periodic
commitlog_sync_period: 1000ms
commitlog_segment_size: 8MiB
commitlog_directory: $dir/commitlog
data_file_directories: [$dir/data]
saved_caches_directory: $dir/saved_caches
hints_directory: $dir/hints
cdc_raw_directory: $dir/cdc
cdc_enabled: false
listen_address: 127.0.0.1
storage_port: $(port "$dir/storage.port")
rpc_address: 127.0.0.1
native_transport_port: $(port "$dir/cql.port" "${CASSANDRA_PORT:-}")
start_native_transport: true
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters:
      - seeds: "127.0.0.1:$(cat "$dir/storage.port")"
authenticator: AllowAllAuthenticator
authorizer: AllowAllAuthorizer
role_manager: CassandraRoleManager
auto_snapshot: false
auto_bootstrap: false
concurrent_reads: 4
concurrent_writes: 4
memtable_heap_space: 64MiB
memtable_offheap_space: 64MiB
file_cache_size: 32MiB
key_cache_size: 4MiB
disk_access_mode: standard
uuid_sstable_identifiers_enabled: true
write_request_timeout: 20s
read_request_timeout: 20s
request_timeout: 20s
range_request_timeout: 20s
materialized_views_enabled: false
storage_compatibility_mode: NONE
Y
  cat >"$dir/logback.xml" <<'X'
<configuration>
  <appender name="C" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="INFO"><appender-ref ref="C"/></root>
</configuration>
X
}

# Java 17 hides what Cassandra reaches into.
begin() {
  local lib opened=() part heap=${CASSANDRA_HEAP:-512m}
  lib=$(jars cassandra)
  write_settings
  mkdir -p "$dir/temp"
  for part in java.base/jdk.internal.misc java.base/java.lang.ref java.base/sun.nio.ch \
    java.management.rmi/com.sun.jmx.remote.internal.rmi java.rmi/sun.rmi.registry java.rmi/sun.rmi.server \
    java.rmi/sun.rmi.transport.tcp java.sql/java.sql java.base/java.lang.reflect \
    jdk.compiler/com.sun.tools.javac.file jdk.unsupported/sun.misc jdk.compiler/com.sun.tools.javac; do
    opened+=(--add-exports "$part=ALL-UNNAMED")
  done
  for part in java.base/java.lang.module java.base/java.net java.base/jdk.internal.loader java.base/jdk.internal.ref \
    java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module \
    java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.base/sun.nio.ch \
    java.base/java.io java.base/java.lang java.base/java.lang.reflect java.base/java.util \
    java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/java.nio \
    java.base/jdk.internal.misc java.base/java.lang.ref jdk.compiler/com.sun.tools.javac; do
    opened+=(--add-opens "$part=ALL-UNNAMED")
  done
  launch "$dir/cassandra.pid" "$dir/cassandra.log" "$java" -javaagent:"$lib/jamm-0.4.0.jar" "${opened[@]}" \
    -Djdk.attach.allowAttachSelf=true "-Xms$heap" "-Xmx$heap" -Xss512k "${quick[@]}" \
    -XX:MaxDirectMemorySize=256m \
    -Djava.io.tmpdir="$dir/temp" -Djna.tmpdir="$dir/temp" -Dcassandra.config="file://$dir/cassandra.yaml" \
    -Dcassandra.storagedir="$dir" -Dcassandra.ring_delay_ms=100 -Dcassandra.skip_wait_for_gossip_to_settle=0 \
    -Dcassandra.superuser_setup_delay_ms=0 -Dlogback.configurationFile="$dir/logback.xml" \
    -Dcassandra-foreground=yes -cp "$lib/*" \
    org.apache.cassandra.service.CassandraDaemon
}

verbs "$@"
