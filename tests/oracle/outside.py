"""What the tests do to topics and tables as an outsider.

  outside.py topic-create BROKERS TOPIC PARTITIONS      outside.py table-create GATEWAY TABLE FAMILY…
  outside.py topic-send BROKERS TOPIC VALUE…            outside.py table-drop GATEWAY TABLE
  outside.py topic-read BROKERS TOPIC                   outside.py table-rows GATEWAY TABLE
  outside.py group-share BROKERS TOPIC GROUP MEMBERS VALUE…   what each of a group's members gets of values sent to all
  outside.py table-column GATEWAY TABLE COLUMN          each row's value and its time
  outside.py table-values GATEWAY TABLE COLUMN ROW…     how many values the table keeps of each row
  outside.py table-change GATEWAY TABLE FILE            puts and deletes cells, of a JSON list of [row, column, value or null];
                                                        without a column the row is deleted
"""

import json
import sys
import threading

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

import reading


def text(data):
    return None if data is None else data.decode("utf-8", "backslashreplace")


def topic_create(brokers, topic, partitions):
    KafkaAdminClient(bootstrap_servers=brokers).create_topics([NewTopic(topic, int(partitions), 1)])


def topic_send(brokers, topic, *values):
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all")
    sent = [producer.send(topic, value.encode()) for value in values]
    for future in sent:
        future.get(timeout=30)


def topic_read(brokers, topic):
    for record in reading.records(brokers, topic):
        headers = {name: text(value) for name, value in record.headers}
        seen = dict(partition=record.partition, offset=record.offset, time_ms=record.timestamp, headers=headers)
        print(json.dumps(dict(seen, key=text(record.key), value=text(record.value))))


class Member(threading.Thread):
    """A consumer of a group, on a thread of its own as joining waits for the others."""

    def __init__(self, brokers, topic, group, polled, together):
        super().__init__(daemon=True)
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=brokers,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self.polled, self.together = polled, together
        self.done, self.partitions, self.values = False, [], []

    def run(self):
        while not self.done:
            batches = self.consumer.poll(timeout_ms=100).values()
            with self.polled:
                self.values.extend(text(record.value) for batch in batches for record in batch)
                self.partitions = sorted(partition.partition for partition in self.consumer.assignment())
                self.polled.notify_all()
        self.consumer.commit()
        self.together.wait(60)  # who leaves earlier would take the group from those who still commit
        self.consumer.close()


def group_share(brokers, topic, group, count, *values):
    polled, together = threading.Condition(), threading.Barrier(int(count))
    members = [Member(brokers, topic, group, polled, together) for _ in range(int(count))]
    for member in members:
        member.start()
    partitions = reading.partitions(brokers, topic)

    def until(what, holds):
        with polled:
            if not polled.wait_for(holds, 60):
                sys.exit(f"not after a minute: {what}: {[(member.partitions, member.values) for member in members]}")

    def is_shared():
        taken = [partition for member in members for partition in member.partitions]
        return all(member.partitions for member in members) and sorted(taken) == partitions

    until("each member has partitions of its own", is_shared)
    producer = KafkaProducer(bootstrap_servers=brokers, acks="all")
    for index, value in enumerate(values):
        producer.send(topic, value.encode(), partition=partitions[index % len(partitions)]).get(timeout=30)
    until("all values are read", lambda: sum(len(member.values) for member in members) >= len(values))
    for member in members:
        member.done = True
    for member in members:
        member.join(60)
    print(json.dumps([dict(partitions=member.partitions, values=member.values) for member in members]))


def table_create(gateway, table, *families):
    # More than one version, so that a cell that was written again shows it.
    reading.connection(gateway).create_table(table, {family: dict(max_versions=3) for family in families})


def table_drop(gateway, table):
    reading.connection(gateway).delete_table(table, disable=True)


def table_rows(gateway, table):
    cells = lambda data: {text(column): text(value) for column, value in data.items()}
    print(json.dumps({text(key): cells(data) for key, data in reading.rows(gateway, table)}))


def table_column(gateway, table, column):
    rows = reading.connection(gateway).table(table).scan(columns=[column], batch_size=2000, include_timestamp=True)
    cells = ((key, data[column.encode()]) for key, data in rows)
    print(json.dumps({text(key): dict(value=text(value), time_ms=time) for key, (value, time) in cells}))


def table_values(gateway, table, column, *rows):
    kept = reading.connection(gateway).table(table)
    print(json.dumps({row: len(kept.cells(row, column, versions=3)) for row in rows}))


def table_change(gateway, table, path):
    # At the servers' own time, as somebody would by hand.
    with open(path) as file, reading.connection(gateway).table(table).batch(batch_size=500) as batch:
        for row, column, value in json.load(file):
            if column is None:
                batch.delete(row.encode())
            elif value is None:
                batch.delete(row.encode(), columns=[column.encode()])
            else:
                batch.put(row.encode(), {column.encode(): value.encode()})


VERBS = dict([(f.__name__.replace("_", "-"), f) for f in
              (topic_create, topic_send, topic_read, group_share, table_create, table_drop, table_rows, table_column, table_values,
               table_change)])

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    VERBS[sys.argv[1]](*sys.argv[2:])
