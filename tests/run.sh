#!/usr/bin/env bash
# Installs what is missing, and runs all tests: form, lints, unit tests, the SDK's, and the contract with real servers.
#
#   tests/run.sh                     everything
#   tests/run.sh quick               what needs no servers
#   tests/run.sh contract [NAME…]    the contract with the real servers, or the tests in it that have NAME in theirs
#   tests/run.sh dashboard           the page at /: its own tests, and those in a real Chromium, over a simulated host
#   tests/run.sh services [NAME…]    the scripts in tests/services alone: each server started, killed and read back
#   tests/run.sh fuzz [SECONDS [TARGET…]]  looks for inputs that break the host, see tests/fuzz/run.sh
#   tests/run.sh supply              licences, sources and known vulnerabilities of all crates, and a bill of materials
#
# STREAMHOST_TEST_SIZE=full makes them as large as the product is promised for; STREAMHOST_SEED=N replays a run.
# The last line is `N passed, N failed`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}
# A Node.js that the setup brought where the system's is too old.
export PATH="$cache/node/bin:$HOME/.cargo/bin:$PATH"

part=${1:-all}
[ $# -eq 0 ] || shift
case $part in
  all | quick | contract | dashboard | services) ;;
  fuzz) exec tests/fuzz/run.sh "$@" ;;
  supply) exec tests/supply.sh ;;
  *)
    sed -n '2,13p' "tests/run.sh" >&2
    exit 2
    ;;
esac

services=$cache/services/run-$$
work=$(mktemp -d)
# A line for each step: the seconds it took, the tests that passed in it, those that failed, its name.
ledger=$work/ledger
: >"$ledger"
beside=

clean_up() {
  [ -z "$beside" ] || kill -- "-$beside" 2>/dev/null || true
  tests/services/hbase.sh stop "$services/hbase" || true
  tests/services/kafka.sh stop "$services/kafka" || true
  tests/services/postgres.sh stop "$services/postgres" || true
  tests/services/mariadb.sh stop "$services/mariadb" || true
  tests/services/elasticsearch.sh stop "$services/elasticsearch" || true
  tests/services/opensearch.sh stop "$services/opensearch" || true
  rm -rf "$services" "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

heading() { printf '\n=== %s %s\n' "$(date +%H:%M:%S)" "$*"; }

# run NAME COMMAND…: runs it and counts what cargo says of tests, as `seconds`, `passed` and `failed`; a command that fails
# without a failed test is one itself.
run() {
  local code=0 began=$SECONDS log
  heading "$1"
  shift
  log=$(mktemp -p "$work")
  "$@" 2>&1 | tee "$log" || code=$?
  seconds=$((SECONDS - began))
  read -r passed failed < <(awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$log")
  [ $code = 0 ] || [ "$failed" != 0 ] || failed=1
}

note() { printf '%s\t%s\t%s\t%s\n' "$seconds" "$passed" "$failed" "$1" >>"$ledger"; }
step() { run "$@"; note "$1"; }

# begin_beside TASK…: runs them one after the other beside what comes next, in a group of processes that ends with this
# script. end_beside waits for them, and shows what they said.
begin_beside() {
  set -m
  (
    set +m
    trap - EXIT INT TERM
    for task in "$@"; do "$task"; done
  ) >"$work/said" 2>&1 </dev/null &
  beside=$!
  set +m
}
end_beside() {
  local code=0
  wait "$beside" || code=$?
  beside=
  cat "$work/said"
  [ $code = 0 ] || { seconds=0 passed=0 failed=1; note "what ran beside the build"; }
}

# sum COLUMN: of all steps.
sum() { awk -F '\t' -v column="$1" '{ all += $column } END { print all + 0 }' "$ledger"; }

# finish: says how long the steps took and how they ended, and is the script's outcome.
finish() {
  heading "done in $((SECONDS / 60)) min $((SECONDS % 60)) s"
  awk -F '\t' '{ printf "%3d min %02d s  %s%s\n", $1 / 60, $1 % 60, $4, ($3 > 0 ? " (failed)" : "") }' "$ledger"
  [ ! -f "$work/left-out" ] || echo "left out: $(paste -sd ';' "$work/left-out" | sed 's/;/, /g')"
  echo "$(sum 2) passed, $(sum 3) failed"
  [ "$(sum 3)" = 0 ]
}

if [ "$part" = services ]; then
  step "service scripts" tests/services/check.sh "$@"
  finish
  exit
fi

# What Node.js, npm's registry or a browser that cannot be had keep from running is said at the end; asked for by itself it
# is a failure.
dashboard() {
  local setup="setting up the dashboard's tests"
  run "$setup" tests/setup/dashboard.sh
  if [ "$failed" != 0 ] && [ "$part" = all ]; then
    echo "the dashboard's tests, as what they need could not be installed: see above" >>"$work/left-out"
    return
  fi
  note "$setup"
  [ -n "${CHROMIUM:-}" ] || [ ! -x "$cache/chromium" ] || export CHROMIUM=$cache/chromium
  for check in lint test check-dist test:browser; do
    step "dashboard: $check" npm --prefix host/dashboard run "$check"
  done
}

if [ "$part" = dashboard ]; then
  dashboard
  heading "done"
  echo "$(sum 3) steps failed"
  [ "$(sum 3)" = 0 ]
  exit
fi

set_up_servers() { step "setting up the servers" tests/setup/tests.sh; }

step "setting up" tests/setup/build.sh
[ "$(sum 3)" = 0 ] || { finish; exit; }

# Most of what follows waits for the network and for a browser. Nice, so that the browser is not kept waiting by compilers.
case $part in
  all) begin_beside set_up_servers dashboard ;;
  contract) begin_beside set_up_servers ;;
esac
# With the targets that are needed later: the tests' dependencies choose features, and without them all would be built twice.
targets=(--all-targets)
[ "$part" != contract ] || targets=(--bins --test contract)
step "building" nice cargo build --workspace "${targets[@]}"
[ -z "$beside" ] || end_beside
if grep -q $'\t[1-9][0-9]*\tsetting up' "$ledger"; then
  finish
  exit
fi

if [ "$part" != contract ]; then
  step "form" cargo fmt --all --check
  step "shell scripts" shellcheck -x tests/*.sh tests/*/*.sh host/package/*.sh host/package/p{ostinst,rerm} .ci/run
  step "lints" cargo clippy --workspace --all-targets -- -D warnings
  step "tests without servers" cargo test --workspace --no-fail-fast -- --skip live_contract::
fi
if [ "$part" = all ]; then
  # To build the tools takes longer than many a test: where they are, they are asked each time.
  if [ -x "$cache/tools/bin/cargo-deny" ] && [ -x "$cache/tools/bin/cargo-cyclonedx" ]; then
    step "supply chain" tests/supply.sh
  else
    echo "the supply chain, whose tools \`tests/run.sh supply\` installs" >>"$work/left-out"
  fi
fi
if [ "$part" != quick ]; then
  export STREAMHOST_TEST_SERVICES=$services SERVICE_OWNER=$$
  # Many of its tests wait: for servers, time-outs, a batch. What is to be looked at or measured has the machine for itself.
  threads=2
  if [ $# -gt 0 ] || [ "${STREAMHOST_TEST_SIZE:-}" = full ]; then
    threads=1
  fi
  export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$threads}
  step "contract with real servers" cargo test --workspace --test contract --no-fail-fast -- "$@"
fi
finish
