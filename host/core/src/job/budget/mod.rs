//! How much of what a version may have: its error budgets, as `--set` says them. [`watch`] holds
//! against them what a version has. Pure.

use crate::limits;
use std::fmt;
use std::time::Duration;

pub mod watch;
mod window;

/// The most that a version may have of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// Dead letters, in millionths of the records.
    LetterShare(u64),
    /// Dead letters.
    Letters(u64),
    /// How old a record may be when all sinks have it, but for one in a hundred.
    Latency(Duration),
    /// Thousandths of a core.
    Cpu(u64),
}

/// So much over a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub most: Most,
    /// Over which time, up to now.
    pub over: Duration,
}

/// The budget for dead letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LetterBudget {
    /// What a version on probation has where nothing is said.
    #[default]
    Usual,
    /// There is none.
    None,
    /// As the user said.
    Own(Budget),
}

/// What is done about a version that is over its budget and is not rolled back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// The job goes on, and says so.
    #[default]
    GoOn,
    /// The job stops.
    Stop,
}

/// A deployment's budgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// For dead letters.
    pub dead_letters: LetterBudget,
    /// For the age of records.
    pub latency: Option<Budget>,
    /// For the processor.
    pub cpu: Option<Budget>,
    /// What is done where the version is not rolled back.
    pub beyond: Beyond,
    /// For how long it is on probation, if that is said; zero: not at all.
    pub probation: Option<Duration>,
}

impl Budgets {
    /// All of them, and whether each is the usual one.
    pub fn all(&self) -> Vec<(Budget, bool)> {
        let letters = match self.dead_letters {
            LetterBudget::Usual => Some((usual_letters(), true)),
            LetterBudget::None => None,
            LetterBudget::Own(budget) => Some((budget, false)),
        };
        let others = [self.latency, self.cpu].into_iter().flatten();
        letters
            .into_iter()
            .chain(others.map(|budget| (budget, false)))
            .collect()
    }

    /// The most that a record may be old.
    pub fn latency_max(&self) -> Option<Duration> {
        match self.latency?.most {
            Most::Latency(most) => Some(most),
            _ => None,
        }
    }
}

/// What a version on probation may have of dead letters where nothing is said.
fn usual_letters() -> Budget {
    Budget {
        most: Most::LetterShare(limits::BUDGET_LETTERS_MILLIONTHS),
        over: limits::BUDGET_LETTERS_TIME,
    }
}

impl Budget {
    /// The setting that says it.
    pub fn key(&self) -> &'static str {
        match self.most {
            Most::LetterShare(_) | Most::Letters(_) => "max-dead-letters",
            Most::Latency(_) => "max-latency",
            Most::Cpu(_) => "max-cpu",
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Most::LetterShare(millionths) => write!(f, "{}%", millionths as f64 / 10_000.0),
            Most::Letters(letters) => write!(f, "{letters}"),
            Most::Latency(age) => write!(f, "{}", humantime::format_duration(age)),
            Most::Cpu(thousandths) => write!(f, "{}", thousandths as f64 / 1000.0),
        }?;
        write!(f, " over {}", humantime::format_duration(self.over))
    }
}

/// The value of `max-dead-letters`: `1% over 1m`, `100 over 1m`, or `none`.
pub(super) fn letters(value: &str) -> Result<LetterBudget, String> {
    const FORM: &str = "it is a share of the records or a number of dead letters, over a time, such as `1% over 1m` or `100 over 1m`; or `none`";
    if value == "none" {
        return Ok(LetterBudget::None);
    }
    let (most, over) = over_time(value, FORM)?;
    let most = match most.strip_suffix('%') {
        Some(percent) => {
            let millionths = decimal(percent.trim(), 4).filter(|share| *share < 1_000_000);
            Most::LetterShare(millionths.ok_or(
                "a share is from 0% to below 100%, with four digits after the point at most",
            )?)
        }
        None => Most::Letters(most.parse().map_err(|_| FORM)?),
    };
    Ok(LetterBudget::Own(Budget { most, over }))
}

/// The value of `max-latency`: `5s over 1m`.
pub(super) fn latency(value: &str) -> Result<Budget, String> {
    const FORM: &str = "it is an age and a time that it is looked at, such as `5s over 1m`";
    let (most, over) = over_time(value, FORM)?;
    let age = humantime::parse_duration(most).map_err(|_| FORM)?;
    if age.is_zero() || age > Duration::from_millis(limits::LATENCY_MS_MAX) {
        return Err("the age is from 1ms to 1day".to_owned());
    }
    let most = Most::Latency(age);
    Ok(Budget { most, over })
}

/// The value of `max-cpu`: `1.5 over 1m`.
pub(super) fn cpu(value: &str) -> Result<Budget, String> {
    const FORM: &str = "it is a number of cores and a time, such as `1.5 over 1m`";
    let (most, over) = over_time(value, FORM)?;
    let thousandths = decimal(most, 3).ok_or(FORM)?;
    let range = 1..=1000 * limits::BUDGET_CORES_MAX;
    if !range.contains(&thousandths) {
        let most = limits::BUDGET_CORES_MAX;
        return Err(format!("the number of cores is from 0.001 to {most}"));
    }
    let most = Most::Cpu(thousandths);
    Ok(Budget { most, over })
}

/// The value of `over-budget`.
pub(super) fn beyond(value: &str) -> Result<Beyond, String> {
    match value {
        "go-on" => Ok(Beyond::GoOn),
        "stop" => Ok(Beyond::Stop),
        _ => Err("it is one of go-on, stop".to_owned()),
    }
}

/// What stands before `over`, and the time after it.
fn over_time<'v>(value: &'v str, form: &str) -> Result<(&'v str, Duration), String> {
    let (most, time) = value.split_once(" over ").ok_or(form)?;
    let time = time.trim();
    let over = humantime::parse_duration(time)
        .map_err(|_| format!("`{time}` is no time: it is a number and a unit, such as `1m`"))?;
    let (least, longest) = limits::BUDGET_TIME;
    if over < least || over > longest {
        let of = humantime::format_duration;
        return Err(format!(
            "the time after `over` is from {} to {}",
            of(least),
            of(longest)
        ));
    }
    Ok((most.trim(), over))
}

/// A number with so many digits after its point at most, times ten for each of them.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > digits || !is_number(whole) || !is_number(part) {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_as_it_is_shown_and_refused_in_words() {
        let own = |value: &str| match letters(value)? {
            LetterBudget::Own(budget) => Ok(budget),
            other => Err(format!("{other:?}")),
        };
        type Read<'r> = &'r dyn Fn(&str) -> Result<Budget, String>;
        let cases: [(Read<'_>, &str, Result<&str, &str>); 18] = [
            (&own, "1% over 1m", Ok("1% over 1m")),
            (&own, "0.25 %  over  60s", Ok("0.25% over 1m")),
            (&own, "0% over 1h", Ok("0% over 1h")),
            (&own, "100 over 90s", Ok("100 over 1m 30s")),
            (&own, "none", Err("None")),
            (&own, "1%", Err("such as `1% over 1m`")),
            (&own, "100% over 1m", Err("below 100%")),
            (&own, "1.23456% over 1m", Err("four digits")),
            (&own, "-1 over 1m", Err("such as `1% over 1m`")),
            (&own, "1% over 1", Err("`1` is no time")),
            (&own, "1% over 2h", Err("from 1s to 1h")),
            (&latency, "5s over 1m", Ok("5s over 1m")),
            (&latency, "5 over 1m", Err("such as `5s over 1m`")),
            (&latency, "2days over 1m", Err("from 1ms to 1day")),
            (&cpu, "1.5 over 1m", Ok("1.5 over 1m")),
            (&cpu, "0 over 1m", Err("from 0.001 to 1024")),
            (&cpu, "150% over 1m", Err("a number of cores")),
            (
                &cpu,
                "99999999999999999999 over 1m",
                Err("a number of cores"),
            ),
        ];
        for (read, value, want) in cases {
            match (read(value), want) {
                (Ok(budget), Ok(want)) => assert_eq!(budget.to_string(), want, "{value}"),
                (Err(why), Err(want)) => assert!(why.contains(want), "{value}: {why}"),
                (got, want) => panic!("{value}: {got:?}, not {want:?}"),
            }
        }
    }
}
