//! The settings of a deployment, `--set KEY=VALUE`: parsed once, and all faults told at once. Pure.

use super::budget::{self, Budgets};
use super::names;
use crate::limits;
use crate::types::TimeRules;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

/// What happens to a record that the author's function refuses, or that breaks the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It goes to the job's dead letters, with its reason.
    #[default]
    DeadLetter,
    /// It is left out, and counted as dropped.
    Skip,
    /// The job stops before it.
    Stop,
}

/// What one job may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobLimits {
    /// A guest instance's linear memory in bytes.
    pub memory_bytes: usize,
    /// One call of the guest.
    pub time: Duration,
    /// Records of one batch.
    pub batch_records: usize,
    /// Bytes of keys and values of one batch.
    pub batch_bytes: usize,
}

impl Default for JobLimits {
    fn default() -> Self {
        JobLimits {
            memory_bytes: limits::GUEST_MEMORY_BYTES_DEFAULT,
            time: limits::GUEST_TIME_DEFAULT,
            batch_records: limits::BATCH_RECORDS_MAX,
            batch_bytes: limits::BATCH_BYTES_DEFAULT,
        }
    }
}

impl JobLimits {
    /// Those of a batch.
    pub fn batch(&self) -> BatchLimits {
        BatchLimits {
            records_max: self.batch_records,
            bytes_max: self.batch_bytes,
        }
    }
}

/// A deployment's settings. Whether the names in `sources`, `sinks` and `parameters` are the job's,
/// `job::check` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The batch interval, if not the job's own; zero: as soon as the pipeline is free.
    pub every: Option<Duration>,
    /// For sources by name, the topic, address or path to read instead; by name and option, the
    /// option's value.
    pub sources: BTreeMap<String, String>,
    /// For sinks by name, the table or topic to write instead, and options likewise.
    pub sinks: BTreeMap<String, String>,
    /// For parameters by name, what they are instead of their defaults.
    pub parameters: BTreeMap<String, String>,
    /// The topic of dead letters, if not the usual one.
    pub dead_letters: Option<String>,
    /// Where a new job begins to read.
    pub start: StartPosition,
    /// Topics and followed files are read to the ends that they have at the job's start,
    /// connections until their peers close them; then the job is finished.
    pub until_end: bool,
    /// How long a partition of a timed source may have been silent at its end before it no longer
    /// holds the watermark back; zero: it always does.
    pub idle: Duration,
    /// How far ahead of its record's own time an event time may be; zero: however far.
    pub ahead: Duration,
    /// What happens to a record that is refused.
    pub on_error: OnError,
    /// The consumer group that shows progress to monitors, if not the usual one.
    pub group: Option<String>,
    /// What the job may use.
    pub limits: JobLimits,
    /// How much of what a version may have.
    pub budgets: Budgets,
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingFault {
    /// There is no such setting.
    #[error("`{key}` is no setting: {}", meant(nearest))]
    Unknown {
        /// What was written.
        key: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// Its value cannot be.
    #[error("`{key}={value}`: {reason}")]
    Value {
        /// The setting.
        key: String,
        /// What was written.
        value: String,
        /// Why it cannot be, and what can.
        reason: String,
    },
}

/// The settings whose keys are fixed; `source.NAME` and `sink.NAME` come beside them, their options,
/// and `param.NAME`.
pub const KEYS: [&str; 17] = [
    "ahead",
    "dead-letters",
    "every",
    "group",
    "idle",
    "limits.batch-bytes",
    "limits.batch-records",
    "limits.memory",
    "limits.time",
    "max-cpu",
    "max-dead-letters",
    "max-latency",
    "on-error",
    "over-budget",
    "probation",
    "start",
    "until",
];

fn meant(nearest: &Option<String>) -> String {
    match nearest {
        Some(key) => format!("did you mean `{key}`?"),
        None => format!(
            "there are source.NAME, sink.NAME, param.NAME, {}",
            KEYS.join(", ")
        ),
    }
}

impl Settings {
    /// No settings: what a job gets when nobody says anything else.
    pub fn none(defaults: JobLimits) -> Self {
        Settings {
            every: None,
            sources: BTreeMap::new(),
            sinks: BTreeMap::new(),
            parameters: BTreeMap::new(),
            dead_letters: None,
            start: StartPosition::Earliest,
            until_end: false,
            idle: limits::IDLE_TIME,
            ahead: limits::AHEAD_TIME,
            on_error: OnError::default(),
            group: None,
            limits: defaults,
            budgets: Budgets::default(),
        }
    }

    /// Reads the pairs of `--set`; `defaults` are the host's for limits that they do not name. All
    /// faults at once.
    pub fn parse(
        pairs: &BTreeMap<String, String>,
        defaults: JobLimits,
    ) -> Result<Self, Vec<SettingFault>> {
        let mut settings = Settings::none(defaults);
        let mut faults = Vec::new();
        for (key, value) in pairs {
            match settings.take(key, value.trim()) {
                Ok(()) => {}
                Err(Refused::Key) => faults.push(SettingFault::Unknown {
                    key: key.clone(),
                    nearest: nearest(key),
                }),
                Err(Refused::Value(reason)) => {
                    faults.push(SettingFault::Value {
                        key: key.clone(),
                        value: value.clone(),
                        reason,
                    });
                }
            }
        }
        if faults.is_empty() {
            Ok(settings)
        } else {
            Err(faults)
        }
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Refused> {
        match key {
            "every" => self.every = Some(interval(value)?),
            "dead-letters" => self.dead_letters = Some(named(value, names::topic)?),
            "group" => self.group = Some(named(value, names::group)?),
            "start" => self.start = start(value)?,
            "until" => self.until_end = until(value)?,
            "idle" => self.idle = time_or_none(value)?,
            "ahead" => self.ahead = time_or_none(value)?,
            "on-error" => self.on_error = on_error(value)?,
            "max-dead-letters" => self.budgets.dead_letters = budget::letters(value)?,
            "max-latency" => self.budgets.latency = Some(budget::latency(value)?),
            "max-cpu" => self.budgets.cpu = Some(budget::cpu(value)?),
            "over-budget" => self.budgets.beyond = budget::beyond(value)?,
            "probation" => self.budgets.probation = Some(time_or_none(value)?),
            "limits.memory" => {
                self.limits.memory_bytes = bytes(
                    value,
                    limits::GUEST_MEMORY_BYTES_MIN,
                    limits::GUEST_MEMORY_BYTES_MAX,
                )?;
            }
            "limits.time" => self.limits.time = guest_time(value)?,
            "limits.batch-records" => {
                self.limits.batch_records = count(value, limits::BATCH_RECORDS_MAX)?
            }
            "limits.batch-bytes" => {
                self.limits.batch_bytes = bytes(value, 1, limits::BATCH_BYTES_MAX)?
            }
            _ => {
                // What a value may be depends on the connector, which `job::validate` knows.
                let (places, name) = match key.split_once('.') {
                    Some(("source", name)) => (&mut self.sources, name),
                    Some(("sink", name)) => (&mut self.sinks, name),
                    Some(("param", name)) => (&mut self.parameters, name),
                    _ => return Err(Refused::Key),
                };
                if name.is_empty() {
                    return Err(Refused::Value(
                        "the name after the dot is missing".to_owned(),
                    ));
                }
                places.insert(name.to_owned(), named(value, names::path)?);
            }
        }
        Ok(())
    }

    /// What is made of times in the job's batches. `by_clock`: the batches' times are a clock's.
    pub fn time_rules(&self, by_clock: bool) -> TimeRules {
        TimeRules {
            ahead_ms: u64::try_from(self.ahead.as_millis()).unwrap_or(u64::MAX),
            by_clock,
        }
    }

    /// For how long a deployment with these pairs is on probation, if they say it.
    pub(super) fn probation(pairs: &BTreeMap<String, String>) -> Option<Duration> {
        time_or_none(pairs.get("probation")?.trim()).ok()
    }

    /// The topic of this job's dead letters.
    pub fn dead_letter_topic(&self, job: &str) -> String {
        self.dead_letters
            .clone()
            .unwrap_or_else(|| format!("{job}.dead-letters"))
    }

    /// The consumer group that shows this job's progress to monitors.
    pub fn group_of(&self, job: &str) -> String {
        self.group
            .clone()
            .unwrap_or_else(|| format!("streamhost.{job}"))
    }
}

enum Refused {
    Key,
    Value(String),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Refused::Value(reason)
    }
}

fn nearest(key: &str) -> Option<String> {
    if let Some((head, name)) = key.split_once('.')
        && let Some(head @ ("source" | "sink" | "param")) =
            names::nearest(head, ["source", "sink", "param", "limits"])
    {
        return Some(format!("{head}.{name}"));
    }
    let bare = KEYS
        .iter()
        .find(|known| known.strip_prefix("limits.") == Some(key));
    bare.copied()
        .or_else(|| names::nearest(key, KEYS))
        .map(str::to_owned)
}

fn named(value: &str, rule: fn(&str) -> Result<(), String>) -> Result<String, String> {
    rule(value).map(|()| value.to_owned())
}

/// A batch interval: a duration, or 0.
pub fn interval(value: &str) -> Result<Duration, String> {
    if value == "0" {
        return Ok(Duration::ZERO);
    }
    let every = duration(value)?;
    if every > limits::EVERY_MAX {
        return Err(format!(
            "an interval is {} at most",
            humantime::format_duration(limits::EVERY_MAX)
        ));
    }
    if every.subsec_nanos() % 1_000_000 != 0 {
        return Err("an interval is a whole number of milliseconds".to_owned());
    }
    Ok(every)
}

/// The time of one guest call, within its bounds.
pub fn guest_time(value: &str) -> Result<Duration, String> {
    let (least, most) = (limits::EPOCH, limits::GUEST_TIME_MAX);
    let time = duration(value)?;
    if time < least || time > most {
        return Err(out_of(
            humantime::format_duration(least),
            humantime::format_duration(most),
        ));
    }
    Ok(time)
}

/// A number of bytes within bounds: `65536`, `64KiB`, `1MB`.
pub fn bytes(value: &str, least: usize, most: usize) -> Result<usize, String> {
    let size: bytesize::ByteSize = value
        .parse()
        .map_err(|_| "a size is a number and a unit, such as `64MiB` or `500kB`".to_owned())?;
    let show = |n: usize| bytesize::ByteSize(n as u64).display().iec().to_string();
    match usize::try_from(size.as_u64()) {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(out_of(show(least), show(most))),
    }
}

/// A number from 1 on.
pub fn count(value: &str, most: usize) -> Result<usize, String> {
    match value.parse::<usize>() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        Ok(_) => Err(out_of(1, most)),
        Err(_) => Err(format!("a whole number from 1 to {most} belongs here")),
    }
}

fn out_of(least: impl fmt::Display, most: impl fmt::Display) -> String {
    format!("it must be from {least} to {most}")
}

fn duration(value: &str) -> Result<Duration, String> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("the unit is missing: `{value}s` or `{value}ms`?"));
    }
    humantime::parse_duration(value)
        .map_err(|_| "a duration is a number and a unit, such as `10s` or `250ms`".to_owned())
}

fn until(value: &str) -> Result<bool, String> {
    match value {
        "end" => Ok(true),
        _ => Err("it can only be `end`; without it, topics are read for ever".to_owned()),
    }
}

/// How long a partition may be silent, or how far ahead an event time: a duration, or 0.
fn time_or_none(value: &str) -> Result<Duration, String> {
    if value == "0" {
        return Ok(Duration::ZERO);
    }
    let time = duration(value)?;
    if time > limits::STAGE_TIME_MAX {
        return Err(format!(
            "it is {} at most",
            humantime::format_duration(limits::STAGE_TIME_MAX)
        ));
    }
    Ok(time)
}

fn on_error(value: &str) -> Result<OnError, String> {
    match value {
        "dead-letter" => Ok(OnError::DeadLetter),
        "skip" => Ok(OnError::Skip),
        "stop" => Ok(OnError::Stop),
        _ => Err("it is one of dead-letter, skip, stop".to_owned()),
    }
}

/// A position: `earliest`, `latest`, or a time.
pub fn start(value: &str) -> Result<StartPosition, String> {
    match value {
        "earliest" => Ok(StartPosition::Earliest),
        "latest" => Ok(StartPosition::Latest),
        _ => rfc3339(value).map(StartPosition::At).ok_or_else(|| {
            "it is earliest, latest, or an RFC 3339 time such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00"
                .to_owned()
        }),
    }
}

/// A time with `Z` or an offset; the library reads `Z` alone.
fn rfc3339(value: &str) -> Option<SystemTime> {
    let value = value.to_ascii_uppercase();
    let split = value.len().checked_sub(6)?;
    let (Some(local), Some(offset)) = (value.get(..split), value.get(split..)) else {
        return None;
    };
    let time = match offset.as_bytes() {
        [
            sign @ (b'+' | b'-'),
            h1 @ b'0'..=b'9',
            h2 @ b'0'..=b'9',
            b':',
            m1 @ b'0'..=b'5',
            m2 @ b'0'..=b'9',
        ] => {
            let digits = |tens: &u8, ones: &u8| u64::from((tens - b'0') * 10 + (ones - b'0'));
            let (hours, minutes) = (digits(h1, h2), digits(m1, m2));
            let by = Duration::from_secs(hours * 3600 + minutes * 60);
            let local = humantime::parse_rfc3339(&format!("{local}Z"))
                .ok()
                .filter(|_| hours < 24)?;
            if *sign == b'+' {
                local.checked_sub(by)?
            } else {
                local.checked_add(by)?
            }
        }
        _ => humantime::parse_rfc3339(&value).ok()?,
    };
    (time >= SystemTime::UNIX_EPOCH).then_some(time)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

/// Where a new job begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// The oldest record there is.
    Earliest,
    /// After the newest record.
    Latest,
    /// The first record at or after this time.
    At(SystemTime),
}

/// How much one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Records of all partitions.
    pub records_max: usize,
    /// Bytes of keys and values of all partitions.
    pub bytes_max: usize,
}

impl Default for BatchLimits {
    fn default() -> Self {
        BatchLimits {
            records_max: limits::BATCH_RECORDS_MAX,
            bytes_max: limits::BATCH_BYTES_DEFAULT,
        }
    }
}
