//! One partition: its batches, its bounds, its producers and its transactions. Each has a lock of
//! its own.

use super::producers::{Producer, Verdict, judge};
use super::record_batch::{self, BatchHeader};
use super::signal::{Signal, Waiters};
use super::store::{PartitionKey, Store, offset_of};
use super::{BrokerError, CallError};
use bytes::{Buf, BufMut};
use fjall::{OwnedWriteBatch, Readable, Snapshot};
use kafka_protocol::ResponseError;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use streamhost_core::limits::BROKER_PRODUCERS_PER_PARTITION_MAX;

/// What the keys in `store.partitions` are about.
const BOUNDS: u8 = b'b';
const PRODUCER: u8 = b'p';
const OPEN: u8 = b'o';
const ABORTED: u8 = b'a';

/// One partition of a topic.
pub(super) struct Partition {
    pub(super) key: PartitionKey,
    state: Mutex<PartitionState>,
}

/// What is known of a partition without reading its records; the same as what is stored.
#[derive(Default)]
pub(super) struct PartitionState {
    pub(super) bounds: Bounds,
    producers: HashMap<i64, Producer>,
    /// Open transactions: producer id → first offset.
    open: BTreeMap<i64, i64>,
    /// Aborted transactions whose marker is still in the log, by marker.
    pub(super) aborted: Vec<Aborted>,
    /// The topic is gone: whoever still holds this partition must not write to it.
    deleted: bool,
    waiters: Waiters,
}

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// First offset that can be read.
    pub(super) start: i64,
    /// Offset of the next record.
    pub(super) next: i64,
    /// Bytes of all batches.
    pub(super) bytes: u64,
    /// The latest time of any batch there ever was.
    pub(super) max_time_ms: i64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            start: 0,
            next: 0,
            bytes: 0,
            max_time_ms: i64::MIN,
        }
    }
}

/// One aborted transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub(super) producer_id: i64,
    pub(super) first: i64,
    /// The offset of its marker.
    pub(super) marker: i64,
}

/// A batch's entry in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) last_offset: i64,
    pub(super) bytes: u32,
    /// When it came. Age counts from here and not from the records' own times, or old data could
    /// not be tried out.
    pub(super) came_ms: i64,
    pub(super) max_time_ms: i64,
    /// The latest time of this and all earlier batches: never falls, so it can be searched.
    pub(super) running_max_time_ms: i64,
}

/// A batch that is in a write but not yet in the partition's state.
pub(super) struct Staged {
    bounds: Bounds,
    base_offset: i64,
    producer: Option<(i64, Producer)>,
    forgotten: Option<i64>,
    opens: Option<i64>,
    ends: Option<i64>,
    aborted: Option<Aborted>,
}

impl PartitionState {
    /// The first offset that an undecided transaction holds back from `read_committed` readers.
    pub(super) fn last_stable(&self) -> i64 {
        self.open
            .values()
            .copied()
            .min()
            .unwrap_or(self.bounds.next)
    }

    pub(super) fn wait(&mut self, signal: &Arc<Signal>) {
        self.waiters.add(signal);
    }

    /// Takes what [`Partition::stage_batch`] or [`Partition::stage_marker`] put into a write that
    /// is committed now.
    pub(super) fn settle(&mut self, staged: Staged) {
        self.bounds = staged.bounds;
        if let Some(forgotten) = staged.forgotten {
            self.producers.remove(&forgotten);
        }
        if let Some((id, producer)) = staged.producer {
            self.producers.insert(id, producer);
        }
        if let Some(id) = staged.opens {
            self.open.insert(id, staged.base_offset);
        }
        if let Some(id) = staged.ends {
            self.open.remove(&id);
        }
        self.aborted.extend(staged.aborted);
        self.waiters.raise_all();
    }

    /// The producer to forget so that a new one has room: the longest silent one without an open
    /// transaction.
    fn to_forget(&self, newcomer: i64) -> Option<i64> {
        if self.producers.len() < BROKER_PRODUCERS_PER_PARTITION_MAX
            || self.producers.contains_key(&newcomer)
        {
            return None;
        }
        let idle = self
            .producers
            .iter()
            .filter(|(id, _)| !self.open.contains_key(*id));
        idle.min_by_key(|(_, producer)| producer.last_ms)
            .map(|(id, _)| *id)
    }

    /// Moves the start of the log. The caller has taken `bytes` of batches away, in a write that is
    /// committed now.
    pub(super) fn settle_start(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.aborted
            .retain(|aborted| aborted.marker >= bounds.start);
        self.waiters.raise_all();
    }
}

impl Partition {
    /// A partition as it is stored; one of which nothing is stored is empty.
    pub(super) fn load(store: &Store, key: PartitionKey) -> Result<Partition, BrokerError> {
        let mut state = PartitionState::default();
        for pair in store.partitions.prefix(key.prefix()) {
            let (name, value) = pair.into_inner()?;
            state
                .load_entry(&name[8..], &value)
                .ok_or(BrokerError::Damaged {
                    what: "a partition's state",
                })?;
        }
        state.aborted.sort_unstable_by_key(|aborted| aborted.marker);
        Ok(Partition {
            key,
            state: Mutex::new(state),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, PartitionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch that [`record_batch::check_produced`] has passed; durable against `kill -9` at
    /// return. Answers its first offset, which is an earlier one if the producer repeats itself.
    pub(super) fn append(
        &self,
        store: &Store,
        batch: &[u8],
        header: &BatchHeader,
        now_ms: i64,
    ) -> Result<i64, CallError> {
        let mut state = self.lock();
        if state.deleted {
            return Err(ResponseError::UnknownTopicOrPartition.into());
        }
        if header.producer_id >= 0 {
            let known = state.producers.get(&header.producer_id);
            let verdict = judge(
                known,
                header.producer_epoch,
                header.base_sequence,
                header.last_offset_delta,
            )?;
            if let Verdict::Repetition { base_offset } = verdict {
                return Ok(base_offset);
            }
        }
        let mut write = store.write()?;
        let staged = self.stage_batch(store, &state, &mut write, batch.to_vec(), header, now_ms);
        write.commit().map_err(BrokerError::from)?;
        let base_offset = staged.base_offset;
        state.settle(staged);
        Ok(base_offset)
    }

    fn stage_batch(
        &self,
        store: &Store,
        state: &PartitionState,
        write: &mut OwnedWriteBatch,
        batch: Vec<u8>,
        header: &BatchHeader,
        now_ms: i64,
    ) -> Staged {
        let mut staged = self.stage_bytes(store, state, write, batch, header, now_ms);
        if header.producer_id < 0 {
            return staged;
        }
        let id = header.producer_id;
        let (epoch, first, delta) = (
            header.producer_epoch,
            header.base_sequence,
            header.last_offset_delta,
        );
        let producer = Producer::after(
            state.producers.get(&id),
            epoch,
            first,
            delta,
            staged.base_offset,
            now_ms,
        );
        self.stage_producer(store, state, write, &mut staged, (id, producer));
        if header.is_transactional() && !state.open.contains_key(&id) {
            write.insert(
                &store.partitions,
                self.key.tagged(OPEN, &[id]),
                staged.base_offset.to_be_bytes(),
            );
            staged.opens = Some(id);
        }
        staged
    }

    /// Puts the end of a producer's transaction into `write`: the marker, and what it changes.
    pub(super) fn stage_marker(
        &self,
        store: &Store,
        state: &PartitionState,
        write: &mut OwnedWriteBatch,
        (id, epoch): (i64, i16),
        commit: bool,
        now_ms: i64,
    ) -> Staged {
        let bytes = record_batch::marker(id, epoch, commit, now_ms);
        let header = BatchHeader::parse(&bytes).expect("a marker has a header");
        let mut staged = self.stage_bytes(store, state, write, bytes, &header, now_ms);
        let producer = Producer::fenced(state.producers.get(&id), epoch, now_ms);
        self.stage_producer(store, state, write, &mut staged, (id, producer));
        if let Some(&first) = state.open.get(&id) {
            write.remove(&store.partitions, self.key.tagged(OPEN, &[id]));
            staged.ends = Some(id);
            if !commit {
                let marker = staged.base_offset;
                write.insert(
                    &store.partitions,
                    self.key.tagged(ABORTED, &[marker, id]),
                    first.to_be_bytes(),
                );
                staged.aborted = Some(Aborted {
                    producer_id: id,
                    first,
                    marker,
                });
            }
        }
        staged
    }

    fn stage_bytes(
        &self,
        store: &Store,
        state: &PartitionState,
        write: &mut OwnedWriteBatch,
        mut batch: Vec<u8>,
        header: &BatchHeader,
        now_ms: i64,
    ) -> Staged {
        let base_offset = state.bounds.next;
        let last_offset = base_offset + i64::from(header.last_offset_delta);
        record_batch::place(&mut batch, base_offset);
        let bounds = Bounds {
            start: state.bounds.start,
            next: last_offset + 1,
            bytes: state.bounds.bytes + batch.len() as u64,
            max_time_ms: state.bounds.max_time_ms.max(header.max_time_ms),
        };
        let entry = Entry {
            last_offset,
            bytes: batch.len() as u32, // BROKER_BATCH_BYTES_MAX fits
            came_ms: now_ms,
            max_time_ms: header.max_time_ms,
            running_max_time_ms: bounds.max_time_ms,
        };
        let key = self.key.at(last_offset);
        write.insert(&store.log, key, batch);
        write.insert(&store.index, key, entry.to_bytes());
        self.stage_bounds(store, write, bounds);
        Staged {
            bounds,
            base_offset,
            producer: None,
            forgotten: None,
            opens: None,
            ends: None,
            aborted: None,
        }
    }

    fn stage_producer(
        &self,
        store: &Store,
        state: &PartitionState,
        write: &mut OwnedWriteBatch,
        staged: &mut Staged,
        (id, producer): (i64, Producer),
    ) {
        write.insert(
            &store.partitions,
            self.key.tagged(PRODUCER, &[id]),
            producer.to_bytes(),
        );
        staged.forgotten = state.to_forget(id);
        if let Some(forgotten) = staged.forgotten {
            write.remove(&store.partitions, self.key.tagged(PRODUCER, &[forgotten]));
        }
        staged.producer = Some((id, producer));
    }

    pub(super) fn stage_bounds(&self, store: &Store, write: &mut OwnedWriteBatch, bounds: Bounds) {
        write.insert(
            &store.partitions,
            self.key.tagged(BOUNDS, &[]),
            bounds.to_bytes(),
        );
    }

    pub(super) fn stage_forget_aborted(
        &self,
        store: &Store,
        write: &mut OwnedWriteBatch,
        aborted: &Aborted,
    ) {
        write.remove(
            &store.partitions,
            self.key
                .tagged(ABORTED, &[aborted.marker, aborted.producer_id]),
        );
    }

    /// The index from the batch that holds `offset` on.
    pub(super) fn entries_from(
        &self,
        view: &Snapshot,
        store: &Store,
        offset: i64,
    ) -> impl Iterator<Item = Result<Entry, BrokerError>> + use<> {
        view.range(
            &store.index,
            self.key.at(offset.max(0))..=self.key.at(i64::MAX),
        )
        .map(|pair| {
            let (key, value) = pair.into_inner()?;
            Entry::from_bytes(offset_of(&key)?, &value).ok_or(BrokerError::Damaged {
                what: "a batch's index entry",
            })
        })
    }

    /// Nobody writes to this partition from here on, and whoever waits for it learns so.
    pub(super) fn delete(&self) {
        let mut state = self.lock();
        state.deleted = true;
        state.waiters.raise_all();
    }
}

impl PartitionState {
    fn load_entry(&mut self, name: &[u8], mut value: &[u8]) -> Option<()> {
        let (tag, mut rest) = name.split_first()?;
        match *tag {
            BOUNDS => self.bounds = Bounds::from_bytes(value)?,
            PRODUCER => drop(
                self.producers
                    .insert(rest.try_get_i64().ok()?, Producer::from_bytes(value)?),
            ),
            OPEN => drop(
                self.open
                    .insert(rest.try_get_i64().ok()?, value.try_get_i64().ok()?),
            ),
            ABORTED => {
                let (marker, producer_id) = (rest.try_get_i64().ok()?, rest.try_get_i64().ok()?);
                self.aborted.push(Aborted {
                    producer_id,
                    first: value.try_get_i64().ok()?,
                    marker,
                });
            }
            _ => return None,
        }
        Some(())
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted
    }
}

impl Bounds {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        bytes.put_i64(self.start);
        bytes.put_i64(self.next);
        bytes.put_u64(self.bytes);
        bytes.put_i64(self.max_time_ms);
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Option<Bounds> {
        Some(Bounds {
            start: bytes.try_get_i64().ok()?,
            next: bytes.try_get_i64().ok()?,
            bytes: bytes.try_get_u64().ok()?,
            max_time_ms: bytes.try_get_i64().ok()?,
        })
    }
}

impl Entry {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(28);
        bytes.put_u32(self.bytes);
        bytes.put_i64(self.came_ms);
        bytes.put_i64(self.max_time_ms);
        bytes.put_i64(self.running_max_time_ms);
        bytes
    }

    fn from_bytes(last_offset: i64, mut bytes: &[u8]) -> Option<Entry> {
        Some(Entry {
            last_offset,
            bytes: bytes.try_get_u32().ok()?,
            came_ms: bytes.try_get_i64().ok()?,
            max_time_ms: bytes.try_get_i64().ok()?,
            running_max_time_ms: bytes.try_get_i64().ok()?,
        })
    }
}
