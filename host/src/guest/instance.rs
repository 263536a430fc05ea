//! One instance of a component: its memory, its limits, its calls.

use super::bindings::streamhost::job::{log as wit_log, types as wit};
use super::calls::{Finished, Moment, Partials};
use super::crossing::{answer_out, column_in, column_out, moment_in, raw_job};
use super::run::Guest;
use super::{GuestLimits, Loaded, bindings};
use crate::job::check::RawJob;
use crate::limits;
use crate::record::{Chunk, Column, Keyed, Rows};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, Trap};

/// What a guest did instead of answering.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuestFault {
    /// It trapped: a panic, a wild pointer, an overflow of its stack.
    #[error("{0}")]
    Trap(String),
    /// It ran longer than it may.
    #[error("it ran longer than {0:?} (limits.time)")]
    Time(Duration),
    /// It wanted more memory than it may have.
    #[error("it needs more than {0} of memory (limits.memory)")]
    Memory(String),
    /// It made a key that state cannot keep.
    #[error("a key of stage `{stage}` has {bytes} bytes, over {max}", max = limits::KEYED_KEY_BYTES_MAX)]
    Key {
        /// The stage's name.
        stage: String,
        /// The key's length.
        bytes: usize,
    },
}

/// Where the lines go that a guest logs.
pub type LogSink = Arc<dyn Fn(tracing::Level, &str) + Send + Sync>;

/// What the host keeps beside an instance.
pub struct State {
    limits: StoreLimits,
    log: LogSink,
    lines_left: usize,
    lines_lost: usize,
    /// The last line at level error: the SDK logs a panic's message so, just before the trap.
    panic: Option<String>,
}

impl wit_log::Host for State {
    fn log(&mut self, level: wit_log::Level, message: String) {
        let level = match level {
            wit_log::Level::Debug => tracing::Level::DEBUG,
            wit_log::Level::Info => tracing::Level::INFO,
            wit_log::Level::Warn => tracing::Level::WARN,
            wit_log::Level::Error => tracing::Level::ERROR,
        };
        let message = cut(message, limits::LOG_LINE_BYTES_MAX);
        if level == tracing::Level::ERROR {
            self.panic = Some(message.clone());
        }
        if self.lines_left == 0 {
            self.lines_lost += 1;
            return;
        }
        self.lines_left -= 1;
        (self.log)(level, &message);
    }
}

/// Cuts a text to a length in bytes, at a character's end.
pub fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What one call answered, not yet checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Positions in the call's records, and the author's words.
    pub faults: Vec<(u32, String)>,
    /// One for each sink.
    pub rows: Vec<Rows>,
    /// For keyed stages, at most one for each stage and side.
    pub keyed: Vec<Keyed>,
    /// Positions of records that came too late, ascending.
    pub late: Vec<u32>,
    /// The largest event time of the partition after these records.
    pub largest_ms: i64,
}

/// A living instance. After a fault it is of no more use: drop it.
pub struct Instance {
    store: Store<State>,
    job: bindings::Job,
    limits: GuestLimits,
}

impl Instance {
    /// Makes one. A component may run code of its own here (a start function), under the same limits.
    pub fn new(loaded: &Loaded, limits: GuestLimits, log: LogSink) -> Result<Self, GuestFault> {
        let bound = StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(100_000)
            .instances(64)
            .memories(4)
            .tables(16)
            .trap_on_grow_failure(true)
            .build();
        let lines_left = limits::LOG_LINES_PER_BATCH_MAX;
        let state = State { limits: bound, log, lines_left, lines_lost: 0, panic: None };
        let mut store = Store::new(loaded.engine(), state);
        store.limiter(|state| &mut state.limits);
        store.set_epoch_deadline(ticks(limits.time));
        let job = loaded.pre().instantiate(&mut store).map_err(|e| fault(&e, limits, None))?;
        Ok(Instance { store, job, limits })
    }

    /// Asks the component what its job is.
    pub fn describe(&mut self) -> Result<RawJob, GuestFault> {
        self.arm(self.limits.time);
        let answer = self.job.streamhost_job_guest().call_describe(&mut self.store);
        match answer {
            Ok(Ok(description)) => Ok(raw_job(description)),
            Ok(Err(reason)) => Err(GuestFault::Trap(cut(reason, limits::REASON_BYTES_MAX))),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn arm(&mut self, time: Duration) {
        self.store.data_mut().panic = None;
        self.store.set_epoch_deadline(ticks(time));
    }

    fn fault(&mut self, error: &wasmtime::Error) -> GuestFault {
        let panic = self.store.data_mut().panic.take();
        fault(error, self.limits, panic)
    }
}

impl Guest for Instance {
    fn transform(&mut self, stage: u32, moment: Moment, chunk: &Chunk, time: Duration) -> Result<Answer, GuestFault> {
        self.arm(time);
        let records = wit::Records {
            keys: column_in(&chunk.keys),
            values: column_in(&chunk.values),
            times_ms: &chunk.times_ms,
            absent_keys: &chunk.absent_keys,
            absent_values: &chunk.absent_values,
        };
        let guest = self.job.streamhost_job_guest();
        let answer = guest.call_transform(&mut self.store, stage, moment_in(moment), records);
        answer.map(answer_out).map_err(|error| self.fault(&error))
    }

    fn combine(&mut self, stage: u32, partials: &Partials, time: Duration) -> Result<Column, GuestFault> {
        self.arm(time);
        let partials = wit::Partials {
            accumulators: column_in(&partials.accumulators),
            absent: &partials.absent,
            group_ends: &partials.group_ends,
            partials: column_in(&partials.partials),
        };
        let answer = self.job.streamhost_job_guest().call_combine(&mut self.store, stage, partials);
        answer.map(column_out).map_err(|error| self.fault(&error))
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.arm(time);
        let finished = match finished {
            Finished::Groups(groups) => wit::Finished::Groups(wit::Groups {
                keys: column_in(&groups.keys),
                accumulators: column_in(&groups.accumulators),
                starts_ms: &groups.starts_ms,
                ends_ms: &groups.ends_ms,
            }),
            Finished::Pairs(pairs) => wit::Finished::Pairs(wit::Pairs {
                lefts: column_in(&pairs.lefts),
                rights: column_in(&pairs.rights),
                absent_rights: &pairs.absent_rights,
                times_ms: &pairs.times_ms,
            }),
        };
        let guest = self.job.streamhost_job_guest();
        let answer = guest.call_finish(&mut self.store, stage, moment_in(moment), finished);
        answer.map(answer_out).map_err(|error| self.fault(&error))
    }

    fn migrate(&mut self, stage: u32, accumulators: &Column, time: Duration) -> Result<Column, GuestFault> {
        self.arm(time);
        let guest = self.job.streamhost_job_guest();
        let answer = guest.call_migrate(&mut self.store, stage, column_in(accumulators));
        answer.map(column_out).map_err(|error| self.fault(&error))
    }

    /// Lines are counted anew, and those that were left out are said.
    fn begin_batch(&mut self) {
        let state = self.store.data_mut();
        if state.lines_lost > 0 {
            (state.log)(tracing::Level::WARN, &format!("{} more lines were left out", state.lines_lost));
        }
        state.lines_left = limits::LOG_LINES_PER_BATCH_MAX;
        state.lines_lost = 0;
    }
}

/// Epochs until a deadline; one more, as the first may end at once.
fn ticks(time: Duration) -> u64 {
    (time.as_millis() / limits::EPOCH.as_millis()) as u64 + 1
}

fn fault(error: &wasmtime::Error, limits: GuestLimits, panic: Option<String>) -> GuestFault {
    let text = format!("{error:#}");
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return GuestFault::Time(limits.time);
    }
    if text.contains("forcing trap when growing memory") {
        return GuestFault::Memory(bytesize::ByteSize(limits.memory_bytes as u64).to_string());
    }
    let what = match (panic, error.downcast_ref::<Trap>()) {
        (Some(panic), _) => panic,
        (None, Some(trap)) => format!("{trap}"),
        (None, None) => super::first_line(error),
    };
    let frames: Vec<String> = frames(error);
    let place = if frames.is_empty() { String::new() } else { format!(" (at {})", frames.join(" < ")) };
    GuestFault::Trap(cut(format!("{what}{place}"), limits::REASON_BYTES_MAX))
}

/// The innermost functions of the author's, without those of the panic machinery.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<wasmtime::WasmBacktrace>() else { return Vec::new() };
    let names = backtrace.frames().iter().filter_map(|frame| frame.func_name());
    let own = |name: &&str| {
        !["panic", "rust_", "__rust", "abort", "core::", "std::", "alloc::"].iter().any(|p| name.contains(p))
    };
    names.filter(own).take(4).map(|name| cut(name.to_string(), 120)).collect()
}
