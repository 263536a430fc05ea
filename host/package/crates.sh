#!/usr/bin/env bash
# Packs the crates as they would be published, and builds the binary out of them: nothing of the repository is needed
# to install it but these files.
#
#   host/package/crates.sh [DIR]     into DIR, target/crates without it
#
# Cargo leaves out folders that are packages themselves, and the binary carries some (the SDK and the templates of
# `streamhost new`): they are packed as host/carried, with other names for their manifests.
# Prints the command that installs the binary from there.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${1:-$root/target/crates}
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

crates=(host host/core host/engine host/guest host/connectors host/storage host/dev guest-sdk guest-sdk/macros)
(cd "$root" && git ls-files -z -- Cargo.toml Cargo.lock CHANGELOG.md 'LICENSE-*' wit host guest-sdk |
  xargs -0 cp --parents -t "$stage")
cd "$stage"
members=$(printf '"%s", ' "${crates[@]}")
sed -i -e '/^members = \[/,/^\]/c members = ['"$members"']' -e '/^default-members = \[/,/^\]/d' Cargo.toml

carried=$stage/host/carried
mkdir -p "$carried"
for part in Cargo.toml Cargo.lock guest-sdk/Cargo.toml guest-sdk/src guest-sdk/macros/Cargo.toml guest-sdk/macros/src \
  host/core/Cargo.toml host/core/src host/templates; do
  (cd "$root" && git ls-files -z -- "$part" | xargs -0 cp --parents -t "$carried")
done
find "$carried" -name Cargo.toml -exec mv {} {}.carried \;
rm -r host/templates
# The contract is outside of the crate that is generated from it.
cp -r wit host/guest/wit
sed -i 's|path: "../../wit"|path: "wit"|' host/guest/src/lib.rs

target=${CARGO_TARGET_DIR:-$root/target}
CARGO_TARGET_DIR=$target cargo package --workspace --allow-dirty --no-verify >&2
mkdir -p "$out/.cargo"
out=$(cd "$out" && pwd)
# Once they are published cargo finds them by itself; until then this says where they are.
echo '[patch.crates-io]' >"$out/.cargo/config.toml"
for crate in "$target"/package/*.crate; do
  tar -xzmf "$crate" -C "$out"
  name=$(basename "${crate%-*}")
  folder=$out/$(basename "$crate" .crate)
  case $name in
    streamhost-host | streamhost | streamhost-macros) ;; # the binary, and what it does not link
    *) echo "$name = { path = \"$folder\" }" >>"$out/.cargo/config.toml" ;;
  esac
done
host=$(ls -d "$out"/streamhost-host-*)
(cd "$host" && cargo metadata --format-version 1 >/dev/null) # the lock file says where they are too
echo "cargo install --locked --path $host"
