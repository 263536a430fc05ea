//! What a sink holds, in a row of a table beside the one that it writes: moved in the transaction of
//! each batch before its rows, so that its lock keeps everybody else out until the outcome is known.
//! It never expires.

use super::Failure;
use streamhost_core::job::connector::table_parts;
use streamhost_core::job::{ColumnSpec, SinkSpec};
use streamhost_core::protocol::Marker;
use streamhost_core::types::{Kind, TopicOffsets};

/// The table's name; it stands beside the table that is written, in its schema or database.
const NAME: &str = "streamhost_marks";

/// What a mark says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Counts who opened the sink: only the last one may write.
    pub(crate) fence: i64,
    /// The marker, if it is of the table that the sink writes now.
    pub(crate) own: Option<Marker>,
    /// The marker, if it is of another table, or of one that was dropped.
    pub(crate) elsewhere: Option<Marker>,
    /// The source offsets of the marker.
    pub(crate) offsets: TopicOffsets,
}

/// A mark as it stands in its row.
#[derive(Debug)]
pub(crate) struct MarkRow {
    pub(crate) fence: i64,
    pub(crate) epoch: i64,
    pub(crate) batch: i64,
    pub(crate) digest: String,
    /// It is of the table that the sink writes now.
    pub(crate) is_own: bool,
    pub(crate) offsets: String,
}

/// The table of marks that belongs to a target, as rows of a sink.
pub(crate) fn marks_of(target: &str) -> SinkSpec {
    let column = |name: &str, kind| ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: false,
    };
    SinkSpec {
        target: match table_parts(target) {
            (Some(schema), _) => format!("{schema}.{NAME}"),
            (None, _) => NAME.to_owned(),
        },
        keys: vec![column("sink", Kind::Text)],
        columns: vec![
            column("fence", Kind::Int),
            column("epoch", Kind::Int),
            column("batch", Kind::Int),
            column("digest", Kind::Text),
            column("target", Kind::Text),
            column("target_id", Kind::Int),
            column("offsets", Kind::Text),
        ],
        ..SinkSpec::default()
    }
}

/// The mark of one sink.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Its row, for ever.
    pub(crate) sink: String,
    /// The table of marks, as it stands in a statement.
    pub(crate) table: String,
    /// The table that the sink writes.
    pub(crate) target: String,
}

impl Mark {
    /// `quoted`: how the database writes a table's name.
    pub(crate) fn new(sink: String, target: &str, quoted: fn(&str) -> String) -> Self {
        Mark {
            sink,
            table: quoted(&marks_of(target).target),
            target: target.to_owned(),
        }
    }

    /// Why a mark that is to be there cannot be locked.
    pub(crate) fn is_gone(&self) -> Failure {
        Failure::Refused(format!(
            "{NAME} has no row `{}`: the sink was not opened since, so it is not known what is in its table",
            self.sink
        ))
    }
}

/// As the database counts. Epochs are milliseconds, batches are far fewer.
pub(crate) fn number(of: u64) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}

impl MarkRow {
    /// What it says.
    pub(crate) fn held(self) -> Result<Held, Failure> {
        let unreadable = |what: String| {
            Failure::Refused(format!(
                "a row of {NAME} cannot be read ({what}): delete it (a batch that was under way may be there twice then)"
            ))
        };
        let count = |read: i64| u64::try_from(read).map_err(|_| unreadable(format!("{read}")));
        let (epoch, batch) = (count(self.epoch)?, count(self.batch)?);
        let marker = (epoch > 0).then_some(Marker {
            epoch,
            batch,
            digest: self.digest,
        });
        let offsets = serde_json::from_str(&self.offsets);
        let offsets: TopicOffsets = offsets.map_err(|error| unreadable(error.to_string()))?;
        let (own, elsewhere, offsets) = match self.is_own {
            true => (marker, None, offsets),
            false => (None, marker, TopicOffsets::new()),
        };
        Ok(Held {
            fence: self.fence,
            own,
            elsewhere,
            offsets,
        })
    }
}
