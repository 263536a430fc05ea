#!/usr/bin/env bash
# One HBase (master, region server and ZooKeeper in one process) and its Thrift gateway, from Maven Central's jars, for tests.
#
#   hbase.sh start DIR [PROCESS]    starts hbase and gateway, or one, with its data in DIR; waits until ready, prints the
#                                   gateway's address
#   hbase.sh stop DIR [PROCESS]     stops in good order; the data stays
#   hbase.sh kill DIR [PROCESS]     kill -9
#   hbase.sh status DIR [PROCESS]   prints `running ADDRESS PID` or `stopped` for each, the gateway first
#   hbase.sh fetch                  fetches the jars alone
#
# PROCESS is hbase, gateway, or framed: a second gateway that speaks framed and compact, and is started only if it is named.
# HBASE_THRIFT_PORT: the gateway's port at the first start in DIR (default: a free one; later starts keep it).
# HBASE_THRIFT_TRANSPORT (buffered|framed), HBASE_THRIFT_PROTOCOL (binary|compact). HBASE_HEAP (1g).
# SERVICE_OWNER: a process; when that ends, so do both.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/hbase.sh
service=hbase
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

framed=false compact=false server=threadpool
[ "${HBASE_THRIFT_TRANSPORT:-buffered}" = framed ] && framed=true server=threadedselector
[ "${HBASE_THRIFT_PROTOCOL:-binary}" = compact ] && compact=true

setting() { echo "  <property><name>$1</name><value>$2</value></property>"; }

# write_settings FOLDER FRAMED COMPACT SERVER: the configuration of HBase, and of a gateway that speaks so.
write_settings() {
  local conf=$1 framed=$2 compact=$3 server=$4
  mkdir -p "$conf" "$dir/zookeeper" "$dir/temp"
  {
    echo '<configuration>'
    setting hbase.cluster.distributed false
    setting hbase.rootdir "file://$dir/root"
    setting hbase.tmp.dir "$dir/temp"
    setting hbase.unsafe.stream.capability.enforce false
    setting hbase.wal.provider filesystem
    setting hbase.zookeeper.quorum 127.0.0.1
    setting hbase.zookeeper.property.clientPort "$(port "$dir/zookeeper.port")"
    setting hbase.zookeeper.property.dataDir "$dir/zookeeper"
    setting hbase.localcluster.assign.random.ports false
    setting hbase.master.port "$(port "$dir/master.port")"
    setting hbase.master.info.port -1
    setting hbase.master.ipc.address 127.0.0.1
    setting hbase.master.hostname localhost
    setting hbase.regionserver.port "$(port "$dir/region.port")"
    setting hbase.regionserver.info.port -1
    setting hbase.regionserver.ipc.address 127.0.0.1
    setting hbase.regionserver.hostname localhost
    setting hbase.regionserver.handler.count 10
    setting hbase.master.start.timeout.localHBaseCluster 120000
    setting hbase.client.retries.number 5
    # With HBase away the gateway answers within seconds, or a test of that waits a minute for the error.
    setting hbase.rpc.timeout 5000
    setting hbase.client.operation.timeout 10000
    setting hbase.client.meta.operation.timeout 10000
    setting hbase.procedure.store.region.wal.sync.monitor.enabled false
    # A quick start: do not wait for more region servers. A quick stop: do not retry on the closed ZooKeeper.
    setting hbase.master.wait.on.regionservers.mintostart 1
    setting hbase.master.wait.on.regionservers.maxtostart 1
    setting hbase.regionserver.msginterval 500
    setting zookeeper.recovery.retry 0
    setting zookeeper.recovery.retry.intervalmill 50
    setting hbase.thrift.info.port -1
    setting hbase.regionserver.thrift.framed "$framed"
    setting hbase.regionserver.thrift.compact "$compact"
    setting hbase.regionserver.thrift.server.type "$server"
    setting hbase.thrift.minWorkerThreads 4
    echo '</configuration>'
  } >"$conf/hbase-site.xml"
  cat >"$conf/log4j.properties" <<'E'
log4j.rootLogger=INFO,F
log4j.appender.F=org.apache.log4j.FileAppender
log4j.appender.F.File=${service.log}
log4j.appender.F.layout=org.apache.log4j.PatternLayout
log4j.appender.F.layout.ConversionPattern=%d{ISO8601} %-5p [%t] %c{2}: %m%n
E
}

# Java 17 hides what HBase reaches into.
opened=(--add-modules jdk.unsupported
  --add-opens java.base/java.nio=ALL-UNNAMED --add-opens java.base/sun.nio.ch=ALL-UNNAMED
  --add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/jdk.internal.ref=ALL-UNNAMED
  --add-opens java.base/java.lang.reflect=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED
  --add-opens java.base/java.util.concurrent=ALL-UNNAMED
  --add-exports java.base/jdk.internal.misc=ALL-UNNAMED --add-exports java.security.jgss/sun.security.krb5=ALL-UNNAMED
  --add-exports java.base/sun.net.dns=ALL-UNNAMED --add-exports java.base/sun.net.util=ALL-UNNAMED
  -Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true)

# run NAME HEAP CONF COMMAND…: launches one of the processes.
run() {
  local name=$1 heap=$2 conf=$3 lib
  shift 3
  lib=$(jars hbase)
  rm -f "$dir/$name.log" # an earlier run's lines would be taken for ours
  launch "$dir/$name.pid" "$dir/$name.out" "$java" "-Xmx$heap" -XX:+UseSerialGC -Djava.awt.headless=true \
    -Djava.net.preferIPv4Stack=true "${opened[@]}" "-Dservice.log=$dir/$name.log" -cp "$conf:$lib/*" "$@"
}

hbase_ready() { grep -q 'Master has completed initialization' "$dir/hbase.log" 2>/dev/null; }
gateway_ready() { port_open "$gateway"; }
framed_ready() { port_open "$(cat "$dir/framed.port")"; }

start() {
  mkdir -p "$dir"
  local gateway
  gateway=$(port "$dir/gateway.port" "${HBASE_THRIFT_PORT:-}")
  alive "$dir/hbase.pid" || alive "$dir/gateway.pid" || write_settings "$dir/conf" "$framed" "$compact" "$server"
  case $which in *hbase*)
    alive "$dir/hbase.pid" ||
      run hbase "${HBASE_HEAP:-1g}" "$dir/conf" org.apache.hadoop.hbase.master.HMaster start --localRegionServers=1
    wait_ready hbase "$dir/hbase.pid" 180 hbase_ready "$dir/hbase.out" "$dir/hbase.log"
    ;;
  esac
  case $which in *gateway*)
    alive "$dir/gateway.pid" ||
      run gateway 256m "$dir/conf" org.apache.hadoop.hbase.thrift.ThriftServer start -p "$gateway" --bind 127.0.0.1
    wait_ready gateway "$dir/gateway.pid" 120 gateway_ready "$dir/gateway.out" "$dir/gateway.log"
    ;;
  esac
  case $which in *framed*)
    gateway=$(port "$dir/framed.port")
    if ! alive "$dir/framed.pid"; then
      write_settings "$dir/conf-framed" true true nonblocking
      run framed 256m "$dir/conf-framed" org.apache.hadoop.hbase.thrift.ThriftServer start -p "$gateway" --bind 127.0.0.1
    fi
    wait_ready framed "$dir/framed.pid" 120 framed_ready "$dir/framed.out" "$dir/framed.log"
    ;;
  esac
  guard "$dir"
  echo "127.0.0.1:$gateway"
}

status() {
  local name
  for name in $which; do
    local port=$dir/gateway.port
    [ "$name" != framed ] || port=$dir/framed.port
    alive "$dir/$name.pid" && echo "running 127.0.0.1:$(cat "$port") $(cat "$dir/$name.pid")" || echo stopped
  done
}

verb=${1:-} dir=${2:-} which=${3:-gateway hbase} # in the order in which they stop
case $verb in
  fetch) jars hbase ;;
  start | stop | kill | status)
    [ -n "$dir" ] || die "say which folder: hbase.sh $verb DIR"
    case $which in hbase | gateway | framed | "gateway hbase") ;; *) die "there is hbase, gateway and framed, no $which" ;; esac
    if [ "$verb" != start ] && [ "$verb" != status ] && [ "$which" = "gateway hbase" ]; then
      which="framed gateway hbase"
    fi
    case $verb in
      start) start ;;
      stop) for name in $which; do end "$dir/$name.pid" TERM 40; done ;;
      kill) for name in $which; do end "$dir/$name.pid" KILL 30; done ;;
      status) status ;;
    esac
    ;;
  *)
    sed -n "2,14p" "$self" >&2
    exit 2
    ;;
esac
