//! One instance of a component: its memory, its limits, its calls.

use crate::bindings::streamhost::job::log as wit_log;
use crate::bindings::streamhost::job::metrics as wit_metrics;
use crate::bindings::streamhost::job::parameters as wit_parameters;
use crate::bounds::Bounds;
use crate::contract::{Exports, Said};
use crate::fault::fault;
use crate::metrics::{self, Measured};
use crate::stubs::{self, Call, Stubbed, Stubs};
use crate::v1::bindings::streamhost::job::log as log_v1;
use crate::{CompiledJob, GuestLimits};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use streamhost_core::clock;
use streamhost_core::contract::{Answer, Finished, GuestFault, Moment, Partials, truncate};
use streamhost_core::job::validate::JobDescription;
use streamhost_core::job::{MetricSpec, MetricValues, ParameterDescription, ParameterKind};
use streamhost_core::limits;
use streamhost_core::types::{Chunk, Column};
use streamhost_engine::guest::{CallLimits, Guest, LinesLeft, LogSink};
use wasmtime::{CallHook, Store, UpdateDeadline};

/// What the host keeps beside an instance.
pub struct State {
    bounds: Bounds,
    log: LogSink,
    call_limits: CallLimits,
    /// Epochs that the call under way has left beyond the next look for a stop.
    epochs_left: u64,
    /// Logged, and not handed on yet: whether the call counts is known at its end.
    lines: Vec<(tracing::Level, String)>,
    /// There were more.
    lost: bool,
    /// The last line at level error: the SDK logs a panic's message so, just before the trap.
    panic: Option<String>,
    /// What the deployment sets of the job's parameters.
    parameters: Parameters,
    /// Those that were asked for, while it says what it is.
    asked: Option<Vec<ParameterDescription>>,
    /// What it counts itself.
    measured: Measured,
    stubs: Stubs,
}

/// What a deployment sets of a job's parameters, by name.
pub type Parameters = Arc<BTreeMap<String, String>>;

/// Epochs between two looks for a stop.
const LOOK_EPOCHS: u64 = 10;

impl State {
    fn new(memory_bytes: usize, log: LogSink, stubs: Stubs) -> Self {
        let (call_limits, lines) = (CallLimits::default(), Vec::new());
        State {
            bounds: Bounds::new(memory_bytes),
            log,
            call_limits,
            epochs_left: 0,
            lines,
            lost: false,
            panic: None,
            parameters: Parameters::default(),
            asked: None,
            measured: Measured::default(),
            stubs,
        }
    }

    /// Epochs until the next look; none: the call is to end now.
    fn next_look(&mut self) -> Option<u64> {
        let next = self.epochs_left.min(LOOK_EPOCHS);
        self.epochs_left -= next;
        (next > 0 && !self.call_limits.is_stopped()).then_some(next)
    }

    fn tell(&mut self, left: &mut LinesLeft) {
        stubs::flush(self);
        let lines = std::mem::take(&mut self.lines);
        let lost = std::mem::take(&mut self.lost) || lines.len() > left.lines;
        for (level, line) in lines.iter().take(left.lines) {
            (self.log)(*level, line);
        }
        left.lines = left.lines.saturating_sub(lines.len());
        if lost && !std::mem::replace(&mut left.told, true) {
            let max = limits::LOG_LINES_PER_BATCH_MAX;
            (self.log)(
                tracing::Level::WARN,
                &format!("more lines were left out: a lane logs {max} for one batch"),
            );
        }
    }
}

impl State {
    /// What the call that broke off said last: its last line at level error, or else what it wrote
    /// to stderr.
    fn last_words(&mut self) -> Option<String> {
        let said = stubs::said(self);
        let said = (!said.is_empty()).then_some(said);
        self.panic.take().or(said)
    }

    fn line(&mut self, level: tracing::Level, message: String) {
        let message = truncate(message, limits::LOG_LINE_BYTES_MAX);
        if level == tracing::Level::ERROR {
            self.panic = Some(message.clone());
        }
        match self.lines.len() < limits::LOG_LINES_PER_BATCH_MAX {
            true => self.lines.push((level, message)),
            false => self.lost = true,
        }
    }
}

impl State {
    /// Logs what went wrong.
    fn told(&mut self, said: Result<(), String>) {
        if let Err(words) = said {
            self.line(tracing::Level::WARN, words);
        }
    }
}

impl Stubbed for State {
    fn stubs(&mut self) -> &mut Stubs {
        &mut self.stubs
    }

    fn line(&mut self, level: tracing::Level, line: String) {
        State::line(self, level, line);
    }
}

impl wit_log::Host for State {
    fn log(&mut self, level: wit_log::Level, message: String) {
        let level = match level {
            wit_log::Level::Debug => tracing::Level::DEBUG,
            wit_log::Level::Info => tracing::Level::INFO,
            wit_log::Level::Warn => tracing::Level::WARN,
            wit_log::Level::Error => tracing::Level::ERROR,
        };
        self.line(level, message);
    }
}

impl wit_parameters::Host for State {
    fn get(&mut self, name: String, kind: u8, default: String) -> String {
        let set = self.parameters.get(&name);
        // What does not fit is told by the check of the job, which follows its description.
        let set = set.and_then(|set| {
            let kind = ParameterKind::of_number(kind).ok()?;
            kind.for_component(set).ok()
        });
        let value = set.unwrap_or_else(|| default.clone());
        if let Some(asked) = &mut self.asked {
            // A longer one is refused: so much of it shows that.
            let begin = |text: String| text.chars().take(limits::PARAMETER_BYTES_MAX + 1).collect();
            let parameter = ParameterDescription {
                name: begin(name),
                kind,
                default: begin(default),
            };
            // One more than there may be tells that there are too many.
            if asked.len() <= limits::PARAMETERS_MAX && !asked.contains(&parameter) {
                asked.push(parameter);
            }
        }
        value
    }
}

impl wit_metrics::Host for State {
    fn declare(&mut self, name: String, kind: u8) {
        self.measured.declare(&name, kind);
    }

    fn count(&mut self, name: String, by: u64) {
        let counted = self.measured.count(&name, by);
        self.told(counted);
    }

    fn observe(&mut self, name: String, values: Vec<u64>) {
        let observed = self.measured.observe(&name, &values);
        self.told(observed);
    }
}

impl log_v1::Host for State {
    fn log(&mut self, level: log_v1::Level, message: String) {
        let level = match level {
            log_v1::Level::Debug => tracing::Level::DEBUG,
            log_v1::Level::Info => tracing::Level::INFO,
            log_v1::Level::Warn => tracing::Level::WARN,
            log_v1::Level::Error => tracing::Level::ERROR,
        };
        self.line(level, message);
    }
}

/// A living instance. After a fault it is of no more use: drop it.
pub struct Instance {
    store: Store<State>,
    job: Box<dyn Exports>,
    limits: GuestLimits,
    /// What each source reads.
    targets: Arc<[String]>,
}

impl Instance {
    /// Makes one. A component may run code of its own here (a start function), under the same
    /// limits.
    pub fn new(
        loaded: &CompiledJob,
        limits: GuestLimits,
        log: LogSink,
    ) -> Result<Self, GuestFault> {
        let mut store = Store::new(
            loaded.engine(),
            State::new(limits.memory_bytes, log, loaded.stubs()),
        );
        store.limiter(|state| &mut state.bounds);
        store.epoch_deadline_callback(|mut store| {
            let next = store.data_mut().next_look();
            Ok(next.map_or(UpdateDeadline::Interrupt, UpdateDeadline::Continue))
        });
        arm(&mut store, limits.time);
        let job = loaded
            .pre()
            .instantiate(&mut store)
            .map_err(|e| fault(&e, limits, store.data_mut().last_words()))?;
        Ok(Instance {
            store,
            job,
            limits,
            targets: Arc::default(),
        })
    }

    /// The same, told what each of the job's sources reads.
    #[must_use]
    pub fn reading(self, targets: Arc<[String]>) -> Self {
        Instance { targets, ..self }
    }

    /// The same, told what the deployment sets of the job's parameters.
    #[must_use]
    pub fn told(mut self, parameters: &Parameters) -> Self {
        self.store.data_mut().parameters = parameters.clone();
        self
    }

    /// The same, told which metrics of its own the job has.
    #[must_use]
    pub fn measuring(mut self, metrics: &[MetricSpec]) -> Self {
        self.store.data_mut().measured.known = metrics::known(metrics);
        self
    }

    /// The same, told the name of the job that it works for.
    #[must_use]
    pub fn of_job(mut self, job: &str) -> Self {
        self.store.data_mut().stubs.of_job(job);
        self
    }

    /// Asks the component what its job is.
    pub fn describe(&mut self) -> Result<JobDescription, GuestFault> {
        self.arm(self.limits.time);
        let state = self.store.data_mut();
        state.asked = Some(Vec::new());
        state.measured.declared = Some(Vec::new());
        state.stubs.begin(None, Call::Unnamed);
        let answer = self.job.describe(&mut self.store);
        let state = self.store.data_mut();
        let parameters = state.asked.take().unwrap_or_default();
        let metrics = state.measured.declared.take().unwrap_or_default();
        self.store.data_mut().tell(&mut LinesLeft::default());
        match answer {
            Ok(Ok(description)) => Ok(JobDescription {
                parameters,
                metrics,
                ..description
            }),
            Ok(Err(reason)) => Err(GuestFault::Trap(truncate(reason, limits::REASON_BYTES_MAX))),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// Adds the nanoseconds that its calls are in guest code to `ns` from now on.
    pub fn measure(&mut self, ns: Arc<AtomicU64>) {
        let mut entered = None;
        self.store.call_hook(move |_, hook| {
            match hook {
                CallHook::CallingWasm | CallHook::ReturningFromHost => {
                    entered = Some(clock::monotonic());
                }
                CallHook::ReturningFromWasm | CallHook::CallingHost => {
                    let inside = entered.take().map_or(Duration::ZERO, clock::since);
                    let inside = u64::try_from(inside.as_nanos()).unwrap_or(u64::MAX);
                    ns.fetch_add(inside, Ordering::Relaxed);
                }
            }
            Ok(())
        });
    }

    fn arm(&mut self, time: Duration) {
        arm(&mut self.store, time);
    }

    fn begin(&mut self, moment: Option<Moment>, call: Call<'_>) {
        let batch_ms = moment.map(|moment| moment.batch_ms);
        let state = self.store.data_mut();
        state.measured.begin();
        state.stubs.begin(batch_ms, call);
    }

    fn answer(&mut self, answer: Said<Answer>) -> Result<Answer, GuestFault> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(broken)) => Err(GuestFault::Trap(broken)),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn fault(&mut self, error: &wasmtime::Error) -> GuestFault {
        fault(error, self.limits, self.store.data_mut().last_words())
    }
}

impl Guest for Instance {
    fn transform(
        &mut self,
        stage: u32,
        moment: Moment,
        chunk: &Chunk,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.arm(time);
        self.begin(Some(moment), Call::Transform(stage, chunk));
        let target = self.targets.get(usize::from(chunk.partition.source));
        let target = target.map_or("", String::as_str);
        let answer = self
            .job
            .transform(&mut self.store, stage, moment, (target, chunk));
        self.answer(answer)
    }

    fn combine(
        &mut self,
        stage: u32,
        partials: &Partials,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        self.arm(time);
        self.begin(None, Call::Unnamed);
        let answer = self.job.combine(&mut self.store, stage, partials);
        // How often it is called depends on how records were cut.
        self.store.data_mut().measured.begin();
        answer.map_err(|error| self.fault(&error))
    }

    fn finish(
        &mut self,
        stage: u32,
        moment: Moment,
        finished: &Finished,
        time: Duration,
    ) -> Result<Answer, GuestFault> {
        self.arm(time);
        self.begin(Some(moment), Call::Finish(stage, finished));
        let answer = self.job.finish(&mut self.store, stage, moment, finished);
        self.answer(answer)
    }

    fn migrate(
        &mut self,
        stage: u32,
        accumulators: &Column,
        time: Duration,
    ) -> Result<Column, GuestFault> {
        self.arm(time);
        self.begin(None, Call::Unnamed);
        let answer = self.job.migrate(&mut self.store, stage, accumulators);
        self.store.data_mut().measured.begin();
        answer.map_err(|error| self.fault(&error))
    }

    fn bind(&mut self, call_limits: &CallLimits) {
        if call_limits.replay {
            self.limits.memory_bytes = limits::GUEST_MEMORY_BYTES_MAX;
        }
        let state = self.store.data_mut();
        state.bounds.set(self.limits.memory_bytes);
        state.call_limits.clone_from(call_limits);
    }

    fn tell(&mut self, left: &mut LinesLeft) {
        self.store.data_mut().tell(left);
    }

    fn take_metrics(&mut self) -> MetricValues {
        self.store.data_mut().measured.take()
    }

    fn memory_bytes(&self) -> u64 {
        self.store.data().bounds.memory_bytes() as u64
    }

    fn warn(&mut self, text: &str) {
        (self.store.data().log)(tracing::Level::WARN, text);
    }
}

/// A call begins that may take so long.
fn arm(store: &mut Store<State>, time: Duration) {
    let state = store.data_mut();
    state.panic = None;
    state.epochs_left = ticks(time);
    let next = state.next_look().unwrap_or(0);
    store.set_epoch_deadline(next);
}

/// Epochs until a deadline; one more, as the first may end at once.
fn ticks(time: Duration) -> u64 {
    (time.as_millis() / limits::EPOCH.as_millis()) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex, PoisonError};
    use wit_log::{Host, Level};

    const LIMITS: GuestLimits = GuestLimits {
        memory_bytes: 64 << 20,
        time: Duration::from_secs(2),
    };

    fn state() -> (State, Arc<Mutex<Vec<String>>>) {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = lines.clone();
        let log: LogSink = Arc::new(move |_, line: &str| {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line.to_string());
        });
        (State::new(LIMITS.memory_bytes, log, Stubs::none()), lines)
    }

    #[test]
    fn lines_are_bounded_by_batch_and_what_is_left_out_is_said_once() {
        let max = limits::LOG_LINES_PER_BATCH_MAX;
        let (mut state, lines) = state();
        let mut left = LinesLeft::default();
        let mut said = |lines_of_call: usize, left: &mut LinesLeft| {
            (0..lines_of_call).for_each(|i| state.log(Level::Info, format!("line {i}")));
            assert!(
                lines.lock().unwrap().is_empty(),
                "whether the call counts is not known yet"
            );
            state.tell(left);
            std::mem::take(&mut *lines.lock().unwrap())
        };
        assert_eq!(said(2, &mut left), ["line 0", "line 1"]);
        assert!(said(0, &mut left).is_empty());
        let rest = said(max, &mut left);
        assert_eq!(rest.len(), max - 2 + 1);
        assert_eq!(
            rest.last().unwrap(),
            "more lines were left out: a lane logs 100 for one batch"
        );
        assert!(said(3, &mut left).is_empty());
        let next = said(max + 1, &mut LinesLeft::default());
        assert_eq!(
            (next.len(), next[max].starts_with("more lines")),
            (max + 1, true),
            "another batch, one call"
        );
    }

    #[test]
    fn a_call_has_all_its_epochs_until_a_stop_comes() {
        let (mut state, _) = state();
        state.epochs_left = 2 * LOOK_EPOCHS + 3;
        let looks: Vec<_> = std::iter::from_fn(|| state.next_look()).collect();
        assert_eq!(looks, [LOOK_EPOCHS, LOOK_EPOCHS, 3]);
        state.epochs_left = 1000;
        assert_eq!(state.next_look(), Some(LOOK_EPOCHS));
        state.call_limits.stop.store(true, Ordering::Relaxed);
        assert_eq!(state.next_look(), None);
    }
}
