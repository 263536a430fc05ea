//! Which partitions there are: new ones, those that are over for good, and those of tables, which
//! are read first.

use super::PipelineExit;
use super::data_loss::{how_to_skip, is_anew, made_anew};
use super::recovery::asked;
use super::runner::Runner;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::types::Partition;
use streamhost_core::{clock, limits};
use tracing::Level;

impl Runner<'_> {
    /// A table is read to the end that it has now before anything is looked up in it.
    pub(super) fn tables_first(&mut self) -> Result<(), PipelineExit> {
        let active = self.active.get();
        if active.spec.sources.iter().any(|source| source.table) {
            let ends = asked(self.status, || self.source.high_watermarks())?;
            let behind = |(partition, end): &(Partition, i64)| {
                self.at.get(partition).is_none_or(|at| at < end)
            };
            self.loading = ends.into_iter().filter(behind).collect();
        }
        Ok(())
    }

    /// Whether the last table came to its end just now.
    pub(super) fn loaded(&mut self) -> bool {
        let was_loading = !self.loading.is_empty();
        self.loading
            .retain(|partition, end| self.at.get(partition).is_none_or(|at| at < end));
        was_loading && self.loading.is_empty()
    }

    /// Forgets partitions that are over for good, and reads those that the job has not seen yet
    /// from their first record. True: there are some.
    pub(super) fn new_partitions(&mut self, at_start: bool) -> Result<bool, PipelineExit> {
        self.told.partitions_due = clock::monotonic() + limits::PARTITIONS_TIME;
        let there = match self.source.partitions() {
            Ok(there) => there,
            Err(error) if error.may_pass() && !at_start => {
                self.status.waiting("source", &error.to_string());
                // One of several may have news, and is not asked at once again.
                self.status.stop.pause(limits::BACKOFF.0);
                return Ok(false);
            }
            Err(error) if error.may_pass() => asked(self.status, || self.source.partitions())?,
            Err(error) => return Err(PipelineExit::Failed(error.to_string())),
        };
        // At the start the recovery has just looked.
        if !at_start
            && let Ok(ids) = self.source.topic_ids()
            && let Some(topic) = made_anew(&self.topic_ids, &ids).first()
        {
            return Err(PipelineExit::Failed(how_to_skip(self.job, &is_anew(topic))));
        }
        let forgot = self.forget();
        let is_new = |partition: &Partition| {
            !self.at.contains_key(partition) && !self.forgotten.contains(partition)
        };
        if !there.iter().any(is_new) {
            return Ok(forgot);
        }
        let first = asked(self.status, || self.source.start(StartPosition::Earliest))?;
        for (partition, offset) in first {
            if !self.at.contains_key(&partition) && !self.forgotten.contains(&partition) {
                let topic = &self.topics[usize::from(partition.source)];
                self.status.say(
                    Level::INFO,
                    &format!("a new partition: {} of `{topic}`", partition.id),
                );
                self.at.insert(partition, offset);
            }
        }
        Ok(true)
    }

    /// Forgets what is over for good, unless the watermark still needs it. True: there was
    /// something.
    pub(super) fn forget(&mut self) -> bool {
        let active = self.active.get();
        let mut over = self.source.finished_partitions(&self.at);
        over.retain(|partition| {
            self.at.contains_key(partition)
                && self.runs.executor.may_forget(&active.spec, *partition)
        });
        for partition in &over {
            self.at.remove(partition);
            self.loading.remove(partition);
        }
        self.forgotten.extend(&over);
        !over.is_empty()
    }
}
