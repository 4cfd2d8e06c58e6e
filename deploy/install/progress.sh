# How install.sh says what it does, how far it is and what went wrong; sourced by it.

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Runs a command with its output in a log, and shows the log's end if it fails. Every quarter of a minute it says how long it has been at
# it, and how far it is where that can be known: STEPS=n says how many lines of output there will be in all.
logged() { # title command...
    local title=$1 log started=$SECONDS status=0 pid told=0
    shift
    log=$(mktemp)
    say "$title …"
    "$@" >"$log" 2>&1 9>&- &
    pid=$!
    # What runs in the background of a script is not told when the script is interrupted.
    trap 'kill '$pid' 2>/dev/null; say "Interrupted: run it again to go on."; exit 130' INT TERM
    while kill -0 $pid 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - started >= told + 15)); then
            told=$((SECONDS - started))
            say "  $(after $told)$(so_far "$log" "${STEPS:-0}")"
        fi
    done
    wait $pid || status=$?
    trap - INT TERM
    if ((status)); then
        tail -n 15 "$log" >&2
        fail "$title failed; the whole output is in $log."
    fi
    rm -f "$log"
}

after() { # seconds
    if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

so_far() { # log steps
    local done
    (($2)) || return 0
    done=$(grep -cv '^go: ' "$1" || true)
    if ((done == 0)); then printf ': fetching'; else printf ': %d %%' $((done < $2 ? 100 * done / $2 : 99)); fi
}
