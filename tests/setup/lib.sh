# shellcheck shell=bash disable=SC2034
# What the setup scripts share. To be sourced; the caller has set `-euo pipefail`.

rust_minor_min=95 # Rust 1.95, as Cargo.toml says
cache=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }

# as_root COMMAND…: with sudo where one is not root.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root: $*"
  fi
}

# candidate PACKAGE: the version that apt would install, if there is one. `apt-cache show` is no answer: it is content with
# a package that others only mention.
candidate() { apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([^(].*\)/\1/p'; }

apt_updated=
apt_update() {
  [ -z "$apt_updated" ] || return 0
  say "apt-get update"
  as_root apt-get -q update >/dev/null || say "apt-get update failed; going on with the lists that are here"
  apt_updated=yes
}

# packages NAME…: installs those; the caller has found that they are needed.
packages() {
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "install these by hand, as there is no apt here: $*"
  apt_update
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" >/dev/null ||
    die "apt-get could not install: $*"
}
