//! Fills topics: at once, or so many records a second. No record is lost or doubled when the broker
//! goes away meanwhile.

use crate::clicks::Record;
use anyhow::{Context, Result, anyhow};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the last records may take to be acknowledged; longer than a restart of the broker.
const FLUSH_TIME: Duration = Duration::from_secs(120);

/// Counts what the broker has acknowledged.
#[derive(Clone, Default)]
struct Acknowledged {
    records: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
}

impl rdkafka::ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        match result {
            Ok(_) => _ = self.records.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.failed.store(true, Ordering::Relaxed),
        }
    }
}

/// Creates a topic that keeps its records, however old they say that they are. One that is there
/// already is taken as it is.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .context("no admin client")?;
    let new =
        NewTopic::new(topic, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let made = runtime
        .block_on(admin.create_topics([&new], &options))
        .context("the broker does not create topics")?;
    match made.into_iter().next() {
        Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((topic, code))) => Err(anyhow!("topic {topic} is not created: {code}")),
        None => Err(anyhow!("the broker says nothing about topic {topic}")),
    }
}

fn producer(brokers: &str, acknowledged: Acknowledged) -> Result<BaseProducer<Acknowledged>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("linger.ms", "5");
    config
        .set("message.timeout.ms", "120000")
        .set("reconnect.backoff.max.ms", "1000");
    config
        .create_with_context(acknowledged)
        .context("no producer")
}

fn send(producer: &BaseProducer<Acknowledged>, topic: &str, record: &Record) -> Result<()> {
    loop {
        let mut new: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        new.key = record.key.as_deref();
        new.payload = record.value.as_deref();
        new.partition = record.partition;
        new.timestamp = record.time_ms;
        match producer.send(new) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(100));
            }
            Err((error, _)) => return Err(error).context("a record cannot be sent"),
        }
    }
}

/// Sends `records`, `rate` a second if there is one, until they end or `stop` says so; returns how
/// many the broker has acknowledged, which is all of them.
fn run(
    brokers: &str,
    topic: &str,
    records: impl Iterator<Item = Record>,
    rate: Option<u32>,
    stop: &AtomicBool,
    acknowledged: Acknowledged,
) -> Result<u64> {
    let producer = producer(brokers, acknowledged.clone())?;
    let start = Instant::now();
    let mut sent = 0u64;
    for record in records {
        if let Some(rate) = rate {
            let due = start + Duration::from_secs_f64(sent as f64 / f64::from(rate));
            while Instant::now() < due && !stop.load(Ordering::Relaxed) {
                producer.poll(due.saturating_duration_since(Instant::now()));
            }
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        send(&producer, topic, &record)?;
        sent += 1;
        producer.poll(Duration::ZERO);
    }
    producer
        .flush(FLUSH_TIME)
        .context("the last records are not acknowledged")?;
    let got = acknowledged.records.load(Ordering::Relaxed);
    anyhow::ensure!(
        !acknowledged.failed.load(Ordering::Relaxed) && got == sent,
        "{got} of {sent} records acknowledged"
    );
    Ok(sent)
}

/// Sends all of `records` as fast as the broker takes them; returns how many there were.
pub fn fill(brokers: &str, topic: &str, records: impl Iterator<Item = Record>) -> Result<u64> {
    run(
        brokers,
        topic,
        records,
        None,
        &AtomicBool::new(false),
        Acknowledged::default(),
    )
}

/// Records that flow at a steady pace until told to stop.
pub struct Feed {
    stop: Arc<AtomicBool>,
    acknowledged: Acknowledged,
    thread: JoinHandle<Result<u64>>,
}

impl Feed {
    /// Starts the flow of `records`, `rate` a second.
    pub fn start(
        brokers: &str,
        topic: &str,
        rate: u32,
        records: impl Iterator<Item = Record> + Send + 'static,
    ) -> Feed {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Acknowledged::default());
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        let (stopped, counted) = (stop.clone(), acknowledged.clone());
        let thread = std::thread::spawn(move || {
            run(&brokers, &topic, records, Some(rate), &stopped, counted)
        });
        Feed {
            stop,
            acknowledged,
            thread,
        }
    }

    /// How many records the broker has acknowledged so far.
    pub fn sent(&self) -> u64 {
        self.acknowledged.records.load(Ordering::Relaxed)
    }

    /// Stops the flow; returns how many records were sent, all of them acknowledged.
    pub fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the feed panicked"))?
    }

    /// Waits until its records are all sent; returns how many there were.
    pub fn finish(self) -> Result<u64> {
        self.thread
            .join()
            .map_err(|_| anyhow!("the feed panicked"))?
    }
}
