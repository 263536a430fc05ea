//! Holds a version's budgets against what it has. Told after each durable batch, it says when the
//! version goes over one of them, and when it is back within it. The time is its caller's.

pub use super::window::Sums;
use super::window::Window;
use super::{Beyond, Budget, Budgets, Most};
use crate::limits;
use std::time::Duration;

/// Whose batch it was that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The deployment that the batch names.
    pub deployment: u64,
    /// Its budgets.
    pub budgets: Budgets,
}

/// A version went over a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverBudget {
    /// Its deployment.
    pub deployment: u64,
    /// The setting that says the budget.
    pub budget: &'static str,
    /// The budget is what a version on probation has where nothing is said.
    pub is_usual: bool,
    /// In words.
    pub reason: String,
    /// The version that ran before was over the same: going back to it would not help.
    pub as_before: bool,
    /// What its user wants done where it is not rolled back.
    pub beyond: Beyond,
}

/// What has changed with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetChange {
    /// It went over a budget. Told once in the budget's time.
    Over(OverBudget),
    /// It is within a budget again that its user gave it: in words.
    Within(String),
}

/// A budget, and what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// The setting that says it.
    pub budget: &'static str,
    /// How much it is.
    pub most: String,
    /// It is what a version on probation has where nothing is said.
    pub is_usual: bool,
    /// What was used of it, in words.
    pub used: String,
    /// It is more than there is.
    pub is_over: bool,
}

/// What is held against the budgets of a job's versions, one after the other.
#[derive(Clone, Debug, Default)]
pub struct BudgetWatch {
    of: Option<Watching>,
}

/// The version whose batches came last.
#[derive(Clone, Debug)]
struct Watching {
    watched: Watched,
    /// When its first batch was told.
    began_ms: i64,
    gauges: Vec<Gauge>,
    /// For whatever comes after it.
    letters: Window,
    before: Before,
}

/// What the version before had when it ran last.
#[derive(Clone, Debug, Default)]
struct Before {
    /// Dead letters in millionths of its records, if it had enough of these.
    letter_share: Option<u64>,
    /// The budgets that it was over.
    over: Vec<Budget>,
}

#[derive(Clone, Debug)]
struct Gauge {
    budget: Budget,
    is_usual: bool,
    window: Window,
    /// When it was told that the version is over it.
    told_ms: Option<i64>,
}

impl BudgetWatch {
    /// Takes what a durable batch of this version brought. `all`: records and dead letters of the
    /// whole job up to now. Times never fall.
    pub fn take(
        &mut self,
        watched: Watched,
        at_ms: i64,
        batch: Sums,
        all: (u64, u64),
    ) -> Vec<BudgetChange> {
        let is_it = |of: &Watching| of.watched.deployment == watched.deployment;
        let of = match self.of.take_if(|of| is_it(of)) {
            Some(of) => of,
            None => {
                let (records, letters) = all;
                let job = Sums {
                    records: records.saturating_sub(batch.records),
                    letters: letters.saturating_sub(batch.letters),
                    ..Sums::default()
                };
                Watching::begin(watched, at_ms, Before::of(self.of.take(), job))
            }
        };
        self.of.insert(of).add(at_ms, batch)
    }

    /// What this deployment has of its budgets now.
    pub fn uses(&self, watched: Watched, now_ms: i64) -> Vec<BudgetUse> {
        let is_it = |of: &&Watching| of.watched.deployment == watched.deployment;
        match self.of.as_ref().filter(is_it) {
            Some(of) => of.uses(now_ms),
            None => Watching::begin(watched, now_ms, Before::default()).uses(now_ms),
        }
    }
}

impl Before {
    /// `job`: what the job had before, where nobody has watched its version, as the host was
    /// started since, or not for long enough.
    fn of(watching: Option<Watching>, job: Sums) -> Self {
        let Some(of) = watching else {
            return Before {
                letter_share: job.letter_share(),
                ..Before::default()
            };
        };
        let is_over = |gauge: &&Gauge| gauge.told_ms.is_some();
        Before {
            letter_share: of.letters.last().letter_share().or(job.letter_share()),
            over: of.gauges.iter().filter(is_over).map(|g| g.budget).collect(),
        }
    }

    /// Whether it was over this budget.
    fn was_over(&self, budget: &Budget) -> bool {
        let had_more = match budget.most {
            Most::LetterShare(most) => self.letter_share.is_some_and(|share| share > most),
            Most::Letters(_) | Most::Latency(_) | Most::Cpu(_) => false,
        };
        had_more || self.over.contains(budget)
    }
}

impl Watching {
    fn begin(watched: Watched, began_ms: i64, before: Before) -> Self {
        let gauge = |(budget, is_usual): (Budget, bool)| Gauge {
            budget,
            is_usual,
            window: Window::new(budget.over),
            told_ms: None,
        };
        Watching {
            watched,
            began_ms,
            gauges: watched.budgets.all().into_iter().map(gauge).collect(),
            letters: Window::new(limits::BUDGET_LETTERS_TIME),
            before,
        }
    }

    fn add(&mut self, at_ms: i64, batch: Sums) -> Vec<BudgetChange> {
        self.letters.add(at_ms, batch);
        let mut changes = Vec::new();
        for gauge in &mut self.gauges {
            gauge.window.add(at_ms, batch);
            let (used, is_over) = gauge.used(self.began_ms, at_ms, &self.before);
            match (is_over, gauge.told_ms) {
                (true, None) => {
                    gauge.told_ms = Some(at_ms);
                    changes.push(BudgetChange::Over(OverBudget {
                        deployment: self.watched.deployment,
                        budget: gauge.budget.key(),
                        is_usual: gauge.is_usual,
                        reason: gauge.reason(&used, &self.before),
                        as_before: !gauge.is_usual && self.before.was_over(&gauge.budget),
                        beyond: self.watched.budgets.beyond,
                    }));
                }
                // Or a job at the edge would say so with each batch.
                (false, Some(told_ms)) if at_ms - told_ms >= gauge.window.over_ms() => {
                    gauge.told_ms = None;
                    if !gauge.is_usual {
                        let (key, budget) = (gauge.budget.key(), gauge.budget);
                        let text = format!("within its budget {key} `{budget}` again: {used}");
                        changes.push(BudgetChange::Within(text));
                    }
                }
                _ => {}
            }
        }
        changes
    }

    fn uses(&self, now_ms: i64) -> Vec<BudgetUse> {
        let gauges = self.gauges.iter();
        let shown = gauges.map(|gauge| {
            let (used, is_over) = gauge.used(self.began_ms, now_ms, &self.before);
            BudgetUse {
                budget: gauge.budget.key(),
                most: gauge.budget.to_string(),
                is_usual: gauge.is_usual,
                used,
                is_over,
            }
        });
        shown.collect()
    }
}

impl Gauge {
    /// What there was of it up to now, in words, and whether it is too much.
    fn used(&self, began_ms: i64, now_ms: i64, before: &Before) -> (String, bool) {
        let sums = self.window.sums(now_ms);
        let (over_ms, ran_ms) = (self.window.over_ms(), (now_ms - began_ms).max(0));
        // An age or a processor's use of a moment says little: the whole time must have been seen.
        let is_whole = ran_ms >= over_ms;
        let time = words(ran_ms.clamp(1000, over_ms));
        let Sums {
            records,
            letters,
            aged,
            late,
            cpu,
        } = sums;
        match self.budget.most {
            Most::LetterShare(most) => {
                let most = match self.is_usual {
                    true => before.usual_most(most),
                    false => Some(most),
                };
                let is_over = most.zip(sums.letter_share());
                let used = format!(
                    "{letters} dead letters of {records} records ({}) in {time}",
                    percent(letters, records)
                );
                (used, is_over.is_some_and(|(most, share)| share > most))
            }
            Most::Letters(most) => (format!("{letters} dead letters in {time}"), letters > most),
            Most::Latency(age) => {
                let age = humantime::format_duration(age);
                let used = format!(
                    "{late} of {aged} records ({}) older than {age} in {time}",
                    percent(late, aged)
                );
                let has_enough = is_whole && aged >= limits::BUDGET_RECORDS_MIN;
                let most = aged * limits::BUDGET_LATE_PERCENT / 100;
                (used, has_enough && late > most)
            }
            Most::Cpu(most) => {
                let over_ms = u128::try_from(over_ms.min(ran_ms).max(1000)).unwrap_or(1);
                let thousandths = cpu.as_micros() / over_ms;
                let used = format!("{:.2} cores in {time}", thousandths as f64 / 1000.0);
                (used, is_whole && thousandths > u128::from(most))
            }
        }
    }

    fn reason(&self, used: &str, before: &Before) -> String {
        let (key, budget) = (self.budget.key(), self.budget);
        match (self.is_usual, before.letter_share) {
            (true, Some(share)) => format!(
                "over the usual {key} `{budget}`: {used}; the version before had {}",
                percent(share, 1_000_000)
            ),
            _ => format!("over its budget {key} `{budget}`: {used}"),
        }
    }
}

impl Before {
    /// What the usual budget for dead letters comes to after it; none: nothing is known of before,
    /// and a job whose input was always bad is not to be held up.
    fn usual_most(&self, least: u64) -> Option<u64> {
        let share = self.letter_share?;
        Some(least.max(share.saturating_mul(limits::BUDGET_LETTERS_TIMES)))
    }
}

fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", part as f64 * 100.0 / of.max(1) as f64)
}

fn words(ms: i64) -> String {
    let seconds = u64::try_from(ms / 1000).unwrap_or(0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
