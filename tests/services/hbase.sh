#!/usr/bin/env bash
# One HBase 2.6.1 (master, region server and ZooKeeper in one process) and its Thrift gateways, from Maven Central's jars,
# for tests.
#
#   hbase.sh start DIR [PROCESS…]         starts hbase and gateway, or those, with its data in DIR; waits until ready, prints
#                                         the address of the last gateway in the list
#   hbase.sh stop|kill DIR [PROCESS…]     ends all, or those, in good order, or by kill -9; the data stays
#   hbase.sh pause|resume DIR [PROCESS…]  halts all that run, or those, with their connections open; lets them go on
#   hbase.sh status DIR [PROCESS…]        prints `running ADDRESS PID`, `paused …` or `stopped` for each, the gateway first
#   hbase.sh namespace DIR NAME           makes a namespace, which no gateway can
#   hbase.sh fetch                        fetches the jars alone
#
# PROCESS is hbase, gateway, or one that is started only if it is named; each gateway's port is in DIR/PROCESS.port:
#   second   a gateway like the first, for a host that has a list of them
#   framed   a gateway that speaks framed and compact
#   http     a gateway that speaks HTTP (hbase.regionserver.thrift.http)
#   https    the same over TLS; it acts for others (hbase.thrift.support.proxyuser)
#   front    nginx, from Debian's package without installing it, in front of gateway and http. Its ports:
#            DIR/front.port       HTTP with basic authentication (user `app`, password `secret`)
#            DIR/front-tls.port   the same over TLS
#            DIR/tls.port         the gateway's protocol over TLS       DIR/mutual.port  with client certificates required
# The certificates are in DIR/tls (certificates.sh says which). HBase itself has TLS over HTTP alone.
#
# HBASE_THRIFT_PORT: the gateway's port at the first start in DIR (default: a free one; later starts keep it).
# HBASE_THRIFT_TRANSPORT (buffered|framed), HBASE_THRIFT_PROTOCOL (binary|compact). HBASE_HEAP (1g).
# SERVICE_OWNER: a process; when that ends, so do all.
# Memory 456 MB. The first start takes 11.1 s, one after kill -9 11.7 s, a stop 1.7 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/hbase.sh service=hbase dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/services/front-lib.sh
. "$here/front-lib.sh"

framed=false compact=false server=threadpool
[ "${HBASE_THRIFT_TRANSPORT:-buffered}" = framed ] && framed=true server=threadedselector
[ "${HBASE_THRIFT_PROTOCOL:-binary}" = compact ] && compact=true

setting() { echo "  <property><name>$1</name><value>$2</value></property>"; }

# write_settings FOLDER FRAMED COMPACT SERVER [NAME VALUE]…: the configuration of HBase, and of a gateway that speaks so.
write_settings() {
  local conf=$1 framed=$2 compact=$3 server=$4
  shift 4
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
    # It would end itself once its ZooKeeper has not heard it for 10 s: on a busy machine, or after a pause.
    setting zookeeper.session.timeout.localHBaseCluster 180000
    setting hbase.zookeeper.property.tickTime 9000
    setting hbase.zookeeper.property.maxSessionTimeout 180000
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
    while [ $# -gt 0 ]; do
      setting "$1" "$2"
      shift 2
    done
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
listens() { port_open "$(cat "$dir/$name.port")"; }

thrift_server() {
  run "$1" 256m "$2" org.apache.hadoop.hbase.thrift.ThriftServer start -p "$(cat "$dir/$1.port")" --bind 127.0.0.1
}

# begin NAME: launches that process.
begin() {
  local http=(hbase.regionserver.thrift.http true)
  [ "$1" = hbase ] || [ "$1" = gateway ] || port "$dir/$1.port" >/dev/null
  case $1 in
    hbase) run hbase "${HBASE_HEAP:-1g}" "$dir/conf" org.apache.hadoop.hbase.master.HMaster start --localRegionServers=1 ;;
    gateway | second) thrift_server "$1" "$dir/conf" ;;
    framed)
      write_settings "$dir/conf-framed" true true nonblocking
      thrift_server framed "$dir/conf-framed"
      ;;
    http)
      write_settings "$dir/conf-http" false false threadpool "${http[@]}"
      thrift_server http "$dir/conf-http"
      ;;
    https)
      "$here/certificates.sh" "$dir/tls"
      write_settings "$dir/conf-https" false false threadpool "${http[@]}" hbase.thrift.ssl.enabled true \
        hbase.thrift.ssl.keystore.store "$dir/tls/server.p12" hbase.thrift.ssl.keystore.type pkcs12 \
        hbase.thrift.ssl.keystore.password secret hbase.thrift.ssl.keystore.keypassword secret \
        hbase.thrift.support.proxyuser true "hadoop.proxyuser.$(id -un).hosts" '*' "hadoop.proxyuser.$(id -un).groups" '*'
      thrift_server https "$dir/conf-https"
      ;;
    front) begin_front "$(port "$dir/http.port")" "$(cat "$dir/gateway.port")" ;;
  esac
}

start() {
  local name condition
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  port "$dir/gateway.port" "${HBASE_THRIFT_PORT:-}" >/dev/null
  alive "$dir/hbase.pid" || alive "$dir/gateway.pid" || write_settings "$dir/conf" "$framed" "$compact" "$server"
  for name in hbase gateway second framed http https front; do # the order in which they need each other
    [[ " ${which[*]} " == *" $name "* ]] || continue
    condition=listens
    [ $name != hbase ] || condition=hbase_ready
    alive "$dir/$name.pid" || begin $name
    wait_ready $name "$dir/$name.pid" 180 $condition "$dir/$name".{out,log}
  done
  guard "$dir"
  name=${which[-1]}
  [ "$name" != hbase ] || name=gateway
  echo "127.0.0.1:$(cat "$dir/$name.port")"
}

status() {
  local name port
  for name in "${which[@]}"; do
    port=$dir/$name.port
    [ "$name" != hbase ] || port=$dir/gateway.port
    shown "$dir/$name.pid" "127.0.0.1:$(cat "$port" 2>/dev/null)"
  done
}

namespace() {
  local name=${which[0]:-}
  [ -n "$name" ] || die "say which: hbase.sh namespace DIR NAME"
  "$java" "${opened[@]}" "-Dservice.log=$dir/namespace.log" -cp "$dir/conf:$(jars hbase)/*" "$here/Namespace.java" "$name"
}

verb=${1:-} all=(front https http framed second gateway hbase) # in the order in which they stop
which=("${@:3}")
case $verb in
  fetch) jars hbase ;;
  namespace) namespace ;;
  start | stop | kill | pause | resume | status)
    [ -n "$dir" ] || die "say which folder: hbase.sh $verb DIR"
    for name in "${which[@]}"; do
      [[ " ${all[*]} " == *" $name "* ]] || die "there are ${all[*]}, no $name"
    done
    if [ ${#which[@]} = 0 ]; then
      case $verb in
        start) which=(hbase gateway) ;;
        status) which=(gateway hbase) ;;
        *) for name in "${all[@]}"; do ! alive "$dir/$name.pid" || which+=("$name"); done ;;
      esac
    fi
    case $verb in
      start) start ;;
      stop) for name in "${which[@]}"; do end "$dir/$name.pid" TERM 40; done ;;
      kill) for name in "${which[@]}"; do end "$dir/$name.pid" KILL 30; done ;;
      pause | resume) for name in "${which[@]}"; do "$verb" "$dir/$name.pid"; done ;;
      status) status ;;
    esac
    ;;
  *) usage ;;
esac
