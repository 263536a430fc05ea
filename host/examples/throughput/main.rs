//! Kafka → guest → sinks that throw rows away: what a record costs the host, keyed stages and their
//! state included. Fills the topic if it is not there.
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build examples/clicks
//! cargo run --release -p streamhost-host --example throughput -- 127.0.0.1:9092 throughput-clicks 4000000
//! ```
//! Another component reads the topic with `--component FILE`, in place of its only source or of the
//! one that `--source` names; `--lines` fills the topic with lines of ten words in place of clicks:
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build tests/guests/wordcount-topic
//! cargo run --release -p streamhost-host --example throughput -- 127.0.0.1:9092 throughput-lines 1000000 \
//!     --component target/streamhost/wordcount-topic.wasm --source lines --lines
//! ```
//! `--keys N` fills it with lines of N different ones, and `--on-disk` keeps state where a host does:
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build tests/guests/counts
//! cargo run --release -p streamhost-host --example throughput -- 127.0.0.1:9092 throughput-keys 6000000 \
//!     --component target/streamhost/counts.wasm --keys 5000000 --on-disk
//! ```
//! Prints one JSON line: records a second and CPU seconds per million records, the start included.

use anyhow::bail;
use clap::Parser;
use rdkafka::producer::{BaseRecord, Producer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_core::job::settings::StartPosition;
use streamhost_core::limits::STORE_CACHE_BYTES;
use streamhost_core::protocol::CheckpointLog;
use streamhost_core::protocol::memory::MemoryStore;
use streamhost_core::types::Rows;
use streamhost_engine::pipeline::{Pipeline, PipelineExit, PipelineStatus, Stop};
use streamhost_engine::source::Source;
use streamhost_storage::checkpoint_log::CheckpointLogs;

mod rig;

#[derive(Parser)]
struct Args {
    /// The address of a Kafka server.
    brokers: String,
    /// The topic to read.
    topic: String,
    /// How many records to read, and to fill the topic with if it is not there.
    records: u64,
    /// What runs.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/streamhost/clicks.wasm"
    )]
    component: PathBuf,
    /// Which of the component's sources reads the topic, if it has several.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Fill the topic with lines of ten words, not with clicks.
    #[arg(long)]
    lines: bool,
    /// Fill the topic with lines of this many different ones: each once, and then in no order.
    #[arg(long, value_name = "N", conflicts_with = "lines")]
    keys: Option<u64>,
    /// Keep checkpoints and state in a store on the disk, as a host does, and not in memory.
    #[arg(long)]
    on_disk: bool,
    /// A setting of the job, as `deploy --set` takes it.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How many lanes there are, in place of one a core.
    #[arg(long, value_name = "N")]
    lanes: Option<usize>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let records = args.records;
    let kafka = KafkaSettings {
        brokers: args.brokers.clone(),
        ..KafkaSettings::default()
    };
    let active = rig::active(
        &args.component,
        args.source.as_deref(),
        &args.topic,
        &args.set,
    )?;
    let mut source = rig::source(&kafka, &active, "throughput")?;
    if source.partitions().is_err() {
        fill(&args)?;
        source = rig::source(&kafka, &active, "throughput")?;
    }
    holds(&mut source, &args)?;
    let (began, cpu_before) = (Instant::now(), cpu_seconds());
    let discard = |rows: &[Rows]| _ = std::hint::black_box(rows);
    let folder = tempfile::tempdir()?;
    let store: Arc<dyn CheckpointLog> = match args.on_disk {
        true => store(folder.path())?,
        false => Arc::new(MemoryStore::default()),
    };
    let mut parts = rig::parts(active, source, store, discard);
    parts.lanes = args.lanes.unwrap_or(parts.lanes);
    let pipeline = Pipeline::start(parts, Arc::new(PipelineStatus::default()), |_, _| ())?;
    let mut first: Option<Duration> = None;
    let (keys, mut all_keys) = (args.keys.unwrap_or(records), None);
    while pipeline.status.snapshot().counters.records_in < records && !pipeline.has_ended() {
        let so_far = pipeline.status.snapshot().counters.records_in;
        if first.is_none() && so_far > 0 {
            first = Some(began.elapsed());
        }
        if all_keys.is_none() && so_far >= keys {
            all_keys = Some((so_far, began.elapsed().as_secs_f64()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu_before);
    let done = pipeline.status.snapshot();
    match pipeline.stop(Stop::Soon) {
        PipelineExit::Stopped => {}
        end => bail!("it ended before its last record: {end:?}"),
    }
    let n = done.counters.records_in as f64;
    println!(
        r#"{{"records":{n},"rows":{},"dropped":{},"dead_letters":{},"late":{},"seconds":{seconds:.2},"records_per_second":{:.0},"cpu_seconds_per_million":{:.2},"first_batch_ms":{},"peak_rss_mib":{}{}}}"#,
        done.counters.rows.values().sum::<u64>(),
        done.counters.dropped,
        done.counters.dead_letters,
        done.counters.late,
        n / seconds,
        cpu * 1e6 / n,
        first.map_or(0, |at| at.as_millis()),
        peak_rss_mib(),
        all_keys.map_or(String::new(), |(before, at)| format!(
            r#","seen_keys_per_second":{:.0}"#,
            (n - before as f64) / (seconds - at)
        )),
    );
    Ok(())
}

/// Refuses a topic that has too little.
fn holds(source: &mut impl Source, args: &Args) -> anyhow::Result<()> {
    let there: i64 = source.start(StartPosition::Latest)?.values().sum::<i64>()
        - source.start(StartPosition::Earliest)?.values().sum::<i64>();
    anyhow::ensure!(
        there >= args.records as i64,
        "{} has {there} records only: name another topic, or delete it",
        args.topic
    );
    Ok(())
}

/// One of so many lines: all in turn, and then in no order.
fn key(i: u64, keys: u64) -> String {
    let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let at = if i < keys { i } else { mixed % keys };
    format!("user-{:020}", at.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// A store in this folder, as a host has it.
fn store(folder: &Path) -> anyhow::Result<Arc<dyn CheckpointLog>> {
    let db = fjall::Database::builder(folder)
        .cache_size(STORE_CACHE_BYTES)
        .open()?;
    Ok(Arc::new(CheckpointLogs::open(&db)?.of("throughput")))
}

/// A line of ten words, of 10,000 different ones.
fn line(i: u64) -> String {
    let word = |j: u64| format!("word{}", (10 * i + j).wrapping_mul(2_654_435_761) % 10_000);
    (0..10).map(word).collect::<Vec<_>>().join(" ")
}

fn fill(args: &Args) -> anyhow::Result<()> {
    let (topic, records) = (&args.topic, args.records);
    eprintln!("filling {topic} with {records} records");
    let producer = rig::producer(&args.brokers, "50")?;
    for i in 0..records {
        let line = match args.keys {
            Some(keys) => key(i, keys),
            None if args.lines => line(i),
            None => rig::click(&format!("click{i:012}"), i),
        };
        let mut record = BaseRecord::<(), str>::to(topic)
            .payload(&line)
            .partition(rig::partition(i));
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
    let ticks = |i: usize| {
        after
            .split_whitespace()
            .nth(i)
            .and_then(|n| n.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default()
        .to_string();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok())
        .unwrap_or(0)
        / 1024
}
