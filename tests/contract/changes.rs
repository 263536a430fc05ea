//! Changes without fear: shadows, promotions, canaries and rollbacks, all drawn from a seed, while records flow and the
//! host is killed. Then every record is there once, and by the version that the changes say.
//!
//! `STREAMHOST_CHANGES=200 STREAMHOST_CHANGES_RATE=20000 tests/run.sh contract changes_without_fear --nocapture` makes as many,
//! under as many records a second.

use std::collections::BTreeMap;
use streamhost_core::job::Share;
use streamhost_tests::feed::Feed;
use streamhost_tests::host::Host;
use streamhost_tests::random::Random;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, Sizes, seed, sizes};
use streamhost_tests::stamping::{Into, Stamp, Stamping, numbered};
use streamhost_tests::wait::wait_until;

/// What runs from some batch on: the active version, and a canary with its part.
#[derive(Clone, Debug, PartialEq)]
struct Running {
    deployment: u64,
    version: u64,
    canary: Option<(u64, Share)>,
}

impl Running {
    fn of(host: &Host, job: &str) -> Running {
        let status = host.status(job);
        let number = |what: &serde_json::Value| what.as_u64().expect("a number");
        let canary = status["canary"].as_object().map(|canary| {
            let share = canary["share"].as_str().expect("a part");
            (number(&canary["version"]), share.parse().expect("a part"))
        });
        Running {
            deployment: number(&status["deployment"]),
            version: number(&status["version"]),
            canary,
        }
    }

    /// The version that writes a record: its partition and number are its key.
    fn writer(&self, key: &str) -> u64 {
        let (partition, offset) = key.split_once(':').expect("partition:number");
        let (partition, offset) = (partition.parse(), offset.parse());
        let (partition, offset) = (partition.expect("a number"), offset.expect("a number"));
        match &self.canary {
            Some((canary, share)) if share.has_record(partition, offset, Some(key.as_bytes())) => {
                *canary
            }
            _ => self.version,
        }
    }
}

/// A job that is changed again and again.
struct Changing {
    host: Host,
    stamping: Stamping,
    random: Random,
    sizes: Sizes,
    /// What ran, in order.
    ran: Vec<Running>,
    made: BTreeMap<&'static str, u32>,
}

impl Changing {
    fn now(&self) -> Running {
        self.ran.last().expect("it runs").clone()
    }

    /// Notes what runs now, if it is another deployment.
    fn note(&mut self, what: &'static str) {
        *self.made.entry(what).or_default() += 1;
        let now = Running::of(&self.host, &self.stamping.job);
        if self
            .ran
            .last()
            .is_none_or(|last| last.deployment < now.deployment)
        {
            self.ran.push(now);
        }
    }

    fn deploy(&self, version: u64, more: &[&str]) {
        let place = self.stamping.place.clone();
        self.stamping.deploy_to(&self.host, version, &place, more);
    }

    fn ask(&self, arguments: &[&str]) {
        let all = [
            &arguments[..1],
            &[self.stamping.job.as_str()],
            &arguments[1..],
        ]
        .concat();
        self.host.cli(all).ok();
    }

    fn share(&mut self) -> String {
        let shares = [
            "1%",
            "10%",
            "50%",
            "99.5%",
            "partitions=0",
            "partitions=1,3",
        ];
        shares[self.random.below(shares.len() as u64) as usize].to_owned()
    }

    /// One change, whatever may be next.
    fn change(&mut self) {
        let now = self.now();
        let other = 3 - now.version;
        let (share, what) = (self.share(), self.random.below(4));
        match (now.canary.is_some(), what) {
            (true, 0 | 1) => {
                self.ask(&["promote", "--to", &share]);
                self.note("canary widened");
            }
            (true, 2) => {
                self.ask(&["promote"]);
                self.note("canary promoted");
            }
            (true, _) => {
                self.ask(&["rollback"]);
                self.note("canary taken back");
            }
            (false, 0) => {
                self.deploy(other, &["--shadow"]);
                self.records_come();
                let (verb, made) = match self.random.percent(70) {
                    true => ("promote", "shadow promoted"),
                    false => ("drop-shadow", "shadow dropped"),
                };
                self.ask(&[verb]);
                self.note(made);
            }
            (false, 1 | 2) => {
                self.deploy(other, &["--canary", &share]);
                self.note("canary begun");
            }
            (false, _) => {
                self.ask(&["rollback", &other.to_string()]);
                self.note("rollback");
            }
        }
    }

    /// The job goes on for a while.
    fn records_come(&mut self) {
        let most = u64::from(self.sizes.changes_rate);
        let more = 1 + self.random.below(most);
        let records = self.host.records(&self.stamping.job) + more;
        self.host.wait_records(&self.stamping.job, records, LATE);
    }
}

/// Each partition goes from one deployment to the next, and every record in it is by the version whose part it was in.
fn check(ran: &[Running], stamps: &[Vec<Stamp>]) {
    for (partition, stamps) in stamps.iter().enumerate() {
        let mut at = 0;
        for Stamp { key, version, .. } in stamps {
            let left = ran[at..]
                .iter()
                .position(|running| running.writer(key) == *version);
            at += left.unwrap_or_else(|| {
                panic!(
                    "partition {partition}: {key} is by version {version}, after {:?}: {ran:#?}",
                    ran[at]
                )
            });
        }
    }
}

fn change_without_fear(into: Into) {
    let (_guard, servers) = Servers::shared();
    let (seed, sizes) = (seed(), sizes());
    println!("STREAMHOST_SEED={seed}");
    let mut changing = Changing {
        host: Host::serve(servers),
        stamping: Stamping::new(servers, into),
        random: Random::new(seed),
        sizes,
        ran: Vec::new(),
        made: BTreeMap::new(),
    };
    let job = changing.stamping.job.clone();
    let feed = Feed::start(
        &servers.kafka,
        &job,
        sizes.changes_rate,
        (0..).map(numbered),
    );
    changing.deploy(1, &[]);
    changing.note("deployed");
    changing.records_come();
    changing.deploy(2, &[]);
    changing.note("deployed");
    let mut kills = 0;
    for _ in 0..sizes.changes {
        changing.records_come();
        changing.change();
        if changing.random.percent(30) {
            kills += 1;
            changing.host.kill();
            changing.host.restart();
        }
    }
    let records = feed.stop().expect("all records sent");
    let status = changing.host.wait_records(&job, records, LATE);
    assert_eq!(
        (&status["records_in"], &status["dead_letters"]),
        (&records.into(), &0.into()),
        "{status}"
    );
    wait_until("all is written", LATE, || {
        changing.host.status(&job)["lag"] == 0
    });
    let stamps = changing.stamping.stamps(records); // each there once, or it says which is not
    check(&changing.ran, &stamps);
    println!(
        "{into:?}: {records} records, {kills} kills, {:?}",
        changing.made
    );
}

#[test]
fn changes_without_fear_into_kafka() {
    change_without_fear(Into::Kafka);
}

#[test]
fn changes_without_fear_into_hbase() {
    change_without_fear(Into::Table);
}
