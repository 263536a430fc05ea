//! Records, topics and checkpoints that are lost: the job stops and says how to go on, and goes on
//! with all that is left.

use super::fake::{Kept, active_with};
use super::*;
use streamhost_core::job::settings::StartPosition;

impl World {
    /// It does not go on by itself: a part of the reason.
    fn stops(&mut self, with: &str) {
        let pipeline = self.start(None);
        let PipelineExit::Failed(reason) = self.until_quiet(pipeline) else {
            panic!("it went on")
        };
        assert!(
            reason.contains(with) && reason.contains("--skip-lost"),
            "{reason}"
        );
    }

    /// It goes on until so many records were read since it began.
    fn goes_on(&mut self, records: u64) {
        let pipeline = self.start(None);
        self.until(&pipeline, |facts| facts.counters.records_in >= records);
        assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
        assert_eq!(self.checkpoint().counters.records_in, records);
    }

    fn says(&self, text: &str) -> bool {
        self.logged
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }
}

#[test]
fn all_that_is_left_is_read_though_the_host_dies_between_plan_and_checkpoint() {
    let mut world = World::new(4);
    for id in [0, 1] {
        world.put(id, 4);
    }
    world.goes_on(8);
    for id in [0, 1] {
        world.put(id, 6);
    }
    world.topics.forget("t", 0, 8);
    world.topics.forget("t", 1, 7);
    world.stops("is gone");

    world.skip_lost = true;
    // After the first intent: what is passed over is a write of its own.
    let dies = world.start(Some((2, true)));
    assert!(matches!(world.until_quiet(dies), PipelineExit::Failed(_)));
    assert_eq!(world.store.load().unwrap().1.len(), 1, "a plan");
    assert!(
        world.says("--skip-lost: offsets 4 to 8 of `t` partition 0")
            && world.says("4 to 7 of `t` partition 1")
    );
    world.skip_lost = false;
    world.goes_on(8 + 2 + 3);
}

#[test]
fn a_log_that_lost_its_tail_goes_on_at_its_end() {
    let mut world = World::new(4);
    for id in [0, 1] {
        world.put(id, 6);
    }
    world.goes_on(12);
    world.topics.truncate("t", 0, 4);
    world.put(1, 1);
    world.stops("is gone");
    world.skip_lost = true;
    world.goes_on(13);
    world.skip_lost = false;
    world.put(0, 3);
    world.goes_on(16);
    assert_eq!(world.checkpoint().committed["t"], [(0, 7), (1, 7)].into());
}

/// Its times, and what sinks held of the old one, say nothing of the new one.
#[test]
fn a_topic_made_anew_is_read_whole() {
    let mut world = World::new(4);
    world.cell = DeploymentSlot::new(active_with(1, Kept::Nothing));
    world.put(0, 3);
    world.goes_on(3);
    let mut before = world.checkpoint();
    before.times.event_ms = [("t".into(), [(0, 99)].into())].into();
    before.already_written = [("marked".into(), [("t".into(), [(0, 4)].into())].into())].into();
    world.store.begin(&before).unwrap();

    world.topics.delete("t");
    world.topics.create("t", 2);
    world.put(0, 5);
    world.stops("made anew");
    world.skip_lost = true;
    world.goes_on(8);
    assert!(world.says("--skip-lost: topic `t` was deleted and made anew"));
    let marked: usize = world.sinks[1]
        .landed()
        .iter()
        .map(|landed| texts(landed).len())
        .sum();
    assert_eq!(marked, 8, "nothing of the new topic is left out");
    let after = world.checkpoint();
    assert_eq!(
        (after.times.event_ms.len(), after.committed["t"][&0]),
        (0, 5)
    );
}

/// A topic that is made anew before the job's first batch is noticed as well.
#[test]
fn topics_are_known_from_the_first_ledger_on() {
    let mut world = World::new(4);
    let mut latest = Arc::into_inner(active(1)).expect("just made");
    latest.start = Some(StartPosition::Latest);
    world.cell = DeploymentSlot::new(Arc::new(latest));
    world.put(0, 5);
    let quiet = world.start(None);
    assert_eq!(world.until_quiet(quiet), PipelineExit::Stopped);
    assert_eq!(
        (
            world.checkpoint().batch,
            world.checkpoint().committed["t"][&0]
        ),
        (0, 5)
    );
    world.topics.delete("t");
    world.topics.create("t", 2);
    world.put(0, 9);
    world.stops("made anew");
}

#[test]
fn a_ledger_that_begins_anew_is_above_the_markers_though_the_clock_is_behind() {
    let mut world = World::new(3);
    world.cell = DeploymentSlot::new(active_with(1, Kept::Nothing));
    world.put(0, 3);
    world.goes_on(3);
    let ahead = 1 << 60;
    for sink in [1, 4] {
        let marker = world.sinks[sink].marker();
        world.sinks[sink].set_marker(marker.map(|marker| streamhost_core::protocol::Marker {
            epoch: ahead,
            ..marker
        }));
    }
    world.store.forget().unwrap();
    world.put(0, 2);
    let again = world.start(None);
    assert_eq!(world.until_quiet(again), PipelineExit::Stopped);
    assert_eq!(world.checkpoint().epoch, ahead + 1);
}

/// As a file that was read and removed is, and one of the same name that comes later.
#[test]
fn a_partition_that_is_over_is_forgotten_and_begins_anew() {
    let mut world = World::new(4);
    for id in [0, 1] {
        world.put(id, 3);
    }
    let pipeline = world.start(None);
    world.until(&pipeline, |facts| facts.counters.records_in == 6);
    world.topics.remove("t", 1);
    world.until(&pipeline, |facts| facts.committed["t"].len() == 1);
    world.topics.replace("t", 1);
    world.put(1, 2);
    world.until(&pipeline, |facts| facts.counters.records_in == 8);
    for id in [0, 1] {
        world.topics.remove("t", id);
    }
    world.until(&pipeline, |facts| facts.committed["t"].is_empty());
    assert_eq!(pipeline.stop(Stop::Soon), PipelineExit::Stopped);
    assert_eq!(world.checkpoint().committed["t"], BTreeMap::new());
}
