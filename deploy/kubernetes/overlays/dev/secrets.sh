#!/usr/bin/env bash
# Makes up what has no default, in private files beside this one, which are never committed. What is there already stays.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
[[ ! -e secrets.env ]] || exit 0

word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

postgres=$(word) vendor=$(word)
printf 'FLOWER_BASIC_AUTH=admin:%s\n' "$(word)" >flower.env
printf '%s\n' "POSTGRES_PASSWORD=$postgres" "SIMULATED_LLM_API_KEY=$vendor" >stores.env
printf '%s\n' \
    "DATABASE_URL=postgresql://chat:$postgres@postgres:5432/chat" \
    REDIS_URL=redis://redis:6379/0 \
    CELERY_BROKER_URL=redis://redis:6379/1 \
    CELERY_RESULT_BACKEND=redis://redis:6379/2 \
    "ADMIN_TOKEN=$(word)" \
    "OPENAI_API_KEY=$vendor" >secrets.env
