//! Sends rows in bulk requests, over all connections at once, and says of each what came of it.

use super::SERVER;
use super::client::Client;
use super::document::{Documents, Stamp, action};
use super::mapping::Shape;
use super::words::{Failure, Outcome, outcome};
use serde::Deserialize;
use serde_json::Value;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use streamhost_core::limits;

/// What all requests of a batch have in common.
pub(super) struct Batch<'b, 'a> {
    pub(super) documents: &'b Documents<'a>,
    pub(super) shape: &'b Shape,
    pub(super) stamp: &'b Stamp,
    /// Where bulk requests go.
    pub(super) path: &'b str,
}

/// Rows that are not there, with the reasons.
#[derive(Default)]
pub(super) struct Left {
    /// The server has no room for them right now.
    pub(super) busy: Vec<(usize, String)>,
    /// What is in them is refused.
    pub(super) refused: Vec<(usize, String)>,
}

/// Sends rows, by their places in the batch. The first failure ends the others after the request they
/// are in; of a stop and a retry the stop is told.
pub(super) fn send(
    clients: &mut [Client],
    batch: &Batch<'_, '_>,
    some: &[usize],
) -> Result<Left, Failure> {
    let chunks: Vec<&[usize]> = some.chunks(limits::ELASTICSEARCH_BULK_ROWS_MAX).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = |client: &mut Client| {
        let mut left = Left::default();
        while !failed.load(Ordering::Relaxed)
            && let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed))
        {
            send_chunk(client, batch, chunk, &mut left)
                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(left)
    };
    let busy = chunks.len().clamp(1, clients.len());
    let mut busy = clients[..busy].iter_mut();
    let here = busy.next_back(); // one connection's work is this thread's, so a small batch starts none
    let outcomes: Vec<Result<Left, Failure>> = std::thread::scope(|scope| {
        let threads: Vec<_> = busy.map(|client| scope.spawn(|| work(client))).collect();
        let mut outcomes: Vec<_> = here.map(work).into_iter().collect();
        outcomes.extend(threads.into_iter().map(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }));
        outcomes
    });
    let (mut all, mut worst) = (Left::default(), None);
    for outcome in outcomes {
        match outcome {
            Ok(left) => {
                all.busy.extend(left.busy);
                all.refused.extend(left.refused);
            }
            Err(failure @ (Failure::Refused(_) | Failure::NoIndex)) => worst = Some(failure),
            Err(failure) => worst = worst.or(Some(failure)),
        }
    }
    match worst {
        None => Ok(all),
        Some(failure) => Err(failure),
    }
}

/// Sends rows in as many requests as their bytes need.
fn send_chunk(
    client: &mut Client,
    batch: &Batch<'_, '_>,
    chunk: &[usize],
    left: &mut Left,
) -> Result<(), Failure> {
    let (mut body, mut group) = (Vec::new(), Vec::new());
    for &at in chunk {
        let before = body.len();
        let row = batch.documents.row(at);
        if let Err(reason) = action(row, at, batch.shape, batch.stamp, &mut body) {
            body.truncate(before);
            left.refused.push((at, reason));
            continue;
        }
        if body.len() > limits::ELASTICSEARCH_BULK_BYTES && !group.is_empty() {
            send_group(client, batch, &group, &body[..before], left)?;
            group.clear();
            body.drain(..before);
        }
        group.push(at);
    }
    match group.is_empty() {
        true => Ok(()),
        false => send_group(client, batch, &group, &body, left),
    }
}

/// Sends one request; its halves where it, or its answer, is too long.
fn send_group(
    client: &mut Client,
    batch: &Batch<'_, '_>,
    group: &[usize],
    body: &[u8],
    left: &mut Left,
) -> Result<(), Failure> {
    let answer = match client.bulk(batch.path, body) {
        Ok(answer) => answer,
        Err(Failure::TooLarge(words)) => match group {
            [only] => {
                left.refused.push((*only, words));
                return Ok(());
            }
            _ => {
                let (one, other) = group.split_at(group.len() / 2);
                send_chunk(client, batch, one, left)?;
                return send_chunk(client, batch, other, left);
            }
        },
        Err(failure) => return Err(failure),
    };
    let outcomes = outcomes(&answer, group.len()).ok_or_else(|| client.senseless())?;
    for (&at, outcome) in group.iter().zip(outcomes) {
        match outcome {
            Outcome::Done => {}
            Outcome::Busy(words) => left.busy.push((at, words)),
            Outcome::Content(words) => {
                let reason = format!("{SERVER} refuses the row: {words}");
                left.refused.push((at, reason));
            }
            Outcome::Failed(failure) => return Err(failure),
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<Item>,
}

/// One action's answer, by its verb.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Index(Said),
    Create(Said),
    Delete(Said),
}

#[derive(Deserialize)]
struct Said {
    status: u16,
    #[serde(default)]
    error: Value,
}

/// What came of each action; none if the answer is not that of so many.
fn outcomes(answer: &[u8], actions: usize) -> Option<Vec<Outcome>> {
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let of = |item: &Item| match item {
        Item::Index(said) | Item::Create(said) | Item::Delete(said) => {
            outcome(said.status, &said.error)
        }
    };
    (answer.items.len() == actions).then(|| answer.items.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_an_outcome_for_each_action() {
        let answer = br#"{"errors":true,"items":[{"index":{"status":201}},{"delete":{"status":404}},
            {"create":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"there"}}},
            {"index":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"no"}}},
            {"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}}]}"#;
        let found = outcomes(answer, 5).expect("five");
        assert_eq!(
            found,
            [
                Outcome::Done,
                Outcome::Done,
                Outcome::Done,
                Outcome::Content("no (mapper_parsing_exception)".to_owned()),
                Outcome::Busy("full (es_rejected_execution_exception)".to_owned()),
            ]
        );
        for (bad, actions) in [
            (&answer[..], 4),
            (b"{}", 0),
            (b"<html>", 1),
            (br#"{"items":[{"update":{"status":200}}]}"#, 1),
            (br#"{"items":[{}]}"#, 1),
            (br#"{"items":[{"index":{"status":-1}}]}"#, 1),
        ] {
            assert_eq!(outcomes(bad, actions), None, "{actions}");
        }
    }
}
