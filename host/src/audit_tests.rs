use super::*;
use crate::api::AuditOutcome::{Done, Refused, UnderWay, Unknown};

fn open(folder: &Path) -> AuditLog {
    let bounds = LineBounds {
        file_bytes: 2000,
        files: 3,
        synced: false,
    };
    AuditLog::within(folder, bounds).unwrap()
}

fn entry(job: &str, outcome: AuditOutcome) -> AuditEntry {
    AuditEntry {
        verb: "pause".to_owned(),
        job: Some(job.to_owned()),
        outcome,
        ..AuditEntry::default()
    }
}

/// Notes the beginning of a change.
fn begin(log: &AuditLog, job: &str) -> AuditEntry {
    let mut begun = entry(job, UnderWay);
    log.note(&mut begun).unwrap();
    begun
}

/// Notes how it went.
fn end(log: &AuditLog, mut begun: AuditEntry, outcome: AuditOutcome) {
    (begun.outcome, begun.took_ms) = (outcome, Some(7));
    log.note(&mut begun).unwrap();
}

/// Number, job and outcome of the entries on a page, and where the next one begins.
fn page(log: &AuditLog, ask: &AuditAsk) -> (Vec<(u64, String, AuditOutcome)>, Option<u64>) {
    let page = log.page(ask).unwrap();
    let of = |entry: AuditEntry| (entry.number, entry.job.unwrap_or_default(), entry.outcome);
    (page.entries.into_iter().map(of).collect(), page.next)
}

fn ask(limit: usize) -> AuditAsk {
    AuditAsk {
        limit,
        ..AuditAsk::default()
    }
}

#[test]
fn each_change_is_one_entry_whatever_order_they_end_in_and_whenever_the_host_dies() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (slow, fast, lost) = (begin(&log, "a"), begin(&log, "b"), begin(&log, "c"));
    log.note(&mut entry("d", Refused)).unwrap();
    end(&log, fast, Done);
    end(&log, slow, Refused);
    let of = |n, job: &str, outcome| (n, job.to_owned(), outcome);
    let mut want = vec![
        of(4, "d", Refused),
        of(3, "c", UnderWay),
        of(2, "b", Done),
        of(1, "a", Refused),
    ];
    assert_eq!(page(&log, &ask(10)), (want.clone(), None));
    // The host dies, in the middle of a line.
    drop(log);
    let file = folder.path().join("audit/audit.log");
    let mut text = std::fs::read(&file).unwrap();
    text.extend(b"{\"number\":5,\"at\":\"20");
    std::fs::write(&file, text).unwrap();
    let log = open(folder.path());
    want[1].2 = Unknown;
    assert_eq!(page(&log, &ask(10)), (want.clone(), None));
    let next = begin(&log, "e");
    assert_eq!(next.number, 5, "the half line was never an entry");
    end(&log, next, Done);
    want.insert(0, of(5, "e", Done));
    assert_eq!(page(&log, &ask(10)), (want, None));
    assert_eq!(lost.number, 3);
}

#[test]
fn pages_are_whole_across_files_and_each_filter_holds() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let first = begin(&log, "odd");
    for n in 2..=12 {
        let job = if n % 2 == 0 { "even" } else { "odd" };
        match n {
            5 => log.note(&mut entry(job, Refused)).unwrap(),
            _ => end(&log, begin(&log, job), Done),
        }
    }
    end(&log, first, Done); // after all that began later
    assert!(folder.path().join("audit/audit.1.log").exists());
    for limit in 1..14 {
        let (mut numbers, mut ask) = (Vec::new(), ask(limit));
        loop {
            let (entries, next) = page(&log, &ask);
            assert!(entries.len() <= limit);
            numbers.extend(entries.iter().map(|(number, ..)| *number));
            match next {
                Some(_) => ask.before = next,
                None => break,
            }
        }
        let all: Vec<u64> = (1..=12).rev().collect();
        assert_eq!(numbers, all, "{limit} at once");
    }
    let of = |job: &str, since_ms| AuditAsk {
        job: Some(job.to_owned()),
        since_ms,
        ..ask(3)
    };
    let numbers = |ask: &AuditAsk| page(&log, ask).0.iter().map(|e| e.0).collect::<Vec<_>>();
    assert_eq!(numbers(&of("even", Some(0))), [12, 10, 8]);
    assert_eq!(numbers(&of("odd", None)), [11, 9, 7]);
    assert!(numbers(&of("none", None)).is_empty());
    let to_come = clock::now_ms() + 60_000;
    assert!(numbers(&of("odd", Some(to_come))).is_empty());
}

#[test]
fn the_oldest_go_and_the_newest_stay() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    (0..200).for_each(|_| end(&log, begin(&log, "a"), Done));
    let (kept, next) = page(&log, &ask(1000));
    assert_eq!((kept[0].0, next), (200, None));
    assert!((5..100).contains(&kept.len()), "{}", kept.len());
    assert!(kept.windows(2).all(|two| two[0].0 == two[1].0 + 1));
    assert!(kept.iter().all(|entry| entry.2 == Done));
    let files = std::fs::read_dir(folder.path().join("audit")).unwrap();
    assert_eq!(files.count(), 3);
    assert_eq!(begin(&open(folder.path()), "a").number, 201);
}

#[test]
fn what_cannot_be_noted_is_refused_by_name_until_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let file = folder.path().join("audit/audit.log");
    std::fs::create_dir(&file).unwrap();
    let refused = log.note(&mut entry("a", UnderWay)).unwrap_err().to_string();
    let path = folder.path().join("audit").display().to_string();
    assert!(
        refused.contains(&path) && refused.contains("cannot be written"),
        "{refused}"
    );
    std::fs::remove_dir(&file).unwrap();
    let begun = begin(&log, "a");
    // A file that is deleted under the host's feet takes what it held, and nothing else.
    std::fs::remove_file(&file).unwrap();
    end(&log, begun, Done);
    end(&log, begin(&open(folder.path()), "b"), Done);
    assert_eq!(page(&log, &ask(10)).0.len(), 1);
}
