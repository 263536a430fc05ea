//! The next version takes over between two batches, with what the one before it kept.

use super::calls::Guest;
use super::model::Bytes;
use super::stages::Store;
use super::{Driver, run};
use crate::describe::StageDef;
use crate::job::{Call, Job};

impl<J: for<'b> Fn(Call<'b>) -> Job<'b>> Driver<J> {
    /// The next version of the job takes over, with what the stages kept under their names,
    /// migrated where it says so. Rows, dead letters and lines of the log that were not asked for
    /// are gone with this version. Panics with the reason where a deploy would be refused.
    pub fn deploy<K: for<'b> Fn(Call<'b>) -> Job<'b>>(self, job: K) -> Driver<K> {
        let mut next = run(job);
        next.sources = self
            .sources
            .carry_to(&self.description.sources, &next.description.sources);
        next.clock_ms = self.clock_ms;
        next.clock_before_ms = self.clock_before_ms;
        next.watermark_ms = self.watermark_ms;
        let guest = Guest::new(&next.job, &next.description, &next.kinds);
        for ((stage, store), kind) in self
            .description
            .stages
            .iter()
            .zip(self.stores)
            .zip(&self.kinds)
        {
            let at = next
                .description
                .stages
                .iter()
                .position(|other| other.name == stage.name);
            let like = at.is_some_and(|at| kind.keeps_like(next.kinds[at]));
            if matches!(store, Store::Reduction(super::reduce::Kept::Nothing)) {
                continue;
            }
            match carry(stage, at.map(|at| &next.description.stages[at]), like) {
                Ok(Carry::AsItIs) => next.stores[at.unwrap_or_default()] = store,
                Ok(Carry::Migrated) => {
                    let at = at.unwrap_or_default();
                    next.stores[at] = migrated(&guest, at, store);
                }
                Err(refused) => panic!("the next version cannot be deployed: {refused}"),
            }
        }
        next.logs.extend(guest.into_logs());
        next
    }
}

enum Carry {
    AsItIs,
    Migrated,
}

/// What becomes of a stage's state in the next version. Err: the deploy is refused.
fn carry(old: &StageDef, new: Option<&StageDef>, like: bool) -> Result<Carry, String> {
    let name = &old.name;
    let Some(new) = new else {
        return Err(format!(
            "stage `{name}` is gone, and what it kept would be lost"
        ));
    };
    let same_keys = like && old.key_shape == new.key_shape && old.other_shape == new.other_shape;
    let (was, is) = (
        (&old.value_shape, old.version),
        (&new.value_shape, new.version),
    );
    if same_keys && was == is {
        return Ok(Carry::AsItIs);
    }
    if same_keys
        && new
            .migrates
            .as_ref()
            .is_some_and(|(shape, version)| (shape, *version) == was)
    {
        return Ok(Carry::Migrated);
    }
    Err(format!(
        "stage `{name}` kept {} (version {}) by {}, and now keeps {} (version {}) by {}",
        old.value_shape, old.version, old.key_shape, new.value_shape, new.version, new.key_shape
    ))
}

fn migrated(guest: &Guest<'_>, stage: usize, store: Store) -> Store {
    let Store::Reduction(mut kept) = store else {
        panic!(
            "the next version cannot be deployed: stage `{}` reduces nothing",
            guest.stage_name(stage)
        );
    };
    let mut places = kept.accumulators();
    let old: Vec<Bytes> = places
        .iter()
        .map(|accumulator| (**accumulator).clone())
        .collect();
    for (place, new) in places.iter_mut().zip(guest.migrate(stage, &old)) {
        **place = new;
    }
    Store::Reduction(kept)
}
