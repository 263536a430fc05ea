#!/usr/bin/env bash
# Prints the Python of a service's outside client, with what tests/setup/clients/NAME.txt lists; makes it if it is not there.
#
#   client.sh NAME
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/client.sh service=client
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
[ -f "$here/../setup/clients/${1:-}.txt" ] || usage
client "$1"
