#!/bin/sh
# Makes an authority, certificates and tokens in a new folder `secrets` of the directory where it is run; docs/security.md shows what is below.
set -eu

umask 077
mkdir secrets
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=fleet authority" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout secrets/ca.key -out secrets/ca.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=otel-collector" \
    -addext "subjectAltName=${COLLECTOR_NAMES:-DNS:otel-collector,DNS:localhost,IP:127.0.0.1}" -keyout secrets/collector.key -out secrets/collector.csr
openssl x509 -req -in secrets/collector.csr -CA secrets/ca.crt -CAkey secrets/ca.key -days 90 -copy_extensions copyall \
    -out secrets/collector.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=sender" \
    -addext "extendedKeyUsage=clientAuth" -keyout secrets/sender.key -out secrets/sender.csr
openssl x509 -req -in secrets/sender.csr -CA secrets/ca.crt -CAkey secrets/ca.key -days 90 -copy_extensions copyall \
    -out secrets/sender.crt
openssl rand -hex 24 > secrets/token
openssl rand -hex 24 > secrets/scrape-token
echo "$(cat secrets/token) ${ENVIRONMENT:-prod}" > secrets/tokens
cp secrets/scrape-token secrets/scrape-tokens
