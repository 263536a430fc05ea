//! Answers that the SDK never gives: what it answered is changed on the way out.

use crate::hostile;
use crate::variant::variant;
use streamhost::component::{
    self, Description, Finished, Guest, Items, KeyItems, Moment, Output, Partials, Processed,
    Records,
};

/// What stands in place of an accumulator that had this word: nothing that could be read.
const GARBAGE: (&[u8], &[u8]) = (b"garbage", b"\xff\xff\xff");

struct Component;

fn spoilt(items: Items) -> Items {
    let mut out = Items {
        data: Vec::new(),
        ends: Vec::new(),
    };
    let mut from = 0;
    for end in items.ends {
        let item = &items.data[from..end as usize];
        let is_garbage = item.windows(GARBAGE.0.len()).any(|part| part == GARBAGE.0);
        out.data
            .extend_from_slice(if is_garbage { GARBAGE.1 } else { item });
        out.ends.push(out.data.len() as u32);
        from = end as usize;
    }
    out
}

fn one_less(mut items: Items) -> Items {
    items.ends.pop();
    items
        .data
        .truncate(items.ends.last().map_or(0, |&end| end as usize));
    items
}

/// Has something to say even of nothing.
fn one_more(mut items: Items) -> Items {
    items.ends.push(items.data.len() as u32);
    items
}

fn beyond(mut items: Items) -> Items {
    items.ends.iter_mut().for_each(|end| *end += 1_000_000);
    items
}

impl Guest for Component {
    fn describe() -> Result<Description, String> {
        component::describe(hostile)
    }

    fn transform(stage: u32, moment: Moment, records: Records) -> Output {
        let (records_in, before_ms) = (records.values.ends.len() as u32, moment.partition_ms);
        let mut output = component::transform(hostile, stage, moment, records);
        match variant() {
            "late-beyond" if records_in > 0 => output.late = vec![records_in],
            "windows-go-back" if before_ms > i64::MIN => output.largest_ms = before_ms - 1,
            "late-in-nothing" => output.late = vec![0],
            _ => {}
        }
        for keyed in &mut output.keyed {
            match variant() {
                "no-such-stage" => keyed.stage += 1,
                "feeds-itself" => keyed.stage = stage,
                "no-such-side" => keyed.side = 1,
                "keys-end-beyond" => keyed.keys.ends.iter_mut().for_each(|end| *end += 1_000_000),
                "values-left-over" => keyed.values.data.push(0),
                "one-key-less" => _ = keyed.keys.ends.pop(),
                "positions-beyond" => keyed.positions.push(records_in),
                "windows-at-odd-times" => {
                    keyed.times_ms.iter_mut().for_each(|time_ms| *time_ms += 1)
                }
                "sessions-end-before" => {
                    keyed.until_ms.iter_mut().for_each(|time_ms| *time_ms -= 1)
                }
                "sessions-without-end" => keyed.until_ms.clear(),
                "time-without-windows" => keyed.times_ms.fill(7),
                _ => {}
            }
        }
        output
    }

    fn combine(stage: u32, partials: Partials) -> Items {
        let groups = partials.group_ends.len();
        let merged = component::combine(hostile, stage, partials);
        match variant() {
            "merges-nothing" if groups > 0 => panic!("no merge is any good"),
            "migrates-and-lies-of-two" if groups == 2 => one_less(merged),
            "garbage" => spoilt(merged),
            "merges-one-less" => one_less(merged),
            "merges-one-more" => one_more(merged),
            "merges-end-beyond" => beyond(merged),
            _ => merged,
        }
    }

    fn finish(stage: u32, moment: Moment, finished: Finished) -> Output {
        let groups = match &finished {
            Finished::Groups(groups) => groups.keys.ends.len(),
            Finished::Pairs(pairs) => pairs.lefts.ends.len(),
        };
        let mut output = component::finish(hostile, stage, moment, finished);
        match variant() {
            "finishes-late" if groups > 0 => output.late = vec![0],
            "finishes-beyond" => output.rows[0]
                .positions
                .iter_mut()
                .for_each(|position| *position += groups as u32),
            "finishes-no-sink" if groups > 0 => output.rows.clear(),
            _ => {}
        }
        output
    }

    fn process(stage: u32, moment: Moment, keys: KeyItems) -> Processed {
        component::process(hostile, stage, moment, keys)
    }

    fn migrate(stage: u32, accumulators: Items) -> Items {
        let migrated = component::migrate(hostile, stage, accumulators);
        if variant() == "migrates-too-few" {
            one_less(migrated)
        } else {
            migrated
        }
    }
}

component::export!(Component with_types_in streamhost::component::bindings);
