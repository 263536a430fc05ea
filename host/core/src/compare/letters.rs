//! Dead letters: each is held against that of the same record, or of the same group.

use super::row::shown;
use super::{Side, keep};
use crate::job::names;
use crate::limits;
use crate::types::{DeadLetter, Kind, Offset, Partition};
use std::collections::BTreeMap;

/// How dead letters differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterDifference {
    /// Both versions have it, for the same reason.
    pub alike: u64,
    /// Both versions have it, for another reason.
    pub differing: u64,
    /// The active version alone has it.
    pub only_active: u64,
    /// The shadow alone has it.
    pub only_shadow: u64,
    /// Some of what is not alike.
    pub samples: Vec<LetterSample>,
}

/// A dead letter that is not alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterSample {
    /// Which version has it.
    pub side: Side,
    /// Partition and offset of its record; none for a group.
    pub record: Option<(i32, i64)>,
    /// The stage that refused it.
    pub stage: String,
    /// The key.
    pub key: Option<String>,
    /// Why the active version refused it.
    pub active: Option<String>,
    /// Why the shadow refused it.
    pub shadow: Option<String>,
}

/// What tells a letter's record or group from others; several may be of one group.
type Subject<'a> = (
    Option<(Partition, Offset)>,
    &'a str,
    Option<&'a [u8]>,
    usize,
);

impl LetterDifference {
    /// How the letters of two runs differ.
    pub(super) fn of(active: &[DeadLetter], shadow: &[DeadLetter]) -> LetterDifference {
        let mut difference = LetterDifference::default();
        let (ours, mut theirs) = (by_subject(active), by_subject(shadow));
        for (subject, letter) in ours {
            let other = theirs.remove(&subject);
            match other {
                Some(other) if letter.reason == other.reason => difference.alike += 1,
                Some(_) => {
                    difference.differing += 1;
                    difference.sample(Side::Both, Some(letter), other);
                }
                None => {
                    difference.only_active += 1;
                    difference.sample(Side::Active, Some(letter), None);
                }
            }
        }
        for letter in theirs.into_values() {
            difference.only_shadow += 1;
            difference.sample(Side::Shadow, None, Some(letter));
        }
        difference
    }

    fn sample(&mut self, side: Side, active: Option<&DeadLetter>, shadow: Option<&DeadLetter>) {
        let Some(letter) = active.or(shadow) else {
            return;
        };
        let reason =
            |letter: &DeadLetter| names::shown(&letter.reason, limits::SHADOW_SHOWN_CHARS_MAX);
        let place = |(partition, offset): (Partition, Offset)| (partition.id, offset);
        let sample = LetterSample {
            side,
            record: letter.origin.map(place),
            stage: letter.stage.clone(),
            key: letter.key.as_deref().map(|key| shown(Kind::Text, key)),
            active: active.map(reason),
            shadow: shadow.map(reason),
        };
        keep(&mut self.samples, sample, |sample| sample.side);
    }

    /// Adds what a later batch differs by.
    pub(super) fn add(&mut self, later: LetterDifference) {
        self.alike += later.alike;
        self.differing += later.differing;
        self.only_active += later.only_active;
        self.only_shadow += later.only_shadow;
        for sample in later.samples {
            keep(&mut self.samples, sample, |sample| sample.side);
        }
    }
}

fn by_subject(letters: &[DeadLetter]) -> BTreeMap<Subject<'_>, &DeadLetter> {
    let mut all = BTreeMap::new();
    for letter in letters {
        let key = letter.origin.is_none().then_some(letter.key.as_deref());
        let mut subject = (letter.origin, &*letter.stage, key.flatten(), 0);
        while all.contains_key(&subject) {
            subject.3 += 1;
        }
        all.insert(subject, letter);
    }
    all
}
