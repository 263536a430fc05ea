//! Dead letters that are given to the job once more, also over the host's death.

use super::*;
use crate::sink::memory::Fault;
use streamhost_core::protocol::{LetterMark, LetterOutcome, LetterPlace};

const LONG: Duration = Duration::from_secs(60);

/// The letter of the only record, as its topic would have it.
pub(super) fn letter(value: &str) -> LetterRetry {
    LetterRetry {
        place: LetterPlace {
            topic: "d".into(),
            partition: 0,
            offset: 0,
        },
        sent_ms: 7,
        topic: "t".into(),
        partition: 0,
        offset: 0,
        time_ms: 0,
        key: None,
        value: Some(value.into()),
        headers: Vec::new(),
        again: false,
    }
}

/// A job that has refused its only record, and then got a version that takes it.
fn mended(value: &str) -> World {
    let mut world = World::new(1);
    world.topics.append("t", 0, 0, None, Some(value.as_bytes()));
    world.sent.entry(0).or_default().push(value.to_owned());
    let first = world.start(None);
    assert_eq!(world.until_quiet(first), PipelineExit::Stopped);
    world.deployments.store(2, Ordering::SeqCst);
    world.again = Kept::Mends;
    world.cell.set(active_with(2, Kept::Mends));
    world
}

/// What a sink has of the record.
fn rows(world: &World, sink: usize) -> usize {
    let all = world.sinks[sink].landed();
    let own = all.iter().flat_map(texts).filter(|(key, _)| key == "F");
    own.count()
}

fn marks(world: &World) -> Vec<LetterMark> {
    world.store.marks().into_values().flatten().collect()
}

fn end_of(pipeline: &Pipeline, letter: LetterRetry) -> RetryEnd {
    run(&pipeline.status, letter).remove(0)
}

fn run(status: &PipelineStatus, letter: LetterRetry) -> Vec<RetryEnd> {
    status.retries.run(vec![letter], LONG, &|_| Ok(None))
}

#[test]
fn a_letter_is_a_batch_of_its_own_and_moves_no_partition() {
    let mut world = mended("F0-0");
    let before = world.checkpoint();
    let pipeline = world.start(None);
    let RetryEnd::Durable(mark) = end_of(&pipeline, letter("F0-0")) else {
        panic!("it is delivered");
    };
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    // Three rows of the record, its count, and the batch's sum.
    assert_eq!(mark.outcome, LetterOutcome::Delivered { rows: 5 });
    assert_eq!((mark.version, mark.sent_ms), (2, 7));
    assert_eq!(marks(&world), [mark]);
    assert_eq!((rows(&world, 0), rows(&world, 1)), (1, 1));
    let after = world.checkpoint();
    assert_eq!(after.committed, before.committed);
    assert_eq!(after.counters.records_in, before.counters.records_in + 1);
    assert_eq!(after.batch, before.batch + 1);
}

#[test]
fn a_letter_does_not_wait_for_the_batch_that_is_gathered() {
    let mut world = mended("F0-0");
    let mut slow = active_with(2, Kept::Mends);
    Arc::get_mut(&mut slow).unwrap().spec.every = Duration::from_secs(3600);
    world.cell.set(slow);
    let pipeline = world.start(None);
    world.put(0, 1);
    assert!(matches!(
        end_of(&pipeline, letter("F0-0")),
        RetryEnd::Durable(_)
    ));
    // What was gathered is there too.
    assert_eq!(pipeline.stop(Stop::Drain), PipelineExit::Stopped);
    let committed = world.checkpoint().committed["t"][&0];
    assert!((1..=2).contains(&committed), "{committed}");
}

#[test]
fn what_becomes_of_a_letter_is_told() {
    let mut world = mended("F0-0");
    let pipeline = world.start(None);
    let outcome = |value: &str| match end_of(&pipeline, letter(value)) {
        RetryEnd::Durable(mark) => Ok(mark.outcome),
        RetryEnd::Skipped(reason) => Err(reason),
        end => panic!("{end:?}"),
    };
    assert_eq!(outcome("D0-0"), Ok(LetterOutcome::Filtered));
    let LetterOutcome::DeadLetter { reason } = outcome("T0-0").unwrap() else {
        panic!("it is refused again");
    };
    assert!(reason.contains("it broke"), "{reason}");
    let elsewhere = LetterRetry {
        topic: "before".into(),
        ..letter("F0-0")
    };
    assert_eq!(
        end_of(&pipeline, elsewhere),
        RetryEnd::Skipped("version 2 has no source `before`".into())
    );
    let status = pipeline.status.clone();
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    let late = run(&status, letter("F0-0"));
    assert_eq!(late, [RetryEnd::NotTaken], "nobody is there");
    let reasons: Vec<_> = world
        .letters
        .landed()
        .into_iter()
        .flat_map(|l| l.items)
        .collect();
    assert_eq!(reasons.len(), 2, "the first one, and that of the retry");
}

/// Whether the host dies before or after each of its writes, and sinks fail beside it: the record
/// is in the marked sink once, and is remembered once.
#[test]
fn a_letter_is_retried_once_whatever_dies() {
    let faults = [
        None,
        Some(Fault::BeforeLanding),
        Some(Fault::AfterLanding),
        Some(Fault::Open),
    ];
    for (fault, writes, after) in faults
        .into_iter()
        .flat_map(|fault| (1..=3).map(move |writes| (fault, writes)))
        .flat_map(|(fault, writes)| [true, false].map(|after| (fault, writes, after)))
    {
        let case = format!("{fault:?}, write {writes}, durable: {after}");
        let mut world = mended("F0-0");
        if let Some(fault) = fault {
            world.sinks[1].fail(1, fault);
        }
        let dying = world.start(Some((writes, after)));
        let end = end_of(&dying, letter("F0-0"));
        drop(dying.stop(Stop::Now));
        if let RetryEnd::Durable(_) = end {
            assert_eq!(marks(&world).len(), 1, "{case}: it was told");
        }
        world.sinks.iter().for_each(|sink| sink.forget_faults());
        let last = world.start(None);
        // At once: a planned batch may be replayed before or after it.
        let remembered = |_: &LetterRetry| Ok(marks(&world).pop());
        let letters = vec![letter("F0-0")];
        let ends = last.status.retries.run(letters, LONG, &remembered);
        assert!(
            matches!(ends[..], [RetryEnd::Durable(_)]),
            "{case}: {ends:?}"
        );
        assert_eq!(last.stop(Stop::Soon), PipelineExit::Stopped, "{case}");
        assert_eq!(marks(&world).len(), 1, "{case}: it is remembered once");
        assert_eq!(rows(&world, 1), 1, "{case}: the marked sink has it once");
        let kept = table(&world.sinks[3].landed());
        assert_eq!(kept["F"], "2:1", "{case}: it is counted once");
        assert!(world.store.load().unwrap().1.is_empty(), "{case}");
    }
}
