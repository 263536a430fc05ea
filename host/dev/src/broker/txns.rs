//! Transactions: one open one at most for each transactional id, all of it durable, its end one
//! atomic write.

use super::offsets::{self, Committed};
use super::store::{PartitionKey, Store};
use super::{Broker, BrokerError, CallError};
use fjall::OwnedWriteBatch;
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use streamhost_core::limits::BROKER_TRANSACTIONAL_IDS_MAX;

const NEXT_PRODUCER_ID: &str = "cnext-producer-id";
/// Beyond it a producer gets a new id, so that epochs always have room for a fence.
const EPOCH_MAX: i16 = i16::MAX - 2;

/// Where a transactional id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Nothing since the producer began.
    Fresh,
    Open,
    Committed,
    Aborted,
}

/// A transactional id's producer and its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Txn {
    /// −1: never initialised, so only in memory.
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// The epoch whose transaction ran out of time: its producer may still begin anew.
    overdue_epoch: Option<i16>,
    /// The id and epoch that a producer gave up for the present ones. It may not have had the
    /// answer and ask again.
    #[serde(default)]
    replaced: Option<(i64, i16)>,
    timeout_ms: i64,
    pub(super) phase: Phase,
    started_ms: i64,
    /// When its producer or its last transaction began, to forget the longest unused one first. 0:
    /// not known.
    #[serde(default)]
    used_ms: i64,
    /// No longer in the list of transactional ids.
    #[serde(skip)]
    gone: bool,
    /// Topic id and partition.
    pub(super) partitions: BTreeSet<(u32, u32)>,
    pub(super) groups: BTreeSet<String>,
    pub(super) offsets: Vec<PendingOffset>,
}

/// An offset that is committed with its transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PendingOffset {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: Committed,
}

impl Txn {
    fn unborn() -> Txn {
        Txn {
            producer_id: -1,
            epoch: -1,
            overdue_epoch: None,
            replaced: None,
            timeout_ms: 0,
            phase: Phase::Fresh,
            started_ms: 0,
            used_ms: 0,
            gone: false,
            partitions: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: Vec::new(),
        }
    }

    /// Whether the caller is this transactional id's present producer.
    pub(super) fn check(
        &self,
        (id, epoch): (i64, i16),
        fenced: ResponseError,
    ) -> Result<(), ResponseError> {
        match (
            self.producer_id >= 0 && self.producer_id == id,
            self.epoch == epoch,
        ) {
            (false, _) => Err(ResponseError::InvalidProducerIdMapping),
            (true, false) => Err(fenced),
            (true, true) => Ok(()),
        }
    }

    /// The same, with a transaction that is open now if it was not.
    pub(super) fn opened(&self, now_ms: i64) -> Txn {
        match self.phase {
            Phase::Open => self.clone(),
            _ => Txn {
                phase: Phase::Open,
                started_ms: now_ms,
                used_ms: now_ms,
                ..self.clone()
            },
        }
    }

    /// What remains of a transaction that has ended.
    fn ended(&self, phase: Phase) -> Txn {
        let Txn {
            producer_id,
            epoch,
            timeout_ms,
            used_ms,
            ..
        } = *self;
        Txn {
            phase,
            producer_id,
            epoch,
            timeout_ms,
            used_ms,
            ..Txn::unborn()
        }
    }

    fn is_overdue(&self, now_ms: i64) -> bool {
        self.phase == Phase::Open && now_ms.saturating_sub(self.started_ms) > self.timeout_ms
    }

    pub(super) fn stage(&self, store: &Store, write: &mut OwnedWriteBatch, id: &str) {
        write.insert(
            &store.transactions,
            id,
            serde_json::to_vec(self).expect("plain values are JSON"),
        );
    }
}

/// All transactional ids, and the producer ids that were given out.
pub(super) struct Transactions {
    by_id: Mutex<HashMap<String, Arc<Mutex<Txn>>>>,
    next_producer_id: Mutex<i64>,
}

/// A poisoned lock holds what was last settled, as memory changes only after the store has.
pub(super) fn lock(txn: &Mutex<Txn>) -> MutexGuard<'_, Txn> {
    txn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None`: it is in use. For those who hold the list of ids, as they may not wait.
fn try_lock(txn: &Mutex<Txn>) -> Option<MutexGuard<'_, Txn>> {
    match txn.try_lock() {
        Ok(txn) => Some(txn),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Makes room for one more id, in the place of the longest unused one without an open transaction.
/// Whoever comes back with it begins anew.
fn forget_unused(
    store: &Store,
    ids: &mut HashMap<String, Arc<Mutex<Txn>>>,
) -> Result<(), CallError> {
    let unused = ids.iter().filter_map(|(id, txn)| {
        let txn = try_lock(txn)?;
        (txn.phase != Phase::Open).then_some((txn.used_ms, id))
    });
    let Some((_, id)) = unused.min() else {
        tracing::warn!(
            "the embedded broker has {BROKER_TRANSACTIONAL_IDS_MAX} open transactions and refuses one more              transactional id; end some, or use fewer ids"
        );
        return Err(ResponseError::PolicyViolation.into());
    };
    let (id, entry) = (id.clone(), ids[id].clone());
    // If it is in use after all, the newcomer is to ask again.
    let unused = try_lock(&entry).filter(|txn| txn.phase != Phase::Open);
    let mut txn = unused.ok_or(ResponseError::ConcurrentTransactions)?;
    store
        .transactions
        .remove(id.as_str())
        .map_err(BrokerError::from)?;
    *txn = Txn {
        gone: true,
        ..Txn::unborn()
    };
    ids.remove(&id);
    Ok(())
}

impl Transactions {
    pub(super) fn load(store: &Store) -> Result<Transactions, BrokerError> {
        let damaged = || BrokerError::Damaged {
            what: "the list of transactions",
        };
        let mut by_id = HashMap::new();
        for pair in store.transactions.iter() {
            let (key, value) = pair.into_inner()?;
            let id = String::from_utf8(key.to_vec()).map_err(|_| damaged())?;
            let txn: Txn = serde_json::from_slice(&value).map_err(|_| damaged())?;
            by_id.insert(id, Arc::new(Mutex::new(txn)));
        }
        let next = match store.meta.get(NEXT_PRODUCER_ID)? {
            None => 1,
            Some(bytes) => i64::from_be_bytes(bytes[..].try_into().map_err(|_| damaged())?),
        };
        Ok(Transactions {
            by_id: Mutex::new(by_id),
            next_producer_id: Mutex::new(next),
        })
    }

    /// A producer id that nobody else has or had. Durable in this write, so a later one cannot give
    /// it out again.
    pub(super) fn new_producer_id(&self, store: &Store) -> Result<i64, BrokerError> {
        let mut next = self
            .next_producer_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let id = *next;
        store
            .meta
            .insert(NEXT_PRODUCER_ID, (id + 1).to_be_bytes())?;
        *next = id + 1;
        Ok(id)
    }

    fn ids(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Txn>>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: &str) -> Result<Arc<Mutex<Txn>>, ResponseError> {
        self.ids()
            .get(id)
            .cloned()
            .ok_or(ResponseError::InvalidProducerIdMapping)
    }

    fn get_or_begin(&self, store: &Store, id: &str) -> Result<Arc<Mutex<Txn>>, CallError> {
        let mut ids = self.ids();
        if !ids.contains_key(id) && ids.len() >= BROKER_TRANSACTIONAL_IDS_MAX {
            forget_unused(store, &mut ids)?;
        }
        Ok(ids
            .entry(id.to_owned())
            .or_insert_with(|| Arc::new(Mutex::new(Txn::unborn())))
            .clone())
    }

    /// Ids whose transactions are open for longer than their producers said. Those that are in use
    /// at this moment are found the next time.
    fn overdue(&self, now_ms: i64) -> Vec<(String, Arc<Mutex<Txn>>)> {
        let ids = self.ids();
        let overdue = ids
            .iter()
            .filter(|(_, txn)| try_lock(txn).is_some_and(|txn| txn.is_overdue(now_ms)));
        overdue.map(|(id, txn)| (id.clone(), txn.clone())).collect()
    }

    /// Runs `append` while the transaction is open and has the partition, and cannot end meanwhile.
    pub(super) fn while_open(
        &self,
        id: &str,
        producer: (i64, i16),
        partition: PartitionKey,
        append: impl FnOnce() -> Result<i64, CallError>,
    ) -> Result<i64, CallError> {
        let txn = self.get(id)?;
        let txn = lock(&txn);
        txn.check(producer, ResponseError::InvalidProducerEpoch)?;
        if txn.phase != Phase::Open
            || !txn
                .partitions
                .contains(&(partition.topic, partition.partition))
        {
            return Err(ResponseError::InvalidTxnState.into());
        }
        append()
    }

    /// Partitions for which a group's offset is part of an open transaction. Transactions that are
    /// ending have ended when this returns.
    pub(super) fn pending_of_group(&self, group: &str) -> BTreeSet<(String, i32)> {
        let mut pending = BTreeSet::new();
        let all: Vec<Arc<Mutex<Txn>>> = self.ids().values().cloned().collect();
        for txn in &all {
            let txn = lock(txn);
            let of_group = txn
                .offsets
                .iter()
                .filter(|offset| txn.phase == Phase::Open && offset.group == group);
            pending.extend(of_group.map(|offset| (offset.topic.clone(), offset.partition)));
        }
        pending
    }
}

impl Broker {
    /// Begins a producer of a transactional id: all earlier ones are fenced, and their open
    /// transaction is aborted. `present` is what the caller believes to be its own id and epoch, if
    /// it has been here before.
    pub(super) fn begin_producer(
        &self,
        id: &str,
        timeout_ms: i64,
        present: Option<(i64, i16)>,
        fenced: ResponseError,
        now_ms: i64,
    ) -> Result<(i64, i16), CallError> {
        let entry = match present {
            None => self.transactions.get_or_begin(&self.store, id)?,
            Some(_) => self.transactions.get(id).map_err(|_| fenced)?,
        };
        let mut txn = lock(&entry);
        if txn.gone {
            return Err(ResponseError::ConcurrentTransactions.into()); // asked again, it begins anew
        }
        if let Some((producer_id, epoch)) = present {
            if txn.replaced == present && txn.phase == Phase::Fresh {
                return Ok((txn.producer_id, txn.epoch));
            }
            let is_known = txn.epoch == epoch || txn.overdue_epoch == Some(epoch);
            if txn.producer_id != producer_id || !is_known {
                return Err(fenced.into());
            }
        }
        let mut next = Txn {
            timeout_ms,
            replaced: present,
            used_ms: now_ms,
            ..txn.ended(Phase::Fresh)
        };
        if txn.producer_id < 0 || txn.epoch >= EPOCH_MAX {
            (next.producer_id, next.epoch) = (self.transactions.new_producer_id(&self.store)?, 0);
        } else {
            next.epoch = txn.epoch + 1;
        }
        let begun = (next.producer_id, next.epoch);
        if txn.phase == Phase::Open {
            let marker_epoch = txn.epoch + 1;
            self.end(id, &mut txn, next, marker_epoch, false, now_ms)?;
        } else {
            let mut write = self.store.write()?;
            next.stage(&self.store, &mut write, id);
            write.commit().map_err(BrokerError::from)?;
            *txn = next;
        }
        Ok(begun)
    }

    /// Ends an open transaction at its producer's wish.
    pub(super) fn end_open(
        &self,
        id: &str,
        txn: &mut Txn,
        commit: bool,
        now_ms: i64,
    ) -> Result<(), BrokerError> {
        let next = txn.ended(if commit {
            Phase::Committed
        } else {
            Phase::Aborted
        });
        self.end(id, txn, next, txn.epoch, commit, now_ms)
    }

    /// Aborts transactions that are open for longer than their producers said, and fences those
    /// producers.
    pub(super) fn abort_overdue(&self, now_ms: i64) -> Result<(), BrokerError> {
        for (id, entry) in self.transactions.overdue(now_ms) {
            let mut txn = lock(&entry);
            if !txn.is_overdue(now_ms) {
                continue; // ended meanwhile
            }
            tracing::warn!(
                "transaction {id} is open for more than its timeout of {} ms and is aborted",
                txn.timeout_ms
            );
            let marker_epoch = txn.epoch + 1;
            let next = Txn {
                epoch: marker_epoch,
                overdue_epoch: Some(txn.epoch),
                ..txn.ended(Phase::Aborted)
            };
            self.end(&id, &mut txn, next, marker_epoch, false, now_ms)?;
        }
        Ok(())
    }

    /// The end of a transaction, in one write that survives a power loss: markers, offsets, and
    /// what is `next`.
    fn end(
        &self,
        id: &str,
        txn: &mut Txn,
        next: Txn,
        marker_epoch: i16,
        commit: bool,
        now_ms: i64,
    ) -> Result<(), BrokerError> {
        let mut write = self.store.write_synced()?;
        let keys = txn
            .partitions
            .iter()
            .map(|&(topic, partition)| PartitionKey { topic, partition });
        // Those of deleted topics are gone.
        let partitions: Vec<_> = keys
            .filter_map(|key| self.topics.partition_of_id(key))
            .collect();
        let mut staged = Vec::with_capacity(partitions.len());
        for partition in &partitions {
            let state = partition.lock(); // ascending, and kept until the write is done
            if !state.is_deleted() {
                let producer = (txn.producer_id, marker_epoch);
                let marker = partition.stage_marker(
                    &self.store,
                    &state,
                    &mut write,
                    producer,
                    commit,
                    now_ms,
                );
                staged.push((state, marker));
            }
        }
        let kept = txn
            .offsets
            .iter()
            .filter(|offset| commit && self.topics.get(&offset.topic).is_some());
        for PendingOffset {
            group,
            topic,
            partition,
            committed,
        } in kept
        {
            offsets::stage(
                &self.store,
                &mut write,
                (group, topic, *partition),
                committed,
            );
        }
        next.stage(&self.store, &mut write, id);
        write.commit()?;
        for (mut state, marker) in staged {
            state.settle(marker);
        }
        *txn = next;
        Ok(())
    }
}
