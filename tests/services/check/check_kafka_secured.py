"""A secured broker: who is let in by which way, who is not, and what ACLs forbid."""

import logging
import subprocess
from pathlib import Path

from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.net.sasl.oauth import AbstractTokenProvider

from common import run, wrong

logging.disable()
SCRIPT = Path(__file__).parents[1] / "kafka-secured.sh"


class Token(AbstractTokenProvider):
    def __init__(self, folder, *arguments):
        self.value = subprocess.check_output([SCRIPT, "token", folder, *arguments], text=True).strip()

    def token(self):
        return self.value


def password(mechanism, user, secret=None):
    secret = secret or f"{user}-secret"
    return {"sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": secret}


def token(folder, *arguments):
    return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": Token(folder, *arguments)}


def certificate(tls, name):
    return {"ssl_certfile": str(tls / f"{name}.pem"), "ssl_keyfile": str(tls / f"{name}.key")}


def cases(folder):
    """Listener, protocol, options, topic, and whether a record goes through."""
    tls = Path(folder, "tls")
    mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    for mechanism in mechanisms:
        yield "sasl", "SASL_SSL", password(mechanism, "app"), "app-a", True
        yield "sasl", "SASL_SSL", password(mechanism, "app", "wrong"), "app-a", False
        yield "sasl-plain", "SASL_PLAINTEXT", password(mechanism, "app"), "app-a", True
    yield "sasl", "SASL_SSL", password("PLAIN", "app"), "other", False
    yield "sasl", "SASL_SSL", password("PLAIN", "nobody"), "app-a", False
    yield "sasl", "SASL_SSL", password("PLAIN", "admin"), "other", True
    yield "sasl", "SASL_SSL", token(folder, "service"), "app-a", True
    yield "sasl", "SASL_SSL", token(folder, "service", "-300"), "app-a", False
    yield "sasl", "SASL_SSL", token(folder, "service", "300", "elsewhere"), "app-a", False
    yield "mutual", "SSL", certificate(tls, "client"), "app-a", True
    yield "mutual", "SSL", certificate(tls, "client"), "other", False
    yield "mutual", "SSL", certificate(tls, "stranger"), "app-a", False
    yield "mutual", "SSL", certificate(tls, "expired-client"), "app-a", False
    yield "mutual", "SSL", {}, "app-a", False
    yield "tls", "SSL", {}, "open-a", True
    yield "tls", "SSL", {}, "app-a", False
    yield "expired", "SSL", {}, "open-a", False
    yield "wrong-name", "SSL", {}, "open-a", False


def send(folder, listener, protocol, options, topic):
    port = Path(folder, f"{listener}.port").read_text().strip()
    secured = {"security_protocol": protocol, "ssl_cafile": str(Path(folder, "tls/ca.pem")), **options}
    settings = {"max_block_ms": 4000, "api_version": (3, 9), "bootstrap_timeout_ms": 4000, **secured}
    producer = KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", **settings)
    try:
        producer.send(topic, b"value").get(timeout=5)
    finally:
        producer.close(timeout=0)


def write(address, folder):
    for listener, protocol, options, topic, wanted in cases(folder):
        try:
            send(folder, listener, protocol, options, topic)
            found, error = True, None
        except KafkaError as refusal:
            found, error = False, refusal
        if found != wanted:
            wrong(f"{listener} {options} to {topic}: {error or 'not refused'}")


def read(address, folder):
    send(folder, "sasl", "SASL_SSL", password("SCRAM-SHA-512", "app"), "app-a")


run(write, read)
