//! Metrics of a job's own.

use std::cell::RefCell;

/// A counter of the job's own: `/metrics` shows it as
/// `streamhost_job_counter_total{streamhost_job="JOB",counter="NAME"}`. It is asked for in the job's
/// function, never in a closure, so that the job says at its deploy which metrics it has.
///
/// ```
/// use streamhost::{Job, console, counter, histogram, job, kafka, testing};
///
/// #[job]
/// fn orders() -> Job {
///     let (large, bytes) = (counter("large-orders"), histogram("bytes"));
///     kafka("orders")
///         .try_map(|order| order.text())
///         .inspect(move |order| {
///             bytes.observe(order.len() as u64);
///             large.add(u64::from(order.len() > 5));
///         })
///         .to(console())
/// }
///
/// let mut job = testing::run(orders);
/// job.send("orders", ["tea", "teapots"]);
/// assert_eq!(job.counter("large-orders"), 1);
/// assert_eq!(job.histogram("bytes"), [3, 7]);
/// ```
///
/// What a batch counts is counted once, when the batch is durable: records that are run again after
/// a crash, in a shadow or in a replay count no second time, and those that become dead letters
/// because the code broke on them do not count. Functions that merge accumulators count nothing, as
/// how often they are called depends on how records came in batches. The sums begin at 0 with the
/// host, as those of other metrics do.
///
/// A name has 1 to 64 letters, digits, `-`, `_` and `.`; a job has 64 metrics of its own at most.
pub fn counter(name: &str) -> Counter {
    Counter(place(name, COUNTER))
}

/// A histogram of the job's own: how whole numbers are spread, such as bytes or milliseconds.
/// `/metrics` shows it as `streamhost_job_histogram{streamhost_job="JOB",histogram="NAME"}`, with
/// the bounds 1, 2, 5, 10 and so on to 10^12. All that is said of a [`counter`] holds for it.
pub fn histogram(name: &str) -> Histogram {
    Histogram(place(name, HISTOGRAM))
}

/// A sum that only rises; see [`counter`].
#[derive(Clone, Copy, Debug)]
pub struct Counter(usize);

impl Counter {
    /// Counts one more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts so many more.
    pub fn add(&self, by: u64) {
        change(self.0, |metric| metric.sum = metric.sum.saturating_add(by));
    }
}

/// How values are spread; see [`histogram`].
#[derive(Clone, Copy, Debug)]
pub struct Histogram(usize);

impl Histogram {
    /// Counts a value.
    pub fn observe(&self, value: u64) {
        change(self.0, |metric| metric.values.push(value));
    }
}

/// Their numbers in the contract.
const COUNTER: u8 = 0;
const HISTOGRAM: u8 = 1;

/// What one call makes of a metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) kind: u8,
    pub(crate) sum: u64,
    pub(crate) values: Vec<u64>,
}

thread_local! {
    /// Those that were asked for, by their places.
    static METRICS: RefCell<Vec<Metric>> = const { RefCell::new(Vec::new()) };
}

fn place(name: &str, kind: u8) -> usize {
    #[cfg(target_family = "wasm")]
    wasm::be_told();
    METRICS.with_borrow_mut(|metrics| {
        let mut all = metrics.iter();
        let known = all.position(|metric| metric.name == name && metric.kind == kind);
        known.unwrap_or_else(|| {
            metrics.push(Metric {
                name: name.to_owned(),
                kind,
                sum: 0,
                values: Vec::new(),
            });
            metrics.len() - 1
        })
    })
}

fn change(place: usize, change: impl FnOnce(&mut Metric)) {
    METRICS.with_borrow_mut(|metrics| metrics.get_mut(place).map(change));
}

#[cfg(target_family = "wasm")]
pub(crate) use wasm::{begin, declare, tell};

/// What the host is told. A component whose job has no metrics imports nothing for them: all of this
/// is reached through `TELL` alone, which is empty then.
#[cfg(target_family = "wasm")]
mod wasm {
    use super::{COUNTER, METRICS};
    use crate::bindings::streamhost::job::metrics as host;
    use std::cell::Cell;

    #[derive(Clone, Copy)]
    struct Tells {
        declare: fn(),
        tell: fn(),
    }

    const TELLS: Tells = Tells {
        declare: declare_all,
        tell: tell_all,
    };

    thread_local! {
        static TELL: Cell<Option<Tells>> = const { Cell::new(None) };
    }

    /// From now on the host is told. What it is told by is hidden from the compiler, which would else
    /// find that nothing else can be in [`TELL`], call that directly, and so import it always.
    pub(super) fn be_told() {
        TELL.set(Some(std::hint::black_box(TELLS)));
    }

    /// A call begins.
    pub(crate) fn begin() {
        METRICS.with_borrow_mut(|metrics| {
            for metric in metrics {
                metric.sum = 0;
                metric.values.clear();
            }
        });
    }

    /// The job has said what it is: these are its metrics.
    pub(crate) fn declare() {
        if let Some(tells) = TELL.get() {
            (tells.declare)();
        }
    }

    /// A call went well.
    pub(crate) fn tell() {
        if let Some(tells) = TELL.get() {
            (tells.tell)();
        }
    }

    fn declare_all() {
        METRICS.with_borrow(|metrics| {
            for metric in metrics {
                host::declare(&metric.name, metric.kind);
            }
        });
    }

    fn tell_all() {
        METRICS.with_borrow_mut(|metrics| {
            for metric in metrics {
                match metric.kind {
                    COUNTER if metric.sum > 0 => host::count(&metric.name, metric.sum),
                    COUNTER => {}
                    _ if metric.values.is_empty() => {}
                    _ => host::observe(&metric.name, &metric.values),
                }
                metric.sum = 0;
                metric.values.clear();
            }
        });
    }
}

/// Runs `f` and gives back what its metrics came to.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn keep<T>(f: impl FnOnce() -> T) -> (T, Vec<Metric>) {
    let before = METRICS.take();
    let result = f();
    (result, METRICS.replace(before))
}
