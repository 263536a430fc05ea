//! Each change from its first event to its last: what is done at each, and the state after it.

use super::*;
use streamhost_core::limits;

/// An event, the actions, and the state after it.
type Row = (Event, &'static str, &'static str);

fn asked(ask: Ask) -> Event {
    Event::Asked { who: 9, ask }
}

fn switch(active: u64) -> Switch {
    Switch {
        record: record(active),
        warnings: Vec::new(),
    }
}

fn deploy(active: u64) -> Event {
    asked(Ask::Switch(switch(active)))
}

fn resume(end: End) -> Event {
    asked(Ask::Resume {
        skip_lost: true,
        end,
    })
}

fn open(go: bool, changed: Result<Option<Limits>, String>) -> Event {
    asked(Ask::Open { go, changed })
}

fn failed() -> Event {
    Event::Failed(Refusal::Conflict("no".to_owned()))
}

fn started() -> Event {
    Event::Started { replay_only: false }
}

fn replays() -> Event {
    Event::Started { replay_only: true }
}

fn ended_as(life: u64, exit: PipelineExit, overtaken: bool) -> Event {
    Event::Ended(Ended {
        life,
        exit,
        overtaken,
        batches: 5,
        now_ms: 0,
    })
}

fn ended(exit: PipelineExit) -> Event {
    ended_as(1, exit, false)
}

fn broke_down() -> PipelineExit {
    PipelineExit::Failed("gone".to_owned())
}

fn unfit(deployment: u64, by_policy: bool) -> PipelineExit {
    PipelineExit::VersionFault {
        deployment,
        reason: "it traps".to_owned(),
        by_policy,
    }
}

/// Plays a script from a state; each row begins where the one before ended.
#[track_caller]
fn play(from: &str, rows: impl IntoIterator<Item = Row>) -> JobControl {
    let mut control = state(from);
    for (event, actions, after) in rows {
        let told = format!("{event:?} at `{}`", words(&control));
        let (next, done) = step(control, event);
        let done: Vec<String> = done.iter().map(action_words).collect();
        assert_eq!(done.join(", "), actions, "{told}");
        assert_eq!(words(&next), after, "{told}");
        control = next;
    }
    control
}

#[test]
fn a_deploy_of_a_new_job() {
    let rows = [
        (deploy(1), "admit 1", "- …"),
        (Event::Done, "store 1", "- …"),
        (
            Event::Done,
            "say `version 1 is active (deployment 1)`, stop Soon",
            "1 …",
        ),
        (Event::Done, "activate, start 1", "1 …"),
        (started(), "release, sweep, switched 9 true", "1 runs"),
    ];
    play("-", rows);
    // A claim or a write that fails leaves nothing.
    let refused = (failed(), "release, conflict 9", "-");
    play("-", [(deploy(1), "admit 1", "- …"), refused.clone()]);
    play(
        "-",
        [
            (deploy(1), "admit 1", "- …"),
            (Event::Done, "store 1", "- …"),
            refused,
        ],
    );
}

#[test]
fn a_deploy_onto_a_pipeline() {
    let said = "say `version 2 is active (deployment 2)`";
    let stored = || {
        [
            (deploy(2), "admit 2", "1 runs …"),
            (Event::Done, "store 2", "1 runs …"),
        ]
    };
    let swaps = (
        Event::Done,
        "say `version 2 is active (deployment 2)`, swap",
        "2 runs …",
    );
    let hot = (Event::Done, "sweep, switched 9 true", "2 runs");
    play("1 runs", stored().into_iter().chain([swaps.clone(), hot]));
    // It ends, or has other places: a new pipeline follows it.
    let cold = [
        swaps,
        (failed(), "stop Soon", "2 runs …"),
        (Event::Done, "activate, start 2", "2 …"),
        (replays(), "sweep, switched 9 true", "2 replays"),
    ];
    let control = play("1 runs", stored().into_iter().chain(cold));
    assert_eq!(control.life, 2);
    // Where that does not start, the deployment is active all the same.
    let rows = [
        (deploy(2), "admit 2", "1 failed …"),
        (Event::Done, "store 2", "1 failed …"),
        (
            Event::Done,
            "say `version 2 is active (deployment 2)`, stop Soon",
            "2 failed …",
        ),
        (Event::Done, "activate, start 1", "2 …"),
        (
            failed(),
            "say `stopped: no`, note, sweep, switched 9 stopped",
            "2 failed",
        ),
    ];
    assert!(rows[2].1.starts_with(said));
    play("1 failed", rows);
    let paused = || {
        let mut switch = switch(2);
        switch.record.paused = true;
        asked(Ask::Switch(switch))
    };
    let rows = [
        (paused(), "admit 2", "1 paused …"),
        (Event::Done, "store 2 paused", "1 paused …"),
        (
            Event::Done,
            "say `version 2 is active (deployment 2)`, stop Soon",
            "2 paused …",
        ),
        (Event::Done, "activate, sweep, switched 9 false", "2 paused"),
    ];
    play("1 paused", rows);
}

#[test]
fn a_pause_and_a_resume() {
    let rows = [
        (asked(Ask::Pause), "store 1 paused", "1 runs …"),
        (Event::Done, "stop Soon", "1 runs paused …"),
        (Event::Done, "done 9", "1 paused"),
        (resume(End::Ahead), "store 1", "1 paused …"),
        (Event::Done, "stop Soon", "1 …"),
        (Event::Done, "load", "1 …"),
        (Event::Done, "start 2 skip-lost reads-on", "1 …"),
        (started(), "release, done 9", "1 runs"),
    ];
    let control = play("1 runs", rows);
    assert!(!control.skip_lost && !control.reads_on, "for one start");
    let fails = (failed(), "conflict 9", "1 runs");
    play(
        "1 runs",
        [
            (asked(Ask::Pause), "store 1 paused", "1 runs …"),
            fails.clone(),
        ],
    );
    // One that runs goes on as it does, unless it is at its end.
    let rows = [
        (resume(End::Ahead), "store 1", "1 runs …"),
        (Event::Done, "done 9", "1 runs"),
    ];
    play("1 runs", rows);
    let rows = [
        (resume(End::Reached), "store 1", "1 runs …"),
        (Event::Done, "stop Soon", "1 runs …"),
    ];
    play("1 runs", rows);
    let windows = End::Final(Refusal::Conflict("its windows".to_owned()));
    play("1", [(resume(windows), "conflict 9", "1")]);
    let rows = [
        (resume(End::Ahead), "store 1", "1 failed …"),
        (Event::Done, "stop Soon", "1 failed …"),
        (Event::Done, "load", "1 failed …"),
        (failed(), "say `stopped: no`, note, conflict 9", "1 failed"),
    ];
    let control = play("1 failed", rows);
    assert!(!control.skip_lost && !control.reads_on);
}

#[test]
fn what_was_planned_before_is_delivered_first() {
    let rows = [
        (ended(PipelineExit::Stopped), "reap, load", "2 …"),
        (Event::Done, "start 2", "2 …"),
        (started(), "release", "2 runs"),
    ];
    play("2 replays", rows);
    // What the user asked for is for the one that reads on.
    let mut control = state("2 replays");
    (control.skip_lost, control.reads_on) = (true, true);
    let (control, _) = step(control, ended(PipelineExit::Stopped));
    let (_, actions) = step(control, Event::Done);
    assert_eq!(action_words(&actions[0]), "start 2 skip-lost reads-on");
}

#[test]
fn the_end_of_a_pipeline() {
    let finished = "reap, say `finished: every source has ended`";
    play("1 runs", [(ended(PipelineExit::Finished), finished, "1")]);
    play("1 runs", [(ended(PipelineExit::Stopped), "reap", "1")]);
    let stops = "reap, say `stopped: gone`, note";
    play("1 runs", [(ended(broke_down()), stops, "1 failed")]);
    // Of one that was stopped, or is not the newest.
    play("1", [(ended(broke_down()), "", "1")]);
    play("1 runs", [(ended_as(0, broke_down(), false), "", "1 runs")]);
    // A deployment was given to it that it has not come to run.
    for exit in [PipelineExit::Finished, broke_down()] {
        let rows = [
            (ended_as(1, exit, true), "reap, load checked", "2 …"),
            (Event::Done, "start 2", "2 …"),
            (started(), "release", "2 runs"),
        ];
        play("2 runs", rows);
    }
    let rows = [
        (
            ended_as(1, PipelineExit::Finished, true),
            "reap, load checked",
            "2 …",
        ),
        (failed(), "say `stopped: no`, note", "2 failed"),
    ];
    play("2 runs", rows);
}

#[test]
fn a_version_that_proves_unfit() {
    let said = "say `version 3 is active (deployment 3)`, stop Soon";
    let rows = [
        (ended(unfit(2, false)), "reap, prepare 1", "2 …"),
        (Event::Prepared(switch(3)), "admit 3", "2 …"),
        (Event::Done, "store 3", "2 …"),
        (Event::Done, said, "3 …"),
        (Event::Done, "activate, start 2", "3 …"),
        (
            started(),
            "release, sweep, say `version 2 was rolled back: it traps`, note, alert back",
            "3 runs",
        ),
    ];
    play("2 runs", rows);
    let cannot =
        "release, say `stopped: version 2: it traps; and version 1 cannot take over: no`, note";
    let rows = [
        (ended(unfit(2, false)), "reap, prepare 1", "2 …"),
        (failed(), cannot, "2 failed"),
    ];
    play("2 runs", rows);
    let first = "reap, say `stopped: version 1: it traps`, note";
    play("1 runs", [(ended(unfit(1, false)), first, "1 failed")]);
    let policy = "reap, say `stopped: it traps`, note";
    play("2 runs", [(ended(unfit(2, true)), policy, "2 failed")]);
    let rows = [(ended(unfit(1, false)), "reap, load", "2 …")];
    play("2 runs", rows); // another one was deployed meanwhile
}

/// The version of this deployment went over its budget when the job had so many batches.
fn over(deployment: u64, batches: u64, said: &[&str]) -> Event {
    Event::OverBudget(Over {
        over: OverBudget {
            deployment,
            budget: "max-dead-letters",
            is_usual: said.contains(&"usual"),
            reason: "too much".to_owned(),
            as_before: said.contains(&"as before"),
            beyond: match said.contains(&"stop") {
                true => Beyond::Stop,
                false => Beyond::GoOn,
            },
        },
        at: (batches, limits::ROLLBACK_TIME.as_millis() as i64),
    })
}

#[test]
fn a_version_that_goes_over_its_budget_while_it_is_new() {
    let said = "say `version 3 is active (deployment 3)`, swap";
    let back = "release, sweep, say `version 2 was rolled back: too much`, note, alert back";
    for how in [&[][..], &["usual"], &["stop"]] {
        let rows = [
            (over(2, 5, how), "prepare 1", "2 runs …"),
            (Event::Prepared(switch(3)), "admit 3", "2 runs …"),
            (Event::Done, "store 3", "2 runs …"),
            (Event::Done, said, "3 runs …"),
            (Event::Done, &back["release, ".len()..], "3 runs"),
        ];
        play("2 runs", rows);
    }
    // It needs another pipeline.
    let rows = [
        (over(2, 5, &[]), "prepare 1", "2 runs …"),
        (Event::Prepared(switch(3)), "admit 3", "2 runs …"),
        (Event::Done, "store 3", "2 runs …"),
        (Event::Done, said, "3 runs …"),
        (failed(), "stop Soon", "3 runs …"),
        (Event::Done, "activate, start 2", "3 …"),
        (started(), back, "3 runs"),
    ];
    play("2 runs", rows);
    // The version before cannot take over.
    let on = "release, say `goes on: version 2: too much; and version 1 cannot take over: no`, alert over";
    let ends = "say `stopped: version 2: too much; and version 1 cannot take over: no`, note, alert stopped";
    let goes_on = [
        (over(2, 5, &[]), "prepare 1", "2 runs …"),
        (failed(), on, "2 runs"),
    ];
    play("2 runs", goes_on);
    let stops = [
        (over(2, 5, &["stop"]), "prepare 1", "2 runs …"),
        (Event::Prepared(switch(3)), "admit 3", "2 runs …"),
        (failed(), "release, stop Soon", "2 runs …"),
        (Event::Done, ends, "2 failed"),
    ];
    play("2 runs", stops);
}

#[test]
fn a_version_that_goes_over_its_budget_and_is_not_rolled_back() {
    let on = "say `goes on: version 2: too much`, alert over";
    let ends = "say `stopped: version 2: too much`, note, alert stopped";
    let was =
        "say `goes on: version 2: too much, and the version before it was so too`, alert over";
    play("2 runs", [(over(2, 101, &[]), on, "2 runs")]);
    play("2 runs", [(over(2, 101, &["usual"]), "", "2 runs")]);
    play("2 runs", [(over(2, 5, &["as before"]), was, "2 runs")]);
    let first = "say `goes on: version 1: too much`, alert over";
    play("1 runs", [(over(1, 5, &[]), first, "1 runs")]);
    let rows = [
        (over(2, 101, &["stop"]), "stop Soon", "2 runs …"),
        (Event::Done, ends, "2 failed"),
    ];
    play("2 runs", rows);
    // Another version runs by now, or nothing does.
    play("2 runs", [(over(1, 5, &[]), "", "2 runs")]);
    for nothing in ["2", "2 paused", "2 failed", "2 closed", "-"] {
        play(nothing, [(over(2, 5, &["stop"]), "", nothing)]);
    }
}

#[test]
fn an_undeploy() {
    let rows = [
        (asked(Ask::Undeploy), "stop Soon", "1 runs …"),
        (Event::Done, "forget", "1 …"),
        (Event::Done, "remove", "1 …"),
        (Event::Done, "release, sweep, done 9", "-"),
        (asked(Ask::Undeploy), "unknown 9", "-"),
        (asked(Ask::Pause), "unknown 9", "-"),
        (resume(End::Ahead), "unknown 9", "-"),
    ];
    play("1 runs", rows);
    let rows = [
        (asked(Ask::Undeploy), "stop Soon", "1 …"),
        (Event::Done, "forget", "1 …"),
        (
            failed(),
            "say `stopped: no`, note, unavailable 9",
            "1 failed",
        ),
    ];
    play("1", rows);
}

#[test]
fn what_cannot_be_read_is_only_forgotten() {
    let shown = "say `stopped: cut`, note, done 9";
    let rows = [
        (open(true, Ok(None)), shown, "unreadable"),
        (asked(Ask::Pause), "conflict 9", "unreadable"),
        (resume(End::Ahead), "conflict 9", "unreadable"),
        (deploy(1), "conflict 9", "unreadable"),
        (asked(Ask::Undeploy), "stop Soon", "unreadable …"),
        (Event::Done, "forget", "unreadable …"),
        (Event::Done, "remove", "unreadable …"),
        (Event::Done, "release, sweep, done 9", "-"),
    ];
    play("unreadable", rows);
}

#[test]
fn a_start_of_the_host() {
    let rows = [
        (open(true, Ok(None)), "load", "1 …"),
        (Event::Done, "start 1", "1 …"),
        (started(), "release, done 9", "1 runs"),
    ];
    play("1", rows);
    for (from, go) in [("1", false), ("1 paused", true)] {
        let amid = if go { "1 paused …" } else { "1 …" };
        let rows = [
            (open(go, Ok(None)), "load", amid),
            (Event::Done, "done 9", from),
        ];
        play(from, rows);
    }
    let stops = "say `stopped: no`, note, done 9";
    play("1", [(open(true, Err("no".to_owned())), stops, "1 failed")]);
    let rows = [
        (open(true, Ok(None)), "load", "1 …"),
        (failed(), stops, "1 failed"),
    ];
    play("1", rows);
    let said = "say `the host's `[limits]` were changed: deployment 2 takes over`, load";
    let limits = |changed| open(true, Ok(Some(changed)));
    let rows = [
        (limits(Limits::TakeOver(record(2))), "store 2", "1 …"),
        (Event::Done, said, "2 …"),
    ];
    play("1", rows);
    let rows = [
        (limits(Limits::Follow(record(1))), "store 1", "1 …"),
        (Event::Done, "load", "1 …"),
    ];
    play("1", rows);
}

#[test]
fn a_host_that_stops() {
    let close = || asked(Ask::Close(Stop::Drain));
    let rows = [
        (close(), "stop Drain", "1 runs closed …"),
        (Event::Done, "done 9", "1 closed"),
        (ended(broke_down()), "", "1 closed"),
        (asked(Ask::Pause), "unavailable 9", "1 closed"),
        (deploy(2), "unavailable 9", "1 closed"),
        (asked(Ask::Undeploy), "unavailable 9", "1 closed"),
        (close(), "stop Drain", "1 closed …"),
    ];
    play("1 runs", rows);
    play("1 runs closed", [(ended(broke_down()), "reap", "1 closed")]);
}

#[test]
fn a_mistake_of_the_hosts_stops_that_job_alone() {
    let why = "say `stopped: the host broke while it started or stopped this job, see its log; `streamhost resume j` tries again`, note";
    let rows = [
        (asked(Ask::Pause), "store 1 paused", "1 runs …"),
        (Event::Broke, "unavailable 9, stop Soon", "1 runs …"),
        (Event::Done, why, "1 failed"),
    ];
    play("1 runs", rows);
    let rows = [
        (deploy(1), "admit 1", "- …"),
        (Event::Broke, "unavailable 9", "-"),
    ];
    play("-", rows);
    play("1", [(Event::Broke, why, "1 failed")]);
}
