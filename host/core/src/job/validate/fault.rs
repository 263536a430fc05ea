//! What can be wrong with what a component describes.

use crate::limits;

/// What is wrong with a job or with how it is to be deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFault {
    /// The job's name cannot be.
    #[error("the job's name `{name}` cannot be: {reason}; give it another with --name")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The batch interval is too long.
    #[error(
        "batches every {every_ms} ms: an interval is {} at most",
        humantime::format_duration(limits::EVERY_MAX)
    )]
    Every {
        /// What the job says.
        every_ms: u64,
    },
    /// Nothing to read, or nothing to write.
    #[error("the job has no {role}: it needs one at least")]
    NoPlace {
        /// `source` or `sink`.
        role: &'static str,
    },
    /// Too many sources and sinks.
    #[error(
        "the job has {count} sources and sinks, of {} at most: split it",
        limits::PLACES_MAX
    )]
    TooManyPlaces {
        /// How many.
        count: usize,
    },
    /// A source's or sink's name cannot be.
    #[error("the {role} name `{name}` cannot be: {reason}")]
    PlaceName {
        /// `source` or `sink`.
        role: &'static str,
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Two sources or two sinks have one name.
    #[error(
        "two {role}s are called `{name}`: give each its own name, so that --set {role}.NAME=… knows which is meant"
    )]
    NameTwice {
        /// `source` or `sink`.
        role: &'static str,
        /// The name.
        name: String,
    },
    /// Where a source reads or a sink writes cannot be.
    #[error(
        "{role} `{name}`: there is no {what} `{target}`: {reason}; name another with --set {role}.{name}=…"
    )]
    Target {
        /// `source` or `sink`.
        role: &'static str,
        /// What the job calls it.
        name: String,
        /// `topic`, `address`, `path` or `table`.
        what: &'static str,
        /// Which one.
        target: String,
        /// Why it cannot be.
        reason: String,
    },
    /// Two sources read, or two sinks write, the same.
    #[error(
        "{role}s `{first}` and `{second}` both are `{target}`: one of the two must go, or be set to another place"
    )]
    PlaceTwice {
        /// `source` or `sink`.
        role: &'static str,
        /// The first one's name.
        first: String,
        /// The second one's name.
        second: String,
        /// The topic, address, path or table.
        target: String,
    },
    /// The host has no such connector, or none that can be this.
    #[error("{role} `{name}`: this host has no {role} connector `{connector}`: {known}")]
    UnknownConnector {
        /// `source` or `sink`.
        role: &'static str,
        /// The source's or sink's name.
        name: String,
        /// The connector that it names.
        connector: String,
        /// What was probably meant, or what there is.
        known: String,
    },
    /// No such instance of the connector is configured.
    #[error(
        "{role} `{name}`: no `[{connector}.{instance}]` is in the host's streamhost.toml: {there}"
    )]
    NoInstance {
        /// `source` or `sink`.
        role: &'static str,
        /// Its name.
        name: String,
        /// Its connector.
        connector: &'static str,
        /// The instance that was set.
        instance: String,
        /// Those that are configured.
        there: String,
    },
    /// Its connector has no such option.
    #[error("{role} `{name}`: `{connector}` has no option `{option}` as a {role}: {known}")]
    UnknownOption {
        /// `source` or `sink`.
        role: &'static str,
        /// Its name.
        name: String,
        /// Its connector.
        connector: &'static str,
        /// The option.
        option: String,
        /// What was probably meant, or what there is.
        known: String,
    },
    /// An option's value cannot be.
    #[error(
        "{role} `{name}`: `{option}={value}` cannot be: {reason}; set it with --set {role}.{name}.{option}=…"
    )]
    OptionValue {
        /// `source` or `sink`.
        role: &'static str,
        /// Its name.
        name: String,
        /// The option.
        option: String,
        /// What was said.
        value: String,
        /// What may be.
        reason: String,
    },
    /// Too many options.
    #[error(
        "{role} `{name}` has {count} options, of {} at most",
        limits::OPTIONS_MAX
    )]
    TooManyOptions {
        /// `source` or `sink`.
        role: &'static str,
        /// Its name.
        name: String,
        /// How many.
        count: usize,
    },
    /// It never ends, but must.
    #[error("source `{source_name}` never ends, so that it cannot be {wanted}")]
    Endless {
        /// The source.
        source_name: String,
        /// What asks for an end.
        wanted: &'static str,
    },
    /// What is wrong with the keyed stages.
    #[error(transparent)]
    Stage(#[from] super::stages::StageFault),
    /// A topic is read and written.
    #[error(
        "the job reads topic `{topic}`, and its {writer} go there too, which would never end: set one of them to another topic"
    )]
    Loop {
        /// The topic.
        topic: String,
        /// What goes there, in the plural.
        writer: String,
    },
    /// Dead letters and rows would be mixed.
    #[error(
        "topic `{topic}` is sink `{sink}`'s and the dead letters' too: set one of them to another topic"
    )]
    DeadLettersInSink {
        /// The topic.
        topic: String,
        /// The sink.
        sink: String,
    },
    /// A parameter cannot be.
    #[error("the parameter `{name}` cannot be: {reason}")]
    Parameter {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too many parameters.
    #[error("the job has more than {} parameters", limits::PARAMETERS_MAX)]
    TooManyParameters,
    /// A metric cannot be.
    #[error("the metric `{name}` cannot be: {reason}")]
    Metric {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Too many metrics.
    #[error("the job has more than {} metrics of its own", limits::JOB_METRICS_MAX)]
    TooManyMetrics,
    /// A parameter cannot be set to this.
    #[error("`param.{name}={value}`: {reason}")]
    ParameterValue {
        /// Its name.
        name: String,
        /// What was set.
        value: String,
        /// What may be.
        reason: String,
    },
    /// A setting names a parameter that the job does not have.
    #[error("`param.{name}` names no parameter of this job: {known}")]
    NoSuchParameter {
        /// The name in the setting.
        name: String,
        /// What was probably meant, or what there is.
        known: String,
    },
    /// A setting names a source or sink that the job does not have.
    #[error("`{role}.{name}` names no {role} of this job: it has {known}")]
    NoSuchPlace {
        /// `source` or `sink`.
        role: &'static str,
        /// The name in the setting.
        name: String,
        /// Those there are.
        known: String,
    },
    /// A place was set for a sink that has none.
    #[error("`{role}.{name}` cannot be set: {role} `{name}` is always {target}")]
    NoPlaceToSet {
        /// `source` or `sink`.
        role: &'static str,
        /// Its name.
        name: String,
        /// Where it always is.
        target: &'static str,
    },
    /// The consumer group is one of the host's own.
    #[error(
        "`group={group}`: groups that begin with `streamhost.` or `streamhost-run.` are the host's own; take another name"
    )]
    Group {
        /// The group.
        group: String,
    },
    /// Too many columns.
    #[error(
        "sink `{sink}` has {count} columns, of {} at most",
        limits::COLUMNS_MAX
    )]
    TooManyColumns {
        /// The sink.
        sink: String,
        /// How many.
        count: usize,
    },
    /// A column's name cannot be.
    #[error("sink `{sink}`, column `{column}`: {reason}")]
    Column {
        /// The sink.
        sink: String,
        /// The column.
        column: String,
        /// Why.
        reason: String,
    },
    /// Two columns have one name.
    #[error("sink `{sink}` has two columns `{column}`")]
    ColumnTwice {
        /// The sink.
        sink: String,
        /// The column.
        column: String,
    },
    /// A raw column is not alone.
    #[error(
        "sink `{sink}` has a column without a name, which is the whole value: then it can have no other columns"
    )]
    RawNotAlone {
        /// The sink.
        sink: String,
    },
    /// Its rows have columns that only the data knows.
    #[error(
        "sink `{sink}`: rows of this {what} have no columns but those that are declared: leave #[row(dynamic)] out"
    )]
    Dynamic {
        /// The sink.
        sink: String,
        /// What it writes.
        what: &'static str,
    },
    /// It has more key columns than its connector takes.
    #[error(
        "sink `{sink}` has {count} key columns, and `{connector}` takes {most}: join them, by #[row(separator = \"…\")] on the struct"
    )]
    TooManyKeys {
        /// The sink.
        sink: String,
        /// How many.
        count: usize,
        /// Its connector.
        connector: &'static str,
        /// How many that takes.
        most: usize,
    },
    /// A key column cannot be.
    #[error("sink `{sink}`, key `{key}`: {reason}")]
    Key {
        /// The sink.
        sink: String,
        /// The key column.
        key: String,
        /// Why.
        reason: String,
    },
    /// Its rows need keys.
    #[error("sink `{sink}`: rows of a {what} need a key: mark one field with #[row(key)]")]
    Keyless {
        /// The sink.
        sink: String,
        /// What it writes.
        what: &'static str,
    },
}
