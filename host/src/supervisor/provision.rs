//! Whether a job's tables, topics and group are as it needs them, and what is made where they are
//! missing.

use super::Supervisor;
use super::beginning::{BeginningAsk, Begins, begins};
use super::deploy::unavailable;
use crate::allow::Allow;
use crate::api::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use streamhost_connectors::connector::{Presence, SourceContext};
use streamhost_connectors::registry;
use streamhost_core::job::connector::Outside;
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_core::protocol::beginning::BeginningFacts;
use streamhost_core::protocol::recovery_policy::SinkFacts;
use streamhost_core::types::{Guarantee, TopicOffsets, by_topic};
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::sink::{CancelSignal, Remedy, SinkError};
use streamhost_engine::source::SourceError;
use streamhost_storage::catalog::Undeployed;

/// Targets of a job that are not there yet, and can be created.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) sinks: Vec<SinkSpec>,
    pub(super) sources: Vec<SourceSpec>,
}

fn refused(error: SinkError) -> Refusal {
    match error.remedy() {
        // A job waits until that is mended; who deploys is there to mend it.
        _ if matches!(error, SinkError::Denied { .. }) => Refusal::Invalid(error.to_string()),
        Remedy::Retry => Refusal::Unavailable(error.to_string()),
        Remedy::Stop => Refusal::Invalid(error.to_string()),
    }
}

fn unreadable(error: SourceError) -> Refusal {
    match error {
        SourceError::Away { .. } => Refusal::Unavailable(error.to_string()),
        error => Refusal::Invalid(error.to_string()),
    }
}

/// What the configuration forbids of a job's sources, sinks and dead letters, all of it.
pub(super) fn forbidden(allow: &Allow, active: &LoadedDeployment) -> Vec<String> {
    let sources = active.spec.sources.iter();
    let sources = sources.filter_map(|source| {
        let rules = registry::source_rules(&source.connector)?;
        allow.refusal(rules.target.outside?, &source.target)
    });
    let sinks = active.spec.sinks.iter().filter_map(|sink| {
        let rules = registry::sink_rules(&sink.connector)?;
        allow.refusal(rules.target.outside?, &sink.target)
    });
    let letters = allow.refusal(Outside::Topics, &active.dead_letter_topic);
    sources.chain(sinks).chain(letters).collect()
}

impl Supervisor {
    /// What a job names must be allowed.
    pub(super) fn is_allowed(&self, active: &LoadedDeployment) -> Result<(), Refusal> {
        let faults = forbidden(&self.environment.allow, active);
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Refusal::Invalid(faults.join("; "))),
        }
    }

    /// The tables and topics must be there and fit; where `create` says so, some may be missing.
    /// Names all that are not as they must be at once, unless a server is away. Makes nothing.
    pub(super) fn missing_targets(
        &self,
        active: &LoadedDeployment,
        create: bool,
    ) -> Result<Missing, Refusal> {
        let (mut missing, mut faults) = (Missing::default(), BTreeSet::new());
        for sink in &active.spec.sinks {
            match self.is_missing(sink, create).map_err(refused) {
                Ok(true) => missing.sinks.push(sink.clone()),
                Ok(false) => {}
                Err(Refusal::Invalid(reason)) => drop(faults.insert(reason)),
                Err(refusal) => return Err(refusal),
            }
        }
        for source in &active.spec.sources {
            match self.is_source_missing(source, create) {
                Ok(true) if create => missing.sources.push(source.clone()),
                Ok(true) => {
                    let topic = source.target.clone();
                    faults.insert(SourceError::TopicMissing { topic }.to_string());
                }
                Ok(false) => {}
                Err(Refusal::Invalid(reason)) => drop(faults.insert(reason)),
                Err(refusal) => return Err(refusal),
            }
        }
        match faults.is_empty() {
            true => Ok(missing),
            false => Err(Refusal::Invalid(
                faults.into_iter().collect::<Vec<_>>().join("; "),
            )),
        }
    }

    pub(super) fn is_source_missing(
        &self,
        source: &SourceSpec,
        create: bool,
    ) -> Result<bool, Refusal> {
        let connector = self.environment.connectors.source(source);
        connector
            .and_then(|connector| connector.inspect(source, create))
            .map(|presence| presence == Presence::Missing)
            .map_err(unreadable)
    }

    pub(super) fn is_missing(&self, sink: &SinkSpec, create: bool) -> Result<bool, SinkError> {
        let connector = self.environment.connectors.sink(sink)?;
        let presence = connector.inspect(sink, create)?;
        Ok(presence == Presence::Missing)
    }

    /// Creates what is missing.
    pub(super) fn create_targets(&self, missing: &Missing) -> Result<(), Refusal> {
        let connectors = &self.environment.connectors;
        for sink in &missing.sinks {
            let connector = connectors.sink(sink);
            connector
                .and_then(|connector| connector.create(sink))
                .map_err(refused)?;
        }
        for source in &missing.sources {
            let connector = connectors.source(source);
            connector
                .and_then(|connector| connector.create(source))
                .map_err(unreadable)?;
        }
        Ok(())
    }

    /// Where the job begins; its sources are there, or can be made. With it what is to be said of
    /// that, and refused where it cannot begin.
    pub(super) fn beginning_of(
        &self,
        active: &LoadedDeployment,
        missing: &Missing,
        asked: BeginningAsk,
    ) -> Result<(Begins, Option<String>), Refusal> {
        let there = active
            .spec
            .sources
            .iter()
            .filter(|source| !missing.sources.contains(source));
        let there: Vec<_> = there.cloned().collect();
        let mut group = TopicOffsets::new();
        let is_settled = asked.has_checkpoint || asked.reset;
        if !there.is_empty() {
            let context = SourceContext {
                sources: &there,
                group: &active.group,
                until_end: false,
            };
            let source = self.environment.connectors.open_sources(&context);
            let mut source = source.map_err(|e| Refusal::Invalid(e.to_string()))?;
            source.partitions().map_err(unreadable)?;
            if !is_settled {
                let topics: Vec<String> = there.iter().map(|s| s.target.clone()).collect();
                group = by_topic(&topics, &source.group().map_err(|e| unavailable(&e))?);
            }
        }
        let sinks = match is_settled {
            true => Vec::new(),
            false => self.marked_sinks(active)?,
        };
        let mut sources = active.spec.sources.iter();
        let begins = begins(
            asked,
            &BeginningFacts {
                reset: asked.reset,
                keyed: !active.spec.stages.is_empty(),
                undeployed: asked.undeployed != Undeployed::Never,
                wrote: asked.undeployed == Undeployed::AfterBatches,
                start_said: asked.starts,
                rereads: sources.any(|source| {
                    registry::source_rules(&source.connector).is_some_and(|rules| rules.rereads)
                }),
                sinks: &sinks,
                group: &group,
            },
        );
        let warning = begins.warning(asked, &active.group);
        let warning = warning.map_err(|reason| {
            Refusal::Conflict(format!("`{}` cannot begin: {reason}", active.spec.name))
        })?;
        Ok((begins, warning))
    }

    /// What the job's exactly-once sinks say that they hold. Nobody is fenced.
    pub(super) fn marked_sinks(
        &self,
        active: &LoadedDeployment,
    ) -> Result<Vec<SinkFacts>, Refusal> {
        let (cancel, spec) = (CancelSignal::default(), &active.spec);
        let mut found = Vec::new();
        let is_marked = |sink: &&SinkSpec| registry::guarantee(sink) == Some(Guarantee::Marked);
        for described in spec.sinks.iter().filter(is_marked) {
            let sink = self.sink(spec, described, &cancel);
            let mut sink = sink.map_err(Refusal::Invalid)?;
            let marker = sink.peek().map_err(refused)?;
            found.push(SinkFacts {
                name: described.name.clone(),
                guarantee: sink.guarantee(),
                marker_expires: sink.marker_expires(),
                marker,
                elsewhere: sink.elsewhere(),
                committed: sink.committed(),
            });
        }
        Ok(found)
    }

    /// What a sink writes, in words such as "table `clicks`".
    pub(super) fn target_words(sink: &SinkSpec) -> String {
        let rules = registry::sink_rules(&sink.connector);
        let what = rules.map_or("", |rules| rules.target.what);
        format!("{what} `{}`", sink.target)
    }

    /// Of each table that another job writes as well, a sentence. Of what is written again in its
    /// place alone: elsewhere both jobs' rows stay.
    pub(super) fn shared_tables(&self, active: &LoadedDeployment) -> Vec<String> {
        type Place = (String, String, String);
        let tables = |active: &LoadedDeployment| -> BTreeMap<Place, String> {
            let sinks = active.spec.sinks.iter();
            let replaced =
                sinks.filter(|sink| registry::guarantee(sink) == Some(Guarantee::Idempotent));
            let place = |sink: &SinkSpec| {
                let SinkSpec {
                    connector,
                    instance,
                    target,
                    ..
                } = sink.clone();
                (
                    (connector, instance, target),
                    Supervisor::target_words(sink),
                )
            };
            replaced.map(place).collect()
        };
        let ours = tables(active);
        let others: Vec<_> = self
            .jobs()
            .values()
            .filter(|job| job.name != active.spec.name)
            .cloned()
            .collect();
        let mut warnings = Vec::new();
        for other in others {
            let Some(cell) = other.state().active.clone() else {
                continue;
            };
            for (place, table) in tables(&cell.get()) {
                if ours.contains_key(&place) {
                    let name = &other.name;
                    warnings.push(format!(
                        "job `{name}` writes {table} as well: of a cell that both write, the later batch's value stays"
                    ));
                }
            }
        }
        warnings
    }
}
