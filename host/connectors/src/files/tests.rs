use super::disk::Disk;
use super::*;
use crate::connector::{Presence, SinkConnector};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use streamhost_core::job::ColumnSpec;
use streamhost_core::job::connector::{COMPRESSION, Options};
use streamhost_core::types::{Kind, Spans};
use streamhost_engine::sink::Remedy;

/// Batches of the tests were planned then: 2026-12-01T10:00:00Z.
const TIME_MS: i64 = 1_796_119_200_000;

/// Takes what is refused.
#[derive(Default)]
struct Taken(Vec<RefusedRow>);

impl Refusals for Taken {
    fn most(&self) -> usize {
        100
    }

    fn take(&mut self, refused: Vec<RefusedRow>) -> Result<(), SinkError> {
        self.0 = refused;
        Ok(())
    }
}

fn column(name: &str, kind: Kind) -> ColumnSpec {
    ColumnSpec {
        name: name.to_owned(),
        kind,
        optional: true,
    }
}

fn spec(folder: &Path, options: Options) -> SinkSpec {
    SinkSpec {
        connector: "files".to_owned(),
        name: "out".to_owned(),
        target: folder.to_str().expect("a plain path").to_owned(),
        keys: vec![column("id", Kind::Text)],
        columns: vec![column("n", Kind::Int), column("at", Kind::Time)],
        options,
        ..SinkSpec::default()
    }
}

fn sink(spec: &SinkSpec, owner: &str) -> FilesSink {
    let disk = Box::new(Disk::new(&spec.target));
    FilesSink::new(disk, spec, owner, &CancelSignal::default())
}

/// Rows `a` and `b`, of which the second lacks a cell, and `c`, which deletes.
fn rows() -> Rows {
    let (one, time) = (1i64.to_le_bytes(), TIME_MS.to_le_bytes());
    let mut rows = Rows {
        positions: vec![0, 1, 2],
        absent: vec![4, 7, 8],
        deleted_rows: vec![2],
        ..Rows::default()
    };
    let items: [&[u8]; 9] = [b"a", &one, &time, b"b", b"", &time, b"c", b"", b""];
    items.iter().for_each(|item| rows.cells.push(item));
    rows
}

fn deliver(sink: &mut FilesSink, batch: u64, digest: &str) -> Result<Vec<RefusedRow>, SinkError> {
    let delivery = Delivery {
        epoch: 1,
        batch,
        time_ms: TIME_MS,
        digest,
        spans: &Spans::new(),
        version: 1,
    };
    let mut taken = Taken::default();
    sink.deliver(&delivery, &[rows()], &mut taken)?;
    Ok(taken.0)
}

/// All files that readers of tables see, by their names, with what is in them.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with('_') {
            continue;
        }
        match path.is_dir() {
            true => all.extend(
                files(&path)
                    .into_iter()
                    .map(|(below, content)| (format!("{name}/{below}"), content)),
            ),
            false => drop(all.insert(name, fs::read(&path).expect("a file"))),
        }
    }
    all
}

fn aside(folder: &Path) -> usize {
    fs::read_dir(folder.join("_aside")).map_or(0, Iterator::count)
}

const LINES: &str = "{\"id\":\"a\",\"n\":1,\"at\":\"2026-12-01T10:00:00.000Z\"}\n\
    {\"id\":\"b\",\"at\":\"2026-12-01T10:00:00.000Z\"}\n";

#[test]
fn a_batch_is_one_file_however_often_it_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), Options::default());
    let mut first = sink(&spec, "streamhost.a");
    assert_eq!(first.open().unwrap(), None);
    let refused = deliver(&mut first, 1, "d1").unwrap();
    let [RefusedRow { row: 2, reason }] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("deletes=column"), "{reason}");
    let once = files(folder.path());
    assert_eq!(once.len(), 1);
    let (name, content) = once.first_key_value().unwrap();
    assert!(
        name.starts_with("part-") && name.contains("-000000000001-"),
        "{name}"
    );
    assert_eq!(String::from_utf8_lossy(content), LINES);
    let mut again = sink(&spec, "streamhost.a");
    again.open().unwrap();
    assert_eq!(deliver(&mut again, 1, "d1").unwrap(), refused, "told again");
    assert_eq!(files(folder.path()), once);
    assert_eq!(aside(folder.path()), 0);
    // Another batch, another batch of that number after one that was given up, and another job.
    deliver(&mut again, 2, "d2").unwrap();
    deliver(&mut again, 2, "d3").unwrap();
    let mut other = sink(&spec, "streamhost.b");
    other.open().unwrap();
    deliver(&mut other, 1, "d1").unwrap();
    assert_eq!(files(folder.path()).len(), 4);
}

#[test]
fn what_a_crash_left_aside_goes_with_the_next_open_and_that_of_others_stays() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), Options::default());
    let (mut own, other) = (sink(&spec, "streamhost.a"), sink(&spec, "streamhost.b"));
    own.open().unwrap();
    for of in [&own, &other] {
        let name = format!("_aside/{}1-000000000001-0.json.7-0", of.mark);
        fs::write(folder.path().join(name), b"{\"half").unwrap();
    }
    assert_eq!(files(folder.path()).len(), 0, "nobody sees it");
    own.open().unwrap();
    assert_eq!(aside(folder.path()), 1);
    deliver(&mut own, 1, "d1").unwrap();
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn deletes_are_rows_where_the_sink_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), Options::default().with(DELETES, "column"));
    let mut sink = sink(&spec, "streamhost.a");
    sink.open().unwrap();
    assert_eq!(deliver(&mut sink, 1, "d1").unwrap(), []);
    let content = files(folder.path()).into_values().next().unwrap();
    let content = String::from_utf8(content).unwrap();
    let last = content.lines().last().unwrap();
    let end = "\"_batch_ms\":\"2026-12-01T10:00:00.000Z\"}";
    assert_eq!(last, format!("{{\"id\":\"c\",\"_deleted\":true,{end}"));
    assert!(
        content
            .lines()
            .next()
            .unwrap()
            .ends_with(&format!(",\"_deleted\":false,{end}"))
    );
}

#[test]
fn files_are_compressed_and_in_folders_of_the_batch_s_time() {
    for (compression, folders, begins, ends) in [
        ("gzip", "day", "dt=2026-12-01/part-", ".json.gz"),
        ("zstd", "hour", "dt=2026-12-01/hour=10/part-", ".json.zst"),
        ("none", "none", "part-", ".json"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::default().with(COMPRESSION, compression);
        let spec = spec(folder.path(), options.with(FOLDERS, folders));
        let mut sink = sink(&spec, "streamhost.a");
        sink.open().unwrap();
        deliver(&mut sink, 1, "d1").unwrap();
        let (name, content) = files(folder.path()).into_iter().next().unwrap();
        assert!(name.starts_with(begins) && name.ends_with(ends), "{name}");
        let mut text = String::new();
        match compression {
            "gzip" => flate2::read::GzDecoder::new(&content[..]).read_to_string(&mut text),
            "zstd" => zstd::Decoder::new(&content[..])
                .unwrap()
                .read_to_string(&mut text),
            _ => (&content[..]).read_to_string(&mut text),
        }
        .unwrap();
        assert_eq!(text, LINES, "{compression}");
    }
}

#[test]
fn a_folder_takes_what_fits_its_schema_and_says_all_that_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new");
    let good = spec(&at, Options::default());
    let inspect = |spec: &SinkSpec| FilesConnector.inspect(spec, false);
    let missing = inspect(&good).unwrap_err().to_string();
    assert!(missing.contains("mkdir -p"), "{missing}");
    assert_eq!(
        FilesConnector.inspect(&good, true).unwrap(),
        Presence::Missing
    );
    FilesConnector.create(&good).unwrap();
    let mut one = sink(&good, "streamhost.a");
    one.open().unwrap();
    let mut wider = good.clone();
    wider.columns.push(column("more", Kind::Json));
    assert_eq!(inspect(&wider).unwrap(), Presence::There);
    one.reshape(&wider);
    assert_eq!(one.look().unwrap(), Schema::of(&wider).unwrap());
    assert_eq!(one.stored().unwrap().unwrap(), Schema::of(&wider).unwrap());
    assert_eq!(
        inspect(&good).unwrap(),
        Presence::There,
        "a version before goes on"
    );
    let mut bad = spec(&at, Options::default().with(FOLDERS, "day"));
    bad.columns = vec![column("n", Kind::Text), column("at", Kind::Int)];
    let told = inspect(&bad).unwrap_err().to_string();
    for word in [
        "`n` holds int",
        "`at` holds time",
        "by `day`",
        "another folder",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    bad.columns = ["dt", "_deleted", "id"]
        .map(|name| column(name, Kind::Text))
        .into();
    let told = inspect(&bad).unwrap_err().to_string();
    for word in ["`dt`", "`_deleted`", "`id` is there twice"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    fs::write(at.join(schema::FILE), b"{").unwrap();
    let told = inspect(&good).unwrap_err();
    assert!(told.to_string().contains("cannot be read"), "{told}");
    assert_eq!(told.remedy(), Remedy::Stop);
}

#[test]
fn what_is_taken_away_while_it_runs_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("f");
    fs::create_dir(&at).unwrap();
    let mut sink = sink(&spec(&at, Options::default()), "streamhost.a");
    sink.open().unwrap();
    deliver(&mut sink, 1, "d1").unwrap();
    // As if its disk were not mounted any more.
    fs::rename(&at, folder.path().join("g")).unwrap();
    fs::create_dir(&at).unwrap();
    let error = deliver(&mut sink, 2, "d2").unwrap_err();
    assert_eq!(error.remedy(), Remedy::Stop, "{error}");
    assert!(error.to_string().contains("not mounted"), "{error}");
    fs::remove_dir(&at).unwrap();
    let error = sink.open().unwrap_err();
    assert_eq!(error.remedy(), Remedy::Stop, "{error}");
    fs::write(&at, b"").unwrap();
    let error = sink.open().unwrap_err();
    assert!(error.to_string().contains("name a folder"), "{error}");
}

/// A disk that is full after so many bytes, and has the folder of another one.
struct Full {
    disk: Disk,
    bytes: usize,
}

impl Store for Full {
    fn open(&self, owner: &str) -> io::Result<()> {
        self.disk.open(owner)
    }

    fn add(&self, name: &str, content: &mut store::Content<'_>) -> io::Result<()> {
        let bytes = self.bytes;
        self.disk
            .add(name, &mut |out| content(&mut Narrow { out, bytes }))
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(name)
    }

    fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.disk.replace(name, content)
    }
}

struct Narrow<'a> {
    out: &'a mut dyn io::Write,
    bytes: usize,
}

impl io::Write for Narrow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.bytes {
            0 => Err(io::ErrorKind::StorageFull.into()),
            room => {
                let written = self.out.write(&bytes[..bytes.len().min(room)])?;
                self.bytes -= written;
                Ok(written)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[test]
fn a_full_disk_is_waited_for_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec(folder.path(), Options::default());
    let mut sink = sink(&spec, "streamhost.a");
    let disk = Disk::new(&spec.target);
    sink.store = Box::new(Full { disk, bytes: 40 });
    sink.open().unwrap();
    let error = deliver(&mut sink, 1, "d1").unwrap_err();
    assert_eq!(error.remedy(), Remedy::Retry, "{error}");
    assert_eq!((files(folder.path()).len(), aside(folder.path())), (0, 0));
    sink.store = Box::new(Disk::new(&spec.target));
    sink.open().unwrap();
    deliver(&mut sink, 1, "d1").unwrap();
    assert_eq!(files(folder.path()).len(), 1);
}
