//! The gaming sessions of players, with their length and score: a session ends when its player
//! pauses for half an hour.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;
use streamhost::{Group, Job, Record, Row, Time, hbase, job, kafka, minutes, session};

/// A longer pause ends a session.
const GAP: Duration = minutes(30);

/// A round that was played; other fields may be there.
#[derive(Deserialize)]
struct Play<'a> {
    /// Borrowed, but for text that JSON escapes, as in `Zo\u00eb`.
    #[serde(borrow)]
    player: Cow<'a, str>,
    /// Milliseconds since 1970.
    time: i64,
    points: u32,
}

impl<'a> Play<'a> {
    fn parse(record: Record<'a>) -> Result<Self, String> {
        let play: Play<'a> = record.json()?;
        match &*play.player {
            "" => Err("the player has no name".into()),
            name if name.contains('#') => Err(format!(
                "the player `{name}` has a `#`, which ends it in the row's key"
            )),
            _ => Ok(play),
        }
    }
}

/// What was played in a session.
#[derive(Default, Serialize, Deserialize)]
struct Score {
    plays: u64,
    points: u64,
}

impl Score {
    fn add(&mut self, play: Play<'_>) {
        self.merge(Score {
            plays: 1,
            points: play.points.into(),
        });
    }

    fn merge(&mut self, other: Score) {
        self.plays += other.plays;
        self.points += other.points;
    }
}

/// A session that is over.
#[derive(Row)]
#[row(separator = "#")]
struct Session<'a> {
    #[row(key)]
    player: Cow<'a, str>,
    #[row(key)]
    from: Time,
    #[row("session:until")]
    until: Time,
    #[row("session:length_ms")]
    length_ms: i64,
    #[row("session:plays")]
    plays: u64,
    #[row("session:score")]
    score: u64,
}

impl<'a> Session<'a> {
    fn of(group: Group<Cow<'a, str>, Score>) -> Self {
        let (from, score) = (group.window.start, group.value);
        // The window ends with the pause.
        let until = Time(group.window.end.0 - GAP.as_millis() as i64);
        let length_ms = until.0 - from.0;
        Session {
            player: group.key,
            from,
            until,
            length_ms,
            plays: score.plays,
            score: score.points,
        }
    }
}

/// A row for each session, once no play can come that would prolong it.
#[job]
pub fn sessions() -> Job {
    kafka("plays")
        .try_map(Play::parse)
        .timed_by(|play| Time(play.time))
        .key_by(|play| play.player.clone())
        .window(session(GAP))
        .fold(Score::default, Score::add, Score::merge)
        .map(Session::of)
        .to(hbase("sessions"))
}
