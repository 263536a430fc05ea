//! What a connector is and what it takes, as far as no server need be asked for it. What reads and
//! writes stands in the crate of connectors, whose registry is the one list of them; those that the
//! SDK's tests know without it are here, a file each.

mod options;
mod kafka;
mod hbase;
mod tables;
mod postgres;
mod mysql;
mod elasticsearch;
mod file;
mod files;
mod socket;
mod rate;
mod console;

pub use console::{CONSOLE, CONSOLE_ROWS};
pub use elasticsearch::{ELASTICSEARCH, ELASTICSEARCH_ROWS, REFRESH};
pub use file::FILE;
pub use files::{COMPRESSION, DELETES, FILES, FILES_ROWS, FOLDERS};
pub use hbase::{HBASE, hbase_rows};
pub use kafka::{EXACTLY_ONCE, KAFKA, KAFKA_ROWS};
pub use mysql::{COLLATION, MYSQL, MYSQL_ROWS};
pub use options::{OptionKind, OptionRules, Options};
pub use postgres::{POSTGRES, POSTGRES_ROWS};
pub use rate::RATE;
pub use socket::SOCKET;
use tables::table_name;
pub use tables::table_parts;

use crate::types::{ColumnNames, Guarantee, Kind, RowLimits};
use std::ops::RangeInclusive;

/// The connector that holds every job's dead letters, and tells its consumer group how far it is.
pub const LETTERS: &str = KAFKA.name;

/// The option of every source and sink that says which configured instance of its connector is
/// meant.
pub const INSTANCE: &str = "connector-instance";

/// Says what a name may be, or why it cannot be.
pub type NameRule = fn(&str) -> Result<(), String>;

/// What is known of a connector.
#[derive(Debug)]
pub struct ConnectorRules {
    /// In components, settings and on the command line.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub doc: &'static str,
    /// What it is as a source, if it is one.
    pub source: Option<SourceRules>,
    /// What it is as a sink, if it is one.
    pub sink: Option<SinkRules>,
}

/// What a source or sink reads or writes.
#[derive(Debug)]
pub struct TargetRules {
    /// What it is called: `topic`, `table`.
    pub what: &'static str,
    /// What it may be.
    pub rule: NameRule,
    /// What it is outside of the host, by which it can be forbidden; none where it is nothing there.
    pub outside: Option<Outside>,
    /// What `--set ROLE.NAME=VALUE` says.
    pub set: SetMeans,
}

/// What a source or sink reaches outside of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outside {
    /// Files and folders.
    Files,
    /// Addresses of sockets.
    Sockets,
    /// Topics.
    Topics,
    /// Tables.
    Tables,
}

/// What `--set ROLE.NAME=VALUE` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetMeans {
    /// Another target.
    Target,
    /// The value of this option: the target is always the name, or another value would begin the
    /// source anew.
    Option(&'static str),
    /// Nothing can be set, as there is one target.
    Nothing {
        /// Where it writes.
        target: &'static str,
    },
}

/// Whether a source comes to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It has an end to which it can be read.
    Known,
    /// It ends when its peer says so.
    ByPeer,
    /// Never.
    Never,
}

/// What a connector is as a source.
#[derive(Debug)]
pub struct SourceRules {
    /// What it reads.
    pub target: TargetRules,
    /// What a job may call it: its target, unless another one is set.
    pub name: NameRule,
    /// What it can be told.
    pub options: &'static [OptionRules],
    /// Whether it ends.
    pub ends: Ends,
    /// The same records can be read again.
    pub replayable: bool,
    /// It is read from its beginning again where nothing is known of it here any more, as no
    /// consumer group holds where it was.
    pub rereads: bool,
    /// The most bytes that it holds of what was not asked for yet.
    pub ahead_bytes: usize,
}

/// What a connector is as a sink.
#[derive(Debug)]
pub struct SinkRules {
    /// What it writes.
    pub target: TargetRules,
    /// What it can be told.
    pub options: &'static [OptionRules],
    /// How many key columns its rows have.
    pub keys: RangeInclusive<usize>,
    /// What a key column may hold.
    pub key_kinds: &'static [Kind],
    /// What columns are called.
    pub columns: ColumnNames,
    /// A row may be one value without a column's name.
    pub raw: bool,
    /// A row may have columns that only the data knows.
    pub dynamic: bool,
    /// What a row may be, unless a server's settings say less or more.
    pub limits: RowLimits,
    /// The most bytes that it holds beside the rows, on their way to the server.
    pub sending_bytes: usize,
    /// What a second delivery does, by the sink's options.
    pub guarantee: fn(&Options) -> Guarantee,
}

/// The connectors that a host has.
pub trait Connectors {
    /// The one of this name.
    fn rules(&self, name: &str) -> Option<&'static ConnectorRules>;

    /// All names.
    fn names(&self) -> Vec<&'static str>;

    /// The instances of a connector that are configured beside the usual one.
    fn instances(&self, name: &str) -> Vec<String> {
        let _ = name;
        Vec::new()
    }
}

impl<const N: usize> Connectors for [&'static ConnectorRules; N] {
    fn rules(&self, name: &str) -> Option<&'static ConnectorRules> {
        self.iter().find(|rules| rules.name == name).copied()
    }

    fn names(&self) -> Vec<&'static str> {
        self.iter().map(|rules| rules.name).collect()
    }
}
