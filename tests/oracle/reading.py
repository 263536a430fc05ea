"""Topics and tables through kafka-python and happybase: clients that share no code with streamhost."""

import sys
import time

import happybase
from kafka import KafkaConsumer, TopicPartition

# A partition of which nothing can be read for so long has a broker that is away, or a batch that cannot be read.
SILENT_SECONDS_MAX = 60


def records(brokers, topic):
    """All records of a topic that are there now, partition by partition in offset order."""
    consumer = KafkaConsumer(
        bootstrap_servers=brokers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=1000,
    )
    try:
        partitions = [TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or [])]
        ends = consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            # By position, as the marks of transactions take offsets without being records.
            position, moved = consumer.position(partition), time.monotonic()
            while position < ends[partition]:
                for batch in consumer.poll(timeout_ms=1000, max_records=5000).values():
                    yield from (record for record in batch if record.offset < ends[partition])
                before, position = position, consumer.position(partition)
                if position > before:
                    moved = time.monotonic()
                elif time.monotonic() - moved > SILENT_SECONDS_MAX:
                    end = ends[partition]
                    sys.exit(f"{partition}: read to {position} of {end}, and no further for {SILENT_SECONDS_MAX} s")
    finally:
        consumer.close()


def partitions(brokers, topic):
    """The topic's partitions."""
    consumer = KafkaConsumer(bootstrap_servers=brokers, enable_auto_commit=False)
    try:
        return sorted(consumer.partitions_for_topic(topic) or [])
    finally:
        consumer.close()


def connection(gateway):
    """A connection to HBase's Thrift gateway."""
    host, port = gateway.rsplit(":", 1)
    return happybase.Connection(host, int(port), timeout=60_000)


def rows(gateway, table):
    """The table's rows: pairs of key and cells."""
    return connection(gateway).table(table).scan(batch_size=2000)
