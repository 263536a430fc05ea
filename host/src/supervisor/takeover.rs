//! Jobs that come from other hosts, and go to them.

use super::actor::patience;
use super::machine::{self, Kept};
use super::restore::saved::Saved;
use super::{Asked, Begin, Job, Supervisor};
use crate::api::{Refusal, RestoreRequest};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Seek;
use std::sync::Arc;
use streamhost_core::{clock, limits};
use streamhost_engine::guest::LogSink;
use streamhost_engine::pipeline::Stop;
use streamhost_guest::compiler::Wanted;
use streamhost_storage::catalog::sha256;

impl Supervisor {
    /// Takes up a job whose record, checkpoint and state are in the store, and were not when the host
    /// started. One that has no record, as it is about to be deployed, is nothing yet. `Err`: the
    /// store cannot be read.
    pub(crate) fn take_over(&self, name: &str) -> Result<(), String> {
        // What an undeploy that was cut off has left.
        let swept = self.checkpoint_logs.sweep_forgotten_of(name);
        swept.map_err(|error| error.to_string())?;
        let Some(stored) = self.catalog.job(name).map_err(|error| error.to_string())? else {
            return Ok(());
        };
        for control in machine::restored(vec![stored]) {
            let job = match &control.kept {
                Kept::Record(record) => Job::new(record.clone(), &self.logs),
                Kept::Nothing | Kept::Unreadable(_) => Job::unreadable(name, &self.logs),
            };
            self.claim_again(name, control.record());
            let job = Arc::new(job);
            self.jobs().insert(name.to_owned(), job.clone());
            self.add_actor(control, job);
        }
        // One that cannot start says so itself, in its status.
        self.ask(name, Asked::Open(Begin::Jobs))
            .map(drop)
            .map_err(|refusal| refusal.to_string())
    }

    /// Stops a job that another host runs from now on, and knows it no more. Nothing of it is
    /// forgotten on the disk.
    pub(crate) fn give_up(&self, name: &str, how: Stop) {
        if let Some(job) = self.job(name) {
            job.shadows.end("its job moved to another host");
            job.replays.end("its job moved to another host");
            job.state().pipeline_status.stop.request(how);
        }
        let asked = clock::monotonic();
        if let Ok(told) = self.tell(name, Asked::Close { how, asked }) {
            let most = patience(how) + 2 * limits::STOP_TIME;
            if told.recv_timeout(most).is_err() {
                tracing::warn!("`{name}` has not stopped here; whoever runs it now fences it");
            }
        }
        self.forget_actor(name);
        self.jobs().remove(name);
        self.claims().release(name, BTreeSet::new());
    }

    /// What the job of a component is called, which has to be compiled for that.
    pub(crate) fn name_of(&self, component: &[u8], wanted: Wanted<'_>) -> Result<String, Refusal> {
        let settings = self.settings_of(&BTreeMap::new())?;
        self.signer_of(component)?; // before any of its code is compiled
        let silent: LogSink = Arc::new(|_, _: &str| {});
        let digest = sha256(component);
        let loaded = self.load(&silent, &digest, component, &settings, wanted);
        Ok(loaded.map_err(Refusal::Invalid)?.1.name)
    }

    /// What the job of a savepoint is to be called; gives the file back.
    pub(crate) fn name_of_savepoint(
        &self,
        mut savepoint: File,
        request: &RestoreRequest,
    ) -> Result<(File, String), Refusal> {
        let unreadable = |e: std::io::Error| Refusal::Unavailable(e.to_string());
        let saved = Saved::read(savepoint.try_clone().map_err(unreadable)?)?;
        savepoint.rewind().map_err(unreadable)?;
        let name = request.deploy.name.clone();
        Ok((savepoint, name.unwrap_or(saved.record.name)))
    }
}
