"""The independent oracle of the clicks in PostgreSQL: reads the topic, computes what table and dead letters must be, and compares
with what psql reads.

  clicks_postgres.py BROKERS TOPIC URL TABLE DEAD-LETTER-TOPIC

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import csv
import io
import subprocess
import sys

import clicks

COLUMNS = ["id", "student", "url", "clicked", "item", "quantity"]


def rows(url, table):
    copy = f"COPY (SELECT {', '.join(COLUMNS)} FROM \"{table}\") TO STDOUT (FORMAT csv)"
    said = subprocess.run(["psql", "-X", "-q", url, "-c", copy], check=True, capture_output=True, text=True).stdout
    return list(csv.reader(io.StringIO(said, newline="")))


def main(brokers, topic, url, table, dead_letter_topic):
    clicks.compare_rows(brokers, topic, rows(url, table), dead_letter_topic)


if __name__ == "__main__":
    main(*sys.argv[1:])
