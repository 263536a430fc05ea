"""The independent oracle of the hashtags job: reads its topic, computes its table and its refused records.

  hashtags.py brokers=… gateway=… posts=… trending=… dead-letters=… [ended=yes]

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import sys
from collections import Counter

import compare
import reading
from eventtime import MINUTE_MS, EventTime, pane
from words import split

SIZE_MS, HOP_MS = 5 * MINUTE_MS, MINUTE_MS
PLACES = 10
NEEDED = ["brokers", "gateway", "posts", "trending", "dead-letters"]


def tags_of(text):
    words = [word.rstrip(".,:;!?") for word in split(text)]
    return [word for word in words if word.startswith("#") and len(word) > 1]


def windows(place, refused, counts):
    """Window's start → how often each tag was posted in time for it; and the watermark in the end."""
    tags, time = {}, EventTime()
    for record in reading.records(place["brokers"], place["posts"]):
        counts["records"] += 1
        try:
            if record.value is None:
                raise ValueError("no value")
            posted = tags_of(record.value.decode("utf-8"))
            last, _ = pane(record.timestamp, HOP_MS)
            in_time = [
                start
                for start in range(last, last - SIZE_MS, -HOP_MS)
                if not time.is_late(record.partition, start + SIZE_MS, inclusive=True)
            ]
            if posted and not in_time:
                counts["late"] += 1
            for start in in_time if posted else []:
                tags.setdefault(start, Counter()).update(posted)
        except ValueError:
            refused[(place["posts"], record.partition, record.offset)] = (record.key, record.value)
        time.passes(record.partition, record.timestamp)  # a record's own time counts, whatever it says
    return tags, time.watermark(place["brokers"], place["posts"], "ended" in place)


def main(place):
    refused, counts = {}, dict(records=0, late=0)
    tags, watermark = windows(place, refused, counts)
    wanted = {}
    for start, window in tags.items():
        if start + SIZE_MS > watermark:
            continue
        popular = sorted(window.items(), key=lambda item: (-item[1], item[0].encode()))
        for rank, (tag, count) in enumerate(popular[:PLACES], 1):
            wanted[f"{start + SIZE_MS}#{rank:02}".encode()] = {
                b"trend:tag": tag.encode(),
                b"trend:count": str(count).encode(),
                b"trend:from": str(start).encode(),
            }
    counts["rows"] = len(wanted)
    differences = list(compare.table(wanted, place["gateway"], place["trending"]))
    differences += compare.letters(refused, place["brokers"], place["dead-letters"], counts)
    compare.verdict(counts, differences)


if __name__ == "__main__":
    main(compare.places(sys.argv[1:], NEEDED, __doc__))
