//! People, auctions and bids, as Nexmark has them.

use serde::{Deserialize, Serialize};
use streamhost::{Call, Job, Record, testing};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) state: String,
    /// Milliseconds since 1970, as all times here.
    pub(crate) at: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Auction {
    pub(crate) id: u64,
    pub(crate) item: String,
    pub(crate) seller: u64,
    pub(crate) category: u64,
    pub(crate) at: i64,
    pub(crate) expires: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bid {
    pub(crate) auction: u64,
    pub(crate) bidder: u64,
    pub(crate) price: u64,
    pub(crate) channel: String,
    pub(crate) url: String,
    pub(crate) at: i64,
}

/// How far an event may come behind a later one of its topic.
pub(crate) const DISORDER_MS: i64 = 3_000;
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Shortly before a day begins, so that events are in two of them.
const START_MS: i64 = 1_700_006_400_000 - 60_000;

/// Small numbers in an order that the seed decides.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len() as u64) as usize]
    }
}

/// What happened, each in the order in which its topic has it.
#[derive(Default)]
pub(crate) struct Events {
    pub(crate) people: Vec<Person>,
    pub(crate) auctions: Vec<Auction>,
    pub(crate) bids: Vec<Bid>,
}

pub(crate) fn events(dice: &mut Dice) -> Events {
    let mut events = Events::default();
    let mut now = START_MS;
    for n in 0..260 {
        now += dice.roll(1_200) as i64;
        let at = now - dice.roll(DISORDER_MS as u64 + 1) as i64;
        match dice.roll(10) {
            0 => events.people.push(Person {
                id: events.people.len() as u64,
                name: format!("person {n}"),
                city: dice.one_of(&["Boise", "Bend", "Phoenix"]).to_owned(),
                state: dice.one_of(&["OR", "ID", "CA", "AZ"]).to_owned(),
                at,
            }),
            1 | 2 => events.auctions.push(Auction {
                id: events.auctions.len() as u64,
                item: format!("item {n}"),
                // Some sellers are not known yet, or never will be.
                seller: dice.roll(events.people.len() as u64 + 3),
                category: 10 + dice.roll(3),
                at,
                expires: at + 1_000 + dice.roll(40_000) as i64,
            }),
            _ => {
                let channel = dice.one_of(&["apple", "Google", "FACEBOOK", "baidu", "else"]);
                let number = match dice.roll(2) {
                    0 => format!("&channel_id={}", dice.roll(90)),
                    _ => String::new(),
                };
                let [a, b, c] = [(); 3].map(|()| dice.one_of(&["cab", "b", "acc"]));
                events.bids.push(Bid {
                    auction: dice.roll(events.auctions.len() as u64 + 2),
                    bidder: dice.roll(8),
                    price: 1 + dice.roll(2_000_000),
                    channel: channel.to_owned(),
                    url: format!("https://www.nexmark.com/{a}/{b}/{c}/item.htm?query=1{number}"),
                    at,
                });
            }
        }
    }
    events
}

/// A job's rows over these events, which come in batches that the seed decides, and how many records were set aside.
pub(crate) fn run<J: for<'b> Fn(Call<'b>) -> Job<'b>>(
    job: J,
    events: &Events,
    dice: &mut Dice,
) -> Vec<String> {
    let json = |at: i64, text: serde_json::Result<String>| (at, text.expect("JSON"));
    let mut topics = [
        (
            "person",
            events
                .people
                .iter()
                .map(|e| json(e.at, serde_json::to_string(e)))
                .collect(),
        ),
        (
            "auction",
            events
                .auctions
                .iter()
                .map(|e| json(e.at, serde_json::to_string(e)))
                .collect(),
        ),
        (
            "bid",
            events
                .bids
                .iter()
                .map(|e| json(e.at, serde_json::to_string(e)))
                .collect::<Vec<_>>(),
        ),
    ];
    let known = testing::describe(&job).expect("a job").sources;
    topics.iter_mut().for_each(|(_, all)| all.reverse());
    let mut job = testing::run(job);
    while topics.iter().any(|(_, all)| !all.is_empty()) {
        // All topics go on together, or one would be long behind the others.
        for (topic, all) in &mut topics {
            let count = (1 + dice.roll(12) as usize) * (all.len() / 30 + 1);
            let some = all.split_off(all.len().saturating_sub(count));
            if known.iter().any(|source| source.name == *topic) {
                let records = some.iter().rev();
                let records = records.map(|(at, text)| Record::from(text.as_str()).at(*at));
                job.with(topic, 0, records);
            }
        }
        job.pass(std::time::Duration::from_secs(10));
    }
    job.end();
    assert_eq!(job.dead_letters(), Vec::<String>::new());
    assert_eq!(job.late(), 0);
    job.rows("console")
}
