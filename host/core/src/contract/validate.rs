//! What a version's answers must keep to, by what its job says of itself.

use super::{
    Answer, GuestFault, KeyOutcome, Refusal, RowShape, check_ascending, check_column, check_rows,
};
use crate::job::{JobSpec, StageKind, StageSpec, Window, WindowForm};
use crate::limits::{GUEST_OUTPUT_BYTES_MAX, KEYED_KEY_BYTES_MAX};
use crate::types::{Column, Keyed, Rows};

/// The promises of one version.
#[derive(Clone, Debug)]
pub struct AnswerRules {
    /// What rows look like, by sink.
    pub shapes: Vec<RowShape>,
    /// For each source, whether it matters in its calls which records of the partition came before.
    in_order: Vec<bool>,
    sources: Vec<String>,
    stages: Vec<StageSpec>,
}

/// The call that is answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The stage that was called.
    pub stage: u32,
    /// How many records, groups or pairs it was given.
    pub items: usize,
    /// The largest event time that the records' partition had before.
    pub partition_ms: i64,
}

impl AnswerRules {
    /// The promises of a job's rows, by sink, and of its keyed stages.
    pub fn new(shapes: Vec<RowShape>, spec: &JobSpec) -> Self {
        let in_order = (0u32..)
            .zip(&spec.sources)
            .map(|(number, source)| source.timed && goes_by_time(number, spec));
        let sources = spec
            .sources
            .iter()
            .map(|source| source.name.clone())
            .collect();
        AnswerRules {
            shapes,
            in_order: in_order.collect(),
            sources,
            stages: spec.stages.clone(),
        }
    }

    /// How many sources there are: keyed stages are numbered after them.
    pub fn sources(&self) -> u32 {
        self.sources.len() as u32
    }

    /// The keyed stages, with their numbers.
    pub fn keyed(&self) -> impl Iterator<Item = (u32, &StageSpec)> {
        (self.sources()..).zip(&self.stages)
    }

    fn keyed_stage(&self, number: u32) -> Option<&StageSpec> {
        self.stages
            .get(number.checked_sub(self.sources())? as usize)
    }

    /// What a stage is called in messages.
    pub fn name(&self, stage: u32) -> &str {
        let source = self.sources.get(stage as usize).map(String::as_str);
        source
            .or_else(|| Some(&self.keyed_stage(stage)?.name))
            .unwrap_or("?")
    }

    /// Whether what is made of a stage's calls goes on to a keyed stage, so that it matters how
    /// calls are cut.
    pub fn feeds(&self, stage: u32) -> bool {
        self.stages
            .iter()
            .any(|keyed| keyed.inputs.contains(&stage))
    }

    /// Whether it matters which records of a source's partition came before: only for what goes by
    /// event time.
    pub fn in_order(&self, source: u16) -> bool {
        self.in_order
            .get(usize::from(source))
            .copied()
            .unwrap_or(false)
    }

    /// An answer of `transform` or `finish`. `Err` says which promise was broken.
    pub fn check(&self, answer: &Answer, asked: Asked) -> Result<(), String> {
        let Asked {
            items,
            partition_ms,
            ..
        } = asked;
        if answer.rows.len() != self.shapes.len() {
            let (found, wanted) = (answer.rows.len(), self.shapes.len());
            return Err(format!(
                "it has rows for {found} sinks, where `describe` names {wanted}"
            ));
        }
        if let Some((position, _)) = answer
            .faults
            .iter()
            .find(|(position, _)| *position as usize >= items)
        {
            return Err(format!(
                "a fault is at position {position}, of {items} that were asked"
            ));
        }
        for (rows, shape) in answer.rows.iter().zip(&self.shapes) {
            check_rows(rows, items, shape)?;
        }
        for (i, keyed) in answer.keyed.iter().enumerate() {
            let same = |other: &Keyed| (other.stage, other.side) == (keyed.stage, keyed.side);
            let twice = answer.keyed[..i].iter().any(same);
            let checked = if twice {
                Err("it is there twice".into())
            } else {
                self.check_keyed(keyed, asked)
            };
            checked.map_err(|broken| {
                format!(
                    "keyed, stage {}, side {}: {broken}",
                    keyed.stage, keyed.side
                )
            })?;
        }
        self.check_outcomes(answer, asked)?;
        check_ascending("late", &answer.late, items)?;
        if asked.stage >= self.sources() && !answer.late.is_empty() {
            return Err("`late` is not empty: what a keyed stage finished is never late".into());
        }
        if answer.largest_ms < partition_ms {
            return Err(format!(
                "`largest-ms` is {}, below the {partition_ms} of before",
                answer.largest_ms
            ));
        }
        Ok(())
    }

    fn check_outcomes(&self, answer: &Answer, asked: Asked) -> Result<(), String> {
        let stage = self.keyed_stage(asked.stage);
        let processes = stage.is_some_and(|stage| matches!(stage.kind, StageKind::Process(_)));
        let wanted = if processes { asked.items } else { 0 };
        match answer.outcomes.len() {
            found if found == wanted => Ok(()),
            found => Err(format!("it has states for {found} keys, of {wanted}")),
        }
    }

    fn check_keyed(&self, keyed: &Keyed, asked: Asked) -> Result<(), String> {
        let Some(stage) = self.keyed_stage(keyed.stage) else {
            return Err("there is no such keyed stage".into());
        };
        if keyed.stage <= asked.stage || !stage.inputs.contains(&asked.stage) {
            return Err(format!(
                "`describe` does not say that stage {} feeds `{}`",
                asked.stage, stage.name
            ));
        }
        let two_sides = matches!(stage.kind, StageKind::Join(_) | StageKind::Lookup);
        if keyed.side > u8::from(two_sides) {
            return Err(format!("`{}` has no such side", stage.name));
        }
        let n = keyed.keys.len();
        if keyed.values.len() != n || keyed.times_ms.len() != n {
            return Err("`keys`, `values` and `times-ms` differ in length".into());
        }
        check_column(&keyed.keys).map_err(|broken| format!("keys: {broken}"))?;
        check_column(&keyed.values).map_err(|broken| format!("values: {broken}"))?;
        check_ascending("positions", &keyed.positions, asked.items)?;
        check_times(keyed, stage.kind)?;
        check_deleted(keyed, stage.kind)
    }

    /// The bytes of a checked answer. A key that is too long, or an answer that is, is not the
    /// version's fault: what it comes from is found by halving, and set aside.
    pub fn size(&self, answer: &Answer) -> Result<usize, GuestFault> {
        for keyed in answer
            .keyed
            .iter()
            .filter(|keyed| keyed.keys.data.len() > KEYED_KEY_BYTES_MAX)
        {
            if let Some(key) = keyed
                .keys
                .iter()
                .find(|key| key.len() > KEYED_KEY_BYTES_MAX)
            {
                return Err(GuestFault::Key {
                    stage: self.name(keyed.stage).to_string(),
                    bytes: key.len(),
                });
            }
        }
        bounded(answer_bytes(answer))
    }

    /// What `combine` or `migrate` answered for so many groups.
    pub fn check_column(&self, call: &str, answer: &Column, items: usize) -> Result<(), String> {
        check_column(answer).map_err(|broken| format!("`{call}`: {broken}"))?;
        match answer.len() {
            found if found == items => Ok(()),
            found => Err(format!("`{call}` gave {found} accumulators for {items}")),
        }
    }
}

/// Whether what comes of a source goes to a stage that goes by event time.
fn goes_by_time(source: u32, spec: &JobSpec) -> bool {
    let mut fed = vec![false; spec.sources.len() + spec.stages.len()];
    let mut by_time = false;
    for (keyed, number) in spec.stages.iter().zip(spec.sources.len()..) {
        fed[number] = keyed
            .inputs
            .iter()
            .any(|&input| input == source || fed.get(input as usize) == Some(&true));
        by_time |= fed[number] && keyed.is_timed();
    }
    by_time
}

/// Times say where items belong: a pane that begins at no hop would never be part of a window.
fn check_times(keyed: &Keyed, kind: StageKind) -> Result<(), String> {
    match kind {
        StageKind::Window(Window {
            form: WindowForm::Session { .. },
            ..
        }) => return check_sessions(keyed),
        StageKind::Window(
            window @ Window {
                form: WindowForm::Panes { size_ms, hop_ms },
                ..
            },
        ) => {
            check_panes(keyed, window, hop_ms)?;
            if size_ms > hop_ms {
                return check_first_windows(keyed, window);
            }
        }
        StageKind::EachBatch | StageKind::Running { .. }
            if keyed.times_ms.iter().any(|&time| time != 0) =>
        {
            return Err("a time is not 0, though it goes to no window".into());
        }
        _ => {}
    }
    match keyed.until_ms.is_empty() {
        true => Ok(()),
        false => {
            Err("`until-ms` is not empty, though it goes to no sessions or hopping windows".into())
        }
    }
}

fn check_sessions(keyed: &Keyed) -> Result<(), String> {
    if keyed.until_ms.len() != keyed.times_ms.len() {
        return Err("`until-ms` differs from `times-ms` in length".into());
    }
    let mut sessions = keyed.times_ms.iter().zip(&keyed.until_ms);
    match sessions.find(|(from, until)| until < from) {
        Some((from, until)) => Err(format!(
            "a session's last event, at {until}, is before its first, at {from}"
        )),
        None => Ok(()),
    }
}

fn check_panes(keyed: &Keyed, window: Window, hop_ms: i64) -> Result<(), String> {
    let mut times = keyed.times_ms.iter();
    let Some(time) = times.find(|&&time| !window.may_begin(time)) else {
        return Ok(());
    };
    Err(match window.offset_ms {
        0 => format!("a pane begins at {time}, which is no multiple of its hop of {hop_ms} ms"),
        ms => format!(
            "a pane begins at {time}, which is not {ms} ms behind a multiple of its hop of {hop_ms} ms"
        ),
    })
}

fn check_first_windows(keyed: &Keyed, window: Window) -> Result<(), String> {
    if keyed.until_ms.is_empty() {
        return Ok(());
    }
    if keyed.until_ms.len() != keyed.times_ms.len() {
        return Err("`until-ms` differs from `times-ms` in length".into());
    }
    let mut items = keyed.times_ms.iter().zip(&keyed.until_ms);
    match items.find(|&(pane, first)| !window.has_pane(*first, *pane)) {
        Some((pane, first)) => Err(format!(
            "`until-ms` names {first}, where no window begins that has the pane at {pane}"
        )),
        None => Ok(()),
    }
}

fn check_deleted(keyed: &Keyed, kind: StageKind) -> Result<(), String> {
    if (kind, keyed.side) != (StageKind::Lookup, 1) && !keyed.deleted.is_empty() {
        return Err("`deleted` is not empty, though it goes to no table".into());
    }
    check_ascending("deleted", &keyed.deleted, keyed.keys.len())?;
    match keyed
        .deleted
        .iter()
        .find(|&&item| !keyed.values.get(item as usize).is_empty())
    {
        Some(item) => Err(format!("item {item} is both deleted and there")),
        None => Ok(()),
    }
}

fn bounded(bytes: usize) -> Result<usize, GuestFault> {
    if bytes <= GUEST_OUTPUT_BYTES_MAX {
        Ok(bytes)
    } else {
        Err(GuestFault::Output)
    }
}

/// The bytes of accumulators, as [`AnswerRules::size`].
pub fn column_size(column: &Column) -> Result<usize, GuestFault> {
    bounded(column_bytes(column))
}

/// Bytes of a column's items.
pub fn column_bytes(column: &Column) -> usize {
    column.data.len() + 4 * column.ends.len()
}

fn rows_bytes(rows: &Rows) -> usize {
    let lists = [
        &rows.positions,
        &rows.absent,
        &rows.deleted,
        &rows.deleted_rows,
        &rows.extra.rows,
        &rows.headers.positions,
        &rows.headers.absent,
    ];
    let columns = [
        &rows.cells,
        &rows.extra.names,
        &rows.extra.values,
        &rows.headers.names,
        &rows.headers.values,
    ];
    columns.map(column_bytes).iter().sum::<usize>()
        + lists.map(|list| 4 * list.len()).iter().sum::<usize>()
}

fn keyed_bytes(keyed: &Keyed) -> usize {
    let numbers = keyed.positions.len()
        + keyed.deleted.len()
        + 2 * (keyed.times_ms.len() + keyed.until_ms.len());
    column_bytes(&keyed.keys) + column_bytes(&keyed.values) + 4 * numbers
}

fn outcome_bytes(outcome: &KeyOutcome) -> usize {
    let timers = outcome.event_timers_ms.len() + outcome.batch_timers_ms.len();
    let refusals = outcome.refusals.iter().map(|refusal| refusal.reason.len());
    size_of::<KeyOutcome>()
        + outcome.state.as_ref().map_or(0, Vec::len)
        + size_of::<i64>() * timers
        + refusals
            .map(|bytes| bytes + size_of::<Refusal>())
            .sum::<usize>()
}

fn answer_bytes(answer: &Answer) -> usize {
    answer
        .faults
        .iter()
        .map(|(_, reason)| 4 + reason.len())
        .sum::<usize>()
        + answer.rows.iter().map(rows_bytes).sum::<usize>()
        + answer.keyed.iter().map(keyed_bytes).sum::<usize>()
        + 4 * answer.late.len()
        + answer.outcomes.iter().map(outcome_bytes).sum::<usize>()
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
