# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# What the service scripts share. To be sourced; the caller has set `-euo pipefail`, `service`, `self` and `here`.

cache=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

say() { echo "$service: $*" >&2; }
die() { say "$*"; exit 1; }

# jars NAME: the folder with the jars of NAME.pom.xml, fetched from Maven Central once for each content of that file.
jars() {
  local pom=$here/$1.pom.xml lib sum
  sum=$(sha256sum "$pom" | cut -c1-12)
  lib=$cache/$1-$sum
  mkdir -p "$cache"
  (
    flock 9 # two test runs at once fetch once
    [ -f "$lib/.complete" ] && exit 0
    say "fetching jars into $lib"
    for try in 1 2 3; do
      mvn -B -ntp -q -f "$pom" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$lib" >&2 && { touch "$lib/.complete"; exit 0; }
      say "fetching failed (try $try of 3)"
    done
    exit 1
  ) 9>"$cache/$1.lock" || die "the jars of $pom cannot be fetched: is Maven Central reachable?"
  echo "$lib"
}

# alive PIDFILE: its process runs. A killed one that nobody has waited for yet is a zombie, and does not.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 1
  kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port FILE WANTED: the port kept in FILE, so that a restart comes back at the same address; else WANTED, else a free one.
port() {
  if [ ! -s "$1" ]; then
    local port=${2:-}
    while [ -z "$port" ]; do
      port=$((20000 + RANDOM % 12000)) # below the range from which the system takes outgoing ports
      port_open "$port" && port=
    done
    echo "$port" >"$1"
  fi
  cat "$1"
}

# wait_ready NAME PIDFILE SECONDS CONDITION LOG…: until CONDITION holds; shows the ends of the logs if it never does.
wait_ready() {
  local name=$1 pid=$2 limit=$((SECONDS + $3)) condition=$4
  shift 4
  until $condition; do
    if ! alive "$pid" || [ $SECONDS -ge $limit ]; then
      if alive "$pid"; then say "$name is not ready in time"; else say "$name ended"; fi
      tail -n 30 "$@" >&2 || true
      exit 1
    fi
    sleep 0.1
  done
}

# end PIDFILE SIGNAL SECONDS: sends the signal and waits; SIGKILL when the time is over.
end() {
  local pid limit=$((SECONDS + $3))
  alive "$1" || { rm -f "$1"; return 0; }
  pid=$(cat "$1")
  kill "-$2" "$pid" 2>/dev/null || true
  while alive "$1"; do
    if [ $SECONDS -ge $limit ]; then
      say "process $pid does not stop: kill -9"
      kill -9 "$pid" 2>/dev/null || true
      limit=$((limit + 10))
    fi
    sleep 0.1
  done
  rm -f "$1"
}

# launch PIDFILE OUT COMMAND…: a process of its own that outlives this script.
launch() {
  local pid=$1 out=$2
  shift 2
  setsid nohup "$@" >"$out" 2>&1 </dev/null 9>&- &
  echo $! >"$pid"
}

# guard DIR: when the process SERVICE_OWNER ends, the services in DIR are stopped, however it ended.
guard() {
  [ -n "${SERVICE_OWNER:-}" ] || return 0
  alive "$1/guard.pid" && return 0
  launch "$1/guard.pid" "$1/guard.out" bash -c '
    while kill -0 "$1" 2>/dev/null; do sleep 1; done
    rm -f "$3/guard.pid"
    exec "$2" kill "$3"' guard "$SERVICE_OWNER" "$self" "$1"
}
