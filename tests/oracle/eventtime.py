"""Event time as jobs must keep it: every partition by itself, in the order of its offsets, so that what is late is a
fact of the topic alone."""

import math

import reading

MINUTE_MS = 60_000


class EventTime:
    def __init__(self):
        self.largest = {}  # by partition: the largest event time so far

    def is_late(self, partition, deadline_ms, inclusive):
        """A record of the partition that had to be there before its time passed `deadline_ms`, or reached it."""
        own = self.largest.get(partition)
        return own is not None and (deadline_ms <= own if inclusive else deadline_ms < own)

    def passes(self, partition, time_ms):
        self.largest[partition] = max(time_ms, self.largest.get(partition, time_ms))

    def watermark(self, brokers, topic, ended):
        """Up to where all partitions have come; without end once the job's input has ended."""
        if ended:
            return math.inf
        times = [self.largest.get(partition, -math.inf) for partition in reading.partitions(brokers, topic)]
        return min(times, default=-math.inf)


def pane(time_ms, hop_ms):
    """The pane that a time is in: [start, end)."""
    start = time_ms // hop_ms * hop_ms
    return start, start + hop_ms
