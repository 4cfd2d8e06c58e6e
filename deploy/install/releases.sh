# Official releases of programs, fetched where they can be; sourced by install.sh. Whatever goes wrong here, the program is built instead.

readonly RELEASES=${RELEASES:-$ROOT/deploy/install/releases.txt}
readonly SECONDS_TO_CONNECT=3
readonly LEAST_BYTES_PER_SECOND=200000 # slower than that for five seconds, and building is not much slower

platform() {
    case $(uname -m) in
    x86_64) printf '%s-amd64' "$(uname -s | tr '[:upper:]' '[:lower:]')" ;;
    aarch64 | arm64) printf '%s-arm64' "$(uname -s | tr '[:upper:]' '[:lower:]')" ;;
    esac
}

# Puts the programs of a release into a directory; fails without a word where there is no release for this machine, or no way to it.
fetch_release() { # program directory files...
    local program=$1 directory=$2 name version where sum address archive
    shift 2
    command -v curl >/dev/null || return 1
    while read -r name version where sum address; do
        [[ $name == "$program" && $where == "$(platform)" ]] || continue
        archive=$(mktemp)
        say "Fetching $program $version …"
        if ! curl --fail --location --silent --connect-timeout "$SECONDS_TO_CONNECT" --speed-time 5 \
            --speed-limit "$LEAST_BYTES_PER_SECOND" --output "$archive" "$address"; then
            say "  it cannot be fetched from here; it is built instead."
        elif [[ $(sha256sum <"$archive") != "$sum "* ]]; then
            say "  what came from $address is not what deploy/install/releases.txt expects, so it is not used; the program is built instead."
        elif unpack "$archive" "$directory" "$@"; then
            rm -f "$archive"
            return 0
        fi
        rm -f "$archive"
        return 1
    done <"$RELEASES"
    return 1
}

unpack() { # archive directory files...
    local archive=$1 directory=$2 file
    shift 2
    for file in "$@"; do
        tar -xzf "$archive" -C "$directory" --strip-components=1 --no-same-owner --wildcards "*/$file" || return 1
        [[ -x $directory/$file ]] || return 1
    done
}
