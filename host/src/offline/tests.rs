use super::*;
use std::path::PathBuf;
use streamhost_core::job::{SinkSpec, SourceSpec};
use streamhost_core::types::Partition;

/// A job with sources of these names; the second one is a table.
fn job(sources: &[&str]) -> JobSpec {
    let source = |(i, name): (usize, &&str)| SourceSpec {
        name: (*name).to_owned(),
        target: (*name).to_owned(),
        table: i == 1,
        ..SourceSpec::default()
    };
    JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "job".to_owned(),
        every: std::time::Duration::ZERO,
        sources: sources.iter().enumerate().map(source).collect(),
        stages: Vec::new(),
        sinks: Vec::<SinkSpec>::new(),
    }
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("input");
    std::fs::write(&path, text).expect("written");
    (folder, path)
}

fn read(
    sources: &[&str],
    text: &str,
    source: Option<&str>,
    format: InputFormat,
) -> Result<Vec<String>, String> {
    let (job, (_folder, path)) = (job(sources), file(text));
    let mut input = Input::default();
    input
        .read(&job, &path, source, format)
        .map_err(|e| e.to_string().replace(&path.display().to_string(), "F"))?;
    let batches = input.batches(&job, Cuts::Whole);
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or("-".to_owned(), |bytes| {
            String::from_utf8_lossy(bytes).into_owned()
        })
    };
    let chunks = batches.iter().flat_map(|batch| &batch.chunks);
    let records =
        chunks.flat_map(|chunk| (0..chunk.len()).map(move |i| (chunk.partition, chunk.get(i))));
    let shown = |(at, record): (Partition, streamhost_core::types::Record<'_>)| {
        format!(
            "{}/{}@{} {} {} {}",
            at.source,
            at.id,
            record.offset,
            text(record.key),
            text(record.value),
            record.time_ms
        )
    };
    Ok(records.map(shown).collect())
}

#[test]
fn files_are_records() {
    use InputFormat::{Json, Lines};
    let cases: [(&str, Option<&str>, InputFormat, &[&str]); 8] = [
        ("", None, Lines, &[]),
        ("a\nb", None, Lines, &["0/0@0 - a 0", "0/0@1 - b 0"]),
        ("a\r\n\n", Some("in"), Lines, &["0/0@0 - a 0", "0/0@1 -  0"]),
        (r#"{"value":"text"}"#, None, Json, &["0/0@0 - text 0"]),
        (
            r#"{"value": {"n": 1.50},"key":"k","time":7,"partition":3}"#,
            None,
            Json,
            &[r#"0/3@0 k {"n": 1.50} 7"#],
        ),
        (r#"{"value":null,"key":"k"}"#, None, Json, &["0/0@0 k - 0"]),
        (
            r#"{"value":1,"time":"1970-01-01T00:00:01Z","source":"in"}"#,
            None,
            Json,
            &["0/0@0 - 1 1000"],
        ),
        ("\n{\"value\":1}\n\n", None, Json, &["0/0@0 - 1 0"]),
    ];
    for (text, source, format, want) in cases {
        let found = read(&["in"], text, source, format);
        assert_eq!(
            found.as_deref(),
            Ok(want.map_strings().as_slice()),
            "{text}"
        );
    }
}

/// The same as owned texts.
trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}
impl MapStrings for &[&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    use InputFormat::{Json, Lines};
    type Case = (
        &'static [&'static str],
        &'static str,
        Option<&'static str>,
        InputFormat,
        &'static str,
    );
    let cases: [Case; 8] = [
        (
            &["a", "b"],
            "x",
            None,
            Lines,
            "several sources: say which one, as in `--input a=FILE`",
        ),
        (
            &["a"],
            "x",
            Some("c"),
            Lines,
            "the job has no source `c`, but `a`",
        ),
        (
            &["a"],
            "{\"value\":1}\nx",
            None,
            Json,
            "F: line 2: expected value",
        ),
        (&["a"], "{}", None, Json, "F: line 1: missing field `value`"),
        (
            &["a"],
            r#"{"value":1,"tme":2}"#,
            None,
            Json,
            "unknown field `tme`",
        ),
        (
            &["a"],
            r#"{"value":1,"time":"yesterday"}"#,
            None,
            Json,
            "the time `yesterday`",
        ),
        (
            &["a"],
            r#"{"value":1,"partition":-1}"#,
            None,
            Json,
            "0 or more, not -1",
        ),
        (
            &["a", "b"],
            r#"{"value":1,"source":"c"}"#,
            None,
            Json,
            "F: line 1: the job has no source `c`",
        ),
    ];
    for (sources, text, source, format, want) in cases {
        let refused = read(sources, text, source, format).expect_err(want);
        assert!(refused.contains(want), "{text}: {refused}");
    }
}

#[test]
fn tables_come_first_and_every_batch_has_every_partition() {
    let (job, mut input) = (job(&["stream", "table"]), Input::default());
    let at = |source, id| Partition { source, id };
    for (partition, offset) in [(at(0, 0), 5), (at(1, 0), 0), (at(0, 1), 9)] {
        input.begin_at(partition, offset);
        input.push(partition, None, Some(b"x".to_vec()), 0);
    }
    let spans = |cuts| -> Vec<Vec<(u16, i32, i64, i64)>> {
        let batches = input.batches(&job, cuts);
        let of = |batch: &Batch| {
            let spans = batch.spans.iter();
            spans
                .map(|(p, span)| (p.source, p.id, span.from, span.to))
                .collect()
        };
        batches.iter().map(of).collect()
    };
    let table = vec![(0, 0, 5, 5), (0, 1, 9, 9), (1, 0, 0, 1)];
    assert_eq!(
        spans(Cuts::Whole),
        [
            table.clone(),
            vec![(0, 0, 5, 6), (0, 1, 9, 10), (1, 0, 1, 1)]
        ]
    );
    assert_eq!(
        spans(Cuts::Single),
        [
            table,
            vec![(0, 0, 5, 6), (0, 1, 9, 9), (1, 0, 1, 1)],
            vec![(0, 0, 6, 6), (0, 1, 9, 10), (1, 0, 1, 1)],
        ]
    );
}
