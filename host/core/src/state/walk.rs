//! All entries of some stages as they stood at a batch boundary, portion by portion, while batches
//! are made durable behind it. Nothing is copied when it begins: what a batch is about to replace is
//! noted as it stood, where the walk has not passed it yet.

use super::{Delta, Entries, Most, StageId, StateStore, StoreError, Writes, merge};
use crate::limits::{STATE_CACHE_ENTRY_BYTES, STATE_KEY_BYTES_MAX};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};

/// Where a walk is. Whoever has it keeps writes and portions apart.
#[derive(Debug, Default)]
pub struct StateWalk {
    /// Stages that are not passed, ascending.
    left: VecDeque<StageId>,
    /// The first of them is passed below this key.
    from: Vec<u8>,
    /// Entries that are not passed and were written since the boundary, as they stood there.
    before: BTreeMap<StageId, Writes>,
    bytes: usize,
}

fn bytes_of(key: &[u8], value: Option<&Vec<u8>>) -> usize {
    key.len() + value.map_or(0, Vec::len) + STATE_CACHE_ENTRY_BYTES
}

impl StateWalk {
    /// A walk over these stages, as they are now.
    pub fn over(stages: impl IntoIterator<Item = StageId>) -> Self {
        let mut left: Vec<StageId> = stages.into_iter().collect();
        left.sort_unstable();
        StateWalk {
            left: left.into(),
            ..StateWalk::default()
        }
    }

    /// Whether a stage is one that it has not passed: it is not to be removed.
    pub fn needs(&self, stage: StageId) -> bool {
        self.left.contains(&stage)
    }

    /// Bytes that are noted, what surrounds them included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes what a batch is about to replace in the store. Of an entry that was noted before nothing
    /// changes.
    pub fn note(&mut self, store: &dyn StateStore, delta: &Delta) -> Result<(), StoreError> {
        for (&stage, writes) in &delta.stages {
            if !self.left.contains(&stage) {
                continue;
            }
            let is_first = self.left.front() == Some(&stage);
            let from: &[u8] = if is_first { &self.from } else { &[] };
            let noted = self.before.entry(stage).or_default();
            for key in writes.keys().filter(|key| key.as_slice() >= from) {
                if let Entry::Vacant(free) = noted.entry(key.clone()) {
                    let old = store.state(stage, key)?;
                    self.bytes += bytes_of(key, old.as_ref());
                    free.insert(old);
                }
            }
        }
        Ok(())
    }

    /// The next entries, of one stage, `most` at most; none: all stages are passed.
    pub fn portion(
        &mut self,
        store: &dyn StateStore,
        most: Most,
    ) -> Result<Option<(StageId, Entries)>, StoreError> {
        let end = [0xff; STATE_KEY_BYTES_MAX + 1]; // above every key
        while let Some(&stage) = self.left.front() {
            let layers: Vec<&Writes> = self.before.get(&stage).into_iter().collect();
            let range = (self.from.as_slice(), &end[..]);
            let found = merge::scan(store, &layers, stage, range, most)?;
            match found.last() {
                Some((last, _)) if most.is_reached(&found) => {
                    self.from = [last.as_slice(), &[0]].concat(); // the least key above it
                    self.forget_below(stage);
                }
                _ => {
                    self.left.pop_front();
                    self.from.clear();
                    let passed = self.before.remove(&stage).unwrap_or_default();
                    self.bytes -= sum(&passed);
                }
            }
            if !found.is_empty() {
                return Ok(Some((stage, found)));
            }
        }
        Ok(None)
    }

    /// What is passed is of no more use.
    fn forget_below(&mut self, stage: StageId) {
        if let Some(noted) = self.before.get_mut(&stage) {
            let left = noted.split_off(&self.from);
            self.bytes -= sum(&std::mem::replace(noted, left));
        }
    }
}

fn sum(writes: &Writes) -> usize {
    let bytes = writes.iter().map(|(key, old)| bytes_of(key, old.as_ref()));
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CheckpointLog;
    use crate::protocol::memory::MemoryStore;
    use crate::testing::{checkpoint, xorshift};

    type Model = BTreeMap<(StageId, Vec<u8>), Vec<u8>>;

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, below: u64) -> u64 {
            (xorshift(&mut self.0) >> 11) % below
        }
    }

    fn batch(dice: &mut Dice) -> Delta {
        let mut delta = Delta::default();
        for _ in 0..dice.roll(12) {
            let (stage, key) = (1 + dice.roll(3), vec![1, dice.roll(30) as u8]);
            let value = (dice.roll(3) > 0).then(|| vec![7; dice.roll(6) as usize]);
            delta.stages.entry(stage).or_default().insert(key, value);
        }
        delta
    }

    fn write(store: &MemoryStore, model: &mut Model, delta: &Delta, number: u64) {
        let written = store.write(Some((&checkpoint(number), delta)), None);
        written.expect("it is memory");
        for (&stage, writes) in &delta.stages {
            for (key, value) in writes {
                match value {
                    Some(value) => model.insert((stage, key.clone()), value.clone()),
                    None => model.remove(&(stage, key.clone())),
                };
            }
        }
    }

    fn run(seed: u64) {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let (store, mut model) = (MemoryStore::default(), Model::new());
        for number in 1..20 {
            write(&store, &mut model, &batch(&mut dice), number);
        }
        // The third stage is not walked over.
        let mut walk = StateWalk::over([2, 1]);
        let wanted: Model = (model.iter().filter(|((stage, _), _)| *stage < 3))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let (mut found, mut number) = (Vec::new(), 20);
        loop {
            for _ in 0..dice.roll(3) {
                let delta = batch(&mut dice);
                walk.note(&store, &delta).expect("it is memory");
                write(&store, &mut model, &delta, number);
                number += 1;
            }
            let most = Most::entries(1 + dice.roll(9) as usize);
            let Some((stage, entries)) = walk.portion(&store, most).expect("it is memory") else {
                break;
            };
            assert!(walk.needs(stage) || !entries.is_empty());
            found.extend(
                entries
                    .into_iter()
                    .map(|(key, value)| ((stage, key), value)),
            );
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        assert_eq!(found, wanted, "seed {seed}");
        assert_eq!(walk.bytes(), 0, "seed {seed}: what is passed is forgotten");
    }

    #[test]
    fn a_walk_finds_the_state_of_its_boundary_whatever_is_written_meanwhile() {
        (0..500).for_each(run);
    }

    #[test]
    fn what_is_passed_costs_nothing() {
        let store = MemoryStore::default();
        let all = Delta {
            stages: [(
                1,
                [(vec![1, 1], Some(vec![1])), (vec![1, 9], Some(vec![2]))].into(),
            )]
            .into(),
        };
        write(&store, &mut Model::new(), &all, 1);
        let mut walk = StateWalk::over([1]);
        walk.portion(&store, Most::entries(1))
            .expect("it is memory");
        let low = Delta {
            stages: [(1, [(vec![1, 1], None)].into())].into(),
        };
        walk.note(&store, &low).expect("it is memory");
        assert_eq!(walk.bytes(), 0);
        walk.note(&store, &all).expect("it is memory");
        assert!(walk.bytes() > 0);
    }
}
