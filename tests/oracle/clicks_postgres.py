"""The independent oracle of the clicks in PostgreSQL: reads the topic, computes what table and dead letters must be, and compares
with what psql reads.

  clicks_postgres.py BROKERS TOPIC URL TABLE DEAD-LETTER-TOPIC

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import csv
import io
import json
import subprocess
import sys

import clicks

COLUMNS = ["id", "student", "url", "clicked", "item", "quantity"]


def rows(url, table):
    copy = f"COPY (SELECT {', '.join(COLUMNS)} FROM \"{table}\") TO STDOUT (FORMAT csv)"
    said = subprocess.run(["psql", "-X", "-q", url, "-c", copy], check=True, capture_output=True, text=True).stdout
    return list(csv.reader(io.StringIO(said, newline="")))


def main(brokers, topic, url, table, dead_letter_topic):
    wanted, refused, counts = clicks.expected(brokers, topic)
    wanted = {key.decode(): [cells[column].decode() for column in clicks.COLUMNS] for key, cells in wanted.items()}
    found, differences = {}, []
    for key, *cells in rows(url, table):
        if key in found:
            differences.append(f"row {key} is there twice")
        found[key] = cells
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            differences.append(f"row {key}: must be {wanted.get(key)}, is {found.get(key)}")
    differences += clicks.letter_differences(refused, topic, brokers, dead_letter_topic, counts)
    print(json.dumps(counts))
    for difference in differences[: clicks.DIFFERENCES_SHOWN]:
        print(difference, file=sys.stderr)
    sys.exit(bool(differences))


if __name__ == "__main__":
    main(*sys.argv[1:])
