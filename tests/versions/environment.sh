#!/usr/bin/env bash
# Makes .fleet/NAME, a Python environment apart from .venv, with the requirements of each FILE, later ones over earlier ones.
# Usage: [PYTHON=3.12] tests/versions/environment.sh NAME FILE...     PYTHON is that of .venv by default. It needs uv: on PATH, or the one that deploy/install.sh keeps.
set -euo pipefail

readonly ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly HOME_OF=$ROOT/.fleet/$1
shift

find_uv() {
    local kept
    uv --version >/dev/null 2>&1 && echo uv && return
    for kept in "${XDG_CACHE_HOME:-$HOME/.cache}"/fleet-telemetry/uv-*/bin/uv; do
        [[ -x $kept ]] && echo "$kept" && return
    done
    echo "There is no uv: install it (pip install uv), then repeat your command." >&2
    return 1
}

UV=$(find_uv)
export UV_PYTHON_DOWNLOADS=never
"$UV" venv -q --clear --python "${PYTHON:-$ROOT/.venv/bin/python}" "$HOME_OF"
for file in "$@"; do
    "$UV" pip install -q --python "$HOME_OF/bin/python" -r "$file"
done
