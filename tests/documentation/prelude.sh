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

# Starts command $2, which serves, and waits until address $1 answers; its process is $started.
starts() {
    eval "$2" >served.log 2>&1 &
    local end=$((SECONDS + DOCUMENTATION_PATIENCE))
    started=$!
    until curl -s -o answered "$1"; do
        if ((SECONDS >= end)) || ! kill -0 $started 2>/dev/null; then
            echo "There was no answer at $1:" >&2; cat served.log >&2
            exit 1
        fi
        sleep 0.2
    done
}

# The same, then ends it.
serves() {
    starts "$1" "$2"
    kill -TERM -- -$started
    wait $started || true
}

# Folder $1 is an empty one for what follows; nothing else of this machine sees that.
instead_of() { mount -t tmpfs tmpfs "$1"; }

# Further names lead to this machine.
known_as() {
    { cat /etc/hosts; printf '127.0.0.1 %s\n' "$@"; } >hosts
    mount --bind hosts /etc/hosts
}

# A collector and a Prometheus that scrapes it, as the README has them.
monitored() {
    fleet-telemetry files monitoring/ >/dev/null
    echo 'alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:9093"]}]}]}' >>monitoring/grafana/prometheus-scrape-config.yml
    starts http://127.0.0.1:13133/ "fleet-telemetry collector --state-directory collector-state"
    starts http://127.0.0.1:9090/-/ready "prometheus --config.file=monitoring/grafana/prometheus-scrape-config.yml --storage.tsdb.path=prometheus \
        --web.listen-address=127.0.0.1:9090 --enable-feature=created-timestamp-zero-ingestion"
}

# The same, with a service own:app that has the two lines; it returns when Prometheus has what that counts.
served_and_monitored() {
    monitored
    printf '%s\n' 'import fastapi, telemetry' 'telemetry.configure()' 'app = fastapi.FastAPI()' 'telemetry.instrument(app)' >own.py
    export OTEL_SERVICE_NAME=my-api OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
    OTEL_METRIC_EXPORT_INTERVAL=500 starts http://127.0.0.1:8000/ "uvicorn own:app"
    local end=$((SECONDS + DOCUMENTATION_PATIENCE))
    until curl -s "http://127.0.0.1:9090/api/v1/query?query=http_requests_total" | grep -q value && curl -s "http://127.0.0.1:9090/api/v1/query?query=http_requests_in_progress" | grep -q value; do
        ((SECONDS < end))
        sleep 0.2
    done
}
