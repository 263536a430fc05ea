#!/usr/bin/env bash
# What the binary is made of: licences, sources and known vulnerabilities of all crates, by cargo-deny, and a bill of
# materials (CycloneDX) in target/sbom. Installs the two tools into the cache where they are missing, which takes minutes.
#
#   tests/supply.sh          STREAMHOST_ADVISORIES=FOLDER names a clone of the RustSec database where GitHub cannot be reached
#
# Without the database the rest is checked, and it is said that vulnerabilities were not looked for.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${STREAMHOST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamhost}
export PATH="$cache/tools/bin:$HOME/.cargo/bin:$PATH"

deny_version=0.20.2
cyclonedx_version=0.5.9
database=https://github.com/rustsec/advisory-db

# tool CRATE VERSION
tool() {
  case "$(cargo "${1#cargo-}" --version 2>/dev/null || true)" in *"$2"*) return ;; esac
  echo "supply: installing $1 $2 into $cache/tools" >&2
  cargo install --quiet --locked --root "$cache/tools" --version "$2" "$1"
}

tool cargo-deny "$deny_version"
config=$(mktemp -d)
trap 'rm -rf "$config"' EXIT
cp .deny.toml "$config/deny.toml"
checks=(bans licenses sources)
if [ -n "${STREAMHOST_ADVISORIES:-}" ] || git ls-remote -q "$database" HEAD >/dev/null 2>&1; then
  if [ -n "${STREAMHOST_ADVISORIES:-}" ]; then
    # cargo-deny takes no path: git reads the clone where the database is asked for.
    clone=$(realpath "$STREAMHOST_ADVISORIES")
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_VALUE_0=$database GIT_CONFIG_KEY_0="url.file://$clone.insteadOf"
  fi
  printf '\n[advisories]\ndb-path = "%s"\ndb-urls = ["%s"]\ngit-fetch-with-cli = true\nyanked = "deny"\n' \
    "$cache/advisories" "$database" >>"$config/deny.toml"
  checks=(advisories "${checks[@]}")
else
  echo "supply: the database of vulnerabilities cannot be reached, so they are not looked for: clone $database, and name the" \
    "clone with STREAMHOST_ADVISORIES" >&2
fi
cargo deny --workspace --config "$config/deny.toml" check --hide-inclusion-graph "${checks[@]}"

tool cargo-cyclonedx "$cyclonedx_version"
mkdir -p target/sbom
# Beside each manifest is where the tool writes it.
cargo cyclonedx --quiet --format json --manifest-path host/Cargo.toml --target all --override-filename sbom
find . -name sbom.json -not -path './target/*' | while read -r file; do
  if [ "$file" = ./host/sbom.json ]; then mv "$file" target/sbom/streamhost.cdx.json; else rm "$file"; fi
done
python3 - target/sbom/streamhost.cdx.json <<'P'
import json, sys
bill = json.load(open(sys.argv[1]))
print(f"supply: {sys.argv[1]} names {len(bill['components'])} components")
P
