//! What a daemon says of a job, with all that this command line does not know of.

use crate::api::JobStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job, as a daemon says it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Value", into = "Value")]
pub(super) struct Told {
    pub(super) status: JobStatus,
    pub(super) moving: Moving,
    /// The daemon's own words, which programs get as they are.
    all: Value,
}

/// What a daemon adds to a status; all of it may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Moving {
    /// Since when it is in its state, RFC 3339.
    pub(super) since: Option<String>,
    /// Why it is in it.
    pub(super) reason: Option<String>,
    pub(super) last_error_at: Option<String>,
    pub(super) last_checkpoint_at: Option<String>,
    pub(super) under_way: Option<UnderWay>,
    pub(super) records_per_second: Option<f64>,
    pub(super) rows_per_second: Option<f64>,
    pub(super) lag_seconds: Option<f64>,
    pub(super) lag_change_per_second: Option<f64>,
}

/// The oldest batch that is not durable yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UnderWay {
    pub(super) batch: u64,
    pub(super) records: u64,
    pub(super) step: String,
    pub(super) since: String,
}

impl TryFrom<Value> for Told {
    type Error = serde_json::Error;

    fn try_from(all: Value) -> Result<Told, serde_json::Error> {
        Ok(Told {
            status: JobStatus::deserialize(&all)?,
            moving: Moving::deserialize(&all)?,
            all,
        })
    }
}

impl From<Told> for Value {
    fn from(told: Told) -> Value {
        told.all
    }
}

#[cfg(test)]
impl Told {
    /// A job that is said to be so.
    pub(super) fn of(status: JobStatus, moving: Moving) -> Told {
        Told {
            status,
            moving,
            all: Value::Null,
        }
    }
}
