//! A bad week in some minutes: faults before Kafka and HBase, kills, freezes, stops and swaps, all drawn from a seed, while
//! records flow. Then the table is exact, and what befell the job was told.
//!
//! `STREAMHOST_SOAK_SECONDS=3600 tests/run.sh contract a_bad_week --nocapture` makes it an hour, and
//! `STREAMHOST_SOAK_RATE` sets the records a second. Where `TMPDIR` names a disk of 2 GiB at most,
//! as a tmpfs may be, the disk fills up too.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use streamhost_tests::clicks::Clicks;
use streamhost_tests::fault_proxy::FaultProxy;
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, http_get, unique};
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::wait::wait_until;

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Kill,
    Stop,
    Freeze,
    Swap,
    /// A command to the proxy before Kafka.
    Kafka(&'static str),
    /// The same before HBase's gateway.
    Gateway(&'static str),
    /// The disk of the data folder is filled up.
    Fill,
}

const EVENTS: [Event; 15] = [
    Event::Kill,
    Event::Kill,
    Event::Stop,
    Event::Freeze,
    Event::Swap,
    Event::Kafka("reset"),
    Event::Kafka("drop-answer 2 min=1000"),
    Event::Kafka("cut 700 up min=1000"),
    Event::Kafka("delay 50"),
    Event::Kafka("refuse"),
    Event::Gateway("reset"),
    Event::Gateway("drop-answer 2 min=1000"),
    Event::Gateway("cut 700 up min=1000"),
    Event::Gateway("hold"),
    Event::Gateway("refuse"),
];

/// Between two events, and while a fault lasts, records come for so many seconds at most.
const PAUSE_SECONDS: u64 = 4;

#[test]
fn a_bad_week_leaves_the_table_exact() {
    let (_guard, servers) = Servers::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let (kafka, brokers) = servers.kafka_proxy();
    let gateway = FaultProxy::before(&servers.gateway).expect("a proxy");
    let mut host = Host::serve_between(servers, &brokers, &gateway.address().to_string());
    let job = unique("week");
    feed::create_topic(&servers.kafka, &job, PARTITIONS).expect("a topic");
    host.deploy_clicks(&job);
    let feed = Feed::start(&servers.kafka, &job, sizes.soak_rate, Clicks::new(seed));

    let mut events = EVENTS.to_vec();
    events.extend(disk(&host).is_small().then_some(Event::Fill));
    let began = Instant::now();
    let mut happened: BTreeMap<Event, u32> = BTreeMap::new();
    let mut memory = Vec::new();
    while began.elapsed() < sizes.soak {
        let event = events[random.below(events.len() as u64) as usize];
        *happened.entry(event).or_default() += 1;
        befall(
            &mut host,
            &job,
            event,
            (&kafka, &gateway),
            (&feed, &mut random),
        );
        memory.extend(host.resident_bytes());
        records_come(&feed, &mut random);
        kafka.tell("pass").expect("a command");
        gateway.tell("pass").expect("a command");
        drop(fs::remove_file(filler(&host)));
        records_come(&feed, &mut random);
    }
    println!("events: {happened:?}");
    let half = memory.split_at(memory.len() / 2);
    let most = |bytes: &[u64]| bytes.iter().max().copied().unwrap_or_default() >> 20;
    println!(
        "resident MiB at most: first half {}, last half {}",
        most(half.0),
        most(half.1)
    );

    // The faults of the week may each have passed before a wait is worth a line: this one stays until it has one.
    shut(&gateway);
    wait_until("a wait is in the job's log", LATE, || {
        host.cli(["logs", &job]).out.contains("waits")
    });
    gateway.tell("pass").expect("a command");
    if happened.contains_key(&Event::Fill) {
        fill(&host);
        wait_until("a full disk is in the job's log", LATE, || {
            host.cli(["logs", &job]).out.contains("is full")
        });
        fs::remove_file(filler(&host)).expect("the disk was filled");
    }

    let records = feed.stop().expect("all records sent");
    let status = host.wait_records(&job, records, LATE);
    assert_eq!(
        status["records_in"], records,
        "each is counted once: {status}"
    );
    let letters = format!("{job}.dead-letters");
    let verdict = outside::clicks_are_right(&servers.kafka, &job, &servers.gateway, &job, &letters);
    println!("{records} records: {verdict:?}");
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
    is_told(&host, &job, &happened);
}

/// Lets it happen. Faults of the network end with the next `pass`.
fn befall(
    host: &mut Host,
    job: &str,
    event: Event,
    (kafka, gateway): (&FaultProxy, &FaultProxy),
    (feed, random): (&Feed, &mut Random),
) {
    match event {
        Event::Kill => {
            host.kill();
            host.restart();
        }
        Event::Stop => {
            assert_eq!(host.stop(), 0, "{}", host.log_end());
            host.restart();
        }
        Event::Freeze => {
            host.signal("STOP");
            records_come(feed, random);
            host.signal("CONT");
        }
        Event::Swap => {
            let bytes = format!("limits.batch-bytes={}", 1 + random.below(8 << 20));
            let file = component("examples/clicks");
            let said = host.deploy(&file, &["--name", job, "--set", &bytes]);
            assert_eq!(said.code, 0, "{said:?}");
        }
        Event::Fill => fill(host),
        Event::Kafka("refuse") => shut(kafka),
        Event::Gateway("refuse") => shut(gateway),
        Event::Kafka(command) => drop(kafka.tell(command).expect("a command")),
        Event::Gateway(command) => drop(gateway.tell(command).expect("a command")),
    }
}

/// Lets nobody in, and ends what is open, which would go on else.
fn shut(proxy: &FaultProxy) {
    for command in ["refuse", "reset"] {
        proxy.tell(command).expect("a command");
    }
}

/// What is known of the disk that the data folder is on.
struct Disk {
    size: u64,
    free: u64,
}

impl Disk {
    fn is_small(&self) -> bool {
        self.size <= 2 << 30
    }
}

fn disk(host: &Host) -> Disk {
    let folder = host.file(".");
    let asked = Command::new("df")
        .args(["--output=size,avail", "-B1"])
        .arg(folder)
        .output();
    let said = asked.expect("there is df").stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let numbers: Vec<u64> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [size, free] = numbers[..] else {
        panic!("df says {said}")
    };
    Disk { size, free }
}

/// What fills the disk.
fn filler(host: &Host) -> PathBuf {
    host.file("filler")
}

/// Leaves less on the disk than jobs want to be free, and more than the host's log takes.
fn fill(host: &Host) {
    let length = disk(host).free.saturating_sub(64 << 20);
    let length = length.max(1).to_string();
    let filled = Command::new("fallocate")
        .args(["-l", &length])
        .arg(filler(host))
        .status();
    assert!(filled.expect("there is fallocate").success());
}

/// Things go on for as long as some more records take.
fn records_come(feed: &Feed, random: &mut Random) {
    let more = random.below(PAUSE_SECONDS * u64::from(sizes().soak_rate));
    let moment = feed.sent() + more;
    wait_until("more records are sent", LATE, || feed.sent() >= moment);
}

/// The job's history and the metrics know of what befell it.
fn is_told(host: &Host, job: &str, happened: &BTreeMap<Event, u32>) {
    let count = |event: Event| happened.get(&event).copied().unwrap_or_default() as usize;
    let deployments = host.json(&["history", job]).as_array().map_or(0, Vec::len);
    assert!(
        deployments > count(Event::Swap).min(99),
        "each swap is in the history"
    );
    wait_until("the metrics are there", SOON, || {
        let page = http_get(&host.address, "/metrics");
        page.is_some_and(|(code, text)| code == 200 && text.contains(job))
    });
}
