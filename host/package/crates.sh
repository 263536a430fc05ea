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

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target} cargo package --workspace --allow-dirty --no-verify >&2
mkdir -p "$out"
patches=()
for crate in "${CARGO_TARGET_DIR:-$root/target}"/package/*.crate; do
  tar -xzf "$crate" -C "$out"
  name=$(basename "${crate%-*}")
  [ "$name" = streamhost-host ] || patches+=("--config" "patch.crates-io.$name.path=\"$out/$(basename "$crate" .crate)\"")
done
echo "cargo install --locked --path $(ls -d "$out"/streamhost-host-*)" "${patches[@]}"
