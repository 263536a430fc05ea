//! Where rows go.

use crate::describe::SourceKind;
use crate::stream::Source;

/// What a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// A table.
    Hbase,
    /// A topic.
    Kafka,
    /// The host's standard output.
    Console,
}

/// Where rows go: what [`Stream::to`](crate::Stream::to) takes. One row model serves all, and the
/// host holds the columns against the real table at deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    pub(crate) kind: SinkKind,
    pub(crate) name: String,
    pub(crate) exactly_once: bool,
    /// It is a source that was given an interval.
    pub(crate) has_interval: bool,
    /// It is a source that can be no sink.
    pub(crate) only_source: Option<SourceKind>,
}

impl Sink {
    fn new(kind: SinkKind, name: &str) -> Self {
        Sink {
            kind,
            name: name.into(),
            exactly_once: false,
            has_interval: false,
            only_source: None,
        }
    }
}

/// A table. Its rows need a key and columns `family:qualifier`. Writing a row again changes
/// nothing, so that a table is right after any crash.
pub fn hbase(table: &str) -> Sink {
    Sink::new(SinkKind::Hbase, table)
}

/// The host's standard output, a line a row.
pub fn console() -> Sink {
    Sink::new(SinkKind::Console, "console")
}

/// Writes a topic in transactions, one a batch, so that readers of committed records see each row
/// exactly once, whatever crashes in between. Without it a row can be there twice after a crash.
/// Topics only.
pub fn exactly_once(sink: impl Into<Sink>) -> Sink {
    Sink {
        exactly_once: true,
        ..sink.into()
    }
}

/// A topic as a sink: rows without columns' names are the value raw, others a JSON object. Other
/// sources are no sinks.
impl From<Source<'_>> for Sink {
    fn from(source: Source<'_>) -> Sink {
        let [source] = &source.plan.sources[..] else {
            unreachable!("a source's plan holds that source")
        };
        Sink {
            has_interval: source.every.is_some(),
            only_source: Some(source.def.kind).filter(|kind| *kind != SourceKind::Kafka),
            ..Sink::new(SinkKind::Kafka, &source.def.name)
        }
    }
}
