#!/usr/bin/env bash
# Writes releases.txt anew, from the checksums that the projects publish beside their releases; `make pin-releases` runs it, people commit
# what it writes. RELEASES_OF=https://… names another place with the same layout.
set -euo pipefail

readonly ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly RELEASES_OF=${RELEASES_OF:-https://github.com/prometheus}
readonly TABLE=${TABLE:-$ROOT/deploy/install/releases.txt}
readonly PLATFORMS=(linux-amd64 linux-arm64 darwin-amd64 darwin-arm64)

version_of() { # setting
    sed -nE "s/^readonly $1=([0-9.]+).*/\1/p" "$ROOT/deploy/install/programs.sh"
}

lines_of() { # program version
    local base=$RELEASES_OF/$1/releases/download/v$2 sums platform name
    sums=$(curl --fail --location --silent --show-error --connect-timeout 10 "$base/sha256sums.txt")
    for platform in "${PLATFORMS[@]}"; do
        name=$1-$2.$platform.tar.gz
        awk -v name="$name" -v line="$1 $2 $platform" -v address="$base/$name" '$2 == name { print line, $1, address }' <<<"$sums"
    done
}

# The module 0.316.0 of Prometheus is its release 3.16.0.
release_of_module() { sed -E 's/^0\.([0-9])([0-9]+)\./\1.\2./' <<<"$1"; }

written=$(
    grep '^#' "$ROOT/deploy/install/releases.txt"
    lines_of prometheus "$(release_of_module "$(version_of PROMETHEUS_VERSION)")"
    lines_of alertmanager "$(version_of ALERTMANAGER_VERSION)"
)
printf '%s\n' "$written" >"$TABLE"
