//! Calls of a job, as its host makes them: everything crosses in bytes, and each answer is held to
//! its promises.

use super::model::{
    Bytes, Finished, FinishedGroup, Group, Item, Kind, Made, NO_TIME_MS, Pair, Part, Times,
};
use super::{promises, text};
use crate::call::{self, Batch, Input, Moment, Output};
use crate::columns::ColumnBuf;
use crate::describe::{Description, SinkDef};
use crate::job::{Call, Job};
use crate::log;
use crate::record::Record;
use crate::row::RowWriter;
use crate::sink::SinkKind;
use crate::validate::is_column;
use std::cell::{Cell, RefCell};

/// A job that can be called.
pub(super) struct Guest<'a> {
    job: &'a dyn for<'b> Fn(Call<'b>) -> Job<'b>,
    description: &'a Description,
    pub(super) kinds: &'a [Kind],
    quiet: Cell<bool>,
    logs: RefCell<Vec<String>>,
}

impl<'a> Guest<'a> {
    pub(super) fn new(
        job: &'a dyn for<'b> Fn(Call<'b>) -> Job<'b>,
        description: &'a Description,
        kinds: &'a [Kind],
    ) -> Self {
        Guest {
            job,
            description,
            kinds,
            quiet: Cell::new(false),
            logs: RefCell::default(),
        }
    }

    pub(super) fn sources(&self) -> usize {
        self.description.sources.len()
    }

    pub(super) fn sinks(&self) -> usize {
        self.description.sinks.len()
    }

    pub(super) fn stage_name(&self, stage: usize) -> &str {
        &self.description.stages[stage].name
    }

    /// The stages that feed a keyed one, sources first.
    pub(super) fn inputs(&self, stage: usize) -> impl Iterator<Item = usize> {
        self.description.stages[stage]
            .inputs
            .iter()
            .map(|&input| input as usize)
    }

    pub(super) fn is_timed(&self, source: usize) -> bool {
        self.description.sources[source].timed
    }

    /// Accumulators hold numbers with a fraction.
    pub(super) fn has_floats(&self, stage: usize) -> bool {
        let shape = &self.description.stages[stage].value_shape;
        shape.contains("f64") || shape.contains("f32")
    }

    /// Calls whose log lines are of no interest, as they repeat others.
    pub(super) fn quietly<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = self.quiet.replace(true);
        let result = f();
        self.quiet.set(before);
        result
    }

    /// The lines that were logged.
    pub(super) fn into_logs(self) -> Vec<String> {
        self.logs.into_inner()
    }

    fn call<T>(&self, f: impl FnOnce() -> T) -> T {
        let (result, lines) = log::keep(f);
        if !self.quiet.get() {
            self.logs.borrow_mut().extend(lines);
        }
        result
    }

    /// The export `transform`.
    pub(super) fn transform(&self, source: usize, moment: Moment, records: &[Record<'_>]) -> Made {
        let keys = column(records.iter().map(|record| record.key));
        let values = column(records.iter().map(|record| record.value));
        let absent_keys = positions(records.iter().map(|record| record.no_key));
        let absent_values = positions(records.iter().map(|record| record.no_value));
        let times_ms: Vec<i64> = records.iter().map(|record| record.time_ms).collect();
        let batch = Batch {
            keys: keys.view(),
            values: values.view(),
            times_ms: &times_ms,
            absent_keys: &absent_keys,
            absent_values: &absent_values,
        };
        let output =
            self.call(|| (self.job)(Call::new()).run(source, moment, Input::Records(batch)));
        self.made(source, moment, records.len(), output)
    }

    /// The export `combine`. Panics where a group's outcome depends on the groups beside it.
    pub(super) fn combine(&self, stage: usize, groups: &[Group]) -> Vec<Bytes> {
        let all = self.combine_once(stage, groups);
        let alone = || {
            groups
                .iter()
                .flat_map(|group| self.combine_once(stage, std::slice::from_ref(group)))
                .collect()
        };
        let alone: Vec<Bytes> = if groups.len() <= 1 {
            all.clone()
        } else {
            self.quietly(alone)
        };
        let name = self.stage_name(stage);
        assert_eq!(
            all, alone,
            "merging a group of stage `{name}` depends on the groups that are merged beside it"
        );
        all
    }

    /// The export `combine`, without a second look.
    pub(super) fn combine_once(&self, stage: usize, groups: &[Group]) -> Vec<Bytes> {
        if groups.is_empty() {
            return Vec::new();
        }
        let accumulators = column(
            groups
                .iter()
                .map(|group| group.so_far.as_deref().unwrap_or_default()),
        );
        let absent = positions(groups.iter().map(|group| group.so_far.is_none()));
        let partials = column(
            groups
                .iter()
                .flat_map(|group| &group.partials)
                .map(Vec::as_slice),
        );
        let mut group_ends = Vec::with_capacity(groups.len());
        groups.iter().fold(0, |end, group| {
            group_ends.push(end + group.partials.len() as u32);
            end + group.partials.len() as u32
        });
        let asked = call::Partials {
            accumulators: accumulators.view(),
            absent: &absent,
            group_ends: &group_ends,
            partials: partials.view(),
        };
        let merged = self.call(|| (self.job)(Call::new()).combine(self.sources() + stage, asked));
        self.items("combine", stage, groups.len(), &merged)
    }

    /// The export `finish`.
    pub(super) fn finish(&self, stage: usize, times: Times, finished: &Finished) -> Made {
        // What comes from a keyed stage is on time by construction: nothing is judged by these.
        let moment = Moment {
            batch_ms: times.clock_ms,
            watermark_ms: NO_TIME_MS,
            partition_ms: NO_TIME_MS,
        };
        let number = self.sources() + stage;
        let output = match finished {
            Finished::Groups(groups) => self.finish_groups(number, moment, groups),
            Finished::Pairs(pairs) => self.finish_pairs(number, moment, pairs),
        };
        let made = self.made(number, moment, finished.len(), output);
        let name = self.stage_name(stage);
        assert!(
            made.late.is_empty(),
            "the job breaks a promise to its host: what stage `{name}` finished is late"
        );
        Made {
            largest_ms: NO_TIME_MS,
            ..made
        }
    }

    fn finish_groups(&self, number: usize, moment: Moment, groups: &[FinishedGroup]) -> Output {
        let keys = column(groups.iter().map(|group| group.key.as_slice()));
        let accumulators = column(groups.iter().map(|group| group.accumulator.as_slice()));
        let starts_ms: Vec<i64> = groups.iter().map(|group| group.start_ms).collect();
        let ends_ms: Vec<i64> = groups.iter().map(|group| group.end_ms).collect();
        let input = Input::Groups(call::Groups {
            keys: keys.view(),
            accumulators: accumulators.view(),
            starts_ms: &starts_ms,
            ends_ms: &ends_ms,
        });
        self.call(|| (self.job)(Call::new()).run(number, moment, input))
    }

    fn finish_pairs(&self, number: usize, moment: Moment, pairs: &[Pair]) -> Output {
        let lefts = column(pairs.iter().map(|pair| pair.left.as_slice()));
        let rights = column(
            pairs
                .iter()
                .map(|pair| pair.right.as_deref().unwrap_or_default()),
        );
        let absent_rights = positions(pairs.iter().map(|pair| pair.right.is_none()));
        let times_ms: Vec<i64> = pairs.iter().map(|pair| pair.time_ms).collect();
        let input = Input::Pairs(call::Pairs {
            lefts: lefts.view(),
            rights: rights.view(),
            absent_rights: &absent_rights,
            times_ms: &times_ms,
        });
        self.call(|| (self.job)(Call::new()).run(number, moment, input))
    }

    /// The export `migrate`.
    pub(super) fn migrate(&self, stage: usize, accumulators: &[Bytes]) -> Vec<Bytes> {
        let asked = column(accumulators.iter().map(Vec::as_slice));
        let made =
            self.call(|| (self.job)(Call::new()).migrate(self.sources() + stage, asked.view()));
        self.items("migrate", stage, accumulators.len(), &made)
    }

    fn items(&self, what: &str, stage: usize, wanted: usize, made: &ColumnBuf) -> Vec<Bytes> {
        if let Err(broken) = promises::check_items(made, wanted) {
            let name = self.stage_name(stage);
            panic!("the job breaks a promise to its host: {what} of stage `{name}`: {broken}");
        }
        made.view().iter().map(<[u8]>::to_vec).collect()
    }

    /// What the host makes of an answer: a table refuses rows without a key or with a column that
    /// it cannot have, and a record's faults are one fault.
    fn made(&self, number: usize, moment: Moment, count: usize, output: Output) -> Made {
        if let Err(broken) =
            promises::check(self.description, self.kinds, number, moment, count, &output)
        {
            panic!("the job breaks a promise to its host: {broken}");
        }
        let mut made = Made {
            largest_ms: output.largest_ms,
            ..Made::default()
        };
        made.late = output.late.iter().map(|&at| at as usize).collect();
        made.parts = output
            .keyed
            .iter()
            .map(|keyed| part(keyed, self.sources()))
            .collect();
        made.faults.extend(
            output
                .faults
                .into_iter()
                .map(|fault| (fault.position as usize, fault.reason)),
        );
        for (rows, sink) in output.rows.iter().zip(&self.description.sinks) {
            let mut fit = Vec::new();
            for (at, row) in text::rows(rows, &sink.shape).enumerate() {
                match unfit(rows, sink, at, row.key) {
                    Some(reason) => made.faults.push((row.position, reason)),
                    None => fit.push((row.position, row.text)),
                }
            }
            made.rows.push(fit);
        }
        made.faults.sort_by_key(|(position, _)| *position);
        made.faults.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same && next.1 != first.1 {
                first.1 = format!("{}; {}", first.1, next.1);
            }
            same
        });
        made
    }
}

/// Why a table cannot have the row.
fn unfit(rows: &RowWriter, sink: &SinkDef, row: usize, key: &[u8]) -> Option<String> {
    if sink.kind != SinkKind::Hbase {
        return None;
    }
    if key.is_empty() {
        return Some(format!("sink `{}`: the row's key is empty", sink.name));
    }
    let names = rows
        .extra
        .rows
        .iter()
        .zip(rows.extra.names.view().iter())
        .filter(|(at, _)| **at as usize == row);
    let mut names = names.map(|(_, name)| String::from_utf8_lossy(name));
    let name = names.find(|name| !is_column(name))?;
    Some(format!(
        "sink `{}`: the column `{name}` is not `family:qualifier`",
        sink.name
    ))
}

fn part(keyed: &call::Keyed, sources: usize) -> Part {
    let item = |at: usize| Item {
        key: keyed.keys.view().get(at).to_vec(),
        value: keyed.values.view().get(at).to_vec(),
        time_ms: keyed.times_ms[at],
        until_ms: keyed
            .until_ms
            .get(at)
            .copied()
            .unwrap_or(keyed.times_ms[at]),
        deleted: keyed.deleted.binary_search(&(at as u32)).is_ok(),
    };
    Part {
        stage: keyed.stage as usize - sources,
        side: keyed.side,
        positions: keyed.positions.iter().map(|&at| at as usize).collect(),
        items: (0..keyed.times_ms.len()).map(item).collect(),
    }
}

fn column<'a>(items: impl Iterator<Item = &'a [u8]>) -> ColumnBuf {
    let mut column = ColumnBuf::default();
    items.for_each(|item| column.push(item));
    column
}

/// The places of those that are so.
fn positions(are: impl Iterator<Item = bool>) -> Vec<u32> {
    (0..)
        .zip(are)
        .filter_map(|(position, is)| is.then_some(position))
        .collect()
}
