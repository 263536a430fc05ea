//! Counts the words that each key says, and breaks on some of them where a keyed stage is: in its
//! merge and behind it.
//!
//! One build is many guests: `variant.rs` says which one. What the variants do that an author
//! cannot do with the SDK is in `lies.rs`.

mod deeds;
#[path = "../../variant.rs"]
mod variant;
#[cfg(target_family = "wasm")]
mod lies;
mod seen;

use deeds::harm;
use seen::{Said, Seen, SeenIn, SeenSoFar, Weighed};
use std::sync::atomic::{AtomicU64, Ordering};
use streamhost::{Call, Job, hbase, kafka, millis, seconds, session, tumbling};
use variant::variant;

/// What a guest must not do: what it answers depends on what it was asked before.
fn calls_so_far() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

fn build<'b>() -> Job<'b> {
    let words = kafka("words")
        .try_map(Said::parse)
        .key_by(|said: &Said<'b>| said.key);
    let to = hbase("seen");
    match variant() {
        variant if variant.starts_with("windows") => {
            let windows = words.named("seen").window(tumbling(seconds(10)));
            windows
                .fold(Seen::default, Seen::add, Seen::merge)
                .map(SeenIn::of)
                .to(to)
        }
        variant if variant.starts_with("sessions") => {
            let sessions = words.named("seen").window(session(millis(10_000)));
            sessions
                .fold(Seen::default, Seen::add, Seen::merge)
                .map(SeenIn::of)
                .to(to)
        }
        "renamed" => words
            .named("renamed")
            .running()
            .count()
            .map(|key| SeenSoFar::new(key.key, key.value))
            .to(to),
        "changed" => {
            let changed =
                words
                    .named("seen")
                    .running()
                    .fold(Weighed::default, Weighed::add, Weighed::merge);
            changed
                .map(|key| SeenSoFar::new(key.key, key.value.words))
                .to(to)
        }
        "migrates" | "migrates-too-few" | "migrates-and-lies-of-two" => {
            let changed =
                words
                    .named("seen")
                    .running()
                    .fold(Weighed::default, Weighed::add, Weighed::merge);
            let migrated = changed.migrate_from(0, Weighed::of);
            migrated
                .map(|key| SeenSoFar::new(key.key, key.value.words))
                .to(to)
        }
        "migrates-and-breaks" => {
            let changed =
                words
                    .named("seen")
                    .running()
                    .fold(Weighed::default, Weighed::add, Weighed::merge);
            let migrated =
                changed.migrate_from(0, |_: Seen| -> Weighed { panic!("old state said so") });
            migrated
                .map(|key| SeenSoFar::new(key.key, key.value.words))
                .to(to)
        }
        "next-version" => {
            let next = words.named("seen").version(1).running().fold(
                Seen::default,
                Seen::add,
                Seen::merge,
            );
            next.map(|key| SeenSoFar::new(key.key, key.value.words))
                .to(to)
        }
        "counts-its-calls" => {
            let running = words
                .named("seen")
                .running()
                .fold(Seen::default, Seen::add, Seen::merge);
            running
                .map(|key| SeenSoFar {
                    disorder: calls_so_far() as i64,
                    ..SeenSoFar::new(key.key, 0)
                })
                .to(to)
        }
        _ => {
            let running = words
                .named("seen")
                .running()
                .fold(Seen::default, Seen::add, Seen::merge);
            running
                .map(|key| {
                    harm("finish", &key.value.said);
                    let Seen {
                        words, disorder, ..
                    } = key.value;
                    SeenSoFar {
                        key: key.key,
                        words,
                        disorder,
                    }
                })
                .to(to)
        }
    }
}

/// As `#[job]` would write it; the component's exports are in `lies.rs`.
fn hostile<'b>(call: Call<'b>) -> Job<'b> {
    call.named("hostile-keyed", build())
}

#[cfg(not(target_family = "wasm"))]
const _: for<'b> fn(Call<'b>) -> Job<'b> = hostile;
