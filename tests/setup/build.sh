#!/usr/bin/env bash
# Installs what building streamhost and its jobs needs and is missing: a C and a C++ compiler, make, OpenSSL's headers
# and curl (with apt), Rust that is new enough (for this checkout alone: the user's default toolchain stays), rustfmt and
# clippy, the Wasm target, and what the form of shell scripts is checked with. Says what it does; says nothing where nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

# A compiler alone does not do: its headers are a package that it only recommends.
compiles() { echo '#include <stdio.h>' | "$1" -x "$2" -fsyntax-only - 2>/dev/null; }

missing=()
compiles cc c || missing+=(gcc libc6-dev)
compiles c++ c++ || missing+=(g++)
command -v make >/dev/null || missing+=(make)
# OpenSSL's headers, for Kafka with TLS, and what finds them.
pkg-config --exists 'openssl >= 3' 2>/dev/null || missing+=(libssl-dev pkg-config)
command -v shellcheck >/dev/null || missing+=(shellcheck)
command -v curl >/dev/null || missing+=(curl ca-certificates)
packages "${missing[@]}"

export PATH="$HOME/.cargo/bin:$PATH"
command -v rustup >/dev/null ||
  die "rustup is missing; install it with: curl https://sh.rustup.rs -sSf | sh -s -- -y --profile default"

rust_is_new_enough() {
  local minor
  minor=$(cd "$root" && rustc --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
  [ "${minor:-0}" -ge $rust_minor_min ]
}
if ! rust_is_new_enough; then
  say "Rust 1.$rust_minor_min or newer is needed, here is: $(rustc --version 2>/dev/null || echo none); updating stable"
  if rustup toolchain install stable --profile minimal >&2; then
    rustup override set stable --path "$root" >&2
  fi
  rust_is_new_enough || die "Rust is still too old; try: rustup update stable && rustup override set stable --path $root"
fi
for part in rustfmt clippy; do
  cargo "${part/rustfmt/fmt}" --version >/dev/null 2>&1 || { say "adding $part"; rustup component add "$part" >&2 ||
    say "$part is missing and cannot be added: the checks that use it will fail"; }
done

"$here/wasm.sh" >/dev/null
