//! What a replay is made of: its sources, its places, its store.

use super::super::deploy::unavailable;
use super::super::{Job, Supervisor};
use super::saved;
use super::versions::{Ready, Versions};
use super::{Beside, Compared};
use crate::api::{Refusal, ReplayRequest};
use std::sync::Arc;
use streamhost_connectors::connector::{HeldContext, Presence, SinkContext, SourceContext};
use streamhost_core::clock;
use streamhost_core::compare::LastWrites;
use streamhost_core::job::SinkSpec;
use streamhost_core::state::StoreError;
use streamhost_engine::pipeline::LoadedDeployment;
use streamhost_engine::replay::{
    JobLedger, ReplayOutput, ReplayParts, ReplayPlace, ReplayTerms, ReplayVersion, TableId, What,
    WriteTables,
};
use streamhost_engine::sink::{CancelSignal, HeldPlace, Mending, Remedy, SinkError};
use streamhost_engine::source::Source;
use streamhost_storage::scratch::Scratch;

/// What rows come to, in a replay's own store.
struct Tables(Arc<Scratch>);

fn table(TableId { what, place }: TableId) -> [u8; 3] {
    let what = match what {
        What::Made => 1,
        What::Active => 2,
        What::Later => 3,
        What::Mends => 4,
        What::Extra => 5,
        What::Held => 6,
        What::Unmended => 7,
        What::There => 8,
    };
    let [high, low] = place.to_be_bytes();
    [what, high, low]
}

impl WriteTables for Tables {
    fn get(&self, of: TableId, key: &[u8]) -> Result<Option<LastWrites>, StoreError> {
        self.0.get(table(of), key)
    }

    fn put(&self, of: TableId, rows: Vec<(Vec<u8>, LastWrites)>) -> Result<(), StoreError> {
        self.0.put(table(of), rows)
    }

    fn remove(&self, of: TableId, keys: &[Vec<u8>]) -> Result<(), StoreError> {
        self.0.remove(table(of), keys)
    }

    fn next(
        &self,
        of: TableId,
        after: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, LastWrites)>, StoreError> {
        self.0.next(table(of), after, most)
    }

    fn bytes(&self) -> Result<u64, StoreError> {
        self.0.bytes()
    }
}

/// What tells one place from another.
fn place(sink: &SinkSpec) -> (&str, &str, &str) {
    (&sink.connector, &sink.instance, &sink.target)
}

/// A sink with the columns of all that write its place: each may have some of its own.
fn whole<'a>(sink: &SinkSpec, same: impl Iterator<Item = &'a SinkSpec>) -> SinkSpec {
    let mut whole = sink.clone();
    for column in same.flat_map(|sink| &sink.columns) {
        if whole.columns.iter().all(|known| known.name != column.name) {
            whole.columns.push(column.clone());
        }
    }
    whole
}

/// Why a place is not mended, where that is asked.
fn unmendable(held: &dyn HeldPlace, request: &ReplayRequest) -> Option<&'static str> {
    match held.mending() {
        Mending::Not(why) if request.write => Some(why),
        _ => None,
    }
}

impl Supervisor {
    /// A version's sources, for a replay alone: the job's group is neither asked nor told.
    pub(super) fn opened(
        &self,
        job: &str,
        loaded: &LoadedDeployment,
    ) -> Result<Box<dyn Source>, Refusal> {
        let context = SourceContext {
            sources: &loaded.spec.sources,
            group: &self.replay_owner(job),
            until_end: false,
        };
        let source = self.environment.connectors.open_sources(&context);
        source.map_err(|e| Refusal::Invalid(e.to_string()))
    }

    /// Whose a replay's sinks are.
    fn replay_owner(&self, job: &str) -> String {
        format!("{}-replay.{job}", self.environment.owner)
    }

    /// The places of the version's sinks that are not sent elsewhere, if they are to be compared.
    pub(super) fn places_of(
        &self,
        versions: &Versions,
        request: &ReplayRequest,
        cancel: &CancelSignal,
    ) -> Result<Compared, Refusal> {
        let (mut places, mut not): Compared = Default::default();
        if !request.diff && !request.write {
            return Ok((places, not));
        }
        let spec = &versions.own.loaded.spec;
        let active = versions.active.as_ref().unwrap_or(&versions.own);
        let numbers = |of: &Ready, wanted: &SinkSpec| {
            let sinks = of.loaded.spec.sinks.iter().enumerate();
            let same = sinks.filter(|(_, sink)| place(sink) == place(wanted));
            same.map(|(number, _)| number).collect::<Vec<_>>()
        };
        let mut seen: Vec<&SinkSpec> = Vec::new();
        for sink in &spec.sinks {
            let is_sent = request.sinks.contains_key(&sink.name);
            if is_sent || seen.iter().any(|known| place(known) == place(sink)) {
                continue;
            }
            seen.push(sink);
            let same = numbers(&versions.own, sink);
            let whole = whole(sink, same.iter().map(|number| &spec.sinks[*number]));
            let connector = self.environment.connectors.sink(sink);
            let connector = connector.map_err(|e| Refusal::Invalid(e.to_string()))?;
            let of_active = numbers(active, sink);
            let writers = of_active
                .iter()
                .map(|at| active.loaded.spec.sinks[*at].name.clone());
            let context = HeldContext {
                owner: &self.usual_group(&spec.name),
                sinks: &writers.collect::<Vec<_>>(),
                cancel,
            };
            let held = connector.held(&whole, &context);
            match held {
                Ok(held) if unmendable(&*held, request).is_none() => places.push(ReplayPlace {
                    name: sink.name.clone(),
                    target: sink.target.clone(),
                    sinks: same,
                    active_sinks: of_active,
                    held,
                }),
                Ok(held) => not.push(format!(
                    "sink `{0}` is not mended: {1}; --diff compares it, and --sink {0}=OTHER writes what is made elsewhere",
                    sink.name,
                    unmendable(&*held, request).unwrap_or_default()
                )),
                Err(why) => not.push(format!(
                    "sink `{0}` is not compared: {why}; --sink {0}=OTHER sends what is made elsewhere",
                    sink.name
                )),
            }
        }
        match places.is_empty() {
            true => Err(Refusal::Invalid(match not.is_empty() {
                true => "there is nothing to compare: every sink is sent elsewhere".to_owned(),
                false => not.join("; "),
            })),
            false => Ok((places, not)),
        }
    }

    /// The sinks whose rows go to other places. Those must be there, or are made where that is asked.
    pub(super) fn outputs_of(
        &self,
        versions: &Versions,
        request: &ReplayRequest,
        cancel: &CancelSignal,
    ) -> Result<Vec<ReplayOutput>, Refusal> {
        let spec = &versions.own.loaded.spec;
        let active = versions.active.as_ref().unwrap_or(&versions.own);
        let mut outputs = Vec::new();
        for (number, sink) in spec.sinks.iter().enumerate() {
            if !request.sinks.contains_key(&sink.name) {
                continue;
            }
            let mut own = active.loaded.spec.sinks.iter();
            if own.any(|of_job| place(of_job) == place(sink)) {
                return Err(Refusal::Invalid(format!(
                    "`{}` is a place of the job itself: name another one for what is replayed, or say --write to mend it",
                    sink.target
                )));
            }
            let connector = self.environment.connectors.sink(sink).map_err(refused)?;
            let presence = connector.inspect(sink, request.deploy.create_tables);
            if presence.map_err(refused)? == Presence::Missing {
                connector.create(sink).map_err(refused)?;
            }
            let context = SinkContext {
                sources: &spec.sources,
                owner: &self.replay_owner(&spec.name),
                cancel,
            };
            let into = connector.open(sink, &context);
            outputs.push(ReplayOutput { sink: number, into });
        }
        Ok(outputs)
    }

    pub(super) fn replay_parts(
        &self,
        job: &Job,
        versions: Versions,
        source: Box<dyn Source>,
        (ledger, terms): (JobLedger, ReplayTerms),
        (mut places, outputs, saved): Beside,
    ) -> Result<ReplayParts, Refusal> {
        let name = format!("{}-{}", job.name, clock::now_ms());
        let scratch = Scratch::open(&self.data, &name).map_err(|e| unavailable(&e))?;
        let scratch = Arc::new(scratch);
        let begun = |version: &str| saved::begun_in(&scratch, version, saved.as_ref());
        let active = match versions.active {
            Some(active) => {
                let (store, saved) = begun("active")?;
                Some(ReplayVersion {
                    source: self.opened(&job.name, &active.loaded)?,
                    loaded: active.loaded,
                    store,
                    saved,
                })
            }
            None => None,
        };
        let (store, saved) = begun("own")?;
        places.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(ReplayParts {
            job: job.name.clone(),
            terms,
            ledger,
            ledgers: self.ledgers_of(&job.name),
            version: ReplayVersion {
                source,
                loaded: versions.own.loaded,
                store,
                saved,
            },
            active,
            places,
            outputs,
            tables: Box::new(Tables(scratch)),
        })
    }
}

fn refused(error: SinkError) -> Refusal {
    match error.remedy() {
        Remedy::Retry => Refusal::Unavailable(error.to_string()),
        Remedy::Stop => Refusal::Invalid(error.to_string()),
    }
}
