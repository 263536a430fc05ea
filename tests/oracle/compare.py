"""What all oracles of the keyed examples share: their arguments, and comparing tables, topics and dead letters."""

import json
import sys
from collections import Counter

import reading

DIFFERENCES_SHOWN = 10
HEADERS = {"job", "version", "stage", "topic", "partition", "offset", "reason"}


def places(arguments, needed, usage):
    """The arguments NAME=PLACE as a dictionary; `needed` must be there."""
    found = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    missing = [name for name in needed if name not in found]
    if missing:
        sys.exit(f"{usage}\nmissing: {missing}")
    return found


def table(wanted, gateway, name):
    """Differences between what a table must hold (row → column → bytes, or a function that says if bytes are right) and
    what it holds."""
    found = {key: cells for key, cells in reading.rows(gateway, name)}
    for key in sorted(wanted.keys() | found.keys()):
        must, cells = wanted.get(key), found.get(key)
        if must is None or cells is None or must.keys() != cells.keys():
            yield f"{name}, row {key}: must be {must}, is {cells}"
            continue
        for column, value in must.items():
            right = value(cells[column]) if callable(value) else value == cells[column]
            if not right:
                yield f"{name}, row {key}: must be {must}, is {cells}"
                break


def number(text):
    """As a double, read back from its digits."""
    return lambda cell: float(cell) == text


def topic(wanted, brokers, name):
    """Differences between the records that a topic must hold, (key, value) in any order, and those that it holds."""
    must = Counter(wanted)
    found = Counter((record.key, record.value) for record in reading.records(brokers, name))
    for record, count in ((must - found) + (found - must)).items():
        yield f"{name}: must hold {record} {must[record]} times, holds it {found[record]} times (off by {count})"


def letters(refused, brokers, name, counts):
    """Differences between the records that must be set aside, by (topic, partition, offset), and the dead letters. One
    may be there twice after a crash: that is counted alone."""
    seen = Counter()
    for letter in reading.records(brokers, name):
        headers = {header: value.decode() for header, value in letter.headers}
        if not HEADERS <= headers.keys() or not headers["reason"]:
            yield f"letter {letter.offset}: headers must be {sorted(HEADERS)}, are {headers}"
            continue
        place = (headers["topic"], int(headers["partition"]), int(headers["offset"]))
        seen[place] += 1
        if refused.get(place) != (letter.key, letter.value):
            yield f"letter for {place}: record is {refused.get(place)}, letter holds {(letter.key, letter.value)}"
    for place in sorted(refused.keys() - seen.keys()):
        yield f"no letter for {place}: {refused[place]}"
    counts["dead_letters"] = len(refused)
    counts["dead_letters_doubled"] = sum(seen.values()) - len(seen)


def verdict(counts, differences):
    """Prints the counts as one JSON object; ends with exit code 1 and the first differences if there are any."""
    differences = list(differences)
    print(json.dumps(counts))
    for difference in differences[:DIFFERENCES_SHOWN]:
        print(difference, file=sys.stderr)
    if differences:
        sys.exit(f"{len(differences)} differences; {counts}")
