//! A function with a state and timers: whatever is killed, swapped or run on how many lanes, its
//! rows are what one pass over each user's clicks comes to.

use std::collections::BTreeMap;
use streamhost_tests::clicks::Record;
use streamhost_tests::feed::{create_topic, fill};
use streamhost_tests::guests::component;
use streamhost_tests::host::{Host, unique};
use streamhost_tests::keyed::START_MS;
use streamhost_tests::outside;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, seed};

const PARTITIONS: i32 = 4;
const CLICKS: u64 = 8_000;
const USERS: u64 = 120;
/// Two versions of the same source.
const VERSIONS: [&str; 2] = ["examples/carts", "tests/guests/carts-2"];
const PAUSE_MS: i64 = 600_000;

struct Click {
    user: String,
    time_ms: i64,
    /// None: the user looks, and nothing else.
    thing: Option<(&'static str, &'static str)>,
}

/// In the order of time in each partition, each user in one of them. Often so far apart that a cart
/// is left, and sometimes by the very pause.
fn clicks(random: &mut Random) -> Vec<Click> {
    let mut last: BTreeMap<u64, i64> = BTreeMap::new();
    let mut now_ms = START_MS;
    let click = |_| {
        let user = random.below(USERS);
        now_ms += random.below(10_000) as i64;
        // Nobody's time falls; a whole pause after the last click is met.
        let exactly = last.get(&user).map_or(now_ms, |last| last + PAUSE_MS);
        if random.percent(10) && exactly >= now_ms && exactly < now_ms + 60_000 {
            now_ms = exactly;
        }
        last.insert(user, now_ms);
        let name = ["pen", "ink", "cup"][random.below(3) as usize];
        let thing = match random.below(10) {
            0..=4 => Some(("add", name)),
            5..=6 => Some(("remove", name)),
            7 => Some(("pay", "")),
            _ => None,
        };
        Click {
            user: format!("user{user}"),
            time_ms: now_ms,
            thing,
        }
    };
    (0..CLICKS).map(click).collect()
}

fn record(click: &Click) -> Record {
    let did = match click.thing {
        None => r#""look""#.to_owned(),
        Some(("pay", _)) => r#""pay""#.to_owned(),
        Some((verb, name)) => format!(r#"{{"{verb}":"{name}"}}"#),
    };
    let (user, time_ms) = (&click.user, click.time_ms);
    let value = format!(r#"{{"user":"{user}","time":{time_ms},"did":{did}}}"#);
    let number: i32 = user[4..].parse().expect("a user is numbered");
    Record {
        key: Some(user.clone().into_bytes()),
        value: Some(value.into_bytes()),
        partition: Some(number % PARTITIONS),
        time_ms: None,
    }
}

/// Something at a time after all others for each partition, so that event time passes them.
fn ends() -> Vec<Record> {
    let end = |partition| Record {
        partition: Some(partition),
        ..record(&Click {
            user: format!("user{}", USERS as i32 + partition),
            time_ms: START_MS + 30 * 24 * 60 * 60 * 1000,
            thing: None,
        })
    };
    (0..PARTITIONS).map(end).collect()
}

/// The rows' keys with what was in the cart, and how many clicks are set aside.
type Told = (BTreeMap<String, String>, u64);

/// The oracle: each user's clicks by themselves.
fn told(clicks: &[Click]) -> Told {
    let mut users: BTreeMap<&str, Vec<&Click>> = BTreeMap::new();
    for click in clicks {
        users.entry(&click.user).or_default().push(click);
    }
    let (mut rows, mut refused) = (BTreeMap::new(), 0);
    for (user, own) in users {
        let mut cart: BTreeMap<&str, u64> = BTreeMap::new();
        for (i, click) in own.iter().enumerate() {
            match click.thing {
                Some(("add", name)) => *cart.entry(name).or_default() += 1,
                Some(("remove", name)) => match cart.get_mut(name) {
                    Some(count) => *count -= 1,
                    None => refused += 1,
                },
                Some(_) => cart.clear(),
                None => {}
            }
            cart.retain(|_, count| *count > 0);
            let next_ms = own.get(i + 1).map_or(i64::MAX, |next| next.time_ms);
            if !cart.is_empty() && next_ms > click.time_ms + PAUSE_MS {
                let things: Vec<String> = cart
                    .iter()
                    .map(|(name, count)| format!(r#""{name}":{count}"#))
                    .collect();
                let key = format!("{user}#{}", click.time_ms);
                rows.insert(key, format!("{{{}}}", things.join(",")));
            }
        }
    }
    (rows, refused)
}

struct Topic<'a> {
    servers: &'a Servers,
    name: String,
    records: u64,
}

impl Topic<'_> {
    fn deploy(&self, host: &Host, job: &str, version: usize, more: &[&str]) {
        let sets = [
            format!("source.clicks={}", self.name),
            format!("sink.carts={job}"),
        ];
        let mut arguments = vec!["--name", job, "--create-tables"];
        let all = sets.iter().map(String::as_str).chain(more.iter().copied());
        arguments.extend(all.flat_map(|setting| ["--set", setting]));
        host.deploy(&component(VERSIONS[version]), &arguments).ok();
    }

    #[track_caller]
    fn check(&self, host: &Host, job: &str, told: &Told) {
        let found = outside::column(&self.servers.gateway, job, "cart:things");
        let found: BTreeMap<String, String> = found
            .into_iter()
            .map(|(key, written)| (key, written.value))
            .collect();
        let differing: Vec<_> = told
            .0
            .iter()
            .filter(|(key, things)| found.get(*key) != Some(things))
            .chain(found.iter().filter(|(key, _)| !told.0.contains_key(*key)))
            .take(10)
            .collect();
        assert!(
            differing.is_empty(),
            "{} rows, of {}: {differing:?}",
            found.len(),
            told.0.len()
        );
        let status = host.status(job);
        assert_eq!(status["dead_letters"], told.1, "{status}");
        assert_eq!(status["rows_out"], told.0.len() as u64, "{status}");
        assert_eq!(status["records_in"], self.records, "{status}");
    }
}

#[test]
fn carts_that_are_left_are_told_whatever_happens() {
    let (_guard, servers) = Servers::shared();
    let seed = seed();
    println!("STREAMHOST_SEED={seed}");
    let mut random = Random::new(seed);
    let clicks = clicks(&mut random);
    let told = told(&clicks);
    assert!(told.0.len() > 100 && told.1 > 100, "there is much to do");
    let name = unique("carts");
    create_topic(&servers.kafka, &name, PARTITIONS).expect("a topic");
    let all = clicks.iter().map(record).chain(ends());
    let records = fill(&servers.kafka, &name, all).expect("a full topic");
    let topic = Topic {
        servers,
        name,
        records,
    };
    for lanes in [1, 2] {
        let mut host = Host::serve_on(lanes, servers);
        let job = unique("carts-left");
        let small = ["every=0", "limits.batch-records=150"];
        topic.deploy(&host, &job, 0, &small);
        for (i, part) in [1, 3, 5, 7].into_iter().enumerate() {
            host.wait_records(&job, records * part / 9, LATE);
            if i % 2 == 0 {
                host.kill();
                host.restart();
            } else {
                topic.deploy(&host, &job, (i / 2 + 1) % 2, &small);
            }
        }
        host.wait_records(&job, records, LATE);
        topic.check(&host, &job, &told);
    }
}

/// What is due when the sources end goes off, as windows are finished then.
#[test]
fn carts_that_end_go_off_and_their_state_can_be_looked_at() {
    let (_guard, servers) = Servers::shared();
    let clicks: Vec<Click> = clicks(&mut Random::new(seed()))
        .into_iter()
        .take(500)
        .collect();
    let told = told(&clicks);
    let name = unique("carts");
    create_topic(&servers.kafka, &name, PARTITIONS).expect("a topic");
    let records = fill(&servers.kafka, &name, clicks.iter().map(record)).expect("a full topic");
    let topic = Topic {
        servers,
        name,
        records,
    };
    let host = Host::serve(servers);
    let job = unique("carts-ended");
    topic.deploy(&host, &job, 0, &["every=0", "until=end"]);
    host.wait_state(&job, "finished", LATE);
    topic.check(&host, &job, &told);
    let kept = host.cli(["state", &job, "carts"]).ok();
    assert!(kept.contains("user"), "{kept}");
}
