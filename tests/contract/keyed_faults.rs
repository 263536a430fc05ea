//! A keyed stage whose functions break, lie, or obey no rule harms its own job only, and is named
//! with the key.

use std::collections::BTreeMap;
use streamhost_tests::host::unique;
use streamhost_tests::hostile::{Hostile, said, said_at};
use streamhost_tests::keyed::START_MS;
use streamhost_tests::outside;
use streamhost_tests::servers::Servers;
use streamhost_tests::sizes::{LATE, PARTITIONS, SOON};
use streamhost_tests::wait::wait_for;

/// What is wrong with each word, in the letter's reason.
const BREAKING: [(&str, &str); 6] = [
    ("merge-panic", "a word for the merge said so"),
    ("merge-bomb", "memory"),
    // The function's name: what a full stack is called is the toolchain's affair.
    ("merge-stack", "dig"),
    ("merge-loop", "300ms"),
    ("finish-panic", "a word for the finish said so"),
    ("finish-loop", "300ms"),
];
const KEYS: usize = 200;

#[track_caller]
fn has_all(text: &str, words: &[&str]) {
    let missing: Vec<&&str> = words.iter().filter(|word| !text.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} is not in: {text}");
}

/// Keys that say a word again and again, among them six that say once what breaks the guest.
fn groups_that_break(is_run_again: bool) {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(
        servers,
        PARTITIONS,
        &["every=300ms", "limits.time=300ms", "limits.memory=16MiB"],
    );
    let neighbour = unique("neighbour");
    outside::create_topic(&servers.kafka, &neighbour, 1);
    hostile.host.deploy_clicks(&neighbour);
    hostile.deploy("plain", &[]).ok();

    let good: Vec<String> = (0..KEYS).map(|i| format!("key{i}")).collect();
    let all = || {
        good.iter()
            .map(String::as_str)
            .chain(BREAKING.map(|(word, _)| word))
    };
    hostile.say(all().map(|key| said(key, "word")));
    let broken = good
        .iter()
        .map(|key| said(key, "word"))
        .chain(BREAKING.map(|(word, _)| said(word, word)));
    outside::send(&servers.kafka, &neighbour, &["c,s,u,t,i,1"]);
    if is_run_again {
        hostile.say_and_kill(broken);
    } else {
        hostile.send(broken);
    }
    hostile.wait();
    assert_eq!(
        hostile.host.wait_records(&neighbour, 1, SOON)["rows_out"],
        1,
        "its neighbour goes on"
    );
    let status = hostile.say(all().map(|key| said(key, "word")));
    assert_eq!(
        (&status["state"], &status["dead_letters"]),
        (&"running".into(), &BREAKING.len().into()),
        "{status}"
    );

    let words = |key: &str| if key.starts_with("merge") { 2 } else { 3 };
    let expected: BTreeMap<String, u64> = all().map(|key| (key.to_owned(), words(key))).collect();
    assert_eq!(
        hostile.words(),
        expected,
        "what was not merged is in the letter; what was not finished is kept"
    );
    assert_eq!(hostile.letters().len(), BREAKING.len());
    for (word, why) in BREAKING {
        let letter = hostile.letter(word);
        assert_eq!(letter.stage, "seen", "{letter:?}");
        has_all(&letter.reason, &[why]);
        has_all(&letter.value.clone().unwrap_or_default(), &[word]);
        assert!(
            !letter.headers.contains_key("offset"),
            "a group comes of many records: {letter:?}"
        );
    }
}

#[test]
fn keyed_groups_that_break_the_guest_are_dead_letters_alone() {
    groups_that_break(false);
}

#[test]
fn keyed_groups_that_break_the_guest_are_the_same_after_a_kill() {
    groups_that_break(true);
}

/// What a merge gave is nothing that its next call can read.
#[test]
fn keyed_accumulators_that_cannot_be_read() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0"]);
    hostile.deploy("garbage", &[]).ok();
    hostile.say([said("rubbish", "word"), said("good", "word")]);
    hostile.say([said("rubbish", "garbage"), said("good", "word")]);
    hostile.kill();
    let status = hostile.say([said("rubbish", "word"), said("good", "word")]);
    assert_eq!(
        (&status["state"], &status["dead_letters"]),
        (&"running".into(), &2.into()),
        "{status}"
    );
    let letters = hostile.letters();
    assert_eq!(
        letters.len(),
        2,
        "one of its finish, and one of its next merge: {letters:?}"
    );
    for letter in letters {
        assert_eq!(
            (letter.stage.as_str(), letter.key.as_str()),
            ("seen", "rubbish"),
            "{letter:?}"
        );
        has_all(&letter.reason, &["`seen`", "accumulator cannot be read"]);
    }
    let words = hostile.words();
    assert_eq!(
        (words["good"], words["rubbish"]),
        (3, 1),
        "the others are right: {words:?}"
    );
}

/// Answers that break the contract are the version's fault: the host goes back to the version
/// before, with its state.
#[test]
fn keyed_answers_that_lie_are_rolled_back() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0"]);
    hostile.deploy("plain", &[]).ok();
    let refused: [(&str, &[&str]); 2] = [
        ("late-in-nothing", &["contract", "late"]),
        (
            "merges-one-more",
            &["contract", "`combine` gave 1 accumulators for 0"],
        ),
    ];
    for (variant, words) in refused {
        has_all(&hostile.deploy(variant, &[]).refusal(), words);
    }
    assert_eq!(
        hostile
            .host
            .json(&["history", &hostile.job])
            .as_array()
            .map(Vec::len),
        Some(1),
        "nothing has changed"
    );

    let keys = ["a", "key", "longer key"];
    hostile.say(keys.map(|key| said(key, "word")));
    let lies: [(&str, &[&str]); 12] = [
        ("merges-one-less", &["`combine` gave"]),
        ("merges-end-beyond", &["`combine`"]),
        ("no-such-stage", &["stage 2", "no such keyed stage"]),
        ("feeds-itself", &["keyed, stage 0"]),
        ("no-such-side", &["side 1", "`seen` has no such side"]),
        ("keys-end-beyond", &["keys"]),
        ("values-left-over", &["values"]),
        ("one-key-less", &["`keys`", "differ in length"]),
        ("positions-beyond", &["positions"]),
        ("time-without-windows", &["a time is not 0"]),
        ("late-beyond", &["late"]),
        ("finishes-late", &["`late` is not empty"]),
    ];
    for (i, (variant, words)) in lies.into_iter().enumerate() {
        hostile.deploy(variant, &[]).ok();
        hostile.send(keys.map(|key| said(key, "word")));
        let reason = hostile.wait_rolled_back(1);
        has_all(&reason, &[&format!("version {}", i + 2), "contract"]);
        has_all(&reason, words);
        hostile.wait();
    }
    let said_in_all = lies.len() as u64 + 1;
    assert_eq!(
        hostile.words(),
        keys.map(|key| (key.to_owned(), said_in_all)).into(),
        "no record is lost or doubled"
    );
}

/// Lies in rows that a keyed stage's finish makes, and in times.
#[test]
fn keyed_rows_and_times_that_lie_are_rolled_back() {
    let (_guard, servers) = Servers::shared();
    let lies: [(&str, &[(&str, &str)]); 3] = [
        (
            "plain",
            &[
                ("finishes-beyond", "positions"),
                ("finishes-no-sink", "sinks"),
            ],
        ),
        (
            "windows",
            &[
                ("windows-go-back", "`largest-ms`"),
                ("windows-at-odd-times", "no multiple of its hop"),
            ],
        ),
        (
            "sessions",
            &[
                ("sessions-end-before", "is before its first"),
                ("sessions-without-end", "`until-ms`"),
            ],
        ),
    ];
    for (good, lies) in lies {
        let mut hostile = Hostile::new(servers, 1, &["every=0"]);
        let mut next = (0..).map(|i| said_at(0, START_MS + 1000 * i, "a", "word"));
        hostile.deploy(good, &[]).ok();
        hostile.say(next.next());
        for (variant, words) in lies {
            hostile.deploy(variant, &[]).ok();
            hostile.send(next.next());
            has_all(&hostile.wait_rolled_back(1), &["contract", words]);
            hostile.wait();
        }
        hostile.kill();
        hostile.say(next.next());
        hostile.say([said_at(0, START_MS + 60_000, "end", "word")]);
        assert_eq!(hostile.words().values().max(), Some(&4), "{good}");
    }
}

/// Single keys are dead letters, but not all of them: then the version is no good.
#[test]
fn keyed_merges_that_all_break_are_rolled_back() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=300ms"]);
    let keys = || (0..KEYS).map(|i| said(&format!("key{i}"), "word"));
    hostile.deploy("plain", &[]).ok();
    hostile.say(keys());
    hostile.deploy("merges-nothing", &[]).ok();
    hostile.send(keys());
    has_all(
        &hostile.wait_rolled_back(1),
        &["broke on more than 100", "no merge is any good"],
    );
    let status = hostile.wait();
    assert_eq!(status["dead_letters"], 0, "{status}");
    assert!(
        hostile.words().values().all(|&words| words == 2),
        "the version before has run them"
    );
}

/// A merge that is not associative gives what its author wrote, whatever that is: nothing can
/// notice, and nobody else is harmed. A replay cuts calls where they were cut before, so that it is
/// the same again.
#[test]
fn keyed_merges_without_rules_are_replayed_as_they_were() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, PARTITIONS, &["every=300ms"]);
    hostile.deploy("plain", &[]).ok();
    let words = |n: usize| (0..n).map(|i| said(&format!("key{}", i % 7), &"w".repeat(i % 11)));
    hostile.say(words(3000));
    hostile.say_and_kill(words(3000));
    hostile.wait();
    let status = hostile.say(words(1000));
    assert_eq!(
        (&status["state"], &status["last_error"]),
        (&"running".into(), &serde_json::Value::Null),
        "{status}"
    );
    assert_eq!(hostile.words().values().sum::<u64>(), 7000);
    let disorder = hostile.column("seen:disorder");
    assert!(
        disorder.values().any(|value| value != "0"),
        "the merges do depend on their order: {disorder:?}"
    );
}

/// A guest that counts its calls gives another answer when it is run again.
#[test]
fn keyed_guests_that_remember_are_noticed_when_they_are_run_again() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0"]);
    let neighbour = unique("neighbour");
    outside::create_topic(&servers.kafka, &neighbour, 1);
    hostile.host.deploy_clicks(&neighbour);
    hostile.deploy("counts-its-calls", &[]).ok();
    hostile.say([said("a", "word")]);
    hostile.say_and_kill([said("a", "word")]);
    let status = hostile.host.wait_state(&hostile.job, "stopped", LATE);
    has_all(
        status["last_error"].as_str().unwrap_or_default(),
        &["not deterministic", "--reset-state"],
    );
    outside::send(&servers.kafka, &neighbour, &["c,s,u,t,i,1"]);
    hostile.host.wait_records(&neighbour, 1, SOON);

    hostile.deploy("plain", &["--reset-state"]).ok();
    hostile.wait();
    assert_eq!(
        hostile.words()["a"],
        2,
        "begun anew with a version that obeys the rules"
    );
}

/// All records have one key, and nearly each merge of it fails: the few others are right.
#[test]
fn keyed_hot_keys_do_not_stop_the_rest() {
    let (_guard, servers) = Servers::shared();
    let hot = 20_000;
    for (word, breaks) in [("word", false), ("merge-panic", true)] {
        let mut hostile = Hostile::new(
            servers,
            PARTITIONS,
            &["every=0", "limits.batch-records=1000"],
        );
        let record = |i: usize| {
            if i.is_multiple_of(1000) {
                said("rare", "word")
            } else {
                said("hot", word)
            }
        };
        hostile.send((0..hot).map(record));
        hostile.deploy("plain", &[]).ok();
        let status = hostile.wait();
        assert_eq!(status["state"], "running", "{status}");
        let words = hostile.words();
        assert_eq!(words["rare"], hot as u64 / 1000);
        let letters = hostile.letters();
        assert!(
            letters
                .iter()
                .all(|letter| letter.key == "hot" && letter.stage == "seen"),
            "{letters:?}"
        );
        match breaks {
            false => assert_eq!((words["hot"], letters.len()), (hot as u64 * 999 / 1000, 0)),
            true => assert!(
                letters.len() >= 10,
                "a letter for each of its batches: {status}"
            ),
        }
    }
}

/// An accumulator that grows is set aside when the guest can no longer hold it.
#[test]
fn keyed_accumulators_that_grow_for_ever() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0", "limits.memory=16MiB"]);
    hostile.deploy("plain", &[]).ok();
    let rounds = 8;
    for _ in 0..rounds {
        hostile.say([said("big", "grow 2"), said("small", "word")]);
    }
    hostile.kill();
    let status = hostile.say([said("big", "grow 2"), said("small", "word")]);
    assert_eq!(status["state"], "running", "{status}");
    let (words, letters) = (hostile.words(), hostile.letters());
    assert_eq!(words["small"], rounds + 1);
    assert!(
        words["big"] > 1,
        "it was merged while it was small: {words:?}"
    );
    assert!(letters.len() > 1, "and then no more: {words:?}");
    for letter in letters {
        assert_eq!(
            (letter.stage.as_str(), letter.key.as_str()),
            ("seen", "big"),
            "{letter:?}"
        );
        has_all(&letter.reason, &["16.0 MiB", "limits.memory"]);
    }
}

/// A letter that no topic takes says what it leaves out.
#[test]
fn keyed_letters_that_are_too_large_say_how_large() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0", "limits.memory=512MiB"]);
    hostile.deploy("plain", &[]).ok();
    hostile.say([said("big", "word")]);
    hostile.say([said("big", "grow 18")]);
    hostile.say([said("big", "finish-panic"), said("small", "word")]);
    let letter = hostile.letter("");
    assert_eq!(
        (letter.stage.as_str(), &letter.value),
        ("seen", &None),
        "{letter:?}"
    );
    let left_out: u64 = letter.headers["left-out"].parse().expect("a number");
    assert!((18 << 20..19 << 20).contains(&left_out), "{letter:?}");
    assert_eq!(
        hostile.words(),
        [("big".to_owned(), 2), ("small".to_owned(), 1)].into()
    );
}

/// State is carried on where it looks the same, else refused in words; `migrate_from` takes it
/// over.
#[test]
fn keyed_state_is_carried_on_refused_migrated_or_begun_anew() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0"]);
    hostile.deploy("plain", &[]).ok();
    hostile.say([said("a", "word"), said("b", "word")]);
    hostile.deploy("as-plain", &[]).ok();
    assert_eq!(hostile.say([said("a", "word")])["version"], 2);
    assert_eq!(hostile.words()["a"], 2, "carried on");

    let refused: [(&str, &[&str]); 3] = [
        ("changed", &["`seen`", "`.migrate_from`", "--reset-state"]),
        ("renamed", &["`seen`", ".named(\"seen\")", "--reset-state"]),
        (
            "next-version",
            &["`seen`", "version 0", "version 1", "--reset-state"],
        ),
    ];
    for (variant, words) in refused {
        has_all(&hostile.deploy(variant, &[]).refusal(), words);
    }
    let words_of_breaking: [(&str, &[&str]); 2] = [
        (
            "migrates-and-breaks",
            &["`seen`", "`migrate`", "old state said so"],
        ),
        ("migrates-too-few", &["`migrate` gave 1 accumulators for 2"]),
    ];
    for (variant, words) in words_of_breaking {
        hostile.deploy(variant, &[]).ok();
        has_all(&hostile.wait_rolled_back(2), words);
        hostile.say([said("a", "word")]);
    }
    assert_eq!(hostile.words()["a"], 4, "the old state is whole");

    hostile.deploy("migrates", &[]).ok();
    hostile.say([said("a", "word"), said("b", "word")]);
    assert_eq!(
        hostile.words(),
        [("a".to_owned(), 5), ("b".to_owned(), 2)].into(),
        "migrated"
    );
    has_all(
        &hostile.host.cli(["rollback", &hostile.job]).refusal(),
        &["`seen`", "--reset-state"],
    );
    hostile.deploy("changed", &[]).ok();
    hostile.kill();
    hostile.say([said("a", "word")]);
    assert_eq!(hostile.words()["a"], 6, "carried on without the migration");

    has_all(
        &hostile.deploy("plain", &[]).refusal(),
        &["`seen`", "--reset-state"],
    );
    hostile.deploy("plain", &["--reset-state"]).ok();
    hostile.wait();
    assert_eq!(
        hostile.words(),
        [("a".to_owned(), 6), ("b".to_owned(), 2)].into(),
        "counted anew, and once"
    );
}

/// What a version has migrated is no obstacle to going back as long as none of its batches is
/// durable; then it is one.
#[test]
fn keyed_state_that_was_migrated_by_a_liar() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=300ms"]);
    let both = || [said("a", "word"), said("b", "word")];
    hostile.deploy("plain", &[]).ok();
    hostile.say(both());
    hostile.deploy("migrates-and-lies-of-two", &[]).ok();
    hostile.send(both());
    has_all(
        &hostile.wait_rolled_back(1),
        &["`combine` gave 1 accumulators for 2"],
    );
    hostile.wait();
    assert_eq!(
        hostile.words(),
        [("a".to_owned(), 2), ("b".to_owned(), 2)].into(),
        "the old state is whole"
    );

    hostile.deploy("migrates-and-lies-of-two", &[]).ok();
    hostile.say([said("a", "word")]);
    hostile.send(both());
    let error = wait_for("the host has found that it cannot go back", LATE, || {
        let status = hostile.host.status(&hostile.job);
        let error = status["last_error"].as_str().unwrap_or_default();
        (status["state"] == "stopped" && error.contains("--reset-state")).then(|| error.to_owned())
    });
    has_all(
        &error,
        &["version 2", "`combine` gave 1 accumulators for 2", "`seen`"],
    );
    hostile.deploy("changed", &[]).ok();
    hostile.host.cli(["resume", &hostile.job]).ok();
    hostile.wait();
    assert_eq!(
        hostile.words(),
        [("a".to_owned(), 4), ("b".to_owned(), 3)].into(),
        "a mended version goes on"
    );
}

/// Windows and sessions of which some break, in a job that ends.
#[test]
fn keyed_windows_that_break_do_not_keep_a_job_from_its_end() {
    let (_guard, servers) = Servers::shared();
    for variant in ["windows", "sessions"] {
        let mut hostile = Hostile::new(servers, 2, &["every=0", "until=end", "limits.time=300ms"]);
        let mut records = Vec::new();
        for partition in [0, 1] {
            for (seconds, key, word) in [
                (0, "a", "word"),
                (1, "finish-panic", "finish-panic"),
                (2, "finish-loop", "finish-loop"),
                (3, "merge-panic", "merge-panic"),
                (40, "a", "word"),
                (41, "finish-panic", "word"),
            ] {
                records.push(said_at(partition, START_MS + 1000 * seconds, key, word));
            }
        }
        hostile.send(records);
        hostile.deploy(variant, &[]).ok();
        let status = hostile.host.wait_state(&hostile.job, "finished", LATE);
        assert_eq!(status["dead_letters"], 3, "{status}");
        let mut words = hostile.words();
        // Its first part stands, unless both came in one batch.
        words.retain(|key, _| !key.starts_with("merge"));
        let from = |key: &str, seconds: i64| (format!("{key}/{}", START_MS + 1000 * seconds), 2);
        let begins = if variant == "windows" {
            [0, 40, 40]
        } else {
            [0, 40, 41]
        };
        let expected = [
            from("a", begins[0]),
            from("a", begins[1]),
            from("finish-panic", begins[2]),
        ];
        assert_eq!(words, expected.into(), "{variant}");
        for key in ["finish-panic", "finish-loop", "merge-panic"] {
            assert_eq!(hostile.letter(key).stage, "seen");
        }
        hostile.kill();
        let status = wait_for("it is finished still", SOON, || {
            let status = hostile.host.status(&hostile.job);
            (status["state"] == "finished").then_some(status)
        });
        assert_eq!(
            (&status["dead_letters"], &status["records_in"]),
            (&3.into(), &12.into()),
            "{status}"
        );
    }
}

#[test]
fn keyed_on_error_stop_names_stage_and_key() {
    let (_guard, servers) = Servers::shared();
    let mut hostile = Hostile::new(servers, 1, &["every=0"]);
    hostile.deploy("plain", &["--set", "on-error=stop"]).ok();
    hostile.say([said("a", "word")]);
    hostile.send([said("a", "merge-panic")]);
    let status = hostile.host.wait_state(&hostile.job, "stopped", SOON);
    let error = status["last_error"].as_str().unwrap_or_default();
    has_all(
        error,
        &[
            "stage `seen`",
            "key `a`",
            "a word for the merge said so",
            "on-error=stop",
        ],
    );

    hostile.deploy("plain", &["--set", "on-error=skip"]).ok();
    hostile.host.cli(["resume", &hostile.job]).ok();
    let status = hostile.say([said("a", "word")]);
    assert_eq!(status["dead_letters"], 0, "{status}");
    assert_eq!(hostile.words()["a"], 2, "without the word that broke it");
}
