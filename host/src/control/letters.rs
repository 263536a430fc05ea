//! Dead letters: a page of them, and one in full.

use super::handlers::{Answer, call};
use super::openapi::{JobFaults, JobPath, RefusalFaults};
use super::reply::Fault;
use super::requests::{JobName, pairs, unknown};
use super::retry::{Marks, Retried, status};
use super::shown::Shown;
use super::{App, views};
use crate::api::Refusal;
use axum::Json;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use streamhost_connectors::kafka::letters::{LetterPositions, ReadLetters, StoredLetter};
use streamhost_core::protocol::LetterMark;
use streamhost_core::{clock, limits};
use utoipa::ToSchema;

/// Which letters are wanted.
#[derive(Default)]
struct Wanted {
    limit: usize,
    before: LetterPositions,
    stage: Option<String>,
    reason: Option<String>,
    status: Option<String>,
    since_ms: Option<i64>,
}

/// A page of letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub(super) struct Page {
    topic: String,
    letters: Vec<Letter>,
    next: Option<String>,
    scanned: usize,
    reasons: Vec<ReasonCount>,
    stages: Vec<StageCount>,
}

#[derive(Serialize, ToSchema)]
struct ReasonCount {
    reason: String,
    count: usize,
}

#[derive(Serialize, ToSchema)]
struct StageCount {
    stage: String,
    count: usize,
}

/// One letter.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(super) struct Letter {
    id: String,
    at: String,
    status: &'static str,
    version: u64,
    batch: u64,
    stage: Option<String>,
    sink: Option<String>,
    source: Option<Origin>,
    reason: String,
    key: Shown,
    value: Shown,
    retried: Option<Retried>,
}

#[derive(Serialize, ToSchema)]
struct Origin {
    topic: String,
    partition: i32,
    offset: i64,
    time: String,
}

/// One letter in full.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterInFull)]
pub(super) struct Full {
    #[serde(flatten)]
    letter: Letter,
    left_out: bool,
    headers: Vec<HeaderView>,
    record_headers: Vec<HeaderView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Header)]
struct HeaderView {
    name: String,
    value: Shown,
}

/// A page of dead letters, newest first.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/dead-letters",
    operation_id = "letters",
    params(
        JobPath,
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 200, description = "How many at most; 50."),
        ("before" = Option<String>, Query, description = "Where a page begins: `next` of the one before."),
        ("stage" = Option<String>, Query, description = "Of this stage alone."),
        ("reason" = Option<String>, Query, description = "A part of the reason."),
        ("status" = Option<String>, Query, description = "What became of it: `new`, `retried` or `dropped`."),
        ("since" = Option<String>, Query, description = "A time in RFC 3339, or a duration."),
    ),
    responses((status = 200, description = "They.", body = Page), JobFaults, RefusalFaults),
)]
pub(super) async fn page(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    RawQuery(query): RawQuery,
) -> Answer<Page> {
    let wanted = Wanted::read(query.as_deref())?;
    let topic = topic(&app, &job)?;
    let (below, most) = (wanted.before.clone(), limits::LETTERS_SCANNED_MAX);
    let read = call(&app, move |jobs| {
        let read = jobs.letters(&job, &below, most)?;
        let marks = Marks::of(jobs, &job, &read.letters)?;
        Ok::<_, Refusal>((read, marks))
    });
    let (read, marks) = read.await??;
    Ok(Json(wanted.page(topic, &read, &marks)))
}

/// One dead letter in full.
#[utoipa::path(
    get,
    path = "/v1/jobs/{job}/dead-letters/{id}",
    params(JobPath, ("id" = String, Path, description = "PARTITION-OFFSET in its topic.")),
    responses((status = 200, description = "It.", body = Full), JobFaults, RefusalFaults),
)]
pub(super) async fn letter(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    params: RawPathParams,
) -> Answer<Full> {
    let id = params.iter().find(|(name, _)| *name == "id");
    let id = id.map(|(_, id)| id.to_owned()).unwrap_or_default();
    let (partition, offset) = place(&id)
        .ok_or_else(|| Fault::bad(format!("`{id}` is no letter's id: it is PARTITION-OFFSET")))?;
    topic(&app, &job)?;
    let found = call(&app, move |jobs| {
        let found = jobs.letter(&job, partition, offset)?;
        let marks = Marks::of(jobs, &job, found.as_slice())?;
        Ok::<_, Refusal>((found, marks))
    });
    let (found, marks) = found.await??;
    let gone = || {
        let words = format!("there is no dead letter `{id}`: it may be older than its topic keeps");
        Fault::new(StatusCode::NOT_FOUND, words)
    };
    let found = found.ok_or_else(gone)?;
    let view = |(name, value): &(String, Option<Vec<u8>>)| HeaderView {
        name: name.clone(),
        value: Shown::of(value.as_deref(), limits::LETTER_BYTES_MAX),
    };
    Ok(Json(Full {
        letter: Letter::of(&found, marks.of_letter(&found), limits::LETTER_BYTES_MAX),
        left_out: found.header("left-out").is_some(),
        headers: found.headers.iter().map(view).collect(),
        record_headers: found.record_headers().iter().map(view).collect(),
    }))
}

fn topic(app: &App, job: &str) -> Result<String, Fault> {
    let topic = app.monitor.dead_letter_topic(job);
    topic.ok_or_else(|| views::no_job(job))
}

/// A letter's partition and offset.
pub(super) fn place(id: &str) -> Option<(i32, i64)> {
    let (partition, offset) = id.split_once('-')?;
    let place: (i32, i64) = (partition.parse().ok()?, offset.parse().ok()?);
    (place.0 >= 0 && place.1 >= 0).then_some(place)
}

impl Wanted {
    fn read(query: Option<&str>) -> Result<Wanted, Fault> {
        let mut wanted = Wanted {
            limit: 50,
            ..Wanted::default()
        };
        for (key, value) in pairs(query)? {
            match &*key {
                "limit" => {
                    let limit = value.parse::<usize>().ok().filter(|limit| *limit > 0);
                    let limit =
                        limit.ok_or_else(|| Fault::bad("`limit` must be a number above 0"))?;
                    wanted.limit = limit.min(limits::LETTERS_PAGE_MAX);
                }
                "before" => {
                    for id in value.split(',') {
                        let (partition, offset) = place(id).ok_or_else(|| {
                            Fault::bad(format!("`before={id}` is no letter: take it from `next`"))
                        })?;
                        wanted.before.insert(partition, offset);
                    }
                }
                "stage" => wanted.stage = Some(value),
                "reason" => wanted.reason = Some(value.to_lowercase()),
                "status" => match &*value {
                    "new" | "retried" | "dropped" => wanted.status = Some(value),
                    _ => return Err(Fault::bad("`status` is new, retried or dropped")),
                },
                "since" => wanted.since_ms = Some(since_ms(&value)?),
                _ => {
                    let known = ["limit", "before", "stage", "reason", "status", "since"];
                    return Err(unknown(&key, &known));
                }
            }
        }
        Ok(wanted)
    }

    fn fits(&self, letter: &StoredLetter, mark: Option<&LetterMark>) -> bool {
        let has_status = |wanted: &String| wanted == status(mark);
        let stage = self.stage.as_deref();
        let reason = letter.header("reason").unwrap_or_default().to_lowercase();
        self.status.as_ref().is_none_or(has_status)
            && stage.is_none_or(|stage| letter.header("stage") == Some(stage))
            && self
                .reason
                .as_ref()
                .is_none_or(|part| reason.contains(part))
            && self
                .since_ms
                .is_none_or(|since_ms| letter.at_ms >= since_ms)
    }

    /// The first letters that fit, and where the next page begins.
    fn page(&self, topic: String, read: &ReadLetters, marks: &Marks) -> Page {
        let (mut letters, mut below) = (Vec::new(), self.before.clone());
        let mut looked = 0;
        for letter in &read.letters {
            if letters.len() == self.limit {
                break;
            }
            looked += 1;
            below.insert(letter.partition, letter.offset);
            let mark = marks.of_letter(letter);
            if self.fits(letter, mark) {
                letters.push(Letter::of(letter, mark, limits::LETTER_SHOWN_BYTES));
            }
        }
        if looked == read.letters.len() {
            below.clone_from(&read.down_to);
        }
        let is_more = looked < read.letters.len()
            || below
                .iter()
                .any(|(id, at)| read.first.get(id).is_some_and(|first| first < at));
        let next = below.iter().map(|(id, at)| format!("{id}-{at}"));
        let next = next.collect::<Vec<_>>().join(",");
        let of = |name: &str| counts(&read.letters, name);
        Page {
            topic,
            letters,
            next: (is_more && !next.is_empty()).then_some(next),
            scanned: read.letters.len(),
            reasons: of("reason")
                .into_iter()
                .map(|(reason, count)| ReasonCount { reason, count })
                .collect(),
            stages: of("stage")
                .into_iter()
                .map(|(stage, count)| StageCount { stage, count })
                .collect(),
        }
    }
}

/// How often each value of a header comes, the most frequent first.
fn counts(letters: &[StoredLetter], header: &str) -> Vec<(String, usize)> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for value in letters.iter().filter_map(|letter| letter.header(header)) {
        *found.entry(value).or_default() += 1;
    }
    let mut all: Vec<_> = found
        .into_iter()
        .filter(|(value, _)| !value.is_empty())
        .collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all.truncate(limits::LETTER_COUNTS_MAX);
    all.into_iter()
        .map(|(value, count)| (value.to_owned(), count))
        .collect()
}

pub(super) fn since_ms(text: &str) -> Result<i64, Fault> {
    if let Ok(time) = humantime::parse_rfc3339(text) {
        let since = time.duration_since(std::time::UNIX_EPOCH);
        let ms = since.unwrap_or(Duration::ZERO).as_millis();
        return Ok(i64::try_from(ms).unwrap_or(i64::MAX));
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        Fault::bad(format!(
            "`since={text}` is neither a time in RFC 3339 nor a duration such as 24h"
        ))
    })?;
    Ok(clock::now_ms() - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
}

impl Letter {
    fn of(letter: &StoredLetter, mark: Option<&LetterMark>, bytes_max: usize) -> Letter {
        let number = |name| {
            letter
                .header(name)
                .and_then(|text| text.parse::<u64>().ok())
        };
        let time_ms = letter
            .header("time")
            .and_then(|text| text.parse::<i64>().ok());
        let origin = letter.origin().map(|(topic, partition, offset)| Origin {
            topic: topic.to_owned(),
            partition,
            offset,
            time: clock::rfc3339(time_ms.unwrap_or(0)),
        });
        Letter {
            id: format!("{}-{}", letter.partition, letter.offset),
            at: clock::rfc3339(letter.at_ms),
            status: status(mark),
            version: number("version").unwrap_or(0),
            batch: number("batch").unwrap_or(0),
            stage: letter
                .header("stage")
                .filter(|stage| !stage.is_empty())
                .map(str::to_owned),
            sink: None,
            source: origin,
            reason: letter.header("reason").unwrap_or_default().to_owned(),
            key: Shown::of(letter.key.as_deref(), bytes_max),
            value: Shown::of(letter.value.as_deref(), bytes_max),
            retried: mark.and_then(Retried::of),
        }
    }
}
