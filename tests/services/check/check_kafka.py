"""Kafka: a topic, written and read past its reading and through the second listener's port where nobody listens."""

from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from common import ROWS, run, same, wrong

TOPIC = "checked"


def write(address, folder):
    send(address)
    behind = Path(folder, "behind.port")
    if not behind.exists():
        return
    # The second listener sends its clients to a fault proxy, and there is none.
    try:
        send(f"127.0.0.1:{behind.read_text().strip()}")
    except KafkaError:
        return
    wrong("the second listener is not advertised at the fault proxy's port")


def send(address):
    producer = KafkaProducer(bootstrap_servers=address.split(","), acks="all", max_block_ms=5000)
    for number, word in ROWS:
        producer.send(TOPIC, key=str(number).encode(), value=word.encode(), partition=0).get(timeout=20)
    producer.close()


def read(address, folder):
    consumer = KafkaConsumer(bootstrap_servers=address.split(","), consumer_timeout_ms=20000)
    partition = TopicPartition(TOPIC, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    rows = []
    for record in consumer:
        rows.append((int(record.key), record.value.decode()))
        if len(rows) == len(ROWS):
            break
    consumer.close()
    same(rows)


if __name__ == "__main__":
    run(write, read)
