//! What the proxy is told, as text.

use super::faults::{Fault, Way};
use anyhow::{Context, Result, bail, ensure};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A fault for requests to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shot {
    /// What happens to the request.
    pub(super) fault: Fault,
    /// How many requests it happens to.
    pub(super) times: u32,
    /// Only to requests of so many bytes.
    pub(super) bytes: RangeInclusive<usize>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Pass,
    Delay(Vec<Way>, Duration),
    /// Bytes a second.
    Throttle(Vec<Way>, Option<u64>),
    Hold(Vec<Way>),
    Release,
    Shoot(Shot),
    Close,
    Reset,
    Refuse,
    /// Seed, and how many of a hundred requests.
    Random(u64, u64),
    Status,
    Events,
}

/// Reads a command. Errors with what is not understood.
pub(super) fn parse(text: &str) -> Result<Command> {
    let mut words = Words {
        text,
        words: text.split_whitespace().collect(),
    };
    let name = words.next().unwrap_or_default();
    let command = match name {
        "pass" => Command::Pass,
        "delay" => {
            let late = Duration::from_millis(words.number("milliseconds")?);
            Command::Delay(words.ways(), late)
        }
        "throttle" => {
            let rate = words.number("bytes a second")?;
            Command::Throttle(words.ways(), Some(rate).filter(|rate| *rate > 0))
        }
        "hold" => Command::Hold(words.ways()),
        "release" => Command::Release,
        "hold-next" => Command::Shoot(words.shot(Fault::Hold)?),
        "drop-answer" => Command::Shoot(words.shot(Fault::DropAnswer)?),
        "cut" => {
            let bytes = usize::try_from(words.number("bytes")?)?;
            let ways = words.ways();
            let way = if ways.len() == 1 { ways[0] } else { Way::Up };
            Command::Shoot(words.shot(Fault::Cut(way, bytes))?)
        }
        "close" => Command::Close,
        "reset" => Command::Reset,
        "refuse" => Command::Refuse,
        "random" => {
            let (seed, percent) = (words.number("a seed")?, words.number("a percentage")?);
            ensure!(percent <= 100, "`{text}`: a percentage is 100 at most");
            Command::Random(seed, percent)
        }
        "status" => Command::Status,
        "events" => Command::Events,
        _ => bail!("`{text}` is no command; the documentation of fault_proxy lists them"),
    };
    ensure!(
        words.words.is_empty(),
        "`{text}`: `{}` is not understood there",
        words.words.join(" ")
    );
    Ok(command)
}

struct Words<'t> {
    text: &'t str,
    words: Vec<&'t str>,
}

impl<'t> Words<'t> {
    fn next(&mut self) -> Option<&'t str> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    fn number(&mut self, what: &str) -> Result<u64> {
        let text = self.text;
        let word = self
            .next()
            .with_context(|| format!("`{text}` lacks {what}"))?;
        word.parse()
            .with_context(|| format!("`{text}`: `{word}` is not {what}"))
    }

    /// The way that is named next, or both.
    fn ways(&mut self) -> Vec<Way> {
        let named = match self.words.first() {
            Some(&"up") => vec![Way::Up],
            Some(&"down") => vec![Way::Down],
            _ => return vec![Way::Up, Way::Down],
        };
        self.words.remove(0);
        named
    }

    /// `[TIMES] [min=BYTES] [max=BYTES]`.
    fn shot(&mut self, fault: Fault) -> Result<Shot> {
        let mut shot = Shot {
            fault,
            times: 1,
            bytes: 1..=usize::MAX,
        };
        if self.words.first().is_some_and(|word| !word.contains('=')) {
            shot.times = u32::try_from(self.number("a number of times")?)?;
            ensure!(shot.times > 0, "`{}`: the times are above 0", self.text);
        }
        let least = self.bytes("min=")?.unwrap_or(1);
        let most = self.bytes("max=")?.unwrap_or(usize::MAX);
        shot.bytes = least..=most;
        Ok(shot)
    }

    /// The bytes of the next word, if it is this one.
    fn bytes(&mut self, name: &str) -> Result<Option<usize>> {
        let first = self.words.first();
        let Some(bytes) = first.and_then(|word| word.strip_prefix(name)) else {
            return Ok(None);
        };
        let bytes = bytes
            .parse()
            .with_context(|| format!("`{}`: {name} wants bytes", self.text))?;
        self.words.remove(0);
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shot(fault: Fault, times: u32, min_bytes: usize) -> Command {
        Command::Shoot(Shot {
            fault,
            times,
            bytes: min_bytes..=usize::MAX,
        })
    }

    #[test]
    fn commands_are_read() {
        let both = vec![Way::Up, Way::Down];
        let cases = [
            ("pass", Command::Pass),
            (
                "delay 20",
                Command::Delay(both.clone(), Duration::from_millis(20)),
            ),
            (
                "delay 0 down",
                Command::Delay(vec![Way::Down], Duration::ZERO),
            ),
            (
                "throttle 1000 up",
                Command::Throttle(vec![Way::Up], Some(1000)),
            ),
            ("throttle 0", Command::Throttle(both.clone(), None)),
            ("hold", Command::Hold(both)),
            ("hold down", Command::Hold(vec![Way::Down])),
            ("hold-next", shot(Fault::Hold, 1, 1)),
            ("drop-answer 3 min=500", shot(Fault::DropAnswer, 3, 500)),
            ("drop-answer min=500", shot(Fault::DropAnswer, 1, 500)),
            (
                "drop-answer max=11",
                Command::Shoot(Shot {
                    fault: Fault::DropAnswer,
                    times: 1,
                    bytes: 1..=11,
                }),
            ),
            ("cut 10", shot(Fault::Cut(Way::Up, 10), 1, 1)),
            ("cut 10 down 2", shot(Fault::Cut(Way::Down, 10), 2, 1)),
            ("  random 42 5 ", Command::Random(42, 5)),
            ("refuse", Command::Refuse),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let cases = [
            ("", "is no command"),
            ("dely 3", "`dely 3` is no command"),
            ("delay", "lacks milliseconds"),
            ("delay soon", "`soon` is not milliseconds"),
            ("hold left", "`left` is not understood there"),
            ("drop-answer 0", "times are above 0"),
            ("drop-answer min=all", "min= wants bytes"),
            ("random 1 101", "100 at most"),
        ];
        for (text, wanted) in cases {
            let said = format!("{:#}", parse(text).unwrap_err());
            assert!(said.contains(wanted), "{text}: {said}");
        }
    }
}
