"""The independent oracle of the pageviews job: reads its topic, and holds its table and the saved events against it.

  pageviews.py brokers=… gateway=… pageviews=… table=… pageviews-raw=… dead-letters=…

Where batches are cut is the host's affair. So each site's views, summed over its batches, must be those of the topic:
a batch that is there twice, in part or not at all shows in the sum.
Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import json
import sys
from collections import Counter

import compare
import reading

NEEDED = ["brokers", "gateway", "pageviews", "table", "pageviews-raw", "dead-letters"]
COLUMNS = {b"v:site_id", b"v:time", b"v:pageviews"}


def site_of(value):
    """The site that was viewed; ValueError if the record is to be refused."""
    view = json.loads((value or b"").decode("utf-8"))
    if not isinstance(view, dict) or not isinstance(view.get("site_id"), str):
        raise ValueError("no view")
    if not view["site_id"] or "#" in view["site_id"]:
        raise ValueError("no site")
    return view["site_id"]


def table_differences(views, place, counts):
    found = Counter()
    for key, cells in reading.rows(place["gateway"], place["table"]):
        counts["rows"] += 1
        site, batch = key.decode().rsplit("#", 1)
        if cells.keys() != COLUMNS or cells[b"v:site_id"] != site.encode() or cells[b"v:time"] != batch.encode():
            yield f"row {key}: {cells}"
            continue
        count = int(cells[b"v:pageviews"])
        if count < 1:
            yield f"row {key}: a site without views has no row"
        found[site] += count
    for site in sorted(views.keys() | found.keys()):
        if views[site] != found[site]:
            yield f"site {site}: must have {views[site]} views, has {found[site]}"


def main(place):
    refused, counts, views, events = {}, dict(records=0, late=0, rows=0), Counter(), []
    for record in reading.records(place["brokers"], place["pageviews"]):
        counts["records"] += 1
        events.append((record.key, record.value))
        try:
            views[site_of(record.value)] += 1
        except ValueError:
            refused[(place["pageviews"], record.partition, record.offset)] = (record.key, record.value)
    differences = list(table_differences(views, place, counts))
    counts["rows"] += len(events)
    differences += compare.topic(events, place["brokers"], place["pageviews-raw"])
    differences += compare.letters(refused, place["brokers"], place["dead-letters"], counts)
    compare.verdict(counts, differences)


if __name__ == "__main__":
    main(compare.places(sys.argv[1:], NEEDED, __doc__))
