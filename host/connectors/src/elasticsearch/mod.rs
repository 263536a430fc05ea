//! Elasticsearch and OpenSearch: documents of an index, whose versions are the batch's time, so that
//! writing twice equals writing once, and what comes late changes nothing.
//!
//! ```text
//! rows of the batch ─► last row of each key ─► bulk requests ─► documents at t+1, deletes at t
//!                          ▲                        │
//!                          └── one before it ◄── refused
//! ```

mod settings;
mod words;
mod client;
mod types;
mod mapping;
mod document;
mod bulk;
mod provision;
mod connector;

pub use connector::ElasticsearchConnector;
pub use provision::server_version;
pub use settings::{Access, ElasticsearchSettings};

use bulk::{Batch, Left};
use client::{Client, escaped};
use document::{Documents, Stamp};
use mapping::{Index, Place, Shape};
use std::collections::BTreeMap;
use std::time::Duration;
use streamhost_core::contract::render::RowsView;
use streamhost_core::job::SinkSpec;
use streamhost_core::job::connector::{ELASTICSEARCH_ROWS, REFRESH};
use streamhost_core::limits;
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Guarantee, RefusedRow, RowLimits, Rows};
use streamhost_engine::sink::{CancelSignal, Delivery, Refusals, Sink, SinkError};
use words::Failure;
use xxhash_rust::xxh3::xxh3_64;

const SERVER: &str = "Elasticsearch";

/// Of an answer what is read: it is long where each row's whole fate is told.
const FILTER: &str = "filter_path=errors,items.*.status,items.*.error";

/// The longest that is slept before one looks whether the job is to stop.
const SLEEP: Duration = Duration::from_millis(50);

/// An index, alias or data stream as a sink. It holds its connections between batches, and drops one
/// after any doubt about it.
pub struct ElasticsearchSink {
    settings: ElasticsearchSettings,
    spec: SinkSpec,
    /// Whose the documents without a key are.
    own: String,
    cancel: CancelSignal,
    clients: Vec<Client>,
    /// The index that it began with: another one of its name is empty.
    uuid: Option<String>,
    /// What the version's rows go to; none: it is not looked at yet.
    looked_at: Option<(Index, Shape)>,
}

impl ElasticsearchSink {
    /// For a spec that was found good. `owner` is whose sink it is, such as `streamhost.JOB`. Asks no
    /// server.
    pub fn new(
        settings: ElasticsearchSettings,
        spec: &SinkSpec,
        owner: &str,
        cancel: &CancelSignal,
    ) -> Self {
        ElasticsearchSink {
            settings,
            own: format!("{owner}.{}", spec.name),
            spec: spec.clone(),
            cancel: cancel.clone(),
            clients: Vec::new(),
            uuid: None,
            looked_at: None,
        }
    }

    fn error(&self, failure: Failure) -> SinkError {
        match self.cancel.is_cancelled() {
            true => SinkError::Cancelled,
            false => failure.error(&self.settings, &self.spec.target),
        }
    }

    /// The index, which must be there, fit, and be the same as before.
    fn look(&mut self) -> Result<(Index, Shape), SinkError> {
        let found = Index::find(&mut self.clients[0], &self.spec.target);
        let found = found.map_err(|failure| self.error(failure))?;
        let Some(index) = found else {
            return Err(provision::missing(&self.spec));
        };
        let shape = index.fits(&self.spec);
        let shape = shape.map_err(|failure| self.error(failure))?;
        if let Place::Index { uuid } = &index.place {
            self.is_same(uuid)?;
            self.uuid = Some(uuid.clone());
        }
        Ok((index, shape))
    }

    /// An index that was dropped and made anew has not what was written before. The server makes one by
    /// itself, with guessed types, for what is sent to none: so it is asked before each batch.
    fn is_same(&self, uuid: &str) -> Result<(), SinkError> {
        let refused = |reason: &str| {
            let failure = Failure::Refused(reason.to_owned());
            Err(self.error(failure))
        };
        match &self.uuid {
            Some(before) if before != uuid => refused(
                "the index was dropped and made anew while the job ran, and what was in the old one is not in it; \
                 `streamhost resume JOB` goes on with the new one",
            ),
            _ => Ok(()),
        }
    }

    fn check_is_there(&mut self, place: &Place) -> Result<(), SinkError> {
        if !matches!(place, Place::Index { .. }) {
            return Ok(()); // requests say themselves that it must be there
        }
        let path = format!("/{}/_settings/index.uuid", escaped(&self.spec.target));
        let said = self.clients[0].get(&path);
        let said = said.map_err(|failure| self.error(failure))?;
        let settings = &said[&self.spec.target]["settings"]["index"];
        self.is_same(settings["uuid"].as_str().unwrap_or_default())
    }

    /// Deletes that the index forgets too soon could be undone by what comes late.
    fn check_deletes(&self, documents: &Documents<'_>, index: &Index) -> Result<(), SinkError> {
        let least = limits::ELASTICSEARCH_GC_DELETES_MIN;
        if index.gc_deletes >= least || !documents.deletes() {
            return Ok(());
        }
        Err(self.error(Failure::Refused(format!(
            "rows are deleted, and the index forgets deletes after {} s, so that a request that was on its way for \
             longer would bring a row back: PUT /{}/_settings {{\"index.gc_deletes\": \"{}s\"}}",
            index.gc_deletes.as_secs(),
            self.spec.target,
            2 * least.as_secs()
        ))))
    }

    /// Where bulk requests go.
    fn path(&self, place: &Place) -> String {
        let time = limits::ELASTICSEARCH_SHARD_TIME.as_secs();
        let mut path = format!(
            "/{}/_bulk?{FILTER}&timeout={time}s",
            escaped(&self.spec.target)
        );
        if self.spec.options.is(REFRESH, "wait_for") {
            path.push_str("&refresh=wait_for");
        }
        if *place == Place::Alias {
            path.push_str("&require_alias=true");
        }
        path
    }

    /// Sends all of a batch, and tells which rows are left out. Where the last row of a document is
    /// refused, the one before it is what counts.
    fn send(
        &mut self,
        batch: &Batch<'_, '_>,
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let mut left_out = BTreeMap::new();
        let mut pending = batch.documents.written();
        let mut tries = 0;
        while !pending.is_empty() && left_out.len() <= refusals.most() {
            let sent = pending.len();
            let left = bulk::send(&mut self.clients, batch, &pending);
            let Left { busy, refused } = left.map_err(|failure| self.error(failure))?;
            pending.clear();
            for (at, reason) in refused {
                pending.extend(batch.documents.before(at));
                left_out.insert(at, reason);
            }
            let Some((_, words)) = busy.first() else {
                continue;
            };
            tries = if busy.len() < sent { 1 } else { tries + 1 };
            if tries >= limits::ELASTICSEARCH_TRIES_MAX {
                let failure = Failure::Away(format!(
                    "it has no room for {} of the batch's rows: {words}",
                    busy.len()
                ));
                return Err(self.error(failure));
            }
            self.wait(limits::ELASTICSEARCH_RETRY_WAIT * 2_u32.pow(tries - 1))?;
            pending.extend(busy.into_iter().map(|(at, _)| at));
        }
        let told = |(row, reason)| RefusedRow { row, reason };
        refusals.take(left_out.into_iter().map(told).collect())
    }

    fn wait(&self, mut time: Duration) -> Result<(), SinkError> {
        while !time.is_zero() {
            if self.cancel.is_cancelled() {
                return Err(SinkError::Cancelled);
            }
            let one = time.min(SLEEP);
            std::thread::sleep(one);
            time -= one;
        }
        Ok(())
    }
}

impl Sink for ElasticsearchSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Idempotent
    }

    fn limits(&self) -> RowLimits {
        ELASTICSEARCH_ROWS
    }

    fn reshape(&mut self, spec: &SinkSpec) {
        self.spec = spec.clone();
        self.looked_at = None;
    }

    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        let most = limits::ELASTICSEARCH_CONNECTIONS_MAX;
        let connections = self.settings.connections.clamp(1, most);
        // Anew, as a secret may have been changed.
        self.clients = (0..connections)
            .map(|at| Client::new(self.settings.clone(), self.cancel.clone(), at))
            .collect();
        self.looked_at = Some(self.look()?);
        Ok(None)
    }

    fn deliver(
        &mut self,
        delivery: &Delivery<'_>,
        rows: &[Rows],
        refusals: &mut dyn Refusals,
    ) -> Result<(), SinkError> {
        let (index, shape) = match self.looked_at.take() {
            Some(looked_at) => {
                self.check_is_there(&looked_at.0.place)?;
                looked_at
            }
            None => self.look()?,
        };
        let columns = self.spec.columns.clone();
        let views = rows.iter().flat_map(|rows| RowsView::new(rows, &columns));
        let documents = Documents::of(views, self.spec.is_keyed());
        self.check_deletes(&documents, &index)?;
        // With the digest, as a batch that was given up has another batch's number after it.
        let own = xxh3_64(format!("{} {}", self.own, delivery.digest).as_bytes());
        let (epoch, number) = (delivery.epoch, delivery.batch);
        let batch = Batch {
            documents: &documents,
            shape: &shape,
            stamp: &Stamp {
                time_ms: delivery.time_ms,
                prefix: format!("{own:016x}-{epoch:x}-{number}"),
            },
            path: &self.path(&index.place),
        };
        self.send(&batch, refusals)?;
        self.looked_at = Some((index, shape));
        Ok(())
    }
}
