#!/usr/bin/env bash
# Makes what is installed without a compiler: a Debian package and a tarball, each with the binary, manual pages,
# completions, a unit for systemd and an example of streamhost.toml.
#
#   host/package/package.sh                      builds a release binary first; into target/package
#   host/package/package.sh --binary FILE DIR    packs that binary, into that folder
#
# The binary needs nothing but the C library and OpenSSL 3, so that the system's updates mend both: Kafka's client, zlib and
# zstd are in it. The package depends on the version of the C library that the binary was linked against, so build on the
# oldest system that it is to run on.
# Prints the two paths.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

binary='' out=$root/target/package
if [ "${1:-}" = --binary ]; then
  binary=$(realpath "${2:?--binary FILE DIR}")
  out=${3:?--binary FILE DIR}
elif [ $# -gt 0 ]; then
  sed -n '2,11p' "$0" >&2
  exit 2
fi
for tool in dpkg-deb objdump gzip tar; do
  command -v "$tool" >/dev/null || {
    echo "error: $tool is missing: apt-get install dpkg binutils gzip tar" >&2
    exit 1
  }
done
if [ -z "$binary" ]; then
  (cd "$root" && cargo build --locked --release -p streamhost-host >&2)
  binary=$root/target/release/streamhost
fi

version=$("$binary" --version | awk 'NR == 1 { print $2 }')
architecture=$(dpkg --print-architecture)
libc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2)
# Debian 12 calls it so, Debian 13 and Ubuntu 24.04 otherwise, as they changed a type of 32-bit systems.
# Whole, before it is looked at: with `grep -q` behind a pipe, objdump may be cut off, which would count as its failure.
needed=$(objdump -p "$binary")
if ! grep -q 'NEEDED *libssl.so.3' <<<"$needed"; then
  echo "error: $binary is not linked against OpenSSL 3 (libssl.so.3): build it where libssl-dev 3 is installed" >&2
  exit 1
fi
openssl='libssl3t64 | libssl3'
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# Both have the same files; the package has them where Debian wants them.
files() {
  local at=$1
  install -D -m 755 "$binary" "$at/bin/streamhost"
  "$binary" man --to "$at/share/man/man1"
  gzip -9n "$at"/share/man/man1/*
  install -d "$at/share/bash-completion/completions" "$at/share/zsh/vendor-completions" "$at/share/fish/vendor_completions.d"
  "$binary" completions bash >"$at/share/bash-completion/completions/streamhost"
  "$binary" completions zsh >"$at/share/zsh/vendor-completions/_streamhost"
  "$binary" completions fish >"$at/share/fish/vendor_completions.d/streamhost.fish"
  install -D -m 644 "$root/LICENSE-APACHE" "$at/share/doc/streamhost/LICENSE-APACHE"
  install -D -m 644 "$root/LICENSE-MIT" "$at/share/doc/streamhost/LICENSE-MIT"
  install -D -m 644 "$root/CHANGELOG.md" "$at/share/doc/streamhost/CHANGELOG.md"
}

# --- the tarball
name=streamhost-$version-$(uname -m)-linux
files "$stage/$name"
install -D -m 644 "$here/streamhost.service" "$stage/$name/lib/systemd/system/streamhost.service"
install -D -m 644 "$here/streamhost.toml" "$stage/$name/etc/streamhost/streamhost.toml"
tar --owner=0 --group=0 --sort=name -czf "$out/$name.tar.gz" -C "$stage" "$name"

# --- the Debian package
deb=$stage/deb
files "$deb/usr"
install -D -m 644 "$here/streamhost.service" "$deb/lib/systemd/system/streamhost.service"
install -D -m 640 "$here/streamhost.toml" "$deb/etc/streamhost/streamhost.toml"
install -d -m 755 "$deb/DEBIAN"
cat >"$deb/DEBIAN/control" <<CONTROL
Package: streamhost
Version: $version
Architecture: $architecture
Maintainer: The streamhost authors <streamhost@localhost>
Section: net
Priority: optional
Depends: libc6 (>= $libc), libgcc-s1, $openssl, adduser
Recommends: ca-certificates
Installed-Size: $(du -sk "$deb" | cut -f1)
Description: Kafka to HBase through WebAssembly functions
 A host for stream jobs: it reads Kafka, runs functions that are compiled to
 WebAssembly components, and writes HBase and Kafka. Functions are swapped
 without a restart.
CONTROL
echo /etc/streamhost/streamhost.toml >"$deb/DEBIAN/conffiles"
install -m 755 "$here/postinst" "$deb/DEBIAN/postinst"
install -m 755 "$here/prerm" "$deb/DEBIAN/prerm"
dpkg-deb --root-owner-group --build "$deb" "$out/streamhost_${version}_$architecture.deb" >&2

echo "$out/$name.tar.gz"
echo "$out/streamhost_${version}_$architecture.deb"
