"""Three brokers: a topic has three replicas, and two of them must have a record."""

from kafka.admin import KafkaAdminClient

from check_kafka import TOPIC, read, send
from common import run, same


def write(address, folder):
    send(address)
    admin = KafkaAdminClient(bootstrap_servers=address.split(","))
    replicas = admin.describe_topics([TOPIC])[0]["partitions"][0]["replica_nodes"]
    same(sorted(replicas), [1, 2, 3])
    admin.close()


run(write, read)
