//! Dead letters and keyed state that are only said to be kept.

use crate::api::{
    AskedKey, AskedKeys, BudgetStatus, Deployed, JobState, JobStatus, LetterEnd, LetterId,
    LettersAsk, LimitStatus, MemoryPart, ParameterStatus, ProbationStatus, Refusal, SinkStatus,
    SourceStatus, StageStatus, StateAsk, StateView, Waiting,
};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;
use streamhost_connectors::kafka::letters::StoredLetter;
use streamhost_core::clock;
use streamhost_core::job::{ColumnSpec, JobSpec, SinkSpec, SourceSpec, StageKind, StageSpec};
use streamhost_core::keyed::look::{Kept, KeptPage, PageStart};
use streamhost_core::protocol::{LetterMark, LetterOutcome};

/// When the first letter was sent: five seconds ago, and the same at each look.
fn first_ms() -> i64 {
    static FIRST_MS: OnceLock<i64> = OnceLock::new();
    *FIRST_MS.get_or_init(|| clock::now_ms() - 5000)
}

/// Retries or drops letters: those without a record are skipped, as are those that are remembered.
pub(super) fn change(
    marks: &mut BTreeMap<LetterId, LetterMark>,
    ids: &[LetterId],
    ask: LettersAsk,
) -> Vec<LetterEnd> {
    let one = |&id: &LetterId| {
        let again = ask == LettersAsk::Retry { again: true };
        let outcome = match ask {
            _ if marks.contains_key(&id) && !again => Err("it was retried before".to_owned()),
            LettersAsk::Drop => Ok(LetterOutcome::Dropped),
            LettersAsk::Retry { .. } if id.1 % 2 == 1 => Err("it has no record".to_owned()),
            LettersAsk::Retry { .. } => Ok(LetterOutcome::Delivered { rows: 1 }),
        };
        if let Ok(outcome) = &outcome {
            let mark = LetterMark {
                sent_ms: letter_at(id.1).at_ms,
                at_ms: clock::now_ms(),
                version: 2,
                batch: 9,
                outcome: outcome.clone(),
            };
            marks.insert(id, mark);
        }
        LetterEnd { id, outcome }
    };
    ids.iter().map(one).collect()
}

/// A dead letter; every second one is of a keyed stage.
pub(super) fn letter_at(offset: i64) -> StoredLetter {
    let at_ms = first_ms() + 1000 * offset;
    let mut headers = vec![
        ("job", "clicks".to_owned()),
        ("version", "2".to_owned()),
        ("batch", "7".to_owned()),
        ("stage", "clicks".to_owned()),
        ("reason", format!("no quantity in {}", offset % 2)),
        ("time", "1795974381190".to_owned()),
    ];
    if offset % 2 == 0 {
        headers.extend([
            ("topic", "clicks".to_owned()),
            ("partition", "1".to_owned()),
            ("offset", (1000 + offset).to_string()),
        ]);
    }
    let bytes = |(name, value): (&str, String)| (name.to_owned(), Some(value.into_bytes()));
    StoredLetter {
        partition: 0,
        offset,
        at_ms,
        key: Some(b"ann".to_vec()),
        value: Some(vec![b'x'; 300]),
        headers: headers.into_iter().map(bytes).collect(),
    }
}

/// A page of a stage's state.
pub(super) fn look(job: &str, ask: &StateAsk) -> Result<StateView, Refusal> {
    let stage = ask.stage.clone();
    if stage == "none" {
        let words = format!("job `{job}` has no keyed stage `{stage}`: there are `count`");
        return Err(Refusal::NotFound(words));
    }
    let kept = |key: &[u8], value: &[u8]| Kept {
        key: key.to_vec(),
        window_ms: Some((1_795_960_800_000, 1_795_961_100_000)),
        expires_ms: Some(1_795_961_130_000),
        joined: None,
        value: value.to_vec(),
    };
    let all = [kept(b"rust", &[0xe8, 7]), kept(b"\xff", b"\xff\xff")];
    let is_wanted = |kept: &&Kept| match &ask.keys {
        AskedKeys::Key(AskedKey::Bytes(key)) => kept.key == *key,
        AskedKeys::Prefix(AskedKey::Text(key)) => kept.key.starts_with(key.as_bytes()),
        _ => true,
    };
    let entries = all.iter().filter(is_wanted).skip(ask.start.skip);
    let entries: Vec<Kept> = entries.take(ask.most).cloned().collect();
    let next = (entries.len() == ask.most).then(|| PageStart {
        from: vec![1],
        skip: ask.start.skip + ask.most,
    });
    Ok(StateView {
        batch: 12,
        stage: StageSpec {
            name: stage,
            key_shape: "text".to_owned(),
            ..count_stage()
        },
        value_shape: "u64".to_owned(),
        page: KeptPage { entries, next },
    })
}

/// A status with everything in it.
pub(crate) fn status_of(job: &str, deployed: &Deployed, state: JobState) -> JobStatus {
    JobStatus {
        job: job.to_owned(),
        state,
        version: deployed.version,
        digest: deployed.digest.clone(),
        deployment: deployed.deployment,
        deployed_at: Some("2026-11-21T08:00:00Z".to_owned()),
        host: Some("h1".to_owned()),
        signed_by: Some("ann".to_owned()),
        probation: Some(ProbationStatus {
            version: 1,
            batches: 88,
            until: "2026-11-21T08:15:00Z".to_owned(),
        }),
        budgets: budgets(),
        over_budget: Some("max-dead-letters `0.5% over 1m`".to_owned()),
        records_in: 1000,
        rows_out: 990,
        dead_letters: 7,
        dropped: 3,
        late: 2,
        timeless: 1,
        batches: 12,
        lag: Some(5),
        last_error: Some("HBase said \"no\"\nand \u{1b}[31mmore".to_owned()),
        waiting_for: Some(Waiting {
            what: "Kafka".to_owned(),
            since: "2026-11-21T08:00:00Z".to_owned(),
        }),
        every_ms: 1000,
        group: format!("streamhost.{job}"),
        dead_letter_topic: format!("{job}.dead-letters"),
        epoch: 1,
        lanes: 2,
        sources: vec![SourceStatus {
            connector: "kafka".to_owned(),
            name: "clicks".to_owned(),
            target: "clicks".to_owned(),
            committed: [(0, 600), (1, 400)].into(),
            event_times: [(0, "2026-11-21T08:00:00.000Z".to_owned())].into(),
            jumps: BTreeMap::new(),
        }],
        stages: vec![StageStatus {
            name: "count".to_owned(),
            keys: 4,
            bytes: 400,
        }],
        watermark: Some("2026-11-21T08:00:00Z".to_owned()),
        sinks: vec![SinkStatus {
            connector: "hbase".to_owned(),
            name: "clicks".to_owned(),
            target: "c\"2".to_owned(),
            rows: 990,
        }],
        limits: limits(),
        shadow: None,
        canary: None,
        replay: None,
        parameters: parameters(),
    }
}

pub(super) fn budgets() -> Vec<BudgetStatus> {
    vec![BudgetStatus {
        budget: "max-dead-letters".to_owned(),
        most: "0.5% over 1m".to_owned(),
        usual: false,
        used: "7 dead letters of 1000 records (0.7 %) in 50s".to_owned(),
        over: true,
    }]
}

pub(super) fn limits() -> LimitStatus {
    LimitStatus {
        host_memory: vec![memory()],
        memory_bytes: 64 << 20,
        time_ms: 2000,
        batch_records: 100_000,
        batch_bytes: 16 << 20,
    }
}

fn memory() -> MemoryPart {
    MemoryPart {
        name: "instances".into(),
        bytes: 256 << 20,
    }
}

pub(super) fn parameters() -> Vec<ParameterStatus> {
    vec![ParameterStatus {
        name: "min-quantity".to_owned(),
        kind: "uint".to_owned(),
        default: "5".to_owned(),
        value: "7".to_owned(),
    }]
}

/// What the job is.
pub(super) fn spec(job: &str) -> JobSpec {
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: job.to_owned(),
        every: Duration::from_secs(1),
        sources: vec![SourceSpec {
            connector: "kafka".to_owned(),
            name: "clicks".to_owned(),
            target: "clicks".to_owned(),
            timed: true,
            ..SourceSpec::default()
        }],
        stages: vec![count_stage()],
        sinks: vec![SinkSpec {
            connector: "hbase".to_owned(),
            name: "clicks".to_owned(),
            target: "c\"2".to_owned(),
            keys: vec![ColumnSpec::key()],
            dynamic: false,
            columns: Vec::new(),
            ..SinkSpec::default()
        }],
    }
}

pub(super) fn count_stage() -> StageSpec {
    StageSpec {
        name: "count".to_owned(),
        kind: StageKind::EachBatch,
        inputs: vec![0],
        key_shape: "string".to_owned(),
        value_shape: "u64".to_owned(),
        other_shape: String::new(),
        version: 1,
        migrates: None,
    }
}
