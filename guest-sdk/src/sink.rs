//! Where rows go.

use crate::row::RowShape;
use crate::stream::Source;

/// Where rows go: what [`Stream::to`](crate::Stream::to) takes. One row model serves all, and the
/// host holds the columns against the real table at deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    pub(crate) connector: String,
    pub(crate) name: String,
    pub(crate) options: Vec<(String, String)>,
    /// What is known of its connector here.
    pub(crate) known: Known,
    /// It was given to [`exactly_once`].
    pub(crate) exactly_once: bool,
    /// It is a source that was given an interval.
    pub(crate) has_interval: bool,
    /// It is a source that can be no sink; what it is called.
    pub(crate) only_source: Option<&'static str>,
}

/// What is known of a sink without its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// A table of families: rows have a key, columns `family:qualifier`, and writing a row again
    /// changes nothing.
    Table,
    /// A topic, which can be written in transactions.
    Topic,
    /// A table of a database or an index, with key columns by their types: each row is there once by
    /// itself.
    Rows,
    /// What is shown, and cannot be taken back.
    Shown,
    /// Nothing: the host says what it takes.
    Nothing,
}

impl Sink {
    fn new(connector: &str, name: &str, known: Known) -> Self {
        Sink {
            connector: connector.into(),
            name: name.into(),
            options: Vec::new(),
            known,
            exactly_once: false,
            has_interval: false,
            only_source: None,
        }
    }

    /// Each part of a row's key is a column of its own, by its own type: so it is in tables of a
    /// database, and where nothing says how the parts would be joined.
    pub(crate) fn is_apart(&self, shape: &RowShape) -> bool {
        self.known == Known::Rows || shape.keys.len() > 1
    }

    /// Tells the connector something: an option of its own, which the host checks at deploy. `--set
    /// sink.NAME.OPTION=…` says otherwise.
    #[must_use]
    pub fn with(mut self, option: &str, value: impl ToString) -> Self {
        self.options.retain(|(name, _)| name != option);
        self.options.push((option.into(), value.to_string()));
        self
    }
}

/// A sink of any connector that the host has, by its name, as
/// [`source`](crate::source) is for sources. Which options and columns it takes, the host says at
/// deploy.
pub fn sink(connector: &str, name: &str) -> Sink {
    let known = match connector {
        "postgres" | "mysql" | "elasticsearch" | "files" => Known::Rows,
        _ => Known::Nothing,
    };
    Sink::new(connector, name, known)
}

/// A table of PostgreSQL, `table` or `schema.table`. Its columns are the rows' fields by their
/// names; those of `#[row(key)]` fields are its key, each by its own type, and a row takes the place
/// of one with its key: a column that it lacks stays as it is. Rows without a key are added. Every
/// row is there exactly once, whatever crashes in between.
///
/// ```
/// use streamhost::{Job, Row, Time, job, kafka, postgres, testing};
///
/// #[derive(Row)]
/// struct Visit<'a> {
///     #[row(key)]
///     site: &'a str,
///     #[row(key)]
///     at: Time,
///     views: u32,
/// }
///
/// #[job]
/// fn visits() -> Job {
///     kafka("visits")
///         .try_map(|r| Ok::<_, String>(Visit { site: r.text().map_err(|e| e.to_string())?, at: Time(60_000), views: 2 }))
///         .to(postgres("visits"))
/// }
///
/// let mut job = testing::run(visits);
/// job.send("visits", ["a.com"]);
/// assert_eq!(job.rows("visits"), [r#"key=["a.com",60000] views=2"#]);
/// ```
pub fn postgres(table: &str) -> Sink {
    sink("postgres", table)
}

/// A table of MySQL or MariaDB, `table` or `database.table`. Its columns are the rows' fields by their
/// names; those of `#[row(key)]` fields are its key, each by its own type, and a row takes the place
/// of one with its key: a column that it lacks stays as it is. Rows without a key are added. Every
/// row is there exactly once, whatever crashes in between. `.with("collation", "accept")` takes a
/// table whose key calls some texts equal, such as `a` and `A`.
///
/// ```
/// use streamhost::{Job, Row, Time, job, kafka, mysql, testing};
///
/// #[derive(Row)]
/// struct Visit<'a> {
///     #[row(key)]
///     site: &'a str,
///     #[row(key)]
///     at: Time,
///     views: u32,
/// }
///
/// #[job]
/// fn visits() -> Job {
///     kafka("visits")
///         .try_map(|r| Ok::<_, String>(Visit { site: r.text().map_err(|e| e.to_string())?, at: Time(60_000), views: 2 }))
///         .to(mysql("visits"))
/// }
///
/// let mut job = testing::run(visits);
/// job.send("visits", ["a.com"]);
/// assert_eq!(job.rows("visits"), [r#"key=["a.com",60000] views=2"#]);
/// ```
pub fn mysql(table: &str) -> Sink {
    sink("mysql", table)
}

/// An index of Elasticsearch or OpenSearch, an alias of one, or a data stream. A row is a whole document:
/// its fields are the row's by their names, and a field that is not there is left out. Those of
/// `#[row(key)]` fields are its `_id`, and a row takes the place of the document with its key. Rows
/// without a key are added. Writing a row again changes nothing, so that an index is right after any
/// crash. `.with("refresh", "wait_for")` makes a batch wait until searches find it.
///
/// ```
/// use streamhost::{Job, Row, Time, elasticsearch, job, kafka, testing};
///
/// #[derive(Row)]
/// struct Visit<'a> {
///     #[row(key)]
///     site: &'a str,
///     at: Time,
///     views: u32,
/// }
///
/// #[job]
/// fn visits() -> Job {
///     kafka("visits")
///         .try_map(|r| Ok::<_, String>(Visit { site: r.text().map_err(|e| e.to_string())?, at: Time(60_000), views: 2 }))
///         .to(elasticsearch("visits"))
/// }
///
/// let mut job = testing::run(visits);
/// job.send("visits", ["a.com"]);
/// assert_eq!(job.rows("visits"), ["key=a.com at=60000 views=2"]);
/// ```
pub fn elasticsearch(index: &str) -> Sink {
    sink("elasticsearch", index)
}

/// A folder of files with a row a line, as JSON: each batch adds a whole file, under a name of its own,
/// and writing it again changes nothing, so that each row is there once, whatever crashes in between. A
/// row's keys and fields are the line's by their names, and one that is not there is left out.
/// `.with("folders", "day")` puts files into folders `dt=2026-12-01` by the batch's time, and
/// `.with("compression", "zstd")` compresses them.
///
/// ```
/// use streamhost::{Job, Row, Time, job, json_files, kafka, seconds, testing};
///
/// #[derive(Row)]
/// struct Visit<'a> {
///     site: &'a str,
///     at: Time,
///     views: u32,
/// }
///
/// #[job]
/// fn visits() -> Job {
///     kafka("visits")
///         .every(seconds(60))
///         .try_map(|r| Ok::<_, String>(Visit { site: r.text().map_err(|e| e.to_string())?, at: Time(60_000), views: 2 }))
///         .to(json_files("/data/visits").with("folders", "day"))
/// }
///
/// let mut job = testing::run(visits);
/// job.send("visits", ["a.com"]);
/// assert_eq!(job.rows("/data/visits"), ["site=a.com at=60000 views=2"]);
/// ```
pub fn json_files(folder: &str) -> Sink {
    sink("files", folder)
}

/// A table. Its rows need a key and columns `family:qualifier`. Writing a row again changes
/// nothing, so that a table is right after any crash.
pub fn hbase(table: &str) -> Sink {
    Sink::new("hbase", table, Known::Table)
}

/// The host's standard output, a line a row.
pub fn console() -> Sink {
    Sink::new("console", "console", Known::Shown)
}

/// Writes a topic in transactions, one a batch, so that readers of committed records see each row
/// exactly once, whatever crashes in between. Without it a row can be there twice after a crash.
/// Topics only.
pub fn exactly_once(sink: impl Into<Sink>) -> Sink {
    Sink {
        exactly_once: true,
        ..sink.into()
    }
    .with("exactly-once", true)
}

/// A topic as a sink: rows without columns' names are the value raw, others a JSON object. Other
/// sources are no sinks.
impl From<Source<'_>> for Sink {
    fn from(source: Source<'_>) -> Sink {
        let [source] = &source.plan.sources[..] else {
            unreachable!("a source's plan holds that source")
        };
        Sink {
            options: source.def.options.clone(),
            has_interval: source.every.is_some(),
            only_source: (!source.known.is_sink).then_some(source.known.what),
            ..Sink::new(&source.def.connector, &source.def.name, Known::Topic)
        }
    }
}
