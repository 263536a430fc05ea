//! Kafka → guest → sinks that throw rows away: what a record costs the host, keyed stages and their state included.
//! Fills the topic if it is not there.
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build examples/clicks
//! cargo run --release -p streamhost-host --example throughput -- 127.0.0.1:9092 throughput-clicks 4000000
//! ```
//! Another component reads the topic with `--component FILE`, in place of its only source or of the one that `--source`
//! names; `--lines` fills the topic with lines of ten words in place of clicks:
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build tests/guests/wordcount-topic
//! cargo run --release -p streamhost-host --example throughput -- 127.0.0.1:9092 throughput-lines 1000000 \
//!     --component target/streamhost/wordcount-topic.wasm --source lines --lines
//! ```
//! Prints one JSON line: records a second from the first record to the end, and CPU seconds per million records.

use anyhow::{Context, bail};
use clap::Parser;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamhost_host::checkpoint::memory::MemoryStore;
use streamhost_host::guest::answer::Shape;
use streamhost_host::guest::run::{Maker, Runnable};
use streamhost_host::guest::{GuestLimits, Guests, Instance, sha256};
use streamhost_host::job::SinkPlan;
use streamhost_host::job::check::check;
use streamhost_host::job::settings::{JobLimits, Settings};
use streamhost_host::kafka::KafkaSettings;
use streamhost_host::pipeline::{Active, ActiveCell, Board, Ended, Parts, Pipeline, Stop};
use streamhost_host::record::Rows;
use streamhost_host::sink::memory::{Memory, MemoryDeadLetters};
use streamhost_host::sink::{Delivery, Guarantee, Marker, RowLimits, Sink, SinkError};
use streamhost_host::source::Source;
use streamhost_host::source::kafka::KafkaSource;

/// Throws rows away.
struct NullSink;

impl Sink for NullSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::Idempotent
    }
    fn limits(&self) -> RowLimits {
        RowLimits { key_bytes: 1..=32_767, cell_bytes_max: 10 << 20, row_bytes_max: 10 << 20 }
    }
    fn reshape(&mut self, _: &SinkPlan) {}
    fn open(&mut self) -> Result<Option<Marker>, SinkError> {
        Ok(None)
    }
    fn deliver(&mut self, _: &Delivery<'_>, rows: &[Rows]) -> Result<(), SinkError> {
        std::hint::black_box(rows);
        Ok(())
    }
}

#[derive(Parser)]
struct Args {
    /// The address of a Kafka server.
    brokers: String,
    /// The topic to read.
    topic: String,
    /// How many records to read, and to fill the topic with if it is not there.
    records: u64,
    /// What runs.
    #[arg(long, value_name = "FILE", default_value = "target/streamhost/clicks.wasm")]
    component: PathBuf,
    /// Which of the component's sources reads the topic, if it has several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Fill the topic with lines of ten words, not with clicks.
    #[arg(long)]
    lines: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let records = args.records;
    let component = std::fs::read(&args.component)
        .with_context(|| format!("{}: `streamhost build` makes it", args.component.display()))?;
    let kafka = KafkaSettings { brokers: args.brokers.clone(), ..KafkaSettings::default() };
    let active = active(&component, &args)?;
    let mut source = KafkaSource::new(&kafka, &active.plan.sources, "throughput")?;
    if source.partitions().is_err() {
        fill(&args)?;
        source = KafkaSource::new(&kafka, &active.plan.sources, "throughput")?;
    }
    let sinks = active.plan.sinks.iter().map(|_| Box::new(NullSink) as Box<dyn Sink>).collect();
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let parts = Parts {
        job: "throughput".into(),
        active: ActiveCell::new(active),
        deployments: Box::new(|_| None),
        known: [1].into(),
        source: Box::new(source),
        sinks,
        letters: Box::new(MemoryDeadLetters::new(&Memory::new())),
        store: Arc::new(MemoryStore::default()),
        lanes: std::thread::available_parallelism().map_or(1, usize::from),
        replay_only: false,
        skip_lost: false,
    };
    let pipeline = Pipeline::start(parts, Arc::new(Board::default()), |_| ())?;
    let mut first: Option<(Duration, f64)> = None;
    while pipeline.board.facts().totals.records_in < records && !pipeline.has_ended() {
        if first.is_none() && pipeline.board.facts().totals.records_in > 0 {
            first = Some((began.elapsed(), cpu_seconds()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let done = pipeline.board.facts();
    match pipeline.stop(Stop::Soon) {
        Ended::Stopped => {}
        end => bail!("it ended before its last record: {end:?}"),
    }
    let n = done.totals.records_in as f64;
    println!(
        r#"{{"records":{n},"rows":{},"dropped":{},"dead_letters":{},"late":{},"seconds":{seconds:.2},"records_per_second":{:.0},"cpu_seconds_per_million":{:.2},"first_batch_ms":{},"peak_rss_mib":{}}}"#,
        done.totals.rows.values().sum::<u64>(),
        done.totals.dropped,
        done.totals.dead_letters,
        done.totals.late,
        n / seconds,
        cpu * 1e6 / n,
        first.map_or(0, |(at, _)| at.as_millis()),
        peak_rss_mib(),
    );
    Ok(())
}

/// The component as the only version of a job that reads the topic, as soon as it can.
fn active(component: &[u8], args: &Args) -> anyhow::Result<Arc<Active>> {
    let guests =
        Guests::new(&std::env::temp_dir().join("streamhost-throughput")).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let loaded = guests.load(&sha256(component), component)?;
    let limits = GuestLimits::default();
    let log: streamhost_host::guest::instance::LogSink = Arc::new(|_, _: &str| {});
    let raw = Instance::new(&loaded, limits, log.clone())?.describe()?;
    let only = || match &raw.sources[..] {
        [source] => Ok(source.name.clone()),
        all => bail!("--source names one of the component's {} sources", all.len()),
    };
    let name = args.source.clone().map_or_else(only, Ok)?;
    let pairs = [("every".into(), "0".into()), (format!("source.{name}"), args.topic.clone())].into();
    let settings = Settings::parse(&pairs, JobLimits::default()).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let plan = check(raw, None, &settings).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let shapes = plan.sinks.iter().map(|sink| Shape::new(sink, NullSink.limits())).collect();
    let make: Maker = Box::new(move || Ok(Box::new(Instance::new(&loaded, limits, log.clone())?)));
    Ok(Arc::new(Active {
        deployment: 1,
        version: 1,
        settings,
        group: "throughput".into(),
        dead_letter_topic: "throughput.dead-letters".into(),
        start: None,
        reset_at: Some(1),
        runnable: Arc::new(Runnable::new(make, limits.time, shapes, &plan)),
        plan,
    }))
}

/// A click of about 200 bytes, one in twenty with quantity 0.
fn click(i: u64) -> String {
    let (path, student, quantity) = ("x".repeat(110), i % 1000, if i.is_multiple_of(20) { 0 } else { i % 9 + 1 });
    format!("click{i:012},student{student:06},http://example.org/{path},2020-01-01T00:00:00.000,book,{quantity}")
}

/// A line of ten words, of 10,000 different ones.
fn line(i: u64) -> String {
    let word = |j: u64| format!("word{}", (10 * i + j).wrapping_mul(2_654_435_761) % 10_000);
    (0..10).map(word).collect::<Vec<_>>().join(" ")
}

fn fill(args: &Args) -> anyhow::Result<()> {
    let (topic, records) = (&args.topic, args.records);
    eprintln!("filling {topic} with {records} {}", if args.lines { "lines" } else { "clicks" });
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", &args.brokers)
        .set("linger.ms", "50")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    for i in 0..records {
        let line = if args.lines { line(i) } else { click(i) };
        let mut record = BaseRecord::<(), str>::to(topic).payload(&line).partition((i % 4) as i32);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(Duration::from_secs(120))?;
    Ok(())
}

/// User and system time of this process so far, from /proc (clock ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |i: usize| after.split_whitespace().nth(i).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_string();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
