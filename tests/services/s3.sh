#!/usr/bin/env bash
# One S3 endpoint (versitygw 1.8.0, Apache-2.0, whose buckets are folders), built once by Go, for tests.
#
#   s3.sh start DIR               starts it with its data in DIR, waits until it answers, prints its URL
#   s3.sh stop|kill DIR           ends it in good order, or by kill -9; its data stays
#   s3.sh pause|resume DIR        halts it with all connections open, lets it go on
#   s3.sh status DIR              prints `running ADDRESS PID`, `paused …` or `stopped`
#   s3.sh fetch                   builds it into the cache alone
#
# Plain HTTP, path style, region us-east-1; the bucket `tests` is there. DIR/http.port has the port, DIR/buckets the files.
# S3_PORT: its port at the first start in DIR (default: a free one; later starts keep it). S3_ACCESS_KEY (akey),
# S3_SECRET_KEY (secretkey123). Go 1.21 or newer, which fetches
# the one that it needs; the build takes 3 minutes and is kept in the cache.
# SERVICE_OWNER: a process; when that ends, so does this.
# Memory 41 MB. The first start takes 0.2 s, one after kill -9 0.2 s, a stop 0.0 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/s3.sh service=s3 dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"

version=v1.8.0
folder=$cache/versitygw-$version

build() {
  say "building versitygw into $folder (3 minutes)"
  GOBIN=$folder thrice go install -ldflags='-s -w' \
    "github.com/versity/versitygw/cmd/versitygw@$version" 9>&- 2>"$folder/build.log" || { cat "$folder/build.log"; false; }
}

fetch() {
  once versitygw "$folder" build || die "versitygw cannot be built: is the Go module proxy reachable, and Go 1.21 or newer?"
  echo "$folder/versitygw"
}
address() { echo "http://127.0.0.1:$(cat "$dir/http.port")"; }
ready() { port_open "$(cat "$dir/http.port")"; }

begin() {
  local program
  program=$(fetch)
  mkdir -p "$dir/buckets/tests"
  launch "$dir/s3.pid" "$dir/s3.log" "$program" --access "${S3_ACCESS_KEY:-akey}" \
    --secret "${S3_SECRET_KEY:-secretkey123}" --port "127.0.0.1:$(port "$dir/http.port" "${S3_PORT:-}")" \
    --region us-east-1 --quiet posix "$dir/buckets"
}

verbs "$@"
