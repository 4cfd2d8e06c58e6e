#!/usr/bin/env bash
# Builds Prometheus' web pages from the source of one release and puts them into the source of another, for the build tag `builtinassets`.
#
#   prometheus-pages.sh PNPM_VERSION SOURCE_OF_PAGES SOURCE_OF_PROMETHEUS
set -euo pipefail

readonly PNPM_VERSION=$1 PAGES=$2/web/ui UI=$3/web/ui
export CI=true # no questions

# build_ui.sh calls it by its name.
pnpm() { npx --yes "pnpm@$PNPM_VERSION" --config.store-dir="$PAGES/.store" "$@"; }
export -f pnpm
export PNPM_VERSION PAGES

cd "$PAGES"
pnpm install --frozen-lockfile
bash build_ui.sh --mantine-ui

mv static "$UI/static"
cd "$UI"
find static -type f -exec gzip -n {} +
{
    cat embed.go.tmpl
    find static -type f -printf '//go:embed %p\n' | sort
    printf 'var EmbedFS embed.FS\n'
} >embed.go
