#!/bin/sh
# Makes up the secrets that compose.yaml asks for, in deploy/.env, which `docker compose` reads. What is there already stays.
set -eu
umask 077

file=$(dirname "$0")/../.env
for name in POSTGRES_PASSWORD REDIS_PASSWORD ADMIN_TOKEN FLOWER_PASSWORD GRAFANA_PASSWORD SIMULATED_LLM_API_KEY; do
    grep -q "^$name=" "$file" 2>/dev/null && continue
    # 24 bytes are 32 letters, none of which means anything in an address.
    printf '%s=%s\n' "$name" "$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')" >>"$file"
done
