//! What `top` knows, and what keys do to it.

use super::stream::Told;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A job among all, as the daemon tells it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Job {
    pub(super) job: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) version: u64,
    pub(super) records_per_second: Option<f64>,
    pub(super) rows_per_second: Option<f64>,
    pub(super) dead_letters: u64,
    pub(super) lag: Option<u64>,
    pub(super) lag_seconds: Option<f64>,
    pub(super) lag_change_per_second: Option<f64>,
    pub(super) cpu_cores: Option<f64>,
    pub(super) guest_memory_bytes: Option<u64>,
    /// Mean times of its last batches.
    pub(super) steps_ms: Option<BTreeMap<String, f64>>,
}

/// A partition of a source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Partition {
    pub(super) source: String,
    pub(super) partition: i32,
    pub(super) committed: i64,
    pub(super) end: Option<i64>,
    pub(super) lag: Option<i64>,
    pub(super) event_time: Option<String>,
    pub(super) idle: bool,
    pub(super) holds_back: bool,
}

/// A keyed stage.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) keys: u64,
    pub(super) bytes: u64,
    pub(super) results: Option<u64>,
    pub(super) late: Option<u64>,
    pub(super) watermark: Option<String>,
}

/// What is told of one job.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Detail {
    pub(super) watermarks: Watermarks,
    pub(super) stages: Vec<Stage>,
}

/// How far the partitions of a job are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Watermarks {
    pub(super) watermark: Option<String>,
    pub(super) explanation: Option<String>,
    pub(super) partitions: Vec<Partition>,
}

/// A column by which jobs are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Records,
    Lag,
    DeadLetters,
    Cpu,
    Memory,
}

impl Sort {
    const ALL: [Sort; 6] = [
        Sort::Name,
        Sort::Records,
        Sort::Lag,
        Sort::DeadLetters,
        Sort::Cpu,
        Sort::Memory,
    ];

    /// As its column's head says it.
    pub(super) fn head(self) -> &'static str {
        match self {
            Sort::Name => "JOB",
            Sort::Records => "RECORDS/S",
            Sort::Lag => "LAG",
            Sort::DeadLetters => "DEAD LETTERS",
            Sort::Cpu => "CPU",
            Sort::Memory => "MEMORY",
        }
    }

    fn next(self) -> Sort {
        let at = Sort::ALL.iter().position(|sort| *sort == self);
        Sort::ALL[at.map_or(0, |at| (at + 1) % Sort::ALL.len())]
    }

    /// What it sorts by; the largest comes first but for names.
    fn key(self, job: &Job) -> f64 {
        match self {
            Sort::Name => 0.0,
            Sort::Records => job.records_per_second.unwrap_or(-1.0),
            Sort::Lag => job.lag.map_or(-1.0, |lag| lag as f64),
            Sort::DeadLetters => job.dead_letters as f64,
            Sort::Cpu => job.cpu_cores.unwrap_or(-1.0),
            Sort::Memory => job.guest_memory_bytes.map_or(-1.0, |bytes| bytes as f64),
        }
    }
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    Open,
    Back,
    Sort,
    Reverse,
    End,
}

/// What is to be done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same stream goes on.
    Same,
    /// All jobs are shown.
    Jobs,
    /// This one is shown.
    Job(String),
    /// Its reader has enough.
    End,
}

/// All that is shown.
#[derive(Default)]
pub(super) struct Model {
    /// The daemon's name and version, once it said them.
    pub(super) host: Option<String>,
    /// Why nothing is told just now.
    pub(super) lost: Option<String>,
    /// In the order in which they are shown.
    pub(super) jobs: Vec<Job>,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    /// The chosen job's name.
    chosen: Option<String>,
    /// The job that is open.
    pub(super) open: Option<String>,
    pub(super) detail: Detail,
    /// The first of its partitions that is shown.
    pub(super) first: usize,
    /// The open job is there no more.
    pub(super) gone: bool,
}

impl Model {
    /// Takes what was told.
    pub(super) fn take(&mut self, told: Told) {
        let (name, data) = match told {
            Told::Lost(reason) => {
                self.lost = Some(reason);
                return;
            }
            Told::Event { name, data } => (name, data),
        };
        self.lost = None;
        match name.as_str() {
            "hello" => {
                let text = |key: &str| data[key].as_str().unwrap_or("?").to_owned();
                self.host = Some(format!("{} {}", text("host"), text("version")));
            }
            "jobs" => {
                if let Some(jobs) = of(data) {
                    self.jobs = jobs;
                    self.order();
                }
            }
            "job" => {
                self.gone = false;
                if let Some(detail) = of(data) {
                    self.detail = detail;
                }
            }
            "gone" => self.gone = true,
            _ => {} // a beat, or what this command line does not know yet
        }
    }

    fn order(&mut self) {
        let sort = self.sort;
        self.jobs.sort_by(|a, b| {
            let by_key = sort.key(b).total_cmp(&sort.key(a));
            by_key.then_with(|| a.job.cmp(&b.job))
        });
        if self.reversed {
            self.jobs.reverse();
        }
    }

    /// The chosen job's place; none without jobs.
    pub(super) fn chosen(&self) -> Option<usize> {
        let by_name = self.chosen.as_ref();
        let at = by_name.and_then(|name| self.jobs.iter().position(|job| job.job == *name));
        at.or((!self.jobs.is_empty()).then_some(0))
    }

    /// The open job among all.
    pub(super) fn opened(&self) -> Option<&Job> {
        let name = self.open.as_ref()?;
        self.jobs.iter().find(|job| job.job == *name)
    }

    /// Does what a key asks for.
    pub(super) fn step(&mut self, step: Step) -> Next {
        match step {
            Step::End => return Next::End,
            Step::Back if self.open.is_none() => return Next::End,
            Step::Back => {
                self.open = None;
                return Next::Jobs;
            }
            Step::Open if self.open.is_none() => {
                let Some(at) = self.chosen() else {
                    return Next::Same;
                };
                let job = self.jobs[at].job.clone();
                (self.open, self.detail, self.gone) = (Some(job.clone()), Detail::default(), false);
                self.first = 0;
                return Next::Job(job);
            }
            Step::Sort => {
                self.sort = self.sort.next();
                self.order();
            }
            Step::Reverse => {
                self.reversed = !self.reversed;
                self.order();
            }
            Step::Up | Step::Down if self.open.is_none() => {
                let at = self.chosen().unwrap_or(0);
                let last = self.jobs.len().saturating_sub(1);
                let at = match step {
                    Step::Up => at.saturating_sub(1),
                    _ => (at + 1).min(last),
                };
                self.chosen = self.jobs.get(at).map(|job| job.job.clone());
            }
            Step::Up => self.first = self.first.saturating_sub(1),
            Step::Down => {
                let last = self.detail.watermarks.partitions.len().saturating_sub(1);
                self.first = (self.first + 1).min(last);
            }
            Step::Open => {}
        }
        Next::Same
    }
}

/// What the data says, if it is of a form that is known.
fn of<T: for<'d> Deserialize<'d>>(data: Value) -> Option<T> {
    serde_json::from_value(data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(name: &str, data: Value) -> Told {
        Told::Event {
            name: name.to_owned(),
            data,
        }
    }

    fn names(model: &Model) -> Vec<&str> {
        model.jobs.iter().map(|job| job.job.as_str()).collect()
    }

    #[test]
    fn keys_choose_open_and_sort() {
        let mut model = Model::default();
        assert_eq!(model.step(Step::Open), Next::Same, "there is no job yet");
        model.take(event(
            "jobs",
            json!([{"job": "a", "lag": 1}, {"job": "b", "lag": 9}, {"job": "c", "lag": null}]),
        ));
        model.step(Step::Down);
        assert_eq!(model.step(Step::Open), Next::Job("b".to_owned()));
        model.take(event(
            "job",
            json!({"stages": [{"name": "count", "keys": 3}]}),
        ));
        assert_eq!(model.detail.stages[0].keys, 3);
        model.take(event("gone", json!({"error": "no"})));
        assert!(model.gone);
        assert_eq!((model.step(Step::Down), model.first), (Next::Same, 0));
        model.take(event(
            "job",
            json!({"watermarks": {"partitions": [{"partition": 0}, {"partition": 1}]}}),
        ));
        for (step, first) in [
            (Step::Down, 1),
            (Step::Down, 1),
            (Step::Up, 0),
            (Step::Up, 0),
        ] {
            assert_eq!((model.step(step), model.first), (Next::Same, first));
        }
        assert_eq!(model.step(Step::Back), Next::Jobs);
        model.step(Step::Sort);
        model.step(Step::Sort);
        assert_eq!(
            (model.sort, names(&model)),
            (Sort::Lag, vec!["b", "a", "c"])
        );
        model.step(Step::Reverse);
        assert_eq!(names(&model), ["c", "a", "b"]);
        assert_eq!(model.chosen(), Some(2), "the chosen one stays chosen");
        assert_eq!(model.step(Step::Back), Next::End);
        assert_eq!(model.step(Step::End), Next::End);
    }

    #[test]
    fn a_daemon_that_is_lost_is_told_until_it_is_back() {
        let mut model = Model::default();
        model.take(Told::Lost("it is silent".to_owned()));
        assert_eq!(model.lost.as_deref(), Some("it is silent"));
        model.take(event("hello", json!({"host": "h", "version": "0.1.0"})));
        assert_eq!((model.lost, model.host.as_deref()), (None, Some("h 0.1.0")));
    }
}
