#!/usr/bin/env bash
# Builds what a release consists of, from the last commit alone: the same commit gives the same bytes, wherever and whenever.
# Usage: deploy/release/build.sh [DIRECTORY [PART...]]
#   DIRECTORY  dist/release of the repository by default; it is emptied
#   python     wheel and sdist
#   contexts   what each image is built from: `docker build - < context-….tar.gz`
#   collector  the collector for Linux on amd64 and arm64, as programs and as wheels; needs Go
#   materials  bills of materials, CycloneDX: of each lock of Python packages, and of the collectors that are there
# All of them by default. SHA256SUMS has the checksum of every file.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC PYTHONHASHSEED=0

readonly HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly ROOT=$(cd "$HERE/../.." && pwd)
readonly OUT=$(realpath -m "${1:-$ROOT/dist/release}")
readonly PYTHON=$ROOT/.venv/bin/python
readonly GOMOD_VERSION=1.10.0 # of cyclonedx-gomod
SOURCE_DATE_EPOCH=$(git -C "$ROOT" log -1 --format=%ct)
export SOURCE_DATE_EPOCH
readonly WORK=$(mktemp -d)
trap 'chmod -R u+w "$WORK" && rm -rf "$WORK"' EXIT

# What is not committed is in no release.
take_sources() {
    git -C "$ROOT" diff --quiet HEAD -- || echo "There are changes that are not committed: they are not in the release." >&2
    git -C "$ROOT" archive --prefix=source/ HEAD | tar -x -C "$WORK"
    VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$WORK/source/pyproject.toml")
}

python() {
    (cd "$WORK/source" && "$PYTHON" -m hatchling build -t wheel -t sdist -d "$OUT")
}

# The folder of each Dockerfile; its own .dockerignore says what of it an image sees.
contexts() {
    local file folder name
    find "$WORK/source" -name Dockerfile -printf '%P\n' | sort | while read -r file; do
        folder=$(dirname "$file")
        name=${folder/#./fleet}
        tar -c -C "$WORK/source/$folder" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu . |
            gzip -n -9 >"$OUT/context-${name//\//-}-$VERSION.tar.gz"
    done
}

collector() {
    env PYTHON="$PYTHON" PROGRAMS="$OUT" "$WORK/source/collector/wheel/build.sh" "$OUT"
}

# One list a lock, and one a program: Go's linker has written into it what it is made of.
materials() {
    local lock name program
    "$ROOT/tests/versions/environment.sh" sbom "$HERE/sbom.lock"
    for lock in "$WORK"/source/requirements*.lock; do
        name=$(basename "$lock" .lock)
        (cd "$WORK/source" && "$ROOT/.fleet/sbom/bin/cyclonedx-py" requirements --output-reproducible \
            --pyproject pyproject.toml -o "$OUT/$name.cdx.json" "$(basename "$lock")")
    done
    for program in "$OUT"/otelcol-*; do
        [[ -e $program ]] || continue
        go run "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v$GOMOD_VERSION" \
            bin -json -noserial -notimestamp -version "v$VERSION" -output "$program.cdx.json" "$program"
    done
}

take_sources
rm -rf "$OUT"
mkdir -p "$OUT"
parts=("${@:2}")
((${#parts[@]})) || parts=(python contexts collector materials)
for part in "${parts[@]}"; do "$part"; done
(cd "$OUT" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum >"$WORK/sums" && mv "$WORK/sums" SHA256SUMS)
ls -l "$OUT"
