#!/bin/sh
# What a secure fleet needs, in a new folder `secrets` of the directory where it is run: one folder for each who reads it, so that nobody has
# more than that. ca.key stays above them; it signs what is renewed, and nothing reads it.
set -eu

here=$(dirname "$(readlink -f "$0")")
umask 077
"$here/certificates.sh"
cd secrets
mkdir collector sender reader
cp ca.crt collector.crt collector.key tokens scrape-tokens collector
cp ca.crt sender.crt sender.key token sender
cp ca.crt sender.crt sender.key scrape-token reader
# NGINX takes the token from its configuration alone.
printf 'proxy_set_header Authorization "Bearer %s";\n' "$(cat scrape-token)" > reader/authorization.conf
rm -- *.csr collector.crt collector.key sender.crt sender.key token tokens scrape-token scrape-tokens
