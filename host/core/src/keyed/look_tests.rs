//! Looks into stages of each kind.

use super::super::entry::{joined, of_key, of_time, put_session};
use super::super::panes::Part;
use super::*;
use crate::job::{Join, Partners, Window};
use std::collections::BTreeMap;

fn stage(kind: StageKind) -> StageSpec {
    StageSpec {
        name: "s".into(),
        kind,
        inputs: vec![0],
        key_shape: "text".into(),
        value_shape: "text".into(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    }
}

fn windows(form: WindowForm) -> StageKind {
    StageKind::Window(Window {
        form,
        lateness_ms: 30,
        offset_ms: 0,
        updates_ms: 0,
        processing_time: false,
        early: false,
    })
}

type Store = BTreeMap<Vec<u8>, Vec<u8>>;

/// All pages of so many entries: each one's keys, windows and values as text.
fn pages(stage: &StageSpec, store: &Store, keys: &WantedKeys, most: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(PageStart::default());
    while let Some(start) = next {
        let page = page(stage, keys, start, most, |from, to, most| {
            let range = store.range(from.to_vec()..to.to_vec());
            most.of(range.map(|(key, value)| Ok((key.clone(), value.clone()))))
        })
        .unwrap();
        let shown = page.entries.iter().map(|kept| {
            let window = kept
                .window_ms
                .map_or(String::new(), |(a, b)| format!(" {a}-{b}"));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            format!("{}{window}={}", text(&kept.key), text(&kept.value))
        });
        pages.push(shown.collect());
        next = page.next;
    }
    pages
}

fn prefix(text: &str) -> WantedKeys {
    WantedKeys::Prefix(text.into())
}

fn key(text: &str) -> WantedKeys {
    WantedKeys::Key(text.into())
}

#[test]
fn keys_are_found_by_their_beginning_in_pages() {
    let lookup = stage(StageKind::Lookup);
    let mut store: Store = ["a", "b", "ba", "bb", "c"]
        .iter()
        .map(|text| (of_key(text.as_bytes()), b"v".to_vec()))
        .collect();
    store.insert(vec![0], b"the stage's own".to_vec());
    store.insert(vec![2, 9], b"a timer".to_vec());
    let all = pages(&lookup, &store, &WantedKeys::All, 2);
    assert_eq!(all, [vec!["a=v", "b=v"], vec!["ba=v", "bb=v"], vec!["c=v"]]);
    assert_eq!(
        pages(&lookup, &store, &prefix("b"), 2),
        [vec!["b=v", "ba=v"], vec!["bb=v"]]
    );
    assert_eq!(pages(&lookup, &store, &key("b"), 2), [["b=v"]]);
    assert_eq!(pages(&lookup, &store, &key("bc"), 2), [[""; 0]]);
}

#[test]
fn what_counts_for_some_windows_alone_is_shown_behind_the_panes() {
    let panes = stage(windows(WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    }));
    let part = |first, pane, key: &str| Part { first, pane }.key(key.as_bytes());
    let store: Store = [
        (part(None, 10, "a"), b"whole".to_vec()),
        (part(Some(10), 10, "a"), b"part".to_vec()),
        (part(Some(10), 20, "b"), b"part".to_vec()),
    ]
    .into();
    let all = ["a 10-20=whole", "a 10-20=part", "b 20-30=part"];
    assert_eq!(pages(&panes, &store, &WantedKeys::All, 9), [all]);
    assert_eq!(pages(&panes, &store, &key("a"), 9), [all[..2].to_vec()]);
    assert_eq!(pages(&panes, &store, &prefix("b"), 9), [all[2..].to_vec()]);
}

#[test]
fn panes_are_looked_through_one_by_one() {
    let size_ms = 20;
    let panes = stage(windows(WindowForm::Panes {
        size_ms,
        hop_ms: 10,
    }));
    let mut store = Store::new();
    for pane in [-10, 0, 50] {
        for text in ["a", "b", "bb", "c"] {
            store.insert(of_time(VALUE, pane, text.as_bytes()), b"v".to_vec());
        }
    }
    assert_eq!(
        pages(&panes, &store, &prefix("b"), 4),
        [
            vec!["b -10-0=v", "bb -10-0=v", "b 0-10=v", "bb 0-10=v"],
            vec!["b 50-60=v", "bb 50-60=v"]
        ]
    );
    assert_eq!(
        pages(&panes, &store, &key("c"), 9),
        [["c -10-0=v", "c 0-10=v", "c 50-60=v"]]
    );
    let page = page(
        &panes,
        &key("a"),
        PageStart::default(),
        1,
        |from, to, most| {
            let range = store.range(from.to_vec()..to.to_vec());
            most.of(range.map(|(key, value)| Ok((key.clone(), value.clone()))))
        },
    );
    assert_eq!(
        page.unwrap().entries[0].expires_ms,
        Some(-10 + size_ms + 30)
    );
}

#[test]
fn sessions_of_one_key_may_be_on_two_pages() {
    let gap = stage(windows(WindowForm::Session { gap_ms: 5 }));
    let mut open = Vec::new();
    for at in [0, 100, 200] {
        put_session(&mut open, at, at + 1, b"v");
    }
    let store = [(of_key(b"a"), open)].into();
    assert_eq!(
        pages(&gap, &store, &WantedKeys::All, 2),
        [vec!["a 0-6=v", "a 100-106=v"], vec!["a 200-206=v"]]
    );
}

#[test]
fn both_sides_of_a_join_are_found() {
    let join = stage(StageKind::Join(Join {
        partners: Partners::within(7),
        lateness_ms: 3,
        left: true,
        right: false,
    }));
    let mut store = Store::new();
    for text in ["a", "b", "bb", "ca"] {
        let name = |side| of_key(&joined(text.as_bytes(), side, 5, Some((1, 2))));
        store.insert(name(0), b"\0left".to_vec());
        store.insert(name(1), b"right".to_vec());
    }
    assert_eq!(pages(&join, &store, &key("b"), 9), [["b=left", "b=right"]]);
    assert_eq!(
        pages(&join, &store, &prefix("b"), 9),
        [["b=left", "b=right", "bb=left", "bb=right"]]
    );
    assert_eq!(pages(&join, &store, &key("ccc"), 9), [[""; 0]]);
    let all = pages(&join, &store, &WantedKeys::All, 3);
    assert_eq!(all.concat().len(), 8);
}

#[test]
fn a_running_reduction_says_when_its_key_is_forgotten() {
    let running = stage(StageKind::Running {
        expire_ms: Some(60),
    });
    let head = Running {
        last_ms: 40,
        timer_ms: None,
    };
    let found = kept(&running, &of_key(b"a"), b"a", &head.write(b"v"));
    assert_eq!(
        (found[0].expires_ms, &found[0].value[..]),
        (Some(100), &b"v"[..])
    );
    let damaged = kept(&running, &of_key(b"a"), b"a", b"short");
    assert_eq!(damaged[0].value, b"short");
}
