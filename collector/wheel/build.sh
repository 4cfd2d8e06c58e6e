#!/usr/bin/env bash
# Builds the collector for each machine and puts it into a wheel, in DIRECTORY (default: dist/ of the repository).
# Usage: [PYTHON=/path] [PROGRAMS=DIRECTORY] collector/wheel/build.sh [DIRECTORY [MACHINE...]]
# Machines are x86_64 and aarch64. It needs Go, and a Python with hatchling (that of .venv). The programs themselves are kept in PROGRAMS.
set -euo pipefail

readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly COLLECTOR=$(dirname "$HERE")
readonly OUT=$(realpath -m "${1:-$(dirname "$COLLECTOR")/dist}")
readonly VERSION=$(sed -n 's/^  version: //p' "$COLLECTOR/builder.yaml")
readonly WORK=$(mktemp -d)
readonly PYTHON=${PYTHON:-$COLLECTOR/../.venv/bin/python}
trap 'rm -rf "$WORK"' EXIT

goarch() {
    case $1 in
        x86_64) echo amd64 ;;
        aarch64) echo arm64 ;;
        *) echo "There is no collector for $1: name x86_64 or aarch64." >&2 && return 1 ;;
    esac
}

# The builder writes the program's main package beside the components, where their module is.
generate() {
    cp -r "$COLLECTOR" "$WORK/collector"
    GOBIN=$WORK CGO_ENABLED=0 go install "go.opentelemetry.io/collector/cmd/builder@v$VERSION"
    (cd "$WORK/collector" && "$WORK/builder" --config=builder.yaml --skip-compilation --skip-get-modules)
}

build() { # machine
    local arch
    arch=$(goarch "$1")
    (cd "$WORK/collector/otelcol" && CGO_ENABLED=0 GOOS=linux GOARCH=$arch go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o "$WORK/otelcol-$1" .)
}

pack() { # machine
    cp -r "$HERE" "$WORK/wheel-$1"
    cp "$COLLECTOR/../LICENSE" "$WORK/wheel-$1/"
    (cd "$WORK/wheel-$1" && COLLECTOR_PROGRAM=$WORK/otelcol-$1 COLLECTOR_MACHINE=$1 "$PYTHON" -m hatchling build -t wheel -d "$OUT")
    [[ -z ${PROGRAMS:-} ]] || cp "$WORK/otelcol-$1" "$PROGRAMS/otelcol-linux-$(goarch "$1")"
}

machines=("${@:2}")
((${#machines[@]})) || machines=(x86_64 aarch64)
generate
for machine in "${machines[@]}"; do
    echo "Building the collector $VERSION for $machine …"
    build "$machine"
    pack "$machine"
done
ls -l "$OUT"/fleet_telemetry_collector-*.whl
