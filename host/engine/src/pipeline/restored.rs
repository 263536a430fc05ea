//! A job that begins from a savepoint, once its sinks are its own: what exactly-once sinks hold from
//! after it is not given to them again, or the job stops. Its consumer group may be ahead of it.

use super::PipelineExit;
use super::committer::with_room;
use super::recovery::Recovery;
use streamhost_core::protocol::recovery_policy::SinkFacts;
use streamhost_core::protocol::savepoint::already_written;
use streamhost_core::protocol::{BatchIntent, Checkpoint};
use tracing::Level;

impl Recovery<'_> {
    /// The checkpoint with what the sinks hold already, durable before the first batch is planned.
    pub(super) fn minding_savepoint(
        &self,
        checkpoint: Option<Checkpoint>,
        intents: &[BatchIntent],
        sinks: &[SinkFacts],
    ) -> Result<Option<Checkpoint>, PipelineExit> {
        let before = match checkpoint {
            Some(checkpoint) if checkpoint.restored.is_some() => checkpoint,
            own => return Ok(own),
        };
        let keyed = !self.active.spec.stages.is_empty();
        let held = already_written(&before, intents, sinks, keyed)
            .map_err(|error| PipelineExit::Failed(error.to_string()))?;
        if held == before.already_written {
            return Ok(Some(before));
        }
        for sink in held.keys() {
            let text = format!(
                "sink `{sink}` holds rows from after the savepoint: it is not given those records again"
            );
            self.status.say(Level::WARN, &text);
        }
        let checkpoint = Checkpoint {
            already_written: held,
            ..before
        };
        with_room(self.status, || self.store.begin(&checkpoint))?;
        Ok(Some(checkpoint))
    }
}
