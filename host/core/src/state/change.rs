//! What becomes of kept state when another version takes over. Pure.

use super::shape::first_variants;
use super::{STAGES_PER_EPOCH, StageFacts, StageId, Stages};
use crate::job::{JobSpec, StageKind, StageSpec};
use std::collections::BTreeSet;

/// What a stage of the new version begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageChange {
    /// The stage's name.
    pub name: String,
    /// Its number in the job, sources included.
    pub number: u32,
    /// Where its state is from now on, and how much. Of a stage that keeps nothing: id 0.
    pub facts: StageFacts,
    /// How it comes to it.
    pub how: StateOrigin,
}

/// How a stage comes to its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOrigin {
    /// It keeps none.
    KeepsNothing,
    /// It begins with none.
    Begins,
    /// It goes on with what was kept.
    CarriedOn,
    /// It begins with what was kept, each accumulator made anew by the version's `migrate`.
    Migrated {
        /// Where that state is. It goes on being the old version's until a checkpoint names the new
        /// one.
        from: StageId,
    },
}

/// Why a version cannot take over a job's state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateRefusal {
    /// A stage with state is not there any more.
    #[error(
        "stage `{stage}`, which keeps state ({was}), is not in this version: give the stage that is to carry it on its name by `.named(\"{stage}\")`, or deploy with --reset-state to begin anew without it"
    )]
    Gone {
        /// The stage.
        stage: String,
        /// The shape of its accumulators, with its version.
        was: String,
    },
    /// Its accumulators are others.
    #[error(
        "stage `{stage}` has kept {was}, and this version's is {wanted}{}: put the old one back, or take it over by `.migrate_from` {was}, or deploy with --reset-state to begin anew. If it is another stage, give it another name by `.named(…)`",
        .migrates.as_ref().map(|from| format!(", which migrates from {from} only")).unwrap_or_default()
    )]
    Changed {
        /// The stage.
        stage: String,
        /// The shape of its accumulators, with its version.
        was: String,
        /// What this version has.
        wanted: String,
        /// What this version's `migrate` takes, if it has one.
        migrates: Option<String>,
    },
    /// Its accumulators may be the same, but keys, windows or the whole stage are others; no
    /// migration helps.
    #[error(
        "stage `{stage}` has kept its state as `{was}`, and this version's is `{wanted}`: put the old one back, or deploy with --reset-state to begin anew"
    )]
    Otherwise {
        /// The stage.
        stage: String,
        /// How it kept its state.
        was: String,
        /// How this version would.
        wanted: String,
    },
    /// What joins and lookups keep is not made of accumulators.
    #[error(
        "stage `{stage}` is a join or lookup that has kept {was}, and this version's is {wanted}: those cannot be migrated; put the old one back (`.version(…)` too), or deploy with --reset-state to begin anew"
    )]
    NoAccumulators {
        /// The stage.
        stage: String,
        /// The shapes of its items, with its version.
        was: String,
        /// What this version has.
        wanted: String,
    },
    /// All numbers of this life of the checkpoint are used.
    #[error("this job has had {STAGES_PER_EPOCH} stages: deploy with --reset-state to begin anew")]
    NoNumberLeft,
}

/// What the stages of `intent` begin with, in their order, after a version whose state is `before`:
/// the stages of the newest intent, or of the checkpoint where there is none. Every fault is told.
pub fn stages_after(
    before: &Stages,
    spec: &JobSpec,
    epoch: u64,
) -> Result<Vec<StageChange>, Vec<StateRefusal>> {
    let keeping: BTreeSet<&str> = spec
        .stages
        .iter()
        .filter(|s| s.keeps_state())
        .map(|s| s.name.as_str())
        .collect();
    let gone = before
        .iter()
        .filter(|(name, _)| !keeping.contains(name.as_str()));
    let mut faults: Vec<StateRefusal> = gone
        .map(|(name, facts)| StateRefusal::Gone {
            stage: name.clone(),
            was: words(&facts.shape),
        })
        .collect();
    let mut numbers = Numbers::after(before, epoch);
    let mut changes = Vec::new();
    for (i, stage) in spec.stages.iter().enumerate() {
        match change(before.get(&stage.name), stage, &mut numbers) {
            Ok((facts, how)) => {
                let number = (spec.sources.len() + i) as u32;
                changes.push(StageChange {
                    name: stage.name.clone(),
                    number,
                    facts,
                    how,
                });
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() {
        Ok(changes)
    } else {
        Err(faults)
    }
}

/// What the checkpoint is to know of the stages.
pub fn facts(changes: &[StageChange]) -> Stages {
    let keeping = changes
        .iter()
        .filter(|change| change.how != StateOrigin::KeepsNothing);
    keeping
        .map(|change| (change.name.clone(), change.facts.clone()))
        .collect()
}

/// The last number that a stage of before may have. What stands above it in the store is nobody's.
pub fn last_number(before: &Stages, epoch: u64) -> StageId {
    let first = epoch.saturating_mul(STAGES_PER_EPOCH).max(1);
    before
        .values()
        .map(|facts| facts.id)
        .max()
        .unwrap_or(0)
        .max(first - 1)
}

/// Where each stage's state is, in the order of the job's stages.
pub fn ids(changes: &[StageChange]) -> Vec<StageId> {
    changes.iter().map(|change| change.facts.id).collect()
}

fn change(
    before: Option<&StageFacts>,
    stage: &StageSpec,
    numbers: &mut Numbers,
) -> Result<(StageFacts, StateOrigin), StateRefusal> {
    if !stage.keeps_state() {
        return Ok((new_facts(stage, 0), StateOrigin::KeepsNothing));
    }
    let Some(before) = before else {
        return Ok((new_facts(stage, numbers.next()?), StateOrigin::Begins));
    };
    if before.fingerprint == stage.fingerprint() {
        return Ok((before.clone(), StateOrigin::CarriedOn));
    }
    refusal(before, stage).map_or_else(
        || {
            Ok((
                new_facts(stage, numbers.next()?),
                StateOrigin::Migrated { from: before.id },
            ))
        },
        Err,
    )
}

/// Why state that is not the same cannot be migrated either.
fn refusal(before: &StageFacts, stage: &StageSpec) -> Option<StateRefusal> {
    let name = stage.name.clone();
    let (shape, version) = before.shape.clone();
    let old = StageSpec {
        value_shape: shape,
        version,
        ..stage.clone()
    };
    let (was, wanted) = (words(&before.shape), words(&shape_of(stage)));
    if matches!(stage.kind, StageKind::Join(_) | StageKind::Lookup) {
        return Some(StateRefusal::NoAccumulators {
            stage: name,
            was: before.fingerprint.clone(),
            wanted: stage.fingerprint(),
        });
    }
    if old.fingerprint() != before.fingerprint {
        return Some(StateRefusal::Otherwise {
            stage: name,
            was: before.fingerprint.clone(),
            wanted: stage.fingerprint(),
        });
    }
    if !stage
        .migrates
        .as_ref()
        .is_some_and(|from| is(from, &before.shape))
    {
        let migrates = stage.migrates.as_ref().map(words);
        return Some(StateRefusal::Changed {
            stage: name,
            was,
            wanted,
            migrates,
        });
    }
    None
}

/// Whether accumulators of this shape and version are those that were kept. An older SDK told of an
/// enum only what its first variant holds: there the author's word for the others is taken.
fn is(from: &(String, u32), kept: &(String, u32)) -> bool {
    from == kept || from.1 == kept.1 && first_variants(&from.0) == kept.0
}

fn shape_of(stage: &StageSpec) -> (String, u32) {
    (stage.value_shape.clone(), stage.version)
}

fn words((shape, version): &(String, u32)) -> String {
    format!("`{shape}` version {version}")
}

fn new_facts(stage: &StageSpec, id: StageId) -> StageFacts {
    StageFacts {
        id,
        fingerprint: stage.fingerprint(),
        shape: shape_of(stage),
        keys: 0,
        bytes: 0,
    }
}

/// Numbers for new stages: above all that are named, as what is above them may be swept or
/// discarded.
struct Numbers {
    next: StageId,
    end: StageId,
}

impl Numbers {
    fn after(before: &Stages, epoch: u64) -> Numbers {
        let end = epoch
            .saturating_mul(STAGES_PER_EPOCH)
            .saturating_add(STAGES_PER_EPOCH);
        Numbers {
            next: last_number(before, epoch).saturating_add(1),
            end,
        }
    }

    fn next(&mut self) -> Result<StageId, StateRefusal> {
        if self.next >= self.end {
            return Err(StateRefusal::NoNumberLeft);
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
