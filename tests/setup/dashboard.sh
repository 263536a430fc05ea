#!/usr/bin/env bash
# Installs what the dashboard's tests need: Node.js with npm, a real Chromium, and the packages of its lock file. Says what
# it does; says nothing where nothing is missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/setup/lib.sh
. "$here/lib.sh"

missing=()
command -v npm >/dev/null || missing+=(nodejs npm)
# Ubuntu's package of this name is a snap, which servers cannot start.
if ! command -v chromium >/dev/null && [ -z "${CHROMIUM:-}" ]; then
  ! grep -q '^ID=ubuntu' /etc/os-release || die "a Chromium is needed that is no snap: install one, and name it in CHROMIUM"
  missing+=(chromium)
fi
packages "${missing[@]}"

oldest=20.19
version=$(node --version | sed 's/^v//')
[ "$(printf '%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ] || die "Node.js $oldest or newer is needed, and" \
  "$version is here: install a newer one (https://nodejs.org), and put it first on the path"
cd "$here/../../host/dashboard"
npm ci --no-audit --no-fund
