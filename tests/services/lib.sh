# shellcheck shell=bash disable=SC2034,SC2154,SC2016
# What the service scripts share. To be sourced; the caller has set `-euo pipefail`, `service`, `self` and `here`.

cache=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}
java=${JAVA_HOME:+$JAVA_HOME/bin/}java

# What every server in Java gets: one thread for its garbage, no files beside its own folder, IPv4 alone.
quick=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+PerfDisableSharedMem -Djava.awt.headless=true
  -Djava.net.preferIPv4Stack=true)

say() { echo "$service: $*" >&2; }
die() { say "$*"; exit 1; }

# once NAME FOLDER COMMAND…: fills FOLDER by COMMAND, which gets an empty folder of that name. Two runs at once fill it once.
once() {
  local name=$1 folder=$2
  shift 2
  mkdir -p "$cache"
  (
    flock 9
    [ -f "$folder/.complete" ] && exit 0
    rm -rf "$folder"
    mkdir -p "$folder"
    "$@" >&2 && touch "$folder/.complete"
  ) 9>"$cache/$name.lock"
}

# thrice COMMAND…: registries stumble.
thrice() {
  local try
  for try in 1 2 3; do
    "$@" && return 0
    say "fetching failed (try $try of 3)"
  done
  return 1
}

copy_jars() {
  say "fetching jars into $2"
  thrice mvn -B -ntp -q -f "$1" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$2" 9>&-
}

# jars NAME: the folder with the jars of NAME.pom.xml, fetched from Maven Central once for each content of that file.
jars() {
  local pom=$here/$1.pom.xml lib
  lib=$cache/$1-$(sha256sum "$pom" | cut -c1-12)
  once "$1" "$lib" copy_jars "$pom" "$lib" ||
    die "the jars of $pom cannot be fetched: is Maven Central reachable?"
  echo "$lib"
}

# classes LIB NAME: the folder with NAME.java, compiled against the jars in LIB once for each content of that file. A Java
# without `javac` does, as its compiler is a module.
classes() {
  local source=$here/$2.java folder all=("$1"/*.jar)
  folder=$cache/$2-$(sha256sum "$source" | cut -c1-12)
  once "$2" "$folder" "$java" -Xmx256m -XX:TieredStopAtLevel=1 -m jdk.compiler/com.sun.tools.javac.Main \
    -nowarn -cp "$(IFS=:; echo "${all[*]}")" -d "$folder" "$source" || die "$source cannot be compiled"
  echo "$folder"
}

make_venv() {
  say "making a Python environment in $2"
  python3 -m venv "$2" && thrice "$2/bin/pip" install -q --disable-pip-version-check -r "$1" 9>&-
}

# client NAME: the Python that has what setup/clients/NAME.txt lists, which is NAME's outside client; made once.
client() {
  local list=$here/../setup/clients/$1.txt venv
  venv=$cache/client-$1-$(sha256sum "$list" | cut -c1-12)
  once "client-$1" "$venv" make_venv "$list" "$venv" || die "pip could not install what $list lists"
  echo "$venv/bin/python"
}

take_debs() {
  local folder=$1
  shift
  (cd "$folder" && apt-get -q download "$@" 2>&1 >/dev/null | { grep -v unsandboxed || true; }) && set -- "$folder"/*.deb
  [ -f "$1" ] || return 1
  for deb in "$@"; do dpkg-deb -x "$deb" "$folder" || return 1; done
  rm -f "$@"
}

# unpacked NAME PACKAGE…: the folder with Debian's packages, unpacked and not installed: no service begins, no root is needed.
unpacked() {
  local folder=$cache/$1-deb
  once "$1-deb" "$folder" thrice take_debs "$folder" "${@:2}" || die "apt-get cannot download ${*:2}"
  echo "$folder"
}

# lives PID: a killed process that nobody has waited for yet is a zombie, and does not.
lives() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

# alive PIDFILE: its process runs.
alive() {
  local pid
  pid=$(cat "$1" 2>/dev/null) && lives "$pid"
}

# paused PIDFILE: it is halted by `pause`.
paused() { grep -q '^State:.T' "/proc/$(cat "$1")/status" 2>/dev/null; }

# family PID: the process and all below it.
family() {
  local child
  echo "$1"
  while IFS=/ read -r _ _ child _; do
    family "$child"
  done < <(grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status)
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
      tail -n 30 "$@" 2>/dev/null >&2 || true # not all of them are written by every server
      exit 1
    fi
    sleep 0.1
  done
}

# end PIDFILE SIGNAL SECONDS: sends the signal and waits; SIGKILL when the time is over. SIGKILL goes to its children too.
end() {
  local pid limit=$((SECONDS + $3)) all
  alive "$1" || { rm -f "$1"; return 0; }
  pid=$(cat "$1")
  mapfile -t all < <(family "$pid")
  [ "$2" = KILL ] || all=("$pid")
  kill "-$2" "${all[@]}" 2>/dev/null || true
  kill -CONT "${all[@]}" 2>/dev/null || true # one that is paused hears no other signal
  while alive "$1"; do
    if [ $SECONDS -ge $limit ]; then
      say "process $pid does not stop: kill -9"
      mapfile -t all < <(family "$pid")
      kill -9 "${all[@]}" 2>/dev/null || true
      limit=$((limit + 10))
    fi
    sleep 0.1
  done
  for pid in "${all[@]}"; do
    while lives "$pid"; do sleep 0.02; done # a child that outlives its parent for a moment holds what the next start wants
  done
  rm -f "$1"
}

# pause PIDFILE, resume PIDFILE: it and its children hold their connections and answer nothing, until they go on.
pause() { signal "$1" STOP; }
resume() { signal "$1" CONT; }
signal() {
  local all
  alive "$1" || die "$(basename "$1" .pid) does not run"
  mapfile -t all < <(family "$(cat "$1")")
  kill "-$2" "${all[@]}" 2>/dev/null || kill "-$2" "${all[0]}" # a child may have ended meanwhile
}

# shown PIDFILE ADDRESS: the line of `status`.
shown() {
  local state=running
  alive "$1" || { echo stopped; return 0; }
  ! paused "$1" || state=paused
  echo "$state $2 $(cat "$1")"
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

# One process is the whole service: what such scripts share. The script sets `dir`, and defines
#   begin      launches the process of "$dir/$service.pid" with its output in "$dir/$service.log"
#   ready      says whether it answers
#   address    prints where
#   fetch      fetches what it runs
verbs() {
  local verb=${1:-} pid=$dir/$service.pid
  case $verb in
    start | stop | kill | pause | resume | status) [ -n "$dir" ] || die "say which folder: $service.sh $verb DIR" ;;
  esac
  case $verb in
    fetch) fetch ;;
    start)
      mkdir -p "$dir"
      dir=$(cd "$dir" && pwd) # servers change their folder
      pid=$dir/$service.pid
      if ! alive "$pid"; then
        rm -f "$dir/$service.log" # an earlier run's "ready" would be taken for ours
        begin
      fi
      wait_ready "$service" "$pid" "${READY_SECONDS:-180}" ready "$dir/$service".{out,log}
      guard "$dir"
      address
      ;;
    stop) end "$pid" "${stop_signal:-TERM}" 40 ;;
    kill) end "$pid" KILL 30 ;;
    pause) pause "$pid" ;;
    resume) resume "$pid" ;;
    status) shown "$pid" "$(address 2>/dev/null)" ;;
    *) usage ;;
  esac
}

# usage: the script's own head, without its first line.
usage() {
  sed -n '2,/^set /{/^#/p}' "$self" >&2
  exit 2
}

# as USER COMMAND…: root becomes that user, for servers that refuse root; anybody else stays who he is.
as() {
  local user=$1
  shift
  if [ "$(id -u)" = 0 ]; then
    # It may pass through folders that are root's alone, such as those above a checkout of root's.
    exec setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --inh-caps=+dac_read_search \
      --ambient-caps=+dac_read_search "$@"
  fi
  exec "$@"
}
