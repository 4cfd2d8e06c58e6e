# The collector, Prometheus and Alertmanager: found, fetched or built, and linked into .venv/bin; sourced by install.sh.

readonly COLLECTOR_VERSION=0.161.0
readonly PROMETHEUS_VERSION=0.316.0 # the Go module's number; the program calls itself 3.16
readonly ALERTMANAGER_VERSION=0.31.1 # the last whose Go module has its web pages; newer ones cannot be built from it
readonly COLLECTOR=$ROOT/collector

# Packages that a build compiles, by which progress is told: what `go install -v` prints in all.
readonly BUILDER_PACKAGES=228 COLLECTOR_PACKAGES=1290 PROMETHEUS_PACKAGES=1083 ALERTMANAGER_PACKAGES=725

# The same for all of them: what two programs have in common is then compiled once.
readonly GO_FLAGS='-buildvcs=false -trimpath'

readonly DISK_OF_GO='up to 4 GB of disk in the caches of Go for both programs'

need_go() {
    has go || fail "There is no go, which builds $1. Install Go 1.26 or newer, or name a program that you have: $2=/path/to/$1."
}

go_install() { # directory packages...
    local directory=$1
    shift
    GOBIN=$directory CGO_ENABLED=0 GOFLAGS=$GO_FLAGS go install -v "$@"
}

# The folder appears under its name only when it is complete, so that an interrupted build leaves nothing half-made behind.
keep() { # work-directory final-directory
    rm -rf "$2"
    mv "$1" "$2"
}

work_directory() { mktemp -d "$CACHE/tmp.XXXXXX"; }

# Where a program is that is not one of .venv's links.
on_path() { # name
    PATH=$(without_venv):/usr/sbin:/sbin command -v "$1"
}

without_venv() { tr ':' '\n' <<<"$PATH" | grep -vxF "$VENV/bin" | paste -sd:; }

link() { # directory names...
    local directory=$1 name
    shift
    for name in "$@"; do ln -sfn "$directory/$name" "$VENV/bin/$name"; done
}

# Says so at once when the program that the user named cannot be used.
check_named() { # setting path
    [[ -x $2 ]] || fail "$1=$2 is not a program that can be run. Name one that can, or leave $1 out to have it installed."
}

# --- the collector ---

# Everything the collector is made of, so that a change of it is built anew; its tests and tools are not in it.
collector_sources() {
    find "$COLLECTOR" -name '*.go' ! -name '*_test.go' ! -path '*/cmd/*' ! -path '*/storagetest/*' ! -path '*/otelcol/*' \
        -o -name go.mod -o -name go.sum -o -name builder.yaml
}

# Always this checkout's: another one may keep totals in another way.
install_collector() {
    local key home
    key=$(cd "$COLLECTOR" && collector_sources | sort | xargs cat | sha256sum)
    home=$CACHE/otelcol-$COLLECTOR_VERSION-${key:0:12}
    [[ -x $home/otelcol ]] || build_collector "$home"
    link "$home" otelcol
}

build_collector() { # directory
    local work
    need_go otelcol OTELCOL
    say "The collector is built once for this machine: about 3 minutes on 2 cores, $DISK_OF_GO, then kept in $1."
    work=$(work_directory)
    cp -r "$COLLECTOR" "$work/collector"
    STEPS=$BUILDER_PACKAGES logged "Building the collector's builder $COLLECTOR_VERSION" \
        go_install "$work" "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION"
    # Its modules are those of the lock beside it; the builder would resolve them anew, and fetch ten times as many.
    logged "Writing the collector's main package" \
        in_directory "$work/collector" ../builder --config=builder.yaml --skip-compilation --skip-get-modules
    mkdir "$work/keep"
    STEPS=$COLLECTOR_PACKAGES logged "Building the collector $COLLECTOR_VERSION" \
        in_directory "$work/collector/otelcol" go build -v -ldflags="-s -w" -o "$work/keep/otelcol" .
    keep "$work/keep" "$1"
    rm -rf "$work"
}

in_directory() { (cd "$1" && CGO_ENABLED=0 GOFLAGS=$GO_FLAGS "${@:2}"); }

# --- Prometheus ---

install_prometheus() {
    local home=$CACHE/prometheus-$PROMETHEUS_VERSION work
    if prometheus_on_path; then
        link "$(dirname "$(on_path prometheus)")" prometheus promtool
        return
    fi
    if [[ ! -x $home/prometheus || ! -x $home/promtool ]]; then
        work=$(work_directory)
        fetch_release prometheus "$work" prometheus promtool || build_prometheus "$work" "$home"
        keep "$work" "$home"
    fi
    link "$home" prometheus promtool
}

# Queries of the dashboards need 3.16; Debian's 2.42 is for looking.
prometheus_on_path() {
    local found
    found=$(on_path prometheus) && [[ -x $(dirname "$found")/promtool ]] || return 1
    "$found" --version 2>/dev/null | grep -Eq 'version (3\.(1[6-9]|[2-9][0-9])|[4-9]|[1-9][0-9])'
}

build_prometheus() { # directory kept-as
    local module=github.com/prometheus/prometheus/cmd
    need_go prometheus PROMETHEUS
    say "Prometheus is built once for this machine: about 2 minutes on 2 cores, $DISK_OF_GO, then kept in $2."
    STEPS=$PROMETHEUS_PACKAGES logged "Building Prometheus and promtool $PROMETHEUS_VERSION" \
        go_install "$1" -tags remove_all_sd,netgo \
        "$module/prometheus@v$PROMETHEUS_VERSION" "$module/promtool@v$PROMETHEUS_VERSION"
}

# --- Alertmanager ---

# Any that is there will do, and Debian's is there within seconds; building one takes minutes.
install_alertmanager() {
    local name found home=$CACHE/alertmanager-$ALERTMANAGER_VERSION work
    for name in alertmanager prometheus-alertmanager; do
        if found=$(on_path "$name"); then
            ln -sfn "$found" "$VENV/bin/alertmanager"
            return
        fi
    done
    if [[ ! -x $home/alertmanager ]]; then
        work=$(work_directory)
        fetch_release alertmanager "$work" alertmanager || build_alertmanager "$work" "$home"
        keep "$work" "$home"
    fi
    link "$home" alertmanager
}

build_alertmanager() { # directory kept-as
    need_go alertmanager ALERTMANAGER
    say "Alertmanager is built once for this machine: about 2 minutes on 2 cores, then kept in $2."
    STEPS=$ALERTMANAGER_PACKAGES logged "Building Alertmanager $ALERTMANAGER_VERSION" go_install "$1" -tags netgo \
        "github.com/prometheus/alertmanager/cmd/alertmanager@v$ALERTMANAGER_VERSION"
}
