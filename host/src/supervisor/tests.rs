//! Jobs as they are found at a start, and changes that wait for one another.

use super::*;
use crate::api::{JobState, Jobs, Refusal};
use std::time::Duration;
use streamhost_core::protocol::{BatchIntent, Checkpoint, CheckpointLog};
use streamhost_engine::pipeline::PipelineExit;

fn environment(limits: JobLimits) -> Environment {
    Environment {
        allow: Allow::all(),
        alerts: None,
        trusted: None,
        owner: "streamhost",
        host: None,
        kafka: KafkaSettings::default(),
        connectors: Registry::default(),
        lanes: 1,
        limits,
        memory: HostMemory {
            bytes: 1 << 40,
            is_bound: true,
        },
        savepoint_bytes: limits::SAVEPOINT_BYTES_MAX,
    }
}

fn deployment(limits: JobLimits) -> DeploymentRecord {
    let (kind, limits) = (DeploymentKind::Rollback, Some(limits));
    DeploymentRecord {
        kind,
        limits,
        since_batch: 7,
        ..streamhost_core::testing::deployment(3, 2, "gone")
    }
}

/// What becomes of a job's deployments (number, memory) when the host's limits are others than
/// those it was deployed under.
fn after_a_change(intent: Option<BatchIntent>) -> Vec<(u64, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path().join("db"))
        .open()
        .unwrap();
    let (old, new) = (
        JobLimits::default(),
        JobLimits {
            memory_bytes: 1 << 24,
            ..JobLimits::default()
        },
    );
    let record = JobRecord {
        name: "j".into(),
        paused: false,
        deployments: vec![deployment(old)],
        newest_version: 2,
    };
    Catalog::open(&db, &folder.path().join("components"))
        .unwrap()
        .save(&record)
        .unwrap();
    let checkpoint_logs = CheckpointLogs::open(&db).unwrap();
    let reached = [("t".to_owned(), [(0, 0)].into())].into();
    checkpoint_logs
        .of("j")
        .begin(&Checkpoint::begin(7, 3, 1000, reached))
        .unwrap();
    if let Some(intent) = &intent {
        checkpoint_logs.of("j").write(None, Some(intent)).unwrap();
    }
    let environment = environment(new);
    let supervisor = Supervisor::open(
        &db,
        folder.path(),
        environment,
        Compiler::Here,
        Begin::Nothing,
    )
    .unwrap();
    let status = supervisor.status("j").unwrap();
    assert_eq!(
        (status.state, status.version),
        (JobState::Stopped, 2),
        "its component is gone"
    );
    assert!(
        supervisor
            .logs("j", 0)
            .unwrap()
            .iter()
            .any(|line| line.line.contains("stopped: "))
    );
    let stored = supervisor.catalog.load().unwrap().remove(0).unwrap();
    assert!(
        stored
            .deployments
            .iter()
            .all(|d| d.since_batch == 7 && d.kind == DeploymentKind::Rollback)
    );
    supervisor.close(Stop::Drain);
    assert!(
        supervisor.pause("j").is_err(),
        "a host that stops changes nothing"
    );
    stored
        .deployments
        .iter()
        .map(|d| (d.number, d.limits.unwrap().memory_bytes))
        .collect()
}

#[test]
fn a_planned_batch_keeps_the_limits_that_it_was_planned_under() {
    let (old, new) = (JobLimits::default().memory_bytes, 1 << 24);
    let intent = |deployment, finished| {
        Some(BatchIntent {
            deployment,
            finished,
            ..streamhost_core::testing::intent(1)
        })
    };
    assert_eq!(after_a_change(None), [(3, new)]);
    assert_eq!(
        after_a_change(intent(2, false)),
        [(3, new)],
        "the plan is of another deployment"
    );
    assert_eq!(after_a_change(intent(3, false)), [(3, old), (4, new)]);
    assert_eq!(
        after_a_change(intent(3, true)),
        [(3, old)],
        "its last batch ends it"
    );
}

#[test]
fn one_job_that_cannot_be_followed_stops_alone() {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path().join("db"))
        .open()
        .unwrap();
    let limits = JobLimits::default();
    let environment = environment(limits);
    for name in ["a", "b"] {
        let record = JobRecord {
            name: name.into(),
            paused: true,
            deployments: vec![deployment(limits)],
            newest_version: 2,
        };
        Catalog::open(&db, &folder.path().join("components"))
            .unwrap()
            .save(&record)
            .unwrap();
    }
    let supervisor =
        Supervisor::open(&db, folder.path(), environment, Compiler::Here, Begin::Jobs).unwrap();
    let jobs = ["a", "b"].map(|name| supervisor.job(name).unwrap());
    let has_run = |desk: &mut actor::Desk| {
        let (life, replay_only) = (desk.control.life, false);
        desk.control.failed = None;
        desk.control.pipeline = Some(machine::Life { life, replay_only });
    };
    let ends = |name| supervisor.tell_end(name, 0, PipelineExit::Failed("gone".into()), false);
    let failed = |job: &Job| job.state().failed.clone();
    let is_gone = |job: &Job| {
        let limit = clock::monotonic() + Duration::from_secs(60);
        while failed(job).as_deref() != Some("gone") {
            assert!(clock::monotonic() < limit, "{:?}", failed(job));
            std::thread::yield_now();
        }
    };
    supervisor.at_desk("a", |desk| {
        has_run(desk); // and is amid a change that takes its time
        ends("a");
        supervisor.at_desk("b", has_run);
        ends("b");
        is_gone(&jobs[1]);
        assert_ne!(failed(&jobs[0]).as_deref(), Some("gone"));
    });
    is_gone(&jobs[0]);
}

#[test]
fn a_host_that_stops_changes_nothing_more_and_answers_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path().join("db"))
        .open()
        .unwrap();
    let record = JobRecord {
        name: "j".into(),
        paused: false,
        deployments: vec![streamhost_core::testing::deployment(1, 1, "gone")],
        newest_version: 1,
    };
    Catalog::open(&db, &folder.path().join("components"))
        .unwrap()
        .save(&record)
        .unwrap();
    let environment = environment(JobLimits::default());
    let begin = Begin::Nothing;
    let supervisor =
        Supervisor::open(&db, folder.path(), environment, Compiler::Here, begin).unwrap();
    std::thread::scope(|scope| {
        let mut waiting = Vec::new();
        supervisor.at_desk("j", |_| {
            // A change that takes its time.
            waiting.extend([
                scope.spawn(|| supervisor.pause("j").map(drop)),
                scope.spawn(|| supervisor.undeploy("j")),
            ]);
            scope.spawn(|| supervisor.close(Stop::Drain));
            while !supervisor.is_closing() {
                std::thread::yield_now();
            }
        });
        for asked in waiting {
            let told = asked.join().unwrap();
            assert!(matches!(told, Err(Refusal::Unavailable(_))), "{told:?}");
        }
    });
    let stored = supervisor.catalog.load().unwrap().remove(0).unwrap();
    assert!(!stored.paused);
}

#[test]
fn one_record_that_cannot_be_read_is_shown_and_keeps_no_other_job_from_running() {
    let folder = tempfile::tempdir().unwrap();
    let components = folder.path().join("components");
    let db = fjall::Database::builder(folder.path().join("db"))
        .open()
        .unwrap();
    let good = JobRecord {
        name: "good".into(),
        paused: true,
        deployments: vec![streamhost_core::testing::deployment(1, 1, "gone")],
        newest_version: 1,
    };
    Catalog::open(&db, &components)
        .unwrap()
        .save(&good)
        .unwrap();
    db.keyspace("jobs", fjall::KeyspaceCreateOptions::default)
        .unwrap()
        .insert("bad", b"{\"name\":")
        .unwrap();
    let of_bad = components.join("its-component.wasm");
    std::fs::write(&of_bad, b"bytes").unwrap();
    let environment = environment(JobLimits::default());
    let supervisor = Supervisor::open(
        &db,
        folder.path(),
        environment,
        Compiler::Here,
        Begin::Nothing,
    )
    .unwrap();

    let shown: Vec<_> = supervisor.list().into_iter().map(|job| job.job).collect();
    assert_eq!(shown, ["bad", "good"]);
    let bad = supervisor.status("bad").unwrap();
    let said = bad.last_error.unwrap();
    assert_eq!(bad.state, JobState::Stopped);
    assert!(
        said.contains("cannot be read") && said.contains("streamhost undeploy bad"),
        "{said}"
    );
    let refused = [
        supervisor.pause("bad").map(drop),
        supervisor.resume("bad", false).map(drop),
        supervisor.rollback("bad", None).map(drop),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(Refusal::Conflict(said)) if said.contains("cannot be read")));
    }
    supervisor.sweep();
    assert!(of_bad.exists(), "what the record names is not known");

    supervisor.undeploy("bad").unwrap();
    assert_eq!(supervisor.list().len(), 1);
    assert!(!of_bad.exists(), "no job names it");
}

#[test]
fn what_an_undeployed_job_was_and_said_is_told_until_it_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path().join("db"))
        .open()
        .unwrap();
    let record = JobRecord {
        name: "j".into(),
        paused: true,
        deployments: vec![streamhost_core::testing::deployment(1, 1, "gone")],
        newest_version: 1,
    };
    let catalog = Catalog::open(&db, &folder.path().join("components")).unwrap();
    catalog.save(&record).unwrap();
    let open = || {
        let environment = environment(JobLimits::default());
        let compiler = Compiler::Here;
        Supervisor::open(&db, folder.path(), environment, compiler, Begin::Nothing).unwrap()
    };
    let supervisor = open();
    supervisor.undeploy("j").unwrap();
    let before = supervisor.logs("j", 0).unwrap();
    assert!(before.last().unwrap().line.ends_with("undeployed"));
    drop(supervisor);

    let supervisor = open();
    assert_eq!(supervisor.logs("j", 0).unwrap(), before);
    let newest = before.last().unwrap().number;
    assert_eq!(supervisor.logs("j", newest).unwrap(), []);
    let history = supervisor.history("j").unwrap();
    assert_eq!((history.len(), history[0].active), (1, false));
    assert!(history[0].undeployed_at.is_some());
    let refused = supervisor.status("j").unwrap_err();
    assert!(
        refused.to_string().contains("was undeployed at"),
        "{refused}"
    );
    for unknown in ["k", "../j", ""] {
        let refused = supervisor.logs(unknown, 0).unwrap_err();
        assert!(matches!(refused, Refusal::NotFound(_)), "{refused}");
        assert!(supervisor.history(unknown).is_err());
    }
    catalog.save(&record).unwrap();
    drop(supervisor);
    let supervisor = open();
    let again = supervisor.logs("j", newest).unwrap();
    assert!(again.iter().all(|line| line.number > newest), "they go on");
    assert_eq!(supervisor.history("j").unwrap()[0].undeployed_at, None);
}
