#!/usr/bin/env bash
# Installs what is missing, and runs all tests: form, lints, unit tests, the SDK's, and the contract with real servers.
#
#   tests/run.sh                     everything
#   tests/run.sh quick               what needs no servers
#   tests/run.sh contract [NAME…]    the contract with real Kafka, HBase and PostgreSQL, or the tests in it that have NAME in theirs
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
log=$(mktemp)
passed=0 failed=0

stop_services() {
  tests/services/hbase.sh stop "$services/hbase" || true
  tests/services/kafka.sh stop "$services/kafka" || true
  tests/services/postgres.sh stop "$services/postgres" || true
  rm -rf "$services" "$log"
}
trap stop_services EXIT
trap 'exit 130' INT TERM

heading() { printf '\n=== %s %s\n' "$(date +%H:%M:%S)" "$*"; }

# step NAME COMMAND…: runs it and counts what cargo says of tests; a command that fails without a failed test is one itself.
step() {
  local code=0 counts
  heading "$1"
  shift
  "$@" 2>&1 | tee "$log" || code=$?
  counts=$(awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$log")
  passed=$((passed + ${counts% *}))
  failed=$((failed + ${counts#* }))
  if [ $code -ne 0 ] && [ "${counts#* }" = 0 ]; then
    failed=$((failed + 1))
  fi
}

if [ "$part" = services ]; then
  step "service scripts" tests/services/check.sh "$@"
  heading "done"
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
  exit
fi

# What Node.js, npm's registry or a browser that cannot be had keep from running is said at the end; asked for by itself it
# is a failure.
left_out=
dashboard() {
  local before=$failed
  step "setting up the dashboard's tests" tests/setup/dashboard.sh
  if [ "$failed" != "$before" ] && [ "$part" = all ]; then
    failed=$before left_out="the dashboard's tests, as what they need could not be installed: see above"
    return
  fi
  [ -n "${CHROMIUM:-}" ] || [ ! -x "$cache/chromium" ] || export CHROMIUM=$cache/chromium
  for check in lint test check-dist test:browser; do
    step "dashboard: $check" npm --prefix host/dashboard run "$check"
  done
}

if [ "$part" = dashboard ]; then
  dashboard
  heading "done"
  echo "$failed steps failed"
  [ $failed = 0 ]
  exit
fi
if [ "$part" = quick ]; then
  step "setting up" tests/setup/build.sh
else
  step "setting up" tests/setup/tests.sh
fi
if [ $failed != 0 ]; then
  echo "$passed passed, $failed failed"
  exit 1
fi

step "building" cargo build --workspace --bins
if [ "$part" != contract ]; then
  step "form" cargo fmt --all --check
  step "shell scripts" shellcheck -x tests/*.sh tests/*/*.sh host/package/*.sh host/package/p{ostinst,rerm} .ci/run
  step "lints" cargo clippy --workspace --all-targets -- -D warnings
  step "tests without servers" cargo test --workspace --no-fail-fast -- --skip live_contract::
fi
if [ "$part" = all ]; then
  dashboard
  # To build the tools takes longer than many a test: where they are, they are asked each time.
  if [ -x "$cache/tools/bin/cargo-deny" ] && [ -x "$cache/tools/bin/cargo-cyclonedx" ]; then
    step "supply chain" tests/supply.sh
  else
    left_out="${left_out:+$left_out, }the supply chain, whose tools \`tests/run.sh supply\` installs"
  fi
fi
if [ "$part" != quick ]; then
  export STREAMHOST_TEST_SERVICES=$services SERVICE_OWNER=$$
  step "contract with real servers" cargo test --workspace --test contract --no-fail-fast -- --test-threads=1 "$@"
fi

heading "done"
[ -z "$left_out" ] || echo "left out: $left_out"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
