#!/usr/bin/env bash
# One Kafka 4.3.1 broker with TLS, SASL and ACLs from Maven Central's jars, for tests. Needs openssl.
#
#   kafka-secured.sh start DIR                starts it, waits until it is ready, prints the SASL_SSL listener's address
#   kafka-secured.sh stop|kill DIR            ends it in good order, or by kill -9; its data stays
#   kafka-secured.sh pause|resume DIR         halts it with all connections open, lets it go on
#   kafka-secured.sh status DIR               prints `running ADDRESS PID`, `paused …` or `stopped`
#   kafka-secured.sh token DIR USER [SECONDS [AUDIENCE]]   prints a token for OAUTHBEARER (300 s; `kafka`)
#   kafka-secured.sh tool DIR CLASS…          one of Kafka's own tools as admin: add --command-config DIR/admin.properties
#   kafka-secured.sh fetch                    fetches the jars alone (kafka.sh's)
#
# Listeners, each with its port in DIR/NAME.port; the certificates are in DIR/tls (certificates.sh says which):
#   sasl         SASL_SSL: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
#   sasl-plain   SASL_PLAINTEXT: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
#   mutual       SSL, client certificates required; the user is the certificate's CN
#   tls          SSL without client certificates: anonymous
#   expired      SSL with a certificate that is over          wrong-name   SSL with one for another host
# Users, the password being NAME-secret, by PLAIN and SCRAM alike: `app` may do all to topics, groups and transactions
# whose names begin with `app`; `nobody` may do nothing; `admin` all. `client` (by certificate) is as `app`, and so is the
# token's user `service`. Anonymous users may do all to what begins with `open`.
# Tokens are proven by the key in DIR/jwks.json: RS256, issuer `streamhost-tests`, audience `kafka`. KAFKA_HEAP (512m).
# SERVICE_OWNER: a process; when that ends, so does the broker.
# Memory 273 MB. The first start takes 7.5 s, one after kill -9 15.1 s, a stop 0.8 s.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
self=$here/kafka-secured.sh service=kafka dir=${2:-}
# shellcheck source=tests/services/lib.sh
. "$here/lib.sh"
# shellcheck source=tests/services/kafka-lib.sh
. "$here/kafka-lib.sh"

fetch() { jars kafka; }
address() { echo "127.0.0.1:$(cat "$dir/sasl.port")"; }

listeners=(sasl sasl-plain mutual tls expired wrong-name)
names=(SASL SASL_PLAIN MUTUAL TLS EXPIRED WRONG_NAME)
protocols=(SASL_SSL SASL_PLAINTEXT SSL SSL SSL SSL)
users=(app nobody admin)

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# The key that tokens are signed with, and its public half as brokers read it.
make_jwks() {
  local modulus
  openssl genrsa -out "$dir/token.key" 2048 2>/dev/null
  modulus=$(openssl rsa -in "$dir/token.key" -noout -modulus | sed 's/^Modulus=//; s/../\\x&/g')
  printf '{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"tests","e":"AQAB","n":"%s"}]}\n' \
    "$(printf '%b' "$modulus" | base64url)" >"$dir/jwks.json"
}

token() {
  local now head body
  now=$(date +%s)
  head=$(printf '{"alg":"RS256","typ":"JWT","kid":"tests"}' | base64url)
  body=$(printf '{"iss":"streamhost-tests","sub":"%s","aud":"%s","scope":"kafka","iat":%d,"exp":%d}' \
    "$1" "${3:-kafka}" "$now" $((now + ${2:-300})) | base64url)
  printf '%s.%s.%s\n' "$head" "$body" \
    "$(printf '%s' "$head.$body" | openssl dgst -sha256 -sign "$dir/token.key" -binary | base64url)"
}

# key_store LISTENER CERTIFICATE: what a listener shows.
key_store() {
  echo "listener.name.$1.ssl.keystore.type=PEM"
  echo "listener.name.$1.ssl.keystore.location=$dir/tls/$2.both.pem"
  echo "listener.name.$1.ssl.truststore.type=PEM"
  echo "listener.name.$1.ssl.truststore.location=$dir/tls/ca.pem"
}

# sasl LISTENER MECHANISM…: how users of a listener prove who they are.
sasl() {
  local listener=listener.name.$1 user plain=
  for user in "${users[@]}"; do plain+=" user_$user=\"$user-secret\""; done
  shift
  echo "$listener.sasl.enabled.mechanisms=$(IFS=,; echo "$*")"
  echo "$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required$plain;"
  echo "$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
  echo "$listener.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
}

security_settings() {
  local number clients='' map='' oauth=org.apache.kafka.common.security.oauthbearer
  for number in "${!listeners[@]}"; do
    clients+="${names[number]}://127.0.0.1:$(port "$dir/${listeners[number]}.port"),"
    map+="${names[number]}:${protocols[number]},"
  done
  echo "listeners=${clients}CONTROLLER://127.0.0.1:$(cat "$dir/controller.port")"
  echo "advertised.listeners=${clients%,}"
  echo "listener.security.protocol.map=${map}CONTROLLER:SSL"
  echo inter.broker.listener.name=MUTUAL
  # shellcheck disable=SC2016 # not the shell's, but what the pattern found
  echo 'ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT'
  key_store sasl server
  key_store mutual server
  key_store tls server
  key_store controller server
  key_store expired expired
  key_store wrong_name wrong-name
  echo listener.name.mutual.ssl.client.auth=required
  echo listener.name.controller.ssl.client.auth=required
  sasl sasl PLAIN SCRAM-SHA-256 SCRAM-SHA-512 OAUTHBEARER
  sasl sasl_plain PLAIN SCRAM-SHA-256 SCRAM-SHA-512
  echo "listener.name.sasl.oauthbearer.sasl.jaas.config=$oauth.OAuthBearerLoginModule required;"
  echo "listener.name.sasl.oauthbearer.sasl.server.callback.handler.class=$oauth.OAuthBearerValidatorCallbackHandler"
  echo "sasl.oauthbearer.jwks.endpoint.url=file://$dir/jwks.json"
  echo sasl.oauthbearer.expected.audience=kafka
  echo sasl.oauthbearer.expected.issuer=streamhost-tests
  echo authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
  echo 'super.users=User:admin;User:localhost' # localhost: the broker's own certificate
}

admin_settings() {
  echo security.protocol=SSL
  echo ssl.keystore.type=PEM
  echo "ssl.keystore.location=$dir/tls/admin.both.pem"
  echo ssl.truststore.type=PEM
  echo "ssl.truststore.location=$dir/tls/ca.pem"
}

begin() {
  local user scram=()
  umask 077
  "$here/certificates.sh" "$dir/tls"
  [ -f "$dir/jwks.json" ] || make_jwks
  {
    broker_settings "$dir" 1 "1@127.0.0.1:$(port "$dir/controller.port")" 1 1
    security_settings
  } >"$dir/server.properties"
  admin_settings >"$dir/admin.properties"
  for user in "${users[@]}"; do
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
      scram+=(--add-scram "$mechanism=[name=$user,password=$user-secret]")
    done
  done
  # Brokers read keys from places alone that they are told by the command line.
  java_options=("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://$dir/jwks.json")
  begin_broker "$dir" "${KAFKA_HEAP:-512m}" "${scram[@]}"
}

allow() {
  (kafka_tool org.apache.kafka.tools.AclCommand --bootstrap-server "127.0.0.1:$(cat "$dir/mutual.port")" \
    --command-config "$dir/admin.properties" --add --resource-pattern-type prefixed --operation All \
    --topic "$1" --group "$1" --transactional-id "$1" "${@:2}") >>"$dir/acl.out" 2>&1 ||
    { cat "$dir/acl.out" >&2; die "its ACLs cannot be made"; }
}

# Once they listen, what users may do is written: at the first start.
ready() {
  broker_ready "$dir" "$(cat "$dir/sasl.port")" || return 1
  [ ! -f "$dir/.allowed" ] || return 0
  allow app --allow-principal User:app --allow-principal User:client --allow-principal User:service
  allow open --allow-principal User:ANONYMOUS
  touch "$dir/.allowed"
}

case ${1:-} in
  token)
    shift 2
    token "${1:?say for whom: kafka-secured.sh token DIR USER}" "${@:2}"
    ;;
  tool)
    shift 2
    kafka_tool "$@"
    ;;
  *) verbs "$@" ;;
esac
