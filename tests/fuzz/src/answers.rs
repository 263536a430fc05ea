//! Answers of a component: whatever it says, what the host's rules let through can be used.

use std::time::Duration;
use streamhost_core::contract::render::{json, readable, text};
use streamhost_core::contract::{
    Answer, AnswerRules, Asked, KeyTimes, Processed, Refusal, RowShape, take_unfit,
};
use streamhost_core::executor::AnswerBuilder;
use streamhost_core::job::{
    ColumnSpec, JobSpec, Join, Partners, SinkSpec, SourceSpec, StageKind, StageSpec, Window,
    WindowForm,
};
use streamhost_core::types::{
    Column, ColumnNames, ExtraCells, Headers, Keyed, Kind, Measure, RowLimits, Rows,
};

/// Draws parts of an answer from an input; nothing but zeros after its end.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// Mostly a small number, sometimes one from an edge.
    fn number(&mut self) -> u32 {
        match self.byte() {
            255 => u32::MAX,
            254 => i32::MAX as u32,
            253 => u32::from(self.byte()) << 16,
            small => u32::from(small),
        }
    }

    fn time(&mut self) -> i64 {
        match self.byte() {
            255 => i64::MAX,
            254 => i64::MIN,
            253 => i64::MIN + 1,
            small => i64::from(small) - 20,
        }
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let items = self.byte() % 12;
        (0..items).map(|_| item(self)).collect()
    }

    /// Ends are drawn apart from the bytes, so that they may not fit.
    fn column(&mut self) -> Column {
        let data = self.list(Draw::byte);
        let is_sound = !self.byte().is_multiple_of(8);
        let mut ends = self.list(Draw::number);
        if is_sound {
            let most = data.len() as u32;
            ends.iter_mut().for_each(|end| *end = (*end).min(most));
            ends.sort_unstable();
            if let Some(last) = ends.last_mut() {
                *last = most;
            }
        }
        Column { data, ends }
    }

    fn kind(&mut self) -> Kind {
        Kind::ALL[usize::from(self.byte()) % Kind::ALL.len()]
    }

    fn rows(&mut self) -> Rows {
        Rows {
            positions: self.list(Draw::number),
            cells: self.column(),
            absent: self.list(Draw::number),
            deleted: self.list(Draw::number),
            deleted_rows: self.list(Draw::number),
            extra: ExtraCells {
                rows: self.list(Draw::number),
                names: self.column(),
                values: self.column(),
                kinds: self.list(Draw::kind),
            },
            headers: Headers {
                positions: self.list(Draw::number),
                names: self.column(),
                values: self.column(),
                absent: self.list(Draw::number),
            },
        }
    }

    fn keyed(&mut self) -> Keyed {
        Keyed {
            stage: self.number(),
            side: self.byte() % 4,
            positions: self.list(Draw::number),
            keys: self.column(),
            values: self.column(),
            times_ms: self.list(Draw::time),
            until_ms: self.list(Draw::time),
            deleted: self.list(Draw::number),
        }
    }

    fn key_times(&mut self) -> KeyTimes {
        KeyTimes {
            ends: self.list(Draw::number),
            times_ms: self.list(Draw::time),
        }
    }

    fn processed(&mut self) -> Processed {
        let refusal = |draw: &mut Self| {
            let (position, item) = (draw.number(), Some(draw.number()));
            let (time_ms, reason) = (draw.time(), String::new());
            let refusal = Refusal {
                item,
                time_ms,
                reason,
            };
            (position, refusal)
        };
        Processed {
            states: self.column(),
            absent: self.list(Draw::number),
            event_timers: self.key_times(),
            batch_timers: self.key_times(),
            refusals: self.list(refusal),
        }
    }

    fn answer(&mut self) -> Answer {
        let fault = |draw: &mut Self| {
            let position = draw.number();
            (position, format!("reason {}", draw.byte()))
        };
        Answer {
            faults: self.list(fault),
            rows: self.list(Draw::rows),
            keyed: self.list(Draw::keyed),
            late: self.list(Draw::number),
            largest_ms: self.time(),
            outcomes: Vec::new(), // none of its stages processes
        }
    }
}

fn stage(name: &str, kind: StageKind, inputs: &[u32]) -> StageSpec {
    StageSpec {
        name: name.into(),
        kind,
        inputs: inputs.to_vec(),
        key_shape: String::new(),
        value_shape: String::new(),
        other_shape: String::new(),
        version: 0,
        migrates: None,
    }
}

/// A timed source and one without times, a stage of each kind, two sinks.
fn job() -> (AnswerRules, Vec<RowShape>) {
    let window = |form| {
        StageKind::Window(Window {
            form,
            lateness_ms: 5,
            offset_ms: 0,
            updates_ms: 0,
            processing_time: false,
            early: false,
        })
    };
    let join = StageKind::Join(Join {
        partners: Partners::within(5),
        lateness_ms: 0,
        left: true,
        right: false,
    });
    let panes = WindowForm::Panes {
        size_ms: 20,
        hop_ms: 10,
    };
    let column = |name: &str, kind, optional| ColumnSpec {
        name: name.into(),
        kind,
        optional,
    };
    let sink = |names, keys, dynamic| {
        let spec = SinkSpec {
            name: "s".into(),
            keys,
            dynamic,
            columns: vec![
                column("f:v", Kind::Json, false),
                column("f:w", Kind::Int, true),
            ],
            ..SinkSpec::default()
        };
        let limits = RowLimits {
            key_bytes: 1..=10,
            cell_bytes_max: 100,
            row_bytes_max: 1000,
            measure: Measure::Cells,
            columns: names,
        };
        (RowShape::new(&spec, limits), spec)
    };
    let (shapes, sinks): (Vec<_>, Vec<_>) = [
        sink(
            ColumnNames::FamilyAndQualifier,
            vec![ColumnSpec::key()],
            true,
        ),
        sink(ColumnNames::Fields, Vec::new(), false),
    ]
    .into_iter()
    .unzip();
    let source = |timed| SourceSpec {
        timed,
        ..SourceSpec::default()
    };
    let spec = JobSpec {
        parameters: Vec::new(),
        metrics: Vec::new(),
        name: "j".into(),
        every: Duration::ZERO,
        sources: vec![source(true), source(false)],
        stages: vec![
            stage("panes", window(panes), &[0]),
            stage("sessions", window(WindowForm::Session { gap_ms: 5 }), &[0]),
            stage("join", join, &[0, 1]),
            stage("lookup", StageKind::Lookup, &[0]),
            stage(
                "running",
                StageKind::Running { expire_ms: Some(9) },
                &[0, 2],
            ),
        ],
        sinks,
    };
    (AnswerRules::new(shapes.clone(), &spec), shapes)
}

/// Everything that is done with rows whose shape is proven.
fn use_rows(rows: &mut Rows, shape: &RowShape) {
    drop(take_unfit(rows, shape));
    for cell in rows.cells.iter().chain(rows.extra.values.iter()) {
        for kind in Kind::ALL {
            let mut out = Vec::new();
            text(kind, cell, &mut out);
            json(kind, cell, &mut out);
            drop(readable(kind, cell));
        }
    }
    let half = rows.len() / 2;
    rows.drop_first(half);
}

/// An answer for up to eight records of one of the stages.
pub(crate) fn answers(input: &[u8]) {
    let (rules, shapes) = job();
    let mut draw = Draw(input);
    let asked = Asked {
        stage: u32::from(draw.byte()) % 8,
        items: usize::from(draw.byte()) % 9,
        partition_ms: draw.time(),
    };
    let answer = draw.answer();
    drop(draw.processed().outcomes()); // whatever it says, nothing falls over
    if rules.check(&answer, asked).is_err() || rules.size(&answer).is_err() {
        return;
    }
    let mut builder = AnswerBuilder::new(shapes.len(), asked.items, asked.partition_ms);
    builder.take(answer, 0, &shapes);
    let mut taken = builder.finish([]);
    for (rows, shape) in taken.rows.iter_mut().zip(&shapes) {
        for rows in rows {
            use_rows(rows, shape);
        }
    }
}
