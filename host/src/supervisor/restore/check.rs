//! The dry run of a job that begins from a savepoint: all that is asked of it, and nothing is changed.

use super::super::Supervisor;
use super::super::check::active_of;
use super::super::draft::{kept, with_kept};
use super::{ahead_of_clock, goes_on, is_free};
use crate::api::{Checked, Refusal, RestoreRequest, StateFate};
use std::fs::File;
use std::sync::Arc;
use streamhost_engine::guest::LogSink;
use streamhost_guest::compiler::Wanted;

impl Supervisor {
    /// What a savepoint would begin here. `Err`: it is none, or its component or settings cannot be
    /// read.
    pub(in super::super) fn check_savepoint(
        &self,
        savepoint: File,
        request: RestoreRequest,
        wanted: Wanted<'_>,
    ) -> Result<Checked, Refusal> {
        let ask = self.restore_ask(savepoint, request, wanted)?;
        let (name, loaded) = (&ask.deploy.name, &ask.deploy.loaded);
        let (settings, described) = self.described_under(&ask.set, loaded)?;
        let job = self.job(name);
        let mut checked = Checked {
            job: name.clone(),
            digest: ask.deploy.digest.clone(),
            component_bytes: ask.deploy.component.len(),
            contract: loaded.contract().to_owned(),
            imports: loaded.all_imports(),
            spec: None,
            dead_letter_topic: settings.dead_letter_topic(name),
            exists: Vec::new(),
            errors: Vec::new(),
            warnings: loaded.notice().into_iter().collect(),
            active: job.as_deref().map(active_of),
            set: ask.set.clone(),
            state: StateFate::None,
            starts: String::new(),
            creates: Vec::new(),
        };
        checked.warnings.extend(ask.saved.left_out.clone());
        let refusals = [is_free(job.as_deref(), name), self.has_room_for(name)];
        let refusals = refusals.into_iter().filter_map(Result::err);
        checked
            .errors
            .extend(refusals.map(|refusal| refusal.to_string()));
        let record = ask.record(settings.limits);
        let silent: LogSink = Arc::new(|_, _: &str| {});
        let (loaded, active) = (loaded.clone(), record.active());
        match self.prove(&silent, loaded, described, settings, active, &record) {
            Ok(active) => self.check_fit(&mut checked, &ask, active),
            Err(reason) => {
                let kept = kept(&ask.deploy.request, &ask.set);
                checked.errors.push(with_kept(reason, &kept));
            }
        }
        Ok(checked)
    }

    /// All that is asked of a version that is valid by itself.
    fn check_fit(
        &self,
        checked: &mut Checked,
        ask: &super::RestoreAsk,
        active: super::LoadedDeployment,
    ) {
        let create = ask.deploy.request.create_tables;
        let before = (Some(&ask.saved.checkpoint), &[][..]);
        self.check_active(checked, &active, create, before, goes_on());
        let batch = ask.saved.checkpoint.batch;
        checked.starts = format!("after batch {batch}, where the savepoint is");
        // What was told of servers already says why they cannot be asked more.
        if checked.errors.is_empty() {
            let fits = self.begun(ask, &active).and_then(|(checkpoint, _)| {
                let missing = self.missing_targets(&active, create)?;
                let mut warnings = self.lost_since(&active, &missing, &checkpoint)?;
                warnings.extend(ahead_of_clock(checkpoint.time_ms));
                Ok(warnings)
            });
            match fits {
                Ok(warnings) => checked.warnings.extend(warnings),
                Err(refusal) => checked.errors.push(refusal.to_string()),
            }
        }
        checked.spec = Some(Arc::new(active.spec));
    }
}
