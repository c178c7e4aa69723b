#!/bin/sh
# certificates.sh NAME KEYS TRUST: creates a certificate for the server NAME with its key in the folder KEYS, and the CA
# that signed it in TRUST. A valid certificate stays; remove both folders for a new one.
set -eu
umask 077
name=$1 keys=$2 trust=$3

if openssl verify -CAfile "$trust/ca.pem" -verify_hostname "$name" "$keys/server.pem" >/dev/null 2>&1; then
    echo "the certificate of $name exists"
    exit 0
fi

# This folder, with the key of the CA, is deleted at the end: the CA can sign no second certificate.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for key in ca server; do
    openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/$key.key"
done
openssl req -x509 -key "$work/ca.key" -days 3650 -subj "/CN=CA of $name" -addext "keyUsage=critical,keyCertSign" \
    -out "$work/ca.pem"
printf '%s\n' "subjectAltName=DNS:$name" "basicConstraints=critical,CA:FALSE" "extendedKeyUsage=serverAuth" \
    "keyUsage=critical,digitalSignature,keyEncipherment" >"$work/extensions"
openssl req -new -key "$work/server.key" -subj "/CN=$name" |
    openssl x509 -req -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 3650 -extfile "$work/extensions" \
        -out "$work/server.pem"

chmod 444 "$work/ca.pem" "$work/server.pem"
mv -f "$work/server.key" "$work/server.pem" "$keys"
mv -f "$work/ca.pem" "$trust"
echo "created the certificate of $name"
