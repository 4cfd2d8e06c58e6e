# The collector, Prometheus and Alertmanager: found, fetched or built, and linked into .venv/bin; sourced by install.sh.

readonly COLLECTOR_VERSION=0.161.0
readonly PROMETHEUS_VERSION=0.316.0 PROMETHEUS_RELEASE=3.16.0 # of the Go module, and what the program calls itself
readonly PAGES_VERSION=0.315.1 # of Prometheus' web pages: not every registry has all the npm packages of 0.316's
readonly PNPM_VERSION=10.34.9
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

in_directory() { (cd "$1" && GOWORK=off CGO_ENABLED=0 GOFLAGS=$GO_FLAGS "${@:2}"); }

# --- Prometheus ---

install_prometheus() {
    local home=$CACHE/prometheus-$PROMETHEUS_VERSION work
    ! has_npm || home+=-pages-$PAGES_VERSION
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
    local source=$1/source
    need_go prometheus PROMETHEUS
    say "Prometheus is built once for this machine: about 3 minutes on 2 cores, $DISK_OF_GO, then kept in $2."
    logged "Fetching Prometheus' source" module_copy "github.com/prometheus/prometheus@v$PROMETHEUS_VERSION" "$source"
    add_pages "$source" "$2"
    STEPS=$PROMETHEUS_PACKAGES logged "Building Prometheus and promtool $PROMETHEUS_VERSION" compile_prometheus "$source" "$1"
    rm -rf "$source"
}

compile_prometheus() { # source directory
    local tags=remove_all_sd,netgo
    [[ ! -e $1/web/ui/embed.go ]] || tags+=,builtinassets
    in_directory "$1" go build -v -tags "$tags" -ldflags "-s -w -X github.com/prometheus/common/version.Version=$PROMETHEUS_RELEASE" \
        -o "$2/" ./cmd/prometheus ./cmd/promtool
}

# What the module's proxy has may not be written to, and its copy may.
module_copy() { # module@version directory
    go mod download "$1"
    cp -r "$(go env GOMODCACHE)/$1" "$2"
    chmod -R u+w "$2"
}

has_npm() { has npx && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null; }

# Prometheus' module has the source of its web pages, and npm what they are built with. Without them it answers queries just as well.
add_pages() { # source kept-as
    local pages=$1-of-pages
    if ! has_npm; then
        say "There is no Node.js 20 or newer with npm, so this Prometheus gets no web pages. With one, run this again to have them."
        return
    fi
    logged "Fetching the source of Prometheus' web pages" module_copy "github.com/prometheus/prometheus@v$PAGES_VERSION" "$pages"
    if ! (logged "Building Prometheus' web pages" "$ROOT/deploy/install/prometheus-pages.sh" "$PNPM_VERSION" "$pages" "$1"); then
        say "Prometheus is built without its web pages. To try again: rm -r $2"
    fi
    rm -rf "$pages"
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
