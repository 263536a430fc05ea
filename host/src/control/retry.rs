//! Dead letters that are retried or dropped, and what is remembered of them.

use super::App;
use super::audit::Audited;
use super::handlers::{Answer, change};
use super::letters::place;
use super::openapi::{BodyFaults, ConflictFaults, JobFaults, JobPath, RefusalFaults};
use super::reply::Fault;
use super::requests::{JobName, told};
use crate::api::{Jobs, LetterEnd, LetterId, LettersAsk, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use streamhost_connectors::kafka::letters::StoredLetter;
use streamhost_core::protocol::{LetterMark, LetterOutcome};
use streamhost_core::{clock, limits};
use utoipa::ToSchema;

/// What is remembered of some letters.
pub(super) struct Marks(BTreeMap<LetterId, LetterMark>);

impl Marks {
    pub(super) fn of(
        jobs: &dyn Jobs,
        job: &str,
        letters: &[StoredLetter],
    ) -> Result<Marks, Refusal> {
        let ids: Vec<LetterId> = letters.iter().map(id_of).collect();
        let marks = jobs.letter_marks(job, &ids)?;
        let known = |(id, mark): (LetterId, Option<LetterMark>)| Some((id, mark?));
        Ok(Marks(
            ids.into_iter().zip(marks).filter_map(known).collect(),
        ))
    }

    /// What is remembered of this letter, and not of one that was in its place before the topic was
    /// made anew.
    pub(super) fn of_letter(&self, letter: &StoredLetter) -> Option<&LetterMark> {
        let mark = self.0.get(&id_of(letter));
        mark.filter(|mark| mark.sent_ms == letter.at_ms)
    }
}

fn id_of(letter: &StoredLetter) -> LetterId {
    (letter.partition, letter.offset)
}

/// What became of a letter, in one word.
pub(super) fn status(mark: Option<&LetterMark>) -> &'static str {
    match mark.map(|mark| &mark.outcome) {
        None => "new",
        Some(LetterOutcome::Dropped) => "dropped",
        Some(_) => "retried",
    }
}

/// How a retry ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    at: String,
    version: u64,
    #[serde(flatten)]
    outcome: OutcomeView,
}

impl Retried {
    /// None of a letter that was dropped.
    pub(super) fn of(mark: &LetterMark) -> Option<Retried> {
        let is_retry = mark.outcome != LetterOutcome::Dropped;
        is_retry.then(|| Retried {
            at: clock::rfc3339(mark.at_ms),
            version: mark.version,
            outcome: OutcomeView::of(&mark.outcome),
        })
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LetterOutcome)]
struct OutcomeView {
    outcome: &'static str,
    rows: u64,
    reason: Option<String>,
}

impl OutcomeView {
    fn of(outcome: &LetterOutcome) -> OutcomeView {
        let (outcome, rows, reason) = match outcome {
            LetterOutcome::Delivered { rows } => ("delivered", *rows, None),
            LetterOutcome::Filtered | LetterOutcome::Dropped => ("dropped", 0, None),
            LetterOutcome::Late => {
                let reason = "it came too late for its window or join".to_owned();
                ("dropped", 0, Some(reason))
            }
            LetterOutcome::DeadLetter { reason } => ("dead-letter", 0, Some(reason.clone())),
        };
        OutcomeView {
            outcome,
            rows,
            reason,
        }
    }
}

/// What `retry` and `drop` are told.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = LetterIds)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// PARTITION-OFFSET of each in its topic.
    #[schema(max_items = 500)]
    ids: Vec<String>,
    /// For `retry`: those that were retried before too.
    again: bool,
}

/// What became of the letters that were asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = LetterResults)]
pub(super) struct Results {
    done: usize,
    skipped: usize,
    results: Vec<LetterResult>,
}

#[derive(Serialize, ToSchema)]
struct LetterResult {
    id: String,
    #[serde(flatten)]
    outcome: OutcomeView,
}

/// Gives the records of dead letters to the active version; answers when the outcome is durable.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/dead-letters/retry",
    operation_id = "retryLetters",
    params(JobPath),
    request_body = Asked,
    responses((status = 200, description = "What became of each.", body = Results), JobFaults, BodyFaults, ConflictFaults, RefusalFaults),
)]
pub(super) async fn retry(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
    request: Request,
) -> Answer<Results> {
    let (ids, again) = asked(&app, request).await?;
    changed(&app, audited, job, ids, LettersAsk::Retry { again }).await
}

/// Remembers that nobody wants these dead letters; the topic keeps them.
#[utoipa::path(
    post,
    path = "/v1/jobs/{job}/dead-letters/drop",
    operation_id = "dropLetters",
    params(JobPath),
    request_body = Asked,
    responses((status = 200, description = "What became of each.", body = Results), JobFaults, BodyFaults, ConflictFaults, RefusalFaults),
)]
pub(super) async fn drop(
    State(app): State<Arc<App>>,
    JobName(job): JobName,
    audited: Audited,
    request: Request,
) -> Answer<Results> {
    let (ids, _) = asked(&app, request).await?;
    changed(&app, audited, job, ids, LettersAsk::Drop).await
}

async fn asked(app: &App, request: Request) -> Result<(Vec<LetterId>, bool), Fault> {
    let form = "{\"ids\": [\"PARTITION-OFFSET\"], \"again\": false}";
    let asked: Asked = told(app, request, form).await?;
    let count = asked.ids.len();
    if count == 0 {
        return Err(Fault::bad(format!("no letter is named: send {form}")));
    }
    if count > limits::LETTERS_CHANGED_MAX {
        let most = limits::LETTERS_CHANGED_MAX;
        return Err(Fault::bad(format!(
            "{count} letters are too many for one call: {most} at most"
        )));
    }
    let id = |text: &String| {
        let wrong = || {
            let text: String = text.chars().take(200).collect();
            Fault::bad(format!(
                "`{text}` is no letter's id: it is PARTITION-OFFSET"
            ))
        };
        place(text).ok_or_else(wrong)
    };
    let ids = asked.ids.iter().map(id).collect::<Result<_, _>>()?;
    Ok((ids, asked.again))
}

async fn changed(
    app: &App,
    audited: Audited,
    job: String,
    ids: Vec<LetterId>,
    ask: LettersAsk,
) -> Answer<Results> {
    let again = ask == LettersAsk::Retry { again: true };
    let letters = format!("letters={}", ids.len());
    let again = again.then(|| "again".to_owned());
    audited.asks(None, [letters].into_iter().chain(again).collect());
    let ends = change(app, audited, move |jobs| {
        jobs.change_letters(&job, &ids, ask)
    });
    let ends = ends.await?;
    let skipped = ends.iter().filter(|end| end.outcome.is_err()).count();
    Ok(Json(Results {
        done: ends.len() - skipped,
        skipped,
        results: ends.iter().map(LetterResult::of).collect(),
    }))
}

impl LetterResult {
    fn of(end: &LetterEnd) -> LetterResult {
        let (partition, offset) = end.id;
        LetterResult {
            id: format!("{partition}-{offset}"),
            outcome: match &end.outcome {
                Ok(outcome) => OutcomeView::of(outcome),
                Err(why) => OutcomeView {
                    outcome: "skipped",
                    rows: 0,
                    reason: Some(why.clone()),
                },
            },
        }
    }
}
