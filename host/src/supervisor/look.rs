//! What keyed stages keep, read from the newest checkpoint beside the job.

use super::Supervisor;
use super::deploy::unavailable;
use crate::api::{AskedKey, AskedKeys, Refusal, StateAsk, StateView};
use streamhost_core::job::{JobSpec, StageSpec};
use streamhost_core::keyed::look::{KeptPage, WantedKeys, page};
use streamhost_core::state::shape::key_bytes;

impl Supervisor {
    /// A page of a stage's state. Whether the job runs is of no matter.
    pub(super) fn look_at(&self, name: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
        let job = self.known(name)?;
        let active = job.state().active.as_ref().map(|slot| slot.get());
        let active = active.ok_or_else(|| {
            Refusal::Conflict(format!(
                "the component of job `{name}` is not loaded, so its stages are not known: `streamhost status {name}` says why"
            ))
        })?;
        let stage = stage(&active.spec, &ask.stage)?;
        let keys = wanted(stage, &ask.keys)?;
        let view = |batch, value_shape: &str, page| StateView {
            batch,
            stage: stage.clone(),
            value_shape: value_shape.to_owned(),
            page,
        };
        let nothing = |batch| view(batch, &stage.value_shape, KeptPage::default());
        let snapshot = self.checkpoint_logs.of(name).snapshot();
        let checkpoint = snapshot.checkpoint().map_err(|e| unavailable(&e))?;
        let Some(checkpoint) = checkpoint.filter(|found| !active.resets(Some(found))) else {
            return Ok(nothing(0));
        };
        let Some(kept) = checkpoint.stages.get(&stage.name) else {
            return Ok(nothing(checkpoint.batch));
        };
        let found = page(
            stage,
            &keys,
            ask.start.clone(),
            ask.most,
            |from, to, most| snapshot.states(kept.id, from, to, most),
        );
        let found = found.map_err(|e| unavailable(&e))?;
        Ok(view(checkpoint.batch, &kept.shape.0, found))
    }
}

fn stage<'s>(spec: &'s JobSpec, name: &str) -> Result<&'s StageSpec, Refusal> {
    let found = spec.stages.iter().find(|stage| stage.name == name);
    found.ok_or_else(|| {
        let all = spec.stages.iter().map(|stage| format!("`{}`", stage.name));
        let there = match all.collect::<Vec<_>>() {
            none if none.is_empty() => "it has none".to_owned(),
            all => format!("there are {}", all.join(", ")),
        };
        let (job, name) = (&spec.name, name.chars().take(200).collect::<String>());
        Refusal::NotFound(format!("job `{job}` has no keyed stage `{name}`: {there}"))
    })
}

fn wanted(stage: &StageSpec, asked: &AskedKeys) -> Result<WantedKeys, Refusal> {
    let bytes = |key: &AskedKey, whole| match key {
        AskedKey::Bytes(bytes) => Ok(bytes.clone()),
        AskedKey::Text(text) => key_bytes(&stage.key_shape, text, whole).map_err(Refusal::Invalid),
    };
    Ok(match asked {
        AskedKeys::All => WantedKeys::All,
        AskedKeys::Key(key) => WantedKeys::Key(bytes(key, true)?),
        AskedKeys::Prefix(key) => WantedKeys::Prefix(bytes(key, false)?),
    })
}
