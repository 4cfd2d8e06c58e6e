#!/bin/sh
# Runs a command as its only child and passes signals on. When it has ended, however it did, what its processes counted and did not
# deliver is delivered; then this ends with the command's status. LAST_WORDS_SECONDS bounds that, 10 by default.
#
# Usage: last-words.sh COMMAND [ARGUMENT…]
set -u

"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
trap 'kill -QUIT "$child" 2>/dev/null' QUIT

# A signal ends `wait`, not the command.
while :; do
    wait "$child"
    status=$?
    kill -0 "$child" 2>/dev/null || break
done
# A second signal does not interrupt the last words.
trap '' TERM INT QUIT

case ${OTEL_METRICS_EXPORTER:-otlp} in
*otlp*) python -m telemetry deliver --timeout "${LAST_WORDS_SECONDS:-10}" || true ;;
esac
exit "$status"
