//! Merges groups, and holds reductions to what makes their results the same in any cut.

use super::calls::Guest;
use super::model::{Bytes, Finished, FinishedGroup, Group, GroupId, Item, Made, Placed, Times};
use super::text;

/// The merged accumulators. Panics where the same records in other cuts come to something else.
pub(super) fn merge(
    guest: &Guest<'_>,
    stage: usize,
    times: Times,
    groups: &[Group],
    cuts: Vec<Vec<Group>>,
) -> Vec<Bytes> {
    let merged = guest.combine(stage, groups);
    let name = guest.stage_name(stage);
    for other in cuts {
        let ids = |groups: &[Group]| -> Vec<GroupId> {
            groups.iter().map(|group| group.id.clone()).collect()
        };
        assert_eq!(
            ids(groups),
            ids(&other),
            "the keys or windows of stage `{name}` depend on how records are cut into batches (whole: left)"
        );
        let again = guest.quietly(|| guest.combine_once(stage, &other));
        for ((group, one), two) in groups.iter().zip(&merged).zip(&again) {
            if one == two {
                continue;
            }
            let [one, two] = [one, two].map(|accumulator| {
                guest.quietly(|| finish_alone(guest, stage, times, group, accumulator))
            });
            assert!(
                alike(&one, &two, guest.has_floats(stage)),
                "the reduction of stage `{name}` depends on how records are cut into batches: is it associative? \
                 Whole they come to {}, in another cut to {}",
                words(&one),
                words(&two)
            );
        }
    }
    merged
}

fn finish_alone(
    guest: &Guest<'_>,
    stage: usize,
    times: Times,
    group: &Group,
    accumulator: &Bytes,
) -> Made {
    let (start_ms, end_ms) = (times.clock_ms, times.clock_ms);
    let group = FinishedGroup {
        key: group.id.key.clone(),
        accumulator: accumulator.clone(),
        start_ms,
        end_ms,
    };
    guest.finish(stage, times, &Finished::Groups(vec![group]))
}

/// The same to a reader: numbers with a fraction may differ in their last digits, as the order of
/// additions shows there. What goes on to another stage cannot be read here, so with floats in it
/// only its keys are compared.
fn alike(one: &Made, two: &Made, floats: bool) -> bool {
    let same_rows = |(a, b): (&Placed, &Placed)| {
        a.len() == b.len() && a.iter().zip(b).all(|((_, a), (_, b))| text::near(a, b))
    };
    let faults = |made: &Made| made.faults.len();
    let blind = |item: &Item| {
        if floats {
            Item {
                value: Bytes::new(),
                ..item.clone()
            }
        } else {
            item.clone()
        }
    };
    let items = |made: &Made| -> Vec<Item> {
        made.parts
            .iter()
            .flat_map(|part| &part.items)
            .map(blind)
            .collect()
    };
    faults(one) == faults(two)
        && one.rows.iter().zip(&two.rows).all(same_rows)
        && items(one) == items(two)
}

fn words(made: &Made) -> String {
    let rows = made
        .rows
        .iter()
        .flatten()
        .map(|(_, row)| format!("`{row}`"));
    let faults = made
        .faults
        .iter()
        .map(|(_, why)| format!("the fault `{why}`"));
    let items = made
        .parts
        .iter()
        .flat_map(|part| &part.items)
        .map(|item| format!("{:?}", item.value));
    let all: Vec<String> = rows.chain(faults).chain(items).collect();
    if all.is_empty() {
        "nothing".into()
    } else {
        all.join(", ")
    }
}
