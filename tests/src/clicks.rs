//! Clicks as the example job reads them, from a seed; some of them broken on purpose.
//!
//! What they must become is not told here but by `oracle/clicks.py`, which reads them back from
//! Kafka.

use crate::random::Random;

/// A record for Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The record's key; decides its partition.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// Its partition, where the key does not decide.
    pub partition: Option<i32>,
    /// Its own time, in milliseconds since 1970, where it is not when it is sent.
    pub time_ms: Option<i64>,
}

/// An endless row of clicks. One in a hundred is broken, one in twenty has quantity 0, one in five
/// changes a row that was there before. The row's key is the record's key, so that all changes of a
/// row are in one partition, in order.
#[derive(Clone, Debug)]
pub struct Clicks {
    random: Random,
    number: u64,
}

impl Clicks {
    /// The clicks of a seed.
    pub fn new(seed: u64) -> Self {
        Clicks {
            random: Random::new(seed),
            number: 0,
        }
    }

    fn fields(&mut self) -> [String; 6] {
        self.number += 1;
        let back = if self.random.percent(20) {
            self.random.below(self.number.min(1000))
        } else {
            0
        };
        let random = &mut self.random;
        let number = self.number - back;
        let quantity = if random.percent(5) {
            0
        } else {
            1 + random.below(9)
        };
        [
            format!("click{number}"),
            format!("student{}", random.below(500)),
            format!(
                "http://www.example.org/{}?q=caf\u{e9}",
                random.below(10_000)
            ),
            format!(
                "2014-01-01 12:{:02}:{:02}.{:04}",
                random.below(60),
                random.below(60),
                random.below(10_000)
            ),
            ["image", "book", "page", "video"][random.below(4) as usize].to_owned(),
            quantity.to_string(),
        ]
    }

    fn broken(&mut self, mut fields: [String; 6]) -> Record {
        let key = Some(fields[0].clone().into_bytes());
        let kind = self.random.below(10);
        match kind {
            0 => fields[5] = "-1".into(),
            1 => fields[5] = "many".into(),
            2 => fields[5] = "99999999999999999999999".into(),
            3 => fields[5] = String::new(),
            4 => fields[5].push_str(",more"),
            5 => fields[0].clear(),
            _ => {}
        }
        let mut value = fields.join(",").into_bytes();
        match kind {
            6 => value[1] = 0xff, // never a byte of UTF-8
            7 => value.truncate(
                value
                    .iter()
                    .rposition(|&b| b == b',')
                    .expect("six fields have commas"),
            ),
            8 => value.clear(),
            _ => {}
        }
        let key = if self.random.percent(20) { None } else { key };
        Record {
            key,
            value: (kind != 9).then_some(value),
            ..Record::default()
        }
    }
}

impl Iterator for Clicks {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let fields = self.fields();
        if self.random.percent(1) {
            return Some(self.broken(fields));
        }
        let key = Some(fields[0].clone().into_bytes());
        Some(Record {
            key,
            value: Some(fields.join(",").into_bytes()),
            ..Record::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_clicks_of_every_kind() {
        let clicks: Vec<Record> = Clicks::new(1).take(20_000).collect();
        assert_eq!(clicks, Clicks::new(1).take(20_000).collect::<Vec<_>>());
        let count = |holds: &dyn Fn(&[u8]) -> bool| {
            clicks
                .iter()
                .filter(|click| holds(click.value.as_deref().unwrap_or(b"null")))
                .count()
        };
        assert!(
            (600..1400).contains(&count(&|value| value.ends_with(b",0"))),
            "one in twenty has quantity 0"
        );
        let not_utf8 = count(&|value| std::str::from_utf8(value).is_err());
        assert!(
            (5..60).contains(&not_utf8),
            "one in a thousand is not UTF-8: {not_utf8}"
        );
        for (kind, is) in [
            ("empty", count(&|value| value.is_empty())),
            ("absent", count(&|value| value == b"null")),
            ("empty key", count(&|value| value.starts_with(b","))),
            ("negative", count(&|value| value.ends_with(b",-1"))),
            (
                "five fields",
                count(&|value| value.split(|&b| b == b',').count() == 5),
            ),
            (
                "seven fields",
                count(&|value| value.split(|&b| b == b',').count() == 7),
            ),
        ] {
            assert!((5..60).contains(&is), "one in a thousand is {kind}: {is}");
        }
    }
}
