//! Whether two versions can run parts of one job, and what the job is with both.

use super::rows::Layout;
use crate::job::{ColumnSpec, JobSpec, Share, SinkSpec, StageSpec};

/// Whose something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The active version's.
    Active,
    /// The canary's.
    Canary,
}

/// Two versions of a job, and how their rows become those of one.
#[derive(Clone, Debug, PartialEq)]
pub struct CanaryPlan {
    /// What the canary runs.
    pub share: Share,
    /// The job with both: the columns of a sink are those of either version.
    pub spec: JobSpec,
    /// For each sink how rows of the active version are laid out anew, and those of the canary.
    pub layouts: [Vec<Layout>; 2],
}

impl CanaryPlan {
    /// Plans a canary beside the active version of a job. `Err`: why no part of the job can be run
    /// by it, and what to do.
    pub fn new(active: &JobSpec, canary: &JobSpec, share: Share) -> Result<Self, String> {
        by_partition(active, &share)?;
        if active.sources != canary.sources {
            return Err(format!("it reads other sources; {ELSE}"));
        }
        let stages = |spec: &JobSpec| {
            spec.stages
                .iter()
                .map(without_migration)
                .collect::<Vec<_>>()
        };
        if stages(active) != stages(canary) {
            return Err(format!(
                "its keyed stages, or what they keep, are others, and one state is for both versions; {ELSE}"
            ));
        }
        if let Some(stage) = chained(active) {
            return Err(format!(
                "what keyed stage `{stage}` makes goes on to another keyed stage, where results of both versions would \
                 meet under one key; {ELSE}"
            ));
        }
        let mut spec = active.clone();
        let mut layouts = [Vec::new(), Vec::new()];
        if active.sinks.len() != canary.sinks.len() {
            return Err(format!("it has other sinks; {ELSE}"));
        }
        for (sink, other) in spec.sinks.iter_mut().zip(&canary.sinks) {
            let before = sink.clone();
            *sink = both(&before, other)?;
            layouts[0].push(Layout::of(&before, sink));
            layouts[1].push(Layout::of(other, sink));
        }
        Ok(CanaryPlan {
            share,
            spec,
            layouts,
        })
    }

    /// Whether both versions run all records, and keys say what counts.
    pub fn is_by_key(&self) -> bool {
        !self.spec.stages.is_empty()
    }

    /// Whose a key is.
    pub fn side_of(&self, key: &[u8]) -> Side {
        match self.share.has_key(key) {
            true => Side::Canary,
            false => Side::Active,
        }
    }
}

const ELSE: &str = "such a version is tried with --shadow, or deployed";

/// A share in partitions is exact only where no partition meets another.
fn by_partition(active: &JobSpec, share: &Share) -> Result<(), String> {
    match (share, active.stages.first()) {
        (Share::Partitions(_), Some(stage)) => Err(format!(
            "stage `{}` brings together what has one key, from whatever partition: say a share of its keys, such as 5%",
            stage.name
        )),
        _ => Ok(()),
    }
}

/// A stage but for what it takes over from before: nothing is taken over here.
fn without_migration(stage: &StageSpec) -> StageSpec {
    StageSpec {
        migrates: None,
        ..stage.clone()
    }
}

/// A keyed stage that feeds another one.
fn chained(spec: &JobSpec) -> Option<&str> {
    let sources = spec.sources.len() as u32;
    let fed = spec.stages.iter().flat_map(|stage| &stage.inputs);
    let feeds = fed.filter_map(|input| input.checked_sub(sources)).min()?;
    spec.stages
        .get(feeds as usize)
        .map(|stage| stage.name.as_str())
}

/// A sink of both versions.
fn both(active: &SinkSpec, canary: &SinkSpec) -> Result<SinkSpec, String> {
    let name = &active.name;
    let but_columns = |sink: &SinkSpec| SinkSpec {
        columns: Vec::new(),
        headers: false,
        dynamic: false,
        ..sink.clone()
    };
    if but_columns(active) != but_columns(canary) {
        return Err(format!(
            "its sink `{name}` is another: of another connector, place, key or options; {ELSE}"
        ));
    }
    let is_raw = |sink: &SinkSpec| sink.columns.iter().any(|column| column.name.is_empty());
    if is_raw(active) != is_raw(canary) {
        return Err(format!(
            "rows of its sink `{name}` are otherwise in form; {ELSE}"
        ));
    }
    let mut columns = Vec::with_capacity(active.columns.len());
    for column in &active.columns {
        let same = canary
            .columns
            .iter()
            .find(|other| other.name == column.name);
        if let Some(other) = same.filter(|other| other.kind != column.kind) {
            return Err(format!(
                "column `{}` of its sink `{name}` is {} and was {}; {ELSE}",
                column.name,
                other.kind.word(),
                column.kind.word()
            ));
        }
        columns.push(ColumnSpec {
            optional: same.is_none_or(|other| other.optional) || column.optional,
            ..column.clone()
        });
    }
    for column in &canary.columns {
        if !columns.iter().any(|known| known.name == column.name) {
            columns.push(ColumnSpec {
                optional: true,
                ..column.clone()
            });
        }
    }
    Ok(SinkSpec {
        columns,
        headers: active.headers || canary.headers,
        dynamic: active.dynamic || canary.dynamic,
        ..active.clone()
    })
}
