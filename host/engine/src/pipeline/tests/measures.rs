//! What a pipeline measures of its batches.

use super::*;
use crate::pipeline::{BatchStep, PipelineMeter, StageLetters};
use streamhost_core::job::budget::{Budget, Budgets, LetterBudget, Most};

/// Batches of a job that reads to the end of its topic, while one sink fails so often.
fn measured(faults: usize) -> (Arc<PipelineMeter>, Checkpoint) {
    let mut world = World::new(6);
    world.put(0, 4);
    world.put(1, 3);
    world.topics.end();
    world.sinks[0].fail(faults, Fault::BeforeLanding);
    let pipeline = world.start(None);
    let meter = pipeline.status.meter.clone();
    assert_eq!(pipeline.join(), PipelineExit::Finished);
    (meter, world.checkpoint())
}

#[test]
fn every_durable_batch_is_measured_step_by_step() {
    for faults in [0, 2] {
        let (meter, checkpoint) = measured(faults);
        let (traces, count) = meter.batches_after(0);
        assert_eq!(
            (traces.len() as u64, count),
            (checkpoint.batch, checkpoint.batch)
        );
        let sum = |of: fn(&BatchTrace) -> u64| traces.iter().map(of).sum::<u64>();
        let counters = &checkpoint.counters;
        assert_eq!(sum(|trace| trace.records), counters.records_in);
        assert_eq!(sum(|trace| trace.rows), counters.rows.values().sum::<u64>());
        assert_eq!(sum(|trace| trace.retries), faults as u64);
        for trace in &traces {
            let steps: Vec<BatchStep> = trace.steps.iter().map(|time| time.step).collect();
            let keyed = [BatchStep::Stages];
            let want = [
                &[BatchStep::Gather, BatchStep::Transform][..],
                if steps.contains(&keyed[0]) {
                    &keyed[..]
                } else {
                    &[][..]
                },
                &[
                    BatchStep::Queue,
                    BatchStep::Intent,
                    BatchStep::Deliver,
                    BatchStep::Checkpoint,
                ],
            ];
            assert_eq!(steps, want.concat(), "batch {}", trace.number);
            for pair in trace.steps.windows(2) {
                assert!(pair[0].at <= pair[1].at, "batch {}: {pair:?}", trace.number);
            }
        }
        let totals = meter.totals();
        assert_eq!(totals.records, [counters.records_in]);
        let rows: u64 = totals.rows.values().map(|made| made.all).sum();
        assert_eq!(rows, counters.rows.values().sum::<u64>());
        for (step, times) in BatchStep::ALL.into_iter().zip(&totals.steps) {
            let of_step = |trace: &&BatchTrace| trace.steps.iter().any(|time| time.step == step);
            let took = traces.iter().filter(of_step).count() as u64;
            assert_eq!(times.count(), took, "{step:?}");
        }
        assert_eq!(totals.latency.count(), counters.records_in);
        assert_eq!(totals.retries, faults as u64);
        let errors = totals.errors.get("sink `table`").copied();
        assert_eq!(errors.unwrap_or(0), faults as u64);
        assert!(!totals.cpu.is_zero());
        let interval = meter.take_interval();
        assert_eq!(interval.batches, checkpoint.batch);
        assert!(interval.latency_ms.is_some());
        assert_eq!(meter.take_interval().batches, 0, "it was taken");
        assert_eq!(meter.oldest_ms(), None, "nothing is on its way");
        assert_eq!(meter.batches_after(count).0, []);
    }
}

#[test]
fn dead_letters_are_counted_by_their_source_and_by_who_failed() {
    let mut world = World::new(6);
    for value in ["a", "F", "T", "F"] {
        world.topics.append("t", 0, 0, None, Some(value.as_bytes()));
    }
    world.topics.end();
    let pipeline = world.start(None);
    let meter = pipeline.status.meter.clone();
    assert_eq!(pipeline.join(), PipelineExit::Finished);
    let letters: Vec<_> = meter.totals().letters.into_values().collect();
    let want = StageLetters {
        refused: 2,
        broke: 1,
    };
    assert_eq!(letters, [want]);
}

#[test]
fn latencies_count_each_record_though_few_are_looked_at() {
    for records in [100, 1000, 1001] {
        let mut world = World::new(6);
        world.put(0, records);
        world.topics.end();
        let pipeline = world.start(None);
        let meter = pipeline.status.meter.clone();
        assert_eq!(pipeline.join(), PipelineExit::Finished);
        assert_eq!(meter.totals().latency.count(), records as u64);
    }
}

/// A deployment that may have so many dead letters, and no record older than a day.
fn budgeted(deployment: u64, letters: u64) -> Arc<LoadedDeployment> {
    let over = Duration::from_secs(3600);
    let budget = |most| Budget { most, over };
    let mut active = active(deployment);
    let day = Duration::from_secs(24 * 3600);
    Arc::get_mut(&mut active).unwrap().settings.budgets = Budgets {
        dead_letters: LetterBudget::Own(budget(Most::Letters(letters))),
        latency: Some(budget(Most::Latency(day))),
        ..Budgets::default()
    };
    active
}

#[test]
fn a_version_is_held_against_its_budgets_by_what_it_ran_itself() {
    let mut world = World::new(6);
    world.cell = DeploymentSlot::new(budgeted(1, 2));
    let put = |world: &World, values: &[&str]| {
        for value in values {
            world.topics.append("t", 0, 0, None, Some(value.as_bytes()));
        }
    };
    put(&world, &["F", "F", "a"]);
    let pipeline = world.start(None);
    let is_at =
        |batches| move |facts: &status::StatusSnapshot| facts.counters.records_in == batches;
    world.until(&pipeline, is_at(3));
    put(&world, &["F"]);
    world.until(&pipeline, is_at(4));
    put(&world, &["F"]);
    world.until(&pipeline, is_at(5));

    // Those of the version before do not count, nor does a letter that is retried.
    let next = budgeted(2, 0);
    world.deployments.store(2, Ordering::SeqCst);
    world.cell.set(next.clone());
    put(&world, &["a", "a"]);
    world.until(&pipeline, is_at(7));
    let ends = pipeline.status.retries.run(
        vec![super::retries::letter("F0-0")],
        Duration::from_secs(60),
        &|_| Ok(None),
    );
    assert!(matches!(ends[..], [RetryEnd::Durable(_)]), "{ends:?}");
    let uses = pipeline.status.meter.budget_uses(&next);
    // Records of long ago are as old as the version.
    let want = ["0 dead letters in", "0 of 2 records (0.0 %) older than"];
    for (used, want) in uses.iter().zip(want) {
        let is_so = used.used.starts_with(want) && !used.is_over;
        assert!(is_so, "{used:?}");
    }
    assert_eq!(uses.len(), want.len());
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    let told = world.over_budget.lock().unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|over| (over.deployment, over.budget))
        .collect();
    assert_eq!(told, [(1, "max-dead-letters")], "once");
}
