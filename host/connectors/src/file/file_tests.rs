use super::*;
use crate::file::errors::io_error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::io::{self, ErrorKind};
use streamhost_core::job::connector::Options;
use streamhost_core::job::settings::BatchLimits;
use streamhost_core::types::Spans;
use streamhost_engine::batch::Batch;

const LONG: Duration = Duration::from_secs(60);

/// A generator of numbers that look random, and are the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn spec(place: &Path, follow: bool) -> SourceSpec {
    SourceSpec {
        target: place.to_str().unwrap().to_owned(),
        options: Options::default().with("follow", follow),
        ..SourceSpec::default()
    }
}

fn source(place: &Path, follow: bool) -> FileSource {
    FileSource::new(1, &spec(place, follow), false)
}

fn partition(name: &str) -> Partition {
    Partition {
        source: 1,
        id: folder::id(std::ffi::OsStr::new(name)),
    }
}

fn gzip(content: &[u8], members: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for part in content.chunks(content.len().div_ceil(members).max(1)) {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        all.extend(encoder.finish().unwrap());
    }
    all
}

fn append(path: &Path, text: &str) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn values(batch: &Batch) -> Vec<String> {
    let all = batch.chunks.iter().flat_map(|chunk| chunk.values.iter());
    all.map(|value| String::from_utf8(value.to_vec()).unwrap())
        .collect()
}

fn fetch_while(
    source: &mut FileSource,
    at: &Positions,
    goes_on: impl Fn(&FileSource, &BatchBuilder) -> bool,
) -> Batch {
    let mut builder = BatchBuilder::open(at, BatchLimits::default());
    let deadline = Instant::now() + LONG;
    while goes_on(source, &builder) {
        assert!(
            Instant::now() < deadline,
            "what was waited for did not come"
        );
        source.fetch(&mut builder, limits::FETCH_WAIT).unwrap();
    }
    builder.close()
}

/// Everything, from the begin to the end.
fn whole(place: &Path) -> Batch {
    let mut source = source(place, false);
    let at = source.start(StartPosition::Earliest).unwrap();
    source.assign(&at).unwrap();
    fetch_while(&mut source, &at, |source, builder| {
        !source.is_exhausted(&builder.end_positions())
    })
}

#[test]
fn all_files_of_a_folder_are_read_to_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one\r\ntwo\n\nlast").unwrap();
    fs::write(path("b.gz"), gzip(b"three\nfour\nfive", 2)).unwrap();
    fs::write(
        path("c.zst"),
        zstd::encode_all(&b"six\nseven\n"[..], 1).unwrap(),
    )
    .unwrap();
    fs::write(path("d.gz"), b"").unwrap();
    fs::write(path("e.txt"), b"").unwrap();
    let mut source = source(folder.path(), false);
    assert_eq!(source.partitions().unwrap().len(), 5);
    let batch = whole(folder.path());
    let mut found = values(&batch);
    found.sort();
    assert_eq!(
        found,
        [
            "", "five", "four", "last", "one", "seven", "six", "three", "two"
        ]
    );
    let of = |name: &str| {
        batch
            .chunks
            .iter()
            .find(|chunk| chunk.partition == partition(name))
            .unwrap()
    };
    assert_eq!(of("a.txt").offsets, [0, 5, 9, 10]);
    assert_eq!(of("b.gz").offsets, [0, 6, 11]);
    let changed = fs::metadata(path("a.txt"))
        .unwrap()
        .modified()
        .unwrap()
        .duration_since(UNIX_EPOCH)
        .unwrap();
    assert_eq!(of("a.txt").times_ms, [changed.as_millis() as i64; 4]);
    assert!(of("a.txt").absent_keys.len() == 4 && source.is_replayable(1));
    assert_eq!(batch.spans[&partition("a.txt")].to, 14);
    assert_eq!(
        values(&whole(&path("a.txt"))),
        ["one", "two", "", "last"],
        "a file alone"
    );
}

#[test]
fn an_empty_folder_is_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut source = source(folder.path(), false);
    assert!(!source.is_exhausted(&Positions::new()), "nobody looked yet");
    assert_eq!(
        source.start(StartPosition::Earliest).unwrap(),
        Positions::new()
    );
    assert!(source.is_exhausted(&Positions::new()));
}

/// The model: the lines of each file with their positions, worked out from the whole text.
fn model(text: &[u8]) -> Vec<(Offset, Vec<u8>)> {
    let mut at = 0;
    let lines = text.split_inclusive(|&byte| byte == b'\n').map(|line| {
        let begin = at;
        at += line.len() as Offset;
        let line = line
            .strip_suffix(b"\n")
            .map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        (begin, line.to_vec())
    });
    lines.collect()
}

#[test]
fn offsets_are_right_at_any_restart_and_batches_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut draw = Draw(42);
    let mut want: BTreeMap<Partition, Vec<(Offset, Vec<u8>)>> = BTreeMap::new();
    for name in ["a.txt", "b.txt", "c.gz", "d.zst"] {
        let mut text = Vec::new();
        for _ in 0..300 {
            text.extend(
                (0..draw.below(60))
                    .map(|_| b'a' + draw.below(26) as u8)
                    .collect::<Vec<_>>(),
            );
            text.extend(["\n", "\r\n", "\n\n"][draw.below(3)].as_bytes());
        }
        text.extend(b"without an end".iter().take(draw.below(15)));
        let stored = match Form::of(Path::new(name)) {
            Form::Plain => text.clone(),
            Form::Gzip => gzip(&text, 3),
            Form::Zstd => zstd::encode_all(&text[..], 1).unwrap(),
        };
        fs::write(folder.path().join(name), stored).unwrap();
        want.insert(partition(name), model(&text));
    }
    let mut source = source(folder.path(), false);
    let mut at = source.start(StartPosition::Earliest).unwrap();
    let (mut found, mut batches): (BTreeMap<Partition, Vec<_>>, Vec<Batch>) =
        (BTreeMap::new(), Vec::new());
    source.assign(&at).unwrap();
    while !source.is_exhausted(&at) {
        if draw.below(3) == 0 {
            source = self::source(folder.path(), false);
            source.assign(&at).unwrap();
        }
        let limits = BatchLimits {
            records_max: 1 + draw.below(100),
            bytes_max: 1 + draw.below(2000),
        };
        let mut builder = BatchBuilder::open(&at, limits);
        source.fetch(&mut builder, Duration::ZERO).unwrap();
        let batch = builder.close();
        at = batch.end_positions();
        for chunk in &batch.chunks {
            let lines = (0..chunk.len()).map(|i| (chunk.offsets[i], chunk.values.get(i).to_vec()));
            found.entry(chunk.partition).or_default().extend(lines);
        }
        batches.push(batch);
    }
    assert!(
        found == want && batches.len() > 20,
        "{} batches",
        batches.len()
    );
    for n in (0..batches.len()).step_by(7).chain([0, batches.len() - 1]) {
        let mut source = self::source(folder.path(), false);
        let moved: Spans = batches[n]
            .spans
            .iter()
            .filter(|(_, s)| s.to > s.from)
            .map(|(&p, &s)| (p, s))
            .collect();
        source
            .assign(&moved.iter().map(|(&p, span)| (p, span.from)).collect())
            .unwrap();
        let mut again = BatchBuilder::exactly(&batches[n].spans);
        while !again.is_complete() {
            source.fetch(&mut again, Duration::ZERO).unwrap();
        }
        assert_eq!(again.close().chunks, batches[n].chunks, "batch {n}");
    }
}

#[test]
fn a_followed_folder_gives_what_comes_and_waits_for_the_end_of_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    append(&path("a.log"), "one\ntwo\nthr");
    let mut source = source(folder.path(), true);
    let mut at = source.start(StartPosition::Earliest).unwrap();
    assert_eq!(source.partitions().unwrap(), [partition("a.log")]);
    source.assign(&at).unwrap();
    let upto = |n: usize| move |_: &FileSource, builder: &BatchBuilder| builder.records() < n;
    let batch = fetch_while(&mut source, &at, upto(2));
    assert_eq!(values(&batch), ["one", "two"]);
    at = batch.end_positions();
    assert_eq!(
        (at[&partition("a.log")], source.ends()),
        (8, at.clone()),
        "the unfinished line is no lag"
    );
    append(&path("a.log"), "ee\n");
    append(&path("b.log"), "new\n");
    let batch = fetch_while(&mut source, &at, upto(1));
    assert_eq!(values(&batch), ["three"]);
    at = batch.end_positions();
    let batch = fetch_while(&mut source, &at, |source, _| !source.has_new_partitions());
    assert_eq!(source.partitions().unwrap().len(), 2);
    assert!(
        batch.records() == 0 && !source.has_new_partitions(),
        "partitions were named"
    );
    at.insert(partition("b.log"), 0);
    source.assign(&at).unwrap();
    assert_eq!(values(&fetch_while(&mut source, &at, upto(1))), ["new"]);
    assert!(!source.is_replayable(1) && !source.is_exhausted(&at));
}

#[test]
fn a_compressed_file_that_is_not_whole_is_waited_for_when_it_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.gz");
    let all = [gzip(b"one\ntwo\n", 1), gzip(b"three\nfour\n", 1)];
    let part = [&all[0][..], &all[1][..all[1].len() - 9]].concat();
    fs::write(&path, &part).unwrap();

    let mut once = source(&path, false);
    let at = once.start(StartPosition::Earliest).unwrap();
    once.assign(&at).unwrap();
    let mut builder = BatchBuilder::open(&at, BatchLimits::default());
    let error = once.fetch(&mut builder, LONG).unwrap_err().to_string();
    assert!(
        error.contains("gzip data stop in the middle, after byte "),
        "{error}"
    );
    assert!(builder.records() >= 2, "what came before is good");

    let mut followed = source(&path, true);
    followed.assign(&at).unwrap();
    let first = fetch_while(&mut followed, &at, |source, _| {
        source.files[0].end.is_none()
    });
    fs::write(&path, all.concat()).unwrap();
    let at = first.end_positions();
    let rest = fetch_while(&mut followed, &at, |_, builder| {
        builder.records() + (first.records() as usize) < 4
    });
    assert_eq!(
        [values(&first), values(&rest)].concat(),
        ["one", "two", "three", "four"]
    );
}

#[test]
fn damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "some text that is long enough\n".repeat(1000);
    let zstd = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    let middle = zstd.len() / 2;
    for (name, whole, from, want) in [
        (
            "a.gz",
            gzip(lines.as_bytes(), 1),
            10,
            "gzip data are damaged before byte",
        ),
        (
            "b.gz",
            gzip(lines.as_bytes(), 1)[..100].to_vec(),
            100,
            "gzip data stop in the middle, after byte 100",
        ),
        (
            "c.gz",
            b"no gzip at all".to_vec(),
            14,
            "gzip data are damaged before byte 14",
        ),
        (
            "a.zst",
            zstd.clone(),
            middle,
            "zstd data are damaged before byte",
        ),
        (
            "b.zst",
            zstd[..middle].to_vec(),
            middle,
            "zstd data stop in the middle, after byte",
        ),
    ] {
        let path = folder.path().join(name);
        let mut broken = whole.clone();
        broken[from..].iter_mut().for_each(|byte| *byte = 0xff);
        fs::write(&path, broken).unwrap();
        let mut source = source(&path, false);
        let at = source.start(StartPosition::Earliest).unwrap();
        source.assign(&at).unwrap();
        let error = source
            .fetch(&mut BatchBuilder::open(&at, BatchLimits::default()), LONG)
            .unwrap_err();
        assert!(
            matches!(error, SourceError::Refused { what: "file", .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().contains(want) && error.to_string().contains(name),
            "{name}: {error}"
        );
    }
}

/// What spreadsheets and tapes leave in files.
#[test]
fn marks_of_an_encoding_and_padding_are_no_part_of_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let marked = b"\xef\xbb\xbfname,n\r\n\xef\xbb\xbfann,1\n";
    fs::write(folder.path().join("a.csv"), marked).unwrap();
    let padded = [&gzip(marked, 2)[..], &[0; 512]].concat();
    fs::write(folder.path().join("b.gz"), padded).unwrap();
    for name in ["a.csv", "b.gz"] {
        let batch = whole(&folder.path().join(name));
        assert_eq!(values(&batch), ["name,n", "\u{feff}ann,1"], "{name}");
        assert_eq!(batch.chunks[0].offsets, [0, 11], "{name}");
    }
    let refused = |content: &[u8]| {
        let path = folder.path().join("c.csv");
        fs::write(&path, content).unwrap();
        let mut source = source(&path, false);
        let at = source.start(StartPosition::Earliest).unwrap();
        source.assign(&at).unwrap();
        let mut builder = BatchBuilder::open(&at, BatchLimits::default());
        source.fetch(&mut builder, LONG).unwrap_err().to_string()
    };
    for content in [&b"\xff\xfea\0\n\0"[..], b"\xfe\xff\0a\0\n"] {
        let said = refused(content);
        assert!(said.contains("UTF-16") && said.contains("iconv"), "{said}");
    }
}

#[test]
fn what_is_gone_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    fs::write(&path, "one\ntwo\nthree\n").unwrap();
    let batch = whole(&path);
    let fetch = |place: &Path, follow: bool, mut builder: BatchBuilder| {
        let mut source = source(place, follow);
        source.assign(&builder.end_positions())?;
        source.fetch(&mut builder, Duration::ZERO).map(|()| builder)
    };
    let at: Positions = [(partition("a.txt"), 14)].into();
    let open = || BatchBuilder::open(&at, BatchLimits::default());
    assert!(
        fetch(&path, false, open()).is_ok(),
        "the very end is no gap"
    );
    fs::write(&path, "one\n").unwrap();
    for (follow, builder) in [
        (false, open()),
        (true, open()),
        (false, BatchBuilder::exactly(&batch.spans)),
    ] {
        let error = fetch(&path, follow, builder).unwrap_err();
        assert!(
            matches!(
                &error,
                SourceError::Gone {
                    reason: Loss::FileShort,
                    ..
                }
            ),
            "{error}"
        );
    }
    fs::remove_file(&path).unwrap();
    let error = fetch(&path, false, open()).unwrap_err();
    assert!(matches!(error, SourceError::PathMissing { .. }), "{error}");
    let error = fetch(folder.path(), false, BatchBuilder::exactly(&batch.spans)).unwrap_err();
    assert!(
        matches!(
            &error,
            SourceError::Gone {
                reason: Loss::FileMissing,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        fetch(folder.path(), false, open()).unwrap().is_empty(),
        "files may be cleared away between two runs"
    );
}

/// A followed folder of these files with two lines each, all of which were read.
fn read_folder(names: &[&str]) -> (tempfile::TempDir, FileSource, Positions) {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        append(&folder.path().join(name), "one\ntwo\n");
    }
    let mut source = source(folder.path(), true);
    let at = source.start(StartPosition::Earliest).unwrap();
    source.partitions().unwrap();
    source.assign(&at).unwrap();
    let batch = fetch_while(&mut source, &at, |_, builder| {
        builder.records() < 2 * names.len()
    });
    (folder, source, batch.end_positions())
}

/// Fetches once, without waiting.
fn fetch(source: &mut FileSource, at: &Positions) -> Result<Batch, SourceError> {
    let mut builder = BatchBuilder::open(at, BatchLimits::default());
    source
        .fetch(&mut builder, Duration::ZERO)
        .map(|()| builder.close())
}

fn loss(source: &mut FileSource, at: &Positions) -> Loss {
    match fetch(source, at) {
        Err(SourceError::Gone { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_followed_file_that_shrinks_or_goes_unread_is_gone() {
    for (change, want) in [
        (
            fs::remove_file as fn(PathBuf) -> io::Result<()>,
            Loss::FileMissing,
        ),
        (|path| File::create(path).map(drop), Loss::FileShort),
    ] {
        let (folder, mut source, mut at) = read_folder(&["a", "b"]);
        at.insert(partition("b"), 4); // as if only the first line had been in a batch
        change(folder.path().join("b")).unwrap();
        source.look().unwrap();
        assert!(
            !source.finished_partitions(&at).contains(&partition("b")),
            "it is not read"
        );
        assert_eq!(loss(&mut source, &at), want);
    }
}

#[test]
fn a_followed_file_that_was_read_and_went_is_forgotten() {
    let (folder, mut source, mut at) = read_folder(&["a", "b"]);
    assert!(source.finished_partitions(&at).is_empty() && !source.has_new_partitions());
    append(&folder.path().join("a"), "late\n");
    fs::rename(folder.path().join("a"), folder.path().join(".a")).unwrap();
    source.look().unwrap();
    assert!(
        !source.has_new_partitions(),
        "it may have grown, and is open still"
    );
    let batch = fetch(&mut source, &at).unwrap();
    assert_eq!(values(&batch), ["late"]);
    at = batch.end_positions();
    fetch(&mut source, &at).unwrap();
    assert!(source.has_new_partitions());
    assert_eq!(source.partitions().unwrap(), [partition("b")]);
    assert_eq!(source.finished_partitions(&at), [partition("a")]);
    at.remove(&partition("a"));
    source.assign(&at).unwrap();
    assert_eq!((source.files.len(), source.by_id.len()), (1, 1));

    at.insert(partition("of before"), 7);
    assert_eq!(
        source.finished_partitions(&at),
        [partition("of before")],
        "this process never saw it"
    );
    fs::remove_file(folder.path().join("b")).unwrap();
    source.look().unwrap();
    assert_eq!(fetch(&mut source, &at).unwrap().records(), 0);
    assert!(
        source.finished_partitions(&at).is_empty(),
        "a folder without files may be one that is not mounted"
    );
    let once = self::source(folder.path(), false);
    assert!(once.finished_partitions(&at).is_empty());
}

#[test]
fn a_file_that_replaces_another_of_its_name_is_read_from_its_begin() {
    let replace = |folder: &Path, text: &str| {
        append(&folder.join("new.tmp"), text);
        fs::rename(folder.join("new.tmp"), folder.join("a")).unwrap();
    };
    // The older one was read to its end.
    let (folder, mut source, mut at) = read_folder(&["a"]);
    replace(folder.path(), "a longer line\nand another\n");
    source.look().unwrap();
    assert_eq!(
        fetch(&mut source, &at).unwrap().records(),
        0,
        "of the older one"
    );
    assert!(source.has_new_partitions() && source.partitions().unwrap().is_empty());
    assert_eq!(source.finished_partitions(&at), [partition("a")]);
    at.clear();
    source.assign(&at).unwrap();
    assert!(source.has_new_partitions());
    assert_eq!(source.partitions().unwrap(), [partition("a")]);
    at.insert(partition("a"), 0);
    source.assign(&at).unwrap();
    assert_eq!(
        values(&fetch(&mut source, &at).unwrap()),
        ["a longer line", "and another"]
    );

    // It was not, and is not open any more.
    let (folder, mut source, at) = read_folder(&["a"]);
    append(&folder.path().join("a"), "three\n");
    source.look().unwrap();
    source.open.clear();
    replace(folder.path(), "a longer line\nand another\n");
    source.look().unwrap();
    assert!(source.finished_partitions(&at).is_empty());
    assert_eq!(loss(&mut source, &at), Loss::FileReplaced);

    // Nothing of it was read.
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("a"), "one\n");
    let mut source = self::source(folder.path(), true);
    let at = source.start(StartPosition::Earliest).unwrap();
    source.assign(&at).unwrap();
    replace(folder.path(), "another\n");
    source.look().unwrap();
    assert_eq!(values(&fetch(&mut source, &at).unwrap()), ["another"]);
}

#[test]
fn a_followed_file_alone_may_be_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    append(&path, "one\n");
    let mut source = source(&path, true);
    let mut at = source.start(StartPosition::Earliest).unwrap();
    source.assign(&at).unwrap();
    at = fetch(&mut source, &at).unwrap().end_positions();
    fs::rename(&path, folder.path().join("log.1")).unwrap();
    source.look().unwrap();
    at = fetch(&mut source, &at).unwrap().end_positions();
    assert!(
        source.partitions().unwrap().is_empty() && source.finished_partitions(&at).is_empty(),
        "there is no other one yet"
    );
    append(&path, "two\n");
    source.look().unwrap();
    assert!(source.has_new_partitions());
    assert_eq!(source.finished_partitions(&at), [partition("log")]);
    source.assign(&Positions::new()).unwrap();
    at.insert(partition("log"), 0);
    source.assign(&at).unwrap();
    assert_eq!(values(&fetch(&mut source, &at).unwrap()), ["two"]);
}

#[test]
fn what_is_shorter_now_is_read_from_its_begin_by_whoever_skips_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    append(&folder.path().join("a"), "one\n");
    append(&folder.path().join("b"), "one\n");
    fs::write(folder.path().join("c.gz"), gzip(b"one\n", 1)).unwrap();
    fs::write(folder.path().join("d.gz"), b"damaged").unwrap();
    let mut source = source(folder.path(), true);
    let at = ["a", "b", "c.gz", "d.gz"]
        .map(partition)
        .into_iter()
        .zip([4, 5, 5, 5])
        .collect();
    assert_eq!(
        source.lost(&at).unwrap(),
        [(partition("b"), 0), (partition("c.gz"), 0)].into()
    );
}

/// What is done to a file that was read, and whether it is read on then. Its position is 8.
#[test]
fn a_file_that_is_another_now_is_not_read_on_in_this_life_or_the_next() {
    type Change = (
        &'static str,
        fn(&Path),
        Result<&'static [&'static str], Loss>,
    );
    const OTHER: &str = "else\nand\nlonger\n";
    let changes: [Change; 4] = [
        ("nothing", |_| {}, Ok(&[])),
        ("grows", |path| append(path, "six\n"), Ok(&["six"])),
        (
            "is truncated and grows again",
            |path| fs::write(path, OTHER).unwrap(),
            Err(Loss::FileChanged),
        ),
        (
            "is replaced",
            |path| {
                let beside = path.with_extension("tmp");
                fs::write(&beside, OTHER).unwrap();
                fs::rename(beside, path).unwrap();
            },
            Err(Loss::FileChanged),
        ),
    ];
    for (what, change, expected) in changes {
        for is_followed in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a");
            append(&path, "one\ntwo\n");
            let mut first = source(folder.path(), is_followed);
            let begin = first.start(StartPosition::Earliest).unwrap();
            first.assign(&begin).unwrap();
            let read = fetch_while(&mut first, &begin, |_, builder| builder.records() < 2);
            let at = read.end_positions();
            assert_eq!(at[&partition("a")], 8);
            change(&path);
            let texts = |batch: Result<Batch, SourceError>| match batch {
                Ok(batch) => Ok(values(&batch)),
                Err(SourceError::Gone { reason, .. }) => Err(reason),
                Err(other) => panic!("{what}: {other}"),
            };
            let wanted = expected.map(|lines| lines.iter().map(|l| l.to_string()).collect());
            // In this life: of a file that was given another name the rest is read, so it is not
            // among these.
            if is_followed && what != "is replaced" {
                first.look().unwrap();
                assert_eq!(texts(fetch(&mut first, &at)), wanted, "{what}");
            }
            let mut next = source(folder.path(), is_followed);
            next.recognize(&read.marks);
            next.assign(&at).unwrap();
            let is_other = expected.is_err();
            let lost = next.lost(&at).unwrap();
            assert_eq!(lost.contains_key(&partition("a")), is_other, "{what}");
            assert_eq!(texts(fetch(&mut next, &at)), wanted, "{what}, a later life");
            if is_other {
                let anew = texts(fetch(&mut next, &lost));
                assert_eq!(anew, Ok(vec!["else".into(), "and".into(), "longer".into()]));
            }
        }
    }
}

#[test]
fn to_its_end_a_file_that_grows_is_read_to_the_line_end_it_had_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    append(&path, "one\ntwo\nthr");
    let mut source = FileSource::new(1, &spec(folder.path(), true), true);
    let at = source.start(StartPosition::Earliest).unwrap();
    source.assign(&at).unwrap();
    append(&path, "ee\nfour\n");
    let batch = fetch_while(&mut source, &at, |source, builder| {
        !source.is_exhausted(&builder.end_positions())
    });
    assert_eq!(
        (values(&batch), batch.end_positions()),
        (vec!["one".into(), "two".into()], source.ends())
    );
    assert!(!source.is_replayable(1), "its time changes as it grows");
    let mut again = FileSource::new(1, &spec(folder.path(), true), true);
    again.assign(&batch.end_positions()).unwrap();
    let rest = fetch_while(&mut again, &batch.end_positions(), |source, builder| {
        !source.is_exhausted(&builder.end_positions())
    });
    assert_eq!(values(&rest), ["three", "four"]);
}

#[test]
fn files_that_cannot_be_listed_are_no_news() {
    let (folder, mut source, at) = read_folder(&["a"]);
    append(&folder.path().join("b"), "new\n");
    source.look().unwrap();
    assert!(source.has_new_partitions());
    let (place, away) = (source.place.clone(), folder.path().join("away"));
    source.place = away;
    assert!(
        source.partitions().is_err() && !source.has_new_partitions(),
        "or the job would ask again and again"
    );
    source.place = place;
    source.looked = None;
    assert_eq!(fetch(&mut source, &at).unwrap().records(), 0);
    assert!(source.has_new_partitions());
}

#[test]
fn a_source_begins_where_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.txt"), "one\ntwo\nthr").unwrap();
    fs::write(path("b.gz"), gzip(b"four\nfi", 1)).unwrap();
    let time_ms = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    File::options()
        .write(true)
        .open(path("a.txt"))
        .unwrap()
        .set_modified(time_ms(5000))
        .unwrap();
    File::options()
        .write(true)
        .open(path("b.gz"))
        .unwrap()
        .set_modified(time_ms(9000))
        .unwrap();
    let at = |start, spec: &SourceSpec| {
        let positions = FileSource::new(1, spec, false).start(start).unwrap();
        (
            positions[&partition("a.txt")],
            positions[&partition("b.gz")],
        )
    };
    let (once, followed) = (spec(folder.path(), false), spec(folder.path(), true));
    for (start, spec, want) in [
        (StartPosition::Earliest, &once, (0, 0)),
        (StartPosition::Latest, &once, (11, 7)),
        (StartPosition::Latest, &followed, (8, 5)),
        (StartPosition::At(time_ms(5000)), &once, (0, 0)),
        (StartPosition::At(time_ms(5001)), &once, (11, 0)),
        (StartPosition::At(time_ms(9001)), &followed, (8, 5)),
        (
            StartPosition::Latest,
            &SourceSpec {
                table: true,
                ..once.clone()
            },
            (0, 0),
        ),
    ] {
        assert_eq!(at(start, spec), want, "{start:?} {spec:?}");
    }
    let mut table = FileSource::new(
        1,
        &SourceSpec {
            table: true,
            ..followed.clone()
        },
        false,
    );
    assert_eq!(
        table.high_watermarks().unwrap(),
        [(partition("a.txt"), 8), (partition("b.gz"), 5)].into()
    );
    assert_eq!(
        FileSource::new(1, &once, false).high_watermarks().unwrap(),
        Positions::new()
    );
}

#[test]
fn paths_that_cannot_be_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none");
    let error = source(&none, false).partitions().unwrap_err();
    assert!(
        error.to_string().contains("there is no file or folder")
            && error.to_string().contains("--set source."),
        "{error}"
    );
    fs::write(folder.path().join("file"), "").unwrap();
    let error = source(&folder.path().join("file/below"), false)
        .partitions()
        .unwrap_err();
    assert!(matches!(error, SourceError::PathMissing { .. }), "{error}");
    let error = source(Path::new("/dev/null"), false)
        .partitions()
        .unwrap_err();
    assert!(
        error.to_string().contains("neither a file nor a folder"),
        "{error}"
    );
    let denied = io_error(&none, io::Error::from(ErrorKind::PermissionDenied));
    assert!(denied.to_string().contains("no permission"), "{denied}");
    let busy = io_error(&none, io::Error::from(ErrorKind::TimedOut));
    assert!(matches!(busy, SourceError::Away { .. }), "{busy}");
}

#[test]
fn only_what_is_assigned_is_read_and_few_files_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..3 * limits::FILES_OPEN_MAX)
        .map(|i| format!("f{i}"))
        .collect();
    for name in &names {
        append(&folder.path().join(name), "x\n");
    }
    let mut source = source(folder.path(), true);
    let all = source.start(StartPosition::Earliest).unwrap();
    let some: Positions = all.iter().take(5).map(|(&p, &at)| (p, at)).collect();
    source.assign(&some).unwrap();
    let mut builder = BatchBuilder::open(&all, BatchLimits::default());
    source.fetch(&mut builder, Duration::ZERO).unwrap();
    assert_eq!((builder.records(), source.ends().len()), (5, 5));
    source.assign(&all).unwrap();
    source.fetch(&mut builder, Duration::ZERO).unwrap();
    assert_eq!(
        (builder.records(), source.open.len()),
        (names.len(), limits::FILES_OPEN_MAX)
    );
}
