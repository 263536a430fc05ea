//! Kafka → guest → plan, written down → sink: how old a record is when it reaches the sink, at a
//! steady rate.
//!
//! ```sh
//! cargo run --release -p streamhost-host -- build examples/clicks
//! cargo run --release -p streamhost-host --example latency -- 127.0.0.1:9092 5000 30
//! ```
//! Sends clicks to a topic of its own whose first field is when it was sent, and reads that again
//! from the rows' keys. The checkpoint is on disk, so each batch waits for its fsync. Prints one
//! JSON line, without the first five seconds, in which a new broker warms up.

use anyhow::{Context, bail};
use clap::Parser;
use rdkafka::producer::{BaseRecord, Producer};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use streamhost_connectors::kafka::KafkaSettings;
use streamhost_core::types::Rows;
use streamhost_engine::pipeline::{Pipeline, PipelineExit, PipelineStatus, Stop};
use streamhost_engine::source::Source;
use streamhost_storage::checkpoint_log::CheckpointLogs;

#[path = "throughput/rig.rs"]
mod rig;

/// Left out of the figures.
const WARM: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Args {
    /// The address of a Kafka server.
    brokers: String,
    /// Records a second.
    rate: u32,
    /// For so many seconds.
    seconds: u32,
    /// What runs; its rows have the first field as their key.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "target/streamhost/clicks.wasm"
    )]
    component: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(
        args.rate > 0 && u64::from(args.seconds) > WARM.as_secs(),
        "a rate above 0, and more than five seconds"
    );
    let topic = format!("latency-{}", std::process::id());
    let kafka = KafkaSettings {
        brokers: args.brokers.clone(),
        ..KafkaSettings::default()
    };
    let active = rig::active(&args.component, None, &topic, &[])?;
    let mut source = rig::source(&kafka, &active, "latency")?;
    let began = Instant::now();
    send(&args, &topic, began, 0..1)?; // makes the topic, where the broker does that by itself
    let partitions = source
        .partitions()
        .context("the broker has not made the topic")?;
    anyhow::ensure!(
        partitions.len() >= rig::PARTITIONS as usize,
        "the broker makes topics of too few partitions"
    );
    let folder = tempfile::tempdir()?;
    let checkpoint_logs = CheckpointLogs::open(&fjall::Database::builder(folder.path()).open()?)?;
    let ages = Arc::new(Mutex::new(Vec::new()));
    let seen = ages.clone();
    let show = move |rows: &[Rows]| {
        let now = began.elapsed().as_micros() as u64;
        let mut ages = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for rows in rows {
            ages.extend(
                sent_at(rows)
                    .filter(|&at| at > WARM.as_micros() as u64)
                    .map(|at| now.saturating_sub(at)),
            );
        }
    };
    let pipeline = Pipeline::start(
        rig::parts(
            active,
            source,
            Arc::new(checkpoint_logs.of("latency")),
            show,
        ),
        Arc::new(PipelineStatus::default()),
        |_, _| (),
    )?;
    let records = u64::from(args.rate) * u64::from(args.seconds);
    send(&args, &topic, began, 1..records)?;
    while pipeline.status.snapshot().counters.records_in < records && !pipeline.has_ended() {
        std::thread::sleep(Duration::from_millis(5));
    }
    match pipeline.stop(Stop::Soon) {
        PipelineExit::Stopped => {}
        end => bail!("it ended before its last record: {end:?}"),
    }
    let ages = std::mem::take(&mut *ages.lock().unwrap_or_else(PoisonError::into_inner));
    print(args.rate, ages)
}

/// Prints the shares of the ages, in milliseconds.
fn print(rate: u32, mut ages: Vec<u64>) -> anyhow::Result<()> {
    anyhow::ensure!(!ages.is_empty(), "no row came");
    ages.sort_unstable();
    let at = |share: f64| ages[((ages.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    println!(
        r#"{{"rate":{},"rows":{},"p50_ms":{:.1},"p90_ms":{:.1},"p99_ms":{:.1},"p999_ms":{:.1},"max_ms":{:.1}}}"#,
        rate,
        ages.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    Ok(())
}

/// When the records of rows were sent, in microseconds since the beginning: their keys.
fn sent_at(rows: &Rows) -> impl Iterator<Item = u64> {
    let width = rows.cells.len() / rows.len().max(1);
    (0..rows.len()).filter_map(move |row| {
        std::str::from_utf8(rows.cells.get(row * width))
            .ok()?
            .parse()
            .ok()
    })
}

/// Sends these records, each when it is due.
fn send(
    args: &Args,
    topic: &str,
    began: Instant,
    records: std::ops::Range<u64>,
) -> anyhow::Result<()> {
    let producer = rig::producer(&args.brokers, "1")?;
    let first = Instant::now();
    for (due, i) in records.enumerate() {
        let due = first + Duration::from_secs_f64(due as f64 / f64::from(args.rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let click = rig::click(&began.elapsed().as_micros().to_string(), i);
        let record = BaseRecord::<(), str>::to(topic)
            .payload(&click)
            .partition(rig::partition(i));
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(())
}
