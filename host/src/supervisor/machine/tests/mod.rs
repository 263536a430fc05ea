//! The decisions as a table, and the simulation.

mod scripts;
mod simulation;

use super::*;
use streamhost_core::job::DeploymentKind;
use streamhost_core::testing::deployment;

/// A record whose active deployment has this number; so has its version.
fn record(active: u64) -> JobRecord {
    let mut deployments: Vec<_> = (1..=active).map(|n| deployment(n, n, "c")).collect();
    for deployment in &mut deployments {
        deployment.kind = DeploymentKind::Deploy;
    }
    JobRecord {
        name: "j".to_owned(),
        paused: false,
        deployments,
        newest_version: active,
    }
}

/// A state that words name: `-`, `unreadable`, or the number of the active deployment and any of
/// `runs`, `replays`, `paused`, `failed`, `closed`.
fn state(words: &str) -> JobControl {
    let mut words = words.split(' ');
    let kept = match words.next().unwrap() {
        "-" => Kept::Nothing,
        "unreadable" => Kept::Unreadable("cut".to_owned()),
        number => Kept::Record(record(number.parse().unwrap())),
    };
    let mut state = JobControl::new("j", kept);
    for word in words {
        match (word, &mut state.kept) {
            ("runs" | "replays", _) => {
                let replay_only = word == "replays";
                state.life = 1;
                state.pipeline = Some(Life {
                    life: 1,
                    replay_only,
                });
            }
            ("paused", Kept::Record(record)) => record.paused = true,
            ("failed", _) => state.failed = Some("why".to_owned()),
            ("closed", _) => state.is_closed = true,
            _ => panic!("{word}"),
        }
    }
    state
}

/// The words of a state. One that is amid a change ends with what it waits for.
fn words(state: &JobControl) -> String {
    let mut words = match &state.kept {
        Kept::Nothing => "-".to_owned(),
        Kept::Unreadable(_) => "unreadable".to_owned(),
        Kept::Record(record) => record.active().number.to_string(),
    };
    let (record, pipeline) = (state.record(), state.pipeline);
    let replays = pipeline.is_some_and(|pipeline| pipeline.replay_only);
    for (is_so, word) in [
        (pipeline.is_some() && !replays, "runs"),
        (replays, "replays"),
        (record.is_some_and(|record| record.paused), "paused"),
        (state.record().is_some() && state.failed.is_some(), "failed"),
        (state.is_closed, "closed"),
        (state.doing.is_some(), "…"),
    ] {
        if is_so {
            words.push(' ');
            words.push_str(word);
        }
    }
    words
}

/// The words of an action.
fn action_words(action: &Action) -> String {
    match action {
        Action::Prepare { version, .. } => format!("prepare {version}"),
        Action::Admit(record) => format!("admit {}", record.active().number),
        Action::Store(record) => {
            let paused = if record.paused { " paused" } else { "" };
            format!("store {}{paused}", record.active().number)
        }
        Action::Swap => "swap".to_owned(),
        Action::Stop(how) => format!("stop {how:?}"),
        Action::Load { overtaken: true } => "load checked".to_owned(),
        Action::Load { overtaken: false } => "load".to_owned(),
        Action::Start {
            life,
            skip_lost,
            reads_on,
        } => {
            let skips = if *skip_lost { " skip-lost" } else { "" };
            let on = if *reads_on { " reads-on" } else { "" };
            format!("start {life}{skips}{on}")
        }
        Action::Forget => "forget".to_owned(),
        Action::Remove => "remove".to_owned(),
        Action::Activate => "activate".to_owned(),
        Action::Reap => "reap".to_owned(),
        Action::Release => "release".to_owned(),
        Action::Sweep => "sweep".to_owned(),
        Action::Say(_, text) => format!("say `{text}`"),
        Action::NoteError(_) => "note".to_owned(),
        Action::Alert(told) => match told.what {
            AlertKind::RolledBack => "alert back".to_owned(),
            AlertKind::OverBudget => "alert over".to_owned(),
            AlertKind::Stopped => "alert stopped".to_owned(),
        },
        Action::Answer(who, answer) => match answer {
            Answer::Done => format!("done {who}"),
            Answer::Switched {
                stopped: None,
                started,
            } => format!("switched {who} {started}"),
            Answer::Switched { .. } => format!("switched {who} stopped"),
            Answer::Unknown => format!("unknown {who}"),
            Answer::Refused(Refusal::Conflict(_)) => format!("conflict {who}"),
            Answer::Refused(Refusal::Unavailable(_)) => format!("unavailable {who}"),
            Answer::Refused(_) => format!("refused {who}"),
        },
    }
}
