//! Reading a partition: records from an offset, and the offset of a time.

use super::log::{Aborted, Bounds, Partition};
use super::record_batch::{BatchHeader, first_at_or_after};
use super::store::{Store, offset_of};
use super::{BrokerError, CallError};
use bytes::{BufMut, Bytes, BytesMut};
use fjall::{Readable, Snapshot};
use kafka_protocol::ResponseError;

/// Whether a reader sees records of transactions that are not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    Uncommitted,
    Committed,
}

impl Isolation {
    pub(super) fn from_level(level: i8) -> Isolation {
        if level == 1 {
            Isolation::Committed
        } else {
            Isolation::Uncommitted
        }
    }
}

/// What one read of one partition found.
#[derive(Debug)]
pub(super) struct Found {
    /// Whole batches; the first one may begin before the offset asked for.
    pub(super) records: Bytes,
    pub(super) start: i64,
    pub(super) next: i64,
    pub(super) last_stable: i64,
    /// Aborted transactions that the records may belong to; none for `Uncommitted`.
    pub(super) aborted: Vec<Aborted>,
}

/// How much one read may answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) bytes: usize,
    /// Whether one batch may be answered even if it is larger, so that a reader with little room
    /// gets on.
    pub(super) one_at_least: bool,
}

impl Room {
    /// Whether a batch of `more` bytes may follow `taken` bytes.
    fn takes(self, taken: usize, more: usize) -> bool {
        taken + more <= self.bytes || taken == 0 && self.one_at_least
    }
}

impl Partition {
    /// The batches from `offset` on, as far as `room` and `isolation` allow.
    pub(super) fn read(
        &self,
        store: &Store,
        offset: i64,
        room: Room,
        isolation: Isolation,
    ) -> Result<Found, CallError> {
        loop {
            let (mut found, end) = self.look(offset, isolation)?;
            if offset >= end || room.bytes == 0 && !room.one_at_least {
                return Ok(found);
            }
            // The records are read without the lock, but as they are at one moment: what is removed
            // meanwhile leaves no hole between those that are answered.
            let view = store.view();
            let (records, first) = self.batches(&view, store, offset, end, room)?;
            // If the first batch was removed before that moment, the start has moved.
            if first.is_none_or(|base_offset| base_offset > offset) {
                let state = self.lock();
                if state.bounds.start <= offset && !state.is_deleted() {
                    return Err(BrokerError::Damaged {
                        what: "a partition's log: batches are missing",
                    }
                    .into());
                }
                continue;
            }
            found.aborted.retain(|aborted| aborted.first < end);
            found.records = records;
            return Ok(found);
        }
    }

    /// How many bytes [`Partition::read`] would answer. Reads no records, and stops counting at
    /// `enough`.
    pub(super) fn weigh(
        &self,
        store: &Store,
        offset: i64,
        room: Room,
        isolation: Isolation,
        enough: usize,
    ) -> Result<usize, CallError> {
        let (_, end) = self.look(offset, isolation)?;
        let mut bytes = 0;
        for entry in self.entries_from(&store.view(), store, offset) {
            let entry = entry?;
            if entry.last_offset >= end
                || bytes >= enough
                || !room.takes(bytes, entry.bytes as usize)
            {
                break;
            }
            bytes += entry.bytes as usize;
        }
        Ok(bytes)
    }

    fn look(&self, offset: i64, isolation: Isolation) -> Result<(Found, i64), CallError> {
        let state = self.lock();
        let Bounds { start, next, .. } = state.bounds;
        if state.is_deleted() {
            return Err(ResponseError::UnknownTopicOrPartition.into());
        }
        if offset < start || offset > next {
            return Err(ResponseError::OffsetOutOfRange.into());
        }
        let last_stable = state.last_stable();
        let (end, aborted) = match isolation {
            Isolation::Uncommitted => (next, Vec::new()),
            Isolation::Committed => {
                let from = state
                    .aborted
                    .partition_point(|aborted| aborted.marker < offset);
                (last_stable, state.aborted[from..].to_vec())
            }
        };
        Ok((
            Found {
                records: Bytes::new(),
                start,
                next,
                last_stable,
                aborted,
            },
            end,
        ))
    }

    /// Batches that lie before `end`, and the first one's base offset.
    fn batches(
        &self,
        view: &Snapshot,
        store: &Store,
        offset: i64,
        end: i64,
        room: Room,
    ) -> Result<(Bytes, Option<i64>), BrokerError> {
        // By the index, so that no batch is read that is not answered.
        let (mut bytes, mut behind) = (0, offset);
        for entry in self.entries_from(view, store, offset) {
            let entry = entry?;
            if entry.last_offset >= end {
                break;
            }
            if !room.takes(bytes, entry.bytes as usize) {
                if bytes == 0 {
                    return Ok((Bytes::new(), Some(offset))); // nothing is missing, but nothing fits
                }
                break;
            }
            bytes += entry.bytes as usize;
            behind = entry.last_offset + 1;
        }
        let mut records = BytesMut::with_capacity(bytes);
        let mut first = None;
        for pair in view.range(&store.log, self.key.at(offset)..self.key.at(behind)) {
            let (key, batch) = pair.into_inner()?;
            if first.is_none() {
                let header = BatchHeader::parse(&batch).ok_or(BrokerError::Damaged {
                    what: "a stored batch",
                })?;
                if offset_of(&key)? != header.base_offset + i64::from(header.last_offset_delta) {
                    return Err(BrokerError::Damaged {
                        what: "a stored batch's offset",
                    });
                }
                first = Some(header.base_offset);
            }
            records.put_slice(&batch);
        }
        Ok((records.freeze(), first))
    }

    /// Offset and time of the first record at or after `time_ms`; `None` if all are older.
    pub(super) fn find_time(
        &self,
        store: &Store,
        time_ms: i64,
    ) -> Result<Option<(i64, i64)>, BrokerError> {
        let Bounds { start, next, .. } = self.lock().bounds;
        let view = store.view();
        // The first batch whose running maximum is late enough, by halving the range of offsets.
        let (mut low, mut high) = (start, next);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.entries_from(&view, store, middle).next().transpose()? {
                Some(entry) if entry.running_max_time_ms < time_ms => low = entry.last_offset + 1,
                _ => high = middle,
            }
        }
        // The running maximum may be that of a batch which retention has removed: go on to one with
        // a record so late.
        for entry in self.entries_from(&view, store, low) {
            let entry = entry?;
            if entry.max_time_ms < time_ms {
                continue;
            }
            let Some(batch) = view.get(&store.log, self.key.at(entry.last_offset))? else {
                continue;
            }; // its topic is deleted
            if let Some(found) = first_at_or_after(&batch, time_ms) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
