//! Which part of a job's records a canary runs.

use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Keys are spread otherwise than over partitions, connections and lanes.
const SEED: u64 = 0x0063_616e_6172_7900;
/// A share in keys is counted in parts of so many.
const WHOLE: u64 = 10_000;

/// A part of a job's records. What belongs to a smaller share by keys belongs to a larger one too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Share {
    /// The records of these partitions of all sources.
    Partitions(BTreeSet<i32>),
    /// So many of 10,000 keys, by a hash of the key; 1 to 9,999.
    Keys(u16),
}

impl Share {
    /// Whether a key belongs to it. A share in partitions has no keys.
    pub fn has_key(&self, key: &[u8]) -> bool {
        match self {
            Share::Partitions(_) => false,
            Share::Keys(parts) => xxh3_64_with_seed(key, SEED) % WHOLE < u64::from(*parts),
        }
    }

    /// Whether a record belongs to it: in a share in keys by its key, and without one by its place.
    pub fn has_record(&self, partition: i32, offset: i64, key: Option<&[u8]>) -> bool {
        match (self, key) {
            (Share::Partitions(all), _) => all.contains(&partition),
            (Share::Keys(_), Some(key)) => self.has_key(key),
            (Share::Keys(_), None) => {
                let mut place = [0; 12];
                place[..4].copy_from_slice(&partition.to_le_bytes());
                place[4..].copy_from_slice(&offset.to_le_bytes());
                self.has_key(&place)
            }
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Partitions(all) => {
                let all: Vec<_> = all.iter().map(i32::to_string).collect();
                write!(f, "partitions={}", all.join(","))
            }
            Share::Keys(parts) => write!(f, "{}%", f64::from(*parts) / 100.0),
        }
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let shown = super::names::shown(text, limits::NAME_SHOWN_CHARS_MAX);
            format!(
                "`{shown}` is no share of a job's records: say one of its keys, from 0.01% to 99.99% (5%), or \
                 partitions (partitions=0,1)"
            )
        };
        if let Some(list) = text.trim().strip_prefix("partitions=") {
            let number = |part: &str| part.trim().parse().ok().filter(|id: &i32| *id >= 0);
            let all: Option<BTreeSet<i32>> = list.split(',').map(number).collect();
            let all = all.filter(|all| all.len() <= limits::CANARY_PARTITIONS_MAX);
            return all.map(Share::Partitions).ok_or_else(wrong);
        }
        let percent = text.trim().strip_suffix('%').ok_or_else(wrong)?;
        let (whole, hundredths) = percent.trim().split_once('.').unwrap_or((percent, ""));
        let digits = |part: &str| part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit());
        if whole.trim().is_empty() || !digits(whole.trim()) || !digits(hundredths) {
            return Err(wrong());
        }
        let whole: u16 = whole.trim().parse().map_err(|_| wrong())?;
        let hundredths: u16 = format!("{hundredths:0<2}").parse().map_err(|_| wrong())?;
        match whole * 100 + hundredths {
            0 => Err(wrong()),
            parts => Ok(Share::Keys(parts)),
        }
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_said_in_keys_or_partitions() {
        let keys = |parts| Some(Share::Keys(parts));
        let partitions = |all: &[i32]| Some(Share::Partitions(all.iter().copied().collect()));
        let cases = [
            ("5%", keys(500), "5%"),
            (" 0.5 %", keys(50), "0.5%"),
            ("0.01%", keys(1), "0.01%"),
            ("12.34%", keys(1234), "12.34%"),
            ("99.99%", keys(9999), "99.99%"),
            ("partitions=1, 0,1", partitions(&[0, 1]), "partitions=0,1"),
        ];
        for (text, want, shown) in cases {
            let share: Option<Share> = text.parse().ok();
            assert_eq!(share, want, "{text}");
            assert_eq!(want.map(|share| share.to_string()).as_deref(), Some(shown));
        }
        for text in [
            "",
            "5",
            "0%",
            "0.00%",
            "100%",
            "-1%",
            "5.555%",
            "1e1%",
            "%",
            ".5%",
            "nan%",
            "partitions=",
            "partitions=-1",
            "partitions=a",
            "partitions=0,",
            "partitions=99999999999",
        ] {
            let error = text.parse::<Share>().unwrap_err();
            assert!(error.contains("is no share"), "{text}: {error}");
        }
    }

    #[test]
    fn a_larger_share_has_all_keys_of_a_smaller_one() {
        let all: Vec<[u8; 4]> = (0..20_000_u32).map(u32::to_be_bytes).collect();
        let shares = [1, 500, 5000, 9999].map(Share::Keys);
        for key in &all {
            let has = shares.each_ref().map(|share| share.has_key(key));
            assert!(has.is_sorted(), "{key:?}: {has:?}");
        }
        let count = all.iter().filter(|key| shares[1].has_key(*key)).count();
        assert!(
            (900..1100).contains(&count),
            "5% of 20,000 keys are {count}"
        );
    }

    #[test]
    fn records_without_a_key_are_spread_by_their_places() {
        let half = Share::Keys(5000);
        let count = (0..1000)
            .filter(|offset| half.has_record(3, *offset, None))
            .count();
        assert!((400..600).contains(&count), "{count}");
        let one: Share = "partitions=3".parse().unwrap();
        assert!(one.has_record(3, 0, Some(b"k")) && !one.has_record(2, 0, Some(b"k")));
        assert!(!one.has_key(b"k"), "keys belong to no partition");
    }
}
