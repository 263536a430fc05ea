//! One stage at work in one batch: its state, its calls, and where its results go.

use super::merge::Merge;
use super::shuffle::{self, Item};
use super::stage_store::StageStore;
use super::times::StageTimes;
use super::{GroupDeadLetter, KeyedError, Made, StageWorkers};
use crate::contract::{
    Combined, Finished, GroupFault, Groups, KeyOutcome, Moment, Pairs, Partials, VersionFault,
};
use crate::job::{JobSpec, StageSpec};
use crate::limits;
use crate::state::Most;
use crate::types::{Column, Keyed, NO_TIME_MS};

/// How much is held at once. What comes of it does not depend on these.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portion {
    /// Groups or pairs that are asked of the guest's lanes at once.
    pub(super) groups: usize,
    /// Bytes of them.
    pub(super) bytes: usize,
    /// What is to be merged for one key: not a portion but the end, as no guest could hold more.
    pub(super) group_bytes: usize,
    /// What is read of the state at once.
    pub(super) look: Most,
    /// Pairs of a join in one batch: not a portion but the end.
    pub(super) pairs: u64,
    /// Early results of a stage in one batch: likewise.
    pub(super) early: usize,
    /// Keys whose expiry is due that one batch looks at. What it leaves is due in the next one, and
    /// no row shows it.
    pub(super) expiries: usize,
}

impl Portion {
    /// What each of so many walks reads at once that go on side by side. Together they hold more
    /// than a lone one does, or they would read a few entries at a time.
    pub(super) fn look_beside(self, walks: usize) -> Most {
        let (walks, Most { entries, bytes }) = (walks.max(1), self.look);
        let least = (entries / 16).max(1);
        Most {
            entries: (entries.saturating_mul(32) / walks).clamp(least, entries.max(1)),
            bytes: (self.bytes / walks).min(bytes),
        }
    }

    /// Those of a job whose guests may have so much memory.
    pub(super) fn of(memory_bytes: usize) -> Self {
        Portion {
            groups: limits::KEYED_PORTION_GROUPS_MAX,
            bytes: limits::KEYED_PORTION_BYTES_MAX,
            group_bytes: memory_bytes,
            look: Most {
                entries: limits::KEYED_SCAN_ENTRIES_MAX,
                bytes: limits::KEYED_SCAN_BYTES_MAX,
            },
            pairs: limits::JOIN_PAIRS_PER_BATCH_MAX,
            early: limits::EARLY_WINDOWS_PER_BATCH_MAX,
            expiries: limits::EXPIRY_KEYS_PER_BATCH_MAX,
        }
    }
}

/// What the batch's stages have made so far.
pub(super) struct StageOutput {
    pub(super) made: Made,
    /// For each stage what is on its way to it.
    inbox: Vec<Vec<Keyed>>,
}

impl StageOutput {
    pub(super) fn new(spec: &JobSpec) -> Self {
        let made = Made {
            rows: vec![Vec::new(); spec.sinks.len()],
            ..Made::default()
        };
        StageOutput {
            made,
            inbox: vec![Vec::new(); spec.stages.len()],
        }
    }

    /// Puts what a source or stage made before its stage.
    pub(super) fn send(
        &mut self,
        spec: &JobSpec,
        from: Option<u32>,
        part: Keyed,
    ) -> Result<(), VersionFault> {
        shuffle::check(&part, spec, from).map_err(VersionFault::Contract)?;
        self.inbox[part.stage as usize - spec.sources.len()].push(part);
        Ok(())
    }

    /// What is before a stage, in canonical order: of sources first, then of the stages in their
    /// order.
    pub(super) fn take(&mut self, stage: usize) -> Vec<Keyed> {
        std::mem::take(&mut self.inbox[stage])
    }
}

/// A stage at work.
pub(super) struct Stage<'a> {
    pub(super) job: &'a JobSpec,
    pub(super) spec: &'a StageSpec,
    /// Its number in the job, sources included.
    pub(super) number: u32,
    pub(super) times: StageTimes,
    pub(super) portion: Portion,
    pub(super) store: StageStore<'a>,
    pub(super) calls: &'a mut dyn StageWorkers,
    pub(super) out: &'a mut StageOutput,
    pub(super) ready: Ready,
    pub(super) stopped: &'a dyn Fn() -> bool,
}

/// Results that wait for their call: of one stage groups or pairs, never both.
#[derive(Default)]
pub(super) struct Ready {
    groups: Groups,
    pairs: Pairs,
    /// The pairs' keys, for their letters.
    pair_keys: Column,
}

impl Stage<'_> {
    /// Asked before each portion: a batch may take long, and whoever stops a job waits for it.
    pub(super) fn check_stop(&self) -> Result<(), KeyedError> {
        if (self.stopped)() {
            Err(KeyedError::Stopped)
        } else {
            Ok(())
        }
    }

    /// Has all lanes read these entries that are needed next, as far as that is quicker than to read
    /// them then.
    pub(super) fn read_ahead(
        &mut self,
        keys: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), KeyedError> {
        let unread = self.store.unread(keys);
        if unread.is_empty() {
            return Ok(());
        }
        for found in self.calls.read(unread)? {
            self.store.learn(found?);
        }
        Ok(())
    }

    /// Groups that are to be merged: none yet.
    pub(super) fn merge(&self) -> Merge {
        Merge::new(self.portion, self.calls.minds_keys())
    }

    pub(super) fn combine(
        &mut self,
        keys: Option<&Column>,
        partials: &Partials,
    ) -> Result<Combined, VersionFault> {
        match keys {
            Some(keys) => self.calls.combine_of(self.number, keys, partials),
            None => self.calls.combine(self.number, partials),
        }
    }

    /// Leaves out what is too late, and counts it.
    pub(super) fn drop_late(
        &mut self,
        items: &mut Vec<Item<'_>>,
        is_late: impl Fn(&Item<'_>) -> bool,
    ) {
        let all = items.len();
        items.retain(|item| !is_late(item));
        self.out.made.late += (all - items.len()) as u64;
    }

    /// A group is over, or stands so after the batch.
    pub(super) fn give_group(
        &mut self,
        key: &[u8],
        accumulator: &[u8],
        from_ms: i64,
        to_ms: i64,
    ) -> Result<(), KeyedError> {
        let groups = &mut self.ready.groups;
        groups.keys.push(key);
        groups.accumulators.push(accumulator);
        groups.starts_ms.push(from_ms);
        groups.ends_ms.push(to_ms);
        let bytes = groups.keys.data.len() + groups.accumulators.data.len();
        if groups.keys.len() >= self.portion.groups || bytes >= self.portion.bytes {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// An item has a partner, or will have none.
    pub(super) fn give_pair(
        &mut self,
        key: &[u8],
        left: Option<&[u8]>,
        right: Option<&[u8]>,
        time_ms: i64,
    ) -> Result<(), KeyedError> {
        self.ready.pair_keys.push(key);
        let pairs = &mut self.ready.pairs;
        if left.is_none() {
            pairs.absent_lefts.push(pairs.lefts.len() as u32);
        }
        if right.is_none() {
            pairs.absent_rights.push(pairs.lefts.len() as u32);
        }
        pairs.lefts.push(left.unwrap_or_default());
        pairs.rights.push(right.unwrap_or_default());
        pairs.times_ms.push(time_ms);
        let bytes =
            pairs.lefts.data.len() + pairs.rights.data.len() + self.ready.pair_keys.data.len();
        if pairs.lefts.len() >= self.portion.groups || bytes >= self.portion.bytes {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Finishes what was given. Must be called at the stage's end.
    pub(super) fn flush(&mut self) -> Result<(), KeyedError> {
        let ready = std::mem::take(&mut self.ready);
        let finished = match ready.groups.keys.is_empty() {
            true => Finished::Pairs(ready.pairs),
            false => Finished::Groups(ready.groups),
        };
        if finished.is_empty() {
            return Ok(());
        }
        let (_, faults) = self.ask(&finished, &ready.pair_keys)?;
        for fault in faults {
            if fault.by_host {
                self.broke();
            }
            let (time_ms, key, value) = match &finished {
                Finished::Groups(groups) => {
                    let value = groups.accumulators.get(fault.at).to_vec();
                    (groups.starts_ms[fault.at], groups.keys.get(fault.at), value)
                }
                Finished::Pairs(pairs) => {
                    let both = [pairs.lefts.get(fault.at), pairs.rights.get(fault.at)].concat();
                    (
                        pairs.times_ms[fault.at],
                        ready.pair_keys.get(fault.at),
                        both,
                    )
                }
                Finished::Keys(_) => unreachable!("keys are never ready"),
            };
            self.failed(fault.reason, time_ms, key, &value);
        }
        Ok(())
    }

    /// Asks the guest, and hands on what it made. What failed, and what became of keys, is up to
    /// who asks.
    pub(super) fn ask(
        &mut self,
        finished: &Finished,
        pair_keys: &Column,
    ) -> Result<(Vec<KeyOutcome>, Vec<GroupFault>), KeyedError> {
        self.check_stop()?;
        // What comes of a keyed stage is on time by the way that watermarks are worked out, so the
        // call knows none.
        let moment = Moment {
            batch_ms: self.times.clock_ms,
            watermark_ms: NO_TIME_MS,
            partition_ms: NO_TIME_MS,
        };
        let made = self
            .calls
            .finish_of(self.number, moment, pair_keys, finished)?;
        for (sink, rows) in self.out.made.rows.iter_mut().zip(made.rows) {
            sink.extend(rows);
        }
        for part in made.keyed {
            self.out.send(self.job, Some(self.number), part)?;
        }
        Ok((made.outcomes, made.faults))
    }

    /// A group could not be merged, or a key broke the guest.
    pub(super) fn letter(
        &mut self,
        reason: impl Into<String>,
        time_ms: i64,
        key: &[u8],
        value: &[u8],
    ) {
        self.broke(); // a guest can refuse neither
        self.failed(reason, time_ms, key, value);
    }

    fn broke(&mut self) {
        let broken = &mut self.out.made.broken;
        *broken.entry(self.spec.name.clone()).or_default() += 1;
    }

    /// A group or pair, or what a key was to be given, failed.
    pub(super) fn failed(
        &mut self,
        reason: impl Into<String>,
        time_ms: i64,
        key: &[u8],
        value: &[u8],
    ) {
        let (stage, reason) = (self.spec.name.clone(), reason.into());
        self.out.made.dead_letters.push(GroupDeadLetter {
            stage,
            reason,
            time_ms,
            key: key.to_vec(),
            value: value.to_vec(),
        });
    }
}
