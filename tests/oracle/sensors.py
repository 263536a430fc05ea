"""The independent oracle of the sensors job: reads its topics, computes its table, its late and its refused records.

  sensors.py brokers=… gateway=… readings=… panels=… power=… readings-late=… dead-letters=… [ended=yes]

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import json
import sys
from decimal import ROUND_HALF_UP, Decimal

import compare
import reading
from eventtime import MINUTE_MS, EventTime, pane

SIZE_MS, LATENESS_MS = 10 * MINUTE_MS, 5 * MINUTE_MS
NEEDED = ["brokers", "gateway", "readings", "panels", "power", "readings-late", "dead-letters"]


def reading_of(value):
    """(panel, time, milliwatts); ValueError if the record is to be refused."""
    sent = json.loads((value or b"").decode("utf-8"), parse_float=Decimal)
    if not isinstance(sent, dict):
        raise ValueError("no object")
    panel, time, power = sent.get("panel_id"), sent.get("time"), sent.get("power")
    if not isinstance(panel, str) or type(time) is not int or type(power) not in (int, Decimal):
        raise ValueError("no reading")
    if not panel or not 0 <= power <= 1_000_000:
        raise ValueError("no panel, or no power")
    return panel, time, int((Decimal(power) * 1000).to_integral_value(ROUND_HALF_UP))


def sites(place, refused, counts):
    """The table of panels as it ends: panel → site."""
    table = {}
    for record in reading.records(place["brokers"], place["panels"]):
        counts["records"] += 1
        try:
            panel = (record.key or b"").decode("utf-8")
            if not panel:
                raise ValueError("no panel")
            if record.value is None:
                table.pop(panel, None)
                continue
            site = record.value.decode("utf-8")
            if not site or "#" in site:
                raise ValueError("no site")
            table[panel] = site
        except ValueError:
            refused[(place["panels"], record.partition, record.offset)] = (record.key, record.value)
    return table


def windows(place, refused, counts):
    """(panel, window's start) → [readings, milliwatts] of the windows that are over; and the late records."""
    sums, late, time = {}, [], EventTime()
    for record in reading.records(place["brokers"], place["readings"]):
        counts["records"] += 1
        try:
            panel, time_ms, milliwatts = reading_of(record.value)
        except ValueError:
            refused[(place["readings"], record.partition, record.offset)] = (record.key, record.value)
            continue
        start, end = pane(time_ms, SIZE_MS)
        if time.is_late(record.partition, end + LATENESS_MS, inclusive=True):
            late.append((panel.encode(), record.value))
        else:
            so_far = sums.setdefault((panel, start), [0, 0])
            so_far[0] += 1
            so_far[1] += milliwatts
        time.passes(record.partition, time_ms)
    watermark = time.watermark(place["brokers"], place["readings"], "ended" in place)
    over = {key: sum for key, sum in sums.items() if key[1] + SIZE_MS + LATENESS_MS <= watermark}
    return over, late


def expected_table(over, table):
    by_site = {}
    for (panel, start), (readings, milliwatts) in over.items():
        sums = by_site.setdefault((table.get(panel, "unknown"), start), [0, 0])
        sums[0] += readings
        sums[1] += milliwatts
    return {
        f"{site}#{start}".encode(): {
            b"power:average": compare.number(milliwatts / 1000 / readings),
            b"power:readings": str(readings).encode(),
            b"power:until": str(start + SIZE_MS).encode(),
        }
        for (site, start), (readings, milliwatts) in by_site.items()
    }


def main(place):
    refused, counts = {}, dict(records=0)
    table = sites(place, refused, counts)
    over, late = windows(place, refused, counts)
    wanted = expected_table(over, table)
    counts.update(late=len(late), rows=len(wanted) + len(late))
    differences = list(compare.table(wanted, place["gateway"], place["power"]))
    differences += compare.topic(late, place["brokers"], place["readings-late"])
    differences += compare.letters(refused, place["brokers"], place["dead-letters"], counts)
    compare.verdict(counts, differences)


if __name__ == "__main__":
    main(compare.places(sys.argv[1:], NEEDED, __doc__))
