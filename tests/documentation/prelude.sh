# What the blocks of the documentation run with: a terminal's job control, and an end at the first command that fails.
set -eEmo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
exec </dev/null

pip() { python "$DOCUMENTATION_TESTS/stand_in_pip.py" "$@"; }

# Runs block $1 again and again, until it prints what the page shows under it.
shown() {
    local block=$1 end=$((SECONDS + DOCUMENTATION_PATIENCE))
    until (set +e; trap - ERR; source "$block.sh") >"$block.printed" 2>&1; python "$DOCUMENTATION_TESTS/shown.py" "$block.expected" "$block.printed"; do
        if ((SECONDS >= end)); then
            echo "The page shows:" >&2; cat "$block.expected" >&2
            echo "What was printed after $DOCUMENTATION_PATIENCE s:" >&2; cat "$block.printed" >&2
            exit 1
        fi
        sleep 0.2
    done
}

# Runs command $2, which serves, until address $1 answers; then ends it.
serves() {
    eval "$2" >served.log 2>&1 &
    local server=$! end=$((SECONDS + DOCUMENTATION_PATIENCE))
    until curl -s -o answered "$1"; do
        if ((SECONDS >= end)) || ! kill -0 $server 2>/dev/null; then
            echo "There was no answer at $1:" >&2; cat served.log >&2
            exit 1
        fi
        sleep 0.2
    done
    kill -TERM -- -$server
    wait $server || true
}
