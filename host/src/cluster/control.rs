//! What stands in the cluster's control topic, as far as this host has read it.

use super::records::{Claim, HostRecord, Placement, Record};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_connectors::kafka::log::{LogError, LogRead, LogReader};
use streamhost_core::{clock, limits};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    pub(crate) hosts: BTreeMap<String, HostRecord>,
    pub(crate) jobs: BTreeMap<String, Claim>,
    pub(crate) placement: Placement,
    /// It was read to its end at least once.
    pub(crate) is_whole: bool,
    /// Why it is not read on, if so.
    pub(crate) trouble: Option<String>,
}

impl View {
    fn take(&mut self, record: Record) {
        match record {
            Record::Host(name, Some(host)) => drop(self.hosts.insert(name, host)),
            Record::Host(name, None) => drop(self.hosts.remove(&name)),
            Record::Job(name, Some(claim)) => drop(self.jobs.insert(name, claim)),
            Record::Job(name, None) => drop(self.jobs.remove(&name)),
            Record::Placement(placement) => {
                // The leader is fenced, so a smaller number is only read again.
                if placement.number >= self.placement.number {
                    self.placement = placement;
                }
            }
        }
    }

    /// The host that a job is placed on. One that was let go is nowhere, though the leader may not
    /// have seen that yet.
    pub(crate) fn host_of(&self, job: &str) -> Option<&str> {
        let placed = self.placement.jobs.get(job);
        placed
            .filter(|_| self.jobs.contains_key(job))
            .map(String::as_str)
    }

    /// Reads all that stands in the topic.
    pub(super) fn read(
        kafka: &KafkaSettings,
        topic: &str,
        going_on: impl Fn() -> bool,
    ) -> Result<View, LogError> {
        View::begin(kafka, topic, going_on).map(|(view, _)| view)
    }

    /// The same, and whoever reads what comes next.
    fn begin(
        kafka: &KafkaSettings,
        topic: &str,
        going_on: impl Fn() -> bool,
    ) -> Result<(View, LogReader), LogError> {
        let mut view = View::default();
        let mut reader = LogReader::open(kafka, topic, None)?;
        reader.to_end(limits::REPLICA_PORTION_BYTES, going_on, |entries| {
            for (key, value) in entries {
                view.take_entry(topic, &key, value.as_deref())?;
            }
            Ok::<_, LogError>(())
        })?;
        view.is_whole = true;
        Ok((view, reader))
    }

    fn take_entry(
        &mut self,
        topic: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), LogError> {
        let refused = |reason| LogError::Refused(format!("topic `{topic}`: {reason}"));
        if let Some(record) = Record::read(key, value).map_err(refused)? {
            self.take(record);
        }
        Ok(())
    }
}

/// The view, which a thread keeps up to date.
#[derive(Default)]
pub(crate) struct Control {
    view: Mutex<View>,
    moved: Condvar,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at it.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.lock())
    }

    /// Waits until this is so, for so long. Whether it is.
    pub(crate) fn wait(&self, most: Duration, mut is_so: impl FnMut(&View) -> bool) -> bool {
        let since = clock::monotonic();
        let mut view = self.lock();
        loop {
            if is_so(&view) {
                return true;
            }
            let left = most.saturating_sub(clock::since(since));
            if left.is_zero() {
                return false;
            }
            let waited = self.moved.wait_timeout(view, left);
            view = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for a change, for so long.
    pub(super) fn await_change(&self, most: Duration) {
        let waited = self.moved.wait_timeout(self.lock(), most);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Wakes those who wait.
    pub(super) fn wake(&self) {
        drop(self.lock()); // or one that has just looked would not hear it
        self.moved.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.lock());
        self.moved.notify_all();
    }

    /// Follows the topic for as long as this is wanted.
    pub(super) fn follow(&self, kafka: &KafkaSettings, topic: &str, going_on: impl Fn() -> bool) {
        while going_on() {
            // What was known before counts until all of it is read anew.
            let begun = View::begin(kafka, topic, &going_on);
            let read = begun.and_then(|(view, reader)| {
                self.change(|before| {
                    let old = std::mem::replace(before, view);
                    if before.placement.number < old.placement.number {
                        before.placement = old.placement;
                    }
                });
                self.follow_on(reader, topic, &going_on)
            });
            if let Err(error) = read
                && going_on()
            {
                tracing::warn!("the cluster's control topic is not read: {error}");
                self.change(|view| view.trouble = Some(error.to_string()));
                std::thread::sleep(limits::CLUSTER_RETRY_TIME);
            }
        }
    }

    fn follow_on(
        &self,
        mut reader: LogReader,
        topic: &str,
        going_on: impl Fn() -> bool,
    ) -> Result<(), LogError> {
        while going_on() {
            if let LogRead::Entry(key, value) = reader.next(limits::CLUSTER_LOOK_TIME)? {
                let mut taken = Ok(());
                self.change(|view| taken = view.take_entry(topic, &key, value.as_deref()));
                taken?;
            }
        }
        Ok(())
    }
}
