#!/usr/bin/env bash
# One HDFS 3.4.2 (name node and data node in one process, with WebHDFS) from Maven Central's jars, for tests.
#
#   hdfs.sh start DIR               starts it with its data in DIR, waits until it answers, prints WebHDFS's URL
#   hdfs.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   hdfs.sh pause|resume DIR        halts it with all connections open, lets it go on
#   hdfs.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   hdfs.sh fetch                   fetches its jars alone
#   hdfs.sh shell DIR ARG…          Hadoop's own `fs` shell against it, such as -ls -R /
#
# Simple authentication, no permissions. DIR/web.port has the name node's HTTP port, DIR/rpc.port its RPC port.
# HDFS_WEB_PORT, HDFS_PORT: the two at the first start in DIR (default: free ones; later starts keep them). HDFS_HEAP (256m).
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 232 MB. The first start takes 5.9 s, one after kill -9 4.6 s, a stop 0.4 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/hdfs.sh service=hdfs dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

fetch() { jars hdfs; }
address() { echo "http://127.0.0.1:$(cat "$dir/web.port")"; }
ready() { grep -q 'READY$' "$dir/hdfs.log" 2>/dev/null; }

setting() { echo "  <property><name>$1</name><value>$2</value></property>"; }

write_settings() {
  local rpc data
  rpc=$(port "$dir/rpc.port" "${HDFS_PORT:-}")
  mkdir -p "$dir/conf/webapps/hdfs" "$dir/conf/webapps/datanode"
  {
    echo '<configuration>'
    setting fs.defaultFS "hdfs://127.0.0.1:$rpc"
    setting hadoop.tmp.dir "$dir/temp"
    setting hadoop.security.authentication simple
    echo '</configuration>'
  } >"$dir/conf/core-site.xml"
  {
    echo '<configuration>'
    setting dfs.replication 1
    setting dfs.permissions.enabled false
    setting dfs.namenode.name.dir "file://$dir/name"
    setting dfs.datanode.data.dir "file://$dir/data"
    setting dfs.namenode.rpc-address "127.0.0.1:$rpc"
    setting dfs.namenode.http-address "127.0.0.1:$(port "$dir/web.port" "${HDFS_WEB_PORT:-}")"
    for data in '' ipc. http.; do
      setting "dfs.datanode.${data}address" "127.0.0.1:$(port "$dir/datanode.${data}port")"
    done
    setting dfs.datanode.hostname 127.0.0.1
    setting dfs.namenode.datanode.registration.ip-hostname-check false
    setting dfs.namenode.safemode.extension 0
    setting dfs.namenode.safemode.threshold-pct 0
    setting dfs.namenode.redundancy.interval.seconds 1s
    setting dfs.heartbeat.interval 1s
    setting dfs.namenode.heartbeat.recheck-interval 2000
    setting dfs.namenode.fs-limits.min-block-size 4096
    setting dfs.client.block.write.replace-datanode-on-failure.enable false
    setting dfs.namenode.accesstime.precision 0
    echo '</configuration>'
  } >"$dir/conf/hdfs-site.xml"
  printf '%s\n' 'log4j.rootLogger=WARN,C' 'log4j.appender.C=org.apache.log4j.ConsoleAppender' \
    'log4j.appender.C.layout=org.apache.log4j.PatternLayout' \
    'log4j.appender.C.layout.ConversionPattern=%d{HH:mm:ss,SSS} %p %c{1} %m%n' >"$dir/conf/log4j.properties"
}

begin() {
  local lib program
  lib=$(jars hdfs)
  program=$(classes "$lib" Hdfs)
  write_settings
  HADOOP_USER_NAME=${HADOOP_USER_NAME:-streamhost} launch "$dir/hdfs.pid" "$dir/hdfs.log" "$java" \
    "-Xmx${HDFS_HEAP:-256m}" "${quick[@]}" --add-opens java.base/java.lang=ALL-UNNAMED "-Dname.dir=$dir/name" \
    -cp "$dir/conf:$program:$lib/*" Hdfs
}

if [ "${1:-}" = shell ]; then
  shift 2
  dir=$(cd "$dir" && pwd)
  export HADOOP_USER_NAME=${HADOOP_USER_NAME:-streamhost}
  exec "$java" -Xmx128m -XX:TieredStopAtLevel=1 -cp "$dir/conf:$(jars hdfs)/*" org.apache.hadoop.fs.FsShell "$@"
fi
verbs "$@"
