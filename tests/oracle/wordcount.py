"""The independent oracle of the word counts: holds the counts that were printed or sent against the lines.

  wordcount.py text=FILE console=FILE                                    lines of a socket, and what a console showed
  wordcount.py brokers=… lines=TOPIC words=TOPIC dead-letters=TOPIC      lines of a topic, and a topic of counts

Where batches are cut is the host's affair. So each word's counts, summed over the batches, must be those of the lines.
Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import ast
import json
import sys
from collections import Counter

import compare
import reading
from words import split


def console_counts(path):
    """The sums of lines such as `('hello', 3)`, among others."""
    sums, rows = Counter(), 0
    for line in open(path, encoding="utf-8"):
        if line.startswith("('"):
            word, count = ast.literal_eval(line)
            sums[word] += count
            rows += 1
    return sums, rows


def topic_counts(brokers, topic):
    sums, rows = Counter(), 0
    for record in reading.records(brokers, topic):
        sums[record.key.decode()] += json.loads(record.value)["value"]
        rows += 1
    return sums, rows


def word_differences(wanted, found):
    for word in sorted(wanted.keys() | found.keys()):
        if wanted[word] != found[word]:
            yield f"word {word!r}: must be there {wanted[word]} times, was counted {found[word]} times"


def of_a_socket(place):
    lines = open(place["text"], encoding="utf-8").read().split("\n")
    wanted = Counter(word for line in lines for word in split(line))
    found, rows = console_counts(place["console"])
    counts = dict(records=len(lines), rows=rows, late=0, dead_letters=0, dead_letters_doubled=0)
    compare.verdict(counts, word_differences(wanted, found))


def of_a_topic(place):
    wanted, refused, counts = Counter(), {}, dict(records=0, late=0)
    for record in reading.records(place["brokers"], place["lines"]):
        counts["records"] += 1
        try:
            if record.value is None:
                raise ValueError("no value")
            wanted.update(split(record.value.decode("utf-8")))
        except ValueError:
            refused[(place["lines"], record.partition, record.offset)] = (record.key, record.value)
    found, counts["rows"] = topic_counts(place["brokers"], place["words"])
    differences = list(word_differences(wanted, found))
    differences += compare.letters(refused, place["brokers"], place["dead-letters"], counts)
    compare.verdict(counts, differences)


if __name__ == "__main__":
    if any(argument.startswith("text=") for argument in sys.argv):
        of_a_socket(compare.places(sys.argv[1:], ["text", "console"], __doc__))
    else:
        of_a_topic(compare.places(sys.argv[1:], ["brokers", "lines", "words", "dead-letters"], __doc__))
