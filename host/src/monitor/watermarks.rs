//! Where event time is, partition by partition, and what holds it back.

use super::history::History;
use crate::api::JobFacts;
use serde::Serialize;
use streamhost_core::clock;
use streamhost_core::types::{END_OF_TIME_MS, NO_TIME_MS, Offset};
use utoipa::ToSchema;

/// Partitions that lie closer together than this are together.
const TOGETHER_MS: i64 = 1000;

/// Where event time is.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Watermarks {
    watermark: Option<String>,
    idle_after_ms: u64,
    explanation: Option<String>,
    partitions: Vec<PartitionTime>,
}

/// One partition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct PartitionTime {
    source: String,
    partition: i32,
    event_time: Option<String>,
    idle: bool,
    last_record_at: Option<String>,
    committed: Offset,
    end: Option<Offset>,
    lag: Option<u64>,
    holds_back: bool,
    #[serde(skip)]
    event_ms: Option<i64>,
    #[serde(skip)]
    timed: bool,
}

impl Watermarks {
    pub(super) fn of(facts: &JobFacts, history: &History) -> Watermarks {
        let Some(spec) = &facts.spec else {
            return Watermarks::default();
        };
        let (snapshot, times) = (&facts.snapshot, &facts.snapshot.times);
        let is_timed = spec.sources.iter().any(|source| source.timed);
        let watermark_ms = times.watermark_ms;
        let known = is_timed && watermark_ms > NO_TIME_MS && watermark_ms < END_OF_TIME_MS;
        let idle = facts.settings.as_ref().map(|settings| settings.idle);
        let mut partitions = Vec::new();
        for source in &spec.sources {
            let of_topic = snapshot.committed.get(&source.target);
            for (&id, &committed) in of_topic.into_iter().flatten() {
                let event_ms = times
                    .event_ms
                    .get(&source.target)
                    .and_then(|all| all.get(&id));
                let event_ms = event_ms.copied().filter(|_| source.timed);
                let end = snapshot
                    .ends
                    .get(&source.target)
                    .and_then(|all| all.get(&id));
                let moved_ms = history.moved_ms(&source.target, id);
                // The watermark passes none but those that are not waited for.
                let passed = source.timed && watermark_ms > event_ms.unwrap_or(NO_TIME_MS);
                partitions.push(PartitionTime {
                    source: source.name.clone(),
                    partition: id,
                    event_time: event_ms.map(clock::rfc3339),
                    idle: passed && watermark_ms < END_OF_TIME_MS,
                    last_record_at: moved_ms.map(clock::rfc3339),
                    committed,
                    end: end.copied(),
                    lag: end.map(|end| u64::try_from(end - committed).unwrap_or(0)),
                    holds_back: false,
                    event_ms,
                    timed: source.timed,
                });
            }
        }
        let apart_ms = i64::try_from(facts.status.every_ms).unwrap_or(i64::MAX);
        let explanation = explain(&mut partitions, apart_ms.max(TOGETHER_MS));
        Watermarks {
            watermark: known.then(|| clock::rfc3339(watermark_ms)),
            idle_after_ms: idle.map_or(0, |idle| {
                u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)
            }),
            explanation,
            partitions,
        }
    }
}

/// Marks the partitions that hold the others back, and says so in words.
fn explain(partitions: &mut [PartitionTime], apart_ms: i64) -> Option<String> {
    let waited_for = |p: &&mut PartitionTime| p.timed && !p.idle;
    let mut timed: Vec<_> = partitions.iter_mut().filter(waited_for).collect();
    let least = timed.iter().map(|p| p.event_ms).min()?;
    let largest = timed.iter().filter_map(|p| p.event_ms).max()?;
    if least.is_some_and(|least| largest.saturating_sub(least) <= apart_ms) {
        return None;
    }
    let mut names = Vec::new();
    for partition in timed.iter_mut().filter(|p| p.event_ms == least) {
        partition.holds_back = true;
        names.push(format!("`{}/{}`", partition.source, partition.partition));
    }
    let more = names.len().saturating_sub(3);
    names.truncate(3);
    let names = names.join(", ");
    let others = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(match least {
        None => format!("No record has come of {names}{others} yet: windows wait for the first."),
        Some(least) => format!(
            "The newest record of {names}{others} is {} s behind that of the others: windows wait for it.",
            largest.saturating_sub(least) / 1000
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(id: i32, event_ms: Option<i64>, timed: bool, idle: bool) -> PartitionTime {
        PartitionTime {
            source: "s".to_owned(),
            partition: id,
            event_time: None,
            idle,
            last_record_at: None,
            committed: 0,
            end: None,
            lag: None,
            holds_back: false,
            event_ms,
            timed,
        }
    }

    /// Event times, whether they count and are idle; who holds back, and a part of the words.
    #[test]
    fn the_partition_that_is_behind_the_others_holds_windows_back() {
        type Case<'a> = (&'a [(Option<i64>, bool, bool)], &'a [i32], &'a str);
        let cases: [Case<'_>; 8] = [
            (&[], &[], ""),
            (&[(None, false, false)], &[], ""),
            (&[(None, true, false)], &[], ""),
            (
                &[(Some(5000), true, false), (Some(5900), true, false)],
                &[],
                "",
            ),
            (
                &[(Some(5000), true, false), (Some(9000), true, false)],
                &[0],
                "`s/0` is 4 s behind",
            ),
            (
                &[(Some(5000), true, true), (Some(9000), true, false)],
                &[],
                "",
            ),
            (
                &[(Some(5000), false, false), (Some(9000), true, false)],
                &[],
                "",
            ),
            (
                &[(Some(9000), true, false), (None, true, false)],
                &[1],
                "No record has come of `s/1`",
            ),
        ];
        for (all, holds, words) in cases {
            let numbered = (0..).zip(all);
            let mut partitions: Vec<_> = numbered
                .map(|(id, (event_ms, timed, idle))| partition(id, *event_ms, *timed, *idle))
                .collect();
            let said = explain(&mut partitions, 1000);
            let found = partitions.iter().filter(|p| p.holds_back);
            let found: Vec<i32> = found.map(|p| p.partition).collect();
            assert_eq!(found, holds, "{all:?}");
            assert_eq!(said.is_some(), !words.is_empty(), "{all:?}");
            assert!(said.unwrap_or_default().contains(words), "{all:?}");
        }
    }
}
