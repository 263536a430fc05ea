//! Several hosts that share their jobs by Kafka alone. They need the machine for themselves: who is
//! kept from it for seconds counts as lost.

use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streamhost_tests::clicks::{Clicks, Record};
use streamhost_tests::feed::{self, Feed};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON, seed, sizes};
use streamhost_tests::wait::{wait_for, wait_until};

/// Hosts of one cluster, `h0`, `h1` and so on.
struct Cluster {
    hosts: Vec<Host>,
    /// Which of them run.
    up: Vec<bool>,
}

impl Cluster {
    #[track_caller]
    fn of(count: usize, servers: &Servers) -> Cluster {
        let name = unique("cluster");
        let host = |i| {
            let lines = format!("[cluster]\nname = \"{name}\"\nhost = \"h{i}\"\n");
            Host::serve_more(servers, &lines, &[])
        };
        Cluster {
            hosts: (0..count).map(host).collect(),
            up: vec![true; count],
        }
    }

    /// Any host that runs.
    fn any(&self) -> &Host {
        let first = self.up.iter().position(|up| *up).expect("one runs");
        &self.hosts[first]
    }

    fn told(&self) -> Vec<Value> {
        let told = self.any().json(&["hosts"]);
        told.as_array().expect("a list").clone()
    }

    /// The host that a job is placed on.
    fn owner(&self, job: &str) -> Option<usize> {
        let has = |host: &Value| {
            let jobs = host["jobs"].as_array().expect("a list");
            host["lives"] == true && jobs.iter().any(|it| it == job)
        };
        let told = self.told();
        let name = told.iter().find(|host| has(host))?["host"].as_str()?;
        name.strip_prefix('h')?.parse().ok()
    }

    /// How many records a job has read, if a host can say so now.
    fn records(&self, job: &str) -> Option<u64> {
        let said = self.any().cli(["status", job, "--output", "json"]);
        let status: Value = serde_json::from_str(&said.out).ok()?;
        status["records_in"].as_u64()
    }

    /// Waits until a job has read so many records, whoever runs it.
    fn await_records(&self, job: &str, records: u64) {
        wait_until(&format!("{job} has read {records} records"), LATE, || {
            self.records(job) >= Some(records)
        });
    }

    /// Waits until a job goes on, on one of the hosts that run.
    fn await_progress(&self, job: &str, feed: &Feed) -> Duration {
        let (since, sent) = (Instant::now(), feed.sent());
        self.await_records(job, sent);
        since.elapsed()
    }

    fn start_again(&mut self, host: usize) {
        self.hosts[host].restart();
        self.up[host] = true;
    }

    /// Does one of what may become of a host, and waits until the jobs go on.
    fn befall(&mut self, what: u64, host: usize, job: &str, feed: &Feed) {
        println!("{} to h{host}", WHAT[what as usize]);
        match what {
            KILL => {
                self.hosts[host].kill();
                self.up[host] = false;
            }
            STOP => {
                let code = self.hosts[host].stop();
                assert_eq!(code, 0, "{}", self.hosts[host].log_end());
                self.up[host] = false;
            }
            FREEZE => {
                self.hosts[host].signal("STOP");
                self.up[host] = false;
            }
            _ => {
                let name = format!("h{host}");
                self.any().cli(["drain", &name]).ok();
            }
        }
        let took = self.await_progress(job, feed);
        println!("  {job} has read all that was sent before after {took:?}");
        match what {
            FREEZE => {
                self.hosts[host].signal("CONT");
                self.up[host] = true;
            }
            KILL | STOP => self.start_again(host),
            _ => {
                let name = format!("h{host}");
                self.any().cli(["drain", &name, "--undo"]).ok();
            }
        }
    }
}

const KILL: u64 = 0;
const FREEZE: u64 = 1;
const STOP: u64 = 2;
const WHAT: [&str; 4] = ["kill -9", "SIGSTOP, SIGCONT", "SIGTERM", "drain"];

/// What becomes of hosts beyond the first three: more with `STREAMHOST_CLUSTER_STEPS`.
fn steps() -> u64 {
    let given = std::env::var("STREAMHOST_CLUSTER_STEPS");
    given.ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn line(i: u64) -> Record {
    let partition = (i % u64::from(PARTITIONS.unsigned_abs())) as i32;
    Record {
        partition: Some(partition),
        key: None,
        value: Some(format!("k{}", i % 97).into_bytes()),
        time_ms: None,
    }
}

/// The running counts in an exactly-once topic: for each key they only rise, and the last one is how
/// often it was sent.
fn counts_are_right(brokers: &str, topic: &str, sent: u64) {
    let mut last = BTreeMap::<String, u64>::new();
    for seen in outside::topic(brokers, topic) {
        let key = seen.key.expect("a key");
        let value: Value = serde_json::from_str(&seen.value.expect("a value")).expect("JSON");
        let count = value["value"].as_u64().expect("a count");
        let before = last.insert(key.clone(), count);
        assert!(before < Some(count), "{key}: {before:?}, then {count}");
    }
    for i in 0..97 {
        let want = sent / 97 + u64::from(i < sent % 97);
        assert_eq!(last.get(&format!("k{i}")), Some(&want).filter(|n| **n > 0));
    }
}

/// Killed, frozen and woken, stopped and drained, two hosts of three after one another, a job into
/// HBase and one with state into an exactly-once topic: both come out as if nothing had been.
#[test]
fn jobs_are_exact_whatever_becomes_of_their_hosts() {
    let (_guard, servers) = Servers::alone();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let mut cluster = Cluster::of(3, servers);
    let (clicks, counts) = (unique("clicks-shared"), unique("counts-shared"));
    let lines = format!("{counts}-lines");
    for topic in [&clicks, &counts, &lines] {
        feed::create_topic(&servers.kafka, topic, PARTITIONS).expect("a topic");
    }
    cluster.hosts[0].deploy_clicks(&clicks);
    let places = [
        format!("source.lines={lines}"),
        format!("sink.counts={counts}"),
    ];
    let guest = component("tests/guests/counts");
    let deploy =
        |cluster: &Cluster, more: &[&str]| cluster.any().deploy_as(&guest, &counts, &places, more);
    deploy(&cluster, &["--set", "start=earliest"]).ok();
    let rate = sizes().kill_rate / 4;
    let fed = Feed::start(&servers.kafka, &clicks, rate, Clicks::new(seed));
    let counted = Feed::start(&servers.kafka, &lines, rate, (0..).map(line));
    for step in 0..steps() {
        // Each once at least.
        let what = match step {
            0..4 => step,
            _ => random.below(4),
        };
        let job = if step % 2 == 0 { &counts } else { &clicks };
        let owner = wait_for("the job has a host", SOON, || cluster.owner(job));
        let feed = if step % 2 == 0 { &counted } else { &fed };
        cluster.befall(what, owner, job, feed);
        if step % 3 == 1 {
            // A swap in the midst of it, through whichever host.
            let records = format!("limits.batch-records={}", 1000 + step);
            wait_for("the swap is taken", LATE, || {
                let said = deploy(&cluster, &["--set", &records]);
                let away = ["try again", "is away"];
                let moves = said.code != 0 && away.iter().any(|word| said.err.contains(word));
                (!moves).then_some(said)
            })
            .ok();
        }
    }
    let (clicks_sent, lines_sent) = (fed.stop().expect("sent"), counted.stop().expect("sent"));
    cluster.await_records(&clicks, clicks_sent);
    cluster.await_records(&counts, lines_sent);
    let letters = format!("{clicks}.dead-letters");
    let verdict =
        outside::clicks_are_right(&servers.kafka, &clicks, &servers.gateway, &clicks, &letters);
    assert_eq!(verdict.dead_letters_doubled, 0, "{verdict:?}");
    counts_are_right(&servers.kafka, &counts, lines_sent);
    assert_eq!(
        cluster.records(&counts),
        Some(lines_sent),
        "nothing is read twice"
    );
}

/// Any host answers for any job, jobs are spread evenly, and each verb works wherever it is asked.
#[test]
fn any_host_answers_for_any_job_and_jobs_are_spread() {
    let (_guard, servers) = Servers::alone();
    let mut cluster = Cluster::of(2, servers);
    let jobs: Vec<String> = (0..3).map(|i| unique(&format!("spread-{i}"))).collect();
    let guest = component("tests/guests/counts");
    for job in &jobs {
        let lines = format!("{job}-lines");
        for topic in [job, &lines] {
            feed::create_topic(&servers.kafka, topic, 1).expect("a topic");
        }
        let records = (0..1000).map(|i| Record {
            partition: Some(0),
            ..line(i)
        });
        feed::fill(&servers.kafka, &lines, records).expect("a full topic");
        let places = [
            format!("source.lines={lines}"),
            format!("sink.counts={job}"),
        ];
        let told = cluster.hosts[0].deploy_as(&guest, job, &places, &["--set", "start=earliest"]);
        told.ok();
    }
    let count = |told: &[Value], i: usize| told[i]["jobs"].as_array().map_or(0, Vec::len);
    let told = cluster.told();
    let (most, least) = (
        count(&told, 0).max(count(&told, 1)),
        count(&told, 0).min(count(&told, 1)),
    );
    assert_eq!((most, least), (2, 1), "{told:?}");

    for job in &jobs {
        for host in &cluster.hosts {
            host.wait_records(job, 1000, LATE);
        }
        counts_are_right(&servers.kafka, job, 1000);
    }
    for host in &cluster.hosts {
        let listed = host.json(&["list"]);
        assert_eq!(listed.as_array().map(Vec::len), Some(3), "{listed}");
    }
    let (first, other) = (&cluster.hosts[0], &cluster.hosts[1]);
    for (host, verb, state) in [(other, "pause", "paused"), (first, "resume", "running")] {
        for job in &jobs {
            host.cli([verb, job]).ok();
            host.wait_state(job, state, LATE);
        }
    }
    let key = other.json(&["state", &jobs[0], "count", "--key", "k7"]);
    assert!(key.to_string().contains("11"), "{key}");
    let unknown = other.cli(["status", "no-such-job"]).refusal();
    assert!(unknown.contains("no job"), "{unknown}");
    let gone = other.cli(["undeploy", &jobs[0], "--yes"]);
    gone.ok();
    wait_until("the cluster knows two jobs", SOON, || {
        first.json(&["list"]).as_array().map(Vec::len) == Some(2)
    });

    // A savepoint is taken through one host, and another one begins from it.
    let file = first.file("job.savepoint").display().to_string();
    let saved = other.cli(["savepoint", &jobs[1], "--to", &file, "--stop"]);
    saved.ok();
    first.cli(["undeploy", &jobs[1], "--yes"]).ok();
    other.cli(["deploy", "--from-savepoint", &file]).ok();
    first.cli(["resume", &jobs[1]]).ok();
    let more = (1000..1100).map(|i| Record {
        partition: Some(0),
        ..line(i)
    });
    feed::fill(&servers.kafka, &format!("{}-lines", jobs[1]), more).expect("a full topic");
    first.wait_records(&jobs[1], 1100, LATE);
    counts_are_right(&servers.kafka, &jobs[1], 1100);
    let runs_on = first.status(&jobs[1])["host"].clone();
    assert!(
        ["h0", "h1"].map(Value::from).contains(&runs_on),
        "{runs_on}"
    );

    // Undeployed and deployed again at once, a job is there: what has let it go does not take it away.
    let places = [
        format!("source.lines={}-lines", jobs[2]),
        format!("sink.counts={}", jobs[2]),
    ];
    for host in [first, other, first] {
        host.cli(["undeploy", &jobs[2], "--yes"]).ok();
        host.deploy_as(&guest, &jobs[2], &places, &[]).ok();
    }
    first.wait_state(&jobs[2], "running", LATE);

    // A host that is drained has nothing, and stops without anybody waiting.
    let drained = first.json(&["drain", "h1"]);
    assert_eq!(
        drained[1]["jobs"].as_array().map(Vec::len),
        Some(0),
        "{drained}"
    );
    for job in &jobs[1..] {
        first.wait_state(job, "running", LATE);
    }
    let unknown = first.cli(["drain", "h7"]).refusal();
    assert!(unknown.contains("there is no host `h7`"), "{unknown}");
    assert_eq!(cluster.hosts[1].stop(), 0);
    cluster.up[1] = false;
    let away = wait_for("h1 is away", SOON, || {
        let told = cluster.told();
        (told[1]["lives"] == false).then_some(told)
    });
    assert_eq!(count(&away, 0), 2, "{away:?}");
}

/// Without a section `[cluster]` a host is by itself; with one, its folder is not mixed up with that
/// of a host by itself.
#[test]
fn a_folder_is_of_a_host_by_itself_or_of_a_cluster() {
    let (_guard, servers) = Servers::shared();
    let host = Host::serve(servers);
    let refused = host.cli(["hosts"]).refusal();
    assert!(refused.contains("this host is by itself"), "{refused}");
}
