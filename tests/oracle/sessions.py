"""The independent oracle of the sessions job: reads its topic, computes its table and its refused records.

  sessions.py brokers=… gateway=… plays=… sessions=… dead-letters=… [ended=yes]

Prints the counts as one JSON object. Exit code 1, with the first differences on stderr, if anything is not as it must be.
"""

import json
import sys

import compare
import reading
from eventtime import MINUTE_MS, EventTime

GAP_MS = 30 * MINUTE_MS
LATENESS_MS = GAP_MS
NEEDED = ["brokers", "gateway", "plays", "sessions", "dead-letters"]


def play_of(value):
    """(player, time, points); ValueError if the record is to be refused."""
    play = json.loads((value or b"").decode("utf-8"))
    if not isinstance(play, dict):
        raise ValueError("no object")
    player, time, points = play.get("player"), play.get("time"), play.get("points")
    if not isinstance(player, str) or type(time) is not int or type(points) is not int:
        raise ValueError("no play")
    if not player or "#" in player or not 0 <= points < 2**32:
        raise ValueError("no player, or no points")
    return player, time, points


def plays(place, refused, counts):
    """Player → (time, points) of the plays that came in time; and the watermark in the end."""
    by_player, time = {}, EventTime()
    for record in reading.records(place["brokers"], place["plays"]):
        counts["records"] += 1
        try:
            player, time_ms, points = play_of(record.value)
        except ValueError:
            refused[(place["plays"], record.partition, record.offset)] = (record.key, record.value)
            continue
        if time.is_late(record.partition, time_ms + LATENESS_MS, inclusive=False):
            counts["late"] += 1
        else:
            by_player.setdefault(player, []).append((time_ms, points))
        time.passes(record.partition, time_ms)
    return by_player, time.watermark(place["brokers"], place["plays"], "ended" in place)


def sessions(times_and_points):
    """Runs of plays that are at most a gap apart."""
    runs = []
    for time_ms, points in sorted(times_and_points):
        if not runs or time_ms - runs[-1][-1][0] > GAP_MS:
            runs.append([])
        runs[-1].append((time_ms, points))
    return runs


def main(place):
    refused, counts = {}, dict(records=0, late=0)
    by_player, watermark = plays(place, refused, counts)
    wanted = {}
    for player, played in by_player.items():
        for run in sessions(played):
            first, last = run[0][0], run[-1][0]
            if last + GAP_MS + LATENESS_MS >= watermark:
                continue  # a play may still come that prolongs it
            wanted[f"{player}#{first}".encode()] = {
                b"session:until": str(last).encode(),
                b"session:length_ms": str(last - first).encode(),
                b"session:plays": str(len(run)).encode(),
                b"session:score": str(sum(points for _, points in run)).encode(),
            }
    counts["rows"] = len(wanted)
    differences = list(compare.table(wanted, place["gateway"], place["sessions"]))
    differences += compare.letters(refused, place["brokers"], place["dead-letters"], counts)
    compare.verdict(counts, differences)


if __name__ == "__main__":
    main(compare.places(sys.argv[1:], NEEDED, __doc__))
