//! Brings the store to what a new version begins with: room for new stages, and what was kept made
//! anew for it.

use super::change::{StageChange, StateOrigin};
use super::{Entries, Most, StageId, StateStore, StoreError, is_kept};
use crate::job::StageKind;
use crate::limits::{STATE_MIGRATE_BYTES_MAX, STATE_MIGRATE_ENTRIES_MAX};
use crate::types::Column;

/// How the keyed stages keep accumulators in entries.
pub trait Format {
    /// The accumulators in an entry; none: it has none, and is copied as it is.
    fn accumulators<'a>(
        &self,
        kind: &'a StageKind,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Option<Vec<&'a [u8]>>;

    /// The entry's value with other accumulators, as many as it had.
    fn with_accumulators(
        &self,
        kind: &StageKind,
        key: &[u8],
        value: &[u8],
        accumulators: &[&[u8]],
    ) -> Vec<u8>;
}

/// The two as functions.
impl<A, W> Format for (A, W)
where
    A: for<'a> Fn(&'a StageKind, &'a [u8], &'a [u8]) -> Option<Vec<&'a [u8]>>,
    W: Fn(&StageKind, &[u8], &[u8], &[&[u8]]) -> Vec<u8>,
{
    fn accumulators<'a>(
        &self,
        kind: &'a StageKind,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Option<Vec<&'a [u8]>> {
        (self.0)(kind, key, value)
    }

    fn with_accumulators(
        &self,
        kind: &StageKind,
        key: &[u8],
        value: &[u8],
        accumulators: &[&[u8]],
    ) -> Vec<u8> {
        (self.1)(kind, key, value, accumulators)
    }
}

/// Why state could not be migrated. The old state stands as it was.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The version's.
    #[error("the kept accumulators cannot be migrated: {0}; nothing was changed")]
    Refused(String),
    /// The version answered too few or too many.
    #[error(
        "`migrate` was given {given} accumulators and made {made}: one for each is wanted; nothing was changed"
    )]
    Count {
        /// How many were given.
        given: usize,
        /// How many came back.
        made: usize,
    },
    /// The job is to stop; it is begun again later.
    #[error("the job is to stop")]
    Stopped,
}

/// Makes this version's accumulators, one for each, of the older version's. An error is in words
/// for the user.
pub type Convert<'a> = dyn FnMut(Column) -> Result<Column, String> + 'a;

/// Makes the store ready for what the stages begin with. What other tries left under new numbers is
/// removed; the state of migrated stages is written under its new number, and counted in `changes`.
/// `convert` is told which stage by its number. Nothing that the old version needs is touched, and
/// nothing names the new state until an intent does; so the batches of the old version must have
/// ended, or what they change afterwards is lost. `stopped` is asked again and again whether to
/// leave it.
pub fn prepare(
    store: &dyn StateStore,
    changes: &mut [StageChange],
    kind: impl Fn(&StageChange) -> StageKind,
    format: &dyn Format,
    convert: &mut dyn FnMut(u32, Column) -> Result<Column, String>,
    stopped: &dyn Fn() -> bool,
) -> Result<(), MigrateError> {
    for change in changes {
        let to = change.facts.id;
        match change.how {
            StateOrigin::KeepsNothing | StateOrigin::CarriedOn => {}
            StateOrigin::Begins => store.discard(to)?,
            StateOrigin::Migrated { from } => {
                let (kind, number) = (kind(change), change.number);
                let mut convert = |column| convert(number, column);
                let counts = migrate(store, (from, to), &kind, format, &mut convert, stopped)?;
                (change.facts.keys, change.facts.bytes) = counts;
            }
        }
    }
    Ok(())
}

/// Copies a stage's entries under another number, with their accumulators made anew. Gives how many
/// entries there are, and their bytes with keys. After an error nothing is left there; after a stop
/// what is left is removed by the next try.
pub fn migrate(
    store: &dyn StateStore,
    (from, to): (StageId, StageId),
    kind: &StageKind,
    format: &dyn Format,
    convert: &mut Convert<'_>,
    stopped: &dyn Fn() -> bool,
) -> Result<(u64, u64), MigrateError> {
    store.discard(to)?;
    let copied = copy(store, (from, to), kind, format, convert, stopped);
    if copied
        .as_ref()
        .is_err_and(|error| !matches!(error, MigrateError::Stopped))
    {
        store.discard(to)?;
    }
    copied
}

fn copy(
    store: &dyn StateStore,
    (from, to): (StageId, StageId),
    kind: &StageKind,
    format: &dyn Format,
    convert: &mut Convert<'_>,
    stopped: &dyn Fn() -> bool,
) -> Result<(u64, u64), MigrateError> {
    let mut all = (0, 0);
    portions(store, from, stopped, |mut entries: Entries| {
        rewrite(&mut entries, kind, format, convert)?;
        store.prepare(to, &entries)?;
        add_counts(&mut all, &entries);
        Ok(())
    })?;
    Ok(all)
}

/// How many entries a stage keeps for keys, and the bytes of all, counted one by one.
pub fn counts(
    store: &dyn StateStore,
    stage: StageId,
    stopped: &dyn Fn() -> bool,
) -> Result<(u64, u64), MigrateError> {
    let mut all = (0, 0);
    portions(store, stage, stopped, |entries: Entries| {
        add_counts(&mut all, &entries);
        Ok(())
    })?;
    Ok(all)
}

fn add_counts((keys, bytes): &mut (u64, u64), entries: &Entries) {
    *keys += entries.iter().filter(|(key, _)| is_kept(key)).count() as u64;
    *bytes += entries
        .iter()
        .map(|(key, value)| (key.len() + value.len()) as u64)
        .sum::<u64>();
}

/// Gives all entries of a stage, so many at a time.
fn portions(
    store: &dyn StateStore,
    stage: StageId,
    stopped: &dyn Fn() -> bool,
    mut each: impl FnMut(Entries) -> Result<(), MigrateError>,
) -> Result<(), MigrateError> {
    let most = Most {
        entries: STATE_MIGRATE_ENTRIES_MAX,
        bytes: STATE_MIGRATE_BYTES_MAX,
    };
    let mut begin = Vec::new();
    loop {
        if stopped() {
            return Err(MigrateError::Stopped);
        }
        let entries = store.states(stage, &begin, None, most)?;
        let Some((last, _)) = entries.last() else {
            return Ok(());
        };
        begin = [last.as_slice(), &[0]].concat();
        each(entries)?;
    }
}

/// Makes the accumulators of a portion of entries anew, all in one call.
fn rewrite(
    entries: &mut [(Vec<u8>, Vec<u8>)],
    kind: &StageKind,
    format: &dyn Format,
    convert: &mut Convert<'_>,
) -> Result<(), MigrateError> {
    let mut old = Column::default();
    let mut counts = Vec::new();
    for (key, value) in &*entries {
        let accumulators = format.accumulators(kind, key, value);
        counts.push(accumulators.as_ref().map_or(0, Vec::len));
        accumulators
            .into_iter()
            .flatten()
            .for_each(|accumulator| old.push(accumulator));
    }
    if old.is_empty() {
        return Ok(());
    }
    let given = old.len();
    let new = convert(old).map_err(MigrateError::Refused)?;
    if new.len() != given {
        return Err(MigrateError::Count {
            given,
            made: new.len(),
        });
    }
    let mut made = new.iter();
    for ((key, value), count) in entries.iter_mut().zip(counts) {
        let accumulators: Vec<_> = made.by_ref().take(count).collect();
        if count > 0 {
            *value = format.with_accumulators(kind, key, value, &accumulators);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "migrate_tests.rs"]
mod tests;
