"""The independent oracle of the clicks job: reads the topic, computes what table and dead letters must be, and compares.

  clicks.py BROKERS TOPIC GATEWAY TABLE DEAD-LETTER-TOPIC

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import json
import re
import sys

import reading

COLUMNS = [b"clickinfo:studentid", b"clickinfo:url", b"clickinfo:time", b"iteminfo:itemtype", b"iteminfo:quantity"]
QUANTITY_MAX = 2**64 - 1
DIFFERENCES_SHOWN = 10
HEADERS = {"job", "version", "stage", "topic", "partition", "offset", "reason"}


def click(value):
    """The row that a record's value makes: (key, cells); None if it is to be filtered; ValueError if it is refused."""
    fields = (value or b"").decode("utf-8").split(",")
    if len(fields) != 6 or not fields[0]:
        raise ValueError("not six fields with a key")
    if not re.fullmatch("[0-9]+", fields[5]) or int(fields[5]) > QUANTITY_MAX:
        raise ValueError("no quantity")
    if int(fields[5]) == 0:
        return None
    values = fields[1:5] + [str(int(fields[5]))]
    return fields[0].encode(), dict(zip(COLUMNS, (value.encode() for value in values)))


def expected(brokers, topic):
    """What must come of the topic: its table, its refused records by place, and the counts."""
    table, refused, counts = {}, {}, dict(records=0, rows=0, dropped=0)
    for record in reading.records(brokers, topic):
        counts["records"] += 1
        try:
            row = click(record.value)
        except ValueError:
            refused[(record.partition, record.offset)] = (record.key, record.value)
            continue
        counts["dropped" if row is None else "rows"] += 1
        if row is not None:
            table[row[0]] = row[1]  # a row's changes are in one partition: the last one stays
    return table, refused, dict(counts, dead_letters=len(refused))


def table_differences(wanted, gateway, table):
    found = {}
    for key, cells in reading.rows(gateway, table):
        found[key] = cells
    for key in wanted.keys() | found.keys():
        if wanted.get(key) != found.get(key):
            yield f"row {key}: must be {wanted.get(key)}, is {found.get(key)}"


def letter_differences(refused, topic, brokers, dead_letter_topic, counts):
    seen = {}
    for letter in reading.records(brokers, dead_letter_topic):
        headers = {name: value.decode() for name, value in letter.headers}
        if not HEADERS <= headers.keys() or not headers["reason"] or headers["topic"] != topic:
            yield f"letter {letter.offset}: headers must be {sorted(HEADERS)}, are {headers}"
            continue
        place = (int(headers["partition"]), int(headers["offset"]))
        seen[place] = seen.get(place, 0) + 1
        if refused.get(place) != (letter.key, letter.value):
            yield f"letter for {place}: record is {refused.get(place)}, letter holds {(letter.key, letter.value)}"
    for place in refused.keys() - seen.keys():
        yield f"no letter for {place}: {refused[place]}"
    counts["dead_letters_doubled"] = sum(seen.values()) - len(seen)


def compare_rows(brokers, topic, rows, dead_letter_topic):
    """Compares the rows of a database's table, each a list of texts with its key first, and ends the process."""
    wanted, refused, counts = expected(brokers, topic)
    wanted = {key.decode(): [cells[column].decode() for column in COLUMNS] for key, cells in wanted.items()}
    found, differences = {}, []
    for key, *cells in rows:
        if key in found:
            differences.append(f"row {key} is there twice")
        found[key] = cells
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            differences.append(f"row {key}: must be {wanted.get(key)}, is {found.get(key)}")
    differences += letter_differences(refused, topic, brokers, dead_letter_topic, counts)
    print(json.dumps(counts))
    for difference in differences[: DIFFERENCES_SHOWN]:
        print(difference, file=sys.stderr)
    sys.exit(bool(differences))


def main(brokers, topic, gateway, table, dead_letter_topic):
    wanted, refused, counts = expected(brokers, topic)
    differences = list(table_differences(wanted, gateway, table))
    differences += letter_differences(refused, topic, brokers, dead_letter_topic, counts)
    print(json.dumps(counts))
    for difference in differences[:DIFFERENCES_SHOWN]:
        print(difference, file=sys.stderr)
    if differences:
        sys.exit(f"{len(differences)} differences; {counts}")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
