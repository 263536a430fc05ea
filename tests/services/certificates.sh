#!/usr/bin/env bash
# Makes certificates for tests of TLS, once for each folder. Needs openssl.
#
#   certificates.sh DIR    fills DIR and prints nothing
#
# ca.pem         the authority that signs all but the stranger
# server.*       for localhost and 127.0.0.1            client.*     CN=client, for servers that ask for one
# admin.*        CN=admin, likewise                     stranger.*   CN=client, signed by stranger-ca.pem
# expired.*      for localhost, over since 2020         wrong-name.* for elsewhere.test alone
# expired-client.* CN=client, over since 2020
#
# NAME.pem is the certificate, NAME.key its key (PKCS#8), NAME.both.pem key and certificate, NAME.p12 the two and the
# authority for Java with password `secret`. Keys are P-256: a start must not wait for RSA.
set -euo pipefail
umask 077
dir=${1:?say which folder: certificates.sh DIR}
[ ! -f "$dir/.complete" ] || exit 0
mkdir -p "$dir/work"
cd "$dir"
quietly() { "$@" >>work/openssl.log 2>&1 || { cat work/openssl.log >&2; exit 1; }; }

authority() {
  quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
    -keyout "work/$1.key" -out "$1.pem"
}

# signed NAME AUTHORITY SUBJECT USE NAMES [FROM UNTIL]: `openssl ca` alone sets both dates.
signed() {
  local name=$1 authority=$2 from=${6:-20200101000000Z} until=${7:-20491231000000Z}
  quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$3" -keyout "$name.key" \
    -out "work/$name.csr"
  {
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=work/index\nserial=work/serial\nnew_certs_dir=work\ndefault_md=sha256\n'
    printf 'policy=p\nunique_subject=no\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nbasicConstraints=CA:FALSE\n'
    printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n' "$4"
    [ -z "$5" ] || printf 'subjectAltName=%s\n' "$5"
  } >work/ca.conf
  : >work/index
  [ -f work/serial ] || openssl rand -hex 8 >work/serial
  quietly openssl ca -batch -notext -config work/ca.conf -cert "$authority.pem" -keyfile "work/$authority.key" \
    -startdate "$from" -enddate "$until" -in "work/$name.csr" -out "$name.pem"
  cat "$name.key" "$name.pem" >"$name.both.pem"
  quietly openssl pkcs12 -export -inkey "$name.key" -in "$name.pem" -certfile "$authority.pem" -name "$name" \
    -passout pass:secret -out "$name.p12"
}

authority ca
authority stranger-ca
here=DNS:localhost,IP:127.0.0.1
signed server ca localhost serverAuth,clientAuth $here
signed client ca client clientAuth ''
signed admin ca admin clientAuth ''
signed stranger stranger-ca client clientAuth ''
signed expired ca localhost serverAuth $here 20190101000000Z 20200101000000Z
signed expired-client ca client clientAuth '' 20190101000000Z 20200101000000Z
signed wrong-name ca elsewhere.test serverAuth DNS:elsewhere.test
chmod 644 ./*.pem
chmod 600 ./*.both.pem
chmod 711 .
rm -r work
touch .complete
