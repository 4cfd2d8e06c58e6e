#!/usr/bin/env bash
# Installs what the fleet needs and nothing else: system packages, the Python environment, the collector, Prometheus and Alertmanager.
# It starts nothing.
#
# Running it again is quick and changes nothing that is already there. Settings, all optional:
#   OTELCOL=/path      use this collector (for example the official contrib distribution) instead of building one
#   PROMETHEUS=/path   use this Prometheus instead of building one
#   ALERTMANAGER=/path use this Alertmanager instead of Debian's, or of building one where there is no apt
#   PYTHON=python3.12  the Python to make .venv from
#   XDG_CACHE_HOME     where builds are kept (default ~/.cache), in fleet-telemetry/
#
# `install.sh tests` also installs what only the tests need.
set -euo pipefail

readonly PURPOSE=${1:-fleet}

readonly COLLECTOR_VERSION=0.161.0
readonly PROMETHEUS_VERSION=0.316.0 # the Go module's number; the program calls itself 3.16
readonly ALERTMANAGER_VERSION=0.31.1 # the last whose Go module has its web pages; newer ones cannot be built from it
readonly UV_VERSION=0.13.9

readonly ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/fleet-telemetry
readonly PACKAGES=$ROOT/deploy/system-packages.txt
readonly COLLECTOR=$ROOT/collector
readonly VENV=$ROOT/.venv
PYTHON=${PYTHON:-python3}

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

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

# --- builds ------------------------------------------------------------------------------------------------------------------------

# Runs a command with its output in a log, says every half minute that it is still at work, shows the log's end if it fails.
logged() {
    local title=$1 log started=$SECONDS status=0 pid
    shift
    log=$(mktemp)
    say "$title …"
    "$@" >"$log" 2>&1 9>&- &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= 30 * ${beats:-1})); then
            beats=$((${beats:-1} + 1))
            say "  still at work after $((SECONDS - started)) s"
        fi
    done
    beats=1
    wait $pid || status=$?
    if ((status)); then
        tail -n 15 "$log" >&2
        fail "$title failed; the whole output is in $log."
    fi
    rm -f "$log"
}

need_go() {
    has go || fail "There is no go, which builds $1. Install Go 1.26 or newer, or name a program that you have: $2=/path/to/$1."
}

go_install() { # directory packages...
    local directory=$1
    shift
    GOBIN=$directory CGO_ENABLED=0 GOFLAGS=-buildvcs=false go install "$@"
}

# The folder appears under its name only when it is complete, so that an interrupted build leaves nothing half-made behind.
keep() { # work-directory final-directory
    rm -rf "$2"
    mv "$1" "$2"
}

# Everything the collector is made of, so that a change of it is built anew; its tests and tools are not in it.
collector_sources() {
    find "$COLLECTOR" -name '*.go' ! -name '*_test.go' ! -path '*/cmd/*' ! -path '*/storagetest/*' \
        -o -name go.mod -o -name go.sum -o -name builder.yaml
}

build_collector() {
    local key home work
    key=$(cd "$COLLECTOR" && collector_sources | sort | xargs cat | sha256sum)
    home=$CACHE/otelcol-$COLLECTOR_VERSION-${key:0:12}
    if [[ ! -x $home/otelcol ]]; then
        need_go otelcol OTELCOL
        say "The collector is built once for this machine: about 3 minutes on 2 cores, then kept in $home."
        work=$(mktemp -d "$CACHE/tmp.XXXXXX")
        cp -r "$COLLECTOR" "$work/collector"
        logged "Building the collector's builder $COLLECTOR_VERSION" \
            go_install "$work" "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION"
        logged "Building the collector $COLLECTOR_VERSION" in_directory "$work/collector" ../builder --config=builder.yaml
        mkdir "$work/keep"
        mv "$work/collector/build/otelcol" "$work/keep/"
        keep "$work/keep" "$home"
        rm -rf "$work"
    fi
    ln -sfn "$home/otelcol" "$VENV/bin/otelcol"
}

in_directory() { (cd "$1" && CGO_ENABLED=0 GOFLAGS=-buildvcs=false "${@:2}"); }

build_prometheus() {
    local home=$CACHE/prometheus-$PROMETHEUS_VERSION work
    local module=github.com/prometheus/prometheus/cmd
    if [[ ! -x $home/prometheus || ! -x $home/promtool ]]; then
        need_go prometheus PROMETHEUS
        say "Prometheus is built once for this machine: about 2 minutes on 2 cores, then kept in $home."
        work=$(mktemp -d "$CACHE/tmp.XXXXXX")
        logged "Building Prometheus and promtool $PROMETHEUS_VERSION" go_install "$work" -tags remove_all_sd,netgo \
            "$module/prometheus@v$PROMETHEUS_VERSION" "$module/promtool@v$PROMETHEUS_VERSION"
        keep "$work" "$home"
    fi
    ln -sfn "$home/prometheus" "$VENV/bin/prometheus"
    ln -sfn "$home/promtool" "$VENV/bin/promtool"
}

# Any that is there will do, and Debian's is there within seconds; building one takes minutes.
install_alertmanager() {
    local name home=$CACHE/alertmanager-$ALERTMANAGER_VERSION
    for name in alertmanager prometheus-alertmanager; do
        if has "$name"; then
            ln -sfn "$(PATH=$PATH:/usr/sbin:/sbin command -v "$name")" "$VENV/bin/alertmanager"
            return
        fi
    done
    build_alertmanager "$home"
    ln -sfn "$home/alertmanager" "$VENV/bin/alertmanager"
}

build_alertmanager() { # directory
    local work
    [[ -x $1/alertmanager ]] && return
    need_go alertmanager ALERTMANAGER
    say "Alertmanager is built once for this machine: about 2 minutes on 2 cores, then kept in $1."
    work=$(mktemp -d "$CACHE/tmp.XXXXXX")
    logged "Building Alertmanager $ALERTMANAGER_VERSION" go_install "$work" -tags netgo \
        "github.com/prometheus/alertmanager/cmd/alertmanager@v$ALERTMANAGER_VERSION"
    keep "$work" "$1"
}

# Says so at once when the program that the user named cannot be used.
check_named() { # setting path
    [[ -x $2 ]] || fail "$1=$2 is not a program that can be run. Name one that can, or leave $1 out to have it built."
}

main() {
    check_python
    install_packages
    mkdir -p "$CACHE"
    exec 9>"$CACHE/.lock"
    flock -n 9 || { say "Another installation is at work; waiting for it …"; flock 9; }
    sync_python
    if [[ ${OTELCOL:-} ]]; then check_named OTELCOL "$OTELCOL"; else build_collector; fi
    if [[ ${PROMETHEUS:-} ]]; then check_named PROMETHEUS "$PROMETHEUS"; else build_prometheus; fi
    if [[ ${ALERTMANAGER:-} ]]; then check_named ALERTMANAGER "$ALERTMANAGER"; else install_alertmanager; fi
    say "Everything the fleet needs is installed."
}

main "$@"
