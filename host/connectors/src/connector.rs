//! What a connector does, beside what its rules say without a server.

use std::collections::BTreeSet;
use std::fmt;
use streamhost_core::job::connector::ConnectorRules;
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_engine::sink::{CancelSignal, HeldPlace, Sink, SinkError};
use streamhost_engine::source::mixed::Part;
use streamhost_engine::source::{Source, SourceError};

/// A connector as it is configured: one for each server, or one for all where it has no server.
/// Jobs share it. Its `Debug` shows no secret.
pub trait Connector: Send + Sync + fmt::Debug {
    /// What is known of it without a server.
    fn rules(&self) -> &'static ConnectorRules;

    /// What it does as a source, if it is one.
    fn source(&self) -> Option<&dyn SourceConnector> {
        None
    }

    /// What it does as a sink, if it is one.
    fn sink(&self) -> Option<&dyn SinkConnector> {
        None
    }
}

/// Whether what a source reads or a sink writes is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there, and fits.
    There,
    /// It is not there, or lacks something, and can be created.
    Missing,
}

/// What sources are opened with.
#[derive(Clone, Copy, Debug)]
pub struct SourceContext<'a> {
    /// All of the job's sources.
    pub sources: &'a [SourceSpec],
    /// The consumer group that is told the job's progress.
    pub group: &'a str,
    /// Topics and followed files are read to the ends that they have when they are first assigned,
    /// connections until their peers close them.
    pub until_end: bool,
}

/// A connector that reads.
pub trait SourceConnector {
    /// Looks whether what it reads is there, or can be made where `create` says so. By default it is
    /// there, or is waited for.
    ///
    /// # Errors
    /// Its server is away, or refuses.
    fn inspect(&self, spec: &SourceSpec, create: bool) -> Result<Presence, SourceError> {
        let _ = (spec, create);
        Ok(Presence::There)
    }

    /// Creates what [`SourceConnector::inspect`] found missing.
    ///
    /// # Errors
    /// Its server is away, or refuses.
    fn create(&self, spec: &SourceSpec) -> Result<(), SourceError> {
        let _ = spec;
        Ok(())
    }

    /// Opens those of the job's sources whose numbers these are, as one or several parts. Asks no
    /// server: what is away is noticed later.
    ///
    /// # Errors
    /// [`SourceError::Refused`] if settings or names cannot be.
    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError>;
}

/// What a sink is opened with.
#[derive(Clone, Copy, Debug)]
pub struct SinkContext<'a> {
    /// The job's sources: a marked sink may keep their offsets.
    pub sources: &'a [SourceSpec],
    /// Whose sink it is, such as `streamhost.JOB`: what fences others is named after it.
    pub owner: &'a str,
    /// Ends its calls.
    pub cancel: &'a CancelSignal,
}

/// A connector that writes.
pub trait SinkConnector {
    /// Looks whether what a sink writes is there and fits. `create`: what is missing is to be
    /// created, if it can be; else its lack is an error.
    ///
    /// # Errors
    /// The server is away, or it does not fit.
    fn inspect(&self, spec: &SinkSpec, create: bool) -> Result<Presence, SinkError>;

    /// Creates what [`SinkConnector::inspect`] found missing, and checks the same.
    ///
    /// # Errors
    /// The server is away, or refuses.
    fn create(&self, spec: &SinkSpec) -> Result<(), SinkError>;

    /// The sink. Asks no server.
    fn open(&self, spec: &SinkSpec, context: &SinkContext<'_>) -> Box<dyn Sink>;

    /// What the sink's place holds, to be read back. Asks no server. `Err`: why it cannot be.
    ///
    /// # Errors
    /// As it says.
    fn held(
        &self,
        spec: &SinkSpec,
        context: &HeldContext<'_>,
    ) -> Result<Box<dyn HeldPlace>, &'static str> {
        let _ = (spec, context);
        Err("its rows cannot be read back")
    }
}

/// What a place is read back with.
#[derive(Debug)]
pub struct HeldContext<'a> {
    /// Whose the sinks are that write there, such as `streamhost.JOB`.
    pub owner: &'a str,
    /// Those sinks, by name.
    pub sinks: &'a [String],
    /// Ends calls that are under way.
    pub cancel: &'a CancelSignal,
}

/// Rows without a key cannot be told apart.
///
/// # Errors
/// As it says.
pub(crate) fn is_told_by_key(spec: &SinkSpec) -> Result<(), &'static str> {
    match spec.is_keyed() {
        true => Ok(()),
        false => Err("its rows have no key, so one cannot be told from another"),
    }
}

/// A connector of sources that have no server: there is nothing to configure, and each is read by
/// itself.
#[derive(Debug)]
pub(crate) struct OwnSources {
    pub(crate) rules: &'static ConnectorRules,
    /// Opens the one of this number.
    pub(crate) open: fn(u16, &SourceSpec, &SourceContext<'_>) -> Box<dyn Source>,
}

impl Connector for OwnSources {
    fn rules(&self) -> &'static ConnectorRules {
        self.rules
    }

    fn source(&self) -> Option<&dyn SourceConnector> {
        Some(self)
    }
}

impl SourceConnector for OwnSources {
    fn open(
        &self,
        own: &BTreeSet<u16>,
        context: &SourceContext<'_>,
    ) -> Result<Vec<Part>, SourceError> {
        let spec = |&i: &u16| Some((i, context.sources.get(usize::from(i))?));
        let open = |(i, spec)| Part::new([i].into(), (self.open)(i, spec, context));
        Ok(own.iter().filter_map(spec).map(open).collect())
    }
}

/// Several faults as one reason: so many, and how many more there are.
pub(crate) fn all_of(mut faults: Vec<String>, most: usize) -> String {
    let more = faults.len().saturating_sub(most);
    faults.truncate(most);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults.join("; ")
}
