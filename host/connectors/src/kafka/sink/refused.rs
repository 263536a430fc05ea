//! Delivers a batch's rows but for those that the topic refuses for what is in them.

use super::batch_producer::content_words;
use super::{BatchProducer, Failure, RowWriter, Transactions};
use crate::halves::{Failed, refused_alone};
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::{BTreeMap, HashSet};
use streamhost_core::contract::render::RowsView;
use streamhost_core::types::{RefusedRow, Rows};
use streamhost_engine::sink::{Delivery, Refusals, SinkError};

/// One transaction of all rows that the topic takes. Which it refuses is told before the commit.
pub(super) fn deliver_marked(
    transactions: &mut Transactions,
    writer: &RowWriter,
    delivery: &Delivery<'_>,
    rows: &[Rows],
    refusals: &mut dyn Refusals,
) -> Result<(), SinkError> {
    let mut left_out: BTreeMap<usize, Code> = BTreeMap::new();
    loop {
        let some = beside(rows, &left_out);
        let failed = transactions.deliver(delivery, |producer| {
            writer.send(producer, rows, some.as_deref())?;
            // What is refused ends the transaction, and so is told only when nothing more is.
            match producer.settle_by_content()?.is_empty() {
                true => refusals.take(told(&left_out)),
                false => Ok(()),
            }
        })?;
        if failed.is_empty() {
            return Ok(());
        }
        let failed = suspects(&placed(failed, some.as_deref()));
        let more = (refusals.most() + 1).saturating_sub(left_out.len());
        let alone = refused_alone(&failed, more, |group| {
            let failed = transactions.trial(|producer| writer.send(producer, rows, Some(group)));
            failed.map(|failed| placed(failed, Some(group)))
        })?;
        if alone.is_empty() {
            transactions.send_less_at_once()?;
        }
        left_out.extend(alone);
        if left_out.len() > refusals.most() {
            return refusals.take(told(&left_out));
        }
    }
}

/// Row by row: what the topic takes is there, and is not sent again, but for rows that overtook one of
/// their key.
pub(super) fn deliver_plainly(
    producer: &mut BatchProducer,
    writer: &RowWriter,
    rows: &[Rows],
    refusals: &mut dyn Refusals,
) -> Result<(), SinkError> {
    writer.send(producer, rows, None)?;
    let failed = producer.settle_by_content()?;
    if failed.is_empty() {
        return refusals.take(Vec::new());
    }
    let failed = positions(&placed(failed, None));
    let alone = refused_alone(&failed, refusals.most() + 1, |group| {
        writer.send(producer, rows, Some(group))?;
        let failed = producer.settle_by_content();
        failed.map(|failed| placed(failed, Some(group)))
    })?;
    let left_out: BTreeMap<usize, Code> = alone.into_iter().collect();
    let overtook = overtook(writer, rows, &failed, &left_out);
    writer.send(producer, rows, Some(&overtook))?;
    producer.settle_all()?;
    refusals.take(told(&left_out))
}

/// Rows behind one of the same key that failed with others and was sent once more: what came last
/// before must come last again.
fn overtook(
    writer: &RowWriter,
    rows: &[Rows],
    failed: &[usize],
    left_out: &BTreeMap<usize, Code>,
) -> Vec<usize> {
    let mut resent: HashSet<&[u8]> = HashSet::new();
    let mut overtook = Vec::new();
    if !writer.keyed {
        return overtook;
    }
    let views = rows
        .iter()
        .flat_map(|rows| RowsView::new(rows, &writer.columns));
    for (at, row) in views.enumerate().filter(|(_, row)| row.has_key()) {
        match (failed.binary_search(&at), left_out.contains_key(&at)) {
            (Ok(_), false) => drop(resent.insert(row.key())),
            (Err(_), _) if resent.contains(row.key()) => overtook.push(at),
            _ => {}
        }
    }
    overtook
}

/// All rows but those; none where that is all.
fn beside(rows: &[Rows], left_out: &BTreeMap<usize, Code>) -> Option<Vec<usize>> {
    let count: usize = rows.iter().map(Rows::len).sum();
    let kept = (0..count).filter(|at| !left_out.contains_key(at));
    (!left_out.is_empty()).then(|| kept.collect())
}

/// Failures of rows that were sent, by their places among all rows.
fn placed(failed: Vec<Failure>, some: Option<&[usize]>) -> Failed<Code> {
    let place = |position: usize| some.map_or(position, |some| some[position]);
    failed
        .into_iter()
        .map(|failure| (place(failure.position), failure.code))
        .collect()
}

/// What may be at fault: a broker that names the records it refuses says so of those beside them.
fn suspects(failed: &Failed<Code>) -> Vec<usize> {
    let is_beside = |code: Code| code == Code::InvalidDifferentRecord;
    let named = failed.iter().filter(|(_, code)| !is_beside(*code));
    let named: Vec<usize> = named.map(|(position, _)| *position).collect();
    match named.is_empty() {
        true => positions(failed),
        false => named,
    }
}

fn positions(failed: &Failed<Code>) -> Vec<usize> {
    failed.iter().map(|(position, _)| *position).collect()
}

fn told(left_out: &BTreeMap<usize, Code>) -> Vec<RefusedRow> {
    let refused = |(&row, &code): (&usize, &Code)| RefusedRow {
        row,
        reason: format!("Kafka refuses the row: {}", content_words(code)),
    };
    left_out.iter().map(refused).collect()
}
