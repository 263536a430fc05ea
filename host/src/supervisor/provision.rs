//! Whether a job's tables, topics and group are as it needs them, and what is made where they are
//! missing.

use super::Supervisor;
use super::beginning::{Asked, Begins, begins};
use super::deploy::unavailable;
use crate::api::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use streamhost_connectors::hbase::HbaseProvision;
use streamhost_connectors::kafka::KafkaProvision;
use streamhost_connectors::sources;
use streamhost_core::job::{SinkKind, SinkSpec, SourceKind};
use streamhost_core::protocol::beginning::BeginningFacts;
use streamhost_core::protocol::recovery_policy::SinkFacts;
use streamhost_core::types::{TopicOffsets, by_topic};
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::sink::{CancelSignal, Provision, Remedy, SinkError};
use streamhost_engine::source::SourceError;
use streamhost_storage::catalog::Undeployed;

/// Places of a job that are not there yet, and can be made.
#[derive(Debug, Default)]
pub(super) struct Missing {
    pub(super) sinks: Vec<SinkSpec>,
    pub(super) topics: Vec<String>,
}

fn refused(error: SinkError) -> Refusal {
    match error.remedy() {
        // A job waits until that is mended; who deploys is there to mend it.
        _ if matches!(error, SinkError::Denied { .. }) => Refusal::Invalid(error.to_string()),
        Remedy::Retry => Refusal::Unavailable(error.to_string()),
        Remedy::Stop => Refusal::Invalid(error.to_string()),
    }
}

impl Supervisor {
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
        let sources = active.spec.sources.iter();
        for source in sources.filter(|source| source.kind == SourceKind::Kafka) {
            let topic = source.target.clone();
            match self.is_topic_missing(&topic) {
                Ok(true) if create => missing.topics.push(topic),
                Ok(true) => {
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

    pub(super) fn is_topic_missing(&self, topic: &str) -> Result<bool, Refusal> {
        KafkaProvision::new(&self.environment.kafka)
            .is_missing(topic)
            .map_err(refused)
    }

    pub(super) fn is_missing(&self, sink: &SinkSpec, create: bool) -> Result<bool, SinkError> {
        match sink.kind {
            SinkKind::Hbase => {
                match HbaseProvision::new(self.environment.hbase.clone()).inspect(sink) {
                    Ok(()) => Ok(false),
                    Err(SinkError::TableMissing { .. }) if create && !sink.columns.is_empty() => {
                        Ok(true)
                    }
                    // A real gateway has no call that adds a family.
                    Err(SinkError::FamilyMissing { .. })
                        if create && self.environment.hbase.add_families.is_some() =>
                    {
                        Ok(true)
                    }
                    Err(error) => Err(error),
                }
            }
            SinkKind::Kafka if create => {
                KafkaProvision::new(&self.environment.kafka).is_missing(&sink.target)
            }
            SinkKind::Kafka => KafkaProvision::new(&self.environment.kafka)
                .inspect(sink)
                .map(|()| false),
            SinkKind::Console => Ok(false),
        }
    }

    /// Makes what is missing.
    pub(super) fn create_targets(&self, missing: &Missing) -> Result<(), Refusal> {
        for sink in &missing.sinks {
            match sink.kind {
                SinkKind::Hbase => HbaseProvision::new(self.environment.hbase.clone()).create(sink),
                SinkKind::Kafka => KafkaProvision::new(&self.environment.kafka).create(sink),
                SinkKind::Console => Ok(()),
            }
            .map_err(refused)?;
        }
        for topic in &missing.topics {
            KafkaProvision::new(&self.environment.kafka)
                .topic(topic, true)
                .map_err(refused)?;
        }
        Ok(())
    }

    /// Where the job begins; its sources are there, or can be made. With it what is to be said of
    /// that, and refused where it cannot begin.
    pub(super) fn beginning_of(
        &self,
        active: &LoadedDeployment,
        missing: &Missing,
        asked: Asked,
    ) -> Result<(Begins, Option<String>), Refusal> {
        let there = active
            .spec
            .sources
            .iter()
            .filter(|source| !missing.topics.contains(&source.target));
        let there: Vec<_> = there.cloned().collect();
        let mut group = TopicOffsets::new();
        let is_settled = asked.has_checkpoint || asked.reset;
        if !there.is_empty() {
            let away_or_wrong = |error: SourceError| match error {
                SourceError::Away { .. } => Refusal::Unavailable(error.to_string()),
                error => Refusal::Invalid(error.to_string()),
            };
            let source = sources::open(&self.environment.kafka, &there, &active.group, false);
            let mut source = source.map_err(|e| Refusal::Invalid(e.to_string()))?;
            source.partitions().map_err(away_or_wrong)?;
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
                rereads: sources.any(|s| matches!(s.kind, SourceKind::File | SourceKind::Rate)),
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
    fn marked_sinks(&self, active: &LoadedDeployment) -> Result<Vec<SinkFacts>, Refusal> {
        let (cancel, spec) = (CancelSignal::default(), &active.spec);
        let mut found = Vec::new();
        for described in spec.sinks.iter().filter(|sink| sink.exactly_once) {
            let mut sink = self.sink(spec, described, &cancel);
            let marker = sink.peek().map_err(refused)?;
            found.push(SinkFacts {
                name: described.name.clone(),
                guarantee: sink.guarantee(),
                marker,
                elsewhere: sink.elsewhere(),
                committed: sink.committed(),
            });
        }
        Ok(found)
    }

    /// A group holds the positions of one job: two with the same would begin at each other's.
    pub(super) fn own_group(&self, active: &LoadedDeployment) -> Result<(), Refusal> {
        let jobs: Vec<_> = self
            .jobs()
            .values()
            .filter(|job| job.name != active.spec.name)
            .cloned()
            .collect();
        let group = |settings: &BTreeMap<String, String>, job: &str| {
            settings
                .get("group")
                .map_or_else(|| self.usual_group(job), |group| group.trim().to_owned())
        };
        match jobs
            .iter()
            .find(|job| group(&job.state().record.active().settings, &job.name) == active.group)
        {
            None => Ok(()),
            Some(other) => Err(Refusal::Conflict(format!(
                "job `{}` has the group `{}`: take another one with --set group=…, or none",
                other.name, active.group
            ))),
        }
    }

    /// Of each table that another job writes as well, a sentence.
    pub(super) fn shared_tables(&self, active: &LoadedDeployment) -> Vec<String> {
        let tables = |active: &LoadedDeployment| -> BTreeSet<String> {
            let sinks = active
                .spec
                .sinks
                .iter()
                .filter(|sink| sink.kind == SinkKind::Hbase);
            sinks.map(|sink| sink.target.clone()).collect()
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
            for table in tables(&cell.get()).intersection(&ours) {
                let name = &other.name;
                warnings.push(format!(
                    "job `{name}` writes table `{table}` as well: of a cell that both write, the later batch's value stays"
                ));
            }
        }
        warnings
    }
}
