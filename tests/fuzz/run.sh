#!/usr/bin/env bash
# Looks for inputs that break a target, with libFuzzer, from the targets' corpora on.
#
#   tests/fuzz/run.sh [SECONDS [TARGET…]]    so long for each target, all of them unless some are named; 60 s
#
# What is found of new paths stays in target/fuzz/corpus; an input that breaks a target is left in target/fuzz/broken, and
# `cargo test --test corpus` runs it once it is copied to tests/fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(cd tests/fuzz/corpus && ls)
fi

# Coverage of the host's own code and its libraries', with the compiler that builds the rest: what cargo-fuzz asks for, but
# for the sanitizer, which wants another compiler.
triple=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on"
cargo build --target-dir target/fuzz --target "$triple" -p streamhost-fuzz --features libfuzzer --bin fuzz

mkdir -p target/fuzz/broken
code=0
for target in "${targets[@]}"; do
  mkdir -p "target/fuzz/corpus/$target"
  echo "=== $target, $seconds s"
  FUZZ_TARGET=$target "target/fuzz/$triple/debug/fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=30 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="target/fuzz/broken/$target-" \
    "target/fuzz/corpus/$target" "tests/fuzz/corpus/$target" >"target/fuzz/$target.log" 2>&1 || code=1
  grep -aE 'stat::number_of_executed_units|panicked at|ERROR: libFuzzer|Test unit written' "target/fuzz/$target.log" || true
done
exit $code
