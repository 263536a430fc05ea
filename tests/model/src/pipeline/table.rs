//! A cell of an HBase table: the newest time wins, and a delete hides what is not newer.

/// A put, or a delete of a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(crate) struct Write {
    pub(super) row: u8,
    pub(super) delete: bool,
    pub(super) time: u8,
    /// The offset after the record that it comes from: what is newer in the source.
    pub(super) rank: u8,
    pub(super) version: u8,
    pub(super) value: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Put {
    time: u8,
    rank: u8,
    version: u8,
    value: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Cell {
    tombstone: u8,
    tombstone_rank: u8,
    put: Option<Put>,
}

impl Cell {
    /// Applies a write at its own time, or at the server's, which is after all that is there.
    pub(super) fn apply(&mut self, write: &Write, at_server_time: bool) {
        let newest = self.tombstone.max(self.put.map_or(0, |put| put.time));
        let time = if at_server_time {
            newest + 1
        } else {
            write.time
        };
        if write.delete {
            if time >= self.tombstone {
                (self.tombstone, self.tombstone_rank) = (time, write.rank);
            }
            self.put = self.put.filter(|put| put.time > self.tombstone);
        } else {
            let hidden = time <= self.tombstone && self.tombstone_rank != 0;
            if !hidden && self.put.is_none_or(|put| time >= put.time) {
                let Write {
                    rank,
                    version,
                    value,
                    ..
                } = *write;
                self.put = Some(Put {
                    time,
                    rank,
                    version,
                    value,
                });
            }
        }
    }

    /// A major compaction removes tombstones, once they have hidden what they could.
    pub(super) fn compact(&mut self) {
        self.tombstone = 0;
    }

    pub(super) fn has_tombstone(&self) -> bool {
        self.tombstone > 0
    }

    /// Which record's effect a reader sees.
    pub(super) fn rank(&self) -> u8 {
        self.put.map_or(self.tombstone_rank, |put| put.rank)
    }

    /// What a reader sees: the record, the version that wrote it, the value.
    pub(super) fn read(&self) -> Option<(u8, u8, u8)> {
        self.put.map(|put| (put.rank, put.version, put.value))
    }
}
