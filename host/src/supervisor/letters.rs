//! The dead letters of a job: read back from their topic, retried, dropped.

use super::deploy::unavailable;
use super::{Job, Supervisor};
use crate::api::{LetterEnd, LetterId, LettersAsk, Refusal};
use std::collections::BTreeMap;
use streamhost_connectors::kafka::letters::{
    self, LetterPositions, LettersError, ReadLetters, StoredLetter,
};
use streamhost_core::protocol::{LetterMark, LetterOutcome, LetterPlace, MarkedLetter};
use streamhost_core::{clock, limits};
use streamhost_engine::pipeline::{LetterRetry, RetryEnd};
use tracing::Level;

type Outcome = Result<LetterOutcome, String>;

/// Why a letter was not retried that the job had no time for.
const NOT_TAKEN: &str = "the job did not come to it: ask again once it runs";

fn refusal(error: LettersError) -> Refusal {
    match error {
        LettersError::Away { .. } => Refusal::Unavailable(error.to_string()),
        LettersError::Denied { .. } | LettersError::Refused { .. } => {
            Refusal::Invalid(error.to_string())
        }
    }
}

impl Supervisor {
    /// The newest letters below these positions.
    pub(super) fn read_letters(
        &self,
        job: &str,
        below: &LetterPositions,
        most: usize,
    ) -> Result<ReadLetters, Refusal> {
        let topic = self.letter_topic(job)?;
        letters::read_letters(&self.environment.kafka, &topic, below, most).map_err(refusal)
    }

    /// The letter at one place of the topic.
    pub(super) fn read_letter(
        &self,
        job: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Option<StoredLetter>, Refusal> {
        let topic = self.letter_topic(job)?;
        letters::read_letter(&self.environment.kafka, &topic, partition, offset).map_err(refusal)
    }

    /// What is remembered of letters.
    pub(super) fn marks_of(
        &self,
        job: &str,
        ids: &[LetterId],
    ) -> Result<Vec<Option<LetterMark>>, Refusal> {
        let topic = self.letter_topic(job)?;
        let places: Vec<_> = ids.iter().map(|id| place(&topic, *id)).collect();
        let marks = self.letter_marks.of(job, &places);
        marks.map_err(|error| unavailable(&error))
    }

    /// Retries or drops letters, and says of each what became of it. One call a job at a time.
    pub(super) fn retry_or_drop(
        &self,
        name: &str,
        ids: &[LetterId],
        ask: LettersAsk,
    ) -> Result<Vec<LetterEnd>, Refusal> {
        let _turn = self.letter_turns.take(name);
        let job = self.known(name)?;
        if matches!(ask, LettersAsk::Retry { .. }) {
            runs(&job)?;
        }
        let topic = self.letter_topic(name)?;
        let mut places = ids.to_vec();
        places.sort_unstable();
        places.dedup();
        self.make_room(name, &topic, &places)?;
        let mut ends: BTreeMap<LetterId, Outcome> = BTreeMap::new();
        let mut rest = places.as_slice();
        while !rest.is_empty() {
            let portion = &rest[..rest.len().min(limits::LETTERS_PORTION_MAX)];
            let done = self.change_portion(&job, &topic, portion, ask);
            let (looked, goes_on) = match done {
                Ok((outcomes, goes_on)) => {
                    let looked = outcomes.len();
                    ends.extend(portion.iter().copied().zip(outcomes));
                    (looked, goes_on)
                }
                Err(refusal) if ends.is_empty() => return Err(refusal),
                Err(refusal) => {
                    let skipped = |id: &LetterId| (*id, Err(refusal.to_string()));
                    ends.extend(rest.iter().map(skipped));
                    (rest.len(), false)
                }
            };
            rest = &rest[looked.max(1).min(rest.len())..];
            if !goes_on {
                ends.extend(rest.iter().map(|id| (*id, Err(NOT_TAKEN.to_owned()))));
                break;
            }
        }
        said(&job, ask, &ends);
        let end = |id: &LetterId| {
            let outcome = ends.get(id)?.clone();
            Some(LetterEnd { id: *id, outcome })
        };
        Ok(ids.iter().filter_map(end).collect())
    }

    /// Of the first letters that can be read at once, what became of them, and whether to go on.
    fn change_portion(
        &self,
        job: &Job,
        topic: &str,
        portion: &[LetterId],
        ask: LettersAsk,
    ) -> Result<(Vec<Outcome>, bool), Refusal> {
        let read = letters::read_letters_at(&self.environment.kafka, topic, portion);
        let read = read.map_err(refusal)?;
        let portion = &portion[..read.looked];
        let marks = self.marks_of(&job.name, portion)?;
        let mut found: BTreeMap<LetterId, StoredLetter> = BTreeMap::new();
        for letter in read.letters {
            found.insert((letter.partition, letter.offset), letter);
        }
        let letter = |(id, mark): (&LetterId, Option<LetterMark>)| {
            let gone = || "there is no such letter: it may be older than its topic keeps";
            let letter = found.remove(id).ok_or_else(gone)?;
            let mark = mark.filter(|mark| mark.sent_ms == letter.at_ms);
            may_change(&letter, mark.as_ref(), ask)?;
            Ok(letter)
        };
        let letters: Vec<Result<StoredLetter, String>> =
            portion.iter().zip(marks).map(letter).collect();
        match ask {
            LettersAsk::Retry { again } => Ok(self.retry(job, topic, letters, again)),
            LettersAsk::Drop => Ok((self.drop_all(job, topic, letters)?, true)),
        }
    }

    /// Gives the records of letters to the job.
    fn retry(
        &self,
        job: &Job,
        topic: &str,
        letters: Vec<Result<StoredLetter, String>>,
        again: bool,
    ) -> (Vec<Outcome>, bool) {
        let status = job.state().pipeline_status.clone();
        let (mut wanted, mut outcomes) = (Vec::new(), Vec::new());
        for letter in letters {
            match letter.and_then(|letter| record_of(topic, letter, again)) {
                Ok(letter) => {
                    wanted.push(letter);
                    outcomes.push(None);
                }
                Err(why) => outcomes.push(Some(Err(why))),
            }
        }
        let remembered = |letter: &LetterRetry| {
            let found = self
                .letter_marks
                .of(&job.name, std::slice::from_ref(&letter.place));
            let mark = found?.pop().flatten();
            Ok(mark.filter(|mark| mark.sent_ms == letter.sent_ms))
        };
        let mut ends = match wanted.is_empty() {
            true => Vec::new(),
            false => status
                .retries
                .run(wanted, limits::LETTERS_RETRY_TIME, &remembered),
        }
        .into_iter();
        let mut goes_on = true;
        let outcome = |known: Option<Outcome>| match known.map_or_else(|| Err(ends.next()), Ok) {
            Ok(known) => known,
            Err(Some(RetryEnd::Durable(mark))) => Ok(mark.outcome),
            Err(Some(RetryEnd::Skipped(why))) => Err(why),
            Err(Some(RetryEnd::UnderWay)) => {
                goes_on = false;
                Err("its outcome is not durable yet: once the job goes on, \
                     `dead-letters show` says what became of it"
                    .to_owned())
            }
            Err(Some(RetryEnd::NotTaken) | None) => {
                goes_on = false;
                Err(NOT_TAKEN.to_owned())
            }
        };
        let outcomes = outcomes.into_iter().map(outcome).collect();
        (outcomes, goes_on)
    }

    fn drop_all(
        &self,
        job: &Job,
        topic: &str,
        letters: Vec<Result<StoredLetter, String>>,
    ) -> Result<Vec<Outcome>, Refusal> {
        let version = job.state().record.active().version;
        let mark = |letter: &StoredLetter| MarkedLetter {
            place: place(topic, (letter.partition, letter.offset)),
            mark: LetterMark {
                sent_ms: letter.at_ms,
                at_ms: clock::now_ms(),
                version,
                batch: 0,
                outcome: LetterOutcome::Dropped,
            },
        };
        let marked: Vec<_> = letters.iter().flatten().map(mark).collect();
        let written = self.letter_marks.mark(&job.name, &marked);
        written.map_err(|error| unavailable(&error))?;
        let outcome = |letter: Result<_, _>| letter.map(|_| LetterOutcome::Dropped);
        Ok(letters.into_iter().map(outcome).collect())
    }

    /// Whether so many letters more can be remembered; those that the topic has no more are
    /// forgotten for it.
    fn make_room(&self, job: &str, topic: &str, places: &[LetterId]) -> Result<(), Refusal> {
        let most = limits::LETTER_MARKS_MAX;
        let fits = || {
            let count = self.letter_marks.count(job, most);
            count.map(|count| count + places.len() <= most)
        };
        if fits().map_err(|error| unavailable(&error))? {
            return Ok(());
        }
        let read = self.read_letters(job, &LetterPositions::new(), 1)?;
        let forgotten = self.letter_marks.forget_below(job, topic, &read.first);
        if forgotten
            .and_then(|()| fits())
            .map_err(|error| unavailable(&error))?
        {
            return Ok(());
        }
        Err(Refusal::Conflict(format!(
            "the host remembers what became of {most} dead letters of job `{job}`, and no more \
             (LETTER_MARKS_MAX): have topic `{topic}` keep its letters for a shorter time \
             (`retention.ms`), as those that it has no more are forgotten"
        )))
    }

    fn letter_topic(&self, job: &str) -> Result<String, Refusal> {
        let job = self.known(job)?;
        let state = job.state();
        let usual = || format!("{}.dead-letters", job.name);
        let set = state.record.active().settings.get("dead-letters");
        Ok(set.map_or_else(usual, |topic| topic.trim().to_owned()))
    }
}

fn place(topic: &str, (partition, offset): LetterId) -> LetterPlace {
    LetterPlace {
        topic: topic.to_owned(),
        partition,
        offset,
    }
}

/// Letters are retried by a job that runs.
fn runs(job: &Job) -> Result<(), Refusal> {
    let state = job.state();
    let (name, is_paused) = (&job.name, state.record.paused);
    if state.runs() && !is_paused {
        return Ok(());
    }
    let what = match is_paused {
        true => "is paused",
        false => "does not run",
    };
    Err(Refusal::Conflict(format!(
        "job `{name}` {what}, and letters are retried by a job that runs: \
         `streamhost resume {name}`, then ask again"
    )))
}

/// Whether a letter may be retried or dropped, given what is remembered of it.
fn may_change(
    letter: &StoredLetter,
    mark: Option<&LetterMark>,
    ask: LettersAsk,
) -> Result<(), String> {
    let at = |mark: &LetterMark| clock::rfc3339(mark.at_ms);
    match (mark, ask) {
        (Some(mark), _) if mark.outcome == LetterOutcome::Dropped => {
            return Err(format!("it was dropped at {}", at(mark)));
        }
        (Some(mark), LettersAsk::Retry { again: false }) => {
            return Err(format!(
                "it was retried at {}: `again` does it once more",
                at(mark)
            ));
        }
        _ => {}
    }
    if ask == LettersAsk::Drop {
        return Ok(());
    }
    if letter.header("left-out").is_some() {
        return Err("its record was too large for the topic and is not in the letter".to_owned());
    }
    if letter.origin().is_none() {
        let of = |name: &str| letter.header(name).unwrap_or_default();
        return Err(match letter.header("sink") {
            Some(sink) => format!("it is a row for sink `{sink}`, and comes from many records"),
            None => format!(
                "it is of keyed stage `{}`, and comes from many records",
                of("stage")
            ),
        });
    }
    Ok(())
}

fn record_of(topic: &str, letter: StoredLetter, again: bool) -> Result<LetterRetry, String> {
    let time = letter.header("time").and_then(|text| text.parse().ok());
    let (source, partition, offset) = letter.origin().ok_or("it has no record")?;
    Ok(LetterRetry {
        place: place(topic, (letter.partition, letter.offset)),
        sent_ms: letter.at_ms,
        topic: source.to_owned(),
        partition,
        offset,
        time_ms: time.unwrap_or(letter.at_ms),
        headers: letter.record_headers().to_vec(),
        key: letter.key,
        value: letter.value,
        again,
    })
}

/// The job's log says who asked for what.
fn said(job: &Job, ask: LettersAsk, ends: &BTreeMap<LetterId, Outcome>) {
    let done = ends.values().filter(|end| end.is_ok()).count();
    let skipped = ends.len() - done;
    let what = match ask {
        LettersAsk::Retry { .. } => "retried",
        LettersAsk::Drop => "dropped",
    };
    let text = format!("dead letters: {done} {what}, {skipped} skipped, as the user asked");
    job.say(Level::INFO, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(headers: &[(&str, &str)]) -> StoredLetter {
        let bytes =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        StoredLetter {
            headers: headers.iter().map(bytes).collect(),
            ..StoredLetter::default()
        }
    }

    #[test]
    fn a_letter_that_cannot_be_retried_says_why() {
        let place = [
            ("topic", "t"),
            ("partition", "1"),
            ("offset", "7"),
            ("time", "5"),
        ];
        let mark = |outcome| LetterMark {
            sent_ms: 0,
            at_ms: 0,
            version: 1,
            batch: 1,
            outcome,
        };
        let retried = mark(LetterOutcome::Delivered { rows: 1 });
        let dropped = mark(LetterOutcome::Dropped);
        let (once, again) = (
            LettersAsk::Retry { again: false },
            LettersAsk::Retry { again: true },
        );
        let plain = letter(&place);
        let left_out = letter(&[&place[..], &[("left-out", "99")]].concat());
        let keyed = letter(&[("stage", "sums")]);
        let cases = [
            (&plain, None, once, None),
            (&plain, Some(&retried), once, Some("it was retried at 1970")),
            (&plain, Some(&retried), again, None),
            (
                &plain,
                Some(&dropped),
                again,
                Some("it was dropped at 1970"),
            ),
            (
                &plain,
                Some(&dropped),
                LettersAsk::Drop,
                Some("it was dropped"),
            ),
            (&plain, Some(&retried), LettersAsk::Drop, None),
            (&left_out, None, once, Some("too large for the topic")),
            (&left_out, None, LettersAsk::Drop, None),
            (&keyed, None, once, Some("keyed stage `sums`")),
            (&keyed, None, LettersAsk::Drop, None),
        ];
        for (letter, mark, ask, want) in cases {
            match (may_change(letter, mark, ask), want) {
                (Ok(()), None) => {}
                (Err(why), Some(words)) if why.contains(words) => {}
                (said, want) => panic!("{letter:?} {mark:?} {ask:?}: {said:?}, not {want:?}"),
            }
        }
        let record = record_of("d", plain, false).unwrap();
        assert_eq!((record.topic.as_str(), record.partition), ("t", 1));
        assert_eq!((record.offset, record.time_ms), (7, 5));
        assert_eq!(record.place, super::place("d", (0, 0)));
    }
}
