//! How `top` looks.

use super::model::{Job, Model, Partition, Stage};
use crate::cli::output::{catching_up, count, plain};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

/// The steps of a batch, in their order; `gather` is waiting for records, and no work.
const STEPS: [&str; 7] = [
    "gather",
    "queue",
    "transform",
    "stages",
    "intent",
    "deliver",
    "checkpoint",
];
/// How long the bar of the longest step is.
const BAR_WIDTH: usize = 30;

/// Draws all that is known.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(title(model), head);
    match &model.open {
        None => jobs(frame, model, body),
        Some(name) => job(frame, model, name, body),
    }
    let keys = match model.open {
        None => "↑↓ choose  Enter open  s sort  r turn around  q quit",
        Some(_) => "↑↓ partitions  Esc back",
    };
    let dim = Style::new().add_modifier(Modifier::DIM);
    frame.render_widget(Paragraph::new(keys).style(dim), foot);
}

fn title(model: &Model) -> Line<'_> {
    let host = model.host.as_deref().unwrap_or("streamhost");
    let mut spans = vec![Span::styled(
        plain(host),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    match &model.lost {
        Some(reason) => spans.push(Span::styled(
            format!("  no word from the daemon: {}; asking again", plain(reason)),
            Style::new().fg(Color::Red),
        )),
        None => spans.push(Span::raw(format!(
            "  {}",
            count(model.jobs.len() as u64, "job", "jobs")
        ))),
    }
    Line::from(spans)
}

/// All jobs. Columns that a narrow terminal has no room for are left out from the right.
fn jobs(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    if model.jobs.is_empty() {
        let none = "no jobs: deploy one with `streamhost deploy FILE.wasm`";
        let text = if model.host.is_some() { none } else { "" };
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    let name_width = model.jobs.iter().map(|job| job.job.chars().count()).max();
    let name_width = name_width.unwrap_or(0).clamp(4, 40) as u16;
    // Words stand at the left of their column, numbers at its right.
    let columns: [(&str, u16, bool); 11] = [
        ("JOB", name_width, false),
        ("STATE", 8, false),
        ("RECORDS/S", 10, true),
        ("LAG", 9, true),
        ("TREND", 9, true),
        ("DEAD LETTERS", 13, true),
        ("BATCH", 22, false),
        ("ROWS/S", 10, true),
        ("CPU", 5, true),
        ("MEMORY", 10, true),
        ("VERSION", 7, true),
    ];
    let mut room = area.width;
    let fitting = columns.iter().take_while(|(_, width, _)| {
        let fits = room >= *width;
        room = room.saturating_sub(width + 1);
        fits
    });
    let shown = fitting.count().max(1);
    let heads = columns[..shown].iter().map(|(head, _, number)| {
        let mark = match (model.sort.head() == *head, model.reversed) {
            (false, _) => "",
            (true, false) => "▾",
            (true, true) => "▴",
        };
        aligned(Line::raw(format!("{head}{mark}")), *number)
    });
    let rows = model.jobs.iter().map(|job| {
        let cells = cells(job).into_iter().zip(&columns).take(shown);
        let cells = cells.map(|(cell, (_, _, number))| aligned(cell, *number));
        Row::new(cells.collect::<Vec<_>>())
    });
    let widths = columns[..shown]
        .iter()
        .map(|(_, width, _)| Constraint::Length(*width));
    let table = Table::new(rows, widths)
        .header(Row::new(heads).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::default().with_selected(model.chosen());
    frame.render_stateful_widget(table, area, &mut state);
}

fn aligned(text: Line<'_>, number: bool) -> Cell<'_> {
    match number {
        true => Cell::from(text.right_aligned()),
        false => Cell::from(text),
    }
}

fn cells(job: &Job) -> [Line<'static>; 11] {
    let state = Style::new().fg(state_color(&job.state));
    let letters = match job.dead_letters {
        0 => Style::new(),
        _ => Style::new().fg(Color::Yellow),
    };
    [
        Line::raw(plain(&job.job)),
        Line::styled(plain(&job.state), state),
        Line::raw(rate(job.records_per_second)),
        Line::raw(job.lag.map_or("?".to_owned(), |lag| lag.to_string())),
        Line::raw(trend(job)),
        Line::styled(job.dead_letters.to_string(), letters),
        Line::raw(batch(job)),
        Line::raw(rate(job.rows_per_second)),
        Line::raw(
            job.cpu_cores
                .map_or("-".to_owned(), |cores| format!("{cores:.2}")),
        ),
        Line::raw(job.guest_memory_bytes.map_or("-".to_owned(), bytes)),
        Line::raw(job.version.to_string()),
    ]
}

fn state_color(state: &str) -> Color {
    match state {
        "running" => Color::Green,
        "retrying" => Color::Yellow,
        "stopped" => Color::Red,
        _ => Color::Reset,
    }
}

fn rate(rate: Option<f64>) -> String {
    rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"))
}

fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// Which way the lag goes.
fn trend(job: &Job) -> String {
    match job.lag_change_per_second {
        None => "-".to_owned(),
        Some(0.0) => "=".to_owned(),
        Some(change) if change > 0.0 => format!("↑ {change:.0}/s"),
        Some(change) => format!("↓ {:.0}/s", -change),
    }
}

/// How long a batch takes, and which step takes most of it.
fn batch(job: &Job) -> String {
    let Some(steps) = &job.steps_ms else {
        return "-".to_owned();
    };
    let worked = || {
        STEPS[1..]
            .iter()
            .filter_map(|step| Some((*step, *steps.get(*step)?)))
    };
    let all: f64 = worked().map(|(_, ms)| ms).sum();
    match worked().max_by(|(_, a), (_, b)| a.total_cmp(b)) {
        Some((step, ms)) if all > 0.0 => format!("{all:.0} ms, {step} {:.0} %", ms / all * 100.0),
        _ => format!("{all:.0} ms"),
    }
}

/// One job: how it goes, its steps, its partitions, its keyed stages.
fn job(frame: &mut Frame<'_>, model: &Model, name: &str, area: Rect) {
    let Some(job) = model.opened().filter(|_| !model.gone) else {
        let text = format!("there is no job `{}` (any more)", plain(name));
        frame.render_widget(Paragraph::new(text), area);
        return;
    };
    let (about, partitions) = (about(model, job), &model.detail.watermarks.partitions);
    let stages = &model.detail.stages;
    let heights = [
        Constraint::Length(about.len() as u16),
        Constraint::Length(STEPS.len() as u16 + 1),
        Constraint::Length(if stages.is_empty() {
            0
        } else {
            stages.len() as u16 + 2
        }),
        Constraint::Min(0),
    ];
    let [top, middle, below, rest] = Layout::vertical(heights).areas(area);
    frame.render_widget(Paragraph::new(about).wrap(Wrap { trim: false }), top);
    frame.render_widget(Paragraph::new(steps(job)), middle);
    if !stages.is_empty() {
        frame.render_widget(stage_table(stages), below);
    }
    let first = model.first.min(partitions.len().saturating_sub(1));
    frame.render_widget(partition_table(&partitions[first..]), rest);
}

fn about(model: &Model, job: &Job) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled(plain(&job.job), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw("  "),
        Span::styled(plain(&job.state), Style::new().fg(state_color(&job.state))),
        Span::raw(format!("  version {}", job.version)),
    ])];
    if let Some(reason) = &job.reason {
        lines.push(Line::styled(plain(reason), Style::new().fg(Color::Red)));
    }
    let lag = job
        .lag
        .map_or("not known".to_owned(), |lag| lag.to_string());
    let age = match job.lag_seconds {
        Some(seconds) if seconds > 0.0 => format!(", {seconds:.0} s old"),
        _ => String::new(),
    };
    let caught_up = catching_up(job.lag, job.lag_change_per_second);
    let caught_up = caught_up.map_or(String::new(), |words| format!(", {words}"));
    lines.push(Line::raw(format!(
        "records/s {}  rows/s {}  lag {lag}{age} {}{caught_up}  dead letters {}",
        rate(job.records_per_second),
        rate(job.rows_per_second),
        trend(job),
        job.dead_letters
    )));
    let cores = job
        .cpu_cores
        .map_or("-".to_owned(), |cores| format!("{cores:.2}"));
    let memory = job.guest_memory_bytes.map_or("-".to_owned(), bytes);
    lines.push(Line::raw(format!("cpu {cores}  guest memory {memory}")));
    if let Some(why) = &model.detail.watermarks.explanation {
        lines.push(Line::styled(plain(why), Style::new().fg(Color::Yellow)));
    }
    lines
}

fn steps(job: &Job) -> Vec<Line<'static>> {
    let of = |step: &str| {
        job.steps_ms
            .as_ref()
            .and_then(|steps| steps.get(step).copied())
    };
    let longest = STEPS.iter().filter_map(|step| of(step)).fold(0.0, f64::max);
    let mut lines = vec![Line::raw("")];
    lines.extend(STEPS.iter().map(|step| {
        let ms = of(step);
        let share = ms.unwrap_or(0.0) / longest.max(f64::MIN_POSITIVE);
        let bar = "█".repeat((share * BAR_WIDTH as f64).round() as usize);
        let ms = ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        Line::raw(format!("{step:11} {ms:>10}  {bar}"))
    }));
    lines
}

fn head(names: &[&'static str]) -> Row<'static> {
    let cells: Vec<Cell<'_>> = names.iter().map(|name| Cell::from(*name)).collect();
    Row::new(cells)
        .top_margin(1)
        .style(Style::new().add_modifier(Modifier::BOLD))
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

fn stage_table(stages: &[Stage]) -> Table<'static> {
    let rows = stages.iter().map(|stage| {
        Row::new([
            plain(&stage.name),
            plain(&stage.kind),
            stage.keys.to_string(),
            bytes(stage.bytes),
            known(stage.results),
            known(stage.late),
            plain(&known(stage.watermark.clone())),
        ])
    });
    let widths = [20, 11, 10, 10, 10, 8, 24].map(Constraint::Length);
    let names = [
        "STAGE",
        "KIND",
        "KEYS",
        "STATE",
        "RESULTS",
        "LATE",
        "WATERMARK",
    ];
    Table::new(rows, widths).header(head(&names))
}

fn partition_table(partitions: &[Partition]) -> Table<'static> {
    let rows = partitions.iter().map(|at| {
        let note = match (at.holds_back, at.idle) {
            (true, _) => "holds the watermark back",
            (false, true) => "idle",
            (false, false) => "",
        };
        Row::new([
            plain(&at.source),
            at.partition.to_string(),
            at.committed.to_string(),
            known(at.end),
            known(at.lag),
            plain(&known(at.event_time.clone())),
            note.to_owned(),
        ])
    });
    let widths = [20, 9, 12, 12, 10, 24, 24].map(Constraint::Length);
    let names = [
        "SOURCE",
        "PARTITION",
        "COMMITTED",
        "END",
        "LAG",
        "EVENT TIME",
        "",
    ];
    Table::new(rows, widths).header(head(&names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::model::{Sort, Step};
    use crate::cli::top::stream::Told;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    /// The screen's text.
    fn drawn(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
        terminal.draw(|frame| draw(frame, model)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let lines = buffer.content.chunks(usize::from(width)).map(|line| {
            let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned() + "\n"
        });
        lines.collect::<String>()
    }

    fn two_jobs() -> Model {
        let mut model = Model::default();
        for (name, data) in [
            ("hello", json!({"host": "stream-1", "version": "0.1.0"})),
            (
                "jobs",
                json!([
                    {"job": "clicks", "state": "running", "version": 8, "records_per_second": 19631.44,
                     "rows_per_second": 18453.1, "dead_letters": 3, "lag": 120, "lag_seconds": 2.0,
                     "lag_change_per_second": -40.0, "cpu_cores": 0.111, "guest_memory_bytes": 18874368,
                     "steps_ms": {"gather": 900.0, "queue": 0.0, "transform": 50.0, "stages": 0.0,
                                  "intent": 3.0, "deliver": 145.0, "checkpoint": 2.0}},
                    {"job": "orders", "state": "stopped", "version": 1, "dead_letters": 0,
                     "reason": "table `orders` is missing"}
                ]),
            ),
        ] {
            let name = name.to_owned();
            model.take(Told::Event { name, data });
        }
        model
    }

    #[test]
    fn all_jobs_are_in_a_table() {
        let mut model = two_jobs();
        let want = "\
stream-1 0.1.0  2 jobs
JOB▾   STATE     RECORDS/S       LAG     TREND  DEAD LETTERS BATCH                      ROWS/S   CPU     MEMORY VERSION
clicks running     19631.4       120    ↓ 40/s             3 200 ms, deliver 72 %      18453.1  0.11   18.0 MiB       8
orders stopped           -         ?         -             0 -                               -     -          -       1

↑↓ choose  Enter open  s sort  r turn around  q quit
";
        assert_eq!(drawn(&model, 120, 6), want);
        let narrow = "\
stream-1 0.1.0  2 jobs
JOB▾   STATE     RECORDS/S       LAG     TREND  DEAD LETTERS
clicks running     19631.4       120    ↓ 40/s             3
orders stopped           -         ?         -             0
↑↓ choose  Enter open  s sort  r turn around  q quit
";
        assert_eq!(drawn(&model, 60, 5), narrow);
        model.take(Told::Lost("it is silent".to_owned()));
        let lost = drawn(&model, 80, 5);
        assert!(
            lost.starts_with(
                "stream-1 0.1.0  no word from the daemon: it is silent; asking again\n"
            ) && lost.contains("clicks"),
            "{lost}"
        );
    }

    #[test]
    fn one_job_has_steps_stages_and_partitions() {
        let mut model = two_jobs();
        model.step(Step::Open);
        model.take(Told::Event {
            name: "job".to_owned(),
            data: json!({
                "stages": [{"name": "count", "kind": "window", "keys": 48, "bytes": 2048, "results": 7}],
                "watermarks": {"partitions": [
                    {"source": "clicks", "partition": 0, "committed": 100, "end": 220, "lag": 120,
                     "event_time": "2026-11-29T14:01:31.000Z", "holds_back": true}
                ]}
            }),
        });
        let want = "\
stream-1 0.1.0  2 jobs
clicks  running  version 8
records/s 19631.4  rows/s 18453.1  lag 120, 2 s old ↓ 40/s, caught up in about 3s  dead letters 3
cpu 0.11  guest memory 18.0 MiB

gather        900.0 ms  ██████████████████████████████
queue           0.0 ms
transform      50.0 ms  ██
stages          0.0 ms
intent          3.0 ms
deliver       145.0 ms  █████
checkpoint      2.0 ms

STAGE                KIND        KEYS       STATE      RESULTS    LATE     WATERMARK
count                window      48         2.0 KiB    7          -        -

SOURCE               PARTITION COMMITTED    END          LAG        EVENT TIME               
clicks               0         100          220          120        2026-11-29T14:01:31.000Z holds the watermark back
↑↓ partitions  Esc back
";
        let want: Vec<&str> = want.lines().map(str::trim_end).collect();
        let found = drawn(&model, 120, 20);
        assert_eq!(
            found
                .lines()
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>(),
            want.iter()
                .copied()
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
        );
        model.take(Told::Event {
            name: "gone".to_owned(),
            data: json!({}),
        });
        assert!(drawn(&model, 80, 6).contains("there is no job `clicks` (any more)"));
    }

    #[test]
    fn no_screen_is_too_small() {
        let mut model = two_jobs();
        for open in [false, true] {
            if open {
                model.step(Step::Open);
            }
            for (width, height) in [(1, 1), (2, 3), (10, 4), (300, 2)] {
                drawn(&model, width, height);
            }
        }
    }

    #[test]
    fn a_sort_is_marked() {
        let mut model = two_jobs();
        assert_eq!(model.sort, Sort::Name);
        model.step(Step::Sort);
        model.step(Step::Reverse);
        assert!(drawn(&model, 60, 5).contains("RECORDS/S▴"));
    }
}
