//! All of Nexmark's queries, over events in disorder and in any batches, held against plain loops over
//! the events. `SEED=n` runs one seed alone.

mod events;
mod queries;
mod wanted;

use events::{Dice, Events, events, run};
use std::collections::BTreeMap;
use streamhost::{Call, Job, Record, testing};

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..6).collect(),
    }
}

/// Rows without keys, in any order.
fn appends<J>(job: J, want: fn(&Events) -> Vec<String>)
where
    J: for<'b> Fn(Call<'b>) -> Job<'b> + Copy,
{
    for seed in seeds() {
        let mut dice = Dice(seed);
        let events = events(&mut dice);
        let mut found = run(job, &events, &mut dice);
        let want = want(&events);
        let mut want: Vec<String> = want.into_iter().map(|row| format!("value={row}")).collect();
        assert!(!want.is_empty(), "SEED={seed}: nothing is to be found");
        found.sort_unstable();
        want.sort_unstable();
        assert_eq!(found, want, "SEED={seed}");
    }
}

/// Rows with keys, of which the last one of each counts.
fn updates<J>(job: J, want: fn(&Events) -> BTreeMap<String, String>)
where
    J: for<'b> Fn(Call<'b>) -> Job<'b> + Copy,
{
    for seed in seeds() {
        let mut dice = Dice(seed);
        let events = events(&mut dice);
        let mut found = BTreeMap::new();
        for row in run(job, &events, &mut dice) {
            let (key, value) = row
                .strip_prefix("key=")
                .and_then(|row| row.split_once(" value="))
                .unwrap_or_else(|| panic!("SEED={seed}: {row}"));
            found.insert(key.to_owned(), value.to_owned());
        }
        let want = want(&events);
        assert!(!want.is_empty(), "SEED={seed}: nothing is to be found");
        assert_eq!(found, want, "SEED={seed}");
    }
}

macro_rules! queries {
    ($($form:ident: $($query:ident)*;)*) => { $($(
        #[test]
        fn $query() {
            $form(queries::$query, wanted::$query);
        }
    )*)* };
}
queries! {
    appends: q0 q1 q2 q3 q5 q7 q8 q9 q10 q11 q14 q20 q21 q22;
    updates: q4 q6 q15 q16 q17 q18 q19;
}

/// In windows of the batches' time, which are the test's own affair: all windows of a bidder together.
#[test]
fn q12() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let events = events(&mut dice);
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let rows = run(queries::q12, &events, &mut dice);
        for row in &rows {
            let row = row
                .strip_prefix("value=")
                .and_then(|row| row.split_once(' '));
            let (bidder, count) = row.expect("two numbers");
            let number = |text: &str| text.parse::<u64>().expect("a number");
            *found.entry(number(bidder)).or_default() += number(count);
        }
        assert!(
            rows.len() > found.len(),
            "SEED={seed}: there were several windows"
        );
        assert_eq!(found, wanted::q12(&events), "SEED={seed}");
    }
}

/// The table is there before the bids come.
#[test]
fn q13() {
    for seed in seeds() {
        let mut dice = Dice(seed);
        let mut events = events(&mut dice);
        let bids = std::mem::take(&mut events.bids);
        let mut job = testing::run(queries::q13);
        let json = |at, text: String| (at, text);
        let auctions = events.auctions.iter();
        let auctions: Vec<_> = auctions
            .map(|auction| json(auction.at, serde_json::to_string(auction).expect("JSON")))
            .collect();
        let records = auctions.iter();
        job.send(
            "auction",
            records.map(|(at, text)| Record::from(text.as_str()).at(*at)),
        );
        let texts: Vec<_> = bids
            .iter()
            .map(|bid| json(bid.at, serde_json::to_string(bid).expect("JSON")))
            .collect();
        for some in texts.chunks(1 + dice.roll(20) as usize) {
            job.send(
                "bid",
                some.iter()
                    .map(|(at, text)| Record::from(text.as_str()).at(*at)),
            );
        }
        events.bids = bids;
        let want = wanted::q13(&events).into_iter();
        let mut want: Vec<String> = want.map(|row| format!("value={row}")).collect();
        let mut found = job.rows("console");
        found.sort_unstable();
        want.sort_unstable();
        assert_eq!(found, want, "SEED={seed}");
    }
}
