//! `state`: what a keyed stage keeps.

use super::CliError;
use super::client::{Which, stage_path};
use super::output::{Output, table};
use super::screen::Screen;
use super::shown::Shown;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use streamhost_core::limits;

/// Characters of a key or value that a table shows.
const CELL_CHARS_MAX: usize = 80;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Keys are written as the table shows them: text as it is, numbers in decimal, keys of several
parts as a JSON list.

Examples:
  streamhost state clicks count
  streamhost state clicks count --key ann
  streamhost state clicks count --prefix a --limit 500 --output json"
)]
pub(super) struct Args {
    /// The job
    job: String,
    /// The keyed stage; `streamhost status JOB` lists them
    stage: String,
    /// This key alone
    #[arg(long, conflicts_with = "prefix")]
    key: Option<String>,
    /// Keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    daemon: Which,
}

/// What the daemon says of a stage's state.
#[derive(Serialize, Deserialize)]
struct Page {
    stage: String,
    batch: u64,
    entries: Vec<Entry>,
    next: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key: Shown,
    window: Option<Window>,
    value: Shown,
    expires: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Window {
    start: String,
    end: String,
}

pub(super) fn run(args: Args, screen: &Screen, out: &mut dyn Write) -> Result<(), CliError> {
    let path = stage_path(&args.job, &args.stage)?;
    let client = args.daemon.client()?;
    let most = args.limit as usize;
    let mut all: Option<Page> = None;
    loop {
        let got = all.as_ref().map_or(0, |page| page.entries.len());
        let limit = (most - got).min(limits::STATE_PAGE_MAX);
        let mut query = vec![("limit", limit.to_string())];
        let after = all.as_ref().and_then(|page| page.next.clone());
        let keys = [("key", &args.key), ("prefix", &args.prefix)];
        query.extend(
            keys.map(|(name, text)| Some((name, text.clone()?)))
                .into_iter()
                .flatten(),
        );
        query.extend(after.map(|after| ("after", after)));
        let page: Page = client.get(&path, &query)?;
        let page = match all {
            None => page,
            Some(mut before) => {
                before.entries.extend(page.entries);
                Page {
                    entries: before.entries,
                    ..page
                }
            }
        };
        let is_done = page.next.is_none() || page.entries.len() >= most;
        all = Some(page);
        if is_done {
            break;
        }
    }
    let text = |out: &mut dyn Write, page: &Page| text(out, screen, page);
    all.map_or(Ok(()), |page| Ok(args.output.print(out, &page, text)?))
}

fn text(out: &mut dyn Write, screen: &Screen, page: &Page) -> io::Result<()> {
    let rows: Vec<_> = page
        .entries
        .iter()
        .map(|entry| row(entry, screen))
        .collect();
    table(
        out,
        screen,
        (["KEY", "WINDOW", "VALUE", "GOES"], &["GOES"]),
        &rows,
    )?;
    let more = match page.next {
        Some(_) => "; there are more: see --limit",
        None => "",
    };
    writeln!(out, "as of batch {}{more}", page.batch)
}

fn row(entry: &Entry, screen: &Screen) -> [String; 4] {
    let window = entry.window.as_ref();
    [
        entry.key.short(CELL_CHARS_MAX),
        window.map_or_else(String::new, |of| {
            format!("{} to {}", screen.time(&of.start), screen.time(&of.end))
        }),
        entry.value.short(CELL_CHARS_MAX),
        entry
            .expires
            .as_ref()
            .map_or_else(String::new, |at| screen.time(at)),
    ]
}
