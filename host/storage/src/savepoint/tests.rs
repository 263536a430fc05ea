use super::*;
use crate::catalog::sha256;
use streamhost_core::job::StageKind;
use streamhost_core::protocol::{LetterMark, LetterOutcome, LetterPlace};
use streamhost_core::state::StageFacts;
use streamhost_core::testing::{checkpoint, deployment};

fn marked(offset: i64) -> MarkedLetter {
    MarkedLetter {
        place: LetterPlace {
            topic: "d".to_owned(),
            partition: 0,
            offset,
        },
        mark: LetterMark {
            sent_ms: 1,
            at_ms: 2,
            version: 3,
            batch: 4,
            outcome: LetterOutcome::Delivered { rows: 2 },
        },
    }
}

fn facts() -> SavepointFacts {
    let stage = StageFacts {
        id: 9,
        fingerprint: "f".to_owned(),
        shape: ("u64".to_owned(), 1),
        keys: 2,
        bytes: 9,
    };
    let mut saved = checkpoint(4);
    saved.stages = [
        ("count".to_owned(), stage.clone()),
        ("sum".to_owned(), stage),
    ]
    .into();
    SavepointFacts {
        taken_ms: 5,
        program: "1".to_owned(),
        stopped: true,
        record: JobRecord {
            name: "a".to_owned(),
            paused: true,
            deployments: vec![
                deployment(2, 1, &sha256(b"one")),
                deployment(3, 2, &sha256(b"two")),
            ],
            newest_version: 2,
        },
        checkpoint: saved,
        stages: vec![StageSpec {
            name: "count".to_owned(),
            kind: StageKind::Running { expire_ms: None },
            inputs: vec![0],
            key_shape: "string".to_owned(),
            value_shape: "u64".to_owned(),
            other_shape: String::new(),
            version: 1,
            migrates: None,
        }],
    }
}

fn entry(key: &[u8], value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), value.to_vec())
}

fn written() -> Vec<u8> {
    let mut writer = SavepointWriter::begin(Vec::new(), &facts()).unwrap();
    for bytes in [&b"one"[..], b"two"] {
        writer.component(bytes).unwrap();
    }
    let marks: Vec<_> = (0..1500).map(marked).collect();
    writer.marks(&marks).unwrap();
    let counts = [entry(&[0, 1], b"timer"), entry(&[1, b'x'], b"7")];
    writer.state(0, &counts).unwrap();
    writer.state(0, &[entry(&[1, b'y'], b"")]).unwrap();
    writer.state(1, &[entry(&[1, b'a'], b"8")]).unwrap();
    let (bytes, length) = writer.end().unwrap();
    assert_eq!(bytes.len() as u64, length);
    bytes
}

#[test]
fn what_was_written_is_read() {
    let bytes = written();
    let found = summary(&bytes[..]).unwrap();
    assert_eq!(found.facts, facts());
    assert_eq!(found.components.len(), 2);
    assert_eq!(found.components[&sha256(b"two")], 3);
    assert_eq!(found.marks, 1500);
    let of = |at: usize| {
        let stage = &found.stages[at];
        (stage.name.as_str(), stage.entries, stage.keys, stage.bytes)
    };
    assert_eq!((of(0), of(1)), (("count", 3, 2, 12), ("sum", 1, 1, 3)));
    let samples = [entry(&[1, b'x'], b"7"), entry(&[1, b'y'], b"")];
    assert_eq!(found.stages[0].samples, samples);
    let (_, mut reader) = SavepointReader::begin(&bytes[..]).unwrap();
    let mut marks = Vec::new();
    while let Some(section) = reader.read().unwrap() {
        if let Section::Marks(some) = section {
            marks.extend(some);
        }
    }
    assert_eq!(marks, (0..1500).map(marked).collect::<Vec<_>>());
    assert!(reader.read().unwrap().is_none(), "and then again");
}

/// Every byte of it counts: none can be another one, and none can lack.
#[test]
fn a_file_that_is_cut_or_altered_is_refused() {
    let bytes = written();
    let places =
        (0..bytes.len()).filter(|at| *at < 2000 || *at + 2000 > bytes.len() || at % 997 == 0);
    for at in places {
        let cut = summary(&bytes[..at]).unwrap_err();
        let is_said = matches!(
            cut,
            SavepointError::Cut { .. } | SavepointError::Altered { .. } | SavepointError::Other
        );
        assert!(is_said, "cut at {at}: {cut}");
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert!(summary(&altered[..]).is_err(), "altered at {at}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(summary(&longer[..]).is_err());
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let bytes = written();
    let newer = |at: usize| {
        let mut newer = bytes.clone();
        newer[at] = 9;
        newer
    };
    let mut other_job = facts();
    other_job.record.deployments.clear();
    let without = |facts: &SavepointFacts, act: &dyn Fn(&mut SavepointWriter<Vec<u8>>)| {
        let mut writer = SavepointWriter::begin(Vec::new(), facts).unwrap();
        act(&mut writer);
        writer.end().unwrap().0
    };
    let two = |writer: &mut SavepointWriter<Vec<u8>>| writer.component(b"two").unwrap();
    let cases: [(Vec<u8>, &str); 9] = [
        (Vec::new(), "this is no savepoint"),
        (
            b"\0asm and more than twenty bytes".to_vec(),
            "this is no savepoint",
        ),
        (
            newer(MAGIC.len()),
            "in format 9, and this streamhost reads format 1",
        ),
        (bytes[..bytes.len() - 1].to_vec(), "is cut off"),
        (without(&other_job, &two), "cannot be read"),
        (without(&facts(), &|_| {}), "active version is not in it"),
        (
            without(&facts(), &|writer| {
                writer.marks(&[marked(1)]).unwrap();
                writer.component(b"two").unwrap();
            }),
            "not in order",
        ),
        (
            without(&facts(), &|writer| {
                writer.state(7, &[entry(b"k", b"v")]).unwrap()
            }),
            "state of no stage",
        ),
        (
            without(&facts(), &|writer| {
                writer.state(0, &[entry(b"k", b"v")]).unwrap();
                writer.state(0, &[entry(b"k", b"v")]).unwrap();
            }),
            "not in order",
        ),
    ];
    for (bytes, words) in cases {
        let refused = summary(&bytes[..]).unwrap_err().to_string();
        assert!(refused.contains(words), "{words}: {refused}");
    }
}

#[test]
fn numbers_that_no_job_has_are_refused() {
    let changes: [fn(&mut SavepointFacts); 7] = [
        |facts| facts.checkpoint.epoch = u64::MAX,
        |facts| facts.checkpoint.batch = u64::MAX,
        |facts| facts.checkpoint.time_ms = i64::MAX,
        |facts| facts.checkpoint.deployment = 99,
        |facts| facts.record.deployments[1].number = u64::MAX,
        |facts| facts.record.deployments[0].version = u64::MAX,
        |facts| facts.record.deployments.reverse(),
    ];
    for (at, change) in changes.iter().enumerate() {
        let mut changed = facts();
        change(&mut changed);
        let read = SavepointFacts::read(&changed.stored().unwrap());
        assert!(matches!(read, Err(SavepointError::Altered { .. })), "{at}");
    }
}

#[test]
fn a_record_of_a_newer_release_is_named() {
    let mut stored: Value = serde_json::from_slice(&facts().stored().unwrap()).unwrap();
    stored["checkpoint"]["format"] = 99.into();
    let refused = SavepointFacts::read(&serde_json::to_vec(&stored).unwrap()).unwrap_err();
    let words = "checkpoints in format 99, and this streamhost reads format 1";
    assert!(refused.to_string().contains(words), "{refused}");
}
