//! Giving up what is planned, as the user asked with `--replan`: its records are run by the active
//! version.

use super::PipelineExit;
use super::committer::with_room;
use super::recovery::Recovery;
use streamhost_core::protocol::recovery_policy::SinkFacts;
use streamhost_core::protocol::replan::{Replan, replan};
use streamhost_core::protocol::{BatchIntent, Checkpoint};
use tracing::Level;

impl Recovery<'_> {
    /// The checkpoint with nothing planned after it, durable with one write. Batches whose records
    /// cannot be read again stay planned.
    pub(super) fn replan(
        &self,
        checkpoint: Option<Checkpoint>,
        intents: Vec<BatchIntent>,
        sinks: &[SinkFacts],
    ) -> Result<(Option<Checkpoint>, Vec<BatchIntent>), PipelineExit> {
        let (Some(before), Some(first), Some(last)) =
            (&checkpoint, intents.first(), intents.last())
        else {
            return Ok((checkpoint, intents));
        };
        if let Some(kept) = keeps_records(&intents) {
            let text = format!(
                "--replan: batch {kept} keeps records that cannot be read again, so what is planned is delivered as it is"
            );
            self.status.say(Level::WARN, &text);
            return Ok((checkpoint, intents));
        }
        let keyed = !self.active.spec.stages.is_empty();
        let Replan {
            checkpoint: given,
            repeated,
        } = replan(before, &intents, sinks, keyed)
            .map_err(|error| PipelineExit::Failed(error.to_string()))?;
        with_room(self.status, || self.store.begin(&given))?;
        let text = format!(
            "--replan: what is planned is given up, batches {} to {}, and version {} runs their records",
            first.batch, last.batch, self.active.version
        );
        self.status.say(Level::WARN, &text);
        for sink in repeated {
            let text = format!(
                "--replan: sink `{sink}` holds rows of a batch that is given up, and is given those of its records again"
            );
            self.status.say(Level::WARN, &text);
        }
        Ok((Some(given), Vec::new()))
    }
}

/// The first planned batch with records that are kept with it, as their source cannot be read again.
pub fn keeps_records(intents: &[BatchIntent]) -> Option<u64> {
    let mut keeping = intents
        .iter()
        .filter(|intent| !intent.retained_records.is_empty());
    keeping.next().map(|intent| intent.batch)
}
