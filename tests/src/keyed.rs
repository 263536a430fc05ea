//! Events for the keyed examples, from a seed: out of order, some of them late, some of them broken
//! on purpose.
//!
//! What they must become is not told here but by `oracle/*.py`, which read them back from Kafka.

use crate::clicks::Record;
use crate::random::Random;
use crate::sizes::PARTITIONS;

/// When the first event happens: the beginning of 2025, in milliseconds since 1970.
pub const START_MS: i64 = 1_735_689_600_000;
/// How far apart events are, on average.
pub const STEP_MS: i64 = 1000;
/// When the events at the end of each partition happen: long after all others, and long ago, as
/// brokers refuse records from the future.
pub const END_MS: i64 = START_MS + 30 * DAY_MS;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
/// What most events that are out of order are behind by, at most; and the few that are far behind.
const BEHIND_MS: (u64, u64) = (120_000, 3 * 3_600_000);

const SITES: u64 = 50;
const TAGS: u64 = 60;
const WORDS: u64 = 5_000;
const WORDS_A_LINE: u64 = 10;
const PANELS: u64 = 120;
/// Panels that send readings, and are in no table.
const STRAY_PANELS: u64 = 6;
const PANEL_SITES: u64 = 12;
const PLAYERS: u64 = 300;
/// So many play at a time, and half of them stop when a block of time is over.
const PLAYING: u64 = 40;
const BLOCK_MS: i64 = 20 * MINUTE_MS;

/// Which example they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines of ten words, for `wordcount`.
    Lines,
    /// JSON with a `site_id`, for `pageviews`.
    Pageviews,
    /// Texts with hashtags; the record's own time is the event's. For `hashtags`.
    Posts,
    /// Readings of solar panels, for `sensors`.
    Readings,
    /// What players play, for `sessions`.
    Plays,
}

impl Kind {
    /// All of them, by the names of their topics.
    pub const ALL: [(&'static str, Kind); 5] = [
        ("lines", Kind::Lines),
        ("pageviews", Kind::Pageviews),
        ("posts", Kind::Posts),
        ("readings", Kind::Readings),
        ("plays", Kind::Plays),
    ];

    /// One event at [`END_MS`] for each partition: when it is read, all windows of the others are
    /// over.
    pub fn ends(self) -> Vec<Record> {
        self.ends_of(PARTITIONS)
    }

    /// The same for a topic of so many partitions.
    pub fn ends_of(self, partitions: i32) -> Vec<Record> {
        let end = |partition| Record {
            partition: Some(partition),
            ..self.event(&"end", END_MS, &mut Random::new(0))
        };
        (0..partitions).map(end).collect()
    }

    /// An event of `who` at `time_ms`.
    fn event(self, who: &dyn std::fmt::Display, time_ms: i64, random: &mut Random) -> Record {
        let value = match self {
            Kind::Lines => who.to_string(),
            Kind::Pageviews => format!(r#"{{"site_id":"{who}","url":"/{}"}}"#, random.below(1000)),
            Kind::Posts => who.to_string(),
            Kind::Readings => {
                let (watts, tenths) = (random.below(400), random.below(10));
                format!(r#"{{"panel_id":"{who}","time":{time_ms},"power":{watts}.{tenths}}}"#)
            }
            Kind::Plays => format!(
                r#"{{"player":"{who}","time":{time_ms},"points":{}}}"#,
                random.below(100)
            ),
        };
        let keyed = !matches!(self, Kind::Lines | Kind::Posts);
        let key = keyed.then(|| who.to_string().into_bytes());
        let time_ms = (self == Kind::Posts).then_some(time_ms);
        Record {
            key,
            value: Some(value.into_bytes()),
            partition: None,
            time_ms,
        }
    }
}

/// An endless row of events, one a second on average. One in five is out of order, one in a hundred
/// far behind, one in a hundred broken. What has one key is mostly in one partition, but not
/// always.
#[derive(Clone, Debug)]
pub struct Events {
    kind: Kind,
    random: Random,
    number: i64,
}

impl Events {
    /// The events of a seed.
    pub fn new(kind: Kind, seed: u64) -> Self {
        Events {
            kind,
            random: Random::new(seed),
            number: 0,
        }
    }

    /// When an event of now says that it happened. Often on the second, and sometimes on the
    /// minute, so that the edges of windows are met.
    fn time_ms(&mut self, now_ms: i64) -> i64 {
        let random = &mut self.random;
        let behind = match random.below(100) {
            0 => random.below(BEHIND_MS.1),
            1..=20 => random.below(BEHIND_MS.0),
            _ => 0,
        };
        let time_ms = now_ms - behind as i64;
        match random.below(100) {
            0..=4 => time_ms - time_ms % MINUTE_MS,
            5..=49 => time_ms - time_ms % 1000,
            _ => time_ms,
        }
    }

    /// Whose event it is, by number.
    fn who(&mut self, now_ms: i64) -> u64 {
        let random = &mut self.random;
        match self.kind {
            Kind::Lines | Kind::Posts => 0,
            Kind::Pageviews => random.below(SITES) * random.below(SITES) / SITES,
            Kind::Readings => random.below(PANELS + STRAY_PANELS),
            Kind::Plays => {
                (now_ms / BLOCK_MS) as u64 * (PLAYING / 2) % PLAYERS + random.below(PLAYING)
            }
        }
    }

    /// What it says.
    fn text(&mut self, who: u64, now_ms: i64) -> String {
        let random = &mut self.random;
        match self.kind {
            Kind::Lines => {
                let word = |random: &mut Random| match random.below(1000) {
                    0 => "caf\u{e9}".to_owned(),
                    1 => "it's".to_owned(),
                    n => format!("w{}", n * random.below(WORDS) / 1000),
                };
                let words: Vec<String> = (0..WORDS_A_LINE).map(|_| word(random)).collect();
                words.join([" ", "  ", "\t"][random.below(3) as usize])
            }
            Kind::Posts => {
                // What is popular changes from hour to hour.
                let hour = (now_ms / (60 * MINUTE_MS)) as u64;
                let tag = |random: &mut Random| {
                    (random.below(TAGS) * random.below(TAGS) / TAGS + hour) % TAGS
                };
                let tags = (0..random.below(5)).map(|_| format!("#tag{}", tag(random)));
                format!("I say # {}!", tags.collect::<Vec<_>>().join(", "))
            }
            Kind::Pageviews => format!("site{who}"),
            Kind::Readings => format!("panel{who}"),
            Kind::Plays => format!("player{}", who % PLAYERS),
        }
    }

    fn broken(&mut self, mut record: Record) -> Record {
        let mut value = record.value.take().unwrap_or_default();
        record.value = match self.random.below(8) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(b"{".to_vec()),
            3 => Some(br#"{"other":1}"#.to_vec()),
            4 => Some(br#"{"site_id":7,"panel_id":7,"player":7,"time":1,"power":1,"points":1}"#.to_vec()),
            5 => Some(br#"{"site_id":"","panel_id":"","player":"","time":1,"power":1,"points":1}"#.to_vec()),
            6 => Some(br##"{"site_id":"a#b","panel_id":"a","player":"a#b","time":1,"power":-1,"points":-1}"##.to_vec()),
            _ => {
                let middle = value.len() / 4;
                value.insert(middle, 0xff); // never a byte of UTF-8
                Some(value)
            }
        };
        if self.random.percent(20) {
            record.key = None;
        }
        record
    }
}

impl Iterator for Events {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let now_ms = START_MS + self.number * STEP_MS + self.random.below(STEP_MS as u64) as i64;
        let has_no_time = matches!(self.kind, Kind::Lines | Kind::Pageviews);
        assert!(
            has_no_time || now_ms < END_MS,
            "more events than fit before the end"
        );
        self.number += 1;
        let (time_ms, who) = (self.time_ms(now_ms), self.who(now_ms));
        let text = self.text(who, now_ms);
        let mut record = self.kind.event(&text, time_ms, &mut self.random);
        let partitions = PARTITIONS as u64;
        let at_home = !matches!(self.kind, Kind::Lines | Kind::Posts) && !self.random.percent(10);
        let partition = if at_home {
            who % partitions
        } else {
            self.random.below(partitions)
        };
        record.partition = Some(partition as i32);
        Some(if self.random.percent(1) {
            self.broken(record)
        } else {
            record
        })
    }
}

/// The table of panels: where each one is. Some are moved, and some taken away again, by later
/// records of the same partition; some records are broken.
pub fn panels() -> Vec<Record> {
    let record = |panel: u64, site: Option<String>| Record {
        key: Some(format!("panel{panel}").into_bytes()),
        value: site.map(String::into_bytes),
        partition: Some((panel % PARTITIONS as u64) as i32),
        time_ms: None,
    };
    let site = |n: u64| Some(format!("site{}", n % PANEL_SITES));
    let first = (0..PANELS).map(|panel| record(panel, site(panel)));
    let moved = (0..PANELS)
        .filter(|panel| panel % 7 == 0)
        .map(|panel| record(panel, site(panel + 1)));
    let gone = (0..PANELS)
        .filter(|panel| panel % 20 == 3)
        .map(|panel| record(panel, None));
    let broken = [
        Record {
            key: None,
            ..record(0, site(5))
        },
        record(1, Some(String::new())),
        Record {
            value: Some(b"\xff".to_vec()),
            ..record(2, None)
        },
    ];
    first.chain(moved).chain(gone).chain(broken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_events() {
        for (name, kind) in Kind::ALL {
            let events: Vec<Record> = Events::new(kind, 1).take(5_000).collect();
            assert_eq!(
                events,
                Events::new(kind, 1).take(5_000).collect::<Vec<_>>(),
                "{name}"
            );
            assert_ne!(
                events,
                Events::new(kind, 2).take(5_000).collect::<Vec<_>>(),
                "{name}"
            );
            let broken = events
                .iter()
                .filter(|event| event.value.as_deref().is_none_or(<[u8]>::is_empty))
                .count();
            assert!(
                (2..40).contains(&broken),
                "one in four hundred has no value, or an empty one: {broken} {name}"
            );
        }
    }

    #[test]
    fn events_are_out_of_order_and_meet_the_edges_of_windows() {
        let times: Vec<i64> = Events::new(Kind::Posts, 1)
            .take(10_000)
            .filter_map(|event| event.time_ms)
            .collect();
        assert_eq!(times.len(), 10_000);
        let mut largest = i64::MIN;
        let behind = times.iter().filter(|&&time| {
            largest = largest.max(time);
            time < largest - 2 * STEP_MS
        });
        assert!((1_500..4_000).contains(&behind.count()), "one in five");
        assert!(times.iter().filter(|&&time| time % MINUTE_MS == 0).count() > 200);
        assert!(times.iter().all(|&time| time < END_MS));
    }

    #[test]
    fn players_pause() {
        let texts = Events::new(Kind::Plays, 1)
            .take(4 * 3600)
            .filter_map(|event| event.value);
        let lines: Vec<String> = texts
            .filter_map(|value| String::from_utf8(value).ok())
            .collect();
        let played = lines
            .iter()
            .filter(|line| line.contains(r#""player7""#))
            .count();
        assert!((1..1_000).contains(&played), "now and then: {played}");
    }
}
