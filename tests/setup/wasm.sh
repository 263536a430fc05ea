#!/usr/bin/env bash
# Makes sure that guests can be built for wasm32-unknown-unknown. Prints the toolchain that can, on its last line:
# `default`, or `streamhost-web`, which `streamhost build` takes by itself where the default one lacks the target.
#
#   rustup road   rustup target add, the ordinary one
#   Debian road   where rustup cannot reach its servers: Debian's packages of rustc and of the standard library's source,
#                 unpacked into the cache without being installed; the standard library is built once (90 s of CPU)
#
# STREAMHOST_WASM_ROAD=rustup or =debian takes that road alone; by default Debian's is taken if rustup's fails.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/wasm.sh
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

target=wasm32-unknown-unknown
road=${STREAMHOST_WASM_ROAD:-any}
link=streamhost-web
home=$cache/rust-web

rustup_road() {
  rustup target list --installed 2>/dev/null | grep -qx "$target" && return 0
  say "adding the Wasm target: rustup target add $target"
  timeout 180 rustup target add "$target" >&2
}

# depends PACKAGE PATTERN: the packages that it depends on, by name.
depends() { apt-cache depends --no-recommends --no-suggests "$1" | sed -n "s/^ *Depends: \($2\)\$/\1/p"; }

download() {
  local std llvm
  std=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
  llvm=$(depends "$std" 'libllvm[0-9]*')
  (cd "$home/debs" && apt-get -q download rustc-web rust-web-src libstd-rust-web-dev "$std" "$llvm" 2>&1 >/dev/null |
    { grep -v 'unsandboxed' >&2 || true; })
}

# rustc finds its own libraries through a wrapper, as Debian's files expect them in /usr/lib.
wrap() {
  local name=$1 libraries
  mkdir -p "$sysroot/libexec"
  mv "$sysroot/bin/$name" "$sysroot/libexec/$name"
  libraries=$(dirname "$(find "$sysroot/lib" -name 'librustc_driver-*.so' | head -n 1)")
  cat >"$sysroot/bin/$name" <<E
#!/bin/sh
LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "$sysroot/libexec/$name" --sysroot "$sysroot" "\$@"
E
  chmod +x "$sysroot/bin/$name"
}

# cargo and the linkers are those of the rustup toolchain that is here.
borrow() {
  local from host
  from=$(rustc --print sysroot)
  host=$(rustc -vV | sed -n 's/^host: //p')
  ln -sf "$(rustup which cargo)" "$sysroot/bin/cargo"
  mkdir -p "$sysroot/lib/rustlib/$host/bin/gcc-ld"
  for tool in rust-lld gcc-ld/wasm-ld; do
    ln -sf "$from/lib/rustlib/$host/bin/$tool" "$sysroot/lib/rustlib/$host/bin/$tool"
  done
}

# `-Cembed-bitcode`: without it a guest's link-time optimisation fails ("Can't find section .llvmbc").
build_std() {
  local work=$home/std
  say "building the standard library for $target"
  rm -rf "$work"
  mkdir -p "$work/src" "$sysroot/lib/rustlib/$target/lib"
  printf '[package]\nname = "std-build"\nversion = "0.0.0"\nedition = "2024"\n[workspace]\n' >"$work/Cargo.toml"
  echo '//! Nothing: its dependencies are what is wanted.' >"$work/src/lib.rs"
  (cd "$work" && env -u CARGO_TARGET_DIR RUSTFLAGS="-Cembed-bitcode=yes" RUSTC="$sysroot/bin/rustc" RUSTC_BOOTSTRAP=1 \
    cargo build -q --release -Zbuild-std=std,panic_abort --target "$target" >&2)
  cp "$work/target/$target"/release/deps/*.r{lib,meta} "$sysroot/lib/rustlib/$target/lib/"
  rm -rf "$sysroot/lib/rustlib/$target/lib/"libstd_build-* "$work"
}

new_enough() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "1.$rust_minor_min"; }

debian_road() {
  local version sysroot
  command -v apt-get >/dev/null || die "rustup cannot add the target, and the other road needs apt-get"
  exec 9>"$cache/rust-web.lock"
  flock 9 # two test runs at once build it once
  if [ ! -f "$home/.complete" ]; then
    version=$(candidate rustc-web) # on Debian 12 the one in bookworm-security: 1.96; bookworm itself has an older one
    new_enough "$version" || { apt_update; version=$(candidate rustc-web); }
    new_enough "$version" || die "apt's rustc-web is ${version:-not there}, and 1.$rust_minor_min is needed (Debian 12 has" \
      "it in bookworm-security): the Wasm target can only come from rustup: rustup target add $target"
    say "taking Debian's rustc-web $version into $home (about 100 MB)"
    rm -rf "$home"
    mkdir -p "$home/debs"
    download || { apt_update; download; }
    for package in "$home"/debs/*.deb; do dpkg-deb -x "$package" "$home/unpacked"; done
    sysroot=$home/sysroot # it stays where it is built: its wrappers have its path in them
    mv "$home/unpacked/usr" "$sysroot"
    wrap rustc
    wrap rustdoc
    borrow
    build_std
    rm -rf "$home/debs" "$home/unpacked" "$sysroot/src" "$sysroot/share" # 500 MB that are not needed any more
    touch "$home/.complete"
  fi
  rustup toolchain link "$link" "$home/sysroot" >&2
  echo "$link"
}

mkdir -p "$cache"
case $road in # no `||` around the roads: it would switch off `set -e` inside them
  rustup)
    rustup_road
    echo default
    ;;
  debian) debian_road ;;
  any)
    if STREAMHOST_WASM_ROAD=rustup "$self"; then
      exit 0
    fi
    say "rustup could not add it; trying Debian's packages"
    STREAMHOST_WASM_ROAD=debian exec "$self"
    ;;
  *) die "STREAMHOST_WASM_ROAD is rustup or debian, not $road" ;;
esac
