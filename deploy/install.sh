#!/usr/bin/env bash
# Installs what the fleet needs and nothing else: system packages, the Python environment, the collector, Prometheus and Alertmanager.
# It starts nothing.
#
# Running it again is quick and changes nothing that is already there. A program is taken from the setting that names it, from PATH where
# that one will do, from an official release, and only then built. Settings, all optional:
#   OTELCOL=/path      use this collector (for example the official contrib distribution)
#   PROMETHEUS=/path   use this Prometheus
#   ALERTMANAGER=/path use this Alertmanager
#   PYTHON=python3.12  the Python to make .venv from
#   XDG_CACHE_HOME     where builds are kept (default ~/.cache), in fleet-telemetry/
#
# `install.sh tests` also installs what only the tests need.
set -euo pipefail

readonly PURPOSE=${1:-fleet}

readonly UV_VERSION=0.13.9

readonly ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/fleet-telemetry
readonly PACKAGES=$ROOT/deploy/system-packages.txt
readonly VENV=$ROOT/.venv
PYTHON=${PYTHON:-python3}

# shellcheck source=deploy/install/progress.sh
source "$ROOT/deploy/install/progress.sh"
# shellcheck source=deploy/install/releases.sh
source "$ROOT/deploy/install/releases.sh"
# shellcheck source=deploy/install/programs.sh
source "$ROOT/deploy/install/programs.sh"

# Debian keeps nginx and its like where only root's PATH looks.
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1; }

has_any() { # names of a program, with spaces between
    local name
    for name in $1; do has "$name" && return; done
    return 1
}

# --- system packages ---------------------------------------------------------------------------------------------------------------

# Prints the packages of one class whose program is missing.
missing() {
    local package program when _
    while read -r package program when _; do
        [[ -z $package || $package == \#* || $when != "$1" ]] && continue
        [[ $program != - ]] && has_any "${program//,/ }" && continue
        printf '%s\n' "$package"
    done <"$PACKAGES"
}

can_use_apt() { [[ $(id -u) == 0 ]] && has apt-get; }

# Debian starts a service as soon as its package is installed. The fleet runs its own, so a guard forbids that for the time of the
# installation. A guard that was there before stays.
guarded_apt_install() {
    local policy=/usr/sbin/policy-rc.d units_before units_new=
    units_before=$(list_units)
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    logged "Reading the package lists" apt-get update -q
    logged "Installing $*" apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
    units_new=$(comm -13 <(printf '%s\n' "$units_before") <(list_units))
    disable_units "$units_new"
    [[ $(trap -p EXIT) ]] && rm -f "$policy" && trap - EXIT
    return 0
}

list_units() { (cd /lib/systemd/system 2>/dev/null && printf '%s\n' *.service | sort) || true; }

# Nor should they come up at the next boot.
disable_units() {
    has systemctl && [[ -d /run/systemd/system ]] || return 0
    local unit
    for unit in $1; do systemctl disable --quiet --now "$unit" 2>/dev/null || true; done
}

install_packages() {
    local needed optional
    mapfile -t needed < <(missing always; have_uv || have_venv_module || missing without-uv)
    mapfile -t optional < <(
        missing optional | grep -vxFf <(named_packages) || true
        [[ $PURPOSE != tests ]] || missing tests
    )
    if can_use_apt; then
        ((${#needed[@]} + ${#optional[@]})) && guarded_apt_install "${needed[@]}" "${optional[@]}"
        return 0
    fi
    ((${#needed[@]} == 0)) || fail_with_packages "${needed[@]}"
}

# Packages whose program the user has named.
named_packages() {
    [[ ! ${PROMETHEUS:-} ]] || printf 'prometheus\n'
    [[ ! ${ALERTMANAGER:-} ]] || printf 'prometheus-alertmanager\n'
}

fail_with_packages() {
    if has apt-get; then
        fail "Missing: $*. Installing them takes root; run this and then repeat your command:" \
            "    sudo apt-get update && sudo apt-get install --no-install-recommends $*" \
            "Debian starts redis-server and nginx when it installs them; the fleet uses its own, so you can stop them:" \
            "    sudo systemctl disable --now redis-server nginx"
    fi
    fail "Missing: $* (names of Debian's packages), and there is no apt-get here." \
        "Install redis-server and nginx with your system's package manager so that both programs are on PATH, then repeat your command."
}

# --- Python ------------------------------------------------------------------------------------------------------------------------

check_python() {
    has "$PYTHON" || fail "There is no $PYTHON. Install Python 3.11 or newer (Debian: sudo apt-get install python3), or name one: PYTHON=/path/to/python3."
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is $("$PYTHON" -V 2>&1), the fleet needs 3.11 or newer. Name a newer one: PYTHON=/path/to/python3.12."
}

have_venv_module() { "$PYTHON" -c 'import ensurepip' 2>/dev/null; }

# A version manager's shim can be on PATH without the program behind it, hence the call.
have_uv() { uv --version >/dev/null 2>&1 || [[ -e $CACHE/uv-$UV_VERSION/.complete ]]; }

fetch_uv() {
    local home=$CACHE/uv-$UV_VERSION
    if uv --version >/dev/null 2>&1; then
        UV=uv
        return
    fi
    UV=$home/bin/uv
    [[ -e $home/.complete ]] && return
    rm -rf "$home"
    "$PYTHON" -m venv "$home"
    logged "Fetching uv $UV_VERSION" "$home/bin/pip" install --quiet "uv==$UV_VERSION"
    touch "$home/.complete"
}

sync_python() {
    local stamp=$VENV/.requirements.sha256 wanted
    wanted=$(sha256sum <"$ROOT/requirements.lock")
    if [[ -x $VENV/bin/python && -e $stamp && $(<"$stamp") == "$wanted" ]]; then return; fi
    fetch_uv
    [[ -x $VENV/bin/python ]] || logged "Making .venv" "$UV" venv --quiet --python "$PYTHON" "$VENV"
    logged "Installing the Python packages of requirements.lock" \
        "$UV" pip sync --quiet --python "$VENV/bin/python" --require-hashes "$ROOT/requirements.lock"
    printf '%s\n' "$wanted" >"$stamp"
}

main() {
    check_python
    install_packages
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock"
    flock -n 9 || { say "Another installation is at work; waiting for it …"; flock 9; }
    rm -rf "$CACHE"/tmp.* # of installations that were interrupted
    sync_python
    if [[ ${OTELCOL:-} ]]; then check_named OTELCOL "$OTELCOL"; else install_collector; fi
    if [[ ${PROMETHEUS:-} ]]; then check_named PROMETHEUS "$PROMETHEUS"; else install_prometheus; fi
    if [[ ${ALERTMANAGER:-} ]]; then check_named ALERTMANAGER "$ALERTMANAGER"; else install_alertmanager; fi
    say "Everything the fleet needs is installed."
}

main "$@"
