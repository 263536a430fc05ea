//! `top`: all jobs, live, and one of them closer.
//!
//! ```text
//! daemon's events ─► stream ─► model ─► view ─► terminal
//!                               ▲ keys
//! ```

mod model;
mod stream;
mod view;

use super::CliError;
use super::client::Which;
use super::screen::Screen;
use model::{Model, Step};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};
use std::time::Duration;
use stream::{Stream, Wanted};

/// How often it is drawn where nothing happens.
const DRAW_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  streamhost top
  streamhost top --url http://stream-1:7070

Keys: up and down choose a job, Enter opens it, where they scroll its partitions; Esc or q goes back and ends, s sorts
by another column, r turns the order around.")]
pub(super) struct Args {
    #[command(flatten)]
    daemon: Which,
}

/// Why nothing is drawn.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// Nobody could see it.
    #[error(
        "`top` draws on a terminal, and standard output is none: `streamhost list --output json` is for programs"
    )]
    NoTerminal,
    /// The terminal.
    #[error("the terminal cannot be drawn on: {0}")]
    Terminal(io::Error),
}

pub(super) fn run(args: Args, screen: &Screen) -> Result<(), CliError> {
    if screen.width.is_none() || !io::stdin().is_terminal() {
        return Err(TopError::NoTerminal.into());
    }
    let client = args.daemon.client()?;
    let mut terminal = ratatui::try_init().map_err(TopError::Terminal)?;
    let ended = watch(
        &mut terminal,
        || Stream::open(&client, Wanted::Jobs),
        |job| Stream::open(&client, Wanted::Job(job.to_owned())),
    );
    ratatui::restore(); // before anything is said
    ended.map_err(TopError::Terminal)?;
    Ok(())
}

/// Draws until its reader has enough.
fn watch(
    terminal: &mut DefaultTerminal,
    all: impl Fn() -> Stream,
    one: impl Fn(&str) -> Stream,
) -> io::Result<()> {
    let (mut model, mut stream) = (Model::default(), all());
    loop {
        while let Some(told) = stream.next() {
            model.take(told);
        }
        terminal.draw(|frame| view::draw(frame, &model))?;
        if !event::poll(DRAW_EVERY)? {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue; // it is drawn anew in its new size
        };
        match step(key).map(|step| model.step(step)) {
            Some(model::Next::End) => return Ok(()),
            Some(model::Next::Jobs) => stream = all(),
            Some(model::Next::Job(job)) => stream = one(&job),
            Some(model::Next::Same) | None => {}
        }
    }
}

/// What a key means.
fn step(key: KeyEvent) -> Option<Step> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Step::End),
        KeyCode::Up | KeyCode::Char('k') => Some(Step::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Step::Down),
        KeyCode::Enter => Some(Step::Open),
        KeyCode::Esc | KeyCode::Char('q') => Some(Step::Back),
        KeyCode::Char('s') => Some(Step::Sort),
        KeyCode::Char('r') => Some(Step::Reverse),
        _ => None,
    }
}
