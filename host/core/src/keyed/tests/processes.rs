//! A stage that processes, under random items, cuts into batches, portions and deaths, against a
//! model that goes through one item after the other. `SEED=42` replays one, `SEEDS=5000` tries as
//! many.

use super::*;
use crate::contract::{
    Calls, Combined, Finished, GroupFault, KeyItems, KeyOutcome, Moment, Partials, Refusal,
    VersionFault,
};
use crate::job::Process;
use crate::types::{Column, Rows};
use std::collections::BTreeSet;
use std::ops::Range;

/// Items of this number, and of one below, break the guest.
const BREAKS: u64 = 1_000;
/// So are refused.
const REFUSED: u64 = 11;

/// What a key has.
#[derive(Clone, Debug, Default)]
struct OfKey {
    state: Option<(u64, u64)>,
    event_ms: BTreeSet<i64>,
    batch_ms: BTreeSet<i64>,
    last_ms: i64,
}

/// What a function gave out, and what it refused.
#[derive(Clone, Debug, Default)]
struct Gave {
    rows: Vec<String>,
    refused: Option<&'static str>,
}

/// The author's function of items. None: it breaks.
fn on_item(
    key: &[u8],
    value: u64,
    (time_ms, clock_ms): (i64, i64),
    of: &mut OfKey,
) -> Option<Gave> {
    if value >= BREAKS {
        return None;
    }
    if value.is_multiple_of(REFUSED) {
        let refused = Some("refused");
        return Some(Gave {
            refused,
            ..Gave::default()
        });
    }
    let (count, sum) = of.state.unwrap_or_default();
    let (count, sum) = (count + 1, sum * 3 % 1_000 + value);
    of.state = (!value.is_multiple_of(7)).then_some((count, sum));
    match value % 6 {
        0 | 5 => drop(of.event_ms.insert(time_ms + (value % 40) as i64 - 8)),
        1 => drop(
            of.batch_ms
                .insert((clock_ms + (value % 30) as i64).max(clock_ms + 1)),
        ),
        2 => drop(of.event_ms.pop_first()),
        3 => drop(of.batch_ms.pop_last()),
        _ => {}
    }
    let row = format!("{} {value} {count} {sum} at {time_ms}", key.escape_ascii());
    Some(Gave {
        rows: vec![row],
        refused: None,
    })
}

/// The same of timers.
fn on_timer(key: &[u8], at_ms: i64, is_batch: bool, breaks: bool, of: &mut OfKey) -> Option<Gave> {
    if breaks && at_ms.rem_euclid(5) == 0 {
        return None;
    }
    let row = format!(
        "{} timer {at_ms} {is_batch} {:?}",
        key.escape_ascii(),
        of.state
    );
    match at_ms.rem_euclid(4) {
        0 => of.state = None,
        1 => drop(of.event_ms.insert(at_ms + 6)), // which sets no more
        2 => drop(of.event_ms.pop_last()),
        _ => {}
    }
    let refused = (at_ms.rem_euclid(9) == 0).then_some("refused timer");
    Some(Gave {
        rows: vec![row],
        refused,
    })
}

fn event_timers(
    key: &[u8],
    below_ms: i64,
    breaks: bool,
    of: &mut OfKey,
    mut give: impl FnMut(i64, Gave),
) -> Option<()> {
    while let Some(&at_ms) = of.event_ms.first()
        && at_ms < below_ms
    {
        of.event_ms.pop_first();
        give(at_ms, on_timer(key, at_ms, false, breaks, of)?);
    }
    Some(())
}

fn batch_timers(
    key: &[u8],
    through_ms: i64,
    breaks: bool,
    of: &mut OfKey,
    mut give: impl FnMut(i64, Gave),
) -> Option<()> {
    for at_ms in of.batch_ms.clone().range(..=through_ms) {
        if of.batch_ms.remove(at_ms) {
            give(*at_ms, on_timer(key, *at_ms, true, breaks, of)?);
        }
    }
    Some(())
}

fn state_bytes(state: (u64, u64)) -> Vec<u8> {
    guest::bytes(&[state.0, state.1])
}

/// The author's functions as a component calls them.
struct Processing {
    breaks: bool,
    event_time: bool,
    clock_ms: i64,
}

impl Processing {
    /// None: it breaks on the key.
    fn key(&self, keys: &KeyItems, at: usize) -> Option<(Vec<String>, KeyOutcome)> {
        let key = keys.keys.get(at);
        let state = guest::numbers(keys.states.get(at));
        assert_eq!(state.is_empty(), keys.absent.contains(&(at as u32)));
        let mut of = OfKey {
            state: (!state.is_empty()).then(|| (state[0], state[1])),
            event_ms: keys.event_timers.get(at).iter().copied().collect(),
            batch_ms: keys.batch_timers.get(at).iter().copied().collect(),
            last_ms: 0,
        };
        let (mut rows, mut refusals) = (Vec::new(), Vec::new());
        let mut give = |item: Option<u32>, time_ms, gave: Gave| {
            rows.extend(gave.rows);
            refusals.extend(gave.refused.map(|reason| Refusal {
                item,
                time_ms,
                reason: reason.into(),
            }));
        };
        for (number, place) in (0..).zip(keys.items_of(at)) {
            let time_ms = keys.times_ms[place];
            let below_ms = if self.event_time { time_ms } else { i64::MIN };
            event_timers(key, below_ms, self.breaks, &mut of, |at, gave| {
                give(None, at, gave)
            })?;
            let value = guest::numbers(keys.items.get(place))[0];
            let gave = on_item(key, value, (time_ms, self.clock_ms), &mut of)?;
            give(Some(number), time_ms, gave);
        }
        if keys.last {
            let below_ms = keys.watermark_ms;
            event_timers(key, below_ms, self.breaks, &mut of, |at, gave| {
                give(None, at, gave)
            })?;
        }
        batch_timers(key, keys.batch_due_ms, self.breaks, &mut of, |_, gave| {
            give(None, self.clock_ms, gave)
        })?;
        let outcome = KeyOutcome {
            at,
            state: of.state.map(state_bytes),
            event_timers_ms: of.event_ms.into_iter().collect(),
            batch_timers_ms: of.batch_ms.into_iter().collect(),
            refusals,
        };
        Some((rows, outcome))
    }
}

impl StageWorkers for Processing {}

impl Calls for Processing {
    fn combine(&mut self, _: u32, _: &Partials) -> Result<Combined, VersionFault> {
        unreachable!("nothing is merged here")
    }

    fn finish(
        &mut self,
        _: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Result<crate::contract::Made, VersionFault> {
        let Finished::Keys(keys) = finished else {
            unreachable!("keys are asked alone")
        };
        assert_eq!(
            (moment.batch_ms, keys.keys.is_empty()),
            (self.clock_ms, false)
        );
        let (mut rows, mut faults, mut outcomes) = (Rows::default(), Vec::new(), Vec::new());
        for at in 0..keys.keys.len() {
            let Some((given, outcome)) = self.key(keys, at) else {
                faults.push(GroupFault {
                    at,
                    reason: "broke".into(),
                    by_host: true,
                });
                continue;
            };
            for row in given {
                rows.positions.push(at as u32);
                rows.cells.push(row.as_bytes());
            }
            outcomes.push(outcome);
        }
        Ok(crate::contract::Made {
            rows: vec![vec![rows]],
            faults,
            outcomes,
            ..Default::default()
        })
    }

    fn migrate(&mut self, _: u32, _: &Column) -> Result<Column, VersionFault> {
        unreachable!("nothing is migrated here")
    }
}

/// An item as the model knows it.
struct Told {
    key: Vec<u8>,
    time_ms: i64,
    value: u64,
}

/// The model: every key, one item after the other.
#[derive(Default)]
struct Sequence {
    keys: BTreeMap<Vec<u8>, OfKey>,
}

/// What is due of a key goes off, or is dropped if any of it breaks.
fn go_off(
    key: &[u8],
    of: &mut OfKey,
    (below_ms, batch_ms, clock_ms): (i64, i64, i64),
    breaks: bool,
    out: &mut Vec<String>,
) {
    let events: Vec<i64> = of.event_ms.range(..below_ms).copied().collect();
    let batches: Vec<i64> = of.batch_ms.range(..=batch_ms).copied().collect();
    let Some(&first) = events.first().or(batches.first()) else {
        return;
    };
    let (mut tried, mut given) = (of.clone(), Vec::new());
    let mut give = |time_ms: i64, gave: Gave| {
        given.extend(gave.rows);
        given.extend(gave.refused.map(|why| letter(why, time_ms, key, None)));
    };
    let went = event_timers(key, below_ms, breaks, &mut tried, &mut give).and_then(|()| {
        batch_timers(key, batch_ms, breaks, &mut tried, |_, gave| {
            give(clock_ms, gave)
        })
    });
    match went {
        Some(()) => {
            *of = tried;
            out.extend(given);
        }
        None => {
            of.event_ms.retain(|ms| !events.contains(ms));
            of.batch_ms.retain(|ms| !batches.contains(ms));
            out.push(letter("broke", first, key, None));
        }
    }
}

fn letter(reason: &str, time_ms: i64, key: &[u8], value: Option<u64>) -> String {
    format!("letter {reason} {time_ms} {} {value:?}", key.escape_ascii())
}

impl Sequence {
    fn batch(
        &mut self,
        items: &[Told],
        (clock_ms, line_ms): (i64, i64),
        process: Process,
        breaks: bool,
    ) -> Vec<String> {
        let mut out = Vec::new();
        let below_ms = if process.event_time {
            line_ms
        } else {
            i64::MIN
        };
        let batch_ms = if line_ms == i64::MAX {
            i64::MAX
        } else {
            clock_ms
        };
        let silent = |last_ms: i64| {
            process
                .expire_ms
                .is_some_and(|expire_ms| clock_ms - last_ms > expire_ms as i64)
        };
        self.keys.retain(|_, of| !silent(of.last_ms));
        for item in items {
            let of = self.keys.entry(item.key.clone()).or_default();
            let due = match process.event_time {
                true => (item.time_ms, i64::MIN, clock_ms),
                false => (i64::MIN, i64::MIN, clock_ms),
            };
            go_off(&item.key, of, due, breaks, &mut out);
            let mut tried = of.clone();
            tried.last_ms = clock_ms; // what breaks has not been there
            match on_item(&item.key, item.value, (item.time_ms, clock_ms), &mut tried) {
                None => out.push(letter("broke", item.time_ms, &item.key, Some(item.value))),
                Some(gave) => {
                    *of = tried;
                    out.extend(gave.rows);
                    let value = Some(item.value);
                    out.extend(
                        gave.refused
                            .map(|why| letter(why, item.time_ms, &item.key, value)),
                    );
                }
            }
        }
        for (key, of) in &mut self.keys {
            go_off(key, of, (below_ms, batch_ms, clock_ms), breaks, &mut out);
        }
        self.keys.retain(|_, of| {
            of.state.is_some() || !of.event_ms.is_empty() || !of.batch_ms.is_empty()
        });
        out.sort();
        out
    }
}

struct Processes {
    spec: JobSpec,
    process: Process,
    breaks: bool,
    dice: Dice,
    store: Arc<MemoryStore>,
    state: StateOverlay,
    seed: u64,
}

const ID: StageId = 7;

impl Processes {
    fn attempt(&mut self, parts: Vec<Keyed>, times: BatchTimes<'_>) -> Vec<String> {
        let portion = Portion {
            groups: 1 + self.dice.roll(9) as usize,
            bytes: if self.dice.one_in(2) { 40 } else { 1 << 20 },
            look: Most {
                entries: 1 + self.dice.roll(4) as usize,
                bytes: [1, 100, 1 << 20][self.dice.roll(3) as usize],
            },
            group_bytes: 1 << 20,
            pairs: 0,
            early: 0,
            expiries: 3,
        };
        let mut guest = Processing {
            breaks: self.breaks,
            event_time: self.process.event_time,
            clock_ms: times.clock_ms,
        };
        let how: (_, &dyn Fn() -> bool) = (portion, &|| false);
        let made = run_in(
            &self.spec,
            &[ID],
            parts,
            times,
            &mut self.state,
            &mut guest,
            how,
        )
        .unwrap();
        let mut out = texts(&made);
        out.extend(made.dead_letters.iter().map(|dead| {
            let reason = dead.reason.split(';').next().unwrap();
            let value = guest::numbers(&dead.value).first().copied();
            letter(reason, dead.time_ms, &dead.key, value)
        }));
        out.sort();
        out
    }

    fn kept(&mut self) -> Entries {
        let all = Most::entries(usize::MAX);
        self.state.scan(ID, &[], &[u8::MAX], all).unwrap()
    }

    fn part(items: &[Told], range: Range<usize>) -> Keyed {
        let mut part = Keyed {
            stage: 1,
            ..Keyed::default()
        };
        for item in &items[range] {
            part.keys.push(&item.key);
            part.values.push(&guest::bytes(&[item.value]));
            part.times_ms.push(item.time_ms);
        }
        part
    }

    fn roll_items(&mut self, at_ms: &mut i64) -> Vec<Told> {
        let count = if self.dice.one_in(4) {
            0
        } else {
            self.dice.roll(25)
        };
        let item = |_| {
            *at_ms += self.dice.between(0, 6);
            Told {
                key: format!("k{}", self.dice.roll(6)).into_bytes(),
                time_ms: *at_ms - self.dice.between(0, 10),
                value: match self.breaks && self.dice.one_in(9) {
                    true => BREAKS,
                    false => 1 + self.dice.roll(900),
                },
            }
        };
        (0..count).map(item).collect()
    }

    fn live(&mut self) {
        let (mut clock_ms, mut at_ms, mut before_ms) = (1_000, 0, i64::MIN);
        let (mut late_thresholds_ms, mut model) = (BTreeMap::new(), Sequence::default());
        let batches = 3 + self.dice.roll(12);
        for batch in 1..=batches {
            let step = if self.dice.one_in(6) { 3_000 } else { 20 };
            clock_ms += self.dice.between(0, step);
            let items = self.roll_items(&mut at_ms);
            let lag_ms = self.dice.between(0, 12);
            let watermark_ms = match batch == batches {
                true => i64::MAX,
                false => before_ms.max(at_ms - lag_ms),
            };
            let times = BatchTimes {
                batch,
                clock_ms,
                before_ms,
                watermark_ms,
                late_thresholds_ms: &late_thresholds_ms,
                gives_timers: true,
            };
            let cut = self.dice.roll(items.len() as u64 + 1) as usize;
            let parts = vec![
                Self::part(&items, 0..cut),
                Self::part(&items, cut..items.len()),
            ];
            let (seed, old) = (self.seed, self.kept());
            let is_due = is_due(&self.spec, &[ID], times, &mut self.state).unwrap();
            let first = (self.attempt(parts.clone(), times), self.kept());
            self.state.abandon();
            assert_eq!(
                self.kept(),
                old,
                "SEED={seed}: what is abandoned leaves nothing"
            );
            let second = (self.attempt(parts, times), self.kept());
            assert_eq!(
                first, second,
                "SEED={seed}: batch {batch} has the same outcome again"
            );
            if items.is_empty() {
                let is_changed = first.1 != old || !first.0.is_empty();
                assert_eq!(is_changed, is_due, "SEED={seed}: batch {batch} is due");
            }
            let told = model.batch(&items, (clock_ms, watermark_ms), self.process, self.breaks);
            assert_eq!(first.0, told, "SEED={seed}: batch {batch}");
            let next = late_thresholds_after(&self.spec, times);
            late_thresholds_ms = next;
            before_ms = watermark_ms;
            self.settle(batch);
        }
        self.check_end(&model);
    }

    /// The batch becomes durable, and perhaps the host dies.
    fn settle(&mut self, batch: u64) {
        let delta = self.state.take(batch);
        let checkpoint = Checkpoint {
            batch,
            ..Checkpoint::begin(7, 3, 1000, TopicOffsets::new())
        };
        self.store.write(Some((&checkpoint, &delta)), None).unwrap();
        if self.dice.one_in(4) {
            self.state = StateOverlay::new(self.store.clone(), CACHE_BYTES);
        } else {
            self.state.settled(batch);
        }
    }

    /// What is kept is what the model has, and no index is left of what is gone.
    fn check_end(&mut self, model: &Sequence) {
        let kept = self.kept();
        let of = |tag: u8| kept.iter().filter(move |(key, _)| key[0] == tag);
        let states: Vec<_> = of(entry::VALUE)
            .map(|(key, value)| {
                let states = entry::accumulators(&self.spec.stages[0].kind, key, value).unwrap();
                (
                    key[1..].to_vec(),
                    states.first().map(|state| state.to_vec()),
                )
            })
            .collect();
        let keys = model.keys.iter();
        let told: Vec<_> = keys
            .map(|(key, of)| (key.clone(), of.state.map(state_bytes)))
            .collect();
        // What was silent for too long counts as forgotten before it is removed.
        if self.process.expire_ms.is_none() {
            assert_eq!(states, told, "SEED={}", self.seed);
        }
        let indexed = |of: fn(&OfKey) -> &BTreeSet<i64>| {
            model
                .keys
                .values()
                .filter(|key| !of(key).is_empty())
                .count()
        };
        if self.process.expire_ms.is_none() {
            let events = indexed(|key| &key.event_ms);
            assert_eq!(of(entry::TIMER).count(), events, "SEED={}", self.seed);
            let batches = indexed(|key| &key.batch_ms);
            assert_eq!(
                of(entry::BATCH_TIMER).count(),
                batches,
                "SEED={}",
                self.seed
            );
        }
    }
}

fn live_through(seed: u64) {
    let mut dice = Dice::new(seed);
    let process = Process {
        expire_ms: dice.one_in(3).then(|| dice.roll(4_000)),
        event_time: !dice.one_in(4),
    };
    let stages = vec![stage("stage", StageKind::Process(process), vec![0])];
    let store = Arc::new(MemoryStore::default());
    let mut world = Processes {
        spec: spec(vec![source(false)], stages),
        process,
        breaks: dice.one_in(3),
        dice,
        state: StateOverlay::new(store.clone(), CACHE_BYTES),
        store,
        seed,
    };
    world.live();
}

#[test]
fn processing_gives_what_the_model_gives_however_batches_are_cut() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|n: String| n.parse().expect("SEED and SEEDS are numbers"))
    };
    match number("SEED") {
        Some(seed) => live_through(seed),
        None => (1..=number("SEEDS").unwrap_or(500)).for_each(live_through),
    }
}
